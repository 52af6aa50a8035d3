//! Tests of backoffs: what holds, for how long, and what a person drops.

use entente_crds::condition::Reason;

use super::*;

const LONGEST: Delay = Delay {
    policy: RetryPolicy {
        initial: SignedDuration::from_secs(1),
        max: SignedDuration::from_mins(15),
    },
    retry_after: None,
    fraction: 1.0,
};

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number of seconds")
}

fn why() -> Blocked {
    Blocked::new(Reason::Busy, "it is busy".to_owned())
}

fn device() -> BackoffKey {
    BackoffKey::device(&"hq".into())
}

fn until(backoffs: &Backoffs, now: i64) -> Option<Timestamp> {
    backoffs.pending(&device(), None, instant(now))?.until
}

// shows K5
#[test]
fn one_request_of_a_person_drops_the_backoffs_once() {
    let mut backoffs = Backoffs::default();
    for (wish, held) in [("monday", false), ("monday", true), ("tuesday", false)] {
        backoffs.fail(device(), why(), LONGEST, instant(1000));
        backoffs.clear_for([OpenWish::of_device(wish)].into());
        assert_eq!(until(&backoffs, 1000).is_some(), held, "{wish}");
    }
}

// shows K5
#[test]
fn each_of_several_wishes_drops_the_backoffs_once_in_whatever_order_they_are_done() {
    let mut backoffs = Backoffs::default();
    for (open, held) in [
        (&["monday"][..], false),
        (&["monday", "tuesday"], false),
        (&["tuesday", "monday"], true),
        (&["tuesday"], true),
        (&["wednesday"], false),
    ] {
        backoffs.fail(device(), why(), LONGEST, instant(1000));
        let wishes = open.iter().map(|wish| OpenWish::of_device(wish));
        backoffs.clear_for(wishes.collect());
        assert_eq!(until(&backoffs, 1000).is_some(), held, "{open:?}");
    }
}

#[test]
fn the_longer_of_retry_after_and_the_backoff_holds_and_what_is_held_says_why() {
    let mut backoffs = Backoffs::default();
    let delay = Delay {
        retry_after: Some(SignedDuration::from_secs(120)),
        ..LONGEST
    };
    backoffs.fail(device(), why(), delay, instant(1000));
    let pending = backoffs.pending(&device(), None, instant(1000));
    let expected = Blocked {
        until: Some(instant(1120)),
        ..why()
    };
    assert_eq!(pending, Some(expected));
    assert_eq!(until(&backoffs, 1120), None);
    // A date that has passed, or none of it, is no leave to ask at once.
    for asked in [-60, 0] {
        let mut backoffs = Backoffs::default();
        let delay = Delay {
            retry_after: Some(SignedDuration::from_secs(asked)),
            ..LONGEST
        };
        backoffs.fail(device(), why(), delay, instant(1000));
        assert_eq!(until(&backoffs, 1000), Some(instant(1001)), "{asked}");
    }
}

#[test]
fn waits_grow_although_every_failed_write_comes_after_an_answered_read() {
    let mut backoffs = Backoffs::default();
    let waits: Vec<_> = (0..4)
        .map(|_| {
            backoffs.clear(&device());
            backoffs.fail(device(), why(), LONGEST, instant(0));
            until(&backoffs, 0)
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8].map(|second| Some(instant(second))));
}

#[test]
fn a_success_lets_the_key_go_and_the_second_forgets_its_failures() {
    let mut backoffs = Backoffs::default();
    backoffs.fail(device(), why(), LONGEST, instant(0));
    backoffs.clear(&device());
    assert_eq!(until(&backoffs, 0), None);
    backoffs.clear(&device());
    assert_eq!(backoffs, Backoffs::default());
}

/// Returns the sides that may be behind a key.
fn sides() -> [Digest; 2] {
    ["one", "another"].map(crate::delivery::digest)
}

/// Fails with a side's wish for a wait of so many seconds.
fn asked_to_wait(backoffs: &mut Backoffs, key: &BackoffKey, seconds: i64) {
    let now = instant(1000);
    let retry_after = Some(SignedDuration::from_secs(seconds));
    let delay = Delay {
        retry_after,
        ..LONGEST
    };
    backoffs.fail(key.clone(), why(), delay, now);
    backoffs.ask(key.clone(), sides()[0], why(), instant(1000 + seconds), now);
}

// shows K5
#[test]
fn what_a_person_changes_ends_our_own_backoff_and_not_the_wait_that_was_asked_for() {
    let [one, another] = sides();
    for seconds in [120, 1, 0, -60] {
        let mut backoffs = Backoffs::default();
        asked_to_wait(&mut backoffs, &device(), seconds);
        backoffs.clear_all();
        for wish in ["monday", "tuesday"] {
            backoffs.clear_for([OpenWish::of_device(wish)].into());
        }
        let end = 1000 + seconds;
        let held = |side: Digest, now: i64| {
            let pending = backoffs.pending(&device(), Some(side), instant(now));
            pending.and_then(|it| it.until)
        };
        let asked = (seconds > 0).then(|| instant(end));
        assert_eq!(held(one, 1000), asked, "{seconds}");
        assert_eq!(held(one, end.max(1000)), None, "{seconds}");
        assert_eq!(held(another, 1000), None, "another server did not ask");
        assert_eq!(backoffs.next(instant(1000)), asked, "it wakes the device");
    }
}

