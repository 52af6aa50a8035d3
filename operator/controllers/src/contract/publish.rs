//! Publish: the events about a contract, from its status before and after a write.
//!
//! Decides which transitions are announced. An event that there can be several of at once names another
//! object in `related`, so that none is folded into another. Called by the contract controller.

use entente_crds::{
    bounded::Text,
    condition::ConditionType,
    v1alpha1::{Condition, Contract, ContractAmendment, ContractStatus, TransitionTo},
};
use entente_domain::condition::{find, is_true};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource as _, ResourceExt as _};

use super::Contracts;
use crate::{cache::Key, events::EventReason};

/// Publishes the news that a written status has and the one before had not.
pub(super) fn news(contracts: &Contracts, before: Option<&Contract>, after: &Contract) {
    let events = &contracts.context.events;
    let about = after.object_ref(&());
    let Some(is) = &after.status else { return };
    let was = before.and_then(|before| before.status.as_ref());
    let unseen = ContractStatus::default();
    for (reason, note) in transitions(was.unwrap_or(&unseen), is) {
        events.publish(&about, reason, note, None);
    }
    let Some(was) = was else { return };
    for (reason, note, related) in changes(after, was, is) {
        events.publish(&about, reason, note, Some(related));
    }
    for (note, related) in withdrawn(contracts, after, was, is) {
        let reason = EventReason::AmendmentWithdrawn;
        events.publish(&about, reason, note, Some(related));
    }
}

/// Returns the conditions that began to hold, as events.
fn transitions(was: &ContractStatus, is: &ContractStatus) -> Vec<(EventReason, String)> {
    let (old, new) = (&was.conditions, &is.conditions);
    let began = |condition: ConditionType| is_true(new, condition) && !is_true(old, condition);
    let words = |condition: ConditionType| {
        find(new, condition).map_or_else(String::new, |said| said.message.to_string())
    };
    let reason = |conditions, condition| find(conditions, condition).map(|it| it.reason.clone());
    let ended = reason(new, ConditionType::InForce).is_some_and(|it| it == "Ended")
        && reason(old, ConditionType::InForce).is_some_and(|it| it != "Ended");
    let accepted = |conditions| find(conditions, ConditionType::Accepted);
    let refused = accepted(new).is_some_and(|is| {
        let is_other = |was: &Condition| (&was.status, &was.message) != (&is.status, &is.message);
        is.status == "False" && accepted(old).is_none_or(is_other)
    });
    let term = is.term.as_ref();
    let started_by = term.and_then(|term| term.started_by.as_ref());
    let ended_by = term.and_then(|term| term.ended_by.as_ref());
    let facts = [
        (
            began(ConditionType::StartAtRisk),
            EventReason::StartDateAtRisk,
            words(ConditionType::StartAtRisk),
        ),
        (
            began(ConditionType::Accepted),
            EventReason::ContractAccepted,
            words(ConditionType::Accepted),
        ),
        (
            refused,
            EventReason::ContractRefused,
            words(ConditionType::Accepted),
        ),
        (
            began(ConditionType::InForce),
            EventReason::ContractStarted,
            said_by("The term has begun", started_by),
        ),
        (
            ended,
            EventReason::ContractEnded,
            said_by("The term is over", ended_by),
        ),
        (
            began(ConditionType::Delivered),
            EventReason::SetupVerified,
            "Every subscription in force is proven.".to_owned(),
        ),
        (
            began(ConditionType::PromiseMissed),
            EventReason::StartDateMissed,
            "A promise of this term was missed.".to_owned(),
        ),
    ];
    let happened = facts.into_iter().filter(|(happened, ..)| *happened);
    happened.map(|(_, reason, note)| (reason, note)).collect()
}

/// Returns a sentence with the notice by which that is known, if it is by one.
fn said_by(what: &str, notice: Option<&Text<253>>) -> String {
    notice.map_or_else(
        || format!("{what}."),
        |notice| format!("{what}, as ContractNotice {notice} says."),
    )
}

/// Returns the changes by amendments and other contracts since, as events that are related to these.
fn changes(
    contract: &Contract,
    was: &ContractStatus,
    is: &ContractStatus,
) -> Vec<(EventReason, String, ObjectReference)> {
    let news = is.history.iter().filter(|it| !was.history.contains(it));
    let events = news.filter_map(|it| match it.to {
        TransitionTo::Amended => {
            let name = it.amendment.as_ref()?;
            let note = format!("ContractAmendment {name} is in force.");
            Some((
                EventReason::ContractAmended,
                note,
                amendment(contract, name),
            ))
        }
        TransitionTo::Succeeded => {
            let name = it.successor.as_ref()?;
            let note = format!("Contract {name} has taken services over from this one.");
            let related = ObjectReference {
                name: Some(name.to_string()),
                uid: None,
                resource_version: None,
                ..contract.object_ref(&())
            };
            Some((EventReason::ContractSucceeded, note, related))
        }
        TransitionTo::InForce | TransitionTo::Ended | TransitionTo::StartExpected => None,
    });
    events.collect()
}

/// Returns a sentence for each amendment that was deleted while its instant lay ahead. One that is still
/// told comes all the same: an edit of the contract is refused.
fn withdrawn(
    contracts: &Contracts,
    contract: &Contract,
    was: &ContractStatus,
    is: &ContractStatus,
) -> Vec<(String, ObjectReference)> {
    let now = contracts.context.clock.now();
    let namespace = contract.namespace().unwrap_or_default();
    let ahead = was.upcoming.iter().filter(|it| it.effective > now);
    let is_told = |name: &str| is.upcoming.iter().any(|it| *it.amendment == *name);
    let withdrawn = ahead.filter(|it| !is_told(&it.amendment));
    let withdrawn = withdrawn.filter(|it| {
        let key = Key::new(&*namespace, it.amendment.to_string());
        let found = contracts.objects.amendments.get(&key);
        found.is_none_or(|found| found.metadata.deletion_timestamp.is_some())
    });
    let events = withdrawn.map(|it| {
        let note = format!(
            "ContractAmendment {} was deleted before its instant: nothing of it happens.",
            it.amendment
        );
        (note, amendment(contract, &it.amendment))
    });
    events.collect()
}

/// Returns a reference to an amendment of a contract, which may be gone.
fn amendment(contract: &Contract, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(ContractAmendment::api_version(&()).into_owned()),
        kind: Some(ContractAmendment::kind(&()).into_owned()),
        namespace: contract.namespace(),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}
