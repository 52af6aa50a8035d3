//! Tests of an order that a server has: looks, ends, cancellation.

use entente_crds::v1alpha1::{CancellationState, CancelledOrder, OrderEnd, OrderState};

use super::*;

/// A bench whose order is placed.
fn placed() -> Bench {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => answered(ours("PO-1")),
        _ => none(),
    });
    bench.sent.clear();
    bench
}

fn cancelled() -> CancelledOrder {
    CancelledOrder {
        reason: "found a spare".to_owned(),
    }
}

// shows A10
#[test]
fn an_order_is_looked_at_until_it_is_closed_and_less_often_as_it_grows_old() {
    let mut bench = placed();
    let mut pauses = Vec::new();
    for _ in 0..60 {
        let next = bench.pass(|_| answered(ours("PO-1"))).expect("it is open");
        pauses.push(next.duration_since(bench.now));
        assert!(next > bench.now, "nothing is sent before it is due");
        bench.now = next;
    }
    assert_eq!(pauses[0], SignedDuration::from_mins(1));
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&SignedDuration::from_hours(6)));
    for (state, end, ready) in [
        (
            OrderState::Delivered,
            OrderEnd::Delivered,
            "True(OrderPlaced)",
        ),
        (
            OrderState::Cancelled,
            OrderEnd::Cancelled,
            "True(Cancelled)",
        ),
        (
            OrderState::Rejected,
            OrderEnd::Rejected,
            "False(OrderRejected)",
        ),
    ] {
        let mut bench = placed();
        bench.wait(SignedDuration::from_mins(1));
        let closed = ServerOrder {
            state: Some(state),
            ..ours("PO-1")
        };
        assert_eq!(bench.pass(|_| answered(closed.clone())), None);
        assert_eq!(bench.status().closed.map(|it| it.by), Some(end));
        assert!(!is_open(&bench.stored));
        assert_eq!(bench.says("Ready"), ready);
        bench.wait(SignedDuration::from_hours(99));
        bench.silent_pass();
    }
}

#[test]
fn looks_that_tell_nothing_new_are_noted_each_six_hours_and_those_that_do_at_once() {
    let mut bench = placed();
    let (writes, begin) = (bench.writes, bench.now);
    let mut looks = 0;
    while bench.now.duration_since(begin) < SignedDuration::from_hours(24) {
        let next = bench.pass(|_| answered(ours("PO-1"))).expect("it is open");
        bench.now = next;
        looks += 1;
    }
    assert!(looks > 12, "{looks} looks");
    assert!(
        bench.writes - writes <= 4,
        "{} writes",
        bench.writes - writes
    );
    let shipped = ServerOrder {
        state: Some(OrderState::Shipped),
        ..ours("PO-1")
    };
    bench.pass(|_| answered(shipped.clone()));
    let order = bench.status().order.expect("an order");
    assert_eq!(
        (order.state, order.checked),
        (OrderState::Shipped, Some(bench.now))
    );
}

#[test]
fn after_a_restart_an_open_order_is_looked_at_once_within_ten_minutes_and_not_in_each_pass() {
    let mut bench = placed();
    bench.wait(SignedDuration::from_hours(2));
    bench.pass(|_| answered(ours("PO-1")));
    bench.wait(SignedDuration::from_mins(20));
    bench.silent_pass();
    bench.attempts = Attempts::default();
    bench.facts.fraction = 0.5;
    let begin = bench.now;
    bench.now = bench.silent_pass().expect("a look");
    assert_eq!(
        bench.now.duration_since(begin),
        SignedDuration::from_mins(5)
    );
    bench.pass(|_| answered(ours("PO-1")));
    assert_eq!(bench.sent.len(), 2, "{:?}", bench.sent);
    bench.silent_pass();
}

