//! Tests of the part of a delay that counts.

use entente_crds::v1alpha1::PromiseState;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("the test's own instant")
}

/// Returns an instant of 1 April 2027, UTC, where the promise is at 00:00.
fn clock(time: &str) -> Timestamp {
    at(&format!("2027-04-01T{time}:00Z"))
}

fn delay(from: &str, until: Option<&str>, cause: Cause, reason: &str) -> Delay {
    Delay {
        from: clock(from),
        until: until.map(clock),
        cause,
        reason: reason.into(),
    }
}

fn promise(closed: Option<&str>, delays: Vec<Delay>) -> Promise {
    Promise {
        proof: None,
        effective: clock("00:00"),
        state: PromiseState::Missed,
        completed: closed.map(clock),
        closed: closed.map(clock),
        delays,
        emitted: vec![],
    }
}

fn level(allowed: &str, count: CountFrom) -> ServiceLevel {
    ServiceLevel {
        allowed: allowed.into(),
        count,
    }
}

fn terms<'a>(causes: &'a [Cause], level: &'a ServiceLevel) -> LatenessTerms<'a> {
    LatenessTerms {
        causes,
        level,
        exclusions: &[],
    }
}

fn counted(promise: &Promise, causes: &[Cause], level: &ServiceLevel) -> (Vec<String>, String) {
    let owed = owed_time(promise, &terms(causes, level), clock("23:00")).unwrap();
    let shown = |interval: &Interval| {
        format!(
            "{}-{}",
            interval.from.strftime("%H:%M"),
            interval.until.strftime("%H:%M")
        )
    };
    (
        owed.owed.iter().map(shown).collect(),
        crate::time::format_duration(owed.counted),
    )
}

// shows D4
#[test]
fn the_time_from_the_promise_until_it_was_kept_counts_whichever_side_failed() {
    let promise = promise(
        Some("07:12"),
        vec![
            delay("00:00", Some("02:00"), Cause::Device, "Unreachable"),
            delay("02:00", Some("07:12"), Cause::Server, "Busy"),
        ],
    );
    let found = counted(&promise, &[], &ServiceLevel::default());
    assert_eq!(found, (vec!["00:00-07:12".to_owned()], "7h12m".to_owned()));
}

// shows D9
#[test]
fn time_whose_cause_does_not_count_is_left_out_and_is_still_told() {
    let promise = promise(
        Some("06:00"),
        vec![
            delay("00:00", Some("01:00"), Cause::Device, "Busy"),
            delay("01:00", Some("05:00"), Cause::Customer, "Suspended"),
            delay("05:00", Some("06:00"), Cause::Device, "Busy"),
        ],
    );
    let found = counted(&promise, &[], &ServiceLevel::default());
    assert_eq!(
        found,
        (
            vec!["00:00-01:00".into(), "05:00-06:00".into()],
            "2h".to_owned()
        )
    );
    let owed = owed_time(
        &promise,
        &terms(&[], &ServiceLevel::default()),
        clock("23:00"),
    )
    .unwrap();
    let hours = SignedDuration::from_hours;
    assert_eq!(
        owed.causes,
        [
            CauseTotal {
                cause: Cause::Device,
                reason: "Busy".into(),
                total: hours(2),
                counted: hours(2)
            },
            CauseTotal {
                cause: Cause::Customer,
                reason: "Suspended".into(),
                total: hours(4),
                counted: hours(0)
            },
        ]
    );
}

// shows D9
#[test]
fn a_contract_may_count_other_causes() {
    let promise = promise(
        Some("04:00"),
        vec![
            delay("00:00", Some("01:00"), Cause::Device, "Busy"),
            delay("01:00", Some("04:00"), Cause::Customer, "Suspended"),
        ],
    );
    let found = counted(&promise, &[Cause::Customer], &ServiceLevel::default());
    assert_eq!(found, (vec!["01:00-04:00".into()], "3h".to_owned()));
}

// shows D9
#[test]
fn time_that_nobody_observed_is_the_providers_before_the_first_delay_and_then_the_earlier_ones() {
    let promise = promise(
        Some("08:00"),
        vec![
            delay("02:00", Some("03:00"), Cause::Customer, "Suspended"),
            delay("05:00", Some("06:00"), Cause::Device, "Busy"),
        ],
    );
    let owed = owed_time(
        &promise,
        &terms(&[], &ServiceLevel::default()),
        clock("23:00"),
    )
    .unwrap();
    let told: Vec<_> = owed
        .causes
        .iter()
        .map(|total| (total.cause, total.reason.as_str(), total.total.as_hours()))
        .collect();
    assert_eq!(
        told,
        [
            (Cause::Device, "Busy", 3),
            (Cause::Provider, "NotObserved", 2),
            (Cause::Customer, "Suspended", 3),
        ]
    );
}

