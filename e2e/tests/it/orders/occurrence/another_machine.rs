//! Another machine stands in the place of the printer in the middle of an episode.

use entente_crds::v1alpha1::{Device, ErrorState};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::peers::OrderServerOptions;

use super::{BLACK, BLACK_PART, CYAN_PART, Peers, apply, error, errors, look};
use crate::delivery_fixture::test_namespace;
use crate::orders::until;

/// The person says that the machine which is there now is the one that is meant.
async fn accept(namespace: &TestNamespace<'_>, peers: &Peers) {
    let device = namespace.device(peers.printer());
    namespace.apply::<Device>(&device).await.unwrap();
    let online = namespace.soon("the new machine is the one that is meant", async || {
        let device = namespace.read_device(peers.name()).await?;
        device.is("Ready").then_some(())
    });
    online.await.unwrap();
}

async fn is_a_stranger(namespace: &TestNamespace<'_>, peers: &Peers) {
    let strange = namespace.soon("another machine answers", async || {
        let device = namespace.read_device(peers.name()).await?;
        (device.reason("Ready") == "IdentityMismatch").then_some(())
    });
    strange.await.unwrap();
}

// shows A9 A10
#[tokio::test]
async fn an_error_of_a_stranger_is_ordered_for_by_nobody_and_that_of_the_new_machine_once() {
    let namespace = &test_namespace("another-machine").await;
    let peers = Peers::start(namespace, OrderServerOptions::default()).await;
    apply(namespace, &peers, ("0s", "0s")).await;
    let old = peers.printer().serial_number();
    peers.run_out(&["black"]);
    until(namespace, &peers.order("black-toner", 1), "OrderPlaced").await;
    let mut ordered = vec![(old.clone(), BLACK_PART.to_owned())];
    assert_eq!(peers.ordered(), ordered);

    peers.printer().replace_machine();
    peers.run_out(&["black", "cyan"]);
    let new = peers.printer().serial_number();
    assert_ne!(new, old);
    is_a_stranger(namespace, &peers).await;
    let before = errors(namespace, &peers).await;
    look(namespace, &peers, 5).await;
    assert_eq!(errors(namespace, &peers).await, before);
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(before[0].state, ErrorState::Open);
    assert_eq!(peers.ordered(), ordered);

    // What the old machine was owed is on its way: the new one gets what it lacks besides.
    accept(namespace, &peers).await;
    until(namespace, &peers.order("cyan-toner", 1), "OrderPlaced").await;
    look(namespace, &peers, 5).await;
    ordered.push((new.clone(), CYAN_PART.to_owned()));
    assert_eq!(peers.ordered(), ordered);

    // The next occurrence is one of the new machine.
    peers.recover(100);
    until(namespace, &peers.order("black-toner", 1), "SupplyReplaced").await;
    peers.run_out(&["black"]);
    until(namespace, &peers.order("black-toner", 2), "OrderPlaced").await;
    ordered.push((new, BLACK_PART.to_owned()));
    assert_eq!(peers.ordered(), ordered);
}

// shows A9
#[tokio::test]
async fn what_was_not_ordered_yet_for_a_machine_that_is_gone_is_never_ordered() {
    let namespace = &test_namespace("gone-machine").await;
    let mut peers = Peers::start(namespace, OrderServerOptions::default()).await;
    apply(namespace, &peers, ("0s", "0s")).await;
    peers.server.kill().await.unwrap();
    peers.run_out(&["black"]);
    let order = peers.order("black-toner", 1);
    until(namespace, &order, "OrderServerUnavailable").await;

    peers.printer().replace_machine();
    peers.recover(100);
    is_a_stranger(namespace, &peers).await;
    accept(namespace, &peers).await;
    error(namespace, &peers, BLACK, |it| {
        it.state == ErrorState::Closed
    })
    .await;
    peers.server.start_again().await.unwrap();
    until(namespace, &order, "SupplyReplaced").await;
    look(namespace, &peers, 5).await;
    assert_eq!(peers.ordered(), []);
}