// shows K2
#[test]
fn an_order_that_was_rejected_needs_a_person_until_it_is_cancelled() {
    let mut bench = placed();
    bench.wait(SignedDuration::from_mins(1));
    let rejected = ServerOrder {
        state: Some(OrderState::Rejected),
        reason: Some("out of stock for ever".to_owned()),
        ..ours("PO-1")
    };
    bench.pass(|_| answered(rejected.clone()));
    assert_eq!(bench.says("Stalled"), "True(OrderRejected)");
    assert!(bench.message().contains("for ever"), "{}", bench.message());
    bench.stored.spec.cancelled = Some(cancelled());
    bench.silent_pass();
    assert_eq!(bench.says("Ready"), "True(Cancelled)");
    assert_eq!(bench.says("Ordered"), "False(OrderRejected)");
}

// shows A9
#[test]
fn an_order_that_the_server_has_lost_is_said_to_be_lost_and_is_never_made_again() {
    let mut bench = placed();
    for _ in 0..48 {
        bench.wait(SignedDuration::from_hours(1));
        bench.pass(|_| OrderAnswer::Missing);
    }
    assert_eq!(bench.placed(), 0);
    assert_eq!(bench.says("Ready"), "False(OutcomeUnknown)");
    assert_eq!(bench.says("Ordered"), "Unknown(OutcomeUnknown)");
    assert!(bench.message().contains("PO-1"), "{}", bench.message());
    bench.wait(SignedDuration::from_hours(1));
    bench.pass(|_| answered(ours("PO-1")));
    assert_eq!(
        bench.says("Ready"),
        "True(OrderPlaced)",
        "it is there again"
    );
}

#[test]
fn an_answer_about_another_order_changes_nothing_of_ours() {
    let mut bench = placed();
    bench.wait(SignedDuration::from_mins(1));
    let other = ServerOrder {
        state: Some(OrderState::Delivered),
        ..ours("PO-2")
    };
    bench.pass(|_| answered(other.clone()));
    let order = bench.status().order.expect("an order");
    assert_eq!((&*order.id, order.state), ("PO-1", OrderState::Accepted));
    assert_eq!(order.others, ["PO-2"]);
    bench.wait(SignedDuration::from_mins(5));
    let foreign = ServerOrder {
        reference: Some("0".repeat(64)),
        state: Some(OrderState::Delivered),
        ..ours("PO-1")
    };
    bench.pass(|_| answered(foreign.clone()));
    assert_eq!(
        bench.status().order.expect("an order").state,
        OrderState::Accepted
    );
    bench.wait(SignedDuration::from_mins(30));
    let odd = ServerOrder {
        state: None,
        ..ours("PO-1")
    };
    bench.pass(|_| answered(odd.clone()));
    assert!(is_open(&bench.stored));
}

// shows A10
#[test]
fn a_new_supply_on_the_device_closes_its_order() {
    let mut bench = placed();
    bench.facts.replaced = Some(bench.now);
    bench.silent_pass();
    assert_eq!(bench.says("Ready"), "True(SupplyReplaced)");
    assert!(!is_open(&bench.stored));
    assert!(bench.message().contains("PO-1"), "{}", bench.message());

    let mut unsent = Bench::new(keyed());
    unsent.facts.replaced = Some(unsent.now);
    unsent.silent_pass();
    assert_eq!(unsent.says("Ordered"), "False(Cancelled)");
    assert!(!is_open(&unsent.stored));
}

// shows A10
#[test]
fn a_new_supply_closes_no_order_that_is_in_doubt() {
    let mut bench = Bench::new(keyed());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => lost(),
        _ => none(),
    });
    bench.facts.replaced = Some(bench.now);
    bench.silent_pass();
    assert!(is_open(&bench.stored));
    bench.wait(SignedDuration::from_mins(1));
    bench.pass(|_| OrderAnswer::Orders(vec![ours("PO-1")]));
    assert_eq!(bench.says("Ready"), "True(SupplyReplaced)");
    assert_eq!(bench.status().order.expect("it is known").id, "PO-1");
}

