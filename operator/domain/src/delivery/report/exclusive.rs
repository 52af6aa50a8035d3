//! Report: the subscription that acts for each exclusive group of the device (C11).
//!
//! Decides the first holder of a group, once it is activated, and that of one whose holder has gone;
//! both are written with the status of the device as ever. A change of provider has a write of its own, which is decided
//! here and nowhere else. Called by the report of the device and by the pass.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceStatus, ExclusiveHold},
};
use jiff::{SignedDuration, Timestamp};

use crate::condition::{ConditionSet, Summary, Work};
use crate::delivery::{
    DeviceSnapshot, Intent, ResolvedDevice, ResolvedSubscription, Turn, Verified,
    leaving::leaving,
    plan::{is_preempted, turns::is_activated},
    resolve::turns::{has_moved, hold},
};
use crate::names::SubscriptionName;

/// The most groups that a status has (its schema).
const MOST_GROUPS: usize = 64;

/// Returns the status of a device with another holder of a group; that of the object, if its holder is
/// not the one that was decided on.
pub(in crate::delivery) fn switch(
    snapshot: &DeviceSnapshot,
    object: &Device,
    (group, to): (&str, &SubscriptionName),
    now: Timestamp,
) -> DeviceStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let found = status.exclusive.iter().find(|hold| hold.group == group);
    if found != hold(snapshot, group) {
        return status;
    }
    let left = snapshot.subscription(to).and_then(leaving);
    let since = left.map_or(now, |left| left.since.max(now));
    status.exclusive.retain(|hold| hold.group != group);
    status.exclusive.truncate(MOST_GROUPS - 1);
    status.exclusive.push(ExclusiveHold {
        group: group.to_owned(),
        holder: to.to_string(),
        since,
    });
    status.exclusive.sort_by(|a, b| a.group.cmp(&b.group));
    if status.conditions.is_empty() {
        let set = ConditionSet::new(&[], object.metadata.generation, now);
        let message = "Work is under way.";
        let summary = Summary::open(Reason::Progressing, message, Work::Progressing);
        status.conditions = summary.state(set).finish();
    }
    status
}

/// Returns the holder of each group after a pass.
pub(super) fn holders(
    snapshot: &DeviceSnapshot,
    (resolved, verified): (&ResolvedDevice, &BTreeMap<SubscriptionName, Verified>),
    previous: &[ExclusiveHold],
    now: Timestamp,
) -> Vec<ExclusiveHold> {
    let known = previous.iter().map(|hold| hold.group.as_str());
    let wanted = resolved.subscriptions.iter().filter_map(|it| it.group());
    let groups: BTreeSet<&str> = known.chain(wanted).collect();
    let holders = groups.into_iter().filter_map(|group| {
        let known = previous.iter().find(|hold| hold.group == group);
        let stays = known.filter(|hold| {
            let holder = resolved.subscription(&hold.holder.as_str().into());
            holder.is_some_and(|holder| may_hold(holder, group))
        });
        stays.cloned().or_else(|| {
            let is_on = |name| verified.get(name).is_some_and(is_activated);
            let mut all = resolved.subscriptions.iter();
            let first = all.find(|it| {
                let is_of_group = it.group() == Some(group) && may_hold(it, group);
                is_of_group && it.intent == Intent::SetUp && is_on(&it.name)
            })?;
            Some(begun(snapshot, first, group, now))
        })
    });
    holders.take(MOST_GROUPS).collect()
}

/// True if a subscription acts for a group, or does so as soon as what it refers to is at hand.
fn may_hold(subscription: &ResolvedSubscription, group: &str) -> bool {
    let is_preempted = subscription.refused.as_ref().is_some_and(is_preempted);
    let may_be = subscription.group().is_none_or(|of| of == group);
    let comes_from_another = match &subscription.turn {
        Some(Turn::Comes { from, .. }) => !from.is_leaving(),
        _ => false,
    };
    matches!(subscription.intent, Intent::SetUp | Intent::Suspended)
        && may_be
        && !is_preempted
        && !comes_from_another
}

/// Returns the hold of a subscription that had none. One whose former instance serves has held the
/// group before that was set aside.
fn begun(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
    group: &str,
    now: Timestamp,
) -> ExclusiveHold {
    let holder = subscription.name.object();
    let left = snapshot.subscription(&holder).and_then(leaving);
    let serving = left.filter(|left| !has_moved(snapshot, &holder, left));
    let before = serving.and_then(|left| {
        let before = left.since.checked_sub(SignedDuration::from_millis(1));
        before.ok()
    });
    ExclusiveHold {
        group: group.to_owned(),
        holder: holder.to_string(),
        since: before.unwrap_or(now),
    }
}
