//! The verdict of a plan: what the operator would say of the contract right after the writes.
//!
//! Decides nothing about the contract: the status is made by the report of the operator, so that the two
//! cannot differ. It picks from it what speaks against the change.

use std::collections::BTreeMap;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::ContractStatus;
use jiff::Timestamp;

use super::messages;
use crate::condition::{Status, find, is_true};
use crate::contract::{ContractWorld, Fault, ResolvedContract, WriteOutcome, report, written};

/// Amendments and notices that are refused, each in a sentence.
pub(super) struct RefusedParts {
    /// Those that are refused by the change.
    pub(super) by_the_change: Vec<String>,
    /// Those that are refused in the cluster already, and change nothing.
    pub(super) before: Vec<String>,
}

/// Returns the amendments and notices that are refused. `before` is the contract as it is in the cluster
/// now. One that merely waits is not refused.
pub(super) fn refused_parts(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    before: Option<(&ContractWorld, &ResolvedContract)>,
) -> RefusedParts {
    let known = before.map(|(world, resolved)| faults_of_parts(world, resolved));
    let known = known.unwrap_or_default();
    let mut parts = RefusedParts {
        by_the_change: Vec::new(),
        before: Vec::new(),
    };
    for (part, (spec, faults)) in faults_of_parts(world, resolved) {
        let is_known = known.get(&part).is_some_and(|(other, _)| *other == spec);
        let into = if is_known {
            &mut parts.before
        } else {
            &mut parts.by_the_change
        };
        into.extend(faults.iter().map(|fault| format!("{part}: {fault}")));
    }
    parts
}

/// Returns the faults of each amendment and notice that is refused, with its spec.
fn faults_of_parts(
    world: &ContractWorld,
    resolved: &ResolvedContract,
) -> BTreeMap<String, (serde_json::Value, Vec<String>)> {
    let mut found = BTreeMap::new();
    let mut add = |kind: &str, name: &str, spec: serde_json::Value, faults: &[Fault]| {
        let faults = faults.iter().filter(|it| it.reason != Reason::Pending);
        let faults: Vec<String> = faults.map(|it| it.message.clone()).collect();
        if !faults.is_empty() {
            found.insert(format!("{kind} {name}"), (spec, faults));
        }
    };
    for amendment in &world.amendments {
        let name = amendment.metadata.name.as_deref().unwrap_or_default();
        if let Some(Err(faults)) = resolved.amendments.get(name) {
            add("amendment", name, serde_json::json!(amendment.spec), faults);
        }
    }
    for notice in &world.notices {
        let name = notice.metadata.name.as_deref().unwrap_or_default();
        if let Some(Err(fault)) = resolved.notices.get(name) {
            let faults = std::slice::from_ref(fault);
            add("notice", name, serde_json::json!(notice.spec), faults);
        }
    }
    found
}

/// Returns the objections to the contract in the status that the operator would write right after the
/// change, each as `Reason: message`.
pub(super) fn objections(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    now: Timestamp,
) -> Vec<String> {
    let subscriptions = written(world, resolved, now);
    let outcome = WriteOutcome::default();
    let status = report(world, resolved, &subscriptions, &[], &outcome, now);
    let is_told = |text: &String| {
        let told = messages(resolved.accepted.as_ref().err());
        let mut told = told
            .into_iter()
            .chain(messages(resolved.refs.as_ref().err()));
        !told.any(|it| text.contains(&it))
    };
    let mut objections: Vec<String> = objections_of(&status);
    objections.retain(is_told);
    objections
}

fn objections_of(status: &ContractStatus) -> Vec<String> {
    let conditions = &status.conditions;
    let words = |reason: &str, message: &str| format!("{reason}: {message}");
    let ready = find(conditions, ConditionType::Ready);
    let ready = ready.filter(|it| it.status == Status::False.as_str());
    let ready = ready.filter(|it| !passes_by_itself(&it.reason));
    let mut found: Vec<String> = ready
        .iter()
        .map(|it| words(&it.reason, it.message.as_str()))
        .collect();
    for kind in [ConditionType::StartAtRisk, ConditionType::DevicesFailing] {
        let said = find(conditions, kind).filter(|_| is_true(conditions, kind));
        // Ready of a contract in force has the same devices in its message.
        let is_said = ready.is_some_and(|it| it.reason == Reason::DevicesNotProgressing.as_str());
        if let Some(said) = said.filter(|_| kind == ConditionType::StartAtRisk || !is_said) {
            found.push(words(&format!("{kind:?}"), said.message.as_str()));
        }
    }
    found
}

/// True if a contract is not Ready for this reason only as long as the operator is at work.
fn passes_by_itself(reason: &str) -> bool {
    [
        Reason::Progressing,
        Reason::DevicesPending,
        Reason::Withdrawing,
        Reason::AwaitingNotice,
        Reason::Pending,
    ]
    .iter()
    .any(|it| it.as_str() == reason)
}
