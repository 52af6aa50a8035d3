//! Tests of delays: whose each moment after a promised instant is, and what merging may lose.

use entente_crds::v1alpha1::PromiseState;
use proptest::prelude::*;

use super::*;

const OFF: (Cause, &str) = (Cause::Device, "Unreachable");
const ERRS: (Cause, &str) = (Cause::Server, "ProtocolError");
const WORKS: (Cause, &str) = (Cause::Provider, "Progressing");
const WAITS: (Cause, &str) = (Cause::Customer, "Suspended");
const LOST: (Cause, &str) = (Cause::Provider, "NotObserved");

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("the test's own second")
}

/// Returns the delays of a promise of second 0 after those looks.
fn after(looks: &[(i64, (Cause, &str))], counted: &[Cause]) -> Vec<Delay> {
    let mut promise = Promise {
        effective: second(0),
        state: PromiseState::Open,
        completed: None,
        proof: None,
        closed: None,
        delays: vec![],
        emitted: vec![],
    };
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
fn as_many_delays_are_kept_as_a_status_may_hold_and_then_the_oldest_are_merged() {
    let full = after(&changing(32), &[]);
    assert_eq!(full.len(), 32);
    assert_eq!(full[0], delay(0, 60, OFF));
    let merged = after(&changing(33), &[]);
    assert_eq!(merged.len(), 32);
    assert_eq!(merged[0], delay(0, 120, OFF), "both count: the first stays");
    assert_eq!(merged[1], delay(120, 180, OFF));
    // Then two of one cause stand side by side, and nothing else is falsified.
    let again = after(&changing(34), &[]);
    assert_eq!(again[0], delay(0, 180, OFF));
    assert_eq!(again[1], delay(180, 240, ERRS));
}

// shows D9
#[test]
fn of_two_that_are_merged_the_one_that_counts_gives_the_name() {
    for (counted, first) in [
        (Cause::Device, delay(0, 120, OFF)),
        (Cause::Server, delay(0, 120, ERRS)),
        (Cause::Customer, delay(0, 120, OFF)),
    ] {
        let merged = after(&changing(33), &[counted]);
        assert_eq!(merged[0], first, "{counted:?}");
    }
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

proptest! {
    /// Time that is merged into a cause that does not count would be a lost debt.
    // shows D9
    #[test]
    fn merging_never_loses_a_second_that_counts_and_leaves_no_gap(
        looks in prop::collection::vec((1..600_i64, 0..4_usize), 1..90),
        counted in prop::sample::subsequence(
            vec![Cause::Device, Cause::Server, Cause::Provider, Cause::Customer], 0..4,
        ),
    ) {
        let mut now = 0;
        let mut seen = vec![];
        let mut all: Vec<Delay> = vec![];
        for (passed, which) in looks {
            let blocking = [OFF, ERRS, WAITS, LOST][which];
            seen.push((now, blocking));
            if let Some(last) = all.last_mut() {
                last.until = Some(second(now));
            }
            all.push(open(now, blocking));
            now += passed;
        }
        let end = second(now);
        let kept = after(&seen, &counted);
        prop_assert!(kept.len() <= MOST_DELAYS);
        prop_assert_eq!(kept[0].from, second(0));
        for pair in kept.windows(2) {
            prop_assert_eq!(pair[0].until, Some(pair[1].from));
        }
        prop_assert_eq!(kept.last().and_then(|it| it.until), None);
        let owed = counted_seconds(&all, &counted, end);
        let recorded = counted_seconds(&kept, &counted, end);
        prop_assert!(recorded >= owed, "{} of {}", recorded, owed);
        if all.len() <= MOST_DELAYS {
            prop_assert_eq!(recorded, owed);
        }
    }
}
