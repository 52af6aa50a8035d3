//! Proof under drift, lost contact and suspension.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Cause, Contract};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{now, starting_in};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, contract_is, contract_says, every_reason_is_listed, reconciled,
    subscription_is, subscription_says, writes_to,
};

// shows B7
#[tokio::test]
async fn a_setting_that_was_changed_at_the_device_is_set_back_and_nothing_else_is_sent() {
    let fixture = DeliveryFixture::new("drift", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.parts_contract("drift", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "drift", "Delivered").await;
    let sequence = namespace.ledger().last_sequence();
    let panel = BTreeMap::from([("nw-alert-enabled".to_owned(), json!(false))]);
    fixture.device(0).set_attributes(&panel).unwrap();
    reconciled(namespace, fixture.name(0)).await;
    namespace
        .soon("the setting is back", async || {
            let value = fixture.device(0).attribute("nw-alert-enabled");
            (value == Some(json!(true))).then_some(())
        })
        .await
        .unwrap();
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && entry.cause == entente_simulators::Cause::Request);
    let names: Vec<_> = sent
        .iter()
        .flat_map(|entry| {
            entry
                .attributes
                .iter()
                .map(|attribute| attribute.name.as_str())
        })
        .collect();
    assert_eq!(names, ["nw-alert-enabled"]);
    subscription_is(namespace, ["drift", "parts", fixture.name(0)], "Delivered").await;
    fixture.finish().await;
}

// shows D1
#[tokio::test]
async fn losing_contact_with_a_delivered_device_changes_only_that_it_is_not_online() {
    let fixture = DeliveryFixture::new("contact", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.parts_contract("contact", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "contact", "Delivered").await;
    fixture.switch_off(0).await;
    reconciled(namespace, fixture.name(0)).await;
    namespace
        .soon("the device is not online", async || {
            let device = namespace.read_device(fixture.name(0)).await?;
            (device.reason("Online") == "Unreachable").then_some(())
        })
        .await
        .unwrap();
    let subscription = namespace
        .subscription("contact", "parts", fixture.name(0))
        .await
        .unwrap();
    assert!(subscription.is("Delivered") && subscription.is("Ready"));
    assert!(
        namespace
            .read_contract("contact")
            .await
            .unwrap()
            .is("Ready")
    );
    every_reason_is_listed(namespace).await;
}

// shows D9
#[tokio::test]
async fn a_contract_that_is_suspended_sends_nothing_and_the_delay_is_the_customers() {
    let fixture = DeliveryFixture::new("suspended", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.parts_contract("suspended", starting_in(AHEAD / 4), "1s");
    contract.spec.suspend = true;
    namespace.apply(&contract).await.unwrap();
    contract_says(namespace, "suspended", "Ready", "Suspended").await;
    let parts = ["suspended", "parts", fixture.name(0)];
    let delay = namespace
        .soon("the delay is noted", async || {
            let found = namespace.subscription(parts[0], parts[1], parts[2]).await?;
            found.promises().first()?.delays.first().cloned()
        })
        .await
        .unwrap();
    assert_eq!(
        (delay.cause, delay.reason.as_str()),
        (Cause::Customer, "Suspended")
    );
    assert!(writes_to(namespace, fixture.name(0)).is_empty());

    contract.spec.suspend = false;
    namespace.apply(&contract).await.unwrap();
    subscription_is(namespace, parts, "Delivered").await;
    fixture.finish().await;
}

// shows K2
#[tokio::test]
async fn a_contract_with_an_impossible_zone_is_stalled_and_says_why() {
    let fixture = DeliveryFixture::new("zone", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.parts_contract("zone", now(), "15m");
    contract.spec.term.time_zone = "Mars/Olympus".to_owned();
    namespace.apply(&contract).await.unwrap();
    let stalled = contract_is(namespace, "zone", "Stalled").await;
    assert_eq!(stalled.reason("Accepted"), "UnknownZone");
    assert!(
        namespace
            .subscription("zone", "parts", fixture.name(0))
            .await
            .is_none()
    );

    contract.spec.term.time_zone = "Asia/Tokyo".to_owned();
    namespace.apply(&contract).await.unwrap();
    let healed: Contract = contract_is(namespace, "zone", "Delivered").await;
    assert!(!healed.is("Stalled"));
    subscription_says(
        namespace,
        ["zone", "parts", fixture.name(0)],
        "Delivered",
        "Delivered",
    )
    .await;
    fixture.finish().await;
}
