//! Report: the status of the notices of one contract.
//!
//! Decides nothing: the verdicts are those of the contract's pass. A notice is not reported as accepted
//! before the contract's own status has what it says, so that it may be deleted from then on.

use std::sync::Arc;

use entente_crds::{condition::ConditionType, v1alpha1::ContractNotice};
use entente_domain::contract::{
    NoticeVerdict, ResolvedContract, notice_of_no_contract, notice_status,
};
use kube::ResourceExt as _;

use super::{
    Contracts,
    judged::{self, News},
    observe::notices,
};
use crate::{cache::Key, events::EventReason, objects::path, status::WriteError};

/// Changes that are announced: a notice is accepted or refused.
const NEWS: [News; 2] = [
    News {
        event: EventReason::NoticeAccepted,
        holds: ConditionType::Accepted,
        reason: None,
        changed: ConditionType::Accepted,
    },
    News {
        event: EventReason::NoticeRefused,
        holds: ConditionType::Stalled,
        reason: None,
        changed: ConditionType::Accepted,
    },
];

/// Reports the verdicts of a pass over a contract whose status was written.
pub(super) async fn report(
    contracts: &Contracts,
    key: &Key,
    resolved: &ResolvedContract,
) -> Result<(), WriteError> {
    for notice in of(contracts, key) {
        if let Some(verdict) = resolved.notices.get(&notice.name_any()) {
            report_one(contracts, &notice, verdict).await?;
        }
    }
    Ok(())
}

/// Reports in the notices that name a contract that there is no such contract.
pub(super) async fn report_not_found(contracts: &Contracts, key: &Key) -> Result<(), WriteError> {
    for notice in of(contracts, key) {
        report_one(contracts, &notice, &notice_of_no_contract(&notice)).await?;
    }
    Ok(())
}

fn of(contracts: &Contracts, key: &Key) -> Vec<Arc<ContractNotice>> {
    notices(&contracts.objects, &path(&key.namespace, &key.name))
}

async fn report_one(
    contracts: &Contracts,
    notice: &ContractNotice,
    verdict: &NoticeVerdict,
) -> Result<(), WriteError> {
    let cache = &contracts.objects.notices;
    let decide = |found: &ContractNotice, now| notice_status(found, verdict, now);
    judged::report_one(contracts, cache, notice, decide, &NEWS).await
}
