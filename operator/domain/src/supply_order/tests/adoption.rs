//! Tests of orders that a server has already (A10): after a restore, or made by somebody else.

use entente_crds::v1alpha1::{OrderCause, OrderState};

use super::*;

fn of_another(id: &str) -> ServerOrder {
    ServerOrder {
        reference: Some("0".repeat(64)),
        ..ours(id)
    }
}

/// Answers a search for the reference with nothing, and one for open orders with this.
fn open(order: ServerOrder) -> impl FnMut(&OrderRequest) -> OrderAnswer {
    move |request| match request {
        OrderRequest::FindOpen { .. } => OrderAnswer::Orders(vec![order.clone()]),
        OrderRequest::Place(_) => answered(ours("PO-2")),
        _ => none(),
    }
}

// shows A10
#[test]
fn before_the_first_order_for_an_error_an_open_one_for_the_same_part_is_adopted() {
    let mut bench = Bench::new(keyed());
    bench.pass(open(of_another("PO-1")));
    assert_eq!(bench.placed(), 0);
    let order = bench.status().order.expect("an order");
    assert!(order.adopted && order.id == "PO-1");
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    assert!(
        bench.message().contains("had the order already"),
        "{}",
        bench.message()
    );
    // Its own reference stays another one, and it is followed all the same.
    bench.wait(SignedDuration::from_mins(2));
    bench.pass(|_| {
        answered(ServerOrder {
            state: Some(OrderState::Shipped),
            ..of_another("PO-1")
        })
    });
    assert_eq!(
        bench.status().order.expect("an order").state,
        OrderState::Shipped
    );
}

// shows A10
#[test]
fn an_order_for_another_device_or_part_or_one_that_is_closed_is_not_adopted() {
    let table = [
        ServerOrder {
            serial_number: Some("other".to_owned()),
            ..of_another("PO-1")
        },
        ServerOrder {
            serial_number: None,
            ..of_another("PO-1")
        },
        ServerOrder {
            part_numbers: vec!["TN-500C".to_owned()],
            ..of_another("PO-1")
        },
        ServerOrder {
            state: Some(OrderState::Delivered),
            ..of_another("PO-1")
        },
        ServerOrder {
            state: None,
            ..of_another("PO-1")
        },
        // The machine was another customer's before.
        ServerOrder {
            customer_id: Some("other".to_owned()),
            ..of_another("PO-1")
        },
    ];
    for order in table {
        let mut bench = Bench::new(keyed());
        bench.pass(open(order.clone()));
        assert_eq!(bench.placed(), 1, "{order:?}");
        assert_eq!(bench.status().order.expect("an order").id, "PO-2");
    }
}

// shows A9 A10
#[test]
fn an_open_order_of_another_record_of_this_cluster_is_not_adopted() {
    let other = || {
        let mut other = order();
        other.metadata.name = Some("spare".to_owned());
        let record = &mut other.spec.record;
        (record.cause, record.error, record.reference) = (OrderCause::Manual, None, None);
        other
    };
    let reference = at_server(&other()).next().expect("a reference");
    let by_reference = ServerOrder {
        reference: Some(reference),
        ..of_another("PO-1")
    };
    let mut placed_before = other();
    placed_before.status = Some(SupplyOrderStatus {
        order: Some(pass::placed("PO-1", OrderState::Shipped, begin(), false)),
        ..SupplyOrderStatus::default()
    });
    for (record, at_the_server) in [(other(), by_reference), (placed_before, of_another("PO-1"))] {
        let mut bench = Bench::new(keyed());
        bench.facts.of_others = at_server(&record).collect();
        bench.pass(open(at_the_server));
        assert_eq!(bench.placed(), 1);
        assert_eq!(bench.status().order.expect("an order").id, "PO-2");
    }
}

#[test]
fn an_order_by_hand_adopts_nothing() {
    let mut bench = Bench::new(keyed());
    let record = &mut bench.stored.spec.record;
    (record.cause, record.error, record.reference) = (OrderCause::Manual, None, None);
    bench.pass(|request| match request {
        OrderRequest::Place(body) => answered(ServerOrder {
            reference: Some(body.reference.clone()),
            ..ours("PO-2")
        }),
        OrderRequest::FindByReference { .. } => none(),
        other => panic!("{other:?}"),
    });
    assert_eq!(bench.placed(), 1);
    assert_eq!(bench.says("Ready"), "True(OrderPlaced)");
    assert_eq!(bench.says("Displayed"), "", "no error, no message");
}

// shows A9 A10
#[test]
fn a_record_that_lost_its_status_finds_its_order_whatever_became_of_it() {
    for state in [OrderState::Accepted, OrderState::Delivered] {
        let mut bench = Bench::new(keyed());
        let found = ServerOrder {
            state: Some(state),
            placed: Some(begin()),
            ..ours("PO-1")
        };
        bench.pass(|_| OrderAnswer::Orders(vec![found.clone()]));
        assert_eq!(bench.placed(), 0);
        assert_eq!(bench.status().order.expect("an order").state, state);
    }
}

// shows A10
#[test]
fn a_number_of_an_occurrence_that_was_used_before_a_restore_is_left_to_a_person() {
    let mut bench = Bench::new(keyed());
    let old = ServerOrder {
        state: Some(OrderState::Delivered),
        placed: Some(begin() - SignedDuration::from_hours(24 * 60)),
        ..ours("PO-1")
    };
    bench.pass(|_| OrderAnswer::Orders(vec![old.clone()]));
    assert_eq!(bench.placed(), 0);
    assert_eq!(bench.says("Stalled"), "True(OutcomeUnknown)");
    assert!(bench.message().contains("restore"), "{}", bench.message());
    bench.silent_pass();
}
