//! Occurrences of errors: when one begins, when it ends, and the number by which it is told from all others
//! (A5, A9).
//!
//! Compares what a device reports with the entries of its status. An error that comes and goes within the
//! times of its model is one occurrence; a report that does not come changes nothing, and one that is silent
//! about an error ends only what the same source has reported. The result depends on the entries, the model
//! and the instant of the report alone, so that deciding again decides the same.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    bounded::Text,
    duration::Duration,
    v1alpha1::{
        DeviceError, DeviceModelSpec, ErrorEnd, ErrorState, ErrorType, ErrorUnit, MAX_ERRORS,
        Settle,
    },
};
use jiff::{SignedDuration, Timestamp};

use super::{
    order::is_unrecorded,
    supply::{Units, Untold, is_receptacle, percent, units},
    words::is_meant,
};
use crate::remote::StatusReport;

/// An error whose time to begin is over for so long, and that nobody has reported since, has not begun.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);
/// A supply that has at least so many percent, and had less when it was empty, was replaced.
const NEW: i32 = 50;

/// The status reports of one look at a device, through each of its connections that gave one.
#[derive(Clone, Debug)]
pub struct Sightings<'a> {
    /// The reports, each with the name of its connection.
    pub reports: Vec<(&'a str, &'a StatusReport)>,
    /// The connections by which the device may report, also those that gave no report now.
    pub sources: BTreeSet<&'a str>,
    /// The connection by which the device calls, if it does: its word stands until it takes it back.
    pub caller: Option<&'a str>,
    /// The instant of the look.
    pub at: Timestamp,
}

impl Sightings<'_> {
    /// True if a report is whole: an error that it lacks can be over.
    fn is_whole(&self) -> bool {
        self.reports.iter().any(|(_, report)| !report.is_partial)
    }

    /// True if an error that nobody reports can be over: somebody could have reported it, or nobody ever will.
    fn can_end(&self) -> bool {
        self.is_whole() || self.sources.is_empty()
    }
}

/// An error as the reports have it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Sighting {
    detail: Option<String>,
    impressions: Option<i64>,
    level: Option<i32>,
    is_order_requested: bool,
    /// Reason for which the unit is not known.
    untold: Option<Untold>,
    /// Names of the connections that report it.
    by: BTreeSet<String>,
}

/// An entry of the status after a look, with what the order depends on and the status does not keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tracked {
    /// The entry.
    pub error: DeviceError,
    /// True if the device requests an order.
    pub is_order_requested: bool,
    /// Reason for which the report does not tell which supply it is.
    pub untold: Option<Untold>,
}

