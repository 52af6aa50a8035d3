//! The invariants of a plan, written once and run on every plan that any test makes.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    FINALIZER_IN_USE,
    bounded::Text,
    condition::{ConditionType, Reason},
    item_key::ItemKey,
    v1alpha1::{DriftPolicy, Item, ItemState, MaintenanceWindow, StepType},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use entente_domain::condition::find;
use entente_domain::delivery::{
    Action, CarriedItem, DeviceSnapshot, InstallationOrder, Intent, Plan, ResolvedDevice,
    ResolvedSubscription, ServedItem, Verified, Wanted, instance_id,
};
use entente_domain::names::{ConnectionName, SubscriptionName};
use entente_domain::{protocol::Place, remote::DeviceReadRequest};

/// Returns the fault of an installation that begins while the windows of the device are closed, or while
/// the device is at another one that it was told of. One whose version the device reports is over but for
/// its last word, which may never come: the gateway has it ended before it offers the next one.
fn installed_at_the_wrong_time(
    snapshot: &DeviceSnapshot,
    action: &Action,
    now: Timestamp,
) -> Option<String> {
    let Action::WriteTwin {
        installation: Some(InstallationOrder::Install(asked)),
        ..
    } = action
    else {
        return None;
    };
    let told = snapshot.twin.as_ref().and_then(|twin| {
        let status = twin.status.as_ref()?;
        let (told, wanted) = (status.deployment.as_ref()?, twin.spec.deployment.as_ref()?);
        let is_of_it = wanted.action == told.action && !told.state.is_over();
        let mut software = status.reported.iter().flat_map(|it| &it.software);
        let is_there = software.any(|it| {
            wanted.part == Some(it.part)
                && wanted.name.as_deref() == Some(&*it.name)
                && wanted.version.as_deref() == Some(&*it.version)
        });
        (is_of_it && !is_there).then_some(told)
    });
    if let Some(told) = told {
        return Some(format!("{asked:?} is asked for during {told:?}"));
    }
    let device = snapshot.device.as_ref()?;
    let windows = &device.spec.maintenance_windows;
    let zone = device.spec.time_zone.as_deref().unwrap_or("UTC");
    let zone = entente_domain::time::zone(zone).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    // By the calendar of each window alone, day by day.
    let is_open = |window: &MaintenanceWindow| {
        (0..8).any(|ago| {
            let date = today.saturating_sub(jiff::Span::new().days(ago));
            let day = format!("{:?}", date.weekday());
            let mut days = window.days.iter();
            let on = window.days.is_empty() || days.any(|it| day.starts_with(&format!("{it:?}")));
            let time: Option<jiff::civil::Time> = window.start.parse().ok();
            let opens = time.and_then(|time| date.to_datetime(time).to_zoned(zone.clone()).ok());
            let lasts = window.duration.length().unwrap_or_default();
            on && opens.is_some_and(|opens| {
                let opens = opens.timestamp();
                opens <= now && now < opens + lasts
            })
        })
    };
    let is_free = windows.is_empty() || windows.iter().any(is_open);
    (!is_free).then(|| format!("{asked:?} is asked for at {now}, outside of every window"))
}

/// Returns the faults of a plan; empty if it has none.
pub(crate) fn lint(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<SubscriptionName, Verified>,
    plan: &Plan,
    now: Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    for action in &plan.actions {
        for served in on_behalf_of(resolved, action) {
            let entry = resolved
                .subscriptions
                .iter()
                .find(|it| it.name == served.subscription);
            match entry {
                Some(entry) => faults.extend(faults_of(action, entry, &served, verified, now)),
                None => faults.push(format!("{} is not one of this device", served.subscription)),
            }
        }
        if let Action::Provision { subscription, .. } = action {
            faults.extend(unprotected(snapshot, resolved, subscription));
        }
        if let Action::Deprovision {
            subscription,
            instance,
            ..
        } = action
        {
            let entry = resolved.subscription(subscription);
            let id = &instance.instance_id;
            faults.extend(entry.and_then(|entry| taken_from(snapshot, resolved, entry, id, now)));
            faults.extend(entry.and_then(|entry| removed_too_early(snapshot, resolved, entry)));
        }
        let writes = matches!(
            action,
            Action::WriteDevice { .. } | Action::WriteTwin { .. }
        );
        if writes && !snapshot.claimed_by_another.is_empty() {
            faults.push("a device that belongs to another is written".to_owned());
        }
        faults.extend(installed_at_the_wrong_time(snapshot, action, now));
        faults.extend(written_check(resolved, action));
        faults.extend(put_back(snapshot, resolved, action));
        faults.extend(overwritten(snapshot, resolved, action, now));
        if let Action::ReadDevice {
            connection,
            request,
        } = action
        {
            let mut wanted = places_wanted(resolved, verified, connection, now);
            let returned = places_to_put_back(snapshot, resolved);
            wanted.extend(&returned);
            faults.extend(asked_for_nobody(&wanted, request));
        }
    }
    faults.extend(two_activated(resolved, plan));
    faults
}

