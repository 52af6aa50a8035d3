//! Plan, device side, of a device that calls: the change that comes next, which it may hold before.
//!
//! Decides which settings are other ones from the next promised instant on. A device applies them at that
//! instant by itself (C9), so that no value is among them before the one that is there is kept, and none
//! of a service that has something else to do first. Called with the write of the twin.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{ItemState, Release, StepType, TwinNext, TwinSetting};
use jiff::Timestamp;

use crate::delivery::{
    Action, Intent, Plan, ResolvedDevice, ResolvedItem, ResolvedSubscription, SavedItem, Wanted,
    plan::round::Round,
    previous::{Read, to_save, within_limit},
    resolve::resolve,
    schedule::intent::prepared_from,
    twin::setting_of,
};
use crate::names::ConnectionName;
use crate::remote::{DeviceReading, DeviceWrite, Value};

/// Returns the change that comes next, as far as the device may hold it now. Values that it would
/// overwrite are planned to be kept first.
pub(super) fn next(
    round: &Round<'_>,
    connection: &ConnectionName,
    plan: &mut Plan,
) -> Option<TwinNext> {
    let reading = round.observations.through(connection).reading.as_ref();
    let read = reading.and_then(|reading| {
        let answer = reading.result.as_ref().ok()?;
        Some(Read {
            reading: answer,
            at: reading.at,
        })
    });
    let Some(read) = read.filter(|read| !read.reading.is_unreported) else {
        // It keeps the change that it holds while nothing is heard of it.
        return round.snapshot.twin.as_ref()?.spec.next.clone();
    };
    let effective = next_promise(round)?;
    let ahead = resolve(round.snapshot, effective);
    let now = wanted(round.resolved, connection);
    let mut settings = Vec::new();
    for subscription in set_up(&ahead) {
        if !is_next_to_set(round, subscription) {
            continue;
        }
        let is_promised = is_promised_at(round, subscription, effective);
        let others: Vec<&ResolvedItem> = settings_of(subscription, connection)
            .filter(|(item, key, value)| {
                let is_other = now.get(*key) != Some(value);
                let is_changed = || is_promised && drifts(round, subscription, item);
                item.conflict.is_none() && (is_other || is_changed())
            })
            .map(|(item, ..)| item)
            .collect();
        if keeps(round, subscription, &others, read, plan) {
            continue;
        }
        settings.extend(others.into_iter().filter_map(|item| asked(round, item)));
    }
    settings.sort_by(|one: &TwinSetting, other| one.name.cmp(&other.name));
    settings.dedup_by(|one, other| one.name == other.name);
    (!settings.is_empty()).then_some(TwinNext {
        effective,
        settings,
    })
}

/// Returns the next promised instant that is prepared by now.
fn next_promise(round: &Round<'_>) -> Option<Timestamp> {
    let subscriptions = round.snapshot.subscriptions.iter();
    let promises = subscriptions.flat_map(|subscription| {
        let revisions = subscription.spec.revisions.iter();
        let ahead = revisions.filter(|it| it.promised && it.effective > round.now);
        let prepared = ahead.filter(|it| prepared_from(subscription, it) <= round.now);
        prepared.map(|revision| revision.effective)
    });
    promises.min()
}

/// True if a subscription promises something for an instant.
fn is_promised_at(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    effective: Timestamp,
) -> bool {
    let object = round.snapshot.subscription(&subscription.name);
    let mut revisions = object.iter().flat_map(|object| &object.spec.revisions);
    revisions.any(|it| it.promised && it.effective == effective)
}

/// True if somebody has changed a setting, which is left so until a promise needs it.
fn drifts(round: &Round<'_>, subscription: &ResolvedSubscription, item: &ResolvedItem) -> bool {
    let verified = round.verified.get(&subscription.name);
    let proved = verified.and_then(|verified| verified.item(&item.key));
    proved.is_some_and(|proved| proved.drifts)
}

fn set_up(resolved: &ResolvedDevice) -> impl Iterator<Item = &ResolvedSubscription> {
    let subscriptions = resolved.subscriptions.iter();
    subscriptions.filter(|it| it.intent == Intent::SetUp && it.refused.is_none())
}

