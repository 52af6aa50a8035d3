//! Subscriptions that may have to give way to one that is not wholly known, because it or its service
//! cannot be read.
//!
//! Decides only that nothing is begun in such doubt; what stands already goes on (C13). Called by
//! resolve, after precedence among those that are known.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, ServiceSubscription},
};

use crate::delivery::{Blocked, DeviceSnapshot, Intent, ResolvedSubscription};
use crate::names::SubscriptionName;
use crate::unreadable::{Referent, UnreadableObjects};

/// Lets subscriptions of which nothing stands wait while one on the device cannot be read, and those
/// of a group while the group of one that comes before them is not known.
pub(in crate::delivery) fn defer_in_doubt(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
) {
    let unreadable = snapshot.unreadable_subscriptions.first().map(unread);
    let mut of_unknown_group: Option<Blocked> = None;
    for subscription in subscriptions {
        if subscription.intent == Intent::SetUp && has_unread_service(snapshot, subscription) {
            of_unknown_group.get_or_insert_with(|| of_unread_service(&subscription.name));
        }
        if subscription.refused.is_some() {
            continue;
        }
        let is_of_a_group = subscription.group().is_some();
        let doubt = of_unknown_group.as_ref().filter(|_| is_of_a_group);
        let Some(doubt) = unreadable.as_ref().or(doubt) else {
            continue;
        };
        let object = snapshot.subscription(&subscription.name);
        if object.is_some_and(stands) {
            continue;
        }
        match &mut subscription.intent {
            Intent::SetUp => subscription.refused = Some(doubt.clone()),
            Intent::Scheduled { early_from, .. } => *early_from = None,
            Intent::Suspended | Intent::Withdraw { .. } | Intent::Detach => {}
        }
    }
}

/// True if the service of a subscription cannot be read, so that its group is not known.
fn has_unread_service(snapshot: &DeviceSnapshot, subscription: &ResolvedSubscription) -> bool {
    let claims = subscription.claims.iter();
    let mut services = claims.filter_map(|claim| claim.strip_prefix("service "));
    services.any(|name| {
        let is_at_hand = snapshot.services.contains_key(name);
        !is_at_hand && snapshot.unreadable.contains(Referent::SmartService, name)
    })
}

/// True if anything was set up for a subscription that is not known to be gone.
fn stands(subscription: &ServiceSubscription) -> bool {
    let status = subscription.status.as_ref();
    status.is_some_and(|status| {
        let mut items = status.items.iter();
        status.server.is_some()
            || items.any(|item| item.state == ItemState::Effective || item.was_effective)
    })
}

fn unread(subscription: &SubscriptionName) -> Blocked {
    let words = UnreadableObjects::CANNOT_BE_READ;
    let message = format!(
        "nothing is begun here while another subscription on this device may come first: \
         {subscription} {words}"
    );
    Blocked::new(Reason::Undecodable, message)
}

fn of_unread_service(subscription: &SubscriptionName) -> Blocked {
    let message = format!(
        "nothing is begun here while the exclusive group of the service of the subscription \
         {subscription} is not known; see the status of that one"
    );
    Blocked::new(Reason::Undecodable, message)
}
