//! Tests of the removal of orphans: answers of brokers as a table, waits, and what is left alone.

use entente_crds::{
    ANNOTATION_FORGET_ORPHAN,
    v1alpha1::{Orphan, OrphanRemoval},
};
use jiff::SignedDuration;

mod interleaving;
mod play;

use self::play::{Play, Says, Script, orphan};
use super::*;
use crate::{
    catalogue::{Removals, Turn, may_deprovision},
    delivery::{RemovalAnswer, RemovalRequest},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// GET, the words that a listed orphan has after a day (none: it is gone), and the most removals.
type Row = (
    &'static str,
    bool,
    &'static [Says],
    &'static [Says],
    &'static [Says],
    Option<&'static str>,
    usize,
);

use FailureKind::{
    Busy, Concurrent, Conflict, ProtocolError, RejectedValue, TimedOut, Unauthorized,
};
use Says::{Failed, Fails, Later, Lost, NoSuchOperation, NotYet, Unknown, Yes};

const ROWS: &[Row] = &[
    (
        "2xx or 410, and a fetch finds nothing",
        true,
        &[Yes],
        &[Yes],
        &[Yes],
        None,
        1,
    ),
    (
        "2xx, and it cannot be fetched",
        false,
        &[Yes],
        &[Yes],
        &[Yes],
        None,
        1,
    ),
    (
        "2xx, and the fetch fails: it takes nothing back",
        true,
        &[Yes],
        &[Yes],
        &[Fails(ProtocolError)],
        None,
        1,
    ),
    (
        "2xx, and it stays for good",
        true,
        &[Yes],
        &[Yes],
        &[NotYet],
        Some("still has it"),
        35,
    ),
    (
        "2xx, and it is gone a while later",
        true,
        &[Yes],
        &[Yes],
        &[NotYet, NotYet, Yes],
        None,
        3,
    ),
    (
        "404, and a fetch says the same",
        true,
        &[Unknown],
        &[Yes],
        &[Yes],
        None,
        1,
    ),
    (
        "404, and it is there",
        true,
        &[Unknown],
        &[Yes],
        &[NotYet],
        Some("HTTP 404"),
        35,
    ),
    (
        "404, and it cannot be fetched",
        false,
        &[Unknown],
        &[Yes],
        &[Yes],
        Some("HTTP 404"),
        35,
    ),
    (
        "202, then it ends",
        true,
        &[NotYet],
        &[NotYet, NotYet, Yes],
        &[Yes],
        None,
        1,
    ),
    (
        "202, then a poll says that it is gone",
        true,
        &[NotYet],
        &[NotYet, Unknown],
        &[Yes],
        None,
        1,
    ),
    (
        "202, then the operation is not known (cloudfoundry/servicebroker#763)",
        true,
        &[NotYet, Yes],
        &[NoSuchOperation],
        &[Yes],
        None,
        2,
    ),
    (
        "202, then it fails, then it works (cloudfoundry/servicebroker#749)",
        true,
        &[NotYet, NotYet, Yes],
        &[Failed],
        &[Yes],
        None,
        3,
    ),
    (
        "202, and it never ends: tried again after the longest time of polls",
        true,
        &[NotYet],
        &[NotYet],
        &[Yes],
        Some("under way"),
        24,
    ),
    (
        "an operation is under way (kubernetes-retired/service-catalog#2836)",
        true,
        &[Fails(Concurrent), Yes],
        &[NotYet, NotYet, Yes],
        &[Yes],
        None,
        2,
    ),
    (
        "500 a few times: tried until it succeeds (kubernetes-retired/service-catalog#988)",
        true,
        &[
            Lost(ProtocolError),
            Lost(ProtocolError),
            Lost(ProtocolError),
            Yes,
        ],
        &[Yes],
        &[Yes],
        None,
        4,
    ),
    (
        "500 for a missing instance, for ever (kyma-incubator/compass#924)",
        true,
        &[Lost(ProtocolError)],
        &[Yes],
        &[Yes],
        Some("scripted"),
        35,
    ),
    (
        "400, then 422, then it works (cloudfoundry/servicebroker#255)",
        true,
        &[Fails(RejectedValue), Fails(RejectedValue), Yes],
        &[Yes],
        &[Yes],
        None,
        3,
    ),
    (
        "409, for ever",
        true,
        &[Fails(Conflict)],
        &[Yes],
        &[Yes],
        Some("scripted"),
        35,
    ),
    (
        "401, then it works",
        true,
        &[Fails(Unauthorized), Yes],
        &[Yes],
        &[Yes],
        None,
        2,
    ),
    (
        "429 for half an hour",
        true,
        &[Later(Busy, 30), Yes],
        &[Yes],
        &[Yes],
        None,
        2,
    ),
    (
        "no answer, and it was done",
        true,
        &[Lost(TimedOut), Yes],
        &[Yes],
        &[Yes],
        None,
        2,
    ),
    (
        "no answer, for ever (kubernetes-retired/service-catalog#2025: no loop)",
        true,
        &[Lost(TimedOut)],
        &[Yes],
        &[Yes],
        Some("scripted"),
        35,
    ),
];

// shows C10 K5
#[test]
fn an_orphan_is_removed_or_says_why_not_whatever_a_broker_answers() {
    for (name, retrievable, delete, poll, get, listed, most) in ROWS {
        let mut play = Play::of(vec![orphan("one")]);
        play.probe(*retrievable);
        play.go_on(HOUR * 24, *retrievable, &mut Script::new(delete, poll, get));
        match listed {
            None => assert_eq!(play.left(), [""; 0], "{name}: {}", play.message()),
            Some(words) => {
                assert_eq!(play.left(), ["one"], "{name}");
                assert!(play.message().contains(words), "{name}: {}", play.message());
            }
        }
        let sent = play.removals_sent();
        assert!(
            (1..=*most).contains(&sent),
            "{name}: {sent} removals: {:?}",
            play.asked
        );
        assert!(
            play.asked[0].0 >= 1,
            "{name}: nothing is sent in the first minute"
        );
    }
}

// shows K5
#[test]
fn waits_between_attempts_grow_to_an_hour_and_no_longer() {
    let mut play = Play::of(vec![orphan("one")]);
    let mut script = Script::new(&[Fails(RejectedValue)], &[Yes], &[Yes]);
    play.go_on(HOUR * 6, true, &mut script);
    let minutes: Vec<i64> = play.asked.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 304]);
}

