//! Timeline: the stages of a contract, each from the instant of an amendment on (B2; api section
//! "ContractAmendment").
//!
//! Decides the instant of each amendment, whether it is accepted, and the entries of each stage. An
//! amendment is tried on the stage before it; one that is refused changes nothing. One that was
//! accepted stays so when its instant has passed, whatever is edited later. It must never decide
//! what one device gets: that is `revisions`. Called by `resolve`.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{AmendedService, Contract, ContractAmendment, ResolvedTerm};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::acceptance::entry_faults;
use super::amendment_conflict::conflict;
use super::overlay::{StageEntry, overlay, unamended};
use super::parameters::unknown_parameter;
use super::parsed::{Entries, Readings, created};
use super::references::references;
use super::{ContractWorld, Fault, is_terminating, unsupported};
use crate::promise::in_force;
use crate::time::{in_words, instant, local_date, start_of_date, zone};

/// The entries of a contract from an instant on.
#[derive(Clone, Debug)]
pub(super) struct Stage<'a> {
    /// The first instant.
    pub(super) from: Timestamp,
    /// The amendment that brings it; `None`: the contract itself, at the start of its term.
    pub(super) amended: Option<Amended<'a>>,
    pub(super) entries: Vec<StageEntry<'a>>,
}

/// The amendment of a stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amended<'a> {
    pub(super) name: &'a str,
    /// The instant since which it is known: its creation, or that from which the contract promises
    /// its start if that is later.
    pub(super) known: Timestamp,
    /// True if an earlier pass has accepted it, so that what it changes was written then.
    pub(super) was_accepted: bool,
}

/// The stages of a contract, and the verdict on each amendment.
#[derive(Clone, Debug)]
pub(super) struct Timeline<'a> {
    /// In order; the first one is the contract itself.
    pub(super) stages: Vec<Stage<'a>>,
    /// By name: the instant of an amendment that is accepted, or its faults.
    pub(super) verdicts: BTreeMap<&'a str, Result<Timestamp, Vec<Fault>>>,
}

impl Timeline<'_> {
    /// Returns the number of the stage in force, before the start that of the first one.
    pub(super) fn current(&self, now: Timestamp) -> usize {
        let begun = self.stages.iter().filter(|stage| stage.from <= now);
        begun.count().saturating_sub(1)
    }

    /// Returns the next instant at which an amendment begins.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let instants = self.stages.iter().map(|stage| stage.from);
        instants.filter(|from| *from > now).min()
    }
}

/// Returns the stages of a contract whose term is this one.
pub(super) fn timeline<'a>(
    world: &'a ContractWorld,
    readings: &Readings<'_>,
    term: Option<&ResolvedTerm>,
    now: Timestamp,
) -> Timeline<'a> {
    let contract = &world.contract;
    let first = Stage {
        from: term.map_or(Timestamp::MIN, |term| term.start),
        amended: None,
        entries: unamended(contract),
    };
    let mut timeline = Timeline {
        stages: vec![first],
        verdicts: BTreeMap::new(),
    };
    let zone = zone(&contract.spec.term.time_zone);
    let (Some(term), Ok(zone)) = (term, zone) else {
        return timeline;
    };
    let promised_from = readings.promised_from.as_ref();
    let known = Known {
        zone: &zone,
        start: term.start,
        created: created(contract, now),
        promised_from: promised_from.map_or(Timestamp::MIN, |from| *from),
    };
    let mut ordered = Vec::new();
    for amendment in world.amendments.iter().map(|found| &**found) {
        if amendment.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let dated = Dated::new(amendment, &known, now);
        match dated {
            Ok(dated) => ordered.push(dated),
            Err(fault) => {
                let name = name_of(amendment);
                timeline.verdicts.insert(name, Err(vec![fault]));
            }
        }
    }
    ordered.sort_by_key(|it| (it.effective, it.created, it.amended.name));
    let mut trial = Trial {
        world,
        readings,
        term,
        zone: &zone,
        now,
        accepted: Vec::new(),
        faults: None,
    };
    for dated in ordered {
        let entries = trial.entries(&dated, &timeline.stages);
        let verdict = entries.map(|entries| {
            timeline.stages.push(Stage {
                from: dated.effective,
                amended: Some(dated.amended),
                entries,
            });
            trial.accepted.push(dated);
            dated.effective
        });
        timeline.verdicts.insert(dated.amended.name, verdict);
    }
    leave_out_until_added(world, &mut timeline.stages, now);
    timeline
}

/// Facts of a contract by which its amendments are dated.
struct Known<'a> {
    zone: &'a TimeZone,
    start: Timestamp,
    created: Timestamp,
    promised_from: Timestamp,
}

