//! The texts of a contract as values or faults, each parsed once.
//!
//! Decides nothing. Made by `resolve`; `acceptance` collects the faults, and the subscriptions are
//! made of the values, which nobody reads a second time.

use entente_crds::v1alpha1::{Contract, ResolvedTerm};
use jiff::{SignedDuration, Timestamp};

use super::device_sets::{DeviceSets, device_sets};
use super::exclusions::Exclusions;
use super::terms::EntryTerms;
use super::{ContractWorld, Fault, unsupported};
use crate::promise::promised_from;
use crate::time::{TermError, resolve_accepted_term};

/// Values of a contract, or the faults of their texts.
pub(super) struct Readings<'a> {
    /// The first and last instant of the term.
    pub(super) term: Result<ResolvedTerm, TermError>,
    /// The instant from which on the start is promised.
    pub(super) promised_from: Result<Timestamp, TermError>,
    /// The time before its start from which the contract is prepared.
    pub(super) lead_time: Result<SignedDuration, Fault>,
    /// The devices of each entry.
    pub(super) devices: DeviceSets,
    /// The times that are agreed not to be owed, or the faults of their texts.
    pub(super) exclusions: Result<Exclusions<'a>, Vec<Fault>>,
    /// The terms of each entry, in order; `None` where its SmartService was not found.
    pub(super) terms: Vec<Option<EntryTerms<'a>>>,
}

impl<'a> Readings<'a> {
    pub(super) fn new(world: &'a ContractWorld, now: Timestamp) -> Self {
        let contract = &world.contract;
        let terms = contract.spec.services.iter().map(|entry| {
            let service = world.services.get(&entry.service_ref.name)?;
            Some(EntryTerms::new(contract, entry, service, &world.devices))
        });
        Self {
            term: accepted_term(contract, now),
            promised_from: promised_from(contract, created(contract, now)),
            lead_time: lead_time(contract),
            devices: device_sets(contract, &world.devices),
            exclusions: Exclusions::new(contract),
            terms: terms.collect(),
        }
    }
}

/// Returns the term of a contract as instants.
///
/// # Errors
/// Returns the fault of its texts.
pub(super) fn accepted_term(
    contract: &Contract,
    now: Timestamp,
) -> Result<ResolvedTerm, TermError> {
    let status = contract.status.as_ref();
    let accepted = status.and_then(|status| status.term.as_ref());
    resolve_accepted_term(&contract.spec.term, accepted, now)
}

/// Returns the time before its start from which a contract is prepared; that of the
/// schema if it names none.
///
/// # Errors
/// Returns the fault that names the field, what was found and what is allowed.
pub(super) fn lead_time(contract: &Contract) -> Result<SignedDuration, Fault> {
    let given = contract.spec.preparation.clone();
    let length = given.unwrap_or_default().lead_time.length();
    length.map_err(|error| unsupported(format!("spec.preparation.leadTime: {error}")))
}

/// Returns the creationTimestamp of a contract; `now` if it has none yet.
pub(super) fn created(contract: &Contract, now: Timestamp) -> Timestamp {
    let created = contract.metadata.creation_timestamp.as_ref();
    created.map_or(now, |created| created.0)
}
