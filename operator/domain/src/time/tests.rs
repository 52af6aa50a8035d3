//! Tests of durations, zones and local dates.

use entente_crds::v1alpha1::Period;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

fn on(text: &str) -> Date {
    parse_date(text).expect("the test's own date")
}

fn in_zone(name: &str) -> TimeZone {
    zone(name).expect("the test's own zone")
}

#[test]
fn durations_are_written_shortly_and_never_longer_than_they_are() {
    for (milliseconds, text) in [
        (25_920_000, "7h12m"),
        (3_999, "3s"),
        (450, "450ms"),
        (0, "0s"),
        (65_000, "1m5s"),
        (360_000_000, "100h"),
        (3_605_000, "1h5s"),
        (-90_000, "-1m30s"),
    ] {
        assert_eq!(
            format_duration(SignedDuration::from_millis(milliseconds)),
            text
        );
    }
    assert_eq!(format_duration(SignedDuration::from_nanos(999)), "0s");
    assert_eq!(
        format_duration(SignedDuration::MIN).len(),
        "-2562047788015215h30m8s".len()
    );
}

#[test]
fn a_zone_that_is_not_in_the_database_is_refused() {
    for name in [
        "Europe/Atlantis",
        "",
        "Etc/Unknown",
        "../../etc/passwd",
        "+03:00",
    ] {
        assert_eq!(
            zone(name),
            Err(UnknownZone { found: name.into() }),
            "{name}"
        );
    }
    assert!(zone("America/Sao_Paulo").is_ok() && zone("UTC").is_ok());
}

#[test]
fn a_date_begins_at_its_midnight_or_at_its_first_instant_where_there_is_none() {
    for (date, name, instant) in [
        ("2027-04-01", "America/Sao_Paulo", "2027-04-01T03:00:00Z"),
        ("2027-04-01", "Pacific/Kiritimati", "2027-03-31T10:00:00Z"),
        ("2027-04-01", "Pacific/Pago_Pago", "2027-04-01T11:00:00Z"),
        // No midnight: the clock went from 24:00 to 01:00.
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        // No midnight: the clock went from 23:30 to 00:30, so the date began at 00:30.
        ("1919-03-31", "America/Toronto", "1919-03-31T04:30:00Z"),
        // Two midnights: the clock went from 01:00 back to 00:00.
        ("2027-11-07", "America/Havana", "2027-11-07T04:00:00Z"),
        // The clock went from 24:00 back to 23:00 the evening before: one midnight.
        ("2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00Z"),
        // A date that the zone skipped begins where the next one does.
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"),
    ] {
        assert_eq!(
            start_of_date(on(date), &in_zone(name)),
            at(instant),
            "{date} {name}"
        );
    }
}

#[test]
fn an_instant_is_shown_as_a_date_where_that_says_it_and_with_its_time_where_not() {
    let cases = [
        (
            "2027-04-01T03:00:00Z",
            "America/Sao_Paulo",
            "2027-04-01",
            "2027-03-31",
        ),
        (
            "2027-04-01T02:59:00Z",
            "America/Sao_Paulo",
            "2027-03-31T23:59",
            "2027-03-31T23:59",
        ),
        (
            "2027-04-12T17:30:05Z",
            "UTC",
            "2027-04-12T17:30:05",
            "2027-04-12T17:30:05",
        ),
        // Midnight is skipped: the day begins at one o'clock.
        (
            "2026-04-23T22:00:00Z",
            "Africa/Cairo",
            "2026-04-24",
            "2026-04-23",
        ),
        // Midnight comes twice: the later one is no beginning.
        (
            "2026-11-01T04:00:00Z",
            "America/Havana",
            "2026-11-01",
            "2026-10-31",
        ),
        (
            "2026-11-01T05:00:00Z",
            "America/Havana",
            "2026-11-01T00:00",
            "2026-11-01T00:00",
        ),
        // 30 December 2011 was skipped as a whole.
        (
            "2011-12-30T10:00:00Z",
            "Pacific/Apia",
            "2011-12-31",
            "2011-12-30",
        ),
    ];
    for (instant, name, start, end) in cases {
        let zone = in_zone(name);
        assert_eq!(local_start(at(instant), &zone), start, "{instant} {name}");
        assert_eq!(local_end(at(instant), &zone), end, "{instant} {name}");
    }
}