/// An amendment with its instants.
#[derive(Clone, Copy)]
struct Dated<'a> {
    amendment: &'a ContractAmendment,
    effective: Timestamp,
    created: Timestamp,
    amended: Amended<'a>,
    /// True if it was accepted and its instant has passed.
    in_force: bool,
}

impl<'a> Dated<'a> {
    fn new(
        amendment: &'a ContractAmendment,
        contract: &Known<'_>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let status = amendment.status.as_ref();
        let before = status.and_then(|status| status.effective);
        // A verdict on an earlier contract of this name says nothing.
        let is_of_this =
            |before: &Timestamp| contract.created <= *before && contract.start < *before;
        let before = before.filter(is_of_this);
        let passed = before.filter(|before| *before <= now);
        let effective = match passed {
            Some(passed) => passed,
            None => effective(amendment, contract.zone)?,
        };
        let created = amendment.metadata.creation_timestamp.as_ref();
        let created = created.map_or(now, |created| created.0);
        Ok(Self {
            amendment,
            effective,
            created,
            amended: Amended {
                name: name_of(amendment),
                // A contract promises nothing before the instant from which it promises its start.
                known: created.max(contract.promised_from),
                was_accepted: before.is_some(),
            },
            in_force: passed.is_some(),
        })
    }
}

/// Returns the instant of an amendment in the zone of its contract, if it can be read.
pub(super) fn effective_in(
    contract: &Contract,
    amendment: &ContractAmendment,
) -> Option<Timestamp> {
    let zone = zone(&contract.spec.term.time_zone).ok()?;
    effective(amendment, &zone).ok()
}

/// Returns the instant that an amendment names.
fn effective(amendment: &ContractAmendment, zone: &TimeZone) -> Result<Timestamp, Fault> {
    let spec = &amendment.spec;
    let read = match (&spec.effective_date, &spec.effective_time) {
        (Some(date), None) => {
            local_date("effectiveDate", date).map(|date| start_of_date(date, zone))
        }
        (None, Some(time)) => instant("effectiveTime", time),
        _ => {
            let message = "spec: exactly one of effectiveDate and effectiveTime must be set";
            return Err(unsupported(message.to_owned()));
        }
    };
    read.map_err(|error| unsupported(error.to_string()))
}

/// Circumstances under which an amendment is tried.
struct Trial<'t, 'a> {
    world: &'a ContractWorld,
    readings: &'t Readings<'t>,
    term: &'t ResolvedTerm,
    zone: &'t TimeZone,
    now: Timestamp,
    /// The amendments that are accepted so far.
    accepted: Vec<Dated<'a>>,
    /// The faults of the last stage, once they were needed.
    faults: Option<BTreeSet<Fault>>,
}

