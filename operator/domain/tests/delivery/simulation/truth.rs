//! Compares every Delivered and every completion with the remote sides, behind the operator's back
//! (D1, D2, D3).

use std::collections::BTreeMap;

use entente_crds::{
    condition::ConditionType,
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, ServiceSubscription, ServiceSubscriptionStatus, StepType},
};
use entente_domain::{
    condition::is_true,
    delivery::{Action, Intent, ResolvedDevice, ResolvedItem, ResolvedSubscription, Wanted},
};

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{Caller, Simulation, printer::scalars};

/// Compares the status of a subscription with the remote sides.
pub(super) fn check(simulation: &Simulation, resolved: &ResolvedDevice, name: &str) {
    let status = simulation
        .subscription(name)
        .status
        .clone()
        .unwrap_or_default();
    let entry = resolved
        .subscriptions
        .iter()
        .find(|entry| *entry.name == *name);
    let entry = entry.expect("it is resolved");
    for (step, item) in entry.items() {
        let found = item.key.kind().map(ItemKind::step);
        assert_eq!(found, Some(step.r#type), "{}", item.key);
    }
    let delivered = is_true(&status.conditions, ConditionType::Delivered);
    if delivered && entry.intent == Intent::SetUp {
        // An item that is not wanted any more is listed while the end has a value to put back.
        let is_wanted = |item: &&Item| entry.items().any(|(_, wanted)| wanted.key == item.key);
        let wanted = || status.items.iter().filter(is_wanted);
        let all = entry.items().count() == wanted().count();
        assert!(all, "an item is missing\n{}", simulation.story());
        let is_kept = |item: &Item| {
            item.previous
                .as_ref()
                .is_some_and(|it| !it.values.is_empty())
        };
        let left = status.items.iter().filter(|item| !is_wanted(item));
        for item in left {
            assert!(is_kept(item), "{item:#?}\n{}", simulation.story());
        }
        for item in wanted() {
            assert_eq!(
                item.state,
                ItemState::Effective,
                "{}\n{}",
                item.key,
                simulation.story()
            );
        }
    }
    let entitled = matches!(entry.intent, Intent::SetUp) && simulation.alone;
    for (_, item) in entry.items().filter(|_| entitled && delivered) {
        assert!(
            is_there(simulation, entry, item),
            "{name} is said to be delivered and {} is not: {:?}\n{:#?}\n{}",
            item.key,
            item.wanted,
            simulation.printer.values,
            simulation.story()
        );
    }
}

fn is_there(simulation: &Simulation, entry: &ResolvedSubscription, item: &ResolvedItem) -> bool {
    let server = entry.server.as_ref();
    let instance = server.and_then(|server| {
        simulation.brokers[server.connection.as_str()]
            .instances
            .get(&server.instance_id)
    });
    match &item.wanted {
        Wanted::DeviceSetting { place, value, .. } | Wanted::Acceptance { place, value, .. }
            if simulation.caller.is_none() =>
        {
            simulation.printer.values.get(place) == Some(&scalars(value))
        }
        Wanted::DeviceSetting { .. } | Wanted::Acceptance { .. } | Wanted::Software { .. } => {
            let caller = simulation.caller.as_ref();
            // A printer that is dialled has no software.
            caller.is_some_and(|caller| is_said(caller, &item.wanted))
        }
        // No service of the simulation wants any data.
        Wanted::DataType { .. } => false,
        Wanted::ServerInstance => instance.is_some_and(|instance| instance.ready),
        Wanted::ServerSetting { pointer, value, .. } => {
            let parameters = instance.map(|instance| serde_json::json!(instance.parameters));
            let found = parameters.as_ref().and_then(|all| all.pointer(pointer));
            found.is_some_and(|found| value.is(found))
        }
        Wanted::Activation { pointer, active } => {
            let parameters = instance.map(|instance| serde_json::json!(instance.parameters));
            parameters.is_some_and(|parameters| parameters.pointer(pointer) == Some(active))
        }
    }
}

/// True if a device that calls said that it has what is wanted of it.
pub(super) fn is_said(caller: &Caller, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::DeviceSetting {
            place,
            value,
            write_only,
            ..
        } => {
            let key = place.as_agent().expect("it is carried by a call");
            if *write_only {
                caller.noted_value(key, value)
            } else {
                caller.said_value(key, value)
            }
        }
        Wanted::Acceptance { place, value, .. } => {
            let key = place.as_agent().expect("it is carried by a call");
            caller.said_value(key, value)
        }
        Wanted::Software {
            part,
            name,
            minimum,
            ..
        } => caller.said_version(&(*part, name.clone()), minimum),
        Wanted::ServerInstance
        | Wanted::ServerSetting { .. }
        | Wanted::Activation { .. }
        | Wanted::DataType { .. } => true,
    }
}

/// Compares what a status says of the device itself with what the device said, after each pass.
pub(super) fn check_caller(simulation: &Simulation, resolved: &ResolvedDevice, name: &str) {
    let Some(caller) = &simulation.caller else {
        return;
    };
    let mut entries = resolved.subscriptions.iter();
    let entry = entries.find(|entry| *entry.name == *name);
    let entry = entry.expect("it is resolved");
    // Of one that has ended the items say what is still to be put back.
    if !entry.wants_set_up() {
        return;
    }
    let status = simulation.subscription(name).status.as_ref();
    let items = &status.expect("it was reported").items;
    for (_, wanted) in entry.items() {
        let found = items.iter().find(|item| item.key == wanted.key);
        let is_effective = found.is_some_and(|item| {
            item.state == ItemState::Effective && item.desired_digest == Some(wanted.digest)
        });
        assert!(
            !is_effective || is_said(caller, &wanted.wanted),
            "{name}: {} is Effective, and the device did not say so: {:?}\n{caller:#?}\n{}",
            wanted.key,
            wanted.wanted,
            simulation.story()
        );
    }
}

/// Checks that the server is not touched before the device said that it has all that comes before it.
pub(super) fn check_order(simulation: &Simulation, resolved: &ResolvedDevice, action: &Action) {
    let (Action::Provision { subscription, .. } | Action::Update { subscription, .. }) = action
    else {
        return;
    };
    let Some(caller) = &simulation.caller else {
        return;
    };
    let entry = resolved.subscription(subscription).expect("it is resolved");
    if !entry.wants_set_up() {
        return;
    }
    let before = entry.items().take_while(|(step, _)| {
        !matches!(step.r#type, StepType::ServerSettings | StepType::Activation)
    });
    for (_, item) in before {
        assert!(
            is_said(caller, &item.wanted),
            "the server is touched before {} is said: {:?}\n{}",
            item.key,
            item.wanted,
            simulation.story()
        );
    }
}

/// The end of the last pass after which a wanted item was not in place, by the uid of the
/// subscription and the instant of the promise.
#[derive(Clone, Debug, Default)]
pub(super) struct Incomplete(BTreeMap<(String, Timestamp), Timestamp>);

impl Incomplete {
    fn of(&self, object: &ServiceSubscription, promise: Timestamp) -> Option<Timestamp> {
        let uid = object.uid().unwrap_or_default();
        self.0.get(&(uid, promise)).copied()
    }
}

/// Notes, at the end of a pass, that an item which a subscription wants is not in place at its
/// remote side, whatever the status says.
pub(super) fn note(simulation: &mut Simulation, resolved: &ResolvedDevice, name: &str) {
    let entries = &resolved.subscriptions;
    let entry = entries.iter().find(|entry| *entry.name == *name);
    let entry = entry.expect("it is resolved");
    let is_wanted = matches!(entry.intent, Intent::SetUp | Intent::Suspended);
    let complete = entry
        .items()
        .all(|(_, item)| is_there(simulation, entry, item));
    if complete || !is_wanted || !simulation.alone {
        return;
    }
    let object = simulation.subscription(name);
    let uid = object.uid().unwrap_or_default();
    let now = simulation.now;
    let revisions = object.spec.revisions.iter();
    let promised: Vec<Timestamp> = revisions
        .filter(|revision| revision.promised && revision.effective <= now)
        .map(|revision| revision.effective)
        .collect();
    for effective in promised {
        simulation
            .incomplete
            .0
            .insert((uid.clone(), effective), now);
    }
}

/// A promise is completed at the instant at which the last item was read back, and not before; nor
/// before a pass after which an item that was wanted then was not in place, whatever is wanted now
/// (D3). A pass that asks nobody takes no time, so that the two instants may be one.
pub(super) fn check_completion(
    simulation: &Simulation,
    object: &ServiceSubscription,
    after: &ServiceSubscriptionStatus,
) {
    let before = object.status.as_ref();
    let latest = after
        .items
        .iter()
        .filter_map(|item| item.last_verified)
        .max();
    for promise in after
        .promises
        .iter()
        .filter(|promise| promise.completed.is_some())
    {
        let before = before
            .into_iter()
            .flat_map(|before| &before.promises)
            .find(|known| known.effective == promise.effective);
        if before.is_some_and(|known| known.completed.is_some()) {
            continue;
        }
        // The clock may have been set back since.
        let incomplete = simulation.incomplete.of(object, promise.effective);
        let incomplete = incomplete.map(|at| at.min(simulation.began));
        assert!(
            promise.completed >= incomplete,
            "completed before {incomplete:?}, when it was not: {promise:#?}\n{}",
            simulation.story()
        );
        assert!(
            promise.completed >= latest,
            "{promise:#?} {:#?}",
            after.items
        );
    }
}
