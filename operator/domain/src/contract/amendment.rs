//! The status of an amendment (api section "ContractAmendment"; K2).
//!
//! Decides its conditions from the verdict of the contract that it amends, and the verdict itself
//! where there is no such contract, or none that is accepted. It must never decide what an amendment
//! changes: that is `timeline`. Called by `resolve` and by the contract controller.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ContractAmendment, ContractAmendmentStatus};
use jiff::Timestamp;

use super::judged::{Judged, not_accepted, of_no_contract};
use super::timeline::Timeline;
use super::{ContractWorld, Fault, ResolvedContract, joined, reason_of};
use crate::condition::Summary;

/// The instant of an amendment that is accepted, or its faults.
pub type AmendmentVerdict = Result<Timestamp, Vec<Fault>>;

/// Returns the verdict on each amendment of a contract, by name. While the contract is not accepted
/// nothing can be said of those that are not in force yet.
pub(super) fn verdicts(
    world: &ContractWorld,
    timeline: &Timeline<'_>,
    resolved: &ResolvedContract,
    now: Timestamp,
) -> BTreeMap<String, AmendmentVerdict> {
    let is_accepted = resolved.accepted.is_ok();
    let pending = || {
        let awaited = "The contract waits for the notice of its start. The amendment is looked at \
                       when it has started";
        Err(vec![if is_accepted {
            Fault {
                reason: Reason::Pending,
                message: awaited.to_owned(),
            }
        } else {
            not_accepted("amendment")
        }])
    };
    let amendments = world.amendments.iter();
    let amendments = amendments.filter(|it| it.metadata.deletion_timestamp.is_none());
    let verdicts = amendments.map(|amendment| {
        let name = amendment.metadata.name.clone().unwrap_or_default();
        let status = amendment.status.as_ref();
        let in_force = status.and_then(|status| status.effective);
        let in_force = in_force.filter(|effective| *effective <= now);
        let verdict = timeline.verdicts.get(&*name).filter(|_| is_accepted);
        let verdict = match (verdict, in_force) {
            (Some(verdict), _) => verdict.clone(),
            (None, Some(effective)) => Ok(effective),
            (None, None) => pending(),
        };
        (name, verdict)
    });
    verdicts.collect()
}

/// Returns the verdict on the amendments of a contract that does not exist.
pub fn contract_not_found(amendment: &ContractAmendment) -> AmendmentVerdict {
    let contract = &amendment.spec.contract_ref.name;
    Err(vec![of_no_contract(contract, " or correct the name")])
}

/// Returns the verdict on an amendment that is valid and that not every subscription has yet.
pub fn not_written() -> AmendmentVerdict {
    Err(vec![Fault {
        reason: Reason::Pending,
        message: "The subscriptions that the amendment changes are not written yet: see the \
                  condition Ready of the contract"
            .to_owned(),
    }])
}

/// Returns the status of an amendment. Equal input gives equal output.
pub fn amendment_status(
    amendment: &ContractAmendment,
    verdict: &AmendmentVerdict,
    now: Timestamp,
) -> ContractAmendmentStatus {
    let previous = amendment.status.clone().unwrap_or_default();
    let judged = match verdict {
        Ok(effective) => {
            let summary = if *effective <= now {
                Summary::done(Reason::Succeeded, "The amendment is in force.")
            } else {
                Summary::done(
                    Reason::Scheduled,
                    "The amendment is accepted; its instant lies ahead.",
                )
            };
            Judged::valid(summary, "The amendment is valid.")
        }
        Err(faults) => Judged::refused(reason_of(faults), joined(faults)),
    };
    let effective = match verdict {
        Ok(effective) => Some(*effective),
        // Not judged: what was accepted before may hold again.
        Err(faults) if reason_of(faults) == Reason::Pending => previous.effective,
        Err(_) => None,
    };
    let before = (previous.observed_generation, &*previous.conditions);
    let (observed_generation, conditions) =
        judged.into_status(before, amendment.metadata.generation, now);
    ContractAmendmentStatus {
        observed_generation,
        conditions,
        effective,
    }
}