// shows D9
#[test]
fn an_instant_counts_if_any_cause_that_blocks_at_it_counts() {
    let promise = promise(
        Some("04:00"),
        vec![
            delay("00:00", Some("04:00"), Cause::Customer, "Suspended"),
            delay("01:00", Some("02:00"), Cause::Device, "Busy"),
        ],
    );
    let found = counted(&promise, &[], &ServiceLevel::default());
    assert_eq!(found, (vec!["01:00-02:00".into()], "1h".to_owned()));
}

// shows D4
#[test]
fn nothing_is_owed_until_what_counts_is_longer_than_the_allowance() {
    let late = |closed| {
        promise(
            Some(closed),
            vec![delay("00:00", None, Cause::Device, "Busy")],
        )
    };
    let level = level("4h", CountFrom::FromPromise);
    assert_eq!(
        counted(&late("04:00"), &[], &level),
        (vec![], "0s".to_owned())
    );
    assert_eq!(
        counted(&late("04:01"), &[], &level),
        (vec!["00:00-04:01".into()], "4h1m".into())
    );
    let suspended = promise(
        Some("09:00"),
        vec![
            delay("00:00", Some("06:00"), Cause::Customer, "Suspended"),
            delay("06:00", None, Cause::Device, "Busy"),
        ],
    );
    assert_eq!(counted(&suspended, &[], &level), (vec![], "0s".to_owned()));
}

// shows D4
#[test]
fn after_the_allowance_means_that_it_is_taken_off_the_front_of_what_counts() {
    let promise = promise(
        Some("08:00"),
        vec![
            delay("00:00", Some("01:00"), Cause::Device, "Busy"),
            delay("01:00", Some("05:00"), Cause::Customer, "Suspended"),
            delay("05:00", None, Cause::Server, "Busy"),
        ],
    );
    let found = counted(&promise, &[], &level("90m", CountFrom::AfterAllowance));
    assert_eq!(found, (vec!["05:30-08:00".into()], "2h30m".to_owned()));
}

// shows D4
#[test]
fn an_open_promise_is_late_until_now_and_a_closed_one_until_it_closed() {
    let mut promise = promise(None, vec![]);
    let open = owed_time(
        &promise,
        &terms(&[], &ServiceLevel::default()),
        clock("10:00"),
    )
    .unwrap();
    assert_eq!(
        (open.until, open.counted),
        (None, SignedDuration::from_hours(10))
    );
    promise.closed = Some(clock("03:00"));
    promise.completed = Some(clock("05:00"));
    let closed = owed_time(
        &promise,
        &terms(&[], &ServiceLevel::default()),
        clock("10:00"),
    )
    .unwrap();
    assert_eq!(
        (closed.until, closed.counted.as_hours()),
        (Some(clock("03:00")), 3)
    );
}

#[test]
fn a_promise_that_lies_ahead_is_not_late() {
    let promise = promise(None, vec![delay("00:00", None, Cause::Device, "Busy")]);
    let before = at("2027-03-31T23:00:00Z");
    let owed = owed_time(&promise, &terms(&[], &ServiceLevel::default()), before).unwrap();
    assert_eq!((owed.owed, owed.causes), (vec![], vec![]));
}

#[test]
fn delays_that_begin_before_the_promise_are_cut_at_it() {
    let mut promise = promise(
        Some("01:00"),
        vec![delay("00:00", None, Cause::Device, "Busy")],
    );
    promise.delays[0].from = at("2027-03-31T12:00:00Z");
    let found = counted(&promise, &[], &ServiceLevel::default());
    assert_eq!(found, (vec!["00:00-01:00".into()], "1h".to_owned()));
}

// shows D9
#[test]
fn excluded_time_is_cut_out_before_causes_and_before_the_allowance() {
    let promise = promise(
        Some("10:00"),
        vec![
            delay("00:00", Some("05:00"), Cause::Device, "Busy"),
            delay("05:00", Some("10:00"), Cause::Customer, "Suspended"),
        ],
    );
    let level = level("1h", CountFrom::AfterAllowance);
    let excluded = |from: &str, until: &str| ExcludedTime {
        from: clock(from),
        until: clock(until),
    };
    let exclusions = [excluded("04:00", "06:00"), excluded("00:00", "02:00")];
    let found = |causes: &[Cause]| {
        let terms = LatenessTerms {
            causes,
            level: &level,
            exclusions: &exclusions,
        };
        let owed = owed_time(&promise, &terms, clock("23:00")).unwrap();
        let shown = |part: &Interval| {
            format!(
                "{}-{}",
                part.from.strftime("%H:%M"),
                part.until.strftime("%H:%M")
            )
        };
        let parts: Vec<String> = owed.owed.iter().map(shown).collect();
        (parts, owed.counting.as_hours(), owed.excluded.as_hours())
    };
    assert_eq!(found(&[]), (vec!["03:00-04:00".to_owned()], 2, 4));
    let customer = found(&[Cause::Customer]);
    assert_eq!(customer, (vec!["07:00-10:00".to_owned()], 4, 4));
}
