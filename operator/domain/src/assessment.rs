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
        | Reason::StepTimedOut
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

/// Whether a step that was begun long ago is said to have timed out while this reason blocks: what
/// heals by itself on the remote side. What a person must change, and what is ours or the
/// customer's, keeps its own word.
pub fn may_time_out(reason: Reason, side: Side) -> bool {
    class(reason) == Class::Reconciling
        && matches!(cause(reason, side), Cause::Device | Cause::Server)
}

fn of_side(side: Side) -> Cause {
    match side {
        Side::Device => Cause::Device,
        Side::Server => Cause::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::is_allowed;
    use entente_crds::condition::ConditionType;

    /// Every outcome: its reason, whether it heals, whose delay on the device and on the server.
    const TABLE: &[(Outcome, Reason, Class, Cause, Cause)] = &[
        (
            Outcome::AcceptedNotEffective,
            Reason::AcceptedNotEffective,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::RejectedNotSettable,
            Reason::RejectedNotSettable,
            Class::Stalled,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::RejectedValue,
            Reason::RejectedValue,
            Class::Stalled,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::Unsupported,
            Reason::Unsupported,
            Class::Stalled,
            Cause::Provider,
            Cause::Provider,
        ),
        (
            Outcome::NotVerifiable,
            Reason::NotVerifiable,
            Class::Stalled,
            Cause::Server,
            Cause::Server,
        ),
        (
            Outcome::Unreachable,
            Reason::Unreachable,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::Unauthorized,
            Reason::Unauthorized,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::Busy,
            Reason::Busy,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::TimedOut,
            Reason::TimedOut,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
        (
            Outcome::ProtocolError,
            Reason::ProtocolError,
            Class::Reconciling,
            Cause::Device,
            Cause::Server,
        ),
    ];

    const KINDS: &[FailureKind] = &[
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::TlsFailed,
        FailureKind::CertificateChanged,
        FailureKind::AddressNotAllowed,
        FailureKind::Unauthorized,
        FailureKind::Busy,
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
        FailureKind::Conflict,
        FailureKind::ProtocolError,
    ];

    // shows D9 K2
    #[test]
    fn every_outcome_has_one_reason_one_class_and_one_cause_on_each_side() {
        for (outcome, reason, class, device, server) in TABLE {
            assert_eq!(reason_of_outcome(*outcome), *reason);
            assert_eq!(class_of_outcome(*outcome), *class, "{outcome:?}");
            assert_eq!(cause(*reason, Side::Device), *device, "{outcome:?}");
            assert_eq!(cause(*reason, Side::Server), *server, "{outcome:?}");
        }
        let found: std::collections::BTreeSet<_> =
            KINDS.iter().map(|kind| outcome(*kind)).collect();
        let never_a_failure = [Outcome::AcceptedNotEffective, Outcome::NotVerifiable];
        assert!(
            TABLE.iter().all(|(outcome, ..)| {
                found.contains(outcome) || never_a_failure.contains(outcome)
            })
        );
    }

    // shows K2
    #[test]
    fn what_blocks_can_be_said_in_every_condition_that_says_it() {
        use ConditionType::{
            Delivered, DeviceConfigured, Ready, ServerConfigured, SettingsApplied,
        };
        let of_failures = KINDS.iter().map(|kind| reason_of_failure(*kind));
        let of_outcomes = TABLE.iter().map(|(_, reason, ..)| *reason);
        for reason in of_failures.chain(of_outcomes) {
            for condition in [
                Ready,
                Delivered,
                DeviceConfigured,
                ServerConfigured,
                SettingsApplied,
            ] {
                assert!(is_allowed(condition, reason), "{reason} in {condition:?}");
            }
            if class(reason) == Class::Stalled {
                assert!(
                    is_allowed(ConditionType::Stalled, reason),
                    "{reason} stalls"
                );
            }
        }
    }

    // shows K2
    #[test]
    fn only_a_reason_that_stalls_may_be_one_of_stalled() {
        for reason in Reason::ALL {
            if class(*reason) == Class::Stalled {
                assert!(is_allowed(ConditionType::Stalled, *reason), "{reason}");
            }
        }
    }

    // shows D9
    #[test]
    fn only_what_heals_by_itself_on_the_remote_side_times_out_and_it_is_that_sides_delay() {
        for side in [Side::Device, Side::Server] {
            for reason in [
                Reason::OperationRunning,
                Reason::AwaitingRestart,
                Reason::AcceptedNotEffective,
                Reason::Busy,
                Reason::Unreachable,
            ] {
                assert!(may_time_out(reason, side), "{reason}");
            }
            for reason in [
                Reason::RejectedValue,
                Reason::NotVerifiable,
                Reason::SettingsConflict,
                Reason::SecretNotFound,
                Reason::ClockSkew,
                Reason::Suspended,
            ] {
                assert!(!may_time_out(reason, side), "{reason}");
            }
        }
        assert_eq!(cause(Reason::StepTimedOut, Side::Device), Cause::Device);
        assert_eq!(cause(Reason::StepTimedOut, Side::Server), Cause::Server);
        assert_eq!(class(Reason::StepTimedOut), Class::Reconciling);
    }

    // shows D9
    #[test]
    fn what_the_customer_suspended_is_the_customers_and_what_nobody_saw_is_the_providers() {
        for side in [Side::Device, Side::Server] {
            assert_eq!(cause(Reason::Suspended, side), Cause::Customer);
            assert_eq!(cause(Reason::NotObserved, side), Cause::Provider);
            assert_eq!(cause(Reason::IdentityMismatch, side), Cause::Device);
            assert_eq!(cause(Reason::OperationRunning, side), Cause::Server);
            assert_eq!(cause(Reason::ConflictingContract, side), Cause::Provider);
        }
    }
}
