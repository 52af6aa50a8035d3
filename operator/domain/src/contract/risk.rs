//! StartAtRisk: the preparation of a start that does not proceed.
//!
//! Decides which devices hinder it, from the status of their subscriptions, between the instant of
//! preparation and the start. It never changes Ready: the contract is accepted, and a tool that
//! waits for Ready must not wait for the start. Called by report.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{ServiceSubscription, StepType};
use jiff::Timestamp;

use super::subscription_state::{current, is_done};
use super::{ContractWorld, ResolvedContract, is_deleting, is_terminating};
use crate::condition::Status;
use crate::promise::in_force;

/// True if StartAtRisk may be stated now: from the instant of preparation until the start, unless
/// the contract is on its way out or suspended by a person.
pub(super) fn is_watched(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    now: Timestamp,
) -> bool {
    let contract = &world.contract;
    let ahead = resolved.term.as_ref().is_some_and(|term| now < term.start);
    let preparing = resolved.preparation.is_some_and(|from| from <= now);
    ahead && preparing && !is_deleting(contract) && !contract.spec.suspend
}

/// Returns the devices on which the preparation does not proceed, sorted, each once.
pub(super) fn devices_at_risk(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    own: &BTreeMap<&str, &ServiceSubscription>,
    now: Timestamp,
) -> BTreeSet<String> {
    if !is_watched(world, resolved, now) {
        return BTreeSet::new();
    }
    let leaving = resolved.changes.deleted_names();
    // What an amendment brings later does not hinder the start.
    let start = resolved.term.as_ref().map(|term| term.start);
    let begins_then = |found: &ServiceSubscription| {
        start.is_none_or(|start| in_force(&found.spec.revisions, start).is_some())
    };
    own.iter()
        .filter(|(_, found)| begins_then(found))
        .filter(|(name, found)| !is_terminating(found) && !leaving.contains(*name))
        .filter(|(_, found)| does_not_proceed(found, &early_steps(world, found)))
        .map(|(_, found)| found.spec.device_ref.name.clone())
        .collect()
}

/// Returns the steps that may run before the start.
fn early_steps(world: &ContractWorld, found: &ServiceSubscription) -> BTreeSet<StepType> {
    let revision = found.spec.revisions.first();
    revision
        .and_then(|revision| world.services.get(&revision.service_ref.name))
        .into_iter()
        .flat_map(|service| service.spec.ordered_steps())
        .filter(|step| step.early)
        .map(|step| step.r#type)
        .collect()
}

/// True if the start is at risk: a person must change something, a reference is missing, or an
/// early step met a problem or timed out.
fn does_not_proceed(found: &ServiceSubscription, early: &BTreeSet<StepType>) -> bool {
    let hindrances = hindrances(found);
    hindrances.of_the_whole || hindrances.steps.iter().any(|step| early.contains(step))
}

/// The obstacles to a start that lies ahead, as the status of a subscription has them.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Hindrances {
    /// True if it does not proceed even if every step is early.
    pub(super) of_the_whole: bool,
    /// The steps with an item that met a problem and is not done.
    pub(super) steps: BTreeSet<StepType>,
}

/// Returns the obstacles to the start of a subscription.
pub(super) fn hindrances(found: &ServiceSubscription) -> Hindrances {
    let said = |condition| current(found, condition);
    let is_false =
        |condition| said(condition).is_some_and(|said| said.status == Status::False.as_str());
    let status = found.status.as_ref();
    let timed_out =
        said(ConditionType::Ready).is_some() && status.is_some_and(|status| status.step_timed_out);
    Hindrances {
        // Before its start a subscription is not Ready only if something already speaks against it.
        of_the_whole: is_false(ConditionType::Ready)
            || is_false(ConditionType::ResolvedRefs)
            || timed_out,
        steps: steps_with_a_problem(found),
    }
}

fn steps_with_a_problem(found: &ServiceSubscription) -> BTreeSet<StepType> {
    let items = found.status.iter().flat_map(|status| &status.items);
    items
        .filter(|item| item.problem.is_some() && !is_done(item.state))
        .filter_map(|item| Some(item.key.kind()?.step()))
        .collect()
}
