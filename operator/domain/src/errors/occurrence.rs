//! Occurrences of errors: when one begins, when it ends, and the number by which it is told from all others
//! (A5, A9).
//!
//! Compares what a device reports with the entries of its status. An error that comes and goes within the
//! times of its model is one occurrence; a report that does not come changes nothing. The result depends on
//! the entries and the instant of the report alone, so that deciding again decides the same.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    bounded::Text,
    v1alpha1::{
        DeviceError, DeviceModelSpec, ErrorState, ErrorType, ErrorUnit, MAX_ERRORS, Settle,
    },
};
use jiff::{SignedDuration, Timestamp};

use super::{
    supply::{Units, is_receptacle, percent, units},
    words::is_meant,
};
use crate::remote::StatusReport;

/// A supply that has at least so many percent, and had less when it was empty, was replaced.
const NEW: i32 = 50;

/// The status reports of one look at a device, through each of its connections that gave one.
#[derive(Clone, Debug)]
pub struct Sightings<'a> {
    /// The reports.
    pub reports: Vec<&'a StatusReport>,
    /// The instant of the look.
    pub at: Timestamp,
}

/// An error as the reports have it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Sighting {
    detail: Option<String>,
    impressions: Option<i64>,
    level: Option<i32>,
    is_order_requested: bool,
    /// Supplies that come into question, where the unit is not known.
    candidates: Vec<String>,
}

/// An entry of the status after a look, with what the order depends on and the status does not keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tracked {
    /// The entry.
    pub error: DeviceError,
    /// True if the device requests an order.
    pub is_order_requested: bool,
    /// Supplies that come into question, where the report does not tell which one.
    pub candidates: Vec<String>,
}

