//! Contracts and namespaces end: services are withdrawn in reverse order, and what cannot be
//! withdrawn is said and can be abandoned.

use entente_crds::ANNOTATION_ABANDON;
use entente_crds::v1alpha1::{Connection, Contract, ServiceSubscription};
use entente_e2e::scene::Scene;
use entente_e2e::scene::now;
use entente_e2e::scene::read::Conditioned as _;
use entente_simulators::FaultKind;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};

use crate::standard::{
    Standard, brief, contract_is, contract_says, every_reason_is_listed, subscription_is,
};

async fn delete_contract(scene: &Scene<'_>, name: &str) {
    let deleted = scene.delete::<Contract>(Some(scene.namespace()), name);
    deleted.await.unwrap();
}

async fn contract_is_gone(scene: &Scene<'_>, name: &str) {
    scene
        .soon("the contract is gone", async || {
            let left = scene.read_contract(name).await;
            left.is_none().then_some(())
        })
        .await
        .unwrap();
}

/// Waits until the Connection of the broker lists these instances as left behind.
async fn orphans_are(scene: &Scene<'_>, instances: &[&str]) {
    let (connection, what) = (
        scene.named("broker"),
        format!("the orphans are {instances:?}"),
    );
    let listed = scene.soon(&what, async || {
        let found = scene
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

// shows B6 B9
#[tokio::test]
async fn a_contract_that_is_deleted_turns_services_off_removes_them_and_leaves_devices_as_they_are()
{
    let world = Standard::new("withdraw", 2).await;
    let scene = &world.scene;
    let names = [world.name(0), world.name(1)];
    let entry = scene.entry("backup", "data-backup", &names, "15m");
    scene
        .apply(&scene.contract("withdraw", now(), vec![entry]))
        .await
        .unwrap();
    contract_is(scene, "withdraw", "Delivered").await;
    let endpoint = world.device(0).attribute("nw-backup-endpoint");
    let sequence = scene.ledger().last_sequence();

    delete_contract(scene, "withdraw").await;
    contract_is_gone(scene, "withdraw").await;
    assert!(world.broker.instances().is_empty());
    assert!(scene.list::<ServiceSubscription>().await.is_empty());
    let mut sent = scene.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
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
    assert_eq!(world.device(0).attribute("nw-backup-endpoint"), endpoint);
    let ledger = scene.ledger();
    assert_eq!(brief(&ledger.duplicates()), Vec::<String>::new());
}

// shows K5
#[tokio::test]
async fn a_contract_is_deleted_although_its_device_is_dead() {
    let world = Standard::new("dead", 1).await;
    let scene = &world.scene;
    let contract = world.backup_contract("dead", now(), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "dead", "Delivered").await;
    world.device(0).set_fault(FaultKind::Offline).await.unwrap();
    delete_contract(scene, "dead").await;
    contract_is_gone(scene, "dead").await;
    assert!(world.broker.instances().is_empty());
}

// shows K1 K2
#[tokio::test]
async fn a_withdrawal_that_is_abandoned_leaves_an_orphan_until_it_is_in_service_again() {
    let world = Standard::new("abandon", 1).await;
    let scene = &world.scene;
    let contract = world.backup_contract("abandon", now(), "15m");
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "abandon", "Delivered").await;
    let instance = world.broker.instances()[0].id.clone();
    world.broker.set_fault(FaultKind::Offline).await.unwrap();
    delete_contract(scene, "abandon").await;
    let waiting = contract_says(scene, "abandon", "Ready", "Withdrawing").await;
    let message = &waiting.condition("Ready").unwrap().message;
    assert!(
        message.contains(world.name(0)),
        "it does not say what it waits for: {message}"
    );
    every_reason_is_listed(scene).await;

    let abandon = serde_json::json!({
        "metadata": { "annotations": { ANNOTATION_ABANDON: "true" } },
    });
    let subscription = format!("abandon.backup.{}", world.name(0));
    scene
        .api::<ServiceSubscription>()
        .patch(
            &subscription,
            &PatchParams::default(),
            &Patch::Merge(&abandon),
        )
        .await
        .unwrap();
    contract_is_gone(scene, "abandon").await;
    orphans_are(scene, &[&instance]).await;

    // Applied again, the contract has its instance back, and nobody must remove that.
    world.broker.clear_faults().await.unwrap();
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "abandon", "Delivered").await;
    let instances = world.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].id, instance);
    orphans_are(scene, &[]).await;
}

// shows K5
#[tokio::test]
async fn a_namespace_that_is_deleted_takes_its_services_with_it() {
    let world = Standard::new("namespace", 2).await;
    let scene = &world.scene;
    let names = [world.name(0), world.name(1)];
    let entry = scene.entry("backup", "data-backup", &names, "15m");
    scene
        .apply(&scene.contract("gone", now(), vec![entry]))
        .await
        .unwrap();
    contract_is(scene, "gone", "Delivered").await;
    scene
        .delete::<Namespace>(None, scene.namespace())
        .await
        .unwrap();
    let namespaces = scene.catalogue::<Namespace>();
    scene
        .within(
            std::time::Duration::from_mins(1),
            "the namespace is gone",
            async || {
                let left = namespaces.get_opt(scene.namespace()).await.ok()?;
                left.is_none().then_some(())
            },
        )
        .await
        .unwrap();
    assert!(
        world.broker.instances().is_empty(),
        "the services are withdrawn"
    );
}

// shows B9
#[tokio::test]
async fn a_contract_whose_policy_is_to_keep_leaves_everything_as_it_is() {
    let world = Standard::new("keep", 1).await;
    let scene = &world.scene;
    let mut contract = world.backup_contract("keep", now(), "15m");
    contract.spec.deletion_policy = entente_crds::v1alpha1::DeletionPolicy::Keep;
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "keep", "Delivered").await;
    let sequence = scene.ledger().last_sequence();
    delete_contract(scene, "keep").await;
    contract_is_gone(scene, "keep").await;
    let mut sent = scene.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write);
    assert_eq!(brief(&sent), Vec::<String>::new());
    assert_eq!(world.broker.instances().len(), 1);
}

// shows B3
#[tokio::test]
async fn a_term_that_ends_withdraws_its_services_at_its_end() {
    let world = Standard::new("term-end", 1).await;
    let scene = &world.scene;
    let mut contract = world.backup_contract("term-end", now(), "15m");
    let end = now() + jiff::SignedDuration::from_secs(6);
    contract.spec.term.end_time = Some(end.to_string());
    scene.apply(&contract).await.unwrap();
    subscription_is(scene, ["term-end", "backup", world.name(0)], "Delivered").await;
    contract_says(scene, "term-end", "Ready", "Ended").await;
    scene
        .soon("the instance is gone", async || {
            world.broker.instances().is_empty().then_some(())
        })
        .await
        .unwrap();
    let removed: Vec<_> = scene
        .ledger()
        .writes()
        .into_iter()
        .filter(|entry| entry.operation == "deprovision")
        .collect();
    assert_eq!(removed.len(), 1);
    assert!(removed[0].time() >= end, "removed before the term's end");
    every_reason_is_listed(scene).await;
}