/// Returns the fault of a write for nobody but services that had the value in effect, where driftPolicy is
/// Report: somebody has changed it since. By the statuses and the dates alone.
fn overwritten(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    action: &Action,
    now: Timestamp,
) -> Option<String> {
    let policy = snapshot.device.as_ref()?.spec.drift_policy;
    if policy != Some(DriftPolicy::Report) {
        return None;
    }
    let writes: Vec<&[ServedItem]> = match action {
        Action::WriteDevice { items, .. } => vec![items],
        Action::WriteTwin { writes, .. } => writes.iter().map(|(_, items)| &items[..]).collect(),
        _ => return None,
    };
    let had_it = |served: &ServedItem| {
        let object = snapshot.subscription(&served.subscription)?;
        let status = object.status.as_ref()?;
        let entry = resolved.subscription(&served.subscription)?;
        let (_, wanted) = entry.items().find(|(_, it)| it.key == served.item.key)?;
        let machine = status.evidence.as_ref()?.machine_digest;
        let mut begun = object.spec.revisions.iter();
        let is_open = begun.any(|revision| {
            let mut judged = status.promises.iter();
            let is_closed =
                judged.any(|it| it.effective == revision.effective && it.closed.is_some());
            revision.promised && revision.effective <= now && !is_closed
        });
        let is_of_others = wanted.conflict.is_some() || wanted.overridden;
        let is_free = is_open || is_of_others || status.ended.is_some();
        let mut items = status.items.iter();
        let was_there = items.any(|item| {
            item.key == served.item.key
                && item.desired_digest == Some(served.item.digest)
                && item.released.is_none()
                && (item.state == ItemState::Effective || item.was_effective)
        });
        (was_there && !is_free && machine == resolved.machine_digest).then_some(())
    };
    let mut overwritten = writes.into_iter().filter(|items| !items.is_empty());
    let items = overwritten.find(|items| items.iter().all(|it| had_it(it).is_some()))?;
    Some(format!("{items:?} are written over what somebody has set"))
}

/// Returns the fault of a plan that activates two subscriptions of one exclusive group.
fn two_activated(resolved: &ResolvedDevice, plan: &Plan) -> Option<String> {
    let mut activated: BTreeMap<&str, SubscriptionName> = BTreeMap::new();
    let served = plan
        .actions
        .iter()
        .flat_map(|it| on_behalf_of(resolved, it));
    for served in served.filter(|served| served.step == Some(StepType::Activation)) {
        let entry = resolved.subscription(&served.subscription)?;
        // One that is withdrawn is turned off by the same item.
        if matches!(entry.intent, Intent::Withdraw { .. }) || entry.refused.is_some() {
            continue;
        }
        let Some(group) = entry.group() else { continue };
        let other = activated.insert(group, served.subscription.clone());
        if let Some(other) = other.filter(|other| *other != served.subscription) {
            let name = &served.subscription;
            return Some(format!(
                "{other} and {name} of the group {group} are activated at once"
            ));
        }
    }
    None
}

