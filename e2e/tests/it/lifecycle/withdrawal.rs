//! Contracts and namespaces end: services are withdrawn in reverse order, and one that cannot be
//! withdrawn is reported and can be abandoned.

use std::collections::BTreeMap;

use entente_crds::ANNOTATION_ABANDON;
use entente_crds::v1alpha1::{Connection, Contract, Release, ServiceSubscription, SmartService};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use entente_simulators::FaultKind;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};

use crate::delivery_fixture::{
    DeliveryFixture, brief, contract_is, contract_says, every_reason_is_listed, subscription_is,
};

async fn delete_contract(namespace: &TestNamespace<'_>, name: &str) {
    let deleted = namespace.delete::<Contract>(Some(namespace.name()), name);
    deleted.await.unwrap();
}

async fn contract_is_gone(namespace: &TestNamespace<'_>, name: &str) {
    namespace
        .soon("the contract is gone", async || {
            let left = namespace.read_contract(name).await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
}

/// Waits until the Connection of the broker lists these instances as left behind.
async fn orphans_are(namespace: &TestNamespace<'_>, instances: &[&str]) {
    let (connection, what) = (
        namespace.named("broker"),
        format!("the orphans are {instances:?}"),
    );
    let listed = namespace.soon(&what, async || {
        let found = namespace
            .catalogue::<Connection>()
            .get(&connection)
            .await
            .ok()?;
        let orphans = found.status?.orphans;
        let ids: Vec<&str> = orphans.iter().map(|it| it.instance_id.as_str()).collect();
        (ids == instances).then_some(())
    });
    listed.await.unwrap();
}

// shows B6 B9 C10
#[tokio::test]
async fn a_contract_that_is_deleted_turns_services_off_removes_them_and_gives_devices_their_values_back()
 {
    let fixture = DeliveryFixture::new("withdraw", 2).await;
    let namespace = &fixture.namespace;
    let first = first_values();
    fixture.device(0).set_attributes(&first).unwrap();
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    namespace
        .apply(&namespace.contract("withdraw", now(), vec![entry]))
        .await
        .unwrap();
    contract_is(namespace, "withdraw", "Delivered").await;
    assert_ne!(values_of(&fixture, &first), first, "they are overwritten");
    let sequence = namespace.ledger().last_sequence();

    delete_contract(namespace, "withdraw").await;
    contract_is_gone(namespace, "withdraw").await;
    assert!(fixture.broker.instances().is_empty());
    assert!(namespace.list::<ServiceSubscription>().await.is_empty());
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && !entry.operation.starts_with("Set"));
    for instance in sent
        .iter()
        .map(|entry| &entry.key)
        .collect::<std::collections::BTreeSet<_>>()
    {
        let operations: Vec<_> = sent
            .iter()
            .filter(|entry| entry.key == *instance)
            .map(|entry| entry.operation.as_str())
            .collect();
        assert_eq!(
            operations,
            ["update", "deprovision"],
            "off first, then removed"
        );
    }
    assert_eq!(values_of(&fixture, &first), first, "they are as before");
    let ledger = namespace.ledger();
    assert_eq!(brief(&ledger.duplicates()), Vec::<String>::new());
}

/// Returns the values that somebody has set on a device before its services.
fn first_values() -> BTreeMap<String, serde_json::Value> {
    let values = serde_json::json!({
        "nw-backup-endpoint": "https://first.example",
        "nw-backup-weekdays": ["fri", "mon"],
        "nw-backup-mode": "differential",
    });
    serde_json::from_value(values).unwrap()
}

/// Returns the values that the first device has of these settings, a set in the order of its words.
fn values_of(
    fixture: &DeliveryFixture<'_>,
    of: &BTreeMap<String, serde_json::Value>,
) -> BTreeMap<String, serde_json::Value> {
    let values = of.keys().map(|name| {
        let mut value = fixture.device(0).attribute(name).unwrap();
        if let Some(words) = value.as_array_mut() {
            words.sort_by_key(ToString::to_string);
        }
        (name.clone(), value)
    });
    values.collect()
}

// shows C10
#[tokio::test]
async fn a_service_that_keeps_its_settings_leaves_them_on_the_device_at_its_end() {
    let fixture = DeliveryFixture::new("release-keep", 1).await;
    let namespace = &fixture.namespace;
    let mut service = namespace.backup();
    service.spec.device.as_mut().unwrap().release = Release::Keep;
    namespace.apply::<SmartService>(&service).await.unwrap();
    let first = first_values();
    fixture.device(0).set_attributes(&first).unwrap();
    let contract = fixture.backup_contract("release-keep", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "release-keep", "Delivered").await;
    let ours = values_of(&fixture, &first);
    assert_ne!(ours, first);
    delete_contract(namespace, "release-keep").await;
    contract_is_gone(namespace, "release-keep").await;
    assert!(fixture.broker.instances().is_empty());
    assert_eq!(values_of(&fixture, &first), ours);
}

// shows C10 K2 K5
#[tokio::test]
async fn a_contract_whose_device_is_dead_says_so_and_is_deleted_once_it_is_abandoned() {
    let fixture = DeliveryFixture::new("dead", 1).await;
    let namespace = &fixture.namespace;
    fixture.device(0).set_attributes(&first_values()).unwrap();
    let contract = fixture.backup_contract("dead", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "dead", "Delivered").await;
    fixture.switch_off(0).await;
    delete_contract(namespace, "dead").await;
    let waiting = contract_says(namespace, "dead", "Ready", "Withdrawing").await;
    let message = &waiting.condition("Ready").unwrap().message;
    assert!(
        message.contains(fixture.name(0)),
        "it does not say what it waits for: {message}"
    );
    namespace
        .soon("the instance is gone", async || {
            fixture.broker.instances().is_empty().then_some(())
        })
        .await
        .unwrap();
    every_reason_is_listed(namespace).await;
    abandon(namespace, &format!("dead.backup.{}", fixture.name(0))).await;
    contract_is_gone(namespace, "dead").await;
}

/// Gives up the withdrawal of a subscription, as a person does.
async fn abandon(namespace: &TestNamespace<'_>, subscription: &str) {
    let abandon = serde_json::json!({
        "metadata": { "annotations": { ANNOTATION_ABANDON: "true" } },
    });
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&abandon));
    let api = namespace.api::<ServiceSubscription>();
    api.patch(subscription, &parameters, &patch).await.unwrap();
}

