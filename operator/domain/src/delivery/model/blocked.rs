//! What keeps something from going on, as a value: the word that all stages share for it.
//!
//! Decides nothing. Made by every stage; told by report.

use entente_crds::condition::Reason;
use jiff::Timestamp;

use crate::{reasons::reason, remote::Failure};

/// What keeps something from going on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocked {
    /// Why.
    pub reason: Reason,
    /// In one sentence: what failed, on what, what to do next.
    pub message: String,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
}

impl Blocked {
    /// Something that is not known to end by itself.
    pub fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            until: None,
        }
    }

    /// A request to the device failed.
    pub(in crate::delivery) fn on_device(device: &str, failure: &Failure) -> Self {
        let message = format!("the device {device}: {}", failure.message);
        Self::new(reason(failure.kind), message)
    }

    /// A request to a service server failed.
    pub(in crate::delivery) fn on_server(connection: &str, failure: &Failure) -> Self {
        let message = format!(
            "the service server behind {connection}: {}",
            failure.message
        );
        Self::new(reason(failure.kind), message)
    }

    /// Something that ends at an instant.
    pub fn until(reason: Reason, message: String, until: Timestamp) -> Self {
        Self {
            reason,
            message,
            until: Some(until),
        }
    }
}
