//! Turns: which of two subscriptions of one exclusive group serves while one takes the place of the
//! other (C11).
//!
//! `status.exclusive` of the device and the dates decide it, and nothing else: neither an answer nor
//! the state of an item. Of two of which one ends when the other begins, the one that ended is kept in
//! force until the device has the other one as holder. Called by resolve, before precedence.

use entente_crds::condition::Reason;
use entente_crds::item_key::ItemKind;
use entente_crds::v1alpha1::{
    ActivationState, ExclusiveHold, ItemState, LeavingInstance, ServiceSubscription,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use crate::activation::MissingLeg;
use crate::delivery::{
    DeviceSnapshot, Intent, ResolvedSubscription, Turn,
    leaving::leaving,
    observations::record::has_instance,
    plan::is_preempted,
    resolve::{Shared, serving_on},
};
use crate::names::SubscriptionName;
use crate::promise::end_of;

/// A subscription that has ended, and the one that takes its place.
struct Change {
    old: usize,
    new: usize,
    group: String,
    moved: bool,
    /// First instant of the withdrawal, after the switch.
    withdrawn_from: Timestamp,
}

/// Gives both subscriptions of each change of provider their part in it.
pub(in crate::delivery) fn give_turns(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
    shared: &Shared,
    now: Timestamp,
) {
    for index in 0..subscriptions.len() {
        if let Some(change) = change_to(snapshot, subscriptions, index, now) {
            give_turn(snapshot, subscriptions, &change, shared);
        }
    }
    for index in 0..subscriptions.len() {
        if subscriptions[index].name.is_leaving() && subscriptions[index].turn.is_none() {
            end_with_its_subscription(snapshot, subscriptions, index, now);
        }
    }
    let is_late = |pair: &(usize, usize)| pair.1 > pair.0;
    // Each move brings one pair into order for good; a bound all the same, since a pass has to end.
    for _ in 0..subscriptions.len().pow(2) {
        let found = pairs(subscriptions).find(is_late);
        let Some((new, old)) = found else { break };
        // The one that serves keeps its precedence, and the one that comes waits behind it.
        subscriptions[new..=old].rotate_left(1);
    }
}

/// Ends those that serve on, and that a third one precedes: they are withdrawn as at any end.
pub(in crate::delivery) fn end_those_without_precedence(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
    now: Timestamp,
) {
    let gives_way = |entry: &&mut ResolvedSubscription| {
        entry.serves_on() && entry.refused.as_ref().is_some_and(is_preempted)
    };
    for entry in subscriptions.iter_mut().filter(gives_way) {
        let object = snapshot.subscription(&entry.name);
        let status = object.and_then(|object| object.status.as_ref());
        let ended = status.and_then(|status| status.ended);
        entry.intent = Intent::Withdraw {
            since: ended.unwrap_or(now),
            deleting: false,
        };
        (entry.turn, entry.refused) = (None, None);
    }
}

/// Returns the places of those that come and of those that serve until then.
fn pairs(subscriptions: &[ResolvedSubscription]) -> impl Iterator<Item = (usize, usize)> {
    let at = |name: &SubscriptionName| subscriptions.iter().position(|it| it.name == *name);
    subscriptions
        .iter()
        .enumerate()
        .filter_map(move |(new, entry)| match &entry.turn {
            Some(Turn::Comes { from, .. }) => Some((new, at(from)?)),
            _ => None,
        })
}

fn give_turn(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
    change: &Change,
    shared: &Shared,
) {
    let (old, new) = (change.old, change.new);
    let to = subscriptions[new].name.clone();
    let moved = change.moved;
    if moved {
        let deleting = matches!(
            subscriptions[old].intent,
            Intent::Withdraw { deleting: true, .. }
        );
        subscriptions[old].intent = Intent::Withdraw {
            since: change.withdrawn_from,
            deleting,
        };
    } else {
        let from = subscriptions[old].name.clone();
        if let Some(object) = snapshot.subscription(&from) {
            // A device that refuses the service refuses that of either provider.
            let missing = subscriptions[new].missing_legs.iter();
            let missing = missing.filter(|leg| leg.reason == Reason::DisabledLocally);
            let missing: Vec<MissingLeg> = missing.cloned().collect();
            subscriptions[old] = serving_on(snapshot, object, (shared, &missing));
        }
        subscriptions[old].claim_group(&change.group);
        subscriptions[new].turn = Some(Turn::Comes {
            from,
            group: change.group.clone(),
        });
    }
    subscriptions[old].turn = Some(Turn::Leaves { to, moved });
}

/// Returns the change in which a subscription takes the place of another one.
fn change_to(
    snapshot: &DeviceSnapshot,
    subscriptions: &[ResolvedSubscription],
    new: usize,
    now: Timestamp,
) -> Option<Change> {
    let entry = &subscriptions[new];
    let object = snapshot.subscription(&entry.name)?;
    if entry.intent != Intent::SetUp || entry.name.is_leaving() {
        return None;
    }
    match leaving(object) {
        Some(_) => of_one(snapshot, subscriptions, (new, object), now),
        None => of_two(snapshot, subscriptions, (new, object), now),
    }
}

/// Returns the change of a subscription that leaves an instance of its own.
fn of_one(
    snapshot: &DeviceSnapshot,
    subscriptions: &[ResolvedSubscription],
    (new, object): (usize, &ServiceSubscription),
    now: Timestamp,
) -> Option<Change> {
    let left = leaving(object)?;
    let entry = &subscriptions[new];
    let key = entry.name.leaving();
    let old = subscriptions.iter().position(|it| it.name == key)?;
    if entry.group().is_some_and(|group| group != left.group)
        || matches!(subscriptions[old].intent, Intent::Detach)
    {
        return None;
    }
    Some(Change {
        old,
        new,
        group: left.group.clone(),
        moved: has_moved(snapshot, &entry.name, left),
        withdrawn_from: left.ended.unwrap_or(now),
    })
}

/// True if the other instance of a subscription took the place of the one that it leaves.
pub(in crate::delivery) fn has_moved(
    snapshot: &DeviceSnapshot,
    name: &SubscriptionName,
    left: &LeavingInstance,
) -> bool {
    let hold = hold(snapshot, &left.group);
    let is_other = |hold: &ExclusiveHold| **name == *hold.holder && hold.since >= left.since;
    left.ended.is_some() || hold.is_some_and(is_other)
}

/// Returns the change of a subscription that begins when another one of its group ends.
fn of_two(
    snapshot: &DeviceSnapshot,
    subscriptions: &[ResolvedSubscription],
    (new, object): (usize, &ServiceSubscription),
    now: Timestamp,
) -> Option<Change> {
    let group = subscriptions[new].group()?;
    let hold = hold(snapshot, group);
    let moved = hold.is_some_and(|hold| *subscriptions[new].name == *hold.holder);
    let begins = |at: Timestamp| object.spec.revisions.iter().any(|it| it.effective == at);
    let mut others = subscriptions.iter().enumerate();
    others.find_map(|(old, entry)| {
        let other = snapshot.subscription(&entry.name)?;
        let ended = ended_and_stands(snapshot, entry, other, now)?;
        let is_next = old != new && entry.group() == Some(group) && begins(ended);
        let is_left = moved || serves(&entry.name, other, hold);
        (is_next && is_left).then(|| Change {
            old,
            new,
            group: group.to_owned(),
            moved,
            withdrawn_from: hold.map_or(ended, |hold| hold.since.max(ended)),
        })
    })
}

/// Returns the end of a subscription that has ended with an instance of its own, which nothing is to be
/// done with but to remove it. Its contract may have deleted it since its entry is no more.
fn ended_and_stands(
    snapshot: &DeviceSnapshot,
    entry: &ResolvedSubscription,
    object: &ServiceSubscription,
    now: Timestamp,
) -> Option<Timestamp> {
    let is_ended = match entry.intent {
        Intent::Withdraw { deleting, .. } => {
            !deleting || snapshot.live_contracts.contains(&object.spec.contract.uid)
        }
        _ => false,
    };
    let is_its_own = entry.handed_to.is_none() && !entry.name.is_leaving();
    if !is_ended || !is_its_own || !has_instance(object) {
        return None;
    }
    let last = entry.revision.as_ref()?.effective;
    let mut revisions = object.spec.revisions.iter();
    let last = revisions.find(|revision| revision.effective == last)?;
    end_of(object, last).filter(|end| *end <= now)
}

/// True if a subscription acted for its group until now: it has not begun to be withdrawn, and is the
/// holder. One that is suspended stays the holder; one that another contract precedes does not.
fn serves(
    name: &SubscriptionName,
    object: &ServiceSubscription,
    hold: Option<&ExclusiveHold>,
) -> bool {
    let status = object.status.as_ref();
    let is_held = |unattended: bool| match hold {
        Some(hold) => *hold.holder == **name,
        None => !unattended && was_activated(object),
    };
    status.is_some_and(|status| status.ended.is_none() && is_held(status.unattended))
}

/// True if the service of a subscription was proved to be on, as its status has it.
fn was_activated(object: &ServiceSubscription) -> bool {
    let status = object.status.as_ref();
    if let Some(activation) = status.and_then(|status| status.activation.as_ref()) {
        return activation.state == ActivationState::Active;
    }
    let items = status.iter().flat_map(|status| &status.items);
    let mut activation = items.filter(|item| item.key.kind() == Some(ItemKind::Activation));
    activation.any(|item| item.state == ItemState::Effective)
}

/// True if the instance of a subscription acts for its group, so that it serves on when it is set
/// aside. One that was never on is removed at once.
pub(in crate::delivery) fn acts(
    snapshot: &DeviceSnapshot,
    object: &ServiceSubscription,
    group: &str,
) -> bool {
    let hold = hold(snapshot, group);
    hold.is_some_and(|hold| *hold.holder == *object.name_any()) || was_activated(object)
}

/// Lets an instance whose subscription does not take its place share the fate of that.
fn end_with_its_subscription(
    snapshot: &DeviceSnapshot,
    subscriptions: &mut [ResolvedSubscription],
    index: usize,
    now: Timestamp,
) {
    let name = subscriptions[index].name.object();
    let ended = snapshot
        .subscription(&name)
        .and_then(|object| leaving(object)?.ended);
    let of = subscriptions.iter().find(|it| it.name == name);
    subscriptions[index].intent = match of.map(|of| &of.intent) {
        Some(Intent::Suspended) if ended.is_none() => Intent::Suspended,
        Some(Intent::Detach) => Intent::Detach,
        Some(Intent::Withdraw { since, deleting }) => Intent::Withdraw {
            since: ended.unwrap_or(*since),
            deleting: *deleting,
        },
        _ => Intent::Withdraw {
            since: ended.unwrap_or(now),
            deleting: false,
        },
    };
}

/// Returns the holder of an exclusive group.
pub(in crate::delivery) fn hold<'a>(
    snapshot: &'a DeviceSnapshot,
    group: &str,
) -> Option<&'a ExclusiveHold> {
    let status = snapshot.device.as_ref()?.status.as_ref()?;
    status.exclusive.iter().find(|hold| hold.group == group)
}

/// Returns the instant at which an instance is set aside: later than any switch so far, whatever the
/// clock says.
pub(in crate::delivery) fn set_aside_at(
    snapshot: &DeviceSnapshot,
    group: &str,
    now: Timestamp,
) -> Timestamp {
    let hold = hold(snapshot, group);
    let after = hold.and_then(|hold| hold.since.checked_add(SignedDuration::from_millis(1)).ok());
    after.map_or(now, |after| after.max(now))
}
