//! Argo CD prunes in whatever order, in the foreground as it does unless told otherwise: an object is
//! gone only after all that belongs to it. With waves it prunes in their reverse order.

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::now;

use super::Application;
use crate::delivery_fixture::{DeliveryFixture, contract_is};
use crate::gitops::archive::Files;
use crate::gitops::{
    CATALOGUE, DEVICES, OWN_MODE, catalogue_left, everything_is_gone, give_own_value, in_waves,
    manifest, marker, mode, peers, repository,
};

fn contract(fixture: &DeliveryFixture<'_>) -> Contract {
    fixture.backup_contract("sul", now(), "15m")
}

fn nothing_of_ours() -> Files {
    Files::from([("rest.yaml".to_owned(), manifest(&[marker("rest")]))])
}

/// Syncs, and waits until the contract is delivered.
async fn deliver(application: &Application<'_>, fixture: &DeliveryFixture<'_>) {
    give_own_value(fixture);
    let synced = application.sync(&[]).await;
    assert_eq!(synced.phase, "Succeeded", "{synced:#?}");
    contract_is(&fixture.namespace, "sul", "Delivered").await;
    assert_ne!(mode(fixture), OWN_MODE);
}

// shows C10 K6
#[tokio::test]
async fn an_application_that_has_lost_all_manifests_prunes_everything_at_once_and_it_goes() {
    let fixture = peers("argo-all", 1).await;
    let files = repository(&fixture, &contract(&fixture));
    let mut application = Application::new(&fixture.namespace, &files);
    deliver(&application, &fixture).await;
    application.change(&nothing_of_ours());
    let pruned = application.sync(&[]).await;
    assert_eq!(pruned.phase, "Succeeded", "{pruned:#?}");
    let results = pruned.results.iter().filter(|it| it.status == "Pruned");
    assert_eq!(results.count(), 7, "{pruned:#?}");
    everything_is_gone(&fixture).await;
}

// shows C10 K6
#[tokio::test]
async fn an_application_with_waves_prunes_its_contract_first_and_devices_get_their_values_back() {
    let fixture = peers("argo-waves", 1).await;
    let files = in_waves(&fixture, &contract(&fixture));
    let mut application = Application::new(&fixture.namespace, &files);
    deliver(&application, &fixture).await;
    application.change(&nothing_of_ours());
    let pruned = application.sync(&[]).await;
    assert_eq!(pruned.phase, "Succeeded", "{pruned:#?}");
    everything_is_gone(&fixture).await;
    assert_eq!(mode(&fixture), OWN_MODE);
}

// shows C10 K6
#[tokio::test]
async fn a_catalogue_that_is_pruned_before_its_contract_stays_in_deletion_until_that_is_gone() {
    let fixture = peers("argo-first", 1).await;
    let namespace = &fixture.namespace;
    let files = repository(&fixture, &contract(&fixture));
    let mut application = Application::new(namespace, &files);
    deliver(&application, &fixture).await;
    let mut left = files.clone();
    left.remove(CATALOGUE);
    left.remove(DEVICES);
    application.change(&left);
    let pruned = application.sync(&["--timeout=10s"]).await;
    assert_eq!(pruned.phase, "Succeeded", "{pruned:#?}");
    let service = namespace.named("data-backup");
    assert!(catalogue_left(namespace).await.contains(&service));
    assert!(!fixture.broker.instances().is_empty());

    application.change(&nothing_of_ours());
    let pruned = application.sync(&[]).await;
    assert_eq!(pruned.phase, "Succeeded", "{pruned:#?}");
    everything_is_gone(&fixture).await;
}
