//! The revision of a subscription that is in force, by dates alone.
//!
//! An entry that has begun or ended stays so when the clock steps back, and nothing begins or ends
//! by a clock that cannot be trusted. Called by resolve.

use entente_crds::v1alpha1::{Revision, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::DeviceSnapshot;
use crate::promise::in_force;

/// Returns the instant of the entry that was seen in force last.
pub(in crate::delivery) fn begun_at(subscription: &ServiceSubscription) -> Option<Timestamp> {
    Some(subscription.status.as_ref()?.revision.as_ref()?.effective)
}

/// Returns the instant at which the end of the service was seen, if that was the last observation.
fn ended_at(subscription: &ServiceSubscription) -> Option<Timestamp> {
    subscription.status.as_ref()?.ended
}

/// Returns the instant at which the dates are looked up.
pub(in crate::delivery) fn deciding_instant(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> Timestamp {
    let known = begun_at(subscription).max(ended_at(subscription));
    if snapshot.clock_skew.is_none() {
        return known.map_or(now, |known| known.max(now));
    }
    let first = subscription
        .spec
        .revisions
        .iter()
        .map(|revision| revision.effective)
        .min();
    known.unwrap_or_else(|| {
        let before = first.and_then(|first| first.checked_sub(SignedDuration::from_millis(1)).ok());
        before.unwrap_or(now)
    })
}

/// True if any entry is in force.
pub(in crate::delivery) fn is_in_force(subscription: &ServiceSubscription, now: Timestamp) -> bool {
    in_force(&subscription.spec.revisions, now).is_some()
}

/// Returns the entry in force, else the next one, else the last one.
pub(in crate::delivery) fn wanted_revision(
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> Option<&Revision> {
    let revisions = &subscription.spec.revisions;
    let all = || revisions.iter().map(AsRef::as_ref);
    in_force(revisions, now)
        .or_else(|| {
            all()
                .filter(|revision| revision.effective > now)
                .min_by_key(|revision| revision.effective)
        })
        .or_else(|| all().max_by_key(|revision| revision.effective))
}
