//! The service server's ways: asynchronous, failing, losing answers, not telling.

use entente_crds::v1alpha1::{Connection, SmartService};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{now, starting_in};
use entente_e2e::peers::{OpenBroker, OpenBrokerOptions};
use entente_simulators::{Fault, FaultKind, Mode};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, contract_is, every_reason_is_listed, late, subscription_is,
    subscription_says,
};

/// The only instance of the broker is on.
fn assert_one_active_instance(fixture: &DeliveryFixture<'_>) {
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].state, "ready");
    assert_eq!(instances[0].parameters["enabled"], json!(true));
}

// shows B9
#[tokio::test]
async fn a_broker_that_works_asynchronously_is_polled_until_its_operations_are_done() {
    let fixture = DeliveryFixture::new("async", 1).await;
    let namespace = &fixture.namespace;
    fixture.broker.set_mode(Mode::Async {
        polls: 2,
        milliseconds: 200,
    });
    let contract = fixture.backup_contract("async", starting_in(AHEAD / 4), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["async", "backup", fixture.name(0)];
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert_one_active_instance(&fixture);
    assert!(
        late(&subscription) >= 0.2,
        "proof before the operation ended"
    );
    let server = subscription
        .status
        .as_ref()
        .unwrap()
        .server
        .as_ref()
        .unwrap();
    assert!(server.operation.is_none(), "{server:?}");
    fixture.finish().await;
}

// shows B9 K5
#[tokio::test]
async fn a_broker_that_fails_with_500_is_asked_again_and_ends_with_one_instance() {
    let fixture = DeliveryFixture::new("failing", 1).await;
    let namespace = &fixture.namespace;
    let fault = Fault::new(FaultKind::http_500())
        .on("provision")
        .for_requests(2);
    fixture.broker.set_fault(fault).await.unwrap();
    let contract = fixture.backup_contract("failing", starting_in(AHEAD / 4), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "failing", "Delivered").await;
    assert_one_active_instance(&fixture);
    fixture.finish().await;
}

// shows B9 K5
#[tokio::test]
async fn an_answer_of_the_broker_that_is_lost_never_leads_to_a_second_instance() {
    let fixture = DeliveryFixture::new("lost", 1).await;
    let namespace = &fixture.namespace;
    for operation in ["provision", "update"] {
        let fault = Fault::new(FaultKind::ResetAfterCommit)
            .on(operation)
            .for_requests(1);
        fixture.broker.set_fault(fault).await.unwrap();
    }
    let contract = fixture.backup_contract("lost", starting_in(AHEAD / 4), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "lost", "Delivered").await;
    assert_one_active_instance(&fixture);
    let ids: std::collections::BTreeSet<_> = namespace
        .ledger()
        .writes()
        .into_iter()
        .filter(|entry| entry.operation == "provision")
        .map(|entry| entry.key)
        .collect();
    assert_eq!(
        ids.len(),
        1,
        "every provision names the same instance: {ids:?}"
    );
    every_reason_is_listed(namespace).await;
}

// shows B9 K5
#[tokio::test]
async fn openbrokerapi_that_loses_its_answers_ends_with_one_instance_too() {
    let fixture = DeliveryFixture::new("open-broker", 1).await;
    let namespace = &fixture.namespace;
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let connection = namespace.broker_connection(&broker.url());
    namespace.apply::<Connection>(&connection).await.unwrap();
    let mode = Mode::Async {
        polls: 2,
        milliseconds: 0,
    };
    broker.set_mode(mode).await.unwrap();
    for operation in ["provision", "update"] {
        let lost = Fault::new(FaultKind::ResetAfterCommit);
        let lost = lost.on(operation).for_requests(1);
        broker.set_fault(lost).await.unwrap();
    }
    let contract = fixture.backup_contract("open", starting_in(AHEAD / 4), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "open", "Delivered").await;
    let instances = broker.instances().await.unwrap();
    assert_eq!(instances.len(), 1, "{instances:?}");
    let instance = instances.values().next().unwrap();
    assert_eq!(instance.state, "active");
    assert_eq!(instance.parameters["enabled"], json!(true));
    assert!(
        fixture.broker.instances().is_empty(),
        "the other broker is not named any more"
    );

    namespace
        .delete::<entente_crds::v1alpha1::Contract>(Some(namespace.name()), "open")
        .await
        .unwrap();
    namespace
        .soon("the instance is gone", async || {
            let left = broker.instances().await.ok()?;
            left.is_empty().then_some(())
        })
        .await
        .unwrap();
}

// shows D2
#[tokio::test]
async fn a_broker_that_does_not_let_instances_be_fetched_is_never_taken_for_success() {
    let fixture = DeliveryFixture::new("unproven", 1).await;
    let namespace = &fixture.namespace;
    fixture
        .broker
        .set_fault(FaultKind::NotRetrievable)
        .await
        .unwrap();
    let contract = fixture.backup_contract("unproven", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["unproven", "backup", fixture.name(0)];
    let subscription = subscription_says(namespace, parts, "Delivered", "NotVerifiable").await;
    assert!(!subscription.is("Ready"));
    assert!(
        !namespace
            .read_contract("unproven")
            .await
            .unwrap()
            .is("Delivered")
    );

    fixture.broker.clear_faults().await.unwrap();
    every_reason_is_listed(namespace).await;
}

// shows D2
#[tokio::test]
async fn a_broker_that_accepts_a_parameter_and_does_not_take_it_is_found_out() {
    let fixture = DeliveryFixture::new("broker-liar", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.backup_contract("broker-liar", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["broker-liar", "backup", fixture.name(0)];
    subscription_is(namespace, parts, "Delivered").await;

    let lie = FaultKind::NotEffective {
        attributes: vec!["mode".to_owned()],
    };
    fixture.broker.set_fault(lie).await.unwrap();
    contract.spec.services[0]
        .parameters
        .insert("mode".to_owned(), "Differential".to_owned());
    namespace.apply(&contract).await.unwrap();
    subscription_says(namespace, parts, "Delivered", "AcceptedNotEffective").await;
    contract_is(namespace, "broker-liar", "DevicesFailing").await;

    fixture.broker.clear_faults().await.unwrap();
    let subscription = subscription_is(namespace, parts, "Delivered").await;
    assert!(
        subscription
            .items()
            .iter()
            .all(|item| item.problem.is_none())
    );
    assert_one_active_instance(&fixture);
    assert_eq!(
        fixture.broker.instances()[0].parameters["mode"],
        json!("Differential")
    );
}

// shows B7
#[tokio::test]
async fn another_plan_of_the_catalog_moves_the_instance_and_makes_no_second_one() {
    let fixture = DeliveryFixture::new("moved", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.backup_contract("moved", now(), "1h");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "moved", "Delivered").await;
    let before = fixture.broker.instances();
    assert_eq!(before[0].plan_id, "data-backup-standard-id");

    let mut service = namespace.backup();
    let server = service.spec.server.as_mut().expect("it has one");
    "premium".clone_into(&mut server.plan);
    namespace.apply::<SmartService>(&service).await.unwrap();
    let moved = namespace.soon("the instance is of the other plan", async || {
        let instances = fixture.broker.instances();
        assert_eq!(instances.len(), 1, "{instances:?}");
        (instances[0].plan_id == "data-backup-premium-id").then_some(())
    });
    moved.await.unwrap();
    contract_is(namespace, "moved", "Delivered").await;
    assert_one_active_instance(&fixture);
    assert_eq!(fixture.broker.instances()[0].id, before[0].id);
    fixture.finish().await;
}
