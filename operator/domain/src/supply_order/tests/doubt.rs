//! Tests of what follows a request whose outcome is not known (A9).

use super::*;

// shows A3 A4
#[test]
fn an_order_is_looked_for_then_its_intent_is_written_then_it_is_placed() {
    let mut bench = Bench::new(keyed());
    let mut intents = Vec::new();
    let stored = bench.stored.clone();
    let mut pass = OrderPass::new(stored, bench.facts.clone(), bench.attempts.clone());
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

// shows A9
#[test]
fn a_server_that_never_finds_what_it_has_made_is_sent_it_twice_at_most() {
    let mut bench = Bench::new(without_keys());
    let forgetful = |request: &OrderRequest| match request {
        OrderRequest::Place(_) => lost(),
        _ => none(),
    };
    for _ in 0..40 {
        bench.wait(SignedDuration::from_mins(11));
        bench.attempts = Attempts::default();
        bench.pass(forgetful);
    }
    assert_eq!(bench.placed(), 2);
    assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)");
}

/// Answers one request and is not able to write what it learned; returns what is remembered.
fn is_not_written(bench: &Bench, answer: impl Fn(&OrderRequest) -> OrderAnswer) -> Attempts {
    let mut bench = Bench {
        stored: bench.stored.clone(),
        attempts: bench.attempts.clone(),
        now: bench.now,
        ..Bench::new(without_keys())
    };
    let stored = bench.stored.clone();
    let mut pass = OrderPass::new(stored, bench.facts.clone(), bench.attempts);
    loop {
        match pass.next(bench.now) {
            Next::Write(status) => {
                bench.stored.status = Some(*status);
                pass.written(bench.stored.clone());
            }
            Next::Send(request) => {
                pass.answered(&request, answer(&request), bench.now);
                if matches!(request, OrderRequest::Place(_) | OrderRequest::Read { .. }) {
                    return pass.attempts();
                }
            }
            Next::Rest(_) => panic!("nothing was asked"),
        }
    }
}

// shows A4 A9
#[test]
fn an_answer_that_could_not_be_written_is_written_by_the_next_pass_and_not_asked_for_again() {
    let mut bench = Bench::new(without_keys());
    bench.stored.status = Some(SupplyOrderStatus {
        queryable: Some(false),
        ..SupplyOrderStatus::default()
    });
    bench.attempts = is_not_written(&bench, |_| answered(ours("PO-1")));
    // Somebody edits the order in between: its version is another one.
    bench.stored.metadata.resource_version = Some("9".to_owned());
    bench.stored.status.as_mut().expect("a status").intent = Some(bench.now);
    bench.silent_pass();
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    assert_eq!(bench.status().order.expect("an order").id, "PO-1");
    assert_eq!(bench.attempts.unwritten, None);

    // The end of an order is learned as well.
    bench.wait(SignedDuration::from_mins(1));
    let delivered = ServerOrder {
        state: Some(entente_crds::v1alpha1::OrderState::Delivered),
        ..ours("PO-1")
    };
    let look = Bench {
        stored: bench.stored.clone(),
        attempts: bench.attempts.clone(),
        now: bench.now,
        ..Bench::new(without_keys())
    };
    bench.attempts = is_not_written(&look, |_| answered(delivered.clone()));
    bench.silent_pass();
    assert!(!is_open(&bench.stored));

    // It belongs to that object only.
    let mut anew = Bench::new(without_keys());
    anew.stored.metadata.uid = Some("o2".to_owned());
    anew.attempts = bench.attempts.clone();
    anew.pass(|request| match request {
        OrderRequest::Place(_) => answered(ours("PO-2")),
        _ => none(),
    });
    assert_eq!(anew.status().order.expect("an order").id, "PO-2");
}

fn finds(bench: &mut Bench, id: &str) {
    bench.stored.spec.found = Some(entente_crds::v1alpha1::FoundOrder {
        order_id: id.to_owned(),
    });
}

// shows A9 K4
#[test]
fn a_person_finds_no_order_for_a_record_that_was_never_sent() {
    let fault = (
        entente_crds::condition::Reason::UnsupportedValue,
        "wrong".to_owned(),
    );
    for fault in [Some(fault), None] {
        let mut bench = Bench::new(keyed());
        finds(&mut bench, "PO-88123");
        bench.facts.fault = fault;
        bench.pass(|request| match request {
            OrderRequest::Place(_) => unreachable(),
            OrderRequest::FindByReference { .. } | OrderRequest::FindOpen { .. } => none(),
            other => panic!("{other:?}"),
        });
        assert_eq!(bench.status().order, None);
    }
}

// shows K4
#[test]
fn an_order_that_a_person_found_is_read_first_and_one_of_somebody_else_is_never_cancelled() {
    let foreign: [fn(&mut ServerOrder); 3] = [
        |it| it.reference = Some("0".repeat(64)),
        |it| it.serial_number = Some("OTHER".to_owned()),
        |it| it.customer_id = Some("C-OTHER".to_owned()),
    ];
    for change in foreign {
        let mut bench = Bench::new(without_keys());
        bench.pass(|request| by_key_alone(request).unwrap_or_else(lost));
        finds(&mut bench, "PO-88123");
        bench.stored.spec.cancelled = Some(entente_crds::v1alpha1::CancelledOrder {
            reason: "not mine".to_owned(),
        });
        let mut order = ServerOrder {
            reference: None,
            tracking: Some("1Z 999".to_owned()),
            ..ours("PO-88123")
        };
        change(&mut order);
        if order.reference.is_some() {
            order.serial_number = None;
        }
        for _ in 0..3 {
            bench.pass(|request| match request {
                OrderRequest::Read { .. } => answered(order.clone()),
                other => panic!("{other:?}"),
            });
            bench.wait(SignedDuration::from_hours(2));
        }
        assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)", "{order:?}");
        let said = format!("{:?}", bench.status());
        assert!(!said.contains("1Z 999"), "{said}");
    }
}
