//! Several services and several contracts on one device.

use entente_crds::v1alpha1::{Contract, Device};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{now, starting_in};
use jiff::SignedDuration;
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, contract_is, contract_says, reconciled, subscription_is,
    subscription_says,
};

// shows B5 K1
#[tokio::test]
async fn two_services_on_one_device_are_both_set_up_and_neither_disturbs_the_other() {
    let fixture = DeliveryFixture::new("two", 1).await;
    let namespace = &fixture.namespace;
    let device = fixture.name(0);
    let entries = vec![
        namespace.entry("backup", "data-backup", &[device], "15m"),
        namespace.entry("parts", "parts-life", &[device], "15m"),
    ];
    let contract = namespace.contract("two", starting_in(AHEAD / 4), entries);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "two", "Delivered").await;
    let counts = namespace
        .read_device(device)
        .await
        .unwrap()
        .status
        .unwrap()
        .subscriptions;
    assert_eq!(counts.map(|counts| counts.summary).as_deref(), Some("2/2"));
    assert_eq!(
        fixture.device(0).attribute("nw-alert-enabled"),
        Some(json!(true))
    );
    assert_eq!(
        fixture.device(0).attribute("nw-backup-endpoint"),
        Some(json!("https://backup.northwind.example/v1"))
    );

    // One of them ends and gives the device its values back; the other stays delivered and nothing
    // is sent for it.
    let sequence = namespace.ledger().last_sequence();
    let mut shorter = contract.clone();
    shorter.spec.services.truncate(1);
    namespace.apply(&shorter).await.unwrap();
    namespace
        .soon("the service that was taken out is gone", async || {
            let left = namespace.subscription("two", "parts", device).await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
    contract_is(namespace, "two", "Delivered").await;
    let mut later = namespace.ledger().entries_since(sequence);
    later.retain(|entry| entry.write);
    let mut values = later.iter().flat_map(|entry| &entry.attributes);
    let is_of_alert = values.all(|value| value.name.starts_with("nw-alert"));
    assert!(is_of_alert, "{:?}", brief(&later));
    assert_eq!(
        fixture.device(0).attribute("nw-alert-enabled"),
        Some(json!(false))
    );
    fixture.finish().await;
}

// shows K1
#[tokio::test]
async fn of_two_contracts_for_one_service_the_earlier_has_the_device_until_it_releases_it() {
    let fixture = DeliveryFixture::new("conflict", 1).await;
    let namespace = &fixture.namespace;
    let device = fixture.name(0);
    let contract = |name: &str, start, threshold: &str| {
        let mut contract = fixture.parts_contract(name, start, "15m");
        contract.spec.services[0]
            .parameters
            .insert("threshold".to_owned(), threshold.to_owned());
        contract
    };
    let hour = SignedDuration::from_hours(1);
    namespace
        .apply(&contract("older", now() - hour * 2, "30"))
        .await
        .unwrap();
    contract_is(namespace, "older", "Delivered").await;
    namespace
        .apply(&contract("younger", now() - hour, "40"))
        .await
        .unwrap();
    let loser = ["younger", "parts", device];
    subscription_says(namespace, loser, "Ready", "ConflictingContract").await;
    assert_eq!(
        fixture.device(0).attribute("nw-alert-threshold"),
        Some(json!(30))
    );
    assert!(
        namespace
            .read_contract("older")
            .await
            .unwrap()
            .is("Delivered")
    );

    namespace
        .delete::<Contract>(Some(namespace.name()), "older")
        .await
        .unwrap();
    subscription_is(namespace, loser, "Delivered").await;
    assert_eq!(
        fixture.device(0).attribute("nw-alert-threshold"),
        Some(json!(40))
    );
    contract_is(namespace, "younger", "Ready").await;
    fixture.finish().await;
}

// shows D1 K4
#[tokio::test]
async fn a_stranger_at_the_address_gets_nothing_written() {
    let fixture = DeliveryFixture::new("stranger", 1).await;
    let namespace = &fixture.namespace;
    let device = fixture.name(0);
    let contract = fixture.parts_contract("stranger", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "stranger", "Delivered").await;

    fixture.device(0).replace_machine();
    let sequence = namespace.ledger().last_sequence();
    reconciled(namespace, device).await;
    namespace
        .soon("the stranger is noticed", async || {
            let device = namespace.read_device(device).await?;
            (device.reason("Ready") == "IdentityMismatch").then_some(())
        })
        .await
        .unwrap();
    let mut written = namespace.ledger().entries_since(sequence);
    written.retain(|entry| entry.write);
    assert_eq!(brief(&written), Vec::<String>::new());
    let served = ["stranger", "parts", device];
    subscription_says(namespace, served, "Stalled", "IdentityMismatch").await;
    subscription_says(namespace, served, "Delivered", "IdentityMismatch").await;

    // The machine was exchanged on purpose: the Device names the new one, and it is set up.
    let exchanged = namespace.device(fixture.device(0));
    namespace.apply::<Device>(&exchanged).await.unwrap();
    subscription_is(namespace, ["stranger", "parts", device], "Delivered").await;
    namespace
        .soon("the new machine has the settings", async || {
            let set = fixture.device(0).attribute("nw-alert-enabled");
            (set == Some(json!(true))).then_some(())
        })
        .await
        .unwrap();
    contract_says(namespace, "stranger", "Ready", "Delivered").await;
}

// shows K1 K2
#[tokio::test]
async fn two_services_that_want_one_setting_differently_are_told_so_and_the_earlier_has_it() {
    let fixture = DeliveryFixture::new("settings", 1).await;
    let namespace = &fixture.namespace;
    let device = fixture.name(0);
    let mut other = namespace.parts();
    other.metadata.name = Some(namespace.named("parts-other"));
    namespace.apply(&other).await.unwrap();
    let contract = |name: &str, service: &str, start, threshold: &str| {
        let mut entry = namespace.entry("parts", service, &[device], "15m");
        entry
            .parameters
            .insert("threshold".to_owned(), threshold.to_owned());
        namespace.contract(name, start, vec![entry])
    };
    let hour = SignedDuration::from_hours(1);
    let older = contract("older", "parts-life", now() - hour * 2, "30");
    namespace.apply(&older).await.unwrap();
    contract_is(namespace, "older", "Delivered").await;
    let younger = contract("younger", "parts-other", now() - hour, "40");
    namespace.apply(&younger).await.unwrap();
    let loser = ["younger", "parts", device];
    let told = subscription_says(namespace, loser, "Ready", "SettingsConflict").await;
    let message = &told.condition("Ready").unwrap().message;
    assert!(
        message.contains("older") && message.contains("younger"),
        "it does not name both: {message}"
    );
    assert_eq!(
        fixture.device(0).attribute("nw-alert-threshold"),
        Some(json!(30))
    );
    assert!(
        namespace
            .read_contract("older")
            .await
            .unwrap()
            .is("Delivered")
    );

    let agreed = contract("younger", "parts-other", now() - hour, "30");
    namespace
        .apply(&Contract {
            spec: entente_crds::v1alpha1::ContractSpec {
                term: younger.spec.term.clone(),
                ..agreed.spec
            },
            ..agreed
        })
        .await
        .unwrap();
    subscription_is(namespace, loser, "Delivered").await;
    fixture.finish().await;
}
