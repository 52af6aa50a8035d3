//! The obstacle that blocks a stage, as a value: all stages share it.
//!
//! Decides nothing. Made by every stage; told by report.

use entente_crds::{FINALIZER_IN_USE, condition::Reason};
use jiff::Timestamp;
use kube::{Resource, ResourceExt as _};

use crate::{
    reasons::{Side, reason},
    remote::Failure,
    unreadable::Referent,
};

/// Obstacle that blocks a device, a connection, a subscription or an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocked {
    /// Reason of the condition that reports it.
    pub reason: Reason,
    /// One sentence: the failure, its place, the next step.
    pub message: String,
    /// End of the obstacle, if it is known.
    pub until: Option<Timestamp>,
    /// The side on which it is, if it is on one: its condition is that of this side, and a delay is
    /// put on it.
    pub side: Option<Side>,
}

impl Blocked {
    /// Returns an obstacle that is not known to end by itself.
    pub fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            until: None,
            side: None,
        }
    }

    /// Returns it as an obstacle on a side.
    #[must_use]
    pub(in crate::delivery) fn on(self, side: Side) -> Self {
        Self {
            side: Some(side),
            ..self
        }
    }

    /// Returns the obstacle of a failed request to the device.
    pub(in crate::delivery) fn on_device(device: &str, failure: &Failure) -> Self {
        let message = format!("the device {device}: {}", failure.message);
        Self::new(reason(failure.kind), message).on(Side::Device)
    }

    /// Returns the obstacle of a failed request to a service server.
    pub(in crate::delivery) fn on_server(connection: &str, failure: &Failure) -> Self {
        let message = format!(
            "the service server behind {connection}: {}",
            failure.message
        );
        Self::new(reason(failure.kind), message).on(Side::Server)
    }

    /// Returns the obstacle that nothing keeps an object of the catalogue from being deleted yet;
    /// `None` if it is kept.
    pub(in crate::delivery) fn unprotected(kind: Referent, object: &impl Resource) -> Option<Self> {
        if object.finalizers().iter().any(|it| it == FINALIZER_IN_USE) {
            return None;
        }
        let name = object.name_any();
        let message = if object.meta().deletion_timestamp.is_some() {
            format!("the {kind} {name} is being deleted, so that nothing is begun with it")
        } else {
            format!(
                "the {kind} {name} is not kept from being deleted yet; its own conditions say so if \
                 its finalizer {FINALIZER_IN_USE} is refused"
            )
        };
        Some(Self::new(Reason::Waiting, message))
    }

    /// Returns an obstacle that ends at an instant.
    pub fn until(reason: Reason, message: String, until: Timestamp) -> Self {
        Self {
            reason,
            message,
            until: Some(until),
            side: None,
        }
    }
}
