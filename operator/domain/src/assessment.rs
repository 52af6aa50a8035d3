//! The one table of what a problem means: whether it heals by itself, whose delay it is, how it
//! is tried again (api: `items[].problem`, D9).
//!
//! It decides nothing else, and nobody else decides this. Every match names every variant: a new
//! reason, outcome or kind of failure does not compile before it has its row. Called by delivery
//! (verify, plan, report, promise) and by the delivery controller (what is held back).

#![deny(clippy::wildcard_enum_match_arm)]

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
        FailureKind::Unreachable
        | FailureKind::TimedOut
        | FailureKind::Unauthorized
        | FailureKind::Busy
        | FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported
        | FailureKind::Conflict
        | FailureKind::ProtocolError => reason_of_outcome(outcome(kind)),
    }
}

/// What is held back after a failed request, until it is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Nothing: the same is not sent again until a person changed something.
    Never,
    /// What was sent: others may go on.
    Sent,
    /// Everything that goes there: it is the remote side that has to come back.
    Remote,
}

/// What is held back after a failed request. `doubtful`: the remote side may have acted all the
/// same.
pub fn retry(kind: FailureKind, doubtful: bool) -> Retry {
    match kind {
        FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported => Retry::Never,
        FailureKind::ProtocolError if !doubtful => Retry::Sent,
        FailureKind::ProtocolError
        | FailureKind::Unreachable
        | FailureKind::TimedOut
        | FailureKind::TlsFailed
        | FailureKind::CertificateChanged
        | FailureKind::AddressNotAllowed
        | FailureKind::Unauthorized
        | FailureKind::Busy
        | FailureKind::Conflict => Retry::Remote,
    }
}

/// Whether an outcome is found by reading back and heals by itself: no request failed that would
/// have held anything back, so that what was sent is held back by what was read.
pub fn is_held_by_reading(outcome: Outcome) -> bool {
    match outcome {
        Outcome::AcceptedNotEffective => true,
        // One needs a person, and the others a failed request says.
        Outcome::NotVerifiable
        | Outcome::RejectedNotSettable
        | Outcome::RejectedValue
        | Outcome::Unsupported
        | Outcome::Unreachable
        | Outcome::Unauthorized
        | Outcome::Busy
        | Outcome::TimedOut
        | Outcome::ProtocolError => false,
    }
}

/// Whether an outcome can heal by itself.
pub fn class_of_outcome(outcome: Outcome) -> Class {
    class(reason_of_outcome(outcome))
}

/// Whether what a reason stands for can heal by itself.
pub fn class(reason: Reason) -> Class {
    row(reason).0
}

/// Whose delay it is while this reason blocks (api section 11).
pub fn cause(reason: Reason, side: Side) -> Cause {
    match (row(reason).1, side) {
        (Blame::TheSide, Side::Device) | (Blame::Device, _) => Cause::Device,
        (Blame::TheSide, Side::Server) | (Blame::Server, _) => Cause::Server,
        (Blame::Provider, _) => Cause::Provider,
        (Blame::Customer, _) => Cause::Customer,
    }
}

/// Whom a reason is put down to.
#[derive(Clone, Copy)]
enum Blame {
    /// The side on which it is met.
    TheSide,
    Device,
    Server,
    Provider,
    Customer,
}

