//! Report: the status of the notices of one contract.
//!
//! Decides nothing: the verdicts are those of the contract's pass. A notice is not reported as accepted
//! before the contract's own status has what it says, so that it may be deleted from then on.

use std::sync::Arc;

use entente_crds::{condition::ConditionType, v1alpha1::ContractNotice};
use entente_domain::{
    condition::{find, is_true},
    contract::{NoticeVerdict, ResolvedContract, notice_of_no_contract, notice_status},
};
use kube::{Api, Resource as _, ResourceExt as _};

use super::{Contracts, observe::notices};
use crate::{
    cache::Key,
    events::EventReason,
    objects::path,
    status::{Conditioned as _, Reported, WriteError, report_until_written},
};

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
    let key = Key::of(notice);
    let context = &contracts.context;
    let api: Api<ContractNotice> = Api::namespaced(context.client.clone(), &key.namespace);
    let now = context.clock.now();
    let uid = notice.uid();
    let cache = &contracts.objects.notices;
    let reported = report_until_written(&api, cache, &key, now, |object| {
        let is_decided = object.uid() == uid;
        is_decided.then(|| notice_status(object, verdict, now))
    })
    .await?;
    if let Reported::Written(after) = reported {
        publish(contracts, notice, &after);
    }
    Ok(())
}

/// Publishes that a notice was accepted or refused.
fn publish(contracts: &Contracts, before: &ContractNotice, after: &ContractNotice) {
    let said = |object| {
        let said = find(ContractNotice::said(object), ConditionType::Accepted);
        said.map(|said| (said.status.clone(), said.reason.clone()))
    };
    if said(before) == said(after) {
        return;
    }
    let conditions = ContractNotice::said(after);
    let reason = if is_true(conditions, ConditionType::Accepted) {
        EventReason::NoticeAccepted
    } else if is_true(conditions, ConditionType::Stalled) {
        EventReason::NoticeRefused
    } else {
        return;
    };
    let accepted = find(conditions, ConditionType::Accepted);
    let message = accepted.map_or("", |said| said.message.as_str());
    let object = after.object_ref(&());
    contracts
        .context
        .events
        .publish(&object, reason, message, None);
}