// shows K5
#[test]
fn a_broker_that_asks_for_a_wait_or_does_not_answer_gets_no_request_for_any_orphan() {
    for (says, quiet) in [
        (Later(Busy, 30), 30),
        (Lost(TimedOut), 10),
        (Fails(Unauthorized), 10),
    ] {
        let mut play = Play::of(["a", "b", "c"].map(orphan).into());
        play.now = NOW + HOUR;
        let turn = play.pass(|request| says.answer(request));
        assert_eq!(turn.attempts.len(), 3);
        assert_eq!(play.asked.len(), 1, "{says:?}");
        play.now += SignedDuration::from_mins(quiet - 1);
        play.pass(|_| panic!("{says:?}: it is left in peace"));
        play.now += SignedDuration::from_mins(1);
        play.probe(true);
        play.pass(|request| Yes.answer(request));
        assert_eq!(play.left(), [""; 0], "{says:?}");
    }
}

// shows K5
#[test]
fn what_one_broker_asked_for_holds_back_no_removal_at_another() {
    let mut play = Play::of(vec![orphan("one")]);
    let at = |play: &mut Play, url: &str| {
        let broker = play.connection.spec.osb.get_or_insert_with(|| {
            let example = entente_crds::example::northwind_services();
            example.spec.osb.expect("a broker")
        });
        url.clone_into(&mut broker.url);
        play.probe(true);
    };
    at(&mut play, "https://broker.example");
    play.now = NOW + HOUR;
    play.pass(|request| Later(Busy, 30).answer(request));
    play.now += SignedDuration::from_mins(5);
    play.connection.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    play.pass(|_| panic!("a label is no leave to ask"));
    at(&mut play, "https://broker.example/");
    play.pass(|_| panic!("it is the same broker"));
    at(&mut play, "https://another.example");
    play.pass(|request| Yes.answer(request));
    assert_eq!(play.left(), [""; 0]);
}

