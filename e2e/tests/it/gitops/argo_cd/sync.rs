//! An application of Argo CD: its waves wait for health, a second sync has nothing to do, a contract
//! at fault is Degraded, and nothing of the operator's own is taken for one of its objects.

use entente_crds::v1alpha1::{Contract, ServiceSubscription};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use kube::ResourceExt as _;
use serde_json::json;

use super::{Application, Synced, differing};
use crate::delivery_fixture::{DeliveryFixture, contract_is};
use crate::gitops::{edit, in_waves, object, peers, repository};

fn contract(fixture: &DeliveryFixture<'_>) -> Contract {
    fixture.backup_contract("sul", now(), "15m")
}

/// Returns the kinds of the results of a status, in order and each once.
fn kinds<'s>(synced: &'s Synced, status: &str) -> Vec<&'s str> {
    let results = synced.results.iter().filter(|it| it.status == status);
    let mut kinds: Vec<&str> = results.map(|it| it.kind.as_str()).collect();
    kinds.dedup();
    kinds
}

// shows K6
#[tokio::test]
async fn waves_of_argo_cd_wait_for_each_other_and_a_second_sync_has_nothing_to_do() {
    let fixture = peers("argo", 2).await;
    let namespace = &fixture.namespace;
    let application = Application::new(namespace, &in_waves(&fixture, &contract(&fixture)));
    let first = application.sync(&[]).await;
    assert_eq!(first.phase, "Succeeded", "{first:#?}");
    let waves = ["Device", "Contract", "ConfigMap"];
    assert!(kinds(&first, "Synced").ends_with(&waves), "{first:#?}");
    let contract = namespace.read_contract("sul").await.unwrap();
    assert!(contract.is("Delivered"), "{:#?}", contract.status);
    let ours = first.health.iter().filter(|it| it.kind != "ConfigMap");
    for judged in ours {
        assert_eq!(judged.status, "Healthy", "{judged:?}");
    }
    assert_eq!(differing(&application.diff().await), Vec::<String>::new());

    let position = namespace.plane().audit_position().await.unwrap();
    let second = application.sync(&[]).await;
    assert_eq!(second.phase, "Succeeded", "{second:#?}");
    assert_eq!(
        application.writes_since(position).await,
        Vec::<String>::new()
    );
    fixture.finish().await;
}

// shows K6
#[tokio::test]
async fn a_wave_waits_for_a_contract_whose_device_is_off_only_where_argo_cd_has_our_health_scripts()
{
    let fixture = peers("argo-off", 1).await;
    let namespace = &fixture.namespace;
    fixture.switch_off(0).await;
    let application = Application::new(namespace, &in_waves(&fixture, &contract(&fixture)));
    let waiting = application.sync(&["--timeout=15s"]).await;
    assert_eq!(waiting.phase, "Running", "{waiting:#?}");
    let waits = "waiting for healthy state of entente.dev/Contract/sul";
    assert_eq!(waiting.message, waits);
    let judged = |synced: &Synced, kind: &str| {
        let mut health = synced.health.iter().filter(|it| it.kind == kind);
        health.next().map(|it| it.status.clone())
    };
    assert_eq!(judged(&waiting, "Contract").as_deref(), Some("Progressing"));
    assert_eq!(judged(&waiting, "ConfigMap").as_deref(), Some("Missing"));

    let blind = application.sync_without_health_scripts(&[]).await;
    assert_eq!(blind.phase, "Succeeded", "{blind:#?}");
    assert_eq!(judged(&blind, "Contract").as_deref(), Some(""));
    assert_eq!(judged(&blind, "ConfigMap").as_deref(), Some(""));

    fixture.device(0).clear_faults().await.unwrap();
    let synced = application.sync(&[]).await;
    assert_eq!(synced.phase, "Succeeded", "{synced:#?}");
    assert!(contract_is(namespace, "sul", "Delivered").await.is("Ready"));
    fixture.finish().await;
}

