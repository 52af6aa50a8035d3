//! Tests of what follows a request whose outcome is not known (A9).

use super::*;

fn by_key_alone(request: &OrderRequest) -> Option<OrderAnswer> {
    match request {
        OrderRequest::FindByReference { .. } => Some(OrderAnswer::NotSearchable),
        _ => None,
    }
}

/// A person says under which id the order server has the order, which is followed from then on.
fn is_found_by_a_person(bench: &mut Bench) {
    bench.stored.spec.found = Some(entente_crds::v1alpha1::FoundOrder {
        order_id: "PO-9".to_owned(),
    });
    bench.pass(|request| match request {
        OrderRequest::Read { id } => answered(ours(id)),
        other => panic!("{other:?}"),
    });
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

/// A person cancels an order of which nobody knows whether the order server has it: it is closed.
fn is_given_up_by_a_person(bench: &mut Bench, reason: &str) {
    bench.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
        reason: reason.to_owned(),
    });
    bench.silent_pass();
    assert!(!is_open(&bench.stored));
    assert!(
        bench.message().contains("is not known"),
        "{}",
        bench.message()
    );
}

// shows A3 A4
#[test]
fn an_order_is_looked_for_then_its_intent_is_written_then_it_is_placed() {
    let mut bench = Bench::new(keyed());
    let mut intents = Vec::new();
    let stored = bench.stored.clone();
    let mut pass = OrderPass::new(stored, bench.facts.clone(), bench.attempts);
    loop {
        match pass.next(bench.now) {
            Next::Write(status) => {
                bench.stored.status = Some(*status);
                pass.written(bench.stored.clone());
            }
            Next::Send(request) => {
                intents.push((request.writes(), bench.status().intent.is_some()));
                let answer = match request {
                    OrderRequest::Place(_) => answered(ours("PO-1")),
                    _ => none(),
                };
                pass.answered(&request, answer, bench.now);
            }
            Next::Rest(_) => break,
        }
    }
    assert_eq!(intents, [(false, false), (false, false), (true, true)]);
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    assert_eq!(bench.says("Ordered"), "True(OrderPlaced)");
    let status = bench.status();
    assert_eq!(status.intent, None, "nothing is in doubt");
    assert_eq!(status.order.expect("an order").id, "PO-1");
}

// shows A9
#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_key_and_with_the_same_body() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| by_key_alone(request).unwrap_or_else(lost));
    assert_eq!(bench.says("Ready"), "False(OrderServerUnavailable)");
    let intent = bench.status().intent.expect("it is in doubt");
    bench.wait(SignedDuration::from_mins(1));
    bench.pass(|_| answered(ours("PO-1")));
    assert_eq!(bench.placed(), 2);
    let [first, .., second] = &*bench.sent else {
        panic!("{:?}", bench.sent);
    };
    let first = [first, &bench.sent[1]].into_iter().find(|it| it.writes());
    assert_eq!(first, Some(second), "byte for byte");
    assert_eq!(bench.says("Ordered"), "True(OrderPlaced)");
    assert!(intent <= bench.now);
}

// shows A9
#[test]
fn a_server_without_keys_and_searches_gets_an_order_once_and_a_person_finds_out() {
    let mut bench = Bench::new(without_keys());
    bench.pass(|request| by_key_alone(request).unwrap_or_else(lost));
    assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)");
    assert_eq!(bench.says("Stalled"), "True(OutcomeUnknown)");
    assert_eq!(bench.says("Ordered"), "Unknown(OutcomeUnknown)");
    assert!(
        bench.message().contains(&reference()),
        "{}",
        bench.message()
    );
    assert!(is_open(&bench.stored), "A10 holds while nobody knows");
    bench.wait(SignedDuration::from_hours(999));
    bench.silent_pass();
    assert_eq!(bench.placed(), 1);

    let mut found = Bench {
        stored: bench.stored.clone(),
        ..Bench::new(without_keys())
    };
    is_found_by_a_person(&mut found);

    is_given_up_by_a_person(&mut bench, "not there");
}