/// Returns the fault of a removal of the instance that serves a group, while another one that is to
/// take its place is not the holder yet.
fn removed_too_early(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    entry: &ResolvedSubscription,
) -> Option<String> {
    let is_preempted = entry.refused.is_some();
    let deleting = matches!(entry.intent, Intent::Withdraw { deleting: true, .. });
    let group = entry.group().filter(|_| !is_preempted && !deleting)?;
    let status = snapshot.device.as_ref()?.status.as_ref()?;
    let hold = status.exclusive.iter().find(|hold| hold.group == group)?;
    let object = snapshot.subscription(&entry.name)?;
    // A removal that has begun goes on, also if the one that was to come ended before, and is extended now.
    let status = object.status.as_ref();
    let ready = status.and_then(|it| find(&it.conditions, ConditionType::Ready));
    if ready.is_some_and(|it| it.reason == Reason::Withdrawing.as_str()) {
        return None;
    }
    let comes = |other: &&ResolvedSubscription| {
        let is_ready = other.intent == Intent::SetUp && other.refused.is_none();
        let is_object = other.name != entry.name && !other.name.is_leaving();
        let is_of_group = is_object && other.group() == Some(group);
        is_ready && is_of_group
    };
    let mut others = resolved.subscriptions.iter().filter(comes);
    let other = others.find(|other| {
        if entry.name.is_leaving() {
            return other.name == entry.name.object();
        }
        let other = snapshot.subscription(&other.name);
        let mut begins = other.into_iter().flat_map(|it| &it.spec.revisions);
        let mut ends = object.spec.revisions.iter().filter_map(|it| it.until);
        ends.any(|end| begins.any(|it| it.effective == end))
    })?;
    let left = snapshot
        .subscription(&other.name)?
        .status
        .as_ref()?
        .leaving
        .as_ref();
    let serves = match left.filter(|_| entry.name.is_leaving()) {
        Some(left) => left.ended.is_none() && hold.since < left.since,
        None => *hold.holder == *entry.name,
    };
    serves.then(|| {
        format!(
            "{} is removed before {} is the holder",
            entry.name, other.name
        )
    })
}

/// Returns the fault of a provision through a Connection that could be deleted unnoticed.
fn unprotected(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    subscription: &SubscriptionName,
) -> Option<String> {
    let server = resolved.subscription(subscription)?.server.as_ref()?;
    let connection = snapshot.connections.get(&server.connection)?;
    let finalizers = connection.metadata.finalizers.iter().flatten();
    let is_held = finalizers.into_iter().any(|it| it == FINALIZER_IN_USE);
    (!is_held).then(|| format!("{} may be deleted while it is used", server.connection))
}

/// Returns the fault of a removal of an instance that another live subscription wants: one in force,
/// or one that is about to begin. What one that goes on makes anew under its own id is its own matter.
fn taken_from(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    entry: &ResolvedSubscription,
    id: &str,
    now: Timestamp,
) -> Option<String> {
    if entry.wants_set_up() && entry.refused.is_none() {
        return None;
    }
    let mut others = snapshot.subscriptions.iter();
    let other = others.find(|other| {
        let name = other.name_any();
        let wants = match resolved
            .subscription(&name.clone().into())
            .map(|it| &it.intent)
        {
            Some(Intent::SetUp | Intent::Suspended) => true,
            Some(Intent::Scheduled { effective, .. }) => {
                let lead = other.spec.lead_time.length().unwrap_or_default();
                *effective - lead <= now
            }
            _ => false,
        };
        let is_live = other.metadata.deletion_timestamp.is_none();
        // The instance that a subscription leaves is another one: on another broker, or of another id.
        let is_other = *SubscriptionName::from(&name).object() != *entry.name.object();
        is_other && is_live && wants && instance_id(&snapshot.namespace, other) == *id
    })?;
    let (name, by) = (other.name_any(), &entry.name);
    Some(format!(
        "{by} removes the instance {id}, which {name} wants"
    ))
}

/// Returns the fault of a fetch, a poll or a removal that names another plan than the instance has
/// (OSB: two MUSTs). `acknowledged` is the plan that the broker last told of an instance, and whether
/// it is moving the instance to another one: a fetch may name none then, since nobody knows it.
pub(crate) fn plan_of<'a>(
    action: &Action,
    acknowledged: impl Fn(&str) -> Option<(&'a str, bool)>,
) -> Option<String> {
    let (Action::ReadInstance { instance, .. }
    | Action::PollOperation { instance, .. }
    | Action::Deprovision { instance, .. }) = action
    else {
        return None;
    };
    let (plan, is_moving) = acknowledged(&instance.instance_id)?;
    let is_fetch = matches!(action, Action::ReadInstance { .. });
    let names_none = is_moving && is_fetch && instance.plan_id.is_empty();
    (plan != instance.plan_id && !names_none).then(|| {
        let asked = &instance.plan_id;
        format!("the instance has the plan {plan} and is asked for with {asked}")
    })
}

