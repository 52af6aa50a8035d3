//! Objects in any order: a missing one is waited for and named.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, SmartService};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;

use crate::delivery_fixture::{
    DeliveryFixture, contract_is, contract_says, every_reason_is_listed, subscription_is,
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