// shows A9
#[test]
fn a_server_that_can_only_be_searched_is_believed_after_a_quiet_time() {
    let mut bench = Bench::new(without_keys());
    let searched = |request: &OrderRequest| match request {
        OrderRequest::Place(_) => lost(),
        _ => none(),
    };
    bench.pass(searched);
    assert_eq!(bench.placed(), 1);
    bench.wait(SignedDuration::from_mins(9));
    let again = bench.pass(searched).expect("it goes on");
    assert_eq!(bench.placed(), 1, "the first request may be at work still");
    bench.now = again;
    let before = bench.status().intent;
    bench.pass(|request| match request {
        OrderRequest::Place(_) => answered(ours("PO-1")),
        _ => none(),
    });
    assert_eq!(bench.placed(), 2);
    assert!(
        before < Some(bench.now),
        "the intent was written anew before"
    );
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

// shows A9
#[test]
fn an_order_that_is_found_after_a_lost_answer_is_taken_and_not_placed_again() {
    for terms in [keyed(), without_keys()] {
        let mut bench = Bench::new(terms);
        bench.pass(|request| match request {
            OrderRequest::Place(_) => lost(),
            _ => none(),
        });
        bench.wait(SignedDuration::from_mins(1));
        bench.pass(|request| match request {
            OrderRequest::FindByReference { .. } => OrderAnswer::Orders(vec![ours("PO-1")]),
            other => panic!("{other:?}"),
        });
        assert_eq!(bench.placed(), 1);
        let order = bench.status().order.expect("an order");
        assert!(!order.adopted, "it is our own");
    }
}

// shows A9
#[test]
fn a_key_is_relied_on_no_longer_than_the_server_keeps_it() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| by_key_alone(request).unwrap_or_else(lost));
    bench.wait(SignedDuration::from_hours(25));
    bench.silent_pass();
    assert_eq!(bench.placed(), 1);
    assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)");
}

// shows A9 A10
#[test]
fn an_order_is_not_sent_again_so_late_that_it_may_arrive_after_its_key_is_forgotten() {
    for (minutes, is_sent) in [(24 * 60 - 11, true), (24 * 60 - 10, false)] {
        let mut bench = Bench::new(keyed());
        bench.pass(|request| by_key_alone(request).unwrap_or_else(lost));
        bench.wait(SignedDuration::from_mins(minutes));
        bench.pass(|request| by_key_alone(request).unwrap_or_else(|| answered(ours("PO-1"))));
        assert_eq!(bench.placed(), if is_sent { 2 } else { 1 }, "{minutes}");
        let is_unknown = bench.says("Ordered") == "Unknown(OutcomeUnknown)";
        assert_ne!(is_unknown, is_sent, "{minutes}");
    }
}

// shows A9 K5
#[test]
fn a_server_that_cannot_be_reached_for_days_leaves_no_doubt_and_causes_no_writes() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| by_key_alone(request).unwrap_or_else(unreachable));
    let mut writes = bench.writes;
    for _ in 0..400 {
        bench.wait(SignedDuration::from_mins(15));
        bench.pass(|_| unreachable());
    }
    assert!(bench.placed() > 300);
    writes = bench.writes - writes;
    // An intent is written anew before its key could be forgotten: every twelve hours.
    assert!(writes <= 10, "{writes} writes");
    bench.wait(SignedDuration::from_mins(15));
    bench.pass(|_| answered(ours("PO-1")));
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

// shows A9
#[test]
fn one_of_two_orders_under_one_reference_is_kept_and_the_other_is_named() {
    let mut bench = Bench::new(keyed());
    let earlier = ServerOrder {
        placed: Some(begin()),
        ..ours("PO-1")
    };
    let later = ServerOrder {
        placed: Some(begin() + SignedDuration::from_secs(5)),
        ..ours("PO-2")
    };
    let both = [later, earlier, ours("PO-3")];
    bench.pass(|request| match request {
        OrderRequest::Place(_) => lost(),
        _ => none(),
    });
    bench.wait(SignedDuration::from_mins(1));
    bench.pass(|_| OrderAnswer::Orders(both.to_vec()));
    let order = bench.status().order.expect("an order");
    assert_eq!(order.id, "PO-1");
    assert_eq!(order.others, ["PO-2", "PO-3"]);
    assert!(
        bench.message().contains("PO-2, PO-3"),
        "{}",
        bench.message()
    );
}