/// Returns the faults of an action's effect on one subscription.
fn faults_of(
    action: &Action,
    entry: &ResolvedSubscription,
    served: &Served,
    verified: &BTreeMap<SubscriptionName, Verified>,
    now: Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    let Served {
        subscription,
        step,
        item,
    } = served;
    // A service that is being withdrawn may only be turned off, and that in one attribute of ours.
    let makes = matches!(
        action,
        Action::WriteDevice { .. } | Action::WriteTwin { .. } | Action::Provision { .. }
    );
    let puts_back = matches!(entry.intent, Intent::Withdraw { .. })
        && matches!(
            action,
            Action::WriteDevice { .. } | Action::WriteTwin { .. }
        );
    if makes && !puts_back && (entry.refused.is_some() || !entry.wants_set_up()) {
        let intent = &entry.intent;
        faults.push(format!("{subscription} is not to be set up: {intent:?}"));
    }
    let begun = entry.steps.iter().find(|it| Some(it.r#type) == *step);
    let scheduled = matches!(entry.intent, Intent::Scheduled { .. });
    if scheduled && !begun.is_some_and(|step| entry.may_ask(step, now)) {
        faults.push(format!(
            "{subscription}: a request leaves before its instant"
        ));
    }
    let Some(proved) = verified.get(subscription) else {
        return faults;
    };
    if !entry.wants_set_up() || entry.refused.is_some() {
        return faults;
    }
    let state = proved.item(item).map(|item| item.state);
    if state == Some(ItemState::Effective) && !matches!(action, Action::Provision { .. }) {
        faults.push(format!("{subscription}: {item} is sent although it is set"));
    }
    if proved.item(item).is_some_and(|item| item.drifts) {
        faults.push(format!(
            "{subscription}: {item} is sent although it is left"
        ));
    }
    if let Some(step) = step {
        let earlier = entry.steps.iter().take_while(|it| it.r#type != *step);
        for before in earlier.map(|it| it.r#type) {
            let waits = |key: &ItemKey| entry.comes() && entry.keeps_for_the_switch(key);
            if proved
                .of_step(before)
                .any(|it| !it.is_done() && !waits(&it.key))
            {
                faults.push(format!(
                    "{subscription}: {step:?} starts before {before:?} is done"
                ));
            }
        }
    }
    faults
}

/// Returns the faults of a reading that asks for places that are not needed yet, or not through
/// this connection: a probe asks for the identity alone.
fn asked_for_nobody(wanted: &BTreeSet<&Place>, request: &DeviceReadRequest) -> Vec<String> {
    // The twin of a device that calls is in memory, and has all that the device reported.
    if request.identity == Place::Registration {
        return Vec::new();
    }
    let places = request.places.iter();
    places
        .filter(|place| !wanted.contains(place))
        .map(|place| format!("{place} is asked for although nobody wants it there yet"))
        .collect()
}

/// Returns the places that may be read through a connection now: a check only once all else of its
/// subscription is in effect.
fn places_wanted<'a>(
    resolved: &'a ResolvedDevice,
    verified: &BTreeMap<SubscriptionName, Verified>,
    connection: &ConnectionName,
    now: Timestamp,
) -> BTreeSet<&'a Place> {
    let is_set_up = |entry: &ResolvedSubscription| {
        let proofs = verified.get(&entry.name).map(|proved| &proved.items);
        let mut others = proofs.into_iter().flatten();
        others.all(|it| it.step == StepType::Acceptance || it.is_done())
    };
    let subscriptions = resolved.subscriptions.iter();
    let asked = subscriptions.flat_map(|entry| {
        let items = entry.items();
        let asked = items.filter(|(step, _)| entry.may_ask(step, now));
        asked.map(move |(_, item)| (entry, item))
    });
    asked
        .filter_map(|(entry, item)| match &item.wanted {
            Wanted::DeviceSetting {
                connection: through,
                place,
                ..
            } if through == connection => Some(place),
            Wanted::Acceptance {
                connection: through,
                place,
                ..
            } if through == connection && is_set_up(entry) => Some(place),
            _ => None,
        })
        .collect()
}

/// Returns the items of subscriptions that end of which a value from before is kept.
fn kept<'a>(
    snapshot: &'a DeviceSnapshot,
    resolved: &'a ResolvedDevice,
) -> impl Iterator<Item = (&'a ResolvedSubscription, &'a Item)> {
    let ended = resolved.subscriptions.iter();
    let ended = ended.filter(|it| matches!(it.intent, Intent::Withdraw { .. }));
    ended.flat_map(|entry| {
        let object = snapshot.subscription(&entry.name);
        let items = object.and_then(|it| it.status.as_ref()).map(|it| &it.items);
        let items = items.into_iter().flatten();
        let kept = items.filter(|it| it.previous.as_ref().is_some_and(|it| !it.values.is_empty()));
        kept.map(move |item| (entry, item))
    })
}