#[test]
fn a_date_at_the_edge_of_time_is_cut_and_does_not_panic() {
    assert_eq!(
        start_of_date(Date::MAX, &in_zone("Pacific/Pago_Pago")),
        Timestamp::MAX
    );
    assert_eq!(
        start_of_date(Date::MIN, &in_zone("Pacific/Kiritimati")),
        Timestamp::MIN
    );
    let last = CalendarPeriod::at(Timestamp::MAX, Period::Year, &TimeZone::UTC);
    assert_eq!(last.end, Timestamp::MAX);
}

fn term(start: &str, end: Option<&str>) -> Term {
    let pick = |text: &str, time: bool| (text.contains('T') == time).then(|| text.to_owned());
    Term {
        start_date: pick(start, false),
        start_time: pick(start, true),
        end_date: end.and_then(|end| pick(end, false)),
        end_time: end.and_then(|end| pick(end, true)),
        time_zone: "America/Sao_Paulo".into(),
        ..Term::default()
    }
}

/// Resolves a term that has a date.
fn dated(term: &Term) -> Result<ResolvedTerm, TermError> {
    resolve_term(term, None).map(|read| read.expect("it has a date"))
}

// shows B2
#[test]
fn a_term_runs_from_the_first_instant_of_its_first_day_through_its_last_day() {
    let resolved = dated(&term("2027-04-01", Some("2030-03-31"))).unwrap();
    assert_eq!(resolved.start, at("2027-04-01T03:00:00Z"));
    assert_eq!(resolved.end, Some(at("2030-04-01T03:00:00Z")));
    let one_day = dated(&term("2027-04-01", Some("2027-04-01"))).unwrap();
    assert_eq!(one_day.end, Some(at("2027-04-02T03:00:00Z")));
}

// shows B2 K1
#[test]
fn a_new_zone_database_moves_no_instant_of_an_accepted_term_that_has_passed_and_none_into_the_past()
{
    let spec = term("2027-04-01", Some("2030-03-31"));
    let read = dated(&spec).unwrap();
    assert_eq!(read.zone_database.as_deref(), Some(zone_database()));
    let dates = [read.start, read.end.unwrap()];
    let shift = |instant: Timestamp, minutes: i64| instant + SignedDuration::from_mins(minutes);
    let mut kept = 0;
    for minutes in [-1_440, -60, -1, 0, 1, 60, 1_440] {
        // The instants by an older database.
        let accepted = ResolvedTerm {
            start: shift(read.start, minutes),
            end: read.end.map(|end| shift(end, minutes)),
            zone_database: Some("1999a".into()),
            ..read.clone()
        };
        let before = [accepted.start, accepted.end.unwrap()];
        for now in dates
            .iter()
            .flat_map(|date| [-2_000, -30, 0, 30, 2_000].map(|it| shift(*date, it)))
        {
            let found = resolve_accepted_term(&spec, None, Some(&accepted), now)
                .unwrap()
                .unwrap();
            for (index, found) in [found.start, found.end.unwrap()].into_iter().enumerate() {
                let lie_ahead = before[index] > now && dates[index] > now;
                let expected = if lie_ahead {
                    dates[index]
                } else {
                    before[index]
                };
                assert_eq!(found, expected, "{minutes} minutes, {now}");
                kept += usize::from(found != dates[index]);
            }
            assert_eq!(found.zone_database.as_deref(), Some(zone_database()));
        }
    }
    assert!(kept > 10, "{kept}");
}

// shows K1
#[test]
fn a_term_that_was_accepted_has_no_fault_though_the_zone_database_lost_its_zone() {
    let spec = Term {
        time_zone: "Europe/Atlantis".to_owned(),
        ..term("2027-04-01", None)
    };
    let accepted = ResolvedTerm {
        start: at("2027-04-01T03:00:00Z"),
        of: Some(term_in_words(&spec)),
        ..ResolvedTerm::default()
    };
    let found = resolve_accepted_term(&spec, None, Some(&accepted), at("2027-01-01T00:00:00Z"));
    assert_eq!(found, Ok(Some(accepted.clone())));
    let edited = term("2027-04-02", None);
    let found = resolve_accepted_term(&edited, None, Some(&accepted), at("2027-01-01T00:00:00Z"));
    assert_eq!(found, resolve_term(&edited, None));
    assert!(resolve_accepted_term(&spec, None, None, at("2027-01-01T00:00:00Z")).is_err());
}

