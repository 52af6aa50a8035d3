//! An edit that the API server refuses, in a Kustomization of Flux with and without `force`: with it
//! Flux deletes the object and makes it anew, so that a slip of the pen withdraws a service.
//! docs/guide/gitops.md warns of that.

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use serde_json::json;

use super::Flux;
use crate::delivery_fixture::DeliveryFixture;
use crate::gitops::{peers, repository};

/// Applies a contract, then an edit of it that is refused; returns the contract before the edit.
async fn refused_edit(flux: &Flux<'_>, fixture: &DeliveryFixture<'_>, force: bool) -> Contract {
    let contract = fixture.backup_contract("sul", now(), "15m");
    let revision = flux.publish(&repository(fixture, &contract)).await;
    let fields = json!({"wait": true, "timeout": "2m", "force": force});
    flux.apply("all", &fields).await;
    flux.until_ready("all", &revision).await;
    let before = fixture.namespace.read_contract("sul").await.unwrap();
    assert!(before.is("Delivered"), "{:#?}", before.status);
    let mut refused = contract;
    "C 9999".clone_into(&mut refused.spec.customer.id);
    flux.publish(&repository(fixture, &refused)).await;
    before
}

// shows K6
#[tokio::test]
async fn an_edit_that_is_refused_fails_in_flux_and_leaves_the_contract_as_it_is_without_force() {
    let fixture = peers("flux-refused", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    let before = refused_edit(&flux, &fixture, false).await;
    let failed = flux
        .until("all", "Flux fails", |it| it.ready() == "False")
        .await;
    let said = failed.message();
    assert_eq!(failed.reason(), "ReconciliationFailed", "{said}");
    assert!(said.contains("spec.customer.id"), "{said}");
    let after = namespace.read_contract("sul").await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert!(after.is("Delivered"));
    fixture.finish().await;
}

#[tokio::test]
async fn an_edit_that_is_refused_withdraws_the_service_where_flux_has_force() {
    let fixture = peers("flux-force", 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    refused_edit(&flux, &fixture, true).await;
    let gone = namespace.soon("the contract is gone", async || {
        let left = namespace.read_contract("sul").await;
        left.is_none().then_some(())
    });
    gone.await.unwrap();
    assert!(fixture.broker.instances().is_empty());
    let failed = flux
        .until("all", "Flux fails", |it| it.ready() == "False")
        .await;
    assert!(failed.message().contains("spec.customer.id"));
}
