//! The one table of what a problem means: whether it heals by itself, whose delay it is, how it
//! is tried again (api: `items[].problem`, D9).
//!
//! It decides nothing else. Called by delivery (verify, plan, report, promise).

use entente_crds::{
    condition::Reason,
    v1alpha1::{Cause, Outcome},
};

use crate::exchange::FailureKind;

/// Whether a problem can heal by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It can: the object is Reconciling, and it is tried for ever at the cap of the backoff.
    Reconciling,
    /// It cannot: the object is Stalled until a spec, a Secret or the catalogue changes.
    Stalled,
}

/// On which side of a subscription something was met.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// The device.
    Device,
    /// The service server.
    Server,
}

/// What a failure is called in an item's `problem.outcome`.
pub fn outcome(kind: FailureKind) -> Outcome {
    match kind {
        FailureKind::Unreachable | FailureKind::AddressNotAllowed | FailureKind::TlsFailed => {
            Outcome::Unreachable
        }
        FailureKind::CertificateChanged | FailureKind::Unauthorized => Outcome::Unauthorized,
        FailureKind::TimedOut => Outcome::TimedOut,
        FailureKind::Busy | FailureKind::Conflict => Outcome::Busy,
        FailureKind::RejectedValue => Outcome::RejectedValue,
        FailureKind::RejectedNotSettable => Outcome::RejectedNotSettable,
        FailureKind::Unsupported => Outcome::Unsupported,
        FailureKind::ProtocolError => Outcome::ProtocolError,
    }
}

/// The reason that stands for an outcome in a condition.
pub fn reason_of_outcome(outcome: Outcome) -> Reason {
    match outcome {
        Outcome::AcceptedNotEffective => Reason::AcceptedNotEffective,
        Outcome::RejectedNotSettable => Reason::RejectedNotSettable,
        Outcome::RejectedValue => Reason::RejectedValue,
        Outcome::Unsupported => Reason::Unsupported,
        Outcome::NotVerifiable => Reason::NotVerifiable,
        Outcome::Unreachable => Reason::Unreachable,
        Outcome::Unauthorized => Reason::Unauthorized,
        Outcome::Busy => Reason::Busy,
        Outcome::TimedOut => Reason::TimedOut,
        Outcome::ProtocolError => Reason::ProtocolError,
    }
}

/// The reason that stands for a failure of a whole connection.
pub fn reason_of_failure(kind: FailureKind) -> Reason {
    match kind {
        FailureKind::AddressNotAllowed => Reason::NotAllowed,
        FailureKind::TlsFailed => Reason::TlsFailed,
        FailureKind::CertificateChanged => Reason::CertificateChanged,
        other => reason_of_outcome(outcome(other)),
    }
}

/// Whether an outcome can heal by itself.
pub fn class_of_outcome(outcome: Outcome) -> Class {
    class(reason_of_outcome(outcome))
}

/// Whether what a reason stands for can heal by itself.
pub fn class(reason: Reason) -> Class {
    match reason {
        Reason::Unsupported
        | Reason::RejectedValue
        | Reason::RejectedNotSettable
        | Reason::NotVerifiable
        | Reason::UnsupportedByModel
        | Reason::UnsupportedValue
        | Reason::IdentityMismatch
        | Reason::CertificateChanged
        | Reason::AlreadyClaimed
        | Reason::NotAllowed
        | Reason::OfferingNotFound
        | Reason::SettingsConflict
        | Reason::ConflictingContract => Class::Stalled,
        _ => Class::Reconciling,
    }
}

/// Whose delay it is while this reason blocks (api section 11).
pub fn cause(reason: Reason, side: Side) -> Cause {
    match reason {
        Reason::Unreachable
        | Reason::Busy
        | Reason::TimedOut
        | Reason::RejectedValue
        | Reason::RejectedNotSettable
        | Reason::AcceptedNotEffective
        | Reason::ProtocolError
        | Reason::Unauthorized
        | Reason::TlsFailed => of_side(side),
        Reason::AwaitingRestart | Reason::IdentityMismatch | Reason::CertificateChanged => {
            Cause::Device
        }
        Reason::NotVerifiable | Reason::OperationRunning => Cause::Server,
        Reason::Suspended => Cause::Customer,
        // Everything that is missing or refused in the catalogue, connections, secrets or rights,
        // conflicts, and our own time.
        _ => Cause::Provider,
    }
}

fn of_side(side: Side) -> Cause {
    match side {
        Side::Device => Cause::Device,
        Side::Server => Cause::Server,
    }
}