#[test]
fn the_end_time_of_a_term_is_exclusive_and_a_term_may_have_no_end() {
    let resolved = dated(&term(
        "2027-04-01T09:00:00-03:00",
        Some("2027-04-01T10:00:00-03:00"),
    ));
    let resolved = resolved.unwrap();
    assert_eq!(resolved.start, at("2027-04-01T12:00:00Z"));
    assert_eq!(resolved.end, Some(at("2027-04-01T13:00:00Z")));
    assert_eq!(dated(&term("2027-04-01", None)).unwrap().end, None);
}

#[test]
fn a_term_that_cannot_be_used_names_the_field_what_was_found_and_what_is_allowed() {
    let said = |term: &Term| {
        let error = resolve_term(term, None).unwrap_err();
        (error.reason(), error.to_string())
    };
    let end_first = term("2027-04-01T09:00:00-03:00", Some("2027-03-31"));
    assert_eq!(
        said(&end_first),
        (
            Reason::InvalidTerm,
            "spec.term.endDate is \"2027-03-31\": must be after the start of the term".to_owned()
        )
    );
    let no_date = term("2027-02-30", None);
    assert_eq!(
        said(&no_date).1,
        "spec.term.startDate is \"2027-02-30\": must be a date such as \"2027-04-01\""
    );
    let neither = Term {
        start_date: None,
        ..term("2027-04-01", None)
    };
    assert_eq!(
        said(&neither).1,
        "spec.term: exactly one of startDate, startTime and startOn must be set"
    );
    let nowhere = Term {
        time_zone: "Europe/Atlantis".into(),
        ..term("2027-04-01", None)
    };
    assert_eq!(said(&nowhere).0, Reason::UnknownZone);
    assert!(
        said(&nowhere)
            .1
            .starts_with("spec.term.timeZone: time zone \"Europe/Atlantis\"")
    );
    let for_ever = term("2027-04-01", Some("9999-12-31"));
    assert!(
        said(&for_ever)
            .1
            .contains("leave it out for a term without end")
    );
}

#[test]
fn periods_are_those_of_the_calendar() {
    for (period, date, first, last) in [
        (Period::Month, "2028-02-29", "2028-02-01", "2028-02-29"),
        (Period::Month, "2027-02-01", "2027-02-01", "2027-02-28"),
        (Period::Quarter, "2027-12-31", "2027-10-01", "2027-12-31"),
        (Period::Quarter, "2027-01-01", "2027-01-01", "2027-03-31"),
        (Period::Year, "2027-07-15", "2027-01-01", "2027-12-31"),
    ] {
        assert_eq!(period_of(on(date), period), (on(first), on(last)), "{date}");
    }
}

#[test]
fn a_month_with_a_change_of_the_clock_has_an_hour_more_or_less() {
    let berlin = in_zone("Europe/Berlin");
    for (instant, hours) in [
        ("2027-03-10T00:00:00Z", 743),
        ("2027-10-10T00:00:00Z", 745),
        ("2027-05-10T00:00:00Z", 744),
    ] {
        let month = CalendarPeriod::at(at(instant), Period::Month, &berlin);
        assert_eq!(
            month.end.duration_since(month.start),
            SignedDuration::from_hours(hours)
        );
    }
}

#[test]
fn the_periods_over_an_interval_follow_each_other_without_a_hole() {
    let zone = in_zone("Pacific/Pago_Pago");
    let (from, until) = (at("2027-11-30T12:00:00Z"), at("2028-03-01T11:00:00Z"));
    let found: Vec<_> = periods_over(from, until, Period::Month, &zone).collect();
    let firsts: Vec<String> = found
        .iter()
        .map(|period| period.first.to_string())
        .collect();
    assert_eq!(
        firsts,
        ["2027-11-01", "2027-12-01", "2028-01-01", "2028-02-01"]
    );
    assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(periods_over(from, from, Period::Month, &zone).count(), 0);
}

