//! Edits of a contract that is delivered: it is Delivered again, of the spec as it is now.

use entente_e2e::namespace::now;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value as Json, json};

use crate::delivery_fixture::{DeliveryFixture, contract_is};
use crate::helm::helm;

/// Patches the contract as `kubectl patch` does, then waits as `kubectl wait` does.
async fn is_delivered_again(fixture: &DeliveryFixture<'_>, name: &str, patch: &Json) {
    let namespace = &fixture.namespace;
    let (contract, patch) = (format!("contract/{name}"), patch.to_string());
    let edit = [
        "patch",
        &contract,
        "-n",
        namespace.name(),
        "--type",
        "merge",
        "-p",
        &patch,
    ];
    let edited = namespace.plane().kubectl(edit).await.unwrap();
    assert!(edited.status.success(), "{patch}: {edited:?}");
    for condition in ["Delivered", "Ready"] {
        let condition = format!("--for=condition={condition}");
        let wait = [
            "wait",
            &contract,
            "-n",
            namespace.name(),
            &condition,
            "--timeout=10s",
        ];
        let waited = namespace.plane().kubectl(wait).await.unwrap();
        let found = namespace.read_contract(name).await.unwrap();
        assert!(
            waited.status.success(),
            "{patch}: {condition}: {:#?}",
            found.status
        );
    }
    let found = namespace.read_contract(name).await.unwrap();
    assert_eq!(
        found
            .status
            .as_ref()
            .and_then(|status| status.observed_generation),
        found.metadata.generation,
        "{patch}: {:#?}",
        found.status
    );
}

// shows K1 K2
#[tokio::test]
async fn a_delivered_contract_that_is_edited_is_delivered_again_within_seconds() {
    let fixture = DeliveryFixture::new("edit", 2).await;
    let namespace = &fixture.namespace;
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    let contract = namespace.contract("edit", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "edit", "Delivered").await;
    let mut entry = serde_json::to_value(&contract.spec.services[0]).unwrap();
    let mut edited = |field: &str, value: Json| {
        entry[field] = value;
        json!({"spec": {"services": [entry.clone()]}})
    };
    let fee = |amount: &str| json!({"amount": amount, "per": "Month", "of": "AllDevices"});
    let edits = [
        edited("fee", fee("99")),
        edited("parameters", json!({"weekdays": "mon"})),
        json!({"spec": {"maxUnavailable": 1}}),
        json!({"metadata": {"labels": {"desk": "north"}}}),
        edited("fee", fee("98")),
        edited("parameters", json!({"weekdays": "tue"})),
        edited("serviceLevel", json!({"allowed": "1h"})),
    ];
    for edit in &edits {
        is_delivered_again(&fixture, "edit", edit).await;
    }
    assert_eq!(
        fixture.device(0).attribute("nw-backup-weekdays"),
        Some(json!("tue"))
    );
    fixture.finish().await;
}

// shows K1 K2
#[tokio::test]
async fn helm_waits_for_an_edit_of_a_delivered_contract_and_keeps_it() {
    let fixture = DeliveryFixture::new("helm-edit", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.backup_contract("edit", now(), "15m");
    let installed = helm(namespace, "install", &contract).await;
    assert!(installed.status.success(), "{installed:?}");
    contract_is(namespace, "edit", "Delivered").await;
    for amount in ["99", "98", "97"] {
        contract.spec.services[0]
            .fee
            .as_mut()
            .expect("it has a fee")
            .amount = amount.to_owned();
        contract.spec.max_unavailable = Some(IntOrString::Int(1));
        let upgraded = helm(namespace, "upgrade", &contract).await;
        assert!(upgraded.status.success(), "{upgraded:?}");
        let found = namespace.read_contract("edit").await.unwrap();
        let fee = found.spec.services[0]
            .fee
            .as_ref()
            .map(|fee| fee.amount.as_str());
        assert_eq!(fee, Some(amount));
    }
    fixture.finish().await;
}