/// The table.
#[allow(
    clippy::match_same_arms,
    clippy::too_many_lines,
    reason = "a table, whose rows are grouped by what they have in common"
)]
fn row(reason: Reason) -> (Class, Blame) {
    match reason {
        Reason::Unreachable
        | Reason::Busy
        | Reason::TimedOut
        | Reason::AcceptedNotEffective
        | Reason::ProtocolError
        | Reason::Unauthorized
        | Reason::TlsFailed
        | Reason::StepTimedOut => (Class::Reconciling, Blame::TheSide),
        Reason::RejectedValue | Reason::RejectedNotSettable => (Class::Stalled, Blame::TheSide),
        Reason::AwaitingRestart => (Class::Reconciling, Blame::Device),
        Reason::IdentityMismatch | Reason::CertificateChanged => (Class::Stalled, Blame::Device),
        Reason::OperationRunning => (Class::Reconciling, Blame::Server),
        Reason::NotVerifiable => (Class::Stalled, Blame::Server),
        Reason::Suspended => (Class::Reconciling, Blame::Customer),
        // Refused by the catalogue, or a conflict: a person has to decide.
        Reason::Unsupported
        | Reason::UnsupportedByModel
        | Reason::UnsupportedValue
        | Reason::AlreadyClaimed
        | Reason::NotAllowed
        | Reason::OfferingNotFound
        | Reason::OfferingChanged
        | Reason::SettingsConflict
        | Reason::ConflictingContract => (Class::Stalled, Blame::Provider),
        // Missing: whoever brings it need not come back here.
        Reason::DeviceNotFound
        | Reason::ModelNotFound
        | Reason::ServiceNotFound
        | Reason::ConnectionNotFound
        | Reason::SecretNotFound
        | Reason::SecretKeyMissing
        | Reason::SecretForbidden => (Class::Reconciling, Blame::Provider),
        // Our own time and work.
        Reason::Pending
        | Reason::Progressing
        | Reason::ProgressingWithRetry
        | Reason::Waiting
        | Reason::ClockSkew
        | Reason::NotObserved
        | Reason::InternalError
        | Reason::NotStarted
        | Reason::Withdrawing
        | Reason::NeverSeen => (Class::Reconciling, Blame::Provider),
        // What is said of a whole contract, of a connection or of a record, and what is well:
        // nothing waits for these.
        Reason::Succeeded
        | Reason::Scheduled
        | Reason::Delivered
        | Reason::DeliveredWithExceptions
        | Reason::Ended
        | Reason::Valid
        | Reason::Resolved
        | Reason::InTerm
        | Reason::InvalidTerm
        | Reason::UnknownZone
        | Reason::PastDateChanged
        | Reason::DuplicateService
        | Reason::NoDevices
        | Reason::DeviceCountMismatch
        | Reason::DevicesPending
        | Reason::DevicesNotProgressing
        | Reason::PromiseNotKept
        | Reason::NotFinal
        | Reason::Answered
        | Reason::PerDevice
        | Reason::NotUsed
        | Reason::OrphansFull
        | Reason::Recreated
        | Reason::AmountFinal
        | Reason::Accruing
        | Reason::NothingOwed
        | Reason::RecordOnly
        | Reason::Voided
        | Reason::NothingWanted => (Class::Reconciling, Blame::Provider),
    }
}

/// Whether a step that was begun long ago is said to have timed out while this reason blocks: what
/// heals by itself on the remote side. What a person must change, and what is ours or the
/// customer's, keeps its own word.
pub fn may_time_out(reason: Reason, side: Side) -> bool {
    class(reason) == Class::Reconciling
        && matches!(cause(reason, side), Cause::Device | Cause::Server)
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

    // shows K2 K5
    #[test]
    fn what_is_held_back_after_a_failure_agrees_with_whether_it_heals() {
        for kind in KINDS {
            for doubtful in [false, true] {
                let never = retry(*kind, doubtful) == Retry::Never;
                // A value that is refused is not sent again; who may not be reached is asked again.
                assert_eq!(
                    never,
                    class_of_outcome(outcome(*kind)) == Class::Stalled,
                    "{kind:?}"
                );
            }
        }
        for (outcome, _, class, ..) in TABLE {
            assert!(
                !is_held_by_reading(*outcome) || *class == Class::Reconciling,
                "{outcome:?}"
            );
        }
        assert_eq!(retry(FailureKind::ProtocolError, false), Retry::Sent);
        assert_eq!(retry(FailureKind::ProtocolError, true), Retry::Remote);
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
