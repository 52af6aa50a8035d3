//! The OpenAPI document of the events endpoint, judged by others, and held against the running endpoint.

use std::path::PathBuf;
use std::time::Duration;

use entente_e2e::namespace::now;

use super::sender::Sender;
use crate::chart::repository;
use crate::delivery_fixture::test_namespace;
use crate::openapi::{Schemathesis, spectral_finds_nothing};

fn document() -> PathBuf {
    repository().join("docs/api/contract-events.yaml")
}

#[tokio::test]
async fn spectral_finds_nothing_in_the_document() {
    spectral_finds_nothing(&document(), "sendEvent").await;
}

// shows B2 K4
#[tokio::test]
async fn schemathesis_gets_no_answer_that_the_document_does_not_have() {
    let namespace = test_namespace("schema").await;
    let all = "contracts.entente.dev,contractamendments.entente.dev,contractnotices.entente.dev";
    let sender = Sender::new(&namespace, all).await;
    // That of the document's examples.
    let entry = namespace.entry("backup", "data-backup", &["absent"], "1h");
    let contract = namespace.contract("acme-2027", now() + Duration::from_hours(24), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    // A random contract is not there, and the API server refuses a random spec.
    let settings = format!(
        "[parameters]\n\"path.namespace\" = \"{}\"\n\n\
         [headers]\nAuthorization = \"Bearer {}\"\n\n\
         [checks.positive_data_acceptance]\nexpected-statuses = [200, 201, 404, 409, 422]\n",
        namespace.name(),
        sender.token
    );
    let run = Schemathesis {
        document: &document(),
        url: sender.endpoint.url(),
        certificate: sender.endpoint.certificate(),
        settings,
        flags: &["--phases=examples,coverage,fuzzing", "--max-examples=200"],
        fewest: 300,
    };
    run.run().await;
    // An endpoint that takes nothing would answer as its document says, too.
    let kinds = "contractnotices,contractamendments";
    let taken = sender.kubectl(&["get", kinds, "-o", "name"]).await;
    for kind in ["contractnotice.", "contractamendment."] {
        assert!(taken.contains(kind), "no {kind} in:\n{taken}");
    }
}
