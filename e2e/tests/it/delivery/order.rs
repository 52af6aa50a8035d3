//! Objects come in any order; what is missing is waited for and named.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, SmartService};
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{now, starting_in};

use crate::standard::{
    AHEAD, Standard, contract_is, contract_says, every_reason_is_listed, scene, subscription_is,
    subscription_says,
};

// shows K1 K2
#[tokio::test]
async fn what_is_applied_back_to_front_comes_to_the_same_end_and_says_what_is_missing() {
    let scene = scene("order").await;
    let scene = &scene;
    let fleet = scene.fleet(1).await.unwrap();
    let broker = scene.broker().await.unwrap();
    let device = fleet.devices()[0].name();
    let parts = ["order", "backup", device];

    let entry = scene.entry("backup", "data-backup", &[device], "15m");
    let contract = scene.contract("order", now(), vec![entry]);
    scene.apply(&contract).await.unwrap();
    contract_says(scene, "order", "ResolvedRefs", "ServiceNotFound").await;
    assert!(!scene.read_contract("order").await.unwrap().is("Ready"));

    scene.apply::<SmartService>(&scene.backup()).await.unwrap();
    subscription_says(scene, parts, "ResolvedRefs", "DeviceNotFound").await;
    contract_is(scene, "order", "ResolvedRefs").await;

    scene
        .apply::<Device>(&scene.device(&fleet.devices()[0]))
        .await
        .unwrap();
    subscription_says(scene, parts, "ResolvedRefs", "ConnectionNotFound").await;
    every_reason_is_listed(scene).await;

    let connection = scene.device_connection(fleet.port());
    scene.apply::<Connection>(&connection).await.unwrap();
    subscription_says(scene, parts, "ResolvedRefs", "ModelNotFound").await;

    scene.apply::<DeviceModel>(&scene.model()).await.unwrap();
    subscription_says(scene, parts, "ResolvedRefs", "ConnectionNotFound").await;

    let connection = scene.broker_connection(&broker.url());
    scene.apply::<Connection>(&connection).await.unwrap();
    subscription_is(scene, parts, "Delivered").await;
    contract_is(scene, "order", "Ready").await;
    every_reason_is_listed(scene).await;
}

// shows K4
#[tokio::test]
async fn a_connection_that_does_not_allow_the_namespace_or_the_address_is_not_used() {
    let world = Standard::new("allow", 1).await;
    let scene = &world.scene;
    let mut elsewhere = scene.device_connection(world.fleet.port());
    elsewhere.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned()];
    scene.apply::<Connection>(&elsewhere).await.unwrap();
    let contract = world.parts_contract("allow", now(), "15m");
    scene.apply(&contract).await.unwrap();
    let parts = ["allow", "parts", world.name(0)];
    let subscription = subscription_says(scene, parts, "Delivered", "NotAllowed").await;
    let message = &subscription.condition("Delivered").unwrap().message;
    assert!(
        !message.contains("ipp://"),
        "tenants see the URL: {message}"
    );

    let mut others = scene.device_connection(world.fleet.port());
    others.spec.allow[0].namespaces.match_labels.insert(
        "kubernetes.io/metadata.name".to_owned(),
        "others".to_owned(),
    );
    scene.apply::<Connection>(&others).await.unwrap();
    subscription_says(scene, parts, "ResolvedRefs", "NotAllowed").await;

    let right = scene.device_connection(world.fleet.port());
    scene.apply::<Connection>(&right).await.unwrap();
    subscription_is(scene, parts, "Delivered").await;
    world.finish().await;
}

// shows B1 K1
#[tokio::test]
async fn a_device_that_is_created_after_its_contract_is_set_up_when_it_comes() {
    let world = Standard::new("later", 2).await;
    let scene = &world.scene;
    let late = world.name(1);
    scene
        .delete::<Device>(Some(scene.namespace()), late)
        .await
        .unwrap();
    let entry = scene.entry("parts", "parts-life", &[world.name(0), late], "15m");
    let contract = scene.contract("later", starting_in(AHEAD / 4), vec![entry]);
    scene.apply(&contract).await.unwrap();
    subscription_is(scene, ["later", "parts", world.name(0)], "Delivered").await;
    let waiting = subscription_says(scene, ["later", "parts", late], "Ready", "DeviceNotFound");
    waiting.await;
    assert!(!scene.read_contract("later").await.unwrap().is("Ready"));

    let device = scene.device(world.device(1));
    scene.apply::<Device>(&device).await.unwrap();
    subscription_is(scene, ["later", "parts", late], "Delivered").await;
    contract_is(scene, "later", "Ready").await;
    world.finish().await;
}

// shows B1
#[tokio::test]
async fn devices_are_found_by_their_labels_and_leave_with_them() {
    let world = Standard::new("labels", 2).await;
    let scene = &world.scene;
    let mut entry = scene.entry("parts", "parts-life", &[], "15m");
    entry.devices.selector = Some(entente_crds::v1alpha1::Selector {
        match_labels: [("floor".to_owned(), "1".to_owned())].into(),
        match_expressions: Vec::new(),
    });
    let contract = scene.contract("labels", now(), vec![entry]);
    scene.apply(&contract).await.unwrap();
    contract_says(scene, "labels", "Ready", "NoDevices").await;

    let mut labelled = scene.device(world.device(0));
    labelled.metadata.labels = Some([("floor".to_owned(), "1".to_owned())].into());
    scene.apply::<Device>(&labelled).await.unwrap();
    subscription_is(scene, ["labels", "parts", world.name(0)], "Delivered").await;
    assert!(
        scene
            .subscription("labels", "parts", world.name(1))
            .await
            .is_none()
    );

    scene
        .apply::<Device>(&scene.device(world.device(0)))
        .await
        .unwrap();
    scene
        .soon("the service leaves with the label", async || {
            let left = scene.subscription("labels", "parts", world.name(0)).await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    world.finish().await;
}
