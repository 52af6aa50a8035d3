//! Report: the status of the amendments of one contract.
//!
//! Decides nothing: the verdicts are those of the contract's pass. An amendment is not reported as
//! accepted before what it changes was written, so that its status tells whether it was.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::ContractAmendment,
};
use entente_domain::contract::{
    AmendmentVerdict, ResolvedContract, amendment_status, contract_not_found, not_written,
};
use kube::ResourceExt as _;

use super::{
    Contracts,
    judged::{self, News},
    observe::amendments,
};
use crate::{cache::Key, events::EventReason, objects::path, status::WriteError};

/// Changes that are announced: an amendment is accepted or refused, or is in force.
const NEWS: [News; 3] = [
    News {
        event: EventReason::AmendmentAccepted,
        holds: ConditionType::Accepted,
        reason: None,
        changed: ConditionType::Accepted,
    },
    News {
        event: EventReason::AmendmentRefused,
        holds: ConditionType::Stalled,
        reason: None,
        changed: ConditionType::Accepted,
    },
    News {
        event: EventReason::ContractAmended,
        holds: ConditionType::Ready,
        reason: Some(Reason::Succeeded),
        changed: ConditionType::Ready,
    },
];

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
    amendments(&contracts.objects, &path(&key.namespace, &key.name))
}

async fn report_one(
    contracts: &Contracts,
    amendment: &ContractAmendment,
    verdict: &AmendmentVerdict,
) -> Result<(), WriteError> {
    let cache = &contracts.objects.amendments;
    let decide = |found: &ContractAmendment, now| amendment_status(found, verdict, now);
    judged::report_one(contracts, cache, amendment, decide, &NEWS).await
}
