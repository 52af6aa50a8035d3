//! Maintenance windows as tables, across changes of the clock both ways, and as properties.

use proptest::prelude::*;

use super::*;
use crate::time::zone;

fn window(days: &[Weekday], start: &str, duration: &str) -> MaintenanceWindow {
    MaintenanceWindow {
        days: days.to_vec(),
        start: start.to_owned(),
        duration: duration.into(),
    }
}

/// Returns the opening in words, for windows in a zone at an instant.
fn at(windows: &[MaintenanceWindow], name: &str, takes: Option<&str>, now: &str) -> String {
    let zone = zone(name).expect("a zone");
    let takes = takes.map(|it| crate::time::parse_duration(it).expect("a duration"));
    match opening(windows, &zone, takes, now.parse().expect("an instant")) {
        Opening::Always => "always".to_owned(),
        Opening::Now { until } => format!("now until {until}"),
        Opening::Later {
            opens,
            closes_too_early,
        } => format!(
            "at {opens}{}",
            if closes_too_early { ", again" } else { "" }
        ),
        Opening::TooShort { longest } => {
            format!("never: {}", crate::time::format_duration(longest))
        }
    }
}

const WEEKEND: &[Weekday] = &[Weekday::Sat, Weekday::Sun];

// shows B6
#[test]
fn a_window_is_open_from_its_start_until_its_end_in_the_zone_of_the_device() {
    let windows = [window(WEEKEND, "02:00", "4h")];
    // 2027-04-03 is a Saturday; Tokyo is nine hours ahead.
    for (now, expected) in [
        ("2027-04-02T16:59:59Z", "at 2027-04-02T17:00:00Z"),
        ("2027-04-02T17:00:00Z", "now until 2027-04-02T21:00:00Z"),
        ("2027-04-02T20:59:59Z", "now until 2027-04-02T21:00:00Z"),
        ("2027-04-02T21:00:00Z", "at 2027-04-03T17:00:00Z"),
        ("2027-04-03T21:00:00Z", "at 2027-04-09T17:00:00Z"),
    ] {
        assert_eq!(at(&windows, "Asia/Tokyo", None, now), expected, "{now}");
    }
    assert_eq!(
        at(&[], "Asia/Tokyo", None, "2027-04-02T16:00:00Z"),
        "always"
    );
    let daily = [window(&[], "02:00", "4h")];
    let found = at(&daily, "Asia/Tokyo", None, "2027-04-05T21:00:00Z");
    assert_eq!(found, "at 2027-04-06T17:00:00Z");
}

// shows B6
#[test]
fn an_installation_begins_only_in_a_window_that_has_the_time_for_it() {
    let windows = [window(WEEKEND, "02:00", "4h")];
    for (takes, now, expected) in [
        (
            "4h",
            "2027-04-02T17:00:00Z",
            "now until 2027-04-02T21:00:00Z",
        ),
        (
            "4h",
            "2027-04-02T17:00:01Z",
            "at 2027-04-03T17:00:00Z, again",
        ),
        (
            "30m",
            "2027-04-02T20:30:00Z",
            "now until 2027-04-02T21:00:00Z",
        ),
        (
            "30m",
            "2027-04-02T20:31:00Z",
            "at 2027-04-03T17:00:00Z, again",
        ),
        ("4h1s", "2027-03-30T00:00:00Z", "never: 4h"),
        ("4h1s", "2027-04-02T17:00:00Z", "never: 4h"),
    ] {
        let found = at(&windows, "Asia/Tokyo", Some(takes), now);
        assert_eq!(found, expected, "{takes} at {now}");
    }
}

// shows B6
#[test]
fn windows_that_meet_or_overlap_are_one() {
    let night = [
        window(&[Weekday::Sat], "22:00", "2h"),
        window(&[Weekday::Sun], "00:00", "3h"),
    ];
    let found = at(&night, "UTC", Some("5h"), "2027-04-03T22:00:00Z");
    assert_eq!(found, "now until 2027-04-04T03:00:00Z");
    let always = [window(&[], "12:00", "24h")];
    let found = at(&always, "UTC", Some("48h"), "2027-04-03T11:00:00Z");
    assert!(found.starts_with("now until"), "{found}");
}

