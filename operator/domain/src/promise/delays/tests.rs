//! Tests of delays: whose each moment after a promised instant is, and what merging may lose.

use entente_crds::v1alpha1::{CountFrom, PromiseState, ServiceLevel};
use proptest::prelude::*;

use super::*;
use crate::compensation::{Interval, LatenessTerms, OwedTime, owed_time};

const OFF: (Cause, &str) = (Cause::Device, "Unreachable");
const ERRS: (Cause, &str) = (Cause::Server, "ProtocolError");
const WORKS: (Cause, &str) = (Cause::Provider, "Progressing");
const WAITS: (Cause, &str) = (Cause::Customer, "Suspended");
const LOST: (Cause, &str) = (Cause::Provider, "NotObserved");

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("the test's own second")
}

/// Returns a promise of second 0 that nobody has looked at.
fn promise() -> Promise {
    Promise {
        effective: second(0),
        state: PromiseState::Open,
        completed: None,
        proof: None,
        closed: None,
        delays: vec![],
        emitted: vec![],
    }
}

/// Returns the delays of a promise of second 0 after those looks.
fn after(looks: &[(i64, (Cause, &str))], counted: &[Cause]) -> Vec<Delay> {
    let mut promise = promise();
    let revision = Revision {
        effective: second(0),
        counted_causes: counted.to_vec(),
        ..Revision::default()
    };
    for (now, blocking) in looks {
        let look = Look {
            completed_at: None,
            heard_from: second(*now),
            blocking: *blocking,
            now: second(*now),
        };
        observe(&mut promise, &revision, &look);
    }
    promise.delays
}

/// Returns a delay that ended, as the tests expect it.
fn delay(from: i64, until: i64, (cause, reason): (Cause, &str)) -> Delay {
    Delay {
        from: second(from),
        until: Some(second(until)),
        cause,
        reason: reason.to_owned(),
    }
}

/// Returns a delay that goes on.
fn open(from: i64, blocking: (Cause, &str)) -> Delay {
    Delay {
        until: None,
        ..delay(from, from, blocking)
    }
}

// shows D9
#[test]
fn a_first_look_within_half_a_minute_speaks_for_the_promised_instant_and_a_later_one_does_not() {
    assert_eq!(after(&[(0, OFF)], &[]), [open(0, OFF)]);
    assert_eq!(after(&[(30, OFF)], &[]), [open(0, OFF)]);
    let late = [delay(0, 31, LOST), open(31, OFF)];
    assert_eq!(after(&[(31, OFF)], &[]), late);
}

// shows D9
#[test]
fn a_delay_goes_on_while_the_same_blocks_or_work_is_under_way_and_ends_with_another() {
    let same = [(0, OFF), (100, OFF), (200, WORKS), (300, OFF)];
    assert_eq!(after(&same, &[]), [open(0, OFF)]);
    let other = [(0, OFF), (100, ERRS), (200, OFF)];
    let three = [delay(0, 100, OFF), delay(100, 200, ERRS), open(200, OFF)];
    assert_eq!(after(&other, &[]), three);
    let again = (Cause::Device, "TimedOut");
    let reason = [delay(0, 100, OFF), open(100, again)];
    assert_eq!(after(&[(0, OFF), (100, again)], &[]), reason);
    // A reason that is named alike by another side is another delay.
    let ours = (Cause::Provider, OFF.1);
    let side = [delay(0, 100, OFF), open(100, ours)];
    assert_eq!(after(&[(0, OFF), (100, ours)], &[]), side);
}

// shows D9
#[test]
fn work_that_is_under_way_from_the_first_look_on_is_a_delay_of_its_own() {
    assert_eq!(after(&[(0, WORKS)], &[]), [open(0, WORKS)]);
    let then = [delay(0, 50, WORKS), open(50, ERRS)];
    assert_eq!(after(&[(0, WORKS), (50, ERRS)], &[]), then);
}

// shows D9 K5
#[test]
fn a_clock_that_is_set_back_takes_no_time_away_and_leaves_no_delay_without_length() {
    let back = after(&[(0, OFF), (100, ERRS), (50, WAITS)], &[]);
    assert_eq!(back, [delay(0, 100, OFF), open(100, WAITS)]);
    let at_once = after(&[(0, OFF), (0, ERRS)], &[]);
    assert_eq!(at_once, [open(0, ERRS)]);
    let before = after(&[(-60, OFF)], &[]);
    assert_eq!(before, [open(0, OFF)], "nothing before the promise");
}

