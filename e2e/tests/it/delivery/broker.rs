//! The service server's ways: asynchronous, failing, losing answers, not telling.

use entente_crds::v1alpha1::{Connection, SmartService};
use entente_e2e::peers::{self, OpenBroker, OpenBrokerOptions};
use entente_e2e::scene::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::scene::{now, starting_in};
use entente_simulators::{Fault, FaultKind, Mode};
use serde_json::json;

use crate::standard::{
    AHEAD, Standard, contract_is, every_reason_is_listed, late, subscription_is, subscription_says,
};

/// The only instance of the broker is on.
fn assert_one_active_instance(world: &Standard<'_>) {
    let instances = world.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].state, "ready");
    assert_eq!(instances[0].parameters["enabled"], json!(true));
}

// shows B9
#[tokio::test]
async fn a_broker_that_works_asynchronously_is_polled_until_its_operations_are_done() {
    let world = Standard::new("async", 1).await;
    let scene = &world.scene;
    world.broker.set_mode(Mode::Async {
        polls: 2,
        milliseconds: 200,
    });
    let contract = world.backup_contract("async", starting_in(AHEAD / 4), "15m");
    scene.apply(&contract).await.unwrap();
    let parts = ["async", "backup", world.name(0)];
    let subscription = subscription_is(scene, parts, "Delivered").await;
    assert_one_active_instance(&world);
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
    world.finish().await;
}

// shows B9 K5
#[tokio::test]
async fn a_broker_that_fails_with_500_is_asked_again_and_ends_with_one_instance() {
    let world = Standard::new("failing", 1).await;
    let scene = &world.scene;
    let fault = Fault::new(FaultKind::http_500())
        .on("provision")
        .for_requests(2);
    world.broker.set_fault(fault).await.unwrap();
    let contract = world.backup_contract("failing", starting_in(AHEAD / 4), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "failing", "Delivered").await;
    assert_one_active_instance(&world);
    world.finish().await;
}

// shows B9 K5
#[tokio::test]
async fn an_answer_of_the_broker_that_is_lost_never_leads_to_a_second_instance() {
    let world = Standard::new("lost", 1).await;
    let scene = &world.scene;
    for operation in ["provision", "update"] {
        let fault = Fault::new(FaultKind::ResetAfterCommit)
            .on(operation)
            .for_requests(1);
        world.broker.set_fault(fault).await.unwrap();
    }
    let contract = world.backup_contract("lost", starting_in(AHEAD / 4), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "lost", "Delivered").await;
    assert_one_active_instance(&world);
    let ids: std::collections::BTreeSet<_> = scene
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
    every_reason_is_listed(scene).await;
}

// shows B9 K5
#[tokio::test]
async fn openbrokerapi_that_loses_its_answers_ends_with_one_instance_too() {
    let world = Standard::new("open-broker", 1).await;
    let scene = &world.scene;
    let broker = OpenBroker::start(OpenBrokerOptions::default())
        .await
        .unwrap();
    let connection = scene.broker_connection(&broker.url());
    scene.apply::<Connection>(&connection).await.unwrap();
    broker
        .set_mode(&peers::Mode::asynchronous(2))
        .await
        .unwrap();
    for method in ["PUT", "PATCH"] {
        let fault = peers::Fault::lose_response(method);
        broker.inject(&fault).await.unwrap();
    }
    let contract = world.backup_contract("open", starting_in(AHEAD / 4), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "open", "Delivered").await;
    let instances = broker.instances().await.unwrap();
    assert_eq!(instances.len(), 1, "{instances:?}");
    let instance = instances.values().next().unwrap();
    assert_eq!(instance.state, "active");
    assert_eq!(instance.parameters["enabled"], json!(true));
    assert!(
        world.broker.instances().is_empty(),
        "the other broker is not named any more"
    );

    scene
        .delete::<entente_crds::v1alpha1::Contract>(Some(scene.namespace()), "open")
        .await
        .unwrap();
    scene
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
    let world = Standard::new("unproven", 1).await;
    let scene = &world.scene;
    world
        .broker
        .set_fault(FaultKind::NotRetrievable)
        .await
        .unwrap();
    let contract = world.backup_contract("unproven", now(), "15m");
    scene.apply(&contract).await.unwrap();
    let parts = ["unproven", "backup", world.name(0)];
    let subscription = subscription_says(scene, parts, "Delivered", "NotVerifiable").await;
    assert!(!subscription.is("Ready"));
    assert!(
        !scene
            .read_contract("unproven")
            .await
            .unwrap()
            .is("Delivered")
    );

    world.broker.clear_faults().await.unwrap();
    every_reason_is_listed(scene).await;
}

// shows D2
#[tokio::test]
async fn a_broker_that_accepts_a_parameter_and_does_not_take_it_is_found_out() {
    let world = Standard::new("broker-liar", 1).await;
    let scene = &world.scene;
    let mut contract = world.backup_contract("broker-liar", now(), "15m");
    scene.apply(&contract).await.unwrap();
    let parts = ["broker-liar", "backup", world.name(0)];
    subscription_is(scene, parts, "Delivered").await;

    let lie = FaultKind::NotEffective {
        attributes: vec!["mode".to_owned()],
    };
    world.broker.set_fault(lie).await.unwrap();
    contract.spec.services[0]
        .parameters
        .insert("mode".to_owned(), "Differential".to_owned());
    scene.apply(&contract).await.unwrap();
    subscription_says(scene, parts, "Delivered", "AcceptedNotEffective").await;
    contract_is(scene, "broker-liar", "DevicesFailing").await;

    world.broker.clear_faults().await.unwrap();
    let subscription = subscription_is(scene, parts, "Delivered").await;
    assert!(
        subscription
            .items()
            .iter()
            .all(|item| item.problem.is_none())
    );
    assert_one_active_instance(&world);
    assert_eq!(
        world.broker.instances()[0].parameters["mode"],
        json!("Differential")
    );
}

// shows B7
#[tokio::test]
async fn another_plan_of_the_catalogue_moves_the_instance_and_makes_no_second_one() {
    let world = Standard::new("moved", 1).await;
    let scene = &world.scene;
    let contract = world.backup_contract("moved", now(), "1h");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "moved", "Delivered").await;
    let before = world.broker.instances();
    assert_eq!(before[0].plan_id, "data-backup-standard-id");

    let mut service = scene.backup();
    let server = service.spec.server.as_mut().expect("it has one");
    "premium".clone_into(&mut server.plan);
    scene.apply::<SmartService>(&service).await.unwrap();
    let moved = scene.soon("the instance is of the other plan", async || {
        let instances = world.broker.instances();
        assert_eq!(instances.len(), 1, "{instances:?}");
        (instances[0].plan_id == "data-backup-premium-id").then_some(())
    });
    moved.await.unwrap();
    contract_is(scene, "moved", "Delivered").await;
    assert_one_active_instance(&world);
    assert_eq!(world.broker.instances()[0].id, before[0].id);
    world.finish().await;
}
