//! The treatment of a subscription, by its dates, its deletion and suspensions.
//!
//! Called by resolve, and by the delivery controller after a pass that ended in a defect.

use std::sync::Arc;

use entente_crds::v1alpha1::{DeletionPolicy, Revision, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{DeviceSnapshot, Intent, previous, schedule::revision};
use crate::promise::{deadline, end_of};

/// True if anything may have been done for it yet.
pub(in crate::delivery) fn has_begun(subscription: &ServiceSubscription, now: Timestamp) -> bool {
    let mut revisions = subscription.spec.revisions.iter();
    revisions.any(|revision| prepared_from(subscription, revision) <= now)
}

/// Returns the next instant at which anything that follows from dates alone may change.
pub(in crate::delivery) fn next_instant(
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> Option<Timestamp> {
    let revisions = subscription.spec.revisions.iter();
    let instants = revisions.flat_map(|revision| {
        let prepared = prepared_from(subscription, revision);
        [Some(prepared), Some(revision.effective), revision.until]
    });
    instants.flatten().filter(|instant| *instant > now).min()
}

/// Returns the next instant that matters to a subscription by its dates alone: what it wants changes
/// then, or a promise is missed.
pub fn next_date(subscription: &ServiceSubscription, now: Timestamp) -> Option<Timestamp> {
    let missed = |revision: &Arc<Revision>| {
        let kept_until = deadline(revision).ok()?;
        kept_until.checked_add(SignedDuration::from_millis(1)).ok()
    };
    let deadlines = subscription.spec.revisions.iter().filter_map(missed);
    deadlines
        .filter(|instant| *instant > now)
        .chain(next_instant(subscription, now))
        .min()
}

/// Returns the instant from which on an entry is prepared. Where the lead time is no duration,
/// which the contract refuses, nothing is done before the entry begins.
pub(in crate::delivery) fn prepared_from(
    subscription: &ServiceSubscription,
    revision: &Revision,
) -> Timestamp {
    let lead = subscription.spec.lead_time.length().ok();
    lead.and_then(|lead| revision.effective.checked_sub(lead).ok())
        .unwrap_or(revision.effective)
}

/// Returns the treatment of a subscription at an instant.
pub(in crate::delivery) fn intent(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    begun: bool,
    now: Timestamp,
) -> Intent {
    let spec = &subscription.spec;
    if let Some(deleted) = &subscription.metadata.deletion_timestamp {
        let keep = spec.contract.deletion_policy == DeletionPolicy::Keep;
        let comes_back = snapshot.contract_came_back(&spec.contract);
        return if keep || comes_back || !begun {
            Intent::Detach
        } else {
            Intent::Withdraw {
                since: deleted.0,
                deleting: true,
            }
        };
    }
    let in_force = revision::is_in_force(subscription, now);
    let next = spec
        .revisions
        .iter()
        .filter(|revision| revision.effective > now)
        .min_by_key(|r| r.effective);
    let suspended = spec.contract.suspend
        || snapshot
            .device
            .as_ref()
            .is_some_and(|device| device.spec.suspend);
    // Between an entry that ended and the next one no instance may exist, and the device is as it was
    // before.
    let stands = previous::holds(subscription)
        || subscription
            .status
            .as_ref()
            .is_some_and(|status| status.server.is_some());
    match (in_force, next) {
        (true, _) if suspended => Intent::Suspended,
        (true, _) => Intent::SetUp,
        (false, Some(_)) if revision::begun_at(subscription).is_some() && stands => {
            Intent::Withdraw {
                since: ended(subscription, now),
                deleting: false,
            }
        }
        (false, Some(_)) if suspended => Intent::Suspended,
        (false, Some(revision)) => Intent::Scheduled {
            effective: revision.effective,
            early_from: (revision.promised).then(|| prepared_from(subscription, revision)),
        },
        (false, None) => Intent::Withdraw {
            since: ended(subscription, now),
            deleting: false,
        },
    }
}

/// True if a subscription wants nothing any more, now and later, unless it is edited.
pub fn wants_nothing(subscription: &ServiceSubscription, now: Timestamp) -> bool {
    let mut revisions = subscription.spec.revisions.iter();
    subscription.metadata.deletion_timestamp.is_some()
        || !revision::is_in_force(subscription, now)
            && !revisions.any(|revision| revision.effective > now)
}

/// Returns the end of the last entry that has ended.
fn ended(subscription: &ServiceSubscription, now: Timestamp) -> Timestamp {
    let revisions = subscription.spec.revisions.iter();
    revisions
        .filter_map(|revision| end_of(subscription, revision))
        .filter(|end| *end <= now)
        .max()
        .unwrap_or(now)
}