/// Returns the place of a setting on the printer, by the model.
fn place_of(snapshot: &DeviceSnapshot, key: &ItemKey) -> Option<Place> {
    let (_, name) = key.as_str().split_once('/')?;
    let mut settings = snapshot.model.as_ref()?.spec.settings.iter();
    let ipp = settings.find(|it| it.name == name)?.via.ipp.as_ref()?;
    Some(Place::ipp(ipp.operation, &ipp.attribute))
}

/// Returns the places that may be read so that a value from before is put back there.
fn places_to_put_back(snapshot: &DeviceSnapshot, resolved: &ResolvedDevice) -> BTreeSet<Place> {
    let kept = kept(snapshot, resolved);
    kept.filter_map(|(_, item)| place_of(snapshot, &item.key))
        .collect()
}

/// Returns the fault of a write for a service that has ended: anything but the value from before, or
/// one at a place that a live service wants.
fn put_back(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    action: &Action,
) -> Option<String> {
    let Action::WriteDevice { write, items, .. } = action else {
        return None;
    };
    let served = items.first()?;
    let entry = resolved.subscription(&served.subscription)?;
    if !matches!(entry.intent, Intent::Withdraw { .. }) {
        return None;
    }
    let mut kept = kept(snapshot, resolved);
    let item = kept.find(|(of, item)| of.name == entry.name && item.key == served.item.key);
    let values = item.and_then(|(_, item)| Some(&item.previous.as_ref()?.values));
    let values: Vec<&str> = values.into_iter().flatten().map(Text::as_str).collect();
    let written = entente_domain::parameter::canonical(&write.value);
    if values.join(",") != written {
        return Some(format!("{}: {written} was not there before", entry.name));
    }
    let live = resolved.subscriptions.iter();
    let mut live = live.filter(|it| it.intent == Intent::SetUp && it.refused.is_none());
    let other = live.find(|other| {
        let mut items = other.items();
        items.any(|(_, item)| {
            matches!(&item.wanted, Wanted::DeviceSetting { place, .. } if *place == write.place)
        })
    })?;
    Some(format!(
        "{} wants {}, which is put back",
        other.name, write.place
    ))
}

/// Returns the fault of a request that writes a check: it would prove what was written.
fn written_check(resolved: &ResolvedDevice, action: &Action) -> Option<String> {
    let served = on_behalf_of(resolved, action).into_iter();
    let mut checks = served.filter(|served| served.step == Some(StepType::Acceptance));
    let check = checks.next()?;
    Some(format!("{}: {} is written", check.subscription, check.item))
}

/// Subscription, step and item that an action serves.
struct Served {
    subscription: SubscriptionName,
    step: Option<StepType>,
    item: ItemKey,
}

/// Returns the subscriptions, steps and items that an action serves. Probes serve none.
fn on_behalf_of(resolved: &ResolvedDevice, action: &Action) -> Vec<Served> {
    let step_of = |subscription: &SubscriptionName, item: &ItemKey| {
        resolved
            .subscriptions
            .iter()
            .find(|entry| entry.name == *subscription)
            .and_then(|entry| entry.items().find(|(_, found)| found.key == *item))
            .map(|(step, _)| step.r#type)
    };
    let serves = |subscription: &SubscriptionName, item: &CarriedItem| Served {
        subscription: subscription.clone(),
        step: step_of(subscription, &item.key),
        item: item.key.clone(),
    };
    match action {
        Action::ReadDevice { .. }
        | Action::ReadStatus { .. }
        | Action::ShowMessages { .. }
        | Action::ReadCatalog { .. }
        | Action::RecordPrevious { .. }
        | Action::RecordInstance { .. }
        | Action::TakeOver { .. }
        | Action::Switch { .. }
        | Action::ReadInstance { .. }
        | Action::PollOperation { .. }
        | Action::Deprovision { .. } => Vec::new(),
        Action::WriteDevice { items, .. } => items
            .iter()
            .map(|served| serves(&served.subscription, &served.item))
            .collect(),
        Action::WriteTwin {
            writes,
            installation,
            ..
        } => writes
            .iter()
            .flat_map(|(_, items)| items)
            .chain(installation.iter().flat_map(InstallationOrder::items))
            .map(|served| serves(&served.subscription, &served.item))
            .collect(),
        Action::Provision {
            subscription,
            items,
            ..
        }
        | Action::Update {
            subscription,
            items,
            ..
        } => items
            .iter()
            .map(|item| serves(subscription, item))
            .collect(),
    }
}
