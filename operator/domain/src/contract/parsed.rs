//! The texts of a contract as values or faults, each parsed once.
//!
//! Decides nothing. Made by `resolve`, the entries for each stage of the contract; `acceptance`
//! collects the faults, and the subscriptions are made of the values, which nobody reads a second
//! time.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Contract, ContractService, ResolvedTerm};
use jiff::{SignedDuration, Timestamp};

use super::device_sets::{DeviceSets, device_sets};
use super::exclusions::Exclusions;
use super::notices::{Noticed, noticed};
use super::overlay::StageEntry;
use super::terms::EntryTerms;
use super::{ContractWorld, Exception, Fault, unsupported};
use crate::promise::promised_from;
use crate::time::TermError;

/// Dates and durations of a contract, or the faults of their texts.
pub(super) struct Readings<'a> {
    /// The first and last instant of the term, with the verdicts on the notices that say them.
    pub(super) noticed: Result<Noticed, TermError>,
    /// The instant from which on the start is promised.
    pub(super) promised_from: Result<Timestamp, TermError>,
    /// The time before its start from which the contract is prepared.
    pub(super) lead_time: Result<SignedDuration, Fault>,
    /// The times that are agreed not to be owed, or the faults of their texts.
    pub(super) exclusions: Result<Exclusions<'a>, Vec<Fault>>,
}

/// The entries of a contract in one stage, with their devices and terms.
pub(super) struct Entries<'a> {
    /// In the order of the contract.
    pub(super) all: Vec<ReadEntry<'a>>,
    /// Devices that an entry does not get, because another one has them; sorted.
    pub(super) taken: Vec<Exception>,
    /// Devices that two entries of one service name.
    pub(super) faults: Vec<Fault>,
}

/// An entry in one stage.
pub(super) struct ReadEntry<'a> {
    pub(super) entry: &'a ContractService,
    /// By the name of a device: true if the entry names it, false if a label selects it.
    pub(super) devices: BTreeMap<String, bool>,
    /// `None` where its SmartService was not found.
    pub(super) terms: Option<EntryTerms<'a>>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(world: &'a ContractWorld, entries: &'a [StageEntry<'a>]) -> Self {
        let DeviceSets {
            sets,
            exceptions,
            faults,
        } = device_sets(entries, &world.devices);
        let read = |(entry, devices): (&'a StageEntry<'a>, _)| {
            let entry = &*entry.service;
            let service = world.services.get(&entry.service_ref.name);
            let terms = |service| EntryTerms::new(&world.contract, entry, service, &world.devices);
            ReadEntry {
                entry,
                devices,
                terms: service.map(|service| terms(service)),
            }
        };
        Self {
            all: entries.iter().zip(sets).map(read).collect(),
            taken: exceptions,
            faults,
        }
    }

    /// True if an entry has the same terms here, whatever devices it has.
    pub(super) fn has_same_terms(&self, entry: &ContractService) -> bool {
        let mut entries = self.all.iter().map(|read| read.entry);
        let before = entries.find(|before| before.name == entry.name);
        before.is_some_and(|before| std::ptr::eq(before, entry) || are_same(before, entry))
    }
}

/// True if two entries are the same but for their devices.
fn are_same(one: &ContractService, other: &ContractService) -> bool {
    // All fields, so that a new one that is forgotten here does not compile.
    let ContractService {
        name,
        service_ref,
        devices: _,
        parameters,
        overrides,
        secret_parameters,
        fee,
        service_level,
        remedies,
        elect,
    } = one;
    *name == other.name
        && *service_ref == other.service_ref
        && *parameters == other.parameters
        && *overrides == other.overrides
        && *secret_parameters == other.secret_parameters
        && *fee == other.fee
        && *service_level == other.service_level
        && *remedies == other.remedies
        && *elect == other.elect
}

impl<'a> Readings<'a> {
    pub(super) fn new(world: &'a ContractWorld, now: Timestamp) -> Self {
        let contract = &world.contract;
        Self {
            noticed: noticed(
                contract,
                world.subscriptions.iter().map(|it| &**it),
                world.notices.iter().map(|it| &**it),
                now,
            ),
            promised_from: promised_from(contract, created(contract, now)),
            lead_time: lead_time(contract),
            exclusions: Exclusions::new(contract),
        }
    }

    /// Returns the term, if it can be read and its start is known.
    pub(super) fn term(&self) -> Option<&ResolvedTerm> {
        self.noticed.as_ref().ok()?.term.as_ref()
    }
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
