//! Precedence of subscriptions that want the same device: their order, and those that lose (api
//! section 12).
//!
//! Called by resolve.

// A new kind of item is decided on here, and does not fall to the side of the broker.
#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    condition::Reason, digest::Digest, item_key::ItemKey, v1alpha1::ServiceSubscription,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::delivery::plan::turns::told;
use crate::delivery::{Blocked, DeviceSnapshot, Intent, ResolvedSubscription, Turn, Wanted};
use crate::names::SubscriptionName;
use crate::promise;
use crate::protocol::Place;

/// Returns the subscriptions of a device, those of higher precedence first.
pub(in crate::delivery) fn ordered(snapshot: &DeviceSnapshot) -> Vec<&ServiceSubscription> {
    let subscriptions = snapshot.subscriptions.iter();
    let mut ordered: Vec<&ServiceSubscription> = subscriptions.map(|found| &**found).collect();
    ordered.sort_by_key(|subscription| order_of(subscription));
    ordered
}

/// Returns the key of precedence: what came back from a backup and served, then the earlier term
/// start, then the older contract, then the name. A contract that succeeds another one keeps the start
/// of the first, so that nobody who came between them gets ahead by a renewal; those of one chain come
/// one after the other.
fn order_of(
    subscription: &ServiceSubscription,
) -> (bool, Timestamp, Timestamp, Timestamp, String, String) {
    let contract = &subscription.spec.contract;
    let first = subscription.spec.origin.as_ref();
    (
        !came_back_serving(subscription),
        first.map_or(contract.start, |first| first.start),
        contract.start,
        contract.created,
        contract.name.clone(),
        subscription.name_any(),
    )
}

/// True if a subscription came back from a backup and served then. While an amendment that gave it the
/// device is not there yet, the contract that had the device before would take it.
fn came_back_serving(subscription: &ServiceSubscription) -> bool {
    let spec = &subscription.spec;
    let restored = spec.restored;
    restored.is_some_and(|restored| promise::in_force(&spec.revisions, restored).is_some())
}

/// Refuses every subscription in force whose service or exclusive group another one has.
pub(in crate::delivery) fn refuse_losers(subscriptions: &mut [ResolvedSubscription]) {
    let mut taken: BTreeMap<String, SubscriptionName> = BTreeMap::new();
    for subscription in subscriptions.iter_mut() {
        if subscription.intent != Intent::SetUp {
            continue;
        }
        let winner = subscription
            .claims
            .iter()
            .filter_map(|claim| taken.get(claim))
            .find(|winner| !takes_its_place(subscription.turn.as_ref(), winner))
            .cloned();
        if let Some(winner) = winner {
            subscription.refused = Some(Blocked::new(
                Reason::ConflictingContract,
                format!(
                    "the subscription {winner} has this service on this device and comes first; \
                     end it in one of the two contracts"
                ),
            ));
            continue;
        }
        for claim in &subscription.claims {
            taken.insert(claim.clone(), subscription.name.clone());
        }
    }
}

/// True if a subscription takes the place of this other one, so that the two are no conflict.
fn takes_its_place(turn: Option<&Turn>, other: &SubscriptionName) -> bool {
    matches!(turn, Some(Turn::Comes { from, .. }) if from == other)
}

fn place(wanted: &Wanted) -> Option<Place> {
    match wanted {
        Wanted::DeviceSetting { place, .. } => Some(place.clone()),
        // A check is only read, so that it wants no place for itself.
        Wanted::ServerInstance
        | Wanted::ServerSetting { .. }
        | Wanted::Activation { .. }
        | Wanted::Acceptance { .. }
        // Of software the highest version serves everybody.
        | Wanted::Software { .. }
        | Wanted::DataType { .. } => None,
    }
}

/// Subscription that has a place of the device, and the digest of its value.
#[derive(Clone)]
struct Holder {
    subscription: SubscriptionName,
    digest: Digest,
}