/// Returns the entries after a look; without one they are as before, but for those that were about to begin and
/// that nobody has reported for long, and for those whose type the model does not have any more: they end now,
/// since nobody looks for them.
pub fn track(
    before: &[DeviceError],
    model: &DeviceModelSpec,
    look: Option<&Sightings<'_>>,
    now: Timestamp,
) -> Vec<Tracked> {
    let mut entries: BTreeMap<String, DeviceError> = before
        .iter()
        .map(|error| (error.key.clone(), error.clone()))
        .collect();
    let has = |r#type: &str| model.errors.iter().any(|it| it.r#type == r#type);
    for entry in entries.values_mut().filter(|it| !has(&it.r#type)) {
        forgotten(entry, now);
    }
    for r#type in &model.errors {
        let (begin, _) = times(r#type);
        let of_type = entries.values_mut().filter(|it| it.r#type == r#type.r#type);
        for entry in of_type.filter(|it| !stands(it, look)) {
            forget_unheard(entry, (now, begin));
        }
    }
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
            untold: seen.untold,
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
    let default = Settle::default();
    let settle = r#type.settle.as_ref().unwrap_or(&default);
    let of = |written: &Duration, default: &Duration| {
        let length = written.length().or_else(|_| default.length());
        length.unwrap_or_default()
    };
    (
        of(&settle.begin, &default.begin),
        of(&settle.end, &default.end),
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
    let mut unknown: Vec<(&str, &StatusReport, Untold)> = Vec::new();
    for (source, report) in &look.reports {
        let Some(units) = units(r#type, &model.supplies, report) else {
            continue;
        };
        let names = match units {
            _ if r#type.unit == ErrorUnit::Device => vec![None],
            Units::Known(names) => names.into_iter().map(Some).collect(),
            Units::Untold(untold) => {
                unknown.push((source, report, untold));
                continue;
            }
        };
        for unit in names {
            let sighting = sighting(r#type, model, (source, report), unit.as_deref());
            let known = seen.entry(key(r#type, unit.as_deref())).or_default();
            known.merge(sighting);
        }
    }
    for (source, report, untold) in unknown {
        let of = |unit| sighting(r#type, model, (source, report), unit);
        let mut meant = Vec::new();
        if untold.may_be_known() {
            meant = meant_by(r#type, &seen, entries);
        }
        for key in &meant {
            let unit = key.split_once('/').map(|(_, unit)| unit);
            seen.entry(key.clone()).or_default().merge(of(unit));
        }
        if meant.is_empty() {
            let untold = Some(untold);
            let sighting = Sighting { untold, ..of(None) };
            let known = seen.entry(key(r#type, None)).or_default();
            known.merge(sighting);
        }
    }
    seen
}

/// Returns the keys of the errors that words without a supply are about: those that another report names,
/// else those that are open, since a row that is told no more was told before.
fn meant_by(
    r#type: &ErrorType,
    seen: &BTreeMap<String, Sighting>,
    entries: &BTreeMap<String, DeviceError>,
) -> Vec<String> {
    let named: Vec<String> = seen.keys().filter(|it| it.contains('/')).cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let open = entries.values().filter(|it| {
        it.r#type == r#type.r#type && it.unit.is_some() && it.state == ErrorState::Open
    });
    open.map(|it| it.key.clone()).collect()
}

fn sighting(
    r#type: &ErrorType,
    model: &DeviceModelSpec,
    (source, report): (&str, &StatusReport),
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
        untold: None,
        by: [source.to_owned()].into(),
    }
}

impl Sighting {
    fn merge(&mut self, other: Self) {
        self.detail = self.detail.take().or(other.detail);
        self.impressions = self.impressions.or(other.impressions);
        self.level = self.level.or(other.level);
        self.is_order_requested |= other.is_order_requested;
        self.untold = self.untold.take().or(other.untold);
        self.by.extend(other.by);
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
        let sighting = seen.get(&entry.key);
        note_sources(entry, sighting, look);
        let mut by = entry.reported_by.iter();
        let is_reported = by.any(|name| look.sources.contains(&**name));
        match (sighting, entry.state) {
            (Some(sighting), ErrorState::Closed) => began(entry, sighting, (look.at, begin)),
            _ if is_reported => entry.gone = None,
            (_, ErrorState::Closed) => entry.reported = None,
            (_, ErrorState::Open) if look.can_end() => ended(entry, (look.at, end)),
            (_, ErrorState::Open) => {}
        }
        note_replacement(entry, model, look);
    }
}

/// Notes by which connections an error is reported: one that has reported it does so until it gives a whole
/// report without it. One that is none of the device any more reports nothing further; its word stands until
/// another one that reported the error says that it is over, so that the end tells which of both it was.
fn note_sources(entry: &mut DeviceError, sighting: Option<&Sighting>, look: &Sightings<'_>) {
    let mut by = sighting.map(|it| it.by.clone()).unwrap_or_default();
    let is_silent = |name: &str| {
        let mut reports = look.reports.iter();
        reports.any(|(it, told)| *it == name && !told.is_partial)
    };
    let before = std::mem::take(&mut entry.reported_by);
    let is_open = entry.state == ErrorState::Open;
    let keeps_removed = is_open && !before.iter().any(|name| is_silent(name));
    let stays =
        |name: &String| !is_silent(name) && (keeps_removed || look.sources.contains(&**name));
    by.extend(before.into_iter().filter(stays));
    entry.reported_by = by.into_iter().collect();
}

/// Begins the next occurrence of an error that was reported for long enough. One whose order is not on record
/// yet goes on instead: it still makes that order, and a second one has no reason.
fn began(entry: &mut DeviceError, sighting: &Sighting, (at, begin): (Timestamp, SignedDuration)) {
    let reported = entry.reported.unwrap_or(at);
    // A clock that went back begins nothing.
    if at.duration_since(reported) < begin {
        entry.reported = Some(reported);
        return;
    }
    let goes_on = is_unrecorded(entry);
    // Decided anew: the service may be gone that was to order.
    entry.order.take_if(|order| !order.is_recorded());
    entry.state = ErrorState::Open;
    entry.until = None;
    entry.end = None;
    entry.reported = None;
    entry.gone = None;
    if goes_on {
        return;
    }
    entry.occurrence += 1;
    entry.since = reported;
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
    let end = if entry.reported_by.is_empty() {
        ErrorEnd::NotReported
    } else {
        ErrorEnd::ConnectionRemoved
    };
    close(entry, gone, end);
}

/// True if an error that was reported stands by the word of a device that calls, which need not repeat it.
fn stands(entry: &DeviceError, look: Option<&Sightings<'_>>) -> bool {
    let caller = look.and_then(|look| look.caller);
    caller.is_some_and(|caller| entry.reported_by.iter().any(|name| name == caller))
}

/// Forgets that an error was reported which has not begun: by now somebody would have reported it again. One
/// that is open is never forgotten so.
fn forget_unheard(entry: &mut DeviceError, (now, begin): (Timestamp, SignedDuration)) {
    let Some(reported) = entry.reported else {
        return;
    };
    let is_old = now.duration_since(reported) >= begin.saturating_add(FORGOTTEN);
    if entry.state == ErrorState::Closed && is_old {
        entry.reported = None;
        entry.reported_by = Vec::new();
    }
}

/// Ends what there is of an error that the model does not have any more.
fn forgotten(entry: &mut DeviceError, now: Timestamp) {
    entry.reported = None;
    if entry.state == ErrorState::Open {
        let until = entry.gone.unwrap_or(now);
        close(entry, until, ErrorEnd::TypeRemoved);
    }
}

fn close(entry: &mut DeviceError, until: Timestamp, end: ErrorEnd) {
    entry.state = ErrorState::Closed;
    entry.until = Some(until);
    entry.end = Some(end);
    entry.reported_by = Vec::new();
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
    let level = reports.find_map(|(_, report)| percent(&model.supplies, unit, report));
    let is_new = level.is_some_and(|level| i32::from(level) >= NEW)
        && entry.level.is_none_or(|before| before < NEW);
    let is_empty = entry.end == Some(ErrorEnd::NotReported);
    if is_new || is_empty && is_receptacle(&model.supplies, unit) {
        entry.replaced = Some(look.at);
    }
}
