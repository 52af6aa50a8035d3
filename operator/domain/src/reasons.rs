//! The one table of reasons: the word for each failure, whether it heals by itself, which side
//! caused the delay, how it is retried (api: `items[].problem`, D9).
//!
//! It decides nothing else, and nobody else decides this. Every table names every variant: a new
//! reason or kind of failure does not compile before it has its row. Called by delivery (verify,
//! plan, report, promise) and by the delivery controller (backoffs).

#![deny(clippy::wildcard_enum_match_arm)]

use entente_crds::{condition::Reason, v1alpha1::Cause};

use crate::remote::FailureKind;

/// Class of a problem: it heals by itself, or it needs a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It heals by itself: the object is Reconciling, and the request is retried for ever at the
    /// cap of the backoff.
    Reconciling,
    /// It needs a person: the object is Stalled until a spec, a Secret or the catalogue changes. What
    /// was refused is sent again by the hour all the same.
    Stalled,
}

/// Side of a subscription on which a failure was met.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// The device.
    Device,
    /// The service server.
    Server,
}

/// Returns the reason for a failure, as used in the problem of an item and in every condition. This
/// is the only place where a failure becomes a word for people.
pub fn reason(kind: FailureKind) -> Reason {
    match kind {
        FailureKind::Unreachable => Reason::Unreachable,
        FailureKind::AddressNotAllowed => Reason::NotAllowed,
        FailureKind::TlsFailed => Reason::TlsFailed,
        FailureKind::CertificateChanged => Reason::CertificateChanged,
        FailureKind::Unauthorized => Reason::Unauthorized,
        FailureKind::TimedOut => Reason::TimedOut,
        FailureKind::Busy
        | FailureKind::Concurrent
        | FailureKind::CatalogOutdated
        | FailureKind::Conflict => Reason::Busy,
        FailureKind::RejectedValue => Reason::RejectedValue,
        FailureKind::RejectedNotSettable => Reason::RejectedNotSettable,
        FailureKind::Unsupported => Reason::Unsupported,
        FailureKind::ProtocolError => Reason::ProtocolError,
        FailureKind::NotRegistered => Reason::NotRegistered,
        FailureKind::NotHeardOf => Reason::NotHeardOf,
        FailureKind::ConsentWithdrawn => Reason::ConsentWithdrawn,
    }
}

/// Scope of the backoff after a failed request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// The request itself, after an hour: it was refused, and only a person's change ends the wait
    /// before.
    Hourly,
    /// Only the request itself: others may go on.
    Sent,
    /// Every request to that remote side: it has to come back first.
    Remote,
}

/// Returns the scope of the backoff after a failed request. `doubtful`: the remote side may have
/// acted all the same.
pub fn retry(kind: FailureKind, doubtful: bool) -> Retry {
    match kind {
        FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported => Retry::Hourly,
        FailureKind::ProtocolError if !doubtful => Retry::Sent,
        FailureKind::ProtocolError
        | FailureKind::Unreachable
        | FailureKind::TimedOut
        | FailureKind::TlsFailed
        | FailureKind::CertificateChanged
        | FailureKind::AddressNotAllowed
        | FailureKind::Unauthorized
        | FailureKind::Busy
        | FailureKind::Concurrent
        | FailureKind::CatalogOutdated
        | FailureKind::Conflict
        | FailureKind::NotRegistered
        | FailureKind::NotHeardOf
        | FailureKind::ConsentWithdrawn => Retry::Remote,
    }
}

/// True if the failure is about the request that met it: another one to the same remote side may
/// succeed all the same, so that a removal is sent after a fetch that fails like this.
pub fn is_about_the_request(kind: FailureKind) -> bool {
    match kind {
        FailureKind::TimedOut
        | FailureKind::Unauthorized
        | FailureKind::RejectedValue
        | FailureKind::RejectedNotSettable
        | FailureKind::Unsupported
        | FailureKind::Conflict
        | FailureKind::ProtocolError => true,
        FailureKind::Unreachable
        | FailureKind::TlsFailed
        | FailureKind::CertificateChanged
        | FailureKind::AddressNotAllowed
        | FailureKind::Busy
        | FailureKind::Concurrent
        | FailureKind::CatalogOutdated
        | FailureKind::NotRegistered
        | FailureKind::NotHeardOf
        | FailureKind::ConsentWithdrawn => false,
    }
}

