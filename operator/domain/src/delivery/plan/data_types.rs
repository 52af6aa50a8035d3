//! Plan, device side: the kinds of data that a device sends, for all of its services together (C7, C8).
//!
//! Decides when a service may ask for its kinds, and what the device is asked to send: each kind once, at
//! the shortest period that a service wants, and nothing that no service wants any more. Called by plan
//! for the step DataTypes, and with the write of the twin.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::TwinDataType;

use crate::delivery::{
    Intent, Plan, ResolvedStep, ResolvedSubscription, ServedItem, Verified, WantedData,
    plan::{is_preempted, round::Round},
    verify::data_types::data_of,
};
use crate::names::SubscriptionName;
use crate::time::format_duration;

impl Round<'_> {
    /// Asks for the kinds of a service that data of the device have turned on. Nothing waits for them: a
    /// device that cannot be asked now is asked later.
    pub(super) fn ask_for_data(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        // Before its start a service asks for nothing.
        if subscription.intent != Intent::SetUp {
            return;
        }
        let mut aside = Plan::default();
        self.data_step(subscription, step, verified, &mut aside);
        plan.data_items.append(&mut aside.data_items);
    }

    pub(super) fn data_step(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
        verified: &Verified,
        plan: &mut Plan,
    ) {
        let name = &subscription.name;
        for item in &step.items {
            let Some((connection, _)) = data_of(&item.wanted) else {
                continue;
            };
            if self
                .reading_to_plan_by(name, connection, verified, plan)
                .is_none()
            {
                continue;
            }
            if let Some(unpinned) = self.snapshot.unpinned(connection) {
                plan.wait(name, unpinned);
            } else if !self.is_settled(subscription, item, verified) {
                plan.data_items.push(ServedItem {
                    subscription: name.clone(),
                    item: item.carried(),
                });
            }
        }
    }
}

/// Returns the kinds of data that the device should send after this plan, ordered by name.
pub(super) fn wanted(round: &Round<'_>, plan: &Plan) -> Vec<TwinDataType> {
    let present = round.snapshot.twin.as_ref();
    let present = present.map_or(&[][..], |twin| &twin.spec.data_types);
    let mut all: BTreeMap<&str, TwinDataType> = BTreeMap::new();
    for subscription in &round.resolved.subscriptions {
        let name = &subscription.name;
        for (_, item) in subscription.items() {
            let Some((_, data)) = data_of(&item.wanted) else {
                continue;
            };
            let is_asked_now = plan
                .data_items
                .iter()
                .any(|it| it.subscription == *name && it.item.key == item.key);
            // An instance that is left is of the same application for the device.
            let asks = name.object();
            if is_asked_now || keeps(subscription) && was_asked(present, &data.name, &asks) {
                merge(&mut all, data, &asks);
            }
        }
    }
    let known = present.iter().map(|it| (it, unknown_wishes(round, it)));
    for (kind, names) in known.filter(|(_, names)| !names.is_empty()) {
        keep(&mut all, kind, names);
    }
    all.into_values().collect()
}

/// True if what a subscription has asked for goes on.
fn keeps(subscription: &ResolvedSubscription) -> bool {
    let refused = subscription.refused.as_ref();
    matches!(subscription.intent, Intent::SetUp | Intent::Suspended)
        && !refused.is_some_and(is_preempted)
}

fn was_asked(present: &[TwinDataType], kind: &str, by: &SubscriptionName) -> bool {
    let mut present = present.iter();
    let found = present.find(|it| it.name == kind);
    found.is_some_and(|it| it.wanted_by.iter().any(|name| **name == **by))
}

fn merge<'a>(
    all: &mut BTreeMap<&'a str, TwinDataType>,
    data: &'a WantedData,
    by: &SubscriptionName,
) {
    let entry = all.entry(&data.name).or_insert_with(|| TwinDataType {
        name: data.name.clone(),
        on: data.on.clone(),
        threshold: data.threshold,
        period: format_duration(data.period).into(),
        wanted_by: Vec::new(),
    });
    if entry.period.length().is_ok_and(|found| data.period < found) {
        entry.period = format_duration(data.period).into();
    }
    add(entry, by.to_string());
}

fn add(entry: &mut TwinDataType, by: String) {
    if let Err(at) = entry.wanted_by.binary_search(&by) {
        entry.wanted_by.insert(at, by);
    }
}

/// Returns those that want a kind of data and of which nobody can say now whether they still do: they
/// cannot be read, or something that they refer to is missing.
fn unknown_wishes(round: &Round<'_>, kind: &TwinDataType) -> Vec<String> {
    let is_unknown = |name: &&String| {
        let name = SubscriptionName::from(name.as_str());
        if round.snapshot.unreadable_subscriptions.contains(&name) {
            return true;
        }
        let found = round.resolved.subscription(&name);
        found.is_some_and(|found| {
            // Items of its server alone say nothing of the device.
            let lacks_items = found.device_fault.is_some() || found.items().next().is_none();
            keeps(found) && found.refused.is_some() && lacks_items && !found.is_ended_by_a_leg()
        })
    };
    kind.wanted_by.iter().filter(is_unknown).cloned().collect()
}

fn keep<'a>(all: &mut BTreeMap<&'a str, TwinDataType>, kind: &'a TwinDataType, names: Vec<String>) {
    let entry = all.entry(&kind.name).or_insert_with(|| TwinDataType {
        wanted_by: Vec::new(),
        ..kind.clone()
    });
    let (known, kept) = (entry.period.length(), kind.period.length());
    if let (Ok(known), Ok(kept)) = (known, kept)
        && kept < known
    {
        entry.period = kind.period.clone();
    }
    for name in names {
        add(entry, name);
    }
}
