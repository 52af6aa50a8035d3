//! Proof and what becomes of it: drift, contact that is lost, suspension.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Cause, Contract};
use entente_e2e::scene::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::scene::{now, starting_in};
use entente_simulators::FaultKind;
use serde_json::json;

use crate::standard::{
    AHEAD, Standard, contract_is, contract_says, every_reason_is_listed, reconciled,
    subscription_is, subscription_says, writes_to,
};

// shows B7
#[tokio::test]
async fn a_setting_that_was_changed_at_the_device_is_set_back_and_nothing_else_is_sent() {
    let world = Standard::new("drift", 1).await;
    let scene = &world.scene;
    let contract = world.parts_contract("drift", now(), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "drift", "Delivered").await;
    let sequence = scene.ledger().last_sequence();
    let panel = BTreeMap::from([("nw-alert-enabled".to_owned(), json!(false))]);
    world.device(0).set_attributes(&panel).unwrap();
    reconciled(scene, world.name(0)).await;
    scene
        .soon("the setting is back", async || {
            let value = world.device(0).attribute("nw-alert-enabled");
            (value == Some(json!(true))).then_some(())
        })
        .await
        .unwrap();
    let mut sent = scene.ledger().entries_since(sequence);
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
    subscription_is(scene, ["drift", "parts", world.name(0)], "Delivered").await;
    world.finish().await;
}

// shows D1
#[tokio::test]
async fn losing_contact_with_a_delivered_device_changes_only_that_it_is_not_online() {
    let world = Standard::new("contact", 1).await;
    let scene = &world.scene;
    let contract = world.parts_contract("contact", now(), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "contact", "Delivered").await;
    world.device(0).set_fault(FaultKind::Offline).await.unwrap();
    reconciled(scene, world.name(0)).await;
    scene
        .soon("the device is not online", async || {
            let device = scene.read_device(world.name(0)).await?;
            (device.reason("Online") == "Unreachable").then_some(())
        })
        .await
        .unwrap();
    let subscription = scene
        .subscription("contact", "parts", world.name(0))
        .await
        .unwrap();
    assert!(subscription.is("Delivered") && subscription.is("Ready"));
    assert!(scene.read_contract("contact").await.unwrap().is("Ready"));
    every_reason_is_listed(scene).await;
}

// shows D9
#[tokio::test]
async fn a_contract_that_is_suspended_sends_nothing_and_the_delay_is_the_customers() {
    let world = Standard::new("suspended", 1).await;
    let scene = &world.scene;
    let mut contract = world.parts_contract("suspended", starting_in(AHEAD / 4), "1s");
    contract.spec.suspend = true;
    scene.apply(&contract).await.unwrap();
    contract_says(scene, "suspended", "Ready", "Suspended").await;
    let parts = ["suspended", "parts", world.name(0)];
    let delay = scene
        .soon("the delay is noted", async || {
            let found = scene.subscription(parts[0], parts[1], parts[2]).await?;
            found.promises().first()?.delays.first().cloned()
        })
        .await
        .unwrap();
    assert_eq!(
        (delay.cause, delay.reason.as_str()),
        (Cause::Customer, "Suspended")
    );
    assert!(writes_to(scene, world.name(0)).is_empty());

    contract.spec.suspend = false;
    scene.apply(&contract).await.unwrap();
    subscription_is(scene, parts, "Delivered").await;
    world.finish().await;
}

// shows K2
#[tokio::test]
async fn a_contract_with_an_impossible_zone_is_stalled_and_says_why() {
    let world = Standard::new("zone", 1).await;
    let scene = &world.scene;
    let mut contract = world.parts_contract("zone", now(), "15m");
    contract.spec.term.time_zone = "Mars/Olympus".to_owned();
    scene.apply(&contract).await.unwrap();
    let stalled = contract_is(scene, "zone", "Stalled").await;
    assert_eq!(stalled.reason("Accepted"), "UnknownZone");
    assert!(
        scene
            .subscription("zone", "parts", world.name(0))
            .await
            .is_none()
    );

    contract.spec.term.time_zone = "Asia/Tokyo".to_owned();
    scene.apply(&contract).await.unwrap();
    let healed: Contract = contract_is(scene, "zone", "Delivered").await;
    assert!(!healed.is("Stalled"));
    subscription_says(
        scene,
        ["zone", "parts", world.name(0)],
        "Delivered",
        "Delivered",
    )
    .await;
    world.finish().await;
}
