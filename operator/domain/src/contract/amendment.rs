//! The status of an amendment (api section "ContractAmendment"; K2).
//!
//! Decides its conditions from the verdict of the contract that it amends, and the verdict itself
//! where there is no such contract, or none that is accepted. It must never decide what an amendment
//! changes: that is `timeline`. Called by `resolve` and by the contract controller.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ContractAmendment, ContractAmendmentStatus};
use jiff::Timestamp;

use super::judged::{Judged, not_accepted, of_no_contract};
use super::parsed::created;
use super::timeline::Timeline;
use super::{ContractWorld, Fault, ResolvedContract, joined, listed, reason_of};
use crate::condition::Summary;
use crate::promise::is_promised;

/// An amendment that is accepted, or its faults.
pub type AmendmentVerdict = Result<AcceptedAmendment, Vec<Fault>>;

/// An amendment that is accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AcceptedAmendment {
    /// The instant of the change.
    pub effective: Timestamp,
    /// Devices that it names and that do not exist.
    pub missing: Vec<String>,
    /// True if it was made after its own instant, so that it promises nothing.
    pub is_late: bool,
}

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
        let accepted = |effective| AcceptedAmendment {
            effective,
            missing: missing_devices(world, amendment),
            is_late: is_late(world, amendment, effective, now),
        };
        (name, verdict.map(accepted))
    });
    verdicts.collect()
}

/// Returns the devices that an amendment names and that do not exist, sorted.
fn missing_devices(world: &ContractWorld, amendment: &ContractAmendment) -> Vec<String> {
    let changes = amendment.spec.services.iter();
    let named = changes.filter_map(|it| it.devices.as_ref());
    let named = named.flat_map(|it| it.names.iter().chain(&it.add));
    let named: BTreeSet<&str> = named.map(String::as_str).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let exist: BTreeSet<&str> = world.devices.iter().map(|it| it.name.as_str()).collect();
    named
        .difference(&exist)
        .map(|it| (*it).to_owned())
        .collect()
}

/// True if an amendment was made after its own instant. Of one that came back from a backup nobody
/// knows.
fn is_late(
    world: &ContractWorld,
    amendment: &ContractAmendment,
    effective: Timestamp,
    now: Timestamp,
) -> bool {
    let made = amendment.metadata.creation_timestamp.as_ref();
    let made = made.is_some_and(|made| !is_promised(effective, made.0));
    let came_back = created(&world.contract, now) > effective
        || world.own().any(|found| found.spec.restored.is_some());
    made && !came_back
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
        Ok(accepted) => Judged::valid(summary(accepted, now), "The amendment is valid."),
        Err(faults) => Judged::refused(reason_of(faults), joined(faults)),
    };
    let effective = match verdict {
        Ok(accepted) => Some(accepted.effective),
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

fn summary(accepted: &AcceptedAmendment, now: Timestamp) -> Summary {
    let AcceptedAmendment {
        effective,
        missing,
        is_late,
    } = accepted;
    if *effective <= now {
        let late = " It was made after its own instant, so it promises nothing.";
        let late = if *is_late { late } else { "" };
        return Summary::done(
            Reason::Succeeded,
            format!("The amendment is in force.{late}"),
        );
    }
    let mut message = "The amendment is accepted; its instant lies ahead.".to_owned();
    if !missing.is_empty() {
        let names = listed(missing.iter().map(String::as_str));
        let devices = match missing.len() {
            1 => "A device that it names does not exist yet".to_owned(),
            number => format!("{number} devices that it names do not exist yet"),
        };
        message = format!("{message} {devices}: {names}.");
    }
    Summary::done(Reason::Scheduled, message)
}
