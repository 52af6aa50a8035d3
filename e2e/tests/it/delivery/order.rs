//! Objects in any order: a missing one is waited for and named.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, SmartService};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{now, starting_in};

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, contract_is, contract_says, every_reason_is_listed, subscription_is,
    subscription_says, test_namespace,
};

// shows K1 K2
#[tokio::test]
async fn what_is_applied_back_to_front_comes_to_the_same_end_and_says_what_is_missing() {
    let namespace = test_namespace("order").await;
    let namespace = &namespace;
    let fleet = namespace.fleet(1).await.unwrap();
    let broker = namespace.broker().await.unwrap();
    let device = fleet.devices()[0].name();
    let parts = ["order", "backup", device];

    let entry = namespace.entry("backup", "data-backup", &[device], "15m");
    let contract = namespace.contract("order", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_says(namespace, "order", "ResolvedRefs", "ServiceNotFound").await;
    assert!(!namespace.read_contract("order").await.unwrap().is("Ready"));

    namespace
        .apply::<SmartService>(&namespace.backup())
        .await
        .unwrap();
    subscription_says(namespace, parts, "ResolvedRefs", "DeviceNotFound").await;
    contract_is(namespace, "order", "ResolvedRefs").await;

    namespace
        .apply::<Device>(&namespace.device(&fleet.devices()[0]))
        .await
        .unwrap();
    subscription_says(namespace, parts, "ResolvedRefs", "ConnectionNotFound").await;
    every_reason_is_listed(namespace).await;

    let connection = namespace.device_connection(fleet.port());
    namespace.apply::<Connection>(&connection).await.unwrap();
    subscription_says(namespace, parts, "ResolvedRefs", "ModelNotFound").await;

    namespace
        .apply::<DeviceModel>(&namespace.model())
        .await
        .unwrap();
    subscription_says(namespace, parts, "ResolvedRefs", "ConnectionNotFound").await;

    let connection = namespace.broker_connection(&broker.url());
    namespace.apply::<Connection>(&connection).await.unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    contract_is(namespace, "order", "Ready").await;
    every_reason_is_listed(namespace).await;
}

// shows K4
#[tokio::test]
async fn a_connection_that_does_not_allow_the_namespace_or_the_address_is_not_used() {
    let fixture = DeliveryFixture::new("allow", 1).await;
    let namespace = &fixture.namespace;
    let mut elsewhere = namespace.device_connection(fixture.fleet.port());
    elsewhere.spec.allow[0].networks = vec!["10.0.0.0/8".to_owned()];
    namespace.apply::<Connection>(&elsewhere).await.unwrap();
    let contract = fixture.parts_contract("allow", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["allow", "parts", fixture.name(0)];
    let subscription = subscription_says(namespace, parts, "Delivered", "NotAllowed").await;
    let message = &subscription.condition("Delivered").unwrap().message;
    assert!(
        !message.contains("ipp://"),
        "tenants see the URL: {message}"
    );

    let mut others = namespace.device_connection(fixture.fleet.port());
    others.spec.allow[0].namespaces.match_labels.insert(
        "kubernetes.io/metadata.name".to_owned(),
        "others".to_owned(),
    );
    namespace.apply::<Connection>(&others).await.unwrap();
    subscription_says(namespace, parts, "ResolvedRefs", "NotAllowed").await;

    let right = namespace.device_connection(fixture.fleet.port());
    namespace.apply::<Connection>(&right).await.unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    fixture.finish().await;
}

// shows B1 K1
#[tokio::test]
async fn a_device_that_is_created_after_its_contract_is_set_up_when_it_comes() {
    let fixture = DeliveryFixture::new("later", 2).await;
    let namespace = &fixture.namespace;
    let late = fixture.name(1);
    namespace
        .delete::<Device>(Some(namespace.name()), late)
        .await
        .unwrap();
    let entry = namespace.entry("parts", "parts-life", &[fixture.name(0), late], "15m");
    let contract = namespace.contract("later", starting_in(AHEAD / 4), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    subscription_is(namespace, ["later", "parts", fixture.name(0)], "Delivered").await;
    let waiting = subscription_says(
        namespace,
        ["later", "parts", late],
        "Ready",
        "DeviceNotFound",
    );
    waiting.await;
    assert!(!namespace.read_contract("later").await.unwrap().is("Ready"));

    let device = namespace.device(fixture.device(1));
    namespace.apply::<Device>(&device).await.unwrap();
    subscription_is(namespace, ["later", "parts", late], "Delivered").await;
    contract_is(namespace, "later", "Ready").await;
    fixture.finish().await;
}

// shows B1
#[tokio::test]
async fn devices_are_found_by_their_labels_and_leave_with_them() {
    let fixture = DeliveryFixture::new("labels", 2).await;
    let namespace = &fixture.namespace;
    let mut entry = namespace.entry("parts", "parts-life", &[], "15m");
    entry.devices.selector = Some(entente_crds::v1alpha1::Selector {
        match_labels: [("floor".to_owned(), "1".to_owned())].into(),
        match_expressions: Vec::new(),
    });
    let contract = namespace.contract("labels", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_says(namespace, "labels", "Ready", "NoDevices").await;

    let mut labelled = namespace.device(fixture.device(0));
    labelled.metadata.labels = Some([("floor".to_owned(), "1".to_owned())].into());
    namespace.apply::<Device>(&labelled).await.unwrap();
    subscription_is(namespace, ["labels", "parts", fixture.name(0)], "Delivered").await;
    assert!(
        namespace
            .subscription("labels", "parts", fixture.name(1))
            .await
            .is_none()
    );

    namespace
        .apply::<Device>(&namespace.device(fixture.device(0)))
        .await
        .unwrap();
    namespace
        .soon("the service leaves with the label", async || {
            let left = namespace
                .subscription("labels", "parts", fixture.name(0))
                .await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    fixture.finish().await;
}
