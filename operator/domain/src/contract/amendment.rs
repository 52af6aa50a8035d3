//! The status of an amendment (api section "ContractAmendment"; K2).
//!
//! Decides its conditions from the verdict of the contract that it amends, and the verdict itself
//! where there is no such contract, or none that is accepted. It must never decide what an amendment
//! changes: that is `timeline`. Called by `resolve` and by the contract controller.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ContractAmendment, ContractAmendmentStatus, UpcomingChange};
use jiff::Timestamp;

use super::judged::{Judged, not_accepted, of_no_contract};
use super::parsed::created;
use super::timeline::Timeline;
use super::{
    ContractWorld, EntryDevices, Fault, NAMES_SHOWN, ResolvedContract, joined, listed, reason_of,
};
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
    /// True if its instant lies ahead and no subscription begins, ends or changes then.
    pub changes_nothing: bool,
    /// Its entries that would not have the expected number of devices then, as far as they exist.
    pub mismatches: Vec<EntryDevices>,
    /// The instant at which it was made if that is later than its own: it promises nothing, and was
    /// not in force before.
    pub made_late: Option<Timestamp>,
}

/// Returns the verdict on each amendment of a contract, by name. While the contract is not accepted
/// nothing can be said of those that are not in force yet. `ahead` are the changes that lie ahead, each
/// with the devices of the entries from then on.
pub(super) fn verdicts(
    world: &ContractWorld,
    timeline: &Timeline<'_>,
    resolved: &ResolvedContract,
    ahead: &[(UpcomingChange, Vec<EntryDevices>)],
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
        let is_written = in_force.is_some();
        let in_force = in_force.filter(|effective| *effective <= now);
        let verdict = timeline.verdicts.get(&*name).filter(|_| is_accepted);
        let verdict = match (verdict, in_force) {
            (Some(verdict), _) => verdict.clone(),
            (None, Some(effective)) => Ok(effective),
            (None, None) if is_written && !is_accepted => Err(vec![written_before()]),
            (None, None) => pending(),
        };
        let change = ahead.iter().find(|(change, _)| *change.amendment == *name);
        let accepted = |effective| AcceptedAmendment {
            effective,
            missing: missing_devices(world, amendment, effective > now),
            changes_nothing: change.is_some_and(|(change, _)| changes_nothing(change)),
            mismatches: change.map_or_else(Vec::new, |(_, entries)| mismatches(entries)),
            made_late: made_late(world, amendment, effective, now),
        };
        (name, verdict.map(accepted))
    });
    verdicts.collect()
}

/// Returns the fault of an amendment that was accepted before an edit of its contract which is refused.
fn written_before() -> Fault {
    Fault {
        reason: Reason::Pending,
        message: "The contract is not accepted: see its condition Accepted. The amendment was \
                  accepted before, and comes at its instant all the same"
            .to_owned(),
    }
}

/// Returns the devices that an amendment brings and that do not exist, sorted; while it lies `ahead` also
/// those that it removes, which may be typing errors.
fn missing_devices(
    world: &ContractWorld,
    amendment: &ContractAmendment,
    ahead: bool,
) -> Vec<String> {
    let changes = amendment.spec.services.iter();
    let named = changes.filter_map(|it| it.devices.as_ref());
    let named = named.flat_map(|it| {
        let removed = it.remove.iter().filter(|_| ahead);
        it.names.iter().chain(&it.add).chain(removed)
    });
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

/// Returns the instant at which an amendment was made if that is later than its own. Of one that came
/// back from a backup nobody knows.
fn made_late(
    world: &ContractWorld,
    amendment: &ContractAmendment,
    effective: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let made = amendment.metadata.creation_timestamp.as_ref()?.0;
    let is_late = !is_promised(effective, made);
    let came_back = || {
        created(&world.contract, now) > effective
            || world.own().any(|found| found.spec.restored.is_some())
    };
    (is_late && !came_back()).then_some(made)
}

fn changes_nothing(change: &UpcomingChange) -> bool {
    change.adds == 0 && change.removes == 0 && change.changes == 0
}

/// Returns the entries that would not have the expected number of devices.
fn mismatches(entries: &[EntryDevices]) -> Vec<EntryDevices> {
    let mismatches = entries.iter().filter(|entry| entry.is_mismatch());
    mismatches.cloned().collect()
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

/// Returns a sentence with the devices that do not exist.
fn not_found(devices: &[String]) -> String {
    let names = listed(devices.iter().map(String::as_str));
    match devices.len() {
        0 => String::new(),
        1 => format!(" A device that it names does not exist: {names}."),
        number => format!(" {number} devices that it names do not exist: {names}."),
    }
}

fn summary(accepted: &AcceptedAmendment, now: Timestamp) -> Summary {
    let AcceptedAmendment {
        effective,
        missing,
        changes_nothing,
        mismatches,
        made_late,
    } = accepted;
    if *effective <= now {
        let late = " It was made after its own instant, so it promises nothing.";
        let late = made_late.map_or("", |_| late);
        let missing = not_found(missing);
        return Summary::done(
            Reason::Succeeded,
            format!("The amendment is in force.{late}{missing}"),
        );
    }
    let mut message = "The amendment is accepted; its instant lies ahead.".to_owned();
    if *changes_nothing {
        message.push_str(" No subscription changes then.");
    }
    message.push_str(&not_found(missing));
    for EntryDevices {
        service,
        devices,
        expected,
    } in mismatches.iter().take(NAMES_SHOWN)
    {
        let expected = expected.unwrap_or_default();
        message =
            format!("{message} Entry {service} expects {expected} devices and has {devices} then.");
    }
    Summary::done(Reason::Scheduled, message)
}
