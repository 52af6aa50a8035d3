//! What is to happen to a subscription, by its dates, its deletion and what is suspended.
//!
//! Called by resolve.

use entente_crds::v1alpha1::{DeletionPolicy, ServiceSubscription};
use jiff::Timestamp;

use super::{World, in_force, resolved::Intent};
use crate::{promise::end_of, time::parse_duration};

/// Whether anything may have been done for it yet.
pub(super) fn has_begun(subscription: &ServiceSubscription, now: Timestamp) -> bool {
    let lead = parse_duration(&subscription.spec.lead_time).unwrap_or_default();
    subscription.spec.revisions.iter().any(|revision| {
        revision
            .effective
            .checked_sub(lead)
            .unwrap_or(revision.effective)
            <= now
    })
}

/// What is to happen to it at an instant.
pub(super) fn intent(
    world: &World,
    subscription: &ServiceSubscription,
    begun: bool,
    now: Timestamp,
) -> Intent {
    let spec = &subscription.spec;
    if let Some(deleted) = &subscription.metadata.deletion_timestamp {
        let keep = spec.contract.deletion_policy == DeletionPolicy::Keep;
        return if keep || !begun {
            Intent::Forget
        } else {
            Intent::Withdraw {
                since: deleted.0,
                deleting: true,
            }
        };
    }
    let in_force = in_force::is_in_force(subscription, now);
    let next = spec
        .revisions
        .iter()
        .filter(|revision| revision.effective > now)
        .min_by_key(|r| r.effective);
    let suspended = spec.contract.suspend
        || world
            .device
            .as_ref()
            .is_some_and(|device| device.spec.suspend);
    // Between an entry that ended and the next one nothing may stand on the server.
    let stands = subscription
        .status
        .as_ref()
        .is_some_and(|status| status.server.is_some());
    match (in_force, next) {
        (true, _) if suspended => Intent::Suspended,
        (true, _) => Intent::SetUp,
        (false, Some(_)) if in_force::begun_at(subscription).is_some() && stands => {
            Intent::Withdraw {
                since: ended(subscription, now),
                deleting: false,
            }
        }
        (false, Some(_)) if suspended => Intent::Suspended,
        (false, Some(revision)) => Intent::Scheduled {
            effective: revision.effective,
            early_from: revision.promised.then(|| {
                let lead = parse_duration(&spec.lead_time).unwrap_or_default();
                revision
                    .effective
                    .checked_sub(lead)
                    .unwrap_or(revision.effective)
            }),
        },
        (false, None) => Intent::Withdraw {
            since: ended(subscription, now),
            deleting: false,
        },
    }
}

/// When the last entry ended that has.
fn ended(subscription: &ServiceSubscription, now: Timestamp) -> Timestamp {
    let revisions = subscription.spec.revisions.iter();
    revisions
        .filter_map(|revision| end_of(subscription, revision))
        .filter(|end| *end <= now)
        .max()
        .unwrap_or(now)
}