// shows K5
#[test]
fn a_pass_tries_a_few_and_the_rest_follows() {
    let ids: Vec<String> = (0..30).map(|id| format!("i-{id:02}")).collect();
    let mut play = Play::of(ids.iter().map(|id| orphan(id)).collect());
    play.now = NOW + HOUR;
    for left in [22, 14, 6, 0] {
        let turn = play.pass(|request| Yes.answer(request));
        assert_eq!(play.left().len(), left);
        assert_eq!(turn.wake.is_some(), left > 0);
    }
}

// shows C10 K4: kubernetes-retired/service-catalog#2242.
#[test]
fn nothing_is_removed_that_a_subscription_holds_or_a_person_left_alone_or_whose_ids_are_not_known()
{
    let mut held = Play::of(vec![orphan("one")]);
    held.holder = Some("the ServiceSubscription acme/a.b.c uses its id".to_owned());
    let mut forgotten = Play::of(vec![orphan("one")]);
    let annotation = (ANNOTATION_FORGET_ORPHAN.to_owned(), "one".to_owned());
    forgotten.connection.metadata.annotations = Some([annotation].into());
    let mut without_plan = Play::of(vec![Orphan {
        plan_id: String::new(),
        ..orphan("one")
    }]);
    for play in [&mut held, &mut forgotten, &mut without_plan] {
        play.now = NOW + HOUR;
        play.pass(|request| panic!("it is asked for {request:?}"));
    }
    assert_eq!(
        held.message(),
        "not removed: the ServiceSubscription acme/a.b.c uses its id"
    );
    assert!(
        without_plan
            .message()
            .contains("the ids of its service and plan are not known")
    );
    assert_eq!(forgotten.left(), [""; 0]);
    // It is let go of: it is tried.
    held.holder = None;
    held.pass(|request| Yes.answer(request));
    assert_eq!(held.left(), [""; 0]);
}

// shows C10 K4
#[test]
fn who_comes_to_hold_an_instance_waits_until_no_request_that_removes_it_can_be_under_way() {
    let late = SignedDuration::from_secs(20);
    for (says, polls, waits) in [
        (Fails(RejectedValue), &[Yes][..], SignedDuration::ZERO),
        (Lost(TimedOut), &[Yes], late),
        (NotYet, &[NotYet], HOUR),
    ] {
        let mut play = Play::of(vec![orphan("one")]);
        play.now = NOW + HOUR;
        play.pass(|request| says.answer(request));
        assert!(play.is_marked(), "{says:?}");
        play.holder = Some("it is in use".to_owned());
        let begun = play.now;
        let mut script = Script::new(&[Yes], polls, &[NotYet]);
        while play.is_marked() {
            let removals = play.removals_sent();
            let turn = play.pass(|request| script.answer(request));
            assert_eq!(play.removals_sent(), removals, "{says:?}");
            let Some(wake) = turn.wake.filter(|_| play.is_marked()) else {
                break;
            };
            play.now = wake;
        }
        assert!(!play.is_marked(), "{says:?}: it may be set up");
        let took = play.now.duration_since(begun);
        assert!(
            took >= waits && took <= waits + SignedDuration::from_mins(2),
            "{says:?} {took:?}"
        );
    }
}

// shows C10 K5
#[test]
fn a_new_process_goes_on_with_what_the_broker_has_under_way_and_takes_any_other_answer_as_lost() {
    let since = NOW + HOUR;
    let removal = |under_way: bool| OrphanRemoval {
        since,
        under_way_since: under_way.then_some(since),
        operation: under_way.then(|| "d".to_owned()),
    };
    for under_way in [true, false] {
        let mut play = Play::of(vec![Orphan {
            removal: Some(removal(under_way)),
            ..orphan("one")
        }]);
        play.now = since;
        play.holder = Some("it is in use".to_owned());
        play.pass(|_| panic!("the answer to the last one may have been lost"));
        assert!(play.is_marked());
        play.holder = None;
        play.now += SignedDuration::from_secs(20);
        play.pass(|request| Yes.answer(request));
        assert_eq!(play.left(), [""; 0]);
        let first = &play.asked[0].1;
        let id = if under_way { "Some(\"d\")" } else { "None" };
        assert_eq!(*first, format!("Poll {{ operation: {id} }} one"));
    }
}