// shows K1 K2
#[tokio::test]
async fn a_withdrawal_that_is_abandoned_leaves_an_orphan_until_it_is_in_service_again() {
    let fixture = DeliveryFixture::new("abandon", 1).await;
    let namespace = &fixture.namespace;
    let contract = fixture.backup_contract("abandon", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "abandon", "Delivered").await;
    let instance = fixture.broker.instances()[0].id.clone();
    fixture.broker.set_fault(FaultKind::Offline).await.unwrap();
    delete_contract(namespace, "abandon").await;
    let waiting = contract_says(namespace, "abandon", "Ready", "Withdrawing").await;
    let message = &waiting.condition("Ready").unwrap().message;
    assert!(
        message.contains(fixture.name(0)),
        "it does not say what it waits for: {message}"
    );
    every_reason_is_listed(namespace).await;

    abandon(namespace, &format!("abandon.backup.{}", fixture.name(0))).await;
    contract_is_gone(namespace, "abandon").await;
    orphans_are(namespace, &[&instance]).await;

    // Applied again, the contract has its instance back, and nothing may remove that.
    fixture.broker.clear_faults().await.unwrap();
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "abandon", "Delivered").await;
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].id, instance);
    orphans_are(namespace, &[]).await;
}

// shows K5
#[tokio::test]
async fn a_namespace_that_is_deleted_takes_its_services_with_it() {
    let fixture = DeliveryFixture::new("namespace", 2).await;
    let namespace = &fixture.namespace;
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("backup", "data-backup", &names, "15m");
    namespace
        .apply(&namespace.contract("gone", now(), vec![entry]))
        .await
        .unwrap();
    contract_is(namespace, "gone", "Delivered").await;
    namespace
        .delete::<Namespace>(None, namespace.name())
        .await
        .unwrap();
    let namespaces = namespace.catalogue::<Namespace>();
    namespace
        .within(
            std::time::Duration::from_mins(1),
            "the namespace is gone",
            async || {
                let left = namespaces.get_opt(namespace.name()).await.ok()?;
                left.is_none().then_some(())
            },
        )
        .await
        .unwrap();
    assert!(
        fixture.broker.instances().is_empty(),
        "the services are withdrawn"
    );
}

// shows B9
#[tokio::test]
async fn a_contract_whose_policy_is_to_keep_leaves_everything_as_it_is() {
    let fixture = DeliveryFixture::new("keep", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.backup_contract("keep", now(), "15m");
    contract.spec.deletion_policy = entente_crds::v1alpha1::DeletionPolicy::Keep;
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "keep", "Delivered").await;
    let sequence = namespace.ledger().last_sequence();
    delete_contract(namespace, "keep").await;
    contract_is_gone(namespace, "keep").await;
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
    assert_eq!(brief(&sent), Vec::<String>::new());
    assert_eq!(fixture.broker.instances().len(), 1);
}

// shows B3 C10
#[tokio::test]
async fn a_term_that_ends_withdraws_its_services_at_its_end() {
    let fixture = DeliveryFixture::new("term-end", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = fixture.backup_contract("term-end", now(), "15m");
    let end = now() + jiff::SignedDuration::from_secs(6);
    contract.spec.term.end_time = Some(end.to_string());
    namespace.apply(&contract).await.unwrap();
    subscription_is(
        namespace,
        ["term-end", "backup", fixture.name(0)],
        "Delivered",
    )
    .await;
    contract_says(namespace, "term-end", "Ready", "Ended").await;
    namespace
        .soon("the instance is gone", async || {
            fixture.broker.instances().is_empty().then_some(())
        })
        .await
        .unwrap();
    let removed: Vec<_> = namespace
        .ledger()
        .writes()
        .into_iter()
        .filter(|entry| entry.operation == "deprovision")
        .collect();
    assert_eq!(removed.len(), 1);
    assert!(removed[0].time() >= end, "removed before the term's end");
    every_reason_is_listed(namespace).await;
}