/// Returns looks that each find another cause and reason, a minute apart.
fn changing(looks: i64) -> Vec<(i64, (Cause, &'static str))> {
    let turns = [OFF, ERRS];
    let turn = |number: i64| turns[usize::from(number % 2 == 1)];
    (0..looks).map(|it| (it * 60, turn(it))).collect()
}

// shows D9
#[test]
fn beyond_what_a_person_reads_the_oldest_that_both_count_are_merged() {
    let full = after(&changing(32), &[]);
    assert_eq!(full.len(), 32);
    assert_eq!(full[0], delay(0, 60, OFF));
    let merged = after(&changing(33), &[]);
    assert_eq!(merged.len(), 32);
    assert_eq!(merged[0], delay(0, 120, OFF), "as long: the first stays");
    assert_eq!(merged[1], delay(120, 180, OFF));
    // Then two of one cause stand side by side, and nothing else is falsified.
    let again = after(&changing(34), &[]);
    assert_eq!(again[0], delay(0, 180, OFF));
    assert_eq!(again[1], delay(180, 240, ERRS));
}

// shows D9
#[test]
fn of_two_that_are_merged_the_longer_one_gives_the_name() {
    let mut looks = changing(33);
    for look in looks.iter_mut().skip(2) {
        look.0 += 1;
    }
    let merged = after(&looks, &[]);
    assert_eq!(merged[0], delay(0, 121, ERRS));
}

/// Returns looks, a minute apart, that find the side of the customer and another one in turn.
fn alternating(looks: i64) -> Vec<(i64, (Cause, &'static str))> {
    let turns = [OFF, WAITS];
    let turn = |number: i64| turns[usize::from(number % 2 == 1)];
    (0..looks).map(|it| (it * 60, turn(it))).collect()
}

// shows D9
#[test]
fn delays_that_count_and_others_in_turn_are_kept_as_they_are() {
    let kept = after(&alternating(256), &[]);
    assert_eq!(kept.len(), 256);
    assert_eq!(kept[0], delay(0, 60, OFF));
    assert_eq!(kept[1], delay(60, 120, WAITS));
    // The one that lasts has its own name also where the one before would be merged with it.
    let errs = [alternating(100), vec![(6_000, OFF), (6_060, ERRS)]].concat();
    let kept = after(&errs, &[]);
    assert_eq!(kept.last(), Some(&open(6_060, ERRS)));
    assert_eq!(kept.len(), 102);
}

// shows D9
#[test]
fn where_even_these_are_too_many_the_shortest_that_counts_gives_way_and_nothing_begins_to() {
    let mut looks = alternating(257);
    // Delay 100 counts, and is the shortest that does.
    for look in looks.iter_mut().skip(101) {
        look.0 -= 30;
    }
    let kept = after(&looks, &[]);
    let end = second(257 * 60 - 30);
    assert_eq!(kept.len(), 255);
    assert_eq!(kept[99], delay(99 * 60, 102 * 60 - 30, WAITS));
    assert_eq!(counted_seconds(&kept, &[], end), 128 * 60);
    let first = after(
        &{
            let mut looks = alternating(257);
            looks.iter_mut().skip(1).for_each(|look| look.0 -= 30);
            looks
        },
        &[],
    );
    assert_eq!(first[0], delay(0, 90, WAITS));
}

fn counted_seconds(delays: &[Delay], counted: &[Cause], end: Timestamp) -> i64 {
    let counted = delays.iter().filter(|it| counts(it.cause, counted));
    counted
        .map(|it| {
            let until = it.until.unwrap_or(end);
            until.duration_since(it.from).as_secs()
        })
        .sum()
}

/// Returns looks that pass after each other, every delay that they find, and the end.
#[allow(clippy::type_complexity, reason = "three parts of one story")]
fn seen(passed: &[(i64, usize)]) -> (Vec<(i64, (Cause, &'static str))>, Vec<Delay>, Timestamp) {
    let mut now = 0;
    let mut seen = vec![];
    let mut all: Vec<Delay> = vec![];
    for (passed, which) in passed {
        let blocking = [OFF, ERRS, WAITS, LOST][*which];
        seen.push((now, blocking));
        if let Some(last) = all.last_mut() {
            last.until = Some(second(now));
        }
        all.push(open(now, blocking));
        now += passed;
    }
    (seen, all, second(now))
}

/// Returns the owed time of a promise with those delays that is still open at `end`.
fn owed(delays: &[Delay], counted: &[Cause], level: &ServiceLevel, end: Timestamp) -> OwedTime {
    let promise = Promise {
        delays: delays.to_vec(),
        ..promise()
    };
    let terms = LatenessTerms {
        causes: counted,
        level,
        exclusions: &[],
    };
    owed_time(&promise, &terms, end).expect("the test's own allowance")
}

fn counted_causes() -> impl Strategy<Value = Vec<Cause>> {
    let causes = [
        Cause::Device,
        Cause::Server,
        Cause::Provider,
        Cause::Customer,
    ];
    prop::sample::subsequence(causes.to_vec(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No limit of storage makes a debt, and none loses one (rule of money 4).
    // shows D9
    #[test]
    fn what_is_owed_from_what_is_recorded_is_what_is_owed_from_every_delay(
        passed in prop::collection::vec((1..600_i64, 0..4_usize), 1..256),
        counted in counted_causes(),
        hours in 0..8_u32,
        after_allowance in any::<bool>(),
    ) {
        let (seen, all, end) = seen(&passed);
        let kept = after(&seen, &counted);
        prop_assert_eq!(kept[0].from, second(0));
        for pair in kept.windows(2) {
            prop_assert_eq!(pair[0].until, Some(pair[1].from));
        }
        prop_assert_eq!(kept.last().and_then(|it| it.until), None);
        let level = ServiceLevel {
            allowed: format!("{hours}h").into(),
            count: if after_allowance {
                CountFrom::AfterAllowance
            } else {
                CountFrom::FromPromise
            },
        };
        let (kept, all) = (owed(&kept, &counted, &level, end), owed(&all, &counted, &level, end));
        prop_assert_eq!(kept.owed, all.owed);
        prop_assert_eq!(kept.counting, all.counting);
    }

    // shows D9
    #[test]
    fn however_many_delays_there_are_few_are_kept_and_no_time_begins_to_count(
        passed in prop::collection::vec((1..600_i64, 0..4_usize), 256..900),
        counted in counted_causes(),
    ) {
        let (seen, all, end) = seen(&passed);
        let kept = after(&seen, &counted);
        prop_assert!(kept.len() <= MOST_DELAYS);
        let level = ServiceLevel::default();
        let (kept, all) = (owed(&kept, &counted, &level, end), owed(&all, &counted, &level, end));
        for part in &kept.owed {
            let inside = |whole: &Interval| whole.from <= part.from && part.until <= whole.until;
            prop_assert!(all.owed.iter().any(inside), "{:?} was not owed", part);
        }
    }
}
