//! The obstacle to a message on a panel: its reason, and the words for it (A8, K2).
//!
//! Decides which failure means that the device is offline, and which one that it refuses the message. A
//! refusal holds for the connection through which it came; every other obstacle ends by itself, and the
//! message is sent. Called by the report of the panel.

use entente_crds::{
    condition::Reason,
    v1alpha1::{DisplayedMessage, MessageState},
};

use crate::delivery::Blocked;
use crate::errors::TextFault;
use crate::names::ConnectionName;
use crate::reasons;
use crate::remote::{Failure, FailureKind};

/// Obstacle to a message.
pub(super) struct Obstacle {
    /// The reason, where the list of a message has one.
    pub(super) reason: Option<Reason>,
    /// The obstacle in a sentence.
    pub(super) words: String,
}

impl Obstacle {
    /// Returns the obstacle of a device without a connection that leads to its panel.
    pub(super) fn no_display() -> Self {
        Self {
            reason: Some(Reason::NoDisplay),
            words: "no connection of the device leads to a panel".to_owned(),
        }
    }

    /// Returns the obstacle of a text that cannot be made.
    pub(super) fn of_text(fault: &TextFault) -> Self {
        Self {
            reason: Some(Reason::NoText),
            words: fault.to_string(),
        }
    }

    /// Returns the obstacle of a request that failed.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        Self {
            reason: reason(reasons::reason(failure.kind)),
            words: failure.message.clone(),
        }
    }

    /// Returns the obstacle of a fault that a connection met when it was last used.
    pub(super) fn of_fault(fault: &Blocked) -> Self {
        Self {
            reason: reason(fault.reason),
            words: fault.message.clone(),
        }
    }

    /// Returns the obstacle of a device that says that it cannot show a message.
    pub(super) fn of_refusal(words: String) -> Self {
        Self {
            reason: Some(Reason::MessageRefused),
            words,
        }
    }
}

/// Returns the reason of a message for a reason of a failure; `None` where only the words tell.
fn reason(met: Reason) -> Option<Reason> {
    match met {
        Reason::Unreachable | Reason::TimedOut | Reason::NotHeardOf => Some(Reason::DeviceOffline),
        Reason::Unsupported | Reason::RejectedNotSettable | Reason::RejectedValue => {
            Some(Reason::MessageRefused)
        }
        _ => None,
    }
}

/// True if the device would refuse the message again.
pub(super) fn is_final(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Unsupported | FailureKind::RejectedNotSettable
    )
}

/// True if the device refused a message for good through this connection.
pub(super) fn is_refused_through(connection: &ConnectionName, message: &DisplayedMessage) -> bool {
    message.state == MessageState::Undeliverable
        && message.reason == Some(Reason::MessageRefused)
        && message.connection.as_deref() == Some(connection)
}
