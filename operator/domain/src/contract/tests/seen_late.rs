//! Tests of a contract that is first seen late, also after its term has ended.

use entente_crds::v1alpha1::{Cause, Promise, PromiseState, ServiceSubscriptionStatus};
use proptest::prelude::*;

use super::*;
use crate::promise::{Circumstances, Look, judge};

/// The seconds of a day.
const DAY: i64 = 86_400;

fn after_start(seconds: i64) -> Timestamp {
    let passed = jiff::SignedDuration::from_secs(seconds);
    at(START).checked_add(passed).expect("within a few years")
}

/// Returns a contract for one named device, created so many seconds after its start (before it, if
/// negative), whose term has so many days.
fn contract(created: i64, days: i64, allowed_hours: u8) -> ContractWorld {
    let mut world = named(&["a"]);
    world.edit(|spec| {
        let last = jiff::civil::date(2027, 3, 31).saturating_add(jiff::Span::new().days(days));
        spec.term.end_date = Some(last.to_string());
        spec.services[0].service_level = Some(level(&format!("{allowed_hours}h")));
    });
    world.contract.metadata.creation_timestamp = Some(Time(after_start(created)));
    world
}

/// Does one pass of the contract, and judges its promises as a pass of delivery does that reaches
/// nothing.
fn look(world: &mut ContractWorld, now: Timestamp) -> Vec<Promise> {
    world.pass(&now.to_string());
    let status = world.contract.status.as_ref();
    let circumstances = Circumstances {
        established: status.and_then(|status| status.established),
        ..Circumstances::default()
    };
    let look = Look {
        completed_at: None,
        heard_from: now,
        blocking: (Cause::Device, "Unreachable"),
        now,
    };
    let subscriptions = world.subscriptions.iter_mut().map(Arc::make_mut);
    let judged = subscriptions.flat_map(|subscription| {
        let promises = judge(subscription, &circumstances, &look);
        subscription.status = Some(ServiceSubscriptionStatus {
            promises: promises.clone(),
            ..ServiceSubscriptionStatus::default()
        });
        promises
    });
    judged.collect()
}

// shows D4
#[test]
fn a_contract_that_is_first_seen_after_its_end_is_missed_for_as_long_as_it_was_promised() {
    let mut world = contract(-DAY, 3, 4);
    let promises = look(&mut world, after_start(10 * DAY));
    assert_eq!(promises.len(), 1);
    let promise = &promises[0];
    let end = after_start(3 * DAY);
    assert_eq!(
        (promise.effective, promise.state, promise.closed),
        (at(START), PromiseState::Missed, Some(end))
    );
    let delay = &promise.delays[0];
    assert_eq!(promise.delays.len(), 1);
    assert_eq!(
        (delay.from, delay.until, delay.cause, delay.reason.as_str()),
        (at(START), Some(end), Cause::Provider, "NotObserved")
    );
    world.subscriptions.clear();
    assert!(
        look(&mut world, after_start(11 * DAY)).is_empty(),
        "one that is removed by hand after the end is not made again"
    );
}

// shows D4
#[test]
fn what_was_not_promised_is_not_made_after_the_end() {
    let over = after_start(10 * DAY);
    assert!(look(&mut contract(DAY, 3, 4), over).is_empty(), "late");
    assert!(
        look(&mut contract(9 * DAY, 3, 4), over).is_empty(),
        "created after its end"
    );
    let mut selecting = labelled(&["a", "b"]);
    selecting.devices[1].created = at(END);
    let made = selecting.pass(END).changes.create;
    assert_eq!(
        names(&made),
        ["bank.backup.a"],
        "a device that a label brought after the end was no part of it"
    );
}

proptest! {
    // shows D4
    #[test]
    fn the_verdict_is_that_of_an_operator_that_was_there_and_saw_nothing(
        created in -5 * DAY..20 * DAY,
        days in 1..10_i64,
        allowed_hours in 0..60_u8,
        first in 0..25 * DAY,
        second in 0..10 * DAY,
    ) {
        let first = after_start(created + first);
        let second = first.checked_add(jiff::SignedDuration::from_secs(second)).expect("in time");
        let mut there = contract(created, days, allowed_hours);
        look(&mut there, after_start(created));
        let mut away = contract(created, days, allowed_hours);
        prop_assume!(first.duration_since(at(START)).as_secs() > 60);
        prop_assert_eq!(look(&mut away, first), look(&mut there, first));
        prop_assert_eq!(look(&mut away, second), look(&mut there, second));
    }
}

// shows B2 K2
#[test]
fn a_contract_that_was_made_after_its_start_says_that_its_start_is_not_promised() {
    for (created, unpromised) in [(-DAY, false), (DAY, true)] {
        let mut world = contract(created, 365, 4);
        world.pass(&after_start(2 * DAY).to_string());
        let words = message(&world, ConditionType::Accepted);
        let late = "It was made after its start, so that its start is not promised.";
        assert_eq!(words.contains(late), unpromised, "{words}");
    }
}

// shows B2 K2
#[test]
fn an_amendment_that_is_older_than_its_contract_stays_accepted_when_that_has_ended() {
    let mut world = contract(60 * DAY, 365, 4);
    let change = AmendedService {
        name: "backup".to_owned(),
        parameters: texts(&[("threshold", "7")]),
        ..AmendedService::default()
    };
    world.amend("may", CREATED, "2027-05-01", vec![change]);
    for now in [after_start(61 * DAY), after_start(400 * DAY)] {
        for _ in 0..2 {
            world.pass(&now.to_string());
        }
        let status = world.amendments[0].status.clone().expect("a status");
        let accepted = find(&status.conditions, ConditionType::Accepted).expect("it is said");
        assert_eq!(accepted.status, "True", "{now} {}", accepted.message);
    }
}
