//! The time of the next probe of a Connection.
//!
//! Keeps the number of failures of each in memory; never reads a status, whose conditions are for
//! people. Called by the catalogue controller.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use entente_domain::backoff::{RetryPolicy, wait};
use jiff::Timestamp;

/// The failures in a row, by Connection.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, Failing>>);

struct Failing {
    failures: u32,
    due: Timestamp,
}

impl Probes {
    /// Returns the time of the next probe of a Connection whose probe failed now. A probe before
    /// its time, because something else changed, does not count: applying a fleet makes many.
    pub(super) fn failed(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let mut held = self.held();
        let failing = held.entry(name.to_owned()).or_insert(Failing {
            failures: 0,
            due: now,
        });
        if failing.due <= now {
            failing.failures = failing.failures.saturating_add(1);
            let pause = wait(RetryPolicy::default(), failing.failures, 1.0);
            failing.due = now.checked_add(pause).ok()?;
        }
        Some(failing.due)
    }

    /// Drops the memory of a Connection that answered, or was removed.
    pub(super) fn forget(&self, name: &str) {
        self.held().remove(name);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_connection_that_fails_is_probed_more_and_more_seldom_until_it_answers() {
        let probes = Probes::default();
        for (now, next) in [(0, 1), (1, 3), (3, 7), (7, 15)] {
            assert_eq!(probes.failed("hq", at(now)), Some(at(next)));
            // A probe before its time does not prolong the wait.
            assert_eq!(probes.failed("hq", at(now)), Some(at(next)));
        }
        assert_eq!(probes.failed("other", at(7)), Some(at(8)));
        probes.forget("hq");
        assert_eq!(probes.failed("hq", at(15)), Some(at(16)));
    }
}
