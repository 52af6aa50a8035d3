//! The judge of promises.

use std::sync::Arc;

use entente_crds::v1alpha1::{
    Delay, ServiceLevel, ServiceSubscriptionSpec, ServiceSubscriptionStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// Promised at second 0, with an allowance of 15 minutes.
fn promised() -> ServiceSubscription {
    let revision = Revision {
        effective: second(0),
        promised: true,
        service_level: ServiceLevel {
            allowed: "15m".into(),
            ..ServiceLevel::default()
        },
        ..Revision::default()
    };
    let spec = ServiceSubscriptionSpec {
        revisions: vec![revision.into()],
        ..ServiceSubscriptionSpec::default()
    };
    ServiceSubscription::new("a.b.c", spec)
}

/// Judges at an instant and keeps the result. Proofs are those read in this very pass.
fn look(
    subscription: &mut ServiceSubscription,
    now: i64,
    completed: Option<i64>,
    blocking: (Cause, &str),
) -> Promise {
    let look = Look {
        completed_at: completed.map(second),
        heard_from: second(completed.unwrap_or(now)),
        blocking,
        now: second(now),
    };
    looks(&Circumstances::default(), subscription, &look)
}

fn looks(
    circumstances: &Circumstances<'_>,
    subscription: &mut ServiceSubscription,
    look: &Look<'_>,
) -> Promise {
    let promises = judge(subscription, circumstances, look);
    let promise = promises[0].clone();
    subscription.status = Some(ServiceSubscriptionStatus {
        promises,
        ..ServiceSubscriptionStatus::default()
    });
    promise
}

fn shown(delays: &[Delay]) -> Vec<(i64, Option<i64>, Cause)> {
    let from = |at: Timestamp| at.as_second() - 1_000_000;
    delays
        .iter()
        .map(|delay| (from(delay.from), delay.until.map(from), delay.cause))
        .collect()
}

const OFF: (Cause, &str) = (Cause::Device, "Unreachable");
const ERRS: (Cause, &str) = (Cause::Server, "ProtocolError");

// shows D3 D4
#[test]
fn exactly_at_the_end_of_the_allowance_is_kept_and_one_later_is_missed() {
    for (completed, state) in [(900, PromiseState::Kept), (901, PromiseState::Missed)] {
        let mut one = promised();
        look(&mut one, 0, None, OFF);
        let promise = look(&mut one, completed, Some(completed), OFF);
        assert_eq!(
            (promise.state, promise.completed),
            (state, Some(second(completed)))
        );
    }
}

// shows D4
#[test]
fn what_is_proved_before_the_instant_is_complete_at_the_instant() {
    let mut one = promised();
    assert_eq!(
        look(&mut one, -10, Some(-10), OFF).state,
        PromiseState::Open
    );
    let promise = look(&mut one, 1, Some(-10), OFF);
    assert_eq!(
        (promise.state, promise.completed),
        (PromiseState::Kept, Some(second(0)))
    );
}

// shows D9
#[test]
fn time_between_two_looks_belongs_to_the_earlier_and_before_the_first_to_the_provider() {
    let mut one = promised();
    look(&mut one, 100, None, OFF);
    look(&mut one, 200, None, OFF);
    look(&mut one, 300, None, ERRS);
    let promise = look(&mut one, 1000, Some(1000), OFF);
    let expected = [
        (0, Some(100), Cause::Provider),
        (100, Some(300), Cause::Device),
        (300, Some(1000), Cause::Server),
    ];
    assert_eq!(shown(&promise.delays), expected);
}

// shows D3 D4
#[test]
fn what_was_found_incomplete_is_not_completed_by_a_proof_that_is_older_than_the_pass() {
    let mut one = promised();
    look(&mut one, 100, None, OFF);
    let dropped = Look {
        completed_at: Some(second(1)),
        heard_from: second(259_200),
        blocking: OFF,
        now: second(259_201),
    };
    let promise = looks(&Circumstances::default(), &mut one, &dropped);
    assert_eq!(
        (promise.state, promise.completed),
        (PromiseState::Missed, Some(second(259_200)))
    );
}

// shows D4
#[test]
fn a_promise_closes_when_its_contract_is_deleted_however_late_that_is_seen() {
    let table = [
        ("before its start", -3, None, PromiseState::Closed, 0),
        ("in its allowance", 600, None, PromiseState::Closed, 600),
        (
            "when it was missed",
            3_600,
            Some(1_000),
            PromiseState::Missed,
            3_600,
        ),
    ];
    for (when, deleted, looked, state, closed) in table {
        let mut one = promised();
        if let Some(looked) = looked {
            look(&mut one, looked, None, OFF);
        }
        let circumstances = Circumstances {
            contract_deleted: Some(second(deleted)),
            ..Circumstances::default()
        };
        let late = Look {
            completed_at: None,
            heard_from: second(7_200),
            blocking: OFF,
            now: second(7_200),
        };
        let promise = looks(&circumstances, &mut one, &late);
        assert_eq!(
            (promise.state, promise.closed),
            (state, Some(second(closed))),
            "{when}"
        );
    }
}

// shows D4
#[test]
fn a_promise_whose_allowance_cannot_be_read_is_not_judged() {
    let mut one = promised();
    Arc::make_mut(&mut one.spec.revisions[0])
        .service_level
        .allowed = "soon".into();
    for completed in [None, Some(901)] {
        let promise = look(&mut one, 1_000, completed, OFF);
        assert_eq!((promise.state, promise.closed), (PromiseState::Open, None));
    }
}

#[test]
fn a_verdict_is_never_given_twice() {
    let mut one = promised();
    let kept = look(&mut one, 10, Some(10), OFF);
    assert_eq!(look(&mut one, 5000, None, OFF), kept);
}

#[test]
fn a_promise_of_what_is_deleted_closes_then_and_is_missed_only_past_the_allowance() {
    for (deleted, state) in [(300, PromiseState::Closed), (2000, PromiseState::Missed)] {
        let mut one = promised();
        look(&mut one, 0, None, OFF);
        look(&mut one, deleted - 1, None, OFF);
        one.metadata.deletion_timestamp = Some(Time(second(deleted)));
        let promise = look(&mut one, deleted + 50, Some(deleted + 40), OFF);
        let found = (promise.state, promise.closed, promise.completed);
        assert_eq!(found, (state, Some(second(deleted)), None));
    }
}

#[test]
fn what_the_customer_holds_up_again_and_again_is_never_merged_into_what_counts() {
    let mut one = promised();
    for step in 0..80 {
        let blocking = if step % 2 == 0 {
            OFF
        } else {
            (Cause::Customer, "Suspended")
        };
        look(&mut one, step * 60, None, blocking);
    }
    let promise = look(&mut one, 5000, Some(5000), OFF);
    let is_customers = |delay: &&Delay| delay.cause == Cause::Customer;
    assert_eq!(promise.delays.len(), 80);
    assert_eq!(promise.delays.iter().filter(is_customers).count(), 40);
    assert_eq!(shown(&promise.delays)[0].0, 0);
}

/// Returns a promise that was judged at these seconds, whose entry may be gone.
fn history(effective: i64, state: PromiseState) -> Promise {
    Promise {
        effective: second(effective),
        state,
        completed: None,
        proof: None,
        closed: Some(second(effective + 1)),
        delays: Vec::new(),
        emitted: Vec::new(),
    }
}

// shows D8
#[test]
fn of_a_long_history_the_oldest_that_owes_nothing_is_forgotten_first_and_a_debt_last() {
    let kept = |at| history(at, PromiseState::Kept);
    let missed = |at| history(at, PromiseState::Missed);
    let mut one = promised();
    let before: Vec<Promise> = [missed(-100), kept(-99), missed(-98)]
        .into_iter()
        .chain((-97..-84).map(kept))
        .collect();
    assert_eq!(before.len(), 16);
    one.status = Some(ServiceSubscriptionStatus {
        promises: before,
        ..ServiceSubscriptionStatus::default()
    });
    look(&mut one, 0, None, OFF);
    let left = &one.status.as_ref().expect("a status").promises;
    let effective: Vec<i64> = left
        .iter()
        .map(|it| it.effective.as_second() - 1_000_000)
        .collect();
    assert_eq!(effective.len(), 16);
    assert_eq!(effective[..3], [-100, -98, -97], "-99 is forgotten");
    assert_eq!(effective[15], 0, "and never the one that is judged");

    let debts = (-100..-84).map(missed).collect();
    one.status = Some(ServiceSubscriptionStatus {
        promises: debts,
        ..ServiceSubscriptionStatus::default()
    });
    look(&mut one, 0, None, OFF);
    let left = &one.status.as_ref().expect("a status").promises;
    assert_eq!(left.len(), 16);
    assert_eq!(left[0].effective, second(-99));
}

// shows D8
#[test]
fn a_promise_that_was_taken_back_before_its_instant_is_forgotten_and_one_that_began_is_not() {
    let mut one = promised();
    let open = |at| Promise {
        closed: None,
        ..history(at, PromiseState::Open)
    };
    let mut promises: Vec<Promise> = (-20..-3).chain(500..520).map(open).collect();
    let mut begun = open(-2);
    begun.delays.push(not_observed(second(-2), second(-1)));
    promises.push(begun);
    one.status = Some(ServiceSubscriptionStatus {
        promises,
        ..ServiceSubscriptionStatus::default()
    });
    look(&mut one, 0, None, OFF);
    let left = &one.status.as_ref().expect("a status").promises;
    let effective: Vec<Timestamp> = left.iter().map(|it| it.effective).collect();
    assert_eq!(effective, [second(-2), second(0)]);
}

// shows D8
#[test]
fn a_status_never_has_more_promises_than_it_may_whatever_state_they_are_in() {
    for state in [PromiseState::Open, PromiseState::Missed, PromiseState::Kept] {
        for closed in [None, Some(second(-1))] {
            let mut one = promised();
            let begun = (-40..-3).map(|at| Promise {
                closed,
                delays: vec![not_observed(second(at), second(at + 1))],
                ..history(at, state)
            });
            one.status = Some(ServiceSubscriptionStatus {
                promises: begun.collect(),
                ..ServiceSubscriptionStatus::default()
            });
            look(&mut one, 0, None, OFF);
            let left = one.status.expect("a status").promises;
            assert_eq!(left.len(), 16, "{state:?} {closed:?}");
            assert_eq!(left[15].effective, second(0), "{state:?} {closed:?}");
        }
    }
}

fn record(name: &str, of: &str, promised: i64) -> CompensationRecord {
    CompensationRecord {
        name: name.to_owned(),
        subscription: of.to_owned(),
        promised: second(promised),
        remedy: "credit".to_owned(),
        booking_key: String::new(),
        calculated: false,
        voided: false,
        successor: None,
    }
}

// shows D8
#[test]
fn records_are_listed_at_their_promise_for_ever_and_those_of_others_are_not() {
    let mut one = promised();
    let records = [
        record("b", "a.b.c", 0),
        record("a", "a.b.c", 0),
        record("c", "a.b.other", 0),
        record("d", "a.b.c", 60),
    ];
    let circumstances = Circumstances {
        records: &records,
        ..Circumstances::default()
    };
    let late = Look {
        completed_at: None,
        heard_from: second(1000),
        blocking: OFF,
        now: second(1000),
    };
    let promise = looks(&circumstances, &mut one, &late);
    assert_eq!(promise.emitted, ["a", "b"]);
    // A person deleted them: they were made all the same.
    let promise = looks(&Circumstances::default(), &mut one, &late);
    assert_eq!(promise.emitted, ["a", "b"]);
    let again = looks(&circumstances, &mut one, &late);
    assert_eq!(again.emitted, ["a", "b"], "each once");
}

// shows D8
#[test]
fn no_more_records_are_listed_than_a_status_may_hold() {
    let mut one = promised();
    let records: Vec<CompensationRecord> = (0..80)
        .map(|number| record(&format!("r-{number:02}"), "a.b.c", 0))
        .collect();
    let circumstances = Circumstances {
        records: &records,
        ..Circumstances::default()
    };
    let late = Look {
        completed_at: None,
        heard_from: second(1000),
        blocking: OFF,
        now: second(1000),
    };
    let promise = looks(&circumstances, &mut one, &late);
    assert_eq!(promise.emitted.len(), 64);
}

// shows K5
#[test]
fn a_clock_that_cannot_be_trusted_judges_nothing_and_forgets_nothing() {
    let mut one = promised();
    look(&mut one, 100, None, OFF);
    let before = one.status.clone();
    let skewed = Circumstances {
        clock_skewed: true,
        contract_deleted: Some(second(200)),
        ..Circumstances::default()
    };
    let late = Look {
        completed_at: Some(second(5000)),
        heard_from: second(5000),
        blocking: ERRS,
        now: second(5000),
    };
    looks(&skewed, &mut one, &late);
    assert_eq!(one.status, before);
}

// shows D8
#[test]
fn a_subscription_that_is_made_again_closes_what_nobody_can_prove_any_more() {
    for (created, established, effective, of_start, restored, lost) in [
        (500, Some(100), 0, true, None, true),
        // Its start was still to come when it was made again.
        (500, Some(100), 501, true, None, false),
        // The set was never complete before.
        (500, None, 0, true, None, false),
        (500, Some(600), 0, true, None, false),
        // By an amendment after which it was made for the first time, or again.
        (500, Some(100), 200, false, None, false),
        (500, Some(100), 200, false, Some(500), true),
        (500, Some(100), 501, false, Some(500), false),
    ] {
        let mut one = promised();
        Arc::make_mut(&mut one.spec.revisions[0]).effective = second(effective);
        one.spec.contract.start = second(if of_start { effective } else { 50 });
        one.spec.restored = restored.map(second);
        one.metadata.creation_timestamp = Some(Time(second(created)));
        let established = established.map(second);
        assert_eq!(
            evidence_is_lost(&one, established),
            lost,
            "{created} {effective}"
        );
        let circumstances = Circumstances {
            established,
            ..Circumstances::default()
        };
        let late = Look {
            completed_at: None,
            heard_from: second(510),
            blocking: OFF,
            now: second(510),
        };
        let promise = looks(&circumstances, &mut one, &late);
        assert_eq!(
            promise.state == PromiseState::Closed,
            lost,
            "{created} {effective}"
        );
    }
}

proptest! {
    // shows D9
    #[test]
    fn delays_cover_the_time_from_the_promise_to_its_end_without_gap_or_overlap(
        looks in prop::collection::vec((0..4_000_i64, 0..5_usize), 1..60),
        back in 0..200_i64,
        completed in 4_000..5_000_i64,
    ) {
        let causes = [
            OFF, ERRS, (Cause::Customer, "Suspended"), (Cause::Provider, "ClockSkew"),
            (Cause::Provider, "Progressing"),
        ];
        let mut one = promised();
        let mut looks = looks;
        looks.sort_unstable();
        for (index, (at, cause)) in looks.iter().enumerate() {
            // The clock is set back now and then.
            let at = if index % 7 == 6 { at - back } else { *at };
            look(&mut one, at, None, causes[*cause]);
        }
        let promise = look(&mut one, completed, Some(completed), OFF);
        prop_assert!(promise.delays.len() <= 32);
        let mut from = promise.effective;
        for delay in &promise.delays {
            prop_assert_eq!(delay.from, from);
            prop_assert!(delay.until.is_some_and(|until| until > delay.from));
            from = delay.until.unwrap();
        }
        prop_assert_eq!(Some(from), promise.closed);
        prop_assert_eq!(promise.closed, promise.completed);
    }
}