/// Returns the entries after a look; without one they are as before. An entry whose type the model has no
/// more stays as it was.
pub fn track(
    before: &[DeviceError],
    model: &DeviceModelSpec,
    look: Option<&Sightings<'_>>,
) -> Vec<Tracked> {
    let mut entries: BTreeMap<String, DeviceError> = before
        .iter()
        .map(|error| (error.key.clone(), error.clone()))
        .collect();
    let mut sighted = BTreeMap::new();
    if let Some(look) = look {
        for r#type in &model.errors {
            let seen = sightings(r#type, model, look, &entries);
            advance(&mut entries, r#type, model, (&seen, look));
            sighted.extend(seen);
        }
    }
    let tracked = |error: DeviceError| {
        let seen = sighted.get(&error.key).cloned().unwrap_or_default();
        Tracked {
            error,
            is_order_requested: seen.is_order_requested,
            candidates: seen.candidates,
        }
    };
    entries.into_values().map(tracked).collect()
}

/// Notes a supply that the device reported replaced: it ends an occurrence that is closed and began before.
pub fn note_replaced(tracked: &mut [Tracked], supply: &str, at: Timestamp) {
    for Tracked { error, .. } in tracked {
        let is_of_it = error.unit.as_deref() == Some(supply)
            && error.state == ErrorState::Closed
            && error.occurrence > 0;
        if is_of_it && at >= error.since && error.replaced.is_none() {
            error.replaced = Some(at);
        }
    }
}

/// Returns the next instant at which a look decides whether an error has begun or ended.
pub fn next_look(errors: &[DeviceError], model: &DeviceModelSpec) -> Option<Timestamp> {
    let instants = errors.iter().filter_map(|error| {
        let mut types = model.errors.iter();
        let settle = times(types.find(|it| it.r#type == error.r#type)?);
        let (since, time) = match error.state {
            ErrorState::Closed => (error.reported?, settle.0),
            ErrorState::Open => (error.gone?, settle.1),
        };
        since.checked_add(time).ok()
    });
    instants.min()
}

/// Returns the times of a type of error: the shortest report of one, and the shortest absence.
fn times(r#type: &ErrorType) -> (SignedDuration, SignedDuration) {
    let settle = r#type.settle.clone().unwrap_or_default();
    let of = |written: &entente_crds::duration::Duration,
              default: fn(Settle) -> entente_crds::duration::Duration| {
        let default = || default(Settle::default()).length().unwrap_or_default();
        written.length().unwrap_or_else(|_| default())
    };
    (
        of(&settle.begin, |it| it.begin),
        of(&settle.end, |it| it.end),
    )
}

/// Returns the errors of a type that the reports have, by key.
fn sightings(
    r#type: &ErrorType,
    model: &DeviceModelSpec,
    look: &Sightings<'_>,
    entries: &BTreeMap<String, DeviceError>,
) -> BTreeMap<String, Sighting> {
    let mut seen: BTreeMap<String, Sighting> = BTreeMap::new();
    let mut unknown = None;
    for report in &look.reports {
        let Some(units) = units(r#type, &model.supplies, report) else {
            continue;
        };
        let names = match units {
            _ if r#type.unit == ErrorUnit::Device => vec![None],
            Units::Known(names) => names.into_iter().map(Some).collect(),
            Units::Unknown(candidates) => {
                unknown = Some((*report, candidates));
                continue;
            }
        };
        for unit in names {
            let sighting = sighting(r#type, model, report, unit.as_deref());
            let known = seen.entry(key(r#type, unit.as_deref())).or_default();
            known.merge(sighting);
        }
    }
    let Some((report, candidates)) = unknown.filter(|_| seen.is_empty()) else {
        return seen;
    };
    // The words stand, the row does not: it is the error that was known before.
    let open = entries.values().filter(|it| {
        it.r#type == r#type.r#type && it.unit.is_some() && it.state == ErrorState::Open
    });
    for error in open {
        let unit = error.unit.as_deref();
        seen.insert(error.key.clone(), sighting(r#type, model, report, unit));
    }
    if seen.is_empty() {
        let sighting = sighting(r#type, model, report, None);
        let sighting = Sighting {
            candidates,
            ..sighting
        };
        seen.insert(key(r#type, None), sighting);
    }
    seen
}

fn sighting(
    r#type: &ErrorType,
    model: &DeviceModelSpec,
    report: &StatusReport,
    unit: Option<&str>,
) -> Sighting {
    let mut faults = report
        .faults
        .iter()
        .filter(|it| is_meant(&r#type.words, it));
    let first = faults.clone().next();
    Sighting {
        detail: first.map(|fault| match &fault.detail {
            Some(detail) => format!("{}: {detail}", fault.name),
            None => fault.name.clone(),
        }),
        impressions: report.impressions,
        level: unit
            .and_then(|unit| percent(&model.supplies, unit, report))
            .map(i32::from),
        is_order_requested: faults.any(|fault| fault.is_order_requested),
        candidates: Vec::new(),
    }
}

impl Sighting {
    fn merge(&mut self, other: Self) {
        self.detail = self.detail.take().or(other.detail);
        self.impressions = self.impressions.or(other.impressions);
        self.level = self.level.or(other.level);
        self.is_order_requested |= other.is_order_requested;
    }
}

fn key(r#type: &ErrorType, unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("{}/{unit}", r#type.r#type),
        None => r#type.r#type.clone(),
    }
}

/// Advances the entries of a type by what a look has seen.
fn advance(
    entries: &mut BTreeMap<String, DeviceError>,
    r#type: &ErrorType,
    model: &DeviceModelSpec,
    (seen, look): (&BTreeMap<String, Sighting>, &Sightings<'_>),
) {
    let of_type = entries.values().filter(|it| it.r#type == r#type.r#type);
    let known: BTreeSet<String> = of_type.map(|it| it.key.clone()).collect();
    let new = seen.keys().filter(|key| !known.contains(*key));
    let room = MAX_ERRORS.saturating_sub(entries.len());
    for key in new.take(room).cloned().collect::<Vec<_>>() {
        let unit = key.split_once('/').map(|(_, unit)| unit.to_owned());
        let entry = DeviceError {
            key: key.clone(),
            r#type: r#type.r#type.clone(),
            unit,
            state: ErrorState::Closed,
            since: look.at,
            ..DeviceError::default()
        };
        entries.insert(key, entry);
    }
    let (begin, end) = times(r#type);
    let of_type = entries.values_mut().filter(|it| it.r#type == r#type.r#type);
    for entry in of_type {
        match (seen.get(&entry.key), entry.state) {
            (Some(_), ErrorState::Open) => entry.gone = None,
            (None, ErrorState::Closed) => entry.reported = None,
            (Some(sighting), ErrorState::Closed) => began(entry, sighting, (look.at, begin)),
            (None, ErrorState::Open) => ended(entry, (look.at, end)),
        }
        note_replacement(entry, model, look);
    }
}

/// Begins the next occurrence of an error that was reported for long enough.
fn began(entry: &mut DeviceError, sighting: &Sighting, (at, begin): (Timestamp, SignedDuration)) {
    let reported = entry.reported.unwrap_or(at);
    // A clock that went back begins nothing.
    if at.duration_since(reported) < begin {
        entry.reported = Some(reported);
        return;
    }
    entry.occurrence += 1;
    entry.state = ErrorState::Open;
    entry.since = reported;
    entry.until = None;
    entry.reported = None;
    entry.gone = None;
    entry.replaced = None;
    entry.detail = sighting.detail.as_deref().map(Text::from);
    entry.impressions = sighting.impressions;
    entry.level = sighting.level;
}

/// Ends the occurrence of an error that was not reported for long enough.
fn ended(entry: &mut DeviceError, (at, end): (Timestamp, SignedDuration)) {
    let gone = entry.gone.unwrap_or(at);
    if at.duration_since(gone) < end {
        entry.gone = Some(gone);
        return;
    }
    entry.state = ErrorState::Closed;
    entry.until = Some(gone);
    entry.gone = None;
    entry.not_ordered = None;
}

/// Notes that the supply of a closed occurrence was replaced: its level is that of a new one. A waste box
/// that is not full any more was emptied or replaced, whatever its level means.
fn note_replacement(entry: &mut DeviceError, model: &DeviceModelSpec, look: &Sightings<'_>) {
    let Some(unit) = entry.unit.as_deref() else {
        return;
    };
    if entry.state == ErrorState::Open || entry.occurrence == 0 || entry.replaced.is_some() {
        return;
    }
    let mut reports = look.reports.iter();
    let level = reports.find_map(|report| percent(&model.supplies, unit, report));
    let is_new = level.is_some_and(|level| i32::from(level) >= NEW)
        && entry.level.is_none_or(|before| before < NEW);
    if is_new || is_receptacle(&model.supplies, unit) {
        entry.replaced = Some(look.at);
    }
}