// shows K2 K6
#[tokio::test]
async fn a_contract_at_fault_ends_a_sync_of_argo_cd_with_its_own_message() {
    let fixture = peers("argo-fault", 1).await;
    let namespace = &fixture.namespace;
    let mut faulty = contract(&fixture);
    let unknown = ("colour".to_owned(), "blue".to_owned());
    faulty.spec.services[0].parameters.extend([unknown]);
    let application = Application::new(namespace, &in_waves(&fixture, &faulty));
    let failed = application.sync(&[]).await;
    assert_eq!(failed.phase, "Failed", "{failed:#?}");
    let contract = namespace.read_contract("sul").await.unwrap();
    let said = failed
        .results
        .iter()
        .find(|it| it.kind == "Contract")
        .unwrap();
    assert_eq!(said.message, contract.message("Ready"));
    let judged = failed
        .health
        .iter()
        .find(|it| it.kind == "Contract")
        .unwrap();
    assert_eq!(
        (&*judged.status, &*judged.message),
        ("Degraded", &*said.message)
    );
    assert!(
        kinds(&failed, "Synced").iter().all(|it| *it != "ConfigMap"),
        "{failed:#?}"
    );
}

// shows K6
#[tokio::test]
async fn drift_is_told_by_every_way_of_comparing_and_put_right_by_a_sync() {
    let fixture = peers("argo-drift", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = contract(&fixture);
    let chosen = ("weekdays".to_owned(), "mon".to_owned());
    contract.spec.services[0].parameters.extend([chosen]);
    let application = Application::new(namespace, &repository(&fixture, &contract));
    assert_eq!(application.sync(&[]).await.phase, "Succeeded");
    contract_is(namespace, "sul", "Delivered").await;
    let mut entries = object(&contract)["spec"]["services"].clone();
    entries[0]["parameters"]["weekdays"] = json!("fri");
    edit(namespace, &json!({"spec": {"services": entries}})).await;

    let told = application.diff().await;
    let differ = told.iter().filter(|it| it.differs);
    let differ: Vec<_> = differ.map(|it| (&*it.kind, &*it.name, &*it.way)).collect();
    let ways = ["three-way", "structured-merge", "server-side"];
    assert_eq!(
        differ,
        ways.map(|way| ("Contract", "sul", way)),
        "{told:#?}"
    );
    let synced = application.sync(&[]).await;
    assert_eq!(synced.phase, "Succeeded", "{synced:#?}");
    let back = contract_is(namespace, "sul", "Ready").await;
    let parameters = &back.spec.services[0].parameters;
    assert_eq!(parameters.get("weekdays").map(String::as_str), Some("mon"));
    assert_eq!(differing(&application.diff().await), Vec::<String>::new());
}

// shows K6
#[tokio::test]
async fn what_the_operator_makes_bears_no_mark_of_a_tool_and_is_never_pruned() {
    let fixture = peers("argo-marks", 1).await;
    let namespace = &fixture.namespace;
    let mut contract = contract(&fixture);
    let marks = [
        ("app.kubernetes.io/instance", "contracts"),
        ("kustomize.toolkit.fluxcd.io/name", "contracts"),
        ("kustomize.toolkit.fluxcd.io/namespace", namespace.name()),
    ];
    for (name, value) in marks {
        contract
            .labels_mut()
            .insert(name.to_owned(), value.to_owned());
    }
    let application = Application::new(namespace, &repository(&fixture, &contract));
    assert_eq!(application.sync(&[]).await.phase, "Succeeded");
    contract_is(namespace, "sul", "Delivered").await;
    let parent = namespace.read_contract("sul").await.unwrap();
    assert!(
        parent
            .annotations()
            .contains_key("argocd.argoproj.io/tracking-id")
    );
    let children = namespace.list::<ServiceSubscription>().await;
    assert!(!children.is_empty());
    for child in &children {
        let foreign = |name: &&String| {
            !name.starts_with("entente.dev/") && *name != "app.kubernetes.io/managed-by"
        };
        let foreign: Vec<_> = child
            .labels()
            .keys()
            .chain(child.annotations().keys())
            .filter(foreign)
            .collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
    let again = application.sync(&[]).await;
    assert_eq!(kinds(&again, "Pruned"), Vec::<&str>::new());
    assert_eq!(
        namespace.list::<ServiceSubscription>().await.len(),
        children.len()
    );
}