/// Returns the settings of a subscription that go through a connection, with the key and the value.
fn settings_of<'a>(
    subscription: &'a ResolvedSubscription,
    connection: &'a ConnectionName,
) -> impl Iterator<Item = (&'a ResolvedItem, &'a str, &'a Value)> {
    subscription
        .items()
        .filter_map(move |(_, item)| match &item.wanted {
            Wanted::DeviceSetting {
                connection: through,
                place,
                value,
                ..
            } if through == connection => Some((item, place.as_agent()?, value)),
            _ => None,
        })
}

/// Returns the values that are wanted at the time of a resolve, by key.
fn wanted<'a>(
    resolved: &'a ResolvedDevice,
    connection: &'a ConnectionName,
) -> BTreeMap<&'a str, &'a Value> {
    let settings = set_up(resolved).flat_map(|it| settings_of(it, connection));
    let settings = settings.filter(|(item, ..)| item.conflict.is_none());
    settings.map(|(_, key, value)| (key, value)).collect()
}

/// True if the settings of the device are the first step that a subscription has still to do.
fn is_next_to_set(round: &Round<'_>, subscription: &ResolvedSubscription) -> bool {
    let verified = round.verified.get(&subscription.name);
    let steps = subscription.steps.iter();
    let mut before = steps.take_while(|step| step.r#type != StepType::DeviceSettings);
    before.all(|step| {
        step.items.iter().all(|item| {
            let proved = verified.and_then(|verified| verified.item(&item.key));
            proved.is_some_and(|proved| proved.state == ItemState::Effective)
        })
    })
}

/// Plans that the values which a device would overwrite by itself are kept; true if some are.
fn keeps(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    items: &[&ResolvedItem],
    read: Read<'_>,
    plan: &mut Plan,
) -> bool {
    let Some(object) = round.snapshot.subscription(&subscription.name) else {
        return true;
    };
    if subscription.release == Some(Release::Keep) {
        return false;
    }
    let saved = items.iter().filter_map(|item| {
        Some(SavedItem {
            key: item.key.clone(),
            digest: item.digest,
            previous: to_save(round.snapshot, object, &item.key, read)?,
        })
    });
    let saved = within_limit(object.status.as_ref(), saved.collect());
    if saved.is_empty() {
        return false;
    }
    let is_planned = plan.actions.iter().any(|action| {
        matches!(action, Action::RecordPrevious { subscription: of, .. } if *of == subscription.name)
    });
    if !is_planned {
        plan.actions.push(Action::RecordPrevious {
            subscription: subscription.name.clone(),
            items: saved,
        });
    }
    true
}

fn asked(round: &Round<'_>, item: &ResolvedItem) -> Option<TwinSetting> {
    setting_of(&item.wanted.device_write()?, &round.snapshot.secrets)
}

/// Returns the writes that put what is wanted now in place of what the twin still has: a device that
/// applied the next change by itself would else be asked for what was before.
pub(super) fn begun(
    round: &Round<'_>,
    connection: &ConnectionName,
    answer: Option<&DeviceReading>,
) -> Vec<DeviceWrite> {
    let (Some(twin), Some(answer)) = (&round.snapshot.twin, answer) else {
        return Vec::new();
    };
    let next = twin.spec.next.as_ref();
    let next = next.filter(|next| next.effective <= round.now);
    let held = |key: &str| {
        let mut settings = next.iter().flat_map(|next| &next.settings);
        settings.any(|setting| setting.name == key)
    };
    let has_entry = |key: &str| twin.spec.settings.iter().any(|it| it.name == key);
    let settings = set_up(round.resolved).flat_map(|it| settings_of(it, connection));
    let settings = settings.filter(|(item, key, value)| {
        let Wanted::DeviceSetting { place, .. } = &item.wanted else {
            return false;
        };
        let is_asked = answer.asked_for(place, value).is_some();
        item.conflict.is_none() && !is_asked && (held(key) || has_entry(key))
    });
    settings
        .filter_map(|(item, ..)| item.wanted.device_write())
        .collect()
}
