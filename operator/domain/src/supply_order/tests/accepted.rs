//! Tests of requests that a server accepted, and whose order it makes later (A4, A9).

use super::*;

/// Returns the answer of a server that has accepted a request and makes the order by an operation.
fn under_way(path: Option<&str>, minutes: i64) -> OrderAnswer {
    OrderAnswer::UnderWay {
        path: path.map(str::to_owned),
        retry_after: Some(SignedDuration::from_mins(minutes)),
    }
}

const PATH: Option<&str> = Some("v1/orders/operations/9");

// shows A4
#[test]
fn an_operation_is_followed_to_its_order_and_one_that_is_lost_is_no_order_yet() {
    let mut bench = Bench::new(keyed());
    let next = bench.pass(|request| by_key_alone(request).unwrap_or_else(|| under_way(PATH, 1)));
    assert_eq!(next, Some(bench.now + SignedDuration::from_mins(1)));
    assert_eq!(bench.says("Ready"), "False(Progressing)");
    bench.wait(SignedDuration::from_mins(1));
    let mut forgotten = Bench {
        stored: bench.stored.clone(),
        now: bench.now,
        ..Bench::new(keyed())
    };
    bench.pass(|request| match request {
        OrderRequest::ReadOperation { path } if Some(&**path) == PATH => answered(ours("PO-1")),
        other => panic!("{other:?}"),
    });
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    forgotten.pass(|request| match request {
        OrderRequest::ReadOperation { .. } => OrderAnswer::Missing,
        OrderRequest::Place(_) => answered(ours("PO-2")),
        other => panic!("{other:?}"),
    });
    assert_eq!(forgotten.says("Ready"), "True(OrderPlaced)");
}

// shows K2
#[test]
fn an_order_that_the_server_never_ends_is_told_after_an_hour_and_asked_for_further() {
    let in_flight = OrderAnswer::InFlight { retry_after: None };
    for (name, answer) in [
        ("an operation", under_way(PATH, 1)),
        ("an operation to be read tomorrow", under_way(PATH, 24 * 60)),
        ("202 without a place", under_way(None, 1)),
        ("409 under our key", in_flight),
    ] {
        let mut bench = Bench::new(keyed());
        let mut asked = 0;
        let mut pass = |bench: &mut Bench| {
            let next = bench.pass(|request| {
                asked += 1;
                by_key_alone(request).unwrap_or_else(|| answer.clone())
            });
            next.expect("it goes on")
        };
        let next = pass(&mut bench);
        assert_eq!(bench.says("Ready"), "False(Progressing)", "{name}");
        bench.now = next.min(begin() + SignedDuration::from_mins(59));
        let mut next = pass(&mut bench);
        assert_eq!(bench.says("Ready"), "False(Progressing)", "{name}");
        while bench.now < begin() + SignedDuration::from_hours(1) {
            bench.now = next;
            next = pass(&mut bench);
        }
        let is_told_in_time = bench.now <= begin() + SignedDuration::from_hours(2);
        assert!(is_told_in_time, "{name}: {}", bench.now);
        for condition in ["Ready", "Ordered"] {
            let said = bench.says(condition);
            assert_eq!(said, "False(OrderServerUnavailable)", "{name}");
        }
        assert!(bench.message().contains(&reference()), "{name}");
        assert!(next > bench.now, "{name}: it is asked further");
        let writes = bench.writes;
        bench.now = next;
        pass(&mut bench);
        assert_eq!(bench.writes, writes, "{name}: it is told once");
        assert!(asked > 2, "{name}");
    }
}

// shows A9 K2
#[test]
fn an_order_that_the_server_never_ends_can_be_found_or_cancelled_by_a_person() {
    let late = || {
        let mut bench = Bench::new(keyed());
        bench.pass(|request| by_key_alone(request).unwrap_or_else(|| under_way(PATH, 1)));
        bench.wait(SignedDuration::from_hours(2));
        bench.attempts = Attempts::default();
        bench.pass(|_| under_way(PATH, 1));
        bench.attempts = Attempts::default();
        bench
    };
    let mut found = late();
    is_found_by_a_person(&mut found);

    let mut cancelled = late();
    is_given_up_by_a_person(&mut cancelled, "it never came");
    assert_eq!(cancelled.placed(), 1);
}

// shows A9
#[test]
fn an_order_that_was_accepted_without_a_place_is_looked_for_and_not_sent_again_without_a_key() {
    let in_flight = OrderAnswer::InFlight { retry_after: None };
    for (answer, made_after) in [
        (under_way(None, 1), 40),
        (under_way(None, 1), 30 * 60),
        (in_flight, 40),
    ] {
        let mut bench = Bench::new(without_keys());
        let made = bench.now + SignedDuration::from_mins(made_after);
        for _ in 0..400 {
            let now = bench.now;
            let next = bench.pass(|request| match request {
                OrderRequest::Place(_) => answer.clone(),
                OrderRequest::FindByReference { .. } if now >= made => {
                    OrderAnswer::Orders(vec![ours("PO-1")])
                }
                _ => none(),
            });
            if bench.status().order.is_some() {
                break;
            }
            bench.now = next.expect("it is looked for further");
            assert!(bench.now > now, "each look waits");
        }
        assert_eq!(bench.placed(), 1, "{answer:?}");
        assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
        assert_eq!(bench.status().operation, None);
        let looks = bench.sent.len();
        assert!(looks < 60, "{looks} requests");
    }
}

// shows A9
#[test]
fn an_operation_that_the_server_does_not_know_any_more_was_accepted_all_the_same() {
    let mut bench = Bench::new(without_keys());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => under_way(PATH, 1),
        _ => none(),
    });
    bench.wait(SignedDuration::from_mins(1));
    for _ in 0..20 {
        let next = bench.pass(|request| match request {
            OrderRequest::ReadOperation { .. } => OrderAnswer::Missing,
            _ => none(),
        });
        bench.now = next.expect("it is looked for further");
    }
    assert_eq!(bench.placed(), 1);
    assert_eq!(bench.says("Ready"), "False(OrderServerUnavailable)");
    bench.pass(|_| OrderAnswer::Orders(vec![ours("PO-1")]));
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

// shows A9
#[test]
fn an_accepted_order_that_is_cancelled_and_never_found_is_said_to_be_unknown() {
    let mut bench = Bench::new(without_keys());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => under_way(None, 1),
        _ => none(),
    });
    bench.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
        reason: "found a spare".to_owned(),
    });
    bench.wait(SignedDuration::from_mins(30));
    bench.now = bench.pass(|_| none()).expect("it may be made still");
    assert!(is_open(&bench.stored), "it may be made still");
    bench.wait(SignedDuration::from_mins(40));
    bench.pass(|_| none());
    assert!(!is_open(&bench.stored));
    assert_eq!(bench.says("Ordered"), "Unknown(OutcomeUnknown)");
    assert_eq!(bench.placed(), 1);
}