#[test]
fn an_order_is_cancelled_once_and_its_state_says_when_it_is() {
    let mut bench = placed();
    bench.stored.spec.cancelled = Some(cancelled());
    bench.stored.metadata.generation = Some(2);
    bench.pass(|request| match request {
        OrderRequest::Cancel { id, reason, .. } => {
            assert_eq!((&**id, &**reason), ("PO-1", "found a spare"));
            OrderAnswer::UnderWay {
                path: None,
                retry_after: None,
            }
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(bench.says("Ready"), "False(Progressing)");
    bench.wait(SignedDuration::from_mins(1));
    let gone = ServerOrder {
        state: Some(OrderState::Cancelled),
        ..ours("PO-1")
    };
    bench.pass(|_| answered(gone.clone()));
    assert_eq!(bench.says("Ready"), "True(Cancelled)");
    assert_eq!(bench.status().observed_generation, Some(2));
}

#[test]
fn a_cancellation_that_comes_too_late_leaves_the_order_and_says_so() {
    let mut bench = placed();
    bench.stored.spec.cancelled = Some(cancelled());
    bench.pass(|_| OrderAnswer::TooLate("it is on its way".to_owned()));
    let cancellation = bench.status().cancellation.expect("an answer");
    assert_eq!(cancellation.state, CancellationState::TooLate);
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    assert!(bench.message().contains("too late"), "{}", bench.message());
    bench.wait(SignedDuration::from_mins(2));
    bench.pass(|request| match request {
        OrderRequest::Read { .. } => answered(ours("PO-1")),
        other => panic!("it is asked once: {other:?}"),
    });
}

#[test]
fn an_order_that_is_cancelled_before_it_is_sent_is_never_sent() {
    let mut bench = Bench::new(keyed());
    bench.stored.spec.cancelled = Some(cancelled());
    bench.silent_pass();
    assert_eq!(bench.says("Ready"), "True(Cancelled)");
    assert!(!is_open(&bench.stored));

    // It is cancelled between the write of the intent and the request.
    let mut bench = Bench::new(keyed());
    let mut pass = OrderPass::new(
        bench.stored.clone(),
        bench.facts.clone(),
        bench.attempts.clone(),
    );
    loop {
        match pass.next(bench.now) {
            Next::Write(status) => {
                if status.intent.is_some() {
                    bench.stored.spec.cancelled = Some(cancelled());
                }
                bench.stored.status = Some(*status);
                pass.written(bench.stored.clone());
            }
            Next::Send(request) if request.writes() => panic!("{request:?}"),
            Next::Send(request) => pass.answered(&request, none(), bench.now),
            Next::Rest(_) => break,
        }
    }
    assert_eq!(bench.says("Ready"), "True(Cancelled)");
}

#[test]
fn an_order_in_doubt_that_is_cancelled_is_looked_for_and_not_sent_again() {
    let mut bench = Bench::new(without_keys());
    bench.pass(|request| match request {
        OrderRequest::Place(_) => lost(),
        _ => none(),
    });
    bench.stored.spec.cancelled = Some(cancelled());
    bench.wait(SignedDuration::from_mins(5));
    bench.pass(|_| none());
    assert!(is_open(&bench.stored));
    bench.wait(SignedDuration::from_mins(5));
    bench.pass(|_| none());
    assert_eq!(bench.says("Ready"), "True(Cancelled)");
    assert_eq!(bench.placed(), 1);
}

#[test]
fn a_cancellation_that_is_answered_as_an_object_of_its_own_says_nothing_of_the_order() {
    let mut bench = placed();
    bench.stored.spec.cancelled = Some(cancelled());
    let cancellation = ServerOrder {
        id: "C-77".to_owned(),
        state: Some(OrderState::Delivered),
        ..ServerOrder::default()
    };
    bench.pass(|_| answered(cancellation.clone()));
    let status = bench.status();
    let state = status.cancellation.map(|it| it.state);
    assert_eq!(state, Some(CancellationState::Requested));
    let order = status.order.expect("an order");
    assert_eq!((&*order.id, order.state), ("PO-1", OrderState::Accepted));
    assert!(order.others.is_empty() && status.closed.is_none());
}
