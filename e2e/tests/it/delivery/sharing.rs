//! Several services and several contracts on one device.

use entente_crds::v1alpha1::{Contract, Device};
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{now, starting_in};
use jiff::SignedDuration;
use serde_json::json;

use crate::standard::{
    AHEAD, Standard, brief, contract_is, contract_says, reconciled, subscription_is,
    subscription_says, writes_to,
};

// shows B5 K1
#[tokio::test]
async fn two_services_on_one_device_are_both_set_up_and_neither_disturbs_the_other() {
    let world = Standard::new("two", 1).await;
    let scene = &world.scene;
    let device = world.name(0);
    let entries = vec![
        scene.entry("backup", "data-backup", &[device], "15m"),
        scene.entry("parts", "parts-life", &[device], "15m"),
    ];
    let contract = scene.contract("two", starting_in(AHEAD / 4), entries);
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "two", "Delivered").await;
    let counts = scene
        .read_device(device)
        .await
        .unwrap()
        .status
        .unwrap()
        .subscriptions;
    assert_eq!(counts.map(|counts| counts.summary).as_deref(), Some("2/2"));
    assert_eq!(
        world.device(0).attribute("nw-alert-enabled"),
        Some(json!(true))
    );
    assert_eq!(
        world.device(0).attribute("nw-backup-endpoint"),
        Some(json!("https://backup.northwind.example/v1"))
    );

    // One of them goes; the other stays delivered and nothing is sent for it.
    let sequence = scene.ledger().last_sequence();
    let mut shorter = contract.clone();
    shorter.spec.services.truncate(1);
    scene.apply(&shorter).await.unwrap();
    scene
        .soon("the service that was taken out is gone", async || {
            let left = scene.subscription("two", "parts", device).await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    contract_is(scene, "two", "Delivered").await;
    let mut later = scene.ledger().entries_since(sequence);
    later.retain(|entry| entry.write);
    assert_eq!(brief(&later), Vec::<String>::new());
    world.finish().await;
}

// shows K1
#[tokio::test]
async fn of_two_contracts_for_one_service_the_earlier_has_the_device_until_it_releases_it() {
    let world = Standard::new("conflict", 1).await;
    let scene = &world.scene;
    let device = world.name(0);
    let contract = |name: &str, start, threshold: &str| {
        let mut contract = world.parts_contract(name, start, "15m");
        contract.spec.services[0]
            .parameters
            .insert("threshold".to_owned(), threshold.to_owned());
        contract
    };
    let hour = SignedDuration::from_hours(1);
    scene
        .apply(&contract("older", now() - hour * 2, "30"))
        .await
        .unwrap();
    contract_is(scene, "older", "Delivered").await;
    scene
        .apply(&contract("younger", now() - hour, "40"))
        .await
        .unwrap();
    let loser = ["younger", "parts", device];
    subscription_says(scene, loser, "Ready", "ConflictingContract").await;
    assert_eq!(
        world.device(0).attribute("nw-alert-threshold"),
        Some(json!(30))
    );
    assert!(scene.read_contract("older").await.unwrap().is("Delivered"));

    scene
        .delete::<Contract>(Some(scene.namespace()), "older")
        .await
        .unwrap();
    subscription_is(scene, loser, "Delivered").await;
    assert_eq!(
        world.device(0).attribute("nw-alert-threshold"),
        Some(json!(40))
    );
    contract_is(scene, "younger", "Ready").await;
    world.finish().await;
}

// shows K4
#[tokio::test]
async fn two_devices_with_one_address_are_not_both_served() {
    let world = Standard::new("address", 1).await;
    let scene = &world.scene;
    let address = world.device(0).address().ip().to_string();
    scene
        .soon("the first Device is accepted", async || {
            let device = scene.read_device(world.name(0)).await?;
            device.is("Accepted").then_some(())
        })
        .await
        .unwrap();
    let second = scene.device_at("second-mfp", &address, "NW-OTHER");
    scene.apply::<Device>(&second).await.unwrap();
    let refused = scene
        .soon("the second Device is refused", async || {
            let device = scene.read_device("second-mfp").await?;
            (device.reason("Accepted") == "AlreadyClaimed").then_some(device)
        })
        .await
        .unwrap();
    let message = &refused.condition("Accepted").unwrap().message;
    assert!(
        !message.contains(world.name(0)),
        "it names the other: {message}"
    );

    let entry = scene.entry("parts", "parts-life", &["second-mfp"], "15m");
    let contract = scene.contract("second", now(), vec![entry]);
    scene.apply(&contract).await.unwrap();
    let parts = ["second", "parts", "second-mfp"];
    subscription_says(scene, parts, "Ready", "AlreadyClaimed").await;
    assert_eq!(
        brief(&writes_to(scene, world.name(0))),
        Vec::<String>::new()
    );

    // The first one goes, and the second has the place.
    scene
        .delete::<Device>(Some(scene.namespace()), world.name(0))
        .await
        .unwrap();
    subscription_is(scene, parts, "Delivered").await;
    world.finish().await;
}

// shows D1 K4
#[tokio::test]
async fn a_stranger_at_the_address_gets_nothing_written() {
    let world = Standard::new("stranger", 1).await;
    let scene = &world.scene;
    let device = world.name(0);
    let contract = world.parts_contract("stranger", now(), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "stranger", "Delivered").await;

    world.device(0).replace_machine();
    let sequence = scene.ledger().last_sequence();
    reconciled(scene, device).await;
    scene
        .soon("the stranger is noticed", async || {
            let device = scene.read_device(device).await?;
            (device.reason("Ready") == "IdentityMismatch").then_some(())
        })
        .await
        .unwrap();
    let mut written = scene.ledger().entries_since(sequence);
    written.retain(|entry| entry.write);
    assert_eq!(brief(&written), Vec::<String>::new());

    // The machine was exchanged on purpose: the Device says so, and the new one is set up.
    let exchanged = scene.device(world.device(0));
    scene.apply::<Device>(&exchanged).await.unwrap();
    subscription_is(scene, ["stranger", "parts", device], "Delivered").await;
    scene
        .soon("the new machine has the settings", async || {
            let set = world.device(0).attribute("nw-alert-enabled");
            (set == Some(json!(true))).then_some(())
        })
        .await
        .unwrap();
    contract_says(scene, "stranger", "Ready", "Delivered").await;
}

// shows K1 K2
#[tokio::test]
async fn two_services_that_want_one_setting_differently_are_told_so_and_the_earlier_has_it() {
    let world = Standard::new("settings", 1).await;
    let scene = &world.scene;
    let device = world.name(0);
    let mut other = scene.parts();
    other.metadata.name = Some(scene.named("parts-other"));
    scene.apply(&other).await.unwrap();
    let contract = |name: &str, service: &str, start, threshold: &str| {
        let mut entry = scene.entry("parts", service, &[device], "15m");
        entry
            .parameters
            .insert("threshold".to_owned(), threshold.to_owned());
        scene.contract(name, start, vec![entry])
    };
    let hour = SignedDuration::from_hours(1);
    let older = contract("older", "parts-life", now() - hour * 2, "30");
    scene.apply(&older).await.unwrap();
    contract_is(scene, "older", "Delivered").await;
    let younger = contract("younger", "parts-other", now() - hour, "40");
    scene.apply(&younger).await.unwrap();
    let loser = ["younger", "parts", device];
    let told = subscription_says(scene, loser, "Ready", "SettingsConflict").await;
    let message = &told.condition("Ready").unwrap().message;
    assert!(
        message.contains("older") && message.contains("younger"),
        "it does not name both: {message}"
    );
    assert_eq!(
        world.device(0).attribute("nw-alert-threshold"),
        Some(json!(30))
    );
    assert!(scene.read_contract("older").await.unwrap().is("Delivered"));

    let agreed = contract("younger", "parts-other", now() - hour, "30");
    scene
        .apply(&Contract {
            spec: entente_crds::v1alpha1::ContractSpec {
                term: younger.spec.term.clone(),
                ..agreed.spec
            },
            ..agreed
        })
        .await
        .unwrap();
    subscription_is(scene, loser, "Delivered").await;
    world.finish().await;
}