/// Marks every device setting for which another item of higher precedence wants another value.
pub(in crate::delivery) fn mark_settings(subscriptions: &mut [ResolvedSubscription]) {
    let mut wanted: BTreeMap<Place, Holder> = BTreeMap::new();
    for subscription in subscriptions.iter_mut() {
        let is_in_force = subscription.intent == Intent::SetUp || subscription.serves_on();
        if !is_in_force || subscription.refused.is_some() {
            continue;
        }
        let name = subscription.name.clone();
        let turn = subscription.turn.as_ref();
        for item in subscription
            .steps
            .iter_mut()
            .flat_map(|step| step.items.iter_mut())
        {
            let Some(place) = place(&item.wanted) else {
                continue;
            };
            let own = Holder {
                subscription: name.clone(),
                digest: item.digest,
            };
            let holder = wanted.entry(place).or_insert(own);
            if holder.digest != item.digest {
                let winner = &holder.subscription;
                if takes_its_place(turn, winner) {
                    item.conflict = Some(moves_with_the_switch(winner, &item.key));
                    continue;
                }
                item.conflict = Some(Blocked::new(
                    Reason::SettingsConflict,
                    format!(
                        "the subscriptions {winner} and {name} want different values for {}; \
                         {winner} comes first",
                        item.key
                    ),
                ));
            }
        }
    }
    mark_overridden(subscriptions, &wanted);
    defer_early_steps(subscriptions, &wanted);
}

fn moves_with_the_switch(serving: &SubscriptionName, item: &ItemKey) -> Blocked {
    let message = format!(
        "{item} keeps the value of {} until the new service is set up",
        told(serving)
    );
    Blocked::new(Reason::HandingOver, message)
}

/// Marks settings of inactive subscriptions that an active one overrides, so that old read-backs are
/// not taken for proof later.
fn mark_overridden(subscriptions: &mut [ResolvedSubscription], in_force: &BTreeMap<Place, Holder>) {
    let others = subscriptions
        .iter_mut()
        .filter(|entry| entry.intent != Intent::SetUp || entry.refused.is_some());
    let items = others
        .flat_map(|entry| &mut entry.steps)
        .flat_map(|step| &mut step.items);
    for item in items {
        let winner = place(&item.wanted).and_then(|place| in_force.get(&place));
        item.overridden = winner.is_some_and(|holder| holder.digest != item.digest);
    }
}

/// Lets early steps wait for their instant if they would change a setting of a subscription in
/// force, or of another one that prepares and has precedence: a contract that follows another one
/// is no conflict.
fn defer_early_steps(
    subscriptions: &mut [ResolvedSubscription],
    in_force: &BTreeMap<Place, Holder>,
) {
    let taken: BTreeSet<String> = subscriptions
        .iter()
        .filter(|entry| entry.intent == Intent::SetUp && entry.refused.is_none())
        .flat_map(|entry| entry.claims.clone())
        .collect();
    let mut wanted = in_force.clone();
    for subscription in subscriptions.iter_mut() {
        let early: Vec<(Place, Digest)> = subscription
            .items()
            .filter(|(step, _)| step.early)
            .filter_map(|(_, item)| Some((place(&item.wanted)?, item.digest)))
            .collect();
        let Intent::Scheduled { early_from, .. } = &mut subscription.intent else {
            continue;
        };
        let differs = early
            .iter()
            .any(|(place, digest)| wanted.get(place).is_some_and(|it| it.digest != *digest));
        if differs
            || subscription
                .claims
                .iter()
                .any(|claim| taken.contains(claim))
        {
            *early_from = None;
        } else if early_from.is_some() {
            let name = &subscription.name;
            let holder = |digest| Holder {
                subscription: name.clone(),
                digest,
            };
            let early = early.into_iter();
            wanted.extend(early.map(|(place, digest)| (place, holder(digest))));
        }
    }
}