/// True if the reason is that a machine answers which is not the expected one: whatever was proved
/// of the expected one is in doubt.
pub fn shows_another_machine(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::IdentityMismatch | Reason::CertificateChanged
    )
}

/// True if the problem is found by reading back, not by a failed request: no request started a
/// wait, so that the item needs its own.
pub fn is_found_by_reading(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AcceptedNotEffective | Reason::AcceptanceFailed | Reason::InstallationFailed
    )
}

/// True if the reason only means that time must pass, so that a problem of the last attempt is more
/// informative.
pub fn is_a_matter_of_time(reason: Reason) -> bool {
    matches!(reason, Reason::NotStarted | Reason::OperationRunning)
}

/// Returns the class of a reason: it heals by itself, or it needs a person.
pub fn class(reason: Reason) -> Class {
    row(reason).0
}

/// Returns the side that causes the delay while this reason blocks (api section 11).
pub fn cause(reason: Reason, side: Side) -> Cause {
    match (row(reason).1, side) {
        (Blame::TheSide, Side::Device) | (Blame::Device, _) => Cause::Device,
        (Blame::TheSide, Side::Server) | (Blame::Server, _) => Cause::Server,
        (Blame::Provider, _) => Cause::Provider,
        (Blame::Customer, _) => Cause::Customer,
    }
}

/// Rule for the side that a reason is attributed to.
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
        | Reason::AcceptanceFailed
        | Reason::ProtocolError
        | Reason::Unauthorized
        | Reason::TlsFailed
        | Reason::OrderServerUnavailable
        | Reason::StepTimedOut => (Class::Reconciling, Blame::TheSide),
        Reason::RejectedValue | Reason::RejectedNotSettable => (Class::Stalled, Blame::TheSide),
        Reason::AwaitingRestart
        | Reason::AwaitingAcceptance
        | Reason::WaitingForDevice
        | Reason::InstallationFailed
        | Reason::NotRegistered
        | Reason::NotHeardOf => (Class::Reconciling, Blame::Device),
        Reason::IdentityMismatch | Reason::CertificateChanged => (Class::Stalled, Blame::Device),
        Reason::OperationRunning | Reason::ProviderPending => (Class::Reconciling, Blame::Server),
        Reason::NotVerifiable => (Class::Stalled, Blame::Server),
        Reason::Suspended | Reason::OutsideMaintenanceWindow | Reason::DisabledLocally => {
            (Class::Reconciling, Blame::Customer)
        }
        Reason::UnsupportedByDevice => (Class::Stalled, Blame::Device),
        Reason::ConsentWithdrawn | Reason::MaintenanceWindowTooShort => {
            (Class::Stalled, Blame::Customer)
        }
        // Refused by the catalogue, or a conflict: a person has to decide.
        Reason::Unsupported
        | Reason::UnsupportedByModel
        | Reason::UnsupportedValue
        | Reason::AlreadyClaimed
        | Reason::NotAllowed
        | Reason::OfferingNotFound
        | Reason::OfferingChanged
        | Reason::BrokerChanged
        | Reason::InstanceNotFound
        | Reason::Undecodable
        | Reason::SettingsConflict
        | Reason::ConflictingContract
        // Faults of a contract's own spec, of an amendment, or of the facts in a record.
        | Reason::CompensationNameTaken
        | Reason::InvalidTerm
        | Reason::UnknownZone
        | Reason::PastDateChanged
        | Reason::CustomerDiffers
        | Reason::CircularSuccession
        | Reason::SuccessionChanged
        | Reason::DuplicateService
        | Reason::OverridesConflict
        | Reason::AmendmentsConflict
        | Reason::BeforeTerm
        | Reason::AfterTerm
        | Reason::NeverStarted
        // An order that a person has to settle with the provider.
        | Reason::OrderRejected
        | Reason::ItemUnknown
        | Reason::OutcomeUnknown
        | Reason::NotExpected
        | Reason::PastEnd
        | Reason::AlreadyStarted
        | Reason::DuplicateErrorType => (Class::Stalled, Blame::Provider),
        // Missing: the object may appear without any change of the subscription.
        Reason::DeviceNotFound
        | Reason::SiteNotFound
        | Reason::ModelNotFound
        | Reason::ServiceNotFound
        | Reason::ContractNotFound
        | Reason::ConnectionNotFound
        | Reason::SecretNotFound
        | Reason::SecretKeyMissing
        | Reason::SecretForbidden
        // A file of the catalogue that cannot be had: the device has nothing to install.
        | Reason::ArtifactUnavailable => (Class::Reconciling, Blame::Provider),
        // Our own time and work.
        Reason::Pending
        | Reason::Progressing
        | Reason::ProgressingWithRetry
        | Reason::Waiting
        | Reason::HandingOver
        | Reason::ExclusiveGroupHeld
        | Reason::NotInForce
        | Reason::ClockSkew
        | Reason::NotObserved
        | Reason::InternalError
        | Reason::NotStarted
        | Reason::AwaitingNotice
        | Reason::Withdrawing
        | Reason::NeverSeen => (Class::Reconciling, Blame::Provider),
        // Reasons of a whole contract, of a connection or of a record, errors of a device, and those of
        // success: nothing waits for these.
        Reason::Succeeded
        | Reason::SuppliesEmpty
        | Reason::SuppliesLow
        | Reason::Jam
        | Reason::CoverOpen
        | Reason::ServiceNeeded
        | Reason::OtherFault
        | Reason::Active
        | Reason::Scheduled
        | Reason::Delivered
        | Reason::DeliveredWithExceptions
        | Reason::Drifted
        | Reason::Ended
        | Reason::Valid
        | Reason::Resolved
        | Reason::InTerm
        | Reason::NoDevices
        | Reason::DeviceCountMismatch
        | Reason::DevicesPending
        | Reason::DevicesNotProgressing
        | Reason::PromiseNotKept
        | Reason::NotFinal
        | Reason::Answered
        | Reason::PerDevice
        | Reason::OrphansFull
        | Reason::InUse
        | Reason::Recreated
        | Reason::AmountFinal
        | Reason::Accruing
        | Reason::NothingOwed
        | Reason::RecordOnly
        | Reason::Voided
        | Reason::OrderPlaced
        | Reason::Cancelled
        | Reason::SupplyReplaced
        | Reason::MessageShown
        | Reason::MessageSent
        | Reason::Cleared
        | Reason::NoDisplay
        | Reason::NoText
        | Reason::MessageRefused
        | Reason::DeviceOffline
        | Reason::NothingWanted => (Class::Reconciling, Blame::Provider),
    }
}

