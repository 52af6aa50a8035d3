//! Report: the subscription that acts for each exclusive group of the device (C11).
//!
//! Decides the first holder of a group, once it is activated, and that of one whose holder has gone;
//! both are written with the status of the device as ever. A change of provider has a write of its own,
//! which is decided here and nowhere else. Those that acted before are kept with the dates of each, so that
//! what occurred in their time finds them. Called by the report of the device and by the pass.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceStatus, ExclusiveHold, FormerHold},
};
use jiff::{SignedDuration, Timestamp};

use crate::condition::{ConditionSet, Summary, Work};
use crate::delivery::{
    DeviceSnapshot, Intent, ResolvedDevice, ResolvedSubscription, Turn, Verified,
    leaving::leaving,
    plan::{is_preempted, turns::is_activated},
    resolve::turns::{has_moved, hold},
    schedule::revision::wanted_revision,
};
use crate::gateway::services::ended_at;
use crate::names::SubscriptionName;

/// The most groups that a status has (its schema).
const MOST_GROUPS: usize = 64;
/// Time from the write of a switch until it counts: by then each gateway knows of it, so that an event
/// belongs to one provider however often it is sent.
const UNTIL_KNOWN: SignedDuration = SignedDuration::from_secs(10);
/// The most former holders of a group (its schema).
const MOST_BEFORE: usize = 4;

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
    let known = known_from(now);
    let since = left.map_or(known, |left| left.since.max(known));
    let before = found.map(|found| before(found, service_before(snapshot, found, to), since));
    let service = snapshot.subscription(to);
    let service = service.and_then(|object| wanted_revision(object, now));
    status.exclusive.retain(|hold| hold.group != group);
    status.exclusive.truncate(MOST_GROUPS - 1);
    status.exclusive.push(ExclusiveHold {
        group: group.to_owned(),
        holder: to.to_string(),
        service: service.map(|revision| revision.service_ref.name.clone()),
        since,
        before: before.unwrap_or_default(),
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

/// Returns the instant from which on a change that is written now counts.
fn known_from(now: Timestamp) -> Timestamp {
    now.checked_add(UNTIL_KNOWN).unwrap_or(now)
}

/// Returns those that acted before another one does, the last one first.
fn before(last: &ExclusiveHold, service: Option<String>, until: Timestamp) -> Vec<FormerHold> {
    let earlier = last.before.iter().cloned();
    let last = service.map(|service| FormerHold {
        holder: last.holder.clone(),
        service,
        since: last.since,
        until,
    });
    let all = last.into_iter().chain(earlier);
    all.take(MOST_BEFORE).collect()
}

/// Returns the SmartService with which a holder acts until another one takes its place. An entry of an
/// operator before this one does not name it.
fn service_before(
    snapshot: &DeviceSnapshot,
    hold: &ExclusiveHold,
    to: &SubscriptionName,
) -> Option<String> {
    if hold.service.is_some() {
        return hold.service.clone();
    }
    let object = snapshot.subscription(&hold.holder.as_str().into())?;
    let left = leaving(object).filter(|_| **to == *hold.holder);
    let of_left = left.and_then(|left| {
        let mut revisions = object.spec.revisions.iter();
        revisions.find(|it| it.effective == left.effective)
    });
    let last = || wanted_revision(object, Timestamp::MAX);
    let revision = of_left.map(AsRef::as_ref).or_else(last)?;
    Some(revision.service_ref.name.clone())
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
        let is_on = |name: &SubscriptionName| verified.get(name).is_some_and(is_activated);
        let stays = stays.map(|hold| stay(hold, acting(resolved, hold), is_on, now));
        stays
            .or_else(|| {
                let mut all = resolved.subscriptions.iter();
                let first = all.find(|it| {
                    let is_of_group = it.group() == Some(group) && may_hold(it, group);
                    is_of_group && it.intent == Intent::SetUp && is_on(&it.name)
                })?;
                Some(next(snapshot, (first, known), group, now))
            })
            .or_else(|| {
                // Until the next one is on, what occurred in the time of the last one is its own.
                let mut all = resolved.subscriptions.iter();
                let is_awaited = all.any(|it| it.group() == Some(group) && it.wants_set_up());
                known.filter(|_| is_awaited).cloned()
            })
    });
    holders.take(MOST_GROUPS).collect()
}

/// Returns the entry of the first one that is on, if nobody acts, or no more.
fn next(
    snapshot: &DeviceSnapshot,
    (first, known): (&ResolvedSubscription, Option<&ExclusiveHold>),
    group: &str,
    now: Timestamp,
) -> ExclusiveHold {
    // From its end on each gateway knows that the last one acts no more; another one has to be told.
    let ended = known.and_then(|known| {
        let object = snapshot.subscription(&known.holder.as_str().into())?;
        Some(ended_at(object, now)?.max(known.since))
    });
    let from = match known {
        Some(_) => ended.unwrap_or_else(|| known_from(now)),
        None => now,
    };
    let hold = begun(snapshot, first, group, from);
    let former = known.map(|known| before(known, known.service.clone(), hold.since));
    ExclusiveHold {
        before: former.unwrap_or_default(),
        ..hold
    }
}

/// Returns the entry of a holder that stays. One that acts with another service since its instance was
/// changed, and not replaced, begins anew.
fn stay(
    hold: &ExclusiveHold,
    acting: Option<String>,
    is_on: impl Fn(&SubscriptionName) -> bool,
    now: Timestamp,
) -> ExclusiveHold {
    let changed = acting.as_ref().filter(|acting| {
        let known = hold.service.as_ref();
        known.is_some_and(|known| known != *acting) && is_on(&hold.holder.as_str().into())
    });
    match changed {
        Some(service) => ExclusiveHold {
            service: Some(service.clone()),
            since: known_from(now),
            before: before(hold, hold.service.clone(), known_from(now)),
            ..hold.clone()
        },
        None => ExclusiveHold {
            service: hold.service.clone().or(acting),
            ..hold.clone()
        },
    }
}

/// Returns the SmartService with which a holder acts: until the switch that of the instance which it
/// leaves.
fn acting(resolved: &ResolvedDevice, hold: &ExclusiveHold) -> Option<String> {
    let holder = resolved.subscription(&hold.holder.as_str().into())?;
    let acts = match &holder.turn {
        Some(Turn::Comes { from, .. }) => resolved.subscription(from)?,
        _ if holder.exchange.is_some() => return None,
        _ => holder,
    };
    acts.service().map(str::to_owned)
}

/// True if a subscription acts for a group, or does so as soon as what it refers to is at hand.
fn may_hold(subscription: &ResolvedSubscription, group: &str) -> bool {
    let is_preempted = subscription.refused.as_ref().is_some_and(is_preempted);
    // Of a service that cannot be read nobody can say that it is of another group.
    let may_be = match subscription.group() {
        Some(of) => of == group,
        None => subscription.revision.is_none(),
    };
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
    from: Timestamp,
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
        service: subscription.service().map(str::to_owned),
        since: before.unwrap_or(from),
        before: Vec::new(),
    }
}
