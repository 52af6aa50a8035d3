//! The invariants of a plan, written once and run on every plan that any test makes.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{ItemState, StepType};
use jiff::Timestamp;

use super::{Action, Intent, Plan, ResolvedDevice, Verified, Wanted, World};

/// What is wrong with a plan; empty when nothing is.
pub fn lint(
    world: &World,
    resolved: &ResolvedDevice,
    verified: &BTreeMap<String, Verified>,
    plan: &Plan,
    now: Timestamp,
) -> Vec<String> {
    let mut faults = Vec::new();
    for action in &plan.actions {
        for (subscription, step, item) in on_behalf_of(resolved, action) {
            let Some(entry) = resolved
                .subscriptions
                .iter()
                .find(|entry| entry.name == subscription)
            else {
                faults.push(format!("{subscription} is not one of this device"));
                continue;
            };
            // What is being withdrawn may only be turned off, and that in one attribute of ours.
            let sets_up = matches!(
                action,
                Action::WriteDevice { .. } | Action::Provision { .. }
            );
            if sets_up && (entry.refused.is_some() || !entry.wants_set_up()) {
                faults.push(format!(
                    "{subscription} is not to be set up: {:?}",
                    entry.intent
                ));
            }
            if let Intent::Scheduled {
                effective,
                early_from,
            } = entry.intent
            {
                let early = entry
                    .steps
                    .iter()
                    .any(|s| Some(s.r#type) == step && s.early);
                let from = if early {
                    early_from.unwrap_or(effective)
                } else {
                    effective
                };
                if now < from {
                    faults.push(format!(
                        "{subscription}: a request leaves before its instant"
                    ));
                }
            }
            let sends = !matches!(
                action,
                Action::ReadDevice { .. } | Action::ReadInstance { .. }
            );
            let proved = verified.get(&subscription);
            if sends
                && entry.wants_set_up()
                && entry.refused.is_none()
                && let Some(state) = item
                    .as_ref()
                    .and_then(|item| proved?.item(item))
                    .map(|item| item.state)
                && state == ItemState::Effective
                && !matches!(action, Action::Provision { .. })
            {
                faults.push(format!(
                    "{subscription}: {item:?} is sent although it is set"
                ));
            }
            if let (Some(step), Some(proved)) = (step, proved)
                && entry.wants_set_up()
                && entry.refused.is_none()
            {
                let earlier = entry.steps.iter().take_while(|s| s.r#type != step);
                for before in earlier {
                    if proved
                        .of_step(before.r#type)
                        .any(|i| i.state != ItemState::Effective)
                    {
                        faults.push(format!(
                            "{subscription}: {step:?} starts before {:?} is done",
                            before.r#type
                        ));
                    }
                }
            }
        }
        if matches!(action, Action::WriteDevice { .. }) && world.claimed_by_another {
            faults.push("a device that belongs to another is written".to_owned());
        }
        if let Action::ReadDevice { request } = action {
            faults.extend(asked_for_nobody(resolved, &request.attributes, now));
        }
    }
    faults
}

/// Attributes that nobody may ask for yet: a probe asks for the identity alone.
fn asked_for_nobody(
    resolved: &ResolvedDevice,
    attributes: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let wanted = |name: &String| {
        resolved.subscriptions.iter().any(|entry| {
            entry.items().any(|(step, item)| {
                matches!(&item.wanted, Wanted::DeviceSetting { attribute, .. } if attribute == name)
                    && entry.may_ask(step, now)
            })
        })
    };
    attributes
        .iter()
        .filter(|name| !wanted(name))
        .map(|name| format!("{name} is asked for although nobody wants it yet"))
        .collect()
}

/// Whom an action serves: subscription, step and item. Probes serve nobody.
fn on_behalf_of(
    resolved: &ResolvedDevice,
    action: &Action,
) -> Vec<(String, Option<StepType>, Option<String>)> {
    let step_of = |subscription: &str, item: &str| {
        resolved
            .subscriptions
            .iter()
            .find(|entry| entry.name == subscription)
            .and_then(|entry| entry.items().find(|(_, found)| found.key == item))
            .map(|(step, _)| step.r#type)
    };
    match action {
        Action::ReadDevice { .. }
        | Action::ReadCatalogue { .. }
        | Action::RecordInstance { .. }
        | Action::ReadInstance { .. }
        | Action::PollOperation { .. }
        | Action::Deprovision { .. } => Vec::new(),
        Action::WriteDevice { items, .. } => items
            .iter()
            .map(|(subscription, item, _)| {
                (
                    subscription.clone(),
                    step_of(subscription, item),
                    Some(item.clone()),
                )
            })
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
            .map(|(item, _)| {
                (
                    subscription.clone(),
                    step_of(subscription, item),
                    Some(item.clone()),
                )
            })
            .collect(),
    }
}
