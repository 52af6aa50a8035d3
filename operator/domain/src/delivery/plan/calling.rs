//! Plan, device side, of a device that calls: one write of its twin for all that it is asked for.
//!
//! Decides when a twin is made, and which settings of it nobody wants any more. Called by plan after all
//! other parts.

mod ahead;

use std::collections::BTreeSet;

use entente_crds::{item_key::ItemKey, v1alpha1::ItemState};
use kube::ResourceExt as _;

use crate::delivery::{
    Action, InstallationOrder, Intent, Plan, ServedItem, Wanted,
    model::backoffs::BackoffKey,
    panel,
    plan::{data_types, round::Round},
    previous::locate,
    twin::{TwinChange, is_of},
};
use crate::names::ConnectionName;
use crate::remote::DeviceWrite;

/// Gathers the writes to a device that calls into one of its twin.
pub(super) fn write_twins(round: &Round<'_>, plan: &mut Plan) {
    let Some(connection) = calling_connection(round) else {
        return;
    };
    let mut writes = taken_writes(plan, connection);
    let answer = round.observations.through(connection).reading.as_ref();
    let answer = answer.and_then(|reading| reading.result.as_ref().ok());
    for write in ahead::begun(round, connection, answer) {
        if writes
            .iter()
            .all(|(planned, _)| planned.place != write.place)
        {
            writes.push((write, Vec::new()));
        }
    }
    let next = ahead::next(round, connection, plan);
    let keeps = |action: &Action| matches!(action, Action::RecordPrevious { .. });
    let released = if plan.actions.iter().any(keeps) {
        BTreeSet::new()
    } else {
        released(round)
    };
    let twin = round.snapshot.twin.as_deref();
    let is_another = twin.is_some_and(|twin| twin.spec.next != next);
    let installation = round.next_installation(plan);
    let known = twin.and_then(|twin| twin.spec.call_at);
    let call_at = match plan.installations.call_at {
        // An installation that waits for a window is known once everything was read.
        None if installation.is_none() && !plan.actions.is_empty() => known,
        call_at => call_at,
    };
    let data_types = data_types::wanted(round, plan);
    let sends = twin.map_or(&[][..], |twin| &twin.spec.data_types);
    let messages = panel::for_the_twin(round);
    let shows = twin.map_or(&[][..], |twin| &twin.spec.messages);
    // An instant that has passed is left there until something else is written.
    let calls_at_another_time = known != call_at && known.max(call_at) > Some(round.now);
    let is_needed = !writes.is_empty()
        || !released.is_empty()
        || is_another
        || installation.is_some()
        || *sends != *data_types
        || *shows != *messages
        || is_missing(round)
        || calls_at_another_time;
    let key = BackoffKey::device(connection);
    if is_needed && round.pending(&key).is_none() && !is_of_an_earlier_device(round) {
        let write = Action::WriteTwin {
            connection: connection.clone(),
            writes,
            released,
            next,
            installation,
            call_at,
            data_types,
            data_items: plan.data_items.clone(),
            messages,
        };
        write_or_wait(round, connection, write, plan);
    }
}

/// Takes the writes to a device out of a plan.
fn taken_writes(
    plan: &mut Plan,
    connection: &ConnectionName,
) -> Vec<(DeviceWrite, Vec<ServedItem>)> {
    let mut writes = Vec::new();
    plan.actions.retain(|action| match action {
        Action::WriteDevice {
            connection: through,
            write,
            items,
        } if through == connection => {
            writes.push((write.clone(), items.clone()));
            false
        }
        _ => true,
    });
    writes
}

/// Plans a write of the twin; after one that failed, those who are served wait for it.
fn write_or_wait(round: &Round<'_>, connection: &ConnectionName, write: Action, plan: &mut Plan) {
    let Some(wait) = round.pending(&BackoffKey::twin(connection)) else {
        plan.actions.push(write);
        return;
    };
    let Some(change) = TwinChange::of(&write) else {
        return;
    };
    let settings = change.writes.iter().flat_map(|(_, items)| items);
    let software = change
        .installation
        .map_or(&[][..], InstallationOrder::items);
    for served in settings.chain(software).chain(change.data_items) {
        plan.wait(&served.subscription, wait.clone());
    }
}

/// Returns the first connection through which the device calls, if it may be used.
fn calling_connection<'a>(round: &'a Round<'_>) -> Option<&'a ConnectionName> {
    let device = round.snapshot.device.as_deref()?;
    if device.spec.suspend || device.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut connections = round.resolved.connections.iter();
    let found = connections.find(|connection| connection.is_called())?;
    Some(&found.name)
}

fn is_missing(round: &Round<'_>) -> bool {
    !round.snapshot.namespace_terminating && round.snapshot.twin.is_none()
}

/// True if the twin is that of a Device that was deleted: it is deleted, too, and its end starts another
/// pass.
fn is_of_an_earlier_device(round: &Round<'_>) -> bool {
    let device = round.snapshot.device.as_deref();
    let twin = round.snapshot.twin.as_deref();
    device
        .zip(twin)
        .is_some_and(|(device, twin)| !is_of(twin, device))
}

/// Returns the settings of the twin that no subscription asks for or has to put back.
fn released(round: &Round<'_>) -> BTreeSet<String> {
    let snapshot = round.snapshot;
    // A subscription that cannot be read may want any of them.
    if !snapshot.unreadable_subscriptions.is_empty() || snapshot.model.is_none() {
        return BTreeSet::new();
    }
    let Some(twin) = &snapshot.twin else {
        return BTreeSet::new();
    };
    // Of a service that has ended the status says what is still to be put back.
    let subscriptions = round.resolved.subscriptions.iter();
    let subscriptions = subscriptions.filter(|it| !matches!(it.intent, Intent::Withdraw { .. }));
    // What somebody has changed and is left so is not asked for either: a device may take all that it is
    // asked for anew with each version of its twin.
    let drifts = |subscription: &str, key: &ItemKey| {
        let mut verified = round.verified.iter();
        let verified = verified.find(|(name, _)| name.as_str() == subscription);
        let item = verified.and_then(|(_, verified)| verified.item(key));
        item.is_some_and(|item| item.drifts)
    };
    let items = subscriptions.flat_map(|it| it.items().map(move |(_, item)| (it, item)));
    let items = items.filter(|(of, item)| !drifts(&of.name, &item.key));
    let wanted = items.filter_map(|(_, item)| match &item.wanted {
        Wanted::DeviceSetting { place, .. } => place.as_agent().map(str::to_owned),
        _ => None,
    });
    let objects = snapshot.subscriptions.iter();
    let kept = objects.flat_map(|object| {
        let items = object.status.iter().flat_map(|status| &status.items);
        let name = object.name_any();
        items.filter(move |item| item.state != ItemState::Released && !drifts(&name, &item.key))
    });
    let kept = kept.filter_map(|item| {
        let located = locate(snapshot, &item.key)?;
        located.place.as_agent().map(str::to_owned)
    });
    let in_use: BTreeSet<String> = wanted.chain(kept).collect();
    let settings = twin
        .spec
        .settings
        .iter()
        .map(|setting| setting.name.clone());
    settings.filter(|name| !in_use.contains(name)).collect()
}
