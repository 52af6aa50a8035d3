//! One occurrence that is reported again and again, that comes and goes, and two at once.

use entente_crds::v1alpha1::{ErrorState, NotOrderedReason, SupplyOrder};
use entente_e2e::peers::OrderServerOptions;

use super::{BLACK, BLACK_PART, CYAN, CYAN_PART, Peers, apply, error, errors, look, order_id};
use crate::delivery_fixture::test_namespace;
use crate::orders::{id, until};

/// Times that an error is reported.
const REPORTS: u32 = 50;
/// Times that it comes and goes.
const FLAPS: u32 = 20;

// shows A9
#[tokio::test]
async fn an_error_that_is_reported_again_and_again_is_ordered_for_once() {
    let namespace = &test_namespace("reported-again").await;
    let peers = Peers::start(namespace, OrderServerOptions::default()).await;
    apply(namespace, &peers, ("0s", "0s")).await;
    peers.run_out(&["black"]);
    look(namespace, &peers, REPORTS).await;
    let placed = until(namespace, &peers.order("black-toner", 1), "OrderPlaced").await;
    let found = error(namespace, &peers, BLACK, |it| order_id(it).is_some()).await;
    assert_eq!(found.occurrence, 1);
    assert_eq!(order_id(&found), Some(&*id(&placed)));
    let serial = peers.printer().serial_number();
    assert_eq!(peers.ordered(), [(serial, BLACK_PART.to_owned())]);
}

/// An error that comes and goes, and what follows.
struct Flapping {
    title: &'static str,
    /// Times of the model.
    settle: (&'static str, &'static str),
    occurrences: i64,
    orders: usize,
}

// shows A9 A10
#[tokio::test]
async fn an_error_that_comes_and_goes_is_ordered_for_once_at_most() {
    let cases = [
        Flapping {
            title: "flaps-within-end",
            settle: ("0s", "1h"),
            occurrences: 1,
            orders: 1,
        },
        Flapping {
            title: "flaps-within-begin",
            settle: ("1h", "1h"),
            occurrences: 0,
            orders: 0,
        },
        // Each is an occurrence, and the order for the first one is open.
        Flapping {
            title: "flaps-for-long",
            settle: ("0s", "0s"),
            occurrences: FLAPS.into(),
            orders: 1,
        },
    ];
    for case in cases {
        let namespace = &test_namespace(case.title).await;
        let peers = Peers::start(namespace, OrderServerOptions::default()).await;
        apply(namespace, &peers, case.settle).await;
        for _ in 0..FLAPS {
            peers.run_out(&["black"]);
            look(namespace, &peers, 1).await;
            peers.recover(0);
            look(namespace, &peers, 1).await;
        }
        if case.orders > 0 {
            until(namespace, &peers.order("black-toner", 1), "OrderPlaced").await;
        }
        let occurrences: Vec<i64> = errors(namespace, &peers)
            .await
            .iter()
            .map(|error| error.occurrence)
            .collect();
        assert_eq!(occurrences, [case.occurrences], "{}", case.title);
        assert_eq!(peers.ordered().len(), case.orders, "{}", case.title);
        let records = namespace.list::<SupplyOrder>().await.len();
        assert_eq!(records, case.orders, "{}", case.title);
    }
}

// shows A9 A10
#[tokio::test]
async fn two_toners_that_are_empty_at_once_are_ordered_one_each() {
    let namespace = &test_namespace("two-toners").await;
    let peers = Peers::start(namespace, OrderServerOptions::default()).await;
    apply(namespace, &peers, ("0s", "0s")).await;
    peers.run_out(&["black", "cyan"]);
    for supply in ["black-toner", "cyan-toner"] {
        until(namespace, &peers.order(supply, 1), "OrderPlaced").await;
    }
    look(namespace, &peers, 5).await;
    let serial = peers.printer().serial_number();
    let both = [CYAN_PART, BLACK_PART].map(|part| (serial.clone(), part.to_owned()));
    assert_eq!(peers.ordered(), both);
    let ids = async |key| {
        let found = error(namespace, &peers, key, |it| order_id(it).is_some()).await;
        assert_eq!((found.occurrence, found.state), (1, ErrorState::Open));
        order_id(&found).map(str::to_owned)
    };
    assert_ne!(ids(BLACK).await, ids(CYAN).await);

    // One of them is empty again while its order is open: it is ordered for no second time.
    peers.recover(0);
    error(namespace, &peers, BLACK, |it| {
        it.state == ErrorState::Closed
    })
    .await;
    peers.run_out(&["black"]);
    let again = error(namespace, &peers, BLACK, |it| it.occurrence == 2).await;
    let why = again.not_ordered.map(|it| it.reason);
    assert_eq!(why, Some(NotOrderedReason::OpenOrderExists));
    assert_eq!(peers.ordered(), both);
}