// shows K5
#[test]
fn a_backoff_that_has_grown_falls_to_the_wait_that_was_asked_for_and_its_failures_are_forgotten() {
    let mut backoffs = Backoffs::default();
    for _ in 0..8 {
        asked_to_wait(&mut backoffs, &device(), 30);
    }
    let held = |backoffs: &Backoffs| {
        let asker = Some(sides()[0]);
        backoffs.pending(&device(), asker, instant(1000))
    };
    let grown = Blocked {
        until: Some(instant(1128)),
        ..why()
    };
    assert_eq!(held(&backoffs), Some(grown));
    backoffs.clear_all();
    let left = held(&backoffs).expect("it was asked for");
    assert_eq!(left.until, Some(instant(1030)));
    assert_eq!(
        left.message,
        "it is busy; it asked for no request before 1970-01-01T00:17:10Z"
    );
    assert_eq!(left.reason, Reason::Busy);
    backoffs.fail(device(), why(), LONGEST, instant(1030));
    assert_eq!(until(&backoffs, 1030), Some(instant(1031)), "the first");
}

// shows K5
#[test]
fn after_a_change_a_refused_value_waits_for_time_alone_and_needs_no_person() {
    let asker = sides()[0];
    let refused = Blocked::new(Reason::RejectedValue, "HTTP 400".to_owned());
    let mut backoffs = Backoffs::default();
    backoffs.ask(device(), asker, refused, instant(60), instant(0));
    let said = |backoffs: &Backoffs| {
        let pending = backoffs.pending(&device(), Some(asker), instant(0));
        pending.map(|it| (it.reason, it.message, it.until))
    };
    let until = Some(instant(60));
    let plain = "HTTP 400".to_owned();
    let expected = Some((Reason::RejectedValue, plain, until));
    assert_eq!(said(&backoffs), expected);
    backoffs.clear_all();
    let left = "HTTP 400; it asked for no request before 1970-01-01T00:01:00Z".to_owned();
    assert_eq!(said(&backoffs), Some((Reason::Busy, left, until)));
}

// shows K5
#[test]
fn a_wait_that_was_asked_for_is_not_shortened_by_less_nor_forgotten_while_others_answer() {
    let [one, another] = sides();
    let mut backoffs = Backoffs::default();
    let ask = |backoffs: &mut Backoffs, side, end, now| {
        backoffs.ask(device(), side, why(), instant(end), instant(now));
    };
    let held = |backoffs: &Backoffs, side, now| {
        let pending = backoffs.asked(&device(), Some(side), instant(now));
        pending.and_then(|it| it.until)
    };
    ask(&mut backoffs, one, 300, 0);
    ask(&mut backoffs, one, 60, 10);
    // The Connection leads elsewhere for a while, and then back again.
    ask(&mut backoffs, another, 40, 20);
    assert_eq!(held(&backoffs, another, 30), Some(instant(40)));
    assert_eq!(held(&backoffs, one, 30), Some(instant(300)));
    ask(&mut backoffs, one, 400, 50);
    assert_eq!(held(&backoffs, one, 50), Some(instant(400)));
    // A clock that is set back by days makes no wait of days.
    assert_eq!(held(&backoffs, one, -3600), Some(instant(400)));
    assert_eq!(held(&backoffs, one, -400_000), None);
    assert_eq!(backoffs.asked(&device(), None, instant(50)), None);
}

// shows K5
#[test]
fn a_wait_between_polls_holds_back_its_own_operation_alone() {
    let asker = Some(sides()[0]);
    let name = SubscriptionName::from("acme.backup.lobby");
    let key = |since| BackoffKey::operation(&name, instant(since));
    let running = || Blocked::new(Reason::OperationRunning, "it is under way".to_owned());
    let mut backoffs = Backoffs::default();
    backoffs.ask(key(0), sides()[0], running(), instant(60), instant(0));
    backoffs.wait_to_poll(&name, instant(0), running(), instant(60));
    let pending = |backoffs: &Backoffs, since| {
        let pending = backoffs.pending(&key(since), asker, instant(5));
        pending.and_then(|it| it.until)
    };
    assert_eq!(pending(&backoffs, 0), Some(instant(60)));
    assert_eq!(pending(&backoffs, 3), None, "another operation");
    let server = BackoffKey::server(&name);
    assert_eq!(backoffs.pending(&server, asker, instant(5)), None);
    // Our own interval between polls falls with an edit, the server's does not.
    backoffs.wait_to_poll(&name, instant(0), running(), instant(90));
    backoffs.clear_all();
    assert_eq!(pending(&backoffs, 0), Some(instant(60)));
    backoffs.end_operation(&name);
    assert_eq!(pending(&backoffs, 0), None);
    assert_eq!(backoffs, Backoffs::default());
}