#[test]
fn an_interval_touches_a_date_only_with_a_part_of_it() {
    let zone = in_zone("America/Sao_Paulo");
    let touched = |from: &str, until: &str| {
        dates_over(at(from), at(until), &zone)
            .map(|date| date.date.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        touched("2027-04-01T02:59:00Z", "2027-04-01T03:00:00Z"),
        ["2027-03-31"]
    );
    assert_eq!(
        touched("2027-04-01T02:59:00Z", "2027-04-01T03:00:01Z"),
        ["2027-03-31", "2027-04-01"]
    );
}

#[test]
fn an_instant_lies_in_one_date_also_where_the_clock_goes_back_over_midnight() {
    // In Goose Bay the clock went from 00:01 back to 23:01: the new date had begun before.
    let zone = in_zone("America/Goose_Bay");
    let (from, until) = (at("2010-11-07T03:30:00Z"), at("2010-11-07T03:40:00Z"));
    let dates: Vec<_> = dates_over(from, until, &zone).collect();
    assert_eq!(dates.len(), 1);
    assert!(dates[0].start <= from && until <= dates[0].end);
}

#[test]
fn a_date_that_the_zone_skipped_is_no_date() {
    let zone = in_zone("Pacific/Apia");
    let dates: Vec<String> = dates_over(
        at("2011-12-30T09:00:00Z"),
        at("2011-12-30T11:00:00Z"),
        &zone,
    )
    .map(|date| date.date.to_string())
    .collect();
    assert_eq!(dates, ["2011-12-29", "2011-12-31"]);
}

/// Returns a term of so long from its notice on.
fn lasting(length: &str, zone: &str) -> Term {
    Term {
        start_on: Some(StartOn::Notice),
        duration: Some(length.to_owned()),
        time_zone: zone.to_owned(),
        ..Term::default()
    }
}

// shows B2
#[test]
fn a_term_of_some_months_ends_at_the_same_time_of_the_same_day_or_of_the_last_one_of_a_shorter_month()
 {
    for (start, length, zone, end) in [
        (
            "2027-04-01T04:12:00Z",
            "P3Y",
            "America/Sao_Paulo",
            "2030-04-01T04:12:00Z",
        ),
        ("2028-02-29T12:00:00Z", "P1Y", "UTC", "2029-02-28T12:00:00Z"),
        ("2027-01-31T00:00:00Z", "P1M", "UTC", "2027-02-28T00:00:00Z"),
        (
            "2027-08-31T00:00:00Z",
            "P1Y6M",
            "UTC",
            "2029-02-28T00:00:00Z",
        ),
        (
            "2027-01-15T11:00:00Z",
            "P18M",
            "Europe/Berlin",
            "2028-07-15T10:00:00Z",
        ),
        // The clock is put forward over that time of the day.
        (
            "2027-02-28T01:30:00Z",
            "P1M",
            "Europe/Berlin",
            "2027-03-28T01:30:00Z",
        ),
    ] {
        let read = resolve_term(&lasting(length, zone), Some(at(start)));
        let read = read.unwrap().expect("it has started");
        assert_eq!(read.end, Some(at(end)), "{start} {length} {zone}");
    }
    assert_eq!(resolve_term(&lasting("P3Y", "UTC"), None), Ok(None));
}

// shows K2
#[test]
fn a_length_that_is_none_of_whole_months_is_refused_with_what_is_allowed() {
    for length in [
        "P1D",
        "P1M1D",
        "PT1H",
        "P0Y",
        "-P1Y",
        "3 years and a day",
        "P9999Y",
        "x",
        "",
    ] {
        let error = resolve_term(&lasting(length, "UTC"), Some(at("2027-04-01T00:00:00Z")));
        let error = error.expect_err(length).to_string();
        let names = format!("spec.term.duration is \"{length}\": must be whole years and months");
        assert!(error.starts_with(&names), "{error}");
    }
}