/// True if a step that exceeded its time limit reports StepTimedOut instead of this reason: one
/// that heals by itself on the remote side. A reason that needs a person, and one that is ours or
/// the customer's, is reported itself.
pub fn may_time_out(reason: Reason, side: Side) -> bool {
    class(reason) == Class::Reconciling
        && matches!(cause(reason, side), Cause::Device | Cause::Server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::is_allowed;
    use entente_crds::condition::ConditionType;

    /// Every reason of an attempt: whether it heals, whose delay on the device and on the server.
    const TABLE: &[(Reason, Class, Cause, Cause)] = {
        use {Cause::*, Class::*};
        &[
            (Reason::AcceptedNotEffective, Reconciling, Device, Server),
            (Reason::AcceptanceFailed, Reconciling, Device, Server),
            (Reason::RejectedNotSettable, Stalled, Device, Server),
            (Reason::RejectedValue, Stalled, Device, Server),
            (Reason::Unsupported, Stalled, Provider, Provider),
            (Reason::NotVerifiable, Stalled, Server, Server),
            (Reason::Unreachable, Reconciling, Device, Server),
            (Reason::NotAllowed, Stalled, Provider, Provider),
            (Reason::TlsFailed, Reconciling, Device, Server),
            (Reason::CertificateChanged, Stalled, Device, Device),
            (Reason::Unauthorized, Reconciling, Device, Server),
            (Reason::Busy, Reconciling, Device, Server),
            (Reason::TimedOut, Reconciling, Device, Server),
            (Reason::ProtocolError, Reconciling, Device, Server),
            (Reason::NotRegistered, Reconciling, Device, Device),
            (Reason::NotHeardOf, Reconciling, Device, Device),
            (Reason::ConsentWithdrawn, Stalled, Customer, Customer),
            (Reason::InstallationFailed, Reconciling, Device, Device),
            (Reason::ArtifactUnavailable, Reconciling, Provider, Provider),
        ]
    };

    const KINDS: &[FailureKind] = &[
        FailureKind::Unreachable,
        FailureKind::TimedOut,
        FailureKind::TlsFailed,
        FailureKind::CertificateChanged,
        FailureKind::AddressNotAllowed,
        FailureKind::Unauthorized,
        FailureKind::Busy,
        FailureKind::Concurrent,
        FailureKind::CatalogOutdated,
        FailureKind::RejectedValue,
        FailureKind::RejectedNotSettable,
        FailureKind::Unsupported,
        FailureKind::Conflict,
        FailureKind::ProtocolError,
        FailureKind::NotRegistered,
        FailureKind::NotHeardOf,
        FailureKind::ConsentWithdrawn,
    ];

    // shows D9 K2
    #[test]
    fn every_reason_of_an_attempt_has_one_class_and_one_cause_on_each_side() {
        let listed: Vec<Reason> = TABLE.iter().map(|(reason, ..)| *reason).collect();
        assert_eq!(listed, Reason::OF_AN_ATTEMPT);
        for (reason, healing, device, server) in TABLE {
            assert_eq!(class(*reason), *healing, "{reason}");
            assert_eq!(cause(*reason, Side::Device), *device, "{reason}");
            assert_eq!(cause(*reason, Side::Server), *server, "{reason}");
        }
    }

    // shows D9 K2
    #[test]
    fn every_failure_has_a_reason_that_an_item_may_tell_and_every_such_reason_has_a_source() {
        let found: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| reason(*kind)).collect();
        let found_by_reading = [
            Reason::AcceptedNotEffective,
            Reason::AcceptanceFailed,
            Reason::NotVerifiable,
            Reason::InstallationFailed,
            Reason::ArtifactUnavailable,
        ];
        let told: std::collections::BTreeSet<_> =
            found.into_iter().chain(found_by_reading).collect();
        assert_eq!(told, Reason::OF_AN_ATTEMPT.iter().copied().collect());
    }

    // shows K2
    #[test]
    fn what_blocks_can_be_said_in_every_condition_that_says_it() {
        use ConditionType::{
            Delivered, DeviceConfigured, Ready, ServerConfigured, SettingsApplied,
        };
        for reason in Reason::OF_AN_ATTEMPT.iter().copied() {
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
    fn what_is_tried_again_by_the_hour_needs_a_person() {
        for kind in KINDS {
            for doubtful in [false, true] {
                let is_refused = retry(*kind, doubtful) == Retry::Hourly;
                let needs_a_person = class(reason(*kind)) == Class::Stalled;
                assert!(!is_refused || needs_a_person, "{kind:?}");
            }
        }
        for reason in Reason::OF_AN_ATTEMPT.iter().copied() {
            let needs_a_person = class(reason) == Class::Stalled;
            assert!(!is_found_by_reading(reason) || !needs_a_person, "{reason}");
        }
        assert_eq!(retry(FailureKind::ProtocolError, false), Retry::Sent);
        assert_eq!(retry(FailureKind::ProtocolError, true), Retry::Remote);
    }

    // shows K2
    #[test]
    fn the_reasons_of_stalled_are_those_that_need_a_person() {
        for reason in Reason::ALL {
            let needs_a_person = class(*reason) == Class::Stalled;
            let listed = is_allowed(ConditionType::Stalled, *reason);
            assert_eq!(listed, needs_a_person, "{reason}");
        }
    }

    // shows D9
    #[test]
    fn only_what_heals_by_itself_on_the_remote_side_times_out_and_it_is_that_sides_delay() {
        for side in [Side::Device, Side::Server] {
            for reason in [
                Reason::OperationRunning,
                Reason::AwaitingRestart,
                Reason::AwaitingAcceptance,
                Reason::AcceptedNotEffective,
                Reason::InstallationFailed,
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
                Reason::OutsideMaintenanceWindow,
                Reason::MaintenanceWindowTooShort,
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
            assert_eq!(
                cause(Reason::OutsideMaintenanceWindow, side),
                Cause::Customer
            );
            assert_eq!(cause(Reason::NotObserved, side), Cause::Provider);
            assert_eq!(cause(Reason::IdentityMismatch, side), Cause::Device);
            assert_eq!(cause(Reason::OperationRunning, side), Cause::Server);
            assert_eq!(cause(Reason::ConflictingContract, side), Cause::Provider);
        }
    }
}
