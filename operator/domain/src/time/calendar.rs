//! Periods and dates of the calendar in a zone.
//!
//! Decides which month, quarter or year a date lies in and which dates an interval touches. Called
//! by the fee credit, which splits owed time by period.

use entente_crds::v1alpha1::Period;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::start_of_date;

/// Returns the first and the last local date of the period that a date lies in.
pub fn period_of(date: Date, period: Period) -> (Date, Date) {
    let (first_month, months) = match period {
        Period::Month => (date.month(), 1),
        Period::Quarter => ((date.month() - 1) / 3 * 3 + 1, 3),
        Period::Year => (1, 12),
    };
    let first = with_month(date, first_month).first_of_month();
    let last = with_month(date, first_month + months - 1).last_of_month();
    (first, last)
}

fn with_month(date: Date, month: i8) -> Date {
    Date::new(date.year(), month, 1).unwrap_or(date)
}

/// One period of the calendar in a zone, as dates and as instants.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CalendarPeriod {
    /// The first local date.
    pub first: Date,
    /// The last local date, inclusive.
    pub last: Date,
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl CalendarPeriod {
    fn containing(date: Date, period: Period, zone: &TimeZone) -> Self {
        let (first, last) = period_of(date, period);
        let end = last
            .tomorrow()
            .map_or(Timestamp::MAX, |next| start_of_date(next, zone));
        Self {
            first,
            last,
            start: start_of_date(first, zone),
            end,
        }
    }

    /// Returns the period that an instant lies in.
    pub fn at(instant: Timestamp, period: Period, zone: &TimeZone) -> Self {
        Self::containing(date_at(instant, zone), period, zone)
    }
}

/// Returns the local date that an instant lies in, where a date lasts from its first instant to the
/// first instant of the next. Differs from the date of a wall clock only if the clock goes back
/// over midnight.
fn date_at(instant: Timestamp, zone: &TimeZone) -> Date {
    let shown = zone.to_datetime(instant).date();
    match shown.tomorrow() {
        Ok(next) if start_of_date(next, zone) <= instant => next,
        _ => shown,
    }
}

/// Returns the periods that the interval from `from` up to and without `until` touches, in order.
pub fn periods_over(
    from: Timestamp,
    until: Timestamp,
    period: Period,
    zone: &TimeZone,
) -> impl Iterator<Item = CalendarPeriod> {
    let first = (from < until).then(|| CalendarPeriod::at(from, period, zone));
    std::iter::successors(first, move |current| {
        let next = current.last.tomorrow().ok()?;
        Some(CalendarPeriod::containing(next, period, zone))
    })
    .take_while(move |current| current.start < until)
}

/// A local date with the instants at which it begins and ends. Never empty.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LocalDate {
    /// The date.
    pub date: Date,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

/// Returns the local dates that the interval from `from` up to and without `until` touches, in
/// order. A date that the zone skips as a whole is none of them.
pub fn dates_over(
    from: Timestamp,
    until: Timestamp,
    zone: &TimeZone,
) -> impl Iterator<Item = LocalDate> {
    let at = |date: Date| LocalDate {
        date,
        start: start_of_date(date, zone),
        end: date
            .tomorrow()
            .map_or(Timestamp::MAX, |next| start_of_date(next, zone)),
    };
    let first = (from < until).then(|| at(date_at(from, zone)));
    std::iter::successors(first, move |current| {
        Some(at(current.date.tomorrow().ok()?))
    })
    .take_while(move |current| current.start < until)
    .filter(|current| current.start < current.end)
}
