//! The texts of a contract as values or faults, each parsed once.
//!
//! Decides nothing. Made by `resolve`; `acceptance` collects the faults, and the subscriptions are
//! made of the values, which nobody reads a second time.

use entente_crds::v1alpha1::{Contract, ResolvedTerm};
use jiff::Timestamp;

use super::ContractWorld;
use super::device_sets::{DeviceSets, device_sets};
use super::terms::EntryTerms;
use crate::promise::promised_from;
use crate::time::{TermError, resolve_term};

/// Values of a contract, or the faults of their texts.
pub(super) struct Readings<'a> {
    /// The first and last instant of the term.
    pub(super) term: Result<ResolvedTerm, TermError>,
    /// The instant from which on the start is promised.
    pub(super) promised_from: Result<Timestamp, TermError>,
    /// The devices of each entry.
    pub(super) devices: DeviceSets,
    /// The terms of each entry, in order; `None` where its SmartService was not found.
    pub(super) terms: Vec<Option<EntryTerms<'a>>>,
}

impl<'a> Readings<'a> {
    pub(super) fn new(world: &'a ContractWorld, now: Timestamp) -> Self {
        let contract = &world.contract;
        let terms = contract.spec.services.iter().map(|entry| {
            let service = world.services.get(&entry.service_ref.name)?;
            Some(EntryTerms::new(contract, entry, service))
        });
        Self {
            term: resolve_term(&contract.spec.term),
            promised_from: promised_from(contract, created(contract, now)),
            devices: device_sets(contract, &world.devices),
            terms: terms.collect(),
        }
    }
}

/// Returns the creationTimestamp of a contract; `now` if it has none yet.
pub(super) fn created(contract: &Contract, now: Timestamp) -> Timestamp {
    let created = contract.metadata.creation_timestamp.as_ref();
    created.map_or(now, |created| created.0)
}
