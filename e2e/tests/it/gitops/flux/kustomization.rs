//! A Kustomization of Flux with `wait`: it is Ready when its objects are, fails at once for a person
//! to act, waits for a device that is off, and puts drift right.

use entente_crds::v1alpha1::{Contract, Device};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use kube::ResourceExt as _;
use serde_json::json;

use super::{Flux, Kustomization};
use crate::delivery_fixture::{DeliveryFixture, contract_is, writes_to};
use crate::gitops::{edit, object, peers, repository};

/// Returns a contract of both example services on all devices, from now on.
fn contract(fixture: &DeliveryFixture<'_>) -> Contract {
    let namespace = &fixture.namespace;
    let devices = fixture.fleet.devices().iter();
    let names: Vec<&str> = devices.map(|it| it.name()).collect();
    let entries = vec![
        namespace.entry("backup", "data-backup", &names, "15m"),
        namespace.entry("parts", "parts-life", &names, "15m"),
    ];
    namespace.contract("sul", now(), entries)
}

/// Generation of each object that a person wrote.
async fn generations(fixture: &DeliveryFixture<'_>) -> Vec<(String, Option<i64>)> {
    let namespace = &fixture.namespace;
    let mut found = Vec::new();
    for contract in namespace.list::<Contract>().await {
        found.push((contract.name_any(), contract.metadata.generation));
    }
    for device in namespace.list::<Device>().await {
        found.push((device.name_any(), device.metadata.generation));
    }
    found
}

// shows K1 K6
#[tokio::test]
async fn flux_is_ready_when_the_contract_is_and_writes_nothing_when_it_looks_again() {
    let fixture = peers("flux", 2).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    let revision = flux
        .publish(&repository(&fixture, &contract(&fixture)))
        .await;
    let wait = json!({"wait": true, "timeout": "2m"});
    flux.apply("all", &wait).await;
    flux.until_ready("all", &revision).await;
    let contract = namespace.read_contract("sul").await.unwrap();
    assert!(
        contract.is("Ready") && contract.is("Delivered"),
        "Flux was ready first: {:#?}",
        contract.status
    );

    let before = generations(&fixture).await;
    let position = namespace.plane().audit_position().await.unwrap();
    for _ in 0..2 {
        let again = flux.reconcile("all").await;
        assert_eq!(again.ready(), "True", "{}", again.message());
    }
    assert_eq!(flux.writes_since(position).await, Vec::<String>::new());
    assert_eq!(generations(&fixture).await, before);
    fixture.finish().await;
}

// shows K6
#[tokio::test]
async fn flux_goes_on_waiting_for_a_device_that_is_off_and_is_ready_once_it_answers() {
    let fixture = peers("flux-off", 2).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(1).await;
    let flux = Flux::start(namespace).await;
    let revision = flux
        .publish(&repository(&fixture, &contract(&fixture)))
        .await;
    flux.apply("all", &json!({"wait": true, "timeout": "10m"}))
        .await;
    contract_is(namespace, "sul", "DevicesFailing").await;
    let device = fixture.name(1);
    let offline = namespace.soon("the device is offline", async || {
        let found = namespace.read_device(device).await?;
        (found.condition("Online")?.status == "False").then_some(())
    });
    offline.await.unwrap();
    let waiting = flux
        .until(
            "all",
            "Flux waits for the device",
            Kustomization::checks_health,
        )
        .await;
    assert_eq!(waiting.ready(), "Unknown", "{}", waiting.message());

    fixture.device(1).clear_faults().await.unwrap();
    flux.until_ready("all", &revision).await;
    let reasons = flux.reasons("all").await;
    assert!(
        !reasons.iter().any(|it| it == "HealthCheckFailed"),
        "it has failed meanwhile: {reasons:?}"
    );
    fixture.finish().await;
}

// shows K2 K6
#[tokio::test]
async fn flux_fails_at_once_for_a_contract_at_fault_and_is_ready_when_that_is_corrected() {
    let fixture = peers("flux-fault", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    let contract = contract(&fixture);
    let mut faulty = contract.clone();
    let unknown = ("colour".to_owned(), "blue".to_owned());
    faulty.spec.services[0].parameters.extend([unknown]);
    flux.publish(&repository(&fixture, &faulty)).await;
    flux.apply("all", &json!({"wait": true, "timeout": "1h"}))
        .await;
    let failed = flux
        .until("all", "Flux fails", |it| it.ready() == "False")
        .await;
    assert_eq!(failed.reason(), "HealthCheckFailed");
    let named = format!("Contract/{}/sul status: 'Failed'", namespace.name());
    assert!(failed.message().contains(&named), "{}", failed.message());

    let revision = flux.publish(&repository(&fixture, &contract)).await;
    flux.until_ready("all", &revision).await;
    assert!(contract_is(namespace, "sul", "Delivered").await.is("Ready"));
    fixture.finish().await;
}

// shows K6
#[tokio::test]
async fn drift_of_a_contract_is_put_right_by_flux_and_the_device_gets_its_value_again() {
    let fixture = peers("flux-drift", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    let revision = flux
        .publish(&repository(&fixture, &contract(&fixture)))
        .await;
    flux.apply("all", &json!({"wait": true, "timeout": "2m"}))
        .await;
    flux.until_ready("all", &revision).await;
    threshold_is(&fixture, 20).await;

    let mut entries = object(&contract(&fixture))["spec"]["services"].clone();
    entries[1]["parameters"] = json!({"threshold": "55"});
    edit(namespace, &json!({"spec": {"services": entries}})).await;
    threshold_is(&fixture, 55).await;

    let put_right = flux.reconcile("all").await;
    assert_eq!(put_right.ready(), "True", "{}", put_right.message());
    let contract = namespace.read_contract("sul").await.unwrap();
    assert_eq!(contract.spec.services[1].parameters.get("threshold"), None);
    assert!(contract.is("Ready"), "{:#?}", contract.status);
    threshold_is(&fixture, 20).await;
    assert!(!writes_to(namespace, fixture.name(0)).is_empty());
}

async fn threshold_is(fixture: &DeliveryFixture<'_>, wanted: i64) {
    let what = format!("the threshold of the device is {wanted}");
    let device = fixture.device(0);
    let found = fixture.namespace.soon(&what, async || {
        (device.attribute("nw-alert-threshold") == Some(json!(wanted))).then_some(())
    });
    found.await.unwrap();
}
