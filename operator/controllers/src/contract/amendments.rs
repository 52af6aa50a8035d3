//! Report: the status of the amendments of one contract.
//!
//! Decides nothing: the verdicts are those of the contract's pass. An amendment is not reported as
//! accepted before what it changes was written, so that its status tells whether it was.

use std::sync::Arc;

use entente_crds::{condition::ConditionType, v1alpha1::ContractAmendment};
use entente_domain::{
    condition::{find, is_true},
    contract::{
        AmendmentVerdict, ResolvedContract, amendment_status, contract_not_found, not_written,
    },
};
use kube::{Api, Resource as _, ResourceExt as _};

use super::{Contracts, observe::amendments};
use crate::{
    cache::Key,
    events::EventReason,
    objects::path,
    status::{Conditioned as _, Reported, WriteError, report_until_written},
};

/// Reports the verdicts of a pass over a contract; with `unwritten` its subscriptions are not all as
/// they should be.
pub(super) async fn report(
    contracts: &Contracts,
    key: &Key,
    resolved: &ResolvedContract,
    unwritten: bool,
) -> Result<(), WriteError> {
    for amendment in of(contracts, key) {
        let Some(verdict) = resolved.amendments.get(&amendment.name_any()) else {
            continue;
        };
        let status = amendment.status.as_ref();
        let is_news = status.is_none_or(|status| status.effective.is_none());
        let verdict = if verdict.is_ok() && unwritten && is_news {
            &not_written()
        } else {
            verdict
        };
        report_one(contracts, &amendment, verdict).await?;
    }
    Ok(())
}

/// Reports in the amendments that name a contract that there is no such contract.
pub(super) async fn report_not_found(contracts: &Contracts, key: &Key) -> Result<(), WriteError> {
    for amendment in of(contracts, key) {
        report_one(contracts, &amendment, &contract_not_found(&amendment)).await?;
    }
    Ok(())
}

fn of(contracts: &Contracts, key: &Key) -> Vec<Arc<ContractAmendment>> {
    let of = path(&key.namespace, &key.name);
    amendments(&contracts.objects, &of)
}

async fn report_one(
    contracts: &Contracts,
    amendment: &ContractAmendment,
    verdict: &AmendmentVerdict,
) -> Result<(), WriteError> {
    let key = Key::of(amendment);
    let context = &contracts.context;
    let api: Api<ContractAmendment> = Api::namespaced(context.client.clone(), &key.namespace);
    let now = context.clock.now();
    let uid = amendment.uid();
    let cache = &contracts.objects.amendments;
    let reported = report_until_written(&api, cache, &key, now, |object| {
        let is_decided = object.uid() == uid;
        is_decided.then(|| amendment_status(object, verdict, now))
    })
    .await?;
    if let Reported::Written(after) = reported {
        publish(contracts, amendment, &after);
    }
    Ok(())
}

/// Publishes that an amendment was accepted or refused, or is in force.
fn publish(contracts: &Contracts, before: &ContractAmendment, after: &ContractAmendment) {
    let said = |object: &ContractAmendment, condition| {
        let said = find(ContractAmendment::said(object), condition);
        said.map(|said| (said.status.clone(), said.reason.clone()))
    };
    let differs = |condition| said(before, condition) != said(after, condition);
    let conditions = ContractAmendment::said(after);
    let message = |condition| {
        let said = find(conditions, condition);
        said.map_or("", |said| said.message.as_str())
    };
    let is_refused = is_true(conditions, ConditionType::Stalled);
    let is_accepted = is_true(conditions, ConditionType::Accepted);
    let is_in_force = is_true(conditions, ConditionType::Ready)
        && find(conditions, ConditionType::Ready).is_some_and(|it| it.reason == "Succeeded");
    let facts = [
        (
            is_accepted && differs(ConditionType::Accepted),
            EventReason::AmendmentAccepted,
            ConditionType::Accepted,
        ),
        (
            is_refused && differs(ConditionType::Accepted),
            EventReason::AmendmentRefused,
            ConditionType::Accepted,
        ),
        (
            is_in_force && differs(ConditionType::Ready),
            EventReason::ContractAmended,
            ConditionType::Ready,
        ),
    ];
    for (_, reason, condition) in facts.into_iter().filter(|(happened, ..)| *happened) {
        let object = after.object_ref(&());
        contracts
            .context
            .events
            .publish(&object, reason, message(condition), None);
    }
}