// shows B6
#[test]
fn a_window_opens_and_lasts_as_it_should_on_a_day_on_which_the_clock_is_changed() {
    let windows = [window(WEEKEND, "02:00", "4h")];
    for (zone, now, expected, why) in [
        (
            "Europe/Berlin",
            "2027-03-28T00:59:00Z",
            "at 2027-03-28T01:00:00Z",
            "02:00 is skipped: it opens at 03:00",
        ),
        (
            "Europe/Berlin",
            "2027-03-28T01:00:00Z",
            "now until 2027-03-28T05:00:00Z",
            "for four hours all the same",
        ),
        (
            "Europe/Berlin",
            "2027-10-30T23:59:00Z",
            "at 2027-10-31T00:00:00Z",
            "02:00 comes twice: the first counts",
        ),
        (
            "Europe/Berlin",
            "2027-10-31T00:30:00Z",
            "now until 2027-10-31T04:00:00Z",
            "for four hours, until 05:00",
        ),
        (
            "America/New_York",
            "2027-03-14T06:59:00Z",
            "at 2027-03-14T07:00:00Z",
            "02:00 is skipped there as well",
        ),
        (
            "America/New_York",
            "2027-11-07T08:30:00Z",
            "now until 2027-11-07T11:00:00Z",
            "02:00 comes once, after the hour that comes twice",
        ),
        (
            "Australia/Lord_Howe",
            "2027-10-02T15:20:00Z",
            "at 2027-10-02T15:30:00Z",
            "half an hour is skipped",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T11:00:00Z",
            "at 2011-12-30T12:00:00Z",
            "a Friday that there was not, then a Saturday",
        ),
    ] {
        assert_eq!(at(&windows, zone, None, now), expected, "{zone}: {why}");
    }
}

// shows K5
#[test]
fn a_window_that_cannot_be_read_is_never_open() {
    let odd = [window(&[], "25:00", "4h"), window(&[], "02:00", "soon")];
    let found = at(&odd, "UTC", None, "2027-04-03T22:00:00Z");
    assert_eq!(found, "never: 0s");
}

proptest! {
    // shows B6
    #[test]
    fn what_begins_ends_before_the_window_closes_and_what_waits_can_begin_then(
        minutes in 0_i64..(60 * 24 * 400),
        hour in 0..24_u32,
        length in 1..30_i64,
        takes in 0..30_i64,
        day in 0..7_usize,
        zone_name in prop::sample::select(vec![
            "Europe/Berlin", "America/Sao_Paulo", "Asia/Tokyo", "Australia/Lord_Howe", "UTC",
        ]),
    ) {
        let days = [
            Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat,
            Weekday::Sun,
        ];
        let windows = [window(&[days[day]], &format!("{hour:02}:00"), &format!("{length}h"))];
        let zone = zone(zone_name).expect("a zone");
        let now: Timestamp = "2027-01-01T00:00:00Z".parse().expect("an instant");
        let now = now + SignedDuration::from_mins(minutes);
        let takes = SignedDuration::from_hours(takes);
        match opening(&windows, &zone, Some(takes), now) {
            Opening::Always => prop_assert!(false, "there is a window"),
            Opening::Now { until } => prop_assert!(until - takes >= now),
            Opening::Later { opens, .. } => {
                prop_assert!(opens > now && opens <= now + SignedDuration::from_hours(8 * 24));
                let then = opening(&windows, &zone, Some(takes), opens);
                prop_assert!(matches!(then, Opening::Now { .. }), "{then:?}");
            }
            Opening::TooShort { longest } => prop_assert!(longest < takes),
        }
    }
}