// shows A9
#[test]
fn an_answer_about_another_reference_is_no_answer_to_ours() {
    let mut bench = Bench::new(keyed());
    let foreign = ServerOrder {
        reference: Some("0".repeat(64)),
        ..ours("PO-7")
    };
    bench.pass(|request| by_key_alone(request).unwrap_or_else(|| answered(foreign.clone())));
    assert_eq!(bench.says("Ready"), "False(OrderServerUnavailable)");
    assert_eq!(bench.status().order, None);
    assert!(
        bench.status().intent.is_some(),
        "it may have been made all the same"
    );
}

// shows A9 K2
#[test]
fn another_order_under_our_key_is_left_to_a_person() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| {
        let other = || OrderAnswer::OtherContent("the key has another body".to_owned());
        by_key_alone(request).unwrap_or_else(other)
    });
    assert_eq!(bench.says("Stalled"), "True(OutcomeUnknown)");
    assert!(
        bench.message().contains("another body"),
        "{}",
        bench.message()
    );
}

// shows A2 K2
#[test]
fn an_unknown_part_number_is_named_and_tried_again_by_the_hour() {
    let mut bench = Bench::new(keyed());
    let unknown = || OrderAnswer::ItemUnknown("UnknownPartNumber: TN-500K".to_owned());
    let next = bench.pass(|request| by_key_alone(request).unwrap_or_else(unknown));
    assert_eq!(bench.says("Ready"), "False(ItemUnknown)");
    assert_eq!(bench.says("Stalled"), "True(ItemUnknown)");
    assert_eq!(next, Some(bench.now + SignedDuration::from_hours(1)));
    bench.wait(SignedDuration::from_hours(1));
    bench.pass(|_| answered(ours("PO-1")));
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
}

// shows A4
#[test]
fn an_operation_is_followed_to_its_order_and_one_that_is_lost_is_no_order_yet() {
    let mut bench = Bench::new(keyed());
    let path = "v1/orders/operations/9".to_owned();
    let under_way = |path: Option<String>| OrderAnswer::UnderWay {
        path,
        retry_after: Some(SignedDuration::from_secs(30)),
    };
    let next = bench
        .pass(|request| by_key_alone(request).unwrap_or_else(|| under_way(Some(path.clone()))));
    assert_eq!(next, Some(bench.now + SignedDuration::from_secs(30)));
    assert_eq!(bench.says("Ready"), "False(Progressing)");
    bench.wait(SignedDuration::from_secs(30));
    let mut forgotten = Bench {
        stored: bench.stored.clone(),
        now: bench.now,
        ..Bench::new(keyed())
    };
    bench.pass(|request| match request {
        OrderRequest::ReadOperation { path: asked } if *asked == path => answered(ours("PO-1")),
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
    let under_way = |path: Option<&str>, wait| OrderAnswer::UnderWay {
        path: path.map(str::to_owned),
        retry_after: Some(SignedDuration::from_mins(wait)),
    };
    let path = Some("v1/orders/operations/9");
    let in_flight = OrderAnswer::InFlight { retry_after: None };
    for (name, answer) in [
        ("an operation", under_way(path, 1)),
        ("an operation to be read tomorrow", under_way(path, 24 * 60)),
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
        let under_way = || OrderAnswer::UnderWay {
            path: Some("v1/orders/operations/9".to_owned()),
            retry_after: None,
        };
        bench.pass(|request| by_key_alone(request).unwrap_or_else(under_way));
        bench.wait(SignedDuration::from_hours(2));
        bench.attempts = Attempts::default();
        bench.pass(|_| under_way());
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
fn a_server_that_does_not_look_at_the_reference_counts_as_one_that_cannot_be_searched() {
    let mut bench = Bench::new(without_keys());
    let others = || {
        let other = ServerOrder {
            reference: Some("0".repeat(64)),
            ..ours("PO-5")
        };
        OrderAnswer::Orders(vec![other])
    };
    bench.pass(|request| match request {
        OrderRequest::Place(_) => lost(),
        _ => others(),
    });
    assert_eq!(bench.status().queryable, Some(false));
    assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)");
    assert_eq!(bench.placed(), 1);
}
