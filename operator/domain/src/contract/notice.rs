//! The status of a notice (api-contracts section 2; K2).
//!
//! Decides its conditions from the verdict of the contract that it is about, and the verdict itself
//! where there is no such contract, or none that is accepted. It must never decide which notice
//! counts: that is `notices`. Called by `resolve` and by the contract controller.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ContractNotice, ContractNoticeStatus, NoticeType};
use jiff::Timestamp;

use super::judged::{Judged, not_accepted, of_no_contract};
use super::notices::NoticeVerdict;
use super::parsed::Readings;
use super::{ContractWorld, Fault};
use crate::condition::Summary;

/// Returns the verdict on each notice of a contract, by name. While the contract is not accepted
/// nothing can be said of those that it was not started or ended by before.
pub(super) fn verdicts(
    world: &ContractWorld,
    readings: &Readings<'_>,
    is_accepted: bool,
) -> BTreeMap<String, NoticeVerdict> {
    if let Ok(noticed) = &readings.noticed
        && is_accepted
    {
        return noticed.verdicts.clone();
    }
    let status = world.contract.status.as_ref();
    let term = status.and_then(|status| status.term.as_ref());
    let notices = world.notices.iter();
    let notices = notices.filter(|it| it.metadata.deletion_timestamp.is_none());
    let verdicts = notices.map(|notice| {
        let name = notice.metadata.name.clone().unwrap_or_default();
        let is = |by: Option<&str>| by == Some(&*name);
        let counted = term.and_then(|term| match notice.spec.r#type {
            NoticeType::Started => is(term.started_by.as_deref()).then_some(term.start),
            NoticeType::Ended => term.end.filter(|_| is(term.ended_by.as_deref())),
        });
        (name, counted.ok_or_else(|| not_accepted("notice")))
    });
    verdicts.collect()
}

/// Returns the verdict on the notice of a contract that does not exist.
pub fn notice_of_no_contract(notice: &ContractNotice) -> NoticeVerdict {
    let advice = ", or delete the notice and make one with the right name";
    Err(of_no_contract(&notice.spec.contract_ref.name, advice))
}

/// Returns the status of a notice. Equal input gives equal output.
pub fn notice_status(
    notice: &ContractNotice,
    verdict: &NoticeVerdict,
    now: Timestamp,
) -> ContractNoticeStatus {
    let previous = notice.status.clone().unwrap_or_default();
    let judged = match verdict {
        Ok(instant) => {
            let summary = done(notice, *instant, now);
            let valid = match notice.spec.r#type {
                NoticeType::Started => "The notice is valid: it starts the contract.",
                NoticeType::Ended => "The notice is valid: it ends the contract.",
            };
            Judged::valid(summary, valid)
        }
        Err(Fault { reason, message }) => Judged::refused(*reason, message.clone()),
    };
    let before = (previous.observed_generation, &*previous.conditions);
    let (observed_generation, conditions) =
        judged.into_status(before, notice.metadata.generation, now);
    ContractNoticeStatus {
        observed_generation,
        conditions,
    }
}

/// Returns the summary of a notice that counts, at an instant that is not always its own. A message has
/// no instant: those are in the term.
fn done(notice: &ContractNotice, instant: Timestamp, now: Timestamp) -> Summary {
    let verb = match (notice.spec.r#type, instant <= now) {
        (NoticeType::Started, true) => "has started",
        (NoticeType::Ended, true) => "has ended",
        (NoticeType::Started, false) => "starts",
        (NoticeType::Ended, false) => "ends",
    };
    let reason = if instant <= now {
        Reason::Succeeded
    } else {
        Reason::Scheduled
    };
    let is_its_own = notice
        .spec
        .at
        .parse()
        .is_ok_and(|at: Timestamp| at == instant);
    let when = if is_its_own {
        ""
    } else {
        ", at another instant than its own: status.term of the Contract has it"
    };
    Summary::done(reason, format!("The notice {verb} the contract{when}."))
}