impl<'a> Trial<'_, 'a> {
    /// Returns the entries of the stage that an amendment brings, or why it is refused.
    fn entries(
        &mut self,
        dated: &Dated<'a>,
        stages: &[Stage<'a>],
    ) -> Result<Vec<StageEntry<'a>>, Vec<Fault>> {
        let before = stages.last().map_or(&[][..], |stage| &stage.entries);
        let changes = &dated.amendment.spec.services;
        if dated.in_force {
            self.faults = None;
            // The contract has taken up, or ended, the part that cannot be made any more.
            let entries = overlay(before, changes, true);
            return Ok(entries.unwrap_or_else(|_| before.to_vec()));
        }
        self.outside_term(dated)
            .map_or(Ok(()), |it| Err(vec![it]))?;
        let same = self.accepted.iter();
        let same = same.filter(|other| other.effective == dated.effective);
        for other in same {
            if let Some(fault) = conflict(other.amendment, dated.amendment) {
                return Err(vec![fault]);
            }
        }
        let entries = overlay(before, changes, false)?;
        let mut faults = self.new_faults(before, &entries);
        faults.extend(
            changes
                .iter()
                .filter_map(|it| self.unknown_unset(before, it)),
        );
        if faults.is_empty() {
            Ok(entries)
        } else {
            Err(faults.into_iter().collect())
        }
    }

    /// Refuses an instant outside of the term, and any amendment of a contract that is over.
    fn outside_term(&self, dated: &Dated<'a>) -> Option<Fault> {
        let spec = &dated.amendment.spec;
        let (field, found) = match (&spec.effective_date, &spec.effective_time) {
            (Some(date), _) => ("effectiveDate", date.as_str()),
            (None, time) => ("effectiveTime", time.as_deref().unwrap_or_default()),
        };
        let contract = &spec.contract_ref.name;
        let found = format!("spec.{field} is \"{found}\"");
        let words = |instant| in_words(instant, self.zone);
        if dated.effective <= self.term.start {
            let message = format!(
                "{found}: must be later than the start of Contract {contract}, {}; what it promises \
                 from its start stands in the contract itself",
                words(self.term.start)
            );
            let reason = Reason::BeforeTerm;
            return Some(Fault { reason, message });
        }
        let end = self.term.end?;
        // One that was made in time stays accepted when the contract has ended.
        let message = if end <= dated.created {
            let end = words(end);
            format!("{found}, and Contract {contract} has ended, {end}: make another contract")
        } else if end <= dated.effective {
            let end = words(end);
            format!("{found}: must be earlier than the end of Contract {contract}, {end}")
        } else {
            return None;
        };
        let reason = Reason::AfterTerm;
        Some(Fault { reason, message })
    }

    /// Refuses to unset a parameter that neither the SmartService has nor the entry before.
    fn unknown_unset(&self, before: &[StageEntry<'a>], change: &AmendedService) -> Option<Fault> {
        let entry = before.iter().find(|it| it.service.name == change.name);
        let of_entry = entry.map(|it| &it.service.service_ref.name);
        let service_name = change
            .service_ref
            .as_ref()
            .map(|it| &it.name)
            .or(of_entry)?;
        let service = self.world.services.get(service_name)?;
        let parameters = || service.spec.parameters.iter().map(|it| it.name.as_str());
        let was_set = |name: &str| {
            entry.is_some_and(|it| {
                it.service.parameters.contains_key(name)
                    || it
                        .service
                        .secret_parameters
                        .iter()
                        .any(|it| it.name == name)
            })
        };
        let mut unset = change.unset.iter();
        let unknown = unset.find(|name| !parameters().any(|it| it == **name) && !was_set(name))?;
        let place = format!("spec.services[{}].unset.{unknown}", change.name);
        Some(unsupported(unknown_parameter(&place, service)))
    }

    /// Returns the faults that a stage has and the one before it has not.
    fn new_faults(
        &mut self,
        before: &[StageEntry<'a>],
        after: &[StageEntry<'a>],
    ) -> BTreeSet<Fault> {
        let faults = self.faults.take().unwrap_or_else(|| self.faults_of(before));
        let then = self.faults_of(after);
        let new = &then - &faults;
        // The stage that was tried is the last one from now on, unless it is refused.
        self.faults = Some(if new.is_empty() { then } else { faults });
        new
    }

    fn faults_of(&self, entries: &[StageEntry<'a>]) -> BTreeSet<Fault> {
        let read = Entries::new(self.world, entries);
        let mut faults = entry_faults(self.world, self.readings, &read, self.now);
        faults.extend(references(self.world, &read).err().into_iter().flatten());
        faults
    }
}

/// Leaves a device that an amendment adds out of the stages before, if a selector matches it there;
/// back to an amendment that has added it before, or has removed it. One that an entry names, and one
/// that has the service now, keeps it: who adds it once more takes nothing away.
fn leave_out_until_added(world: &ContractWorld, stages: &mut [Stage<'_>], now: Timestamp) {
    let adds = |stage: &Stage<'_>| stage.entries.iter().any(|entry| !entry.added.is_empty());
    if !stages.iter().any(adds) {
        return;
    }
    let served: BTreeSet<(&str, &str)> = world
        .own()
        .filter(|found| !is_terminating(found) && in_force(&found.spec.revisions, now).is_some())
        .map(|found| {
            let spec = &found.spec;
            (spec.service_name.as_str(), spec.device_ref.name.as_str())
        })
        .collect();
    let mut added: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for number in (0..stages.len()).rev() {
        let (before, from_here) = stages.split_at_mut(number);
        let before = before.last().map_or(&[][..], |stage| &stage.entries);
        for entry in &mut from_here[0].entries {
            let later = added.entry(entry.service.name.clone()).or_default();
            let name = &entry.service.name;
            let was_without = before
                .iter()
                .find(|it| it.service.name == *name)
                .map(|it| &it.without);
            let is_removed = |device: &String| {
                let was_in = was_without.is_some_and(|without| !without.contains(device));
                was_in && entry.without.contains(device)
            };
            let removed: Vec<String> = later.iter().filter(|it| is_removed(it)).cloned().collect();
            let stays = |device: &String| {
                let is_named = entry.service.devices.names.contains(device);
                is_named || served.contains(&(name, device))
            };
            let out = later.difference(&entry.added).filter(|it| !stays(it));
            let out: Vec<String> = out.cloned().collect();
            entry.without.extend(out);
            later.retain(|device| !removed.contains(device));
            later.extend(entry.added.iter().cloned());
        }
    }
}

fn name_of(amendment: &ContractAmendment) -> &str {
    amendment.metadata.name.as_deref().unwrap_or_default()
}
