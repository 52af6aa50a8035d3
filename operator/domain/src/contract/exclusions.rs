//! Exclusions: the days of a contract that are agreed not to be owed (D9).
//!
//! Decides the instants at which they begin and end in the zone of the contract, the devices that
//! they are for, and the times of them that an entry has. An exclusion changes no terms, so it makes
//! no entry: it is written into those that there are, and only the part of it that lies ahead when
//! it is first seen. It must never change what has passed, nor an entry whose promise is decided.
//! Called by `resolve`; `compensation` freezes the times in its records and cuts them out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::schema::MAX_EXCLUDED_TIMES;
use entente_crds::v1alpha1::{
    Contract, ExcludedTime, Exclusion, Revision, Selector, ServiceSubscription,
};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::revisions::instant;
use super::{Fault, unsupported};
use crate::promise::is_frozen;
use crate::time::{TermError, parse_date, start_of_date, zone};

/// The exclusions of a contract as instants, each with its devices.
#[derive(Clone, Debug, Default)]
pub(super) struct Exclusions<'a> {
    all: Vec<(ExcludedTime, Option<Meant<'a>>)>,
}

/// The devices that an exclusion is for.
#[derive(Clone, Debug)]
struct Meant<'a> {
    selector: Option<&'a Selector>,
    names: BTreeSet<&'a str>,
}

impl Meant<'_> {
    /// True if a device is meant; one that does not exist has no labels.
    fn has(&self, device: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let selector = self.selector.filter(|selector| !selector.is_empty());
        let selected = selector.zip(labels);
        self.names.contains(device)
            || selected.is_some_and(|(selector, labels)| selector.matches(labels))
    }
}

impl<'a> Exclusions<'a> {
    /// Reads the exclusions of a contract.
    ///
    /// # Errors
    /// Returns a fault for each text that cannot be used.
    pub(super) fn new(contract: &'a Contract) -> Result<Self, Vec<Fault>> {
        let spec = &contract.spec;
        if spec.exclusions.is_empty() {
            return Ok(Self::default());
        }
        let zone = zone(&spec.term.time_zone).map_err(|source| {
            let error = TermError::Zone { source };
            vec![Fault {
                reason: error.reason(),
                message: error.to_string(),
            }]
        })?;
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for exclusion in &spec.exclusions {
            let meant = exclusion.devices.as_ref().map(|devices| Meant {
                selector: devices.selector.as_ref(),
                names: devices.names.iter().map(String::as_str).collect(),
            });
            match time_of(exclusion, &zone) {
                Ok(time) => all.push((time, meant)),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() {
            Ok(Self { all })
        } else {
            Err(faults)
        }
    }

    /// Returns the excluded times of a device, whichever of its entries; `labels` are there where the
    /// Device exists.
    pub(super) fn of_device(
        &self,
        device: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Vec<ExcludedTime> {
        let is_meant = |meant: &Option<Meant<'_>>| {
            let meant = meant.as_ref();
            meant.is_none_or(|meant| meant.has(device, labels))
        };
        let times = self.all.iter().filter(|(_, meant)| is_meant(meant));
        union(times.map(|(time, _)| time.clone()))
    }
}

/// Returns the instants between which an exclusion lies, or the faults of its dates.
fn time_of(exclusion: &Exclusion, zone: &TimeZone) -> Result<ExcludedTime, Vec<Fault>> {
    let path = format!("spec.exclusions[{}]", exclusion.name);
    let date = |field: &str, found: &str| -> Result<Date, Fault> {
        parse_date(found).ok_or_else(|| {
            unsupported(format!(
                "{path}.{field} is \"{found}\": must be a date such as \"2027-12-24\""
            ))
        })
    };
    let first = date("from", &exclusion.from);
    let next = date("until", &exclusion.until);
    match (first, next) {
        (Ok(first), Ok(next)) if first < next => Ok(ExcludedTime {
            from: start_of_date(first, zone),
            until: start_of_date(next, zone),
        }),
        (Ok(first), Ok(next)) => Err(vec![unsupported(format!(
            "{path}.until is \"{next}\": must be after from, which is \"{first}\"; it is the first \
             day that is owed again"
        ))]),
        (first, next) => Err([first.err(), next.err()].into_iter().flatten().collect()),
    }
}

/// Joins times to ones that are in order and of which none is empty or touches the next.
fn union(times: impl Iterator<Item = ExcludedTime>) -> Vec<ExcludedTime> {
    let mut times: Vec<ExcludedTime> = times.filter(|time| time.from < time.until).collect();
    times.sort_unstable_by_key(|time| (time.from, time.until));
    let mut joined: Vec<ExcludedTime> = Vec::new();
    for time in times {
        match joined.last_mut() {
            Some(last) if time.from <= last.until => last.until = last.until.max(time.until),
            _ => joined.push(time),
        }
    }
    joined
}

/// Returns the times that hold where those `before` were seen and others are wanted since an
/// instant: what lies before it stays, and what lies ahead is as wanted.
fn seen(before: &[ExcludedTime], wanted: &[ExcludedTime], since: Timestamp) -> Vec<ExcludedTime> {
    let passed = before.iter().map(|time| ExcludedTime {
        from: time.from,
        until: time.until.min(since),
    });
    let ahead = wanted.iter().map(|time| ExcludedTime {
        from: time.from.max(since),
        until: time.until,
    });
    union(passed.chain(ahead))
}

/// Returns the instant since which the exclusions of a contract are known where nothing of it was
/// written yet: now, or, if nobody has edited it, that from which on it promises.
pub(super) fn known_since(
    contract: &Contract,
    promised_from: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let unedited = contract.metadata.generation == Some(1);
    let known = if unedited { promised_from } else { now };
    instant(known.min(now))
}

/// Writes the wanted times into entries that are written for the first time.
pub(super) fn exclude_first(
    mut entries: Vec<Arc<Revision>>,
    wanted: &[ExcludedTime],
    since: Timestamp,
) -> Vec<Arc<Revision>> {
    for entry in &mut entries {
        let times = seen(&[], wanted, since);
        if entry.exclusions != times {
            Arc::make_mut(entry).exclusions = times;
        }
    }
    entries
}

/// Writes the wanted times into the entries of a subscription; `None` if one has more than it can
/// hold while a record may still be made of it.
pub(super) fn exclude(
    mut entries: Vec<Arc<Revision>>,
    subscription: &ServiceSubscription,
    wanted: &[ExcludedTime],
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    for entry in &mut entries {
        let decided = if entry.promised {
            is_frozen(subscription, entry)
        } else {
            entry.until.is_some_and(|until| until <= now)
        };
        if decided {
            continue;
        }
        let times = seen(&entry.exclusions, wanted, instant(now));
        let times = bounded(times, entry, now)?;
        if entry.exclusions != times {
            Arc::make_mut(entry).exclusions = times;
        }
    }
    Some(entries)
}

/// Drops the oldest times that no record needs, until an entry can hold them; `None` if that does
/// not suffice.
fn bounded(
    mut times: Vec<ExcludedTime>,
    entry: &Revision,
    now: Timestamp,
) -> Option<Vec<ExcludedTime>> {
    let needed_from = if entry.promised { entry.effective } else { now };
    while times.len() > MAX_EXCLUDED_TIMES {
        if times[0].until > needed_from {
            return None;
        }
        times.remove(0);
    }
    Some(times)
}
