//! Maintenance windows of a device: whether software may be installed now, and when else.
//!
//! Windows are times of the week in the zone of the device; each opens at a local time and lasts as long
//! as a stopwatch says, so that none is longer or shorter on a day on which the clock is changed.
//! Windows that meet or overlap are one. Decides nothing about what is installed. Called by plan.

use entente_crds::v1alpha1::{MaintenanceWindow, Weekday};
use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};

/// The longest window: one that lasts longer is open all the time.
pub(in crate::delivery) const LONGEST: SignedDuration = SignedDuration::from_hours(168);

/// Days before and after today on which windows are looked for: one opens at least once in each week,
/// and may have opened a week ago.
const DAYS: i64 = 15;

/// Answer to the question whether an installation may begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::delivery) enum Opening {
    /// There are no windows: at any time.
    Always,
    /// It may begin now.
    Now {
        /// The instant at which the window closes.
        until: Timestamp,
    },
    /// It may begin later.
    Later {
        /// The instant at which a window opens that is long enough.
        opens: Timestamp,
        /// True if a window is open, and closes before the installation would be over.
        closes_too_early: bool,
    },
    /// No window is long enough, ever.
    TooShort {
        /// Length of the longest one.
        longest: SignedDuration,
    },
}

/// A time in which windows are open without a break.
#[derive(Clone, Copy, Debug)]
struct Interval {
    opens: Timestamp,
    closes: Timestamp,
}

impl Interval {
    fn length(self) -> SignedDuration {
        self.closes.duration_since(self.opens)
    }
}

/// Returns the opening for an installation that takes so long.
pub(in crate::delivery) fn opening(
    windows: &[MaintenanceWindow],
    zone: &TimeZone,
    takes: Option<SignedDuration>,
    now: Timestamp,
) -> Opening {
    if windows.is_empty() {
        return Opening::Always;
    }
    let takes = takes.unwrap_or_default();
    let all = intervals(windows, zone, now);
    let open = all.iter().find(|it| it.opens <= now && now < it.closes);
    if let Some(open) = open.filter(|open| now.duration_since(open.closes).abs() >= takes) {
        return Opening::Now { until: open.closes };
    }
    let mut ahead = all.iter().filter(|it| it.opens > now);
    match ahead.find(|it| it.length() >= takes) {
        Some(next) => Opening::Later {
            opens: next.opens,
            closes_too_early: open.is_some(),
        },
        None => Opening::TooShort {
            longest: all.iter().map(|it| it.length()).max().unwrap_or_default(),
        },
    }
}

/// Returns the times around now in which windows are open, in their order.
fn intervals(windows: &[MaintenanceWindow], zone: &TimeZone, now: Timestamp) -> Vec<Interval> {
    let today = now.to_zoned(zone.clone()).date();
    let days = (-DAYS..=DAYS).filter_map(|day| today.checked_add(day.days()).ok());
    let mut found: Vec<Interval> = days
        .flat_map(|day| windows.iter().filter_map(move |it| on(it, day, zone)))
        .collect();
    found.sort_by_key(|it| it.opens);
    let mut merged: Vec<Interval> = Vec::new();
    for next in found {
        match merged.last_mut() {
            Some(last) if next.opens <= last.closes => last.closes = last.closes.max(next.closes),
            _ => merged.push(next),
        }
    }
    merged
}

/// Returns the window as it opens on a local date; `None` if it does not, or cannot be read.
fn on(window: &MaintenanceWindow, date: Date, zone: &TimeZone) -> Option<Interval> {
    let opens_on = |day: &Weekday| is_on(*day, date);
    if !window.days.is_empty() && !window.days.iter().any(opens_on) {
        return None;
    }
    let start: Time = window.start.parse().ok()?;
    // A time that the clock skips is so much later; of one that comes twice it is the first.
    let opens = zone.to_ambiguous_timestamp(date.to_datetime(start));
    let opens = opens.compatible().ok()?;
    let length = window.duration.length().ok()?.min(LONGEST);
    let closes = opens.checked_add(length).ok()?;
    Some(Interval { opens, closes })
}

fn is_on(day: Weekday, date: Date) -> bool {
    use jiff::civil::Weekday as Civil;
    let meant = match day {
        Weekday::Mon => Civil::Monday,
        Weekday::Tue => Civil::Tuesday,
        Weekday::Wed => Civil::Wednesday,
        Weekday::Thu => Civil::Thursday,
        Weekday::Fri => Civil::Friday,
        Weekday::Sat => Civil::Saturday,
        Weekday::Sun => Civil::Sunday,
    };
    date.weekday() == meant
}

#[cfg(test)]
mod tests;
