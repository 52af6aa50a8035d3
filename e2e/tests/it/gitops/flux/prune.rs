//! Flux prunes in whatever order: the catalogue and the devices before the contract, everything at
//! once, or the contract first. The services are withdrawn, and nothing stays behind.
//!
//! Only while a Device is there can its machine be reached, so that the order decides about one
//! thing: whether a device gets its own values back.

use entente_crds::v1alpha1::{Contract, Device};
use entente_crds::yaml;
use entente_e2e::namespace::now;
use serde_json::{Value as Json, json};

use super::Flux;
use crate::delivery_fixture::{DeliveryFixture, contract_is};
use crate::gitops::{
    OWN_MODE, SOURCE, everything_is_gone, give_own_value, manifest, marker, mode, peers, repository,
};

const GUIDE: &str = include_str!("../../../../../docs/guide/gitops.md");

/// The folders of the repository, each with a Kustomization of its name.
const FOLDERS: [&str; 3] = ["catalogue", "devices", "contracts"];

/// Returns the Kustomizations of the guide, as people copy them.
fn of_the_guide() -> Vec<Json> {
    let blocks = GUIDE.split("```yaml\n").skip(1);
    let mut texts = blocks.map(|it| it.split("```").next().expect("the block ends"));
    let text = texts
        .find(|it| it.contains("kind: Kustomization"))
        .expect("the guide has an example");
    let mut objects: Vec<Json> = yaml::read_all(text).unwrap();
    assert_eq!(objects[0]["kind"], "GitRepository");
    assert_eq!(objects[0]["metadata"]["name"], SOURCE);
    objects.split_off(1)
}

fn contract(fixture: &DeliveryFixture<'_>) -> Contract {
    fixture.backup_contract("sul", now(), "15m")
}

/// Applies the Kustomizations of the guide, and waits until all are Ready. What stands for the chart
/// comes last.
async fn apply_folders(flux: &Flux<'_>, fixture: &DeliveryFixture<'_>) {
    give_own_value(fixture);
    let mut files = repository(fixture, &contract(fixture));
    let chart = manifest(&[marker("chart")]);
    files.insert("entente/chart.yaml".to_owned(), chart);
    let revision = flux.publish(&files).await;
    let kustomizations = of_the_guide();
    let name = |it: &Json| it["metadata"]["name"].as_str().map(str::to_owned);
    let names: Vec<String> = kustomizations.iter().filter_map(name).collect();
    assert_eq!(names, FOLDERS);
    for kustomization in &kustomizations {
        let name = kustomization["metadata"]["name"].as_str().expect("a name");
        flux.write("Kustomization", name, &kustomization["spec"])
            .await;
    }
    let namespace = fixture.namespace.name();
    let chart = json!({"path": "./entente", "targetNamespace": namespace});
    flux.apply("entente", &chart).await;
    for folder in FOLDERS {
        flux.until_ready(folder, &revision).await;
    }
    contract_is(&fixture.namespace, "sul", "Delivered").await;
    assert_ne!(mode(fixture), OWN_MODE);
}

// shows C10 K6
#[tokio::test]
async fn contracts_that_are_pruned_first_give_devices_their_values_back_before_those_go() {
    let fixture = peers("flux-order", 1).await;
    let flux = Flux::start(&fixture.namespace).await;
    apply_folders(&flux, &fixture).await;
    for folder in FOLDERS.iter().rev() {
        flux.delete(folder).await;
        flux.until_gone(folder).await;
        assert_eq!(mode(&fixture), OWN_MODE, "after {folder}");
        assert!(fixture.broker.instances().is_empty(), "after {folder}");
    }
    everything_is_gone(&fixture).await;
}

// shows C10 K6
#[tokio::test]
async fn a_catalogue_and_devices_that_are_pruned_first_are_gone_once_the_contract_is() {
    let fixture = peers("flux-first", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    apply_folders(&flux, &fixture).await;
    for folder in ["catalogue", "devices"] {
        flux.delete(folder).await;
    }
    flux.until_gone("devices").await;
    assert!(namespace.list::<Device>().await.is_empty());
    flux.delete("contracts").await;
    for folder in ["contracts", "catalogue"] {
        flux.until_gone(folder).await;
    }
    everything_is_gone(&fixture).await;
    assert_ne!(mode(&fixture), OWN_MODE, "nobody could reach it");
}

// shows C10 K6
#[tokio::test]
async fn a_kustomization_of_everything_that_is_deleted_takes_everything_along() {
    let fixture = peers("flux-all", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    let files = repository(&fixture, &contract(&fixture));
    let revision = flux.publish(&files).await;
    let wait = json!({"wait": true, "timeout": "2m"});
    flux.apply("all", &wait).await;
    flux.until_ready("all", &revision).await;
    assert!(!fixture.broker.instances().is_empty());

    flux.delete("all").await;
    flux.until_gone("all").await;
    everything_is_gone(&fixture).await;
}
