//! The ids of passes, by which a reader of the log finds all lines of one pass.
//!
//! An id is not random: it has the instant at which the process began and the number of the pass.
//! No decision may depend on it. Called by the shell of controllers for each pass.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// Source of the ids of the passes of one process.
#[derive(Debug, Default)]
pub struct PassIds {
    /// Milliseconds since 1970 at which the process began.
    began: i64,
    given: AtomicU64,
}

impl PassIds {
    /// Returns the source of a process that began at this instant.
    pub fn since(began: Timestamp) -> Self {
        Self {
            began: began.as_millisecond(),
            given: AtomicU64::new(0),
        }
    }

    /// Returns the id of the next pass, such as `19ad6c1b2f0-42`: the beginning of the process,
    /// hexadecimal, and the number of the pass.
    pub(crate) fn next(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{:x}-{number}", self.began)
    }
}
