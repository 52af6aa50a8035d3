//! The SmartServices that the entries of a contract name.
//!
//! Decides which are missing or cannot be read. Called by `resolve` for the condition ResolvedRefs,
//! and by `timeline` for an amendment.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;

use super::parsed::{Entries, ReadEntry};
use super::{ContractWorld, Fault, listed};
use crate::unreadable::UnreadableObjects;

/// End of the sentence about a SmartService that does not exist.
pub(crate) const NOT_FOUND: &str = "was not found: create it or correct serviceRef";

/// Checks that each SmartService is at hand; the fault of one that is not names the entries that
/// refer to it.
pub(super) fn references(world: &ContractWorld, entries: &Entries<'_>) -> Result<(), Vec<Fault>> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ReadEntry { entry, terms, .. } in &entries.all {
        if terms.is_none() {
            missing
                .entry(&entry.service_ref.name)
                .or_default()
                .push(&entry.name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let fault = |(service, entries): (&str, Vec<&str>)| {
        let entries: Vec<String> = entries.iter().map(|it| format!("services[{it}]")).collect();
        let (reason, words) = if world.unreadable_services.contains(service) {
            let words = UnreadableObjects::CANNOT_BE_READ;
            (Reason::Undecodable, words)
        } else {
            (Reason::ServiceNotFound, NOT_FOUND)
        };
        let entries = listed(entries.iter().map(String::as_str));
        Fault {
            reason,
            message: format!("SmartService {service}, named by {entries}, {words}"),
        }
    };
    Err(missing.into_iter().map(fault).collect())
}

/// Adds the fault that amendments cannot be read which may be of this contract. What they change is
/// not known, so that nothing of the contract is changed meanwhile.
pub(super) fn with_unreadable_amendments(
    world: &ContractWorld,
    refs: Result<(), Vec<Fault>>,
) -> Vec<Fault> {
    let names = world.unreadable_amendments.iter().map(String::as_str);
    let mut faults = refs.err().unwrap_or_default();
    faults.push(Fault {
        reason: Reason::Undecodable,
        message: format!(
            "ContractAmendment {} may be of this contract, whose subscriptions stay as they are, and \
             {}",
            listed(names),
            UnreadableObjects::CANNOT_BE_READ
        ),
    });
    faults
}
