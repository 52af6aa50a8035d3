//! Devices behind a settings distribution server (docs/api/settings.yaml): the document, the driver, and
//! contracts through the running operator. Prism stands between the operator and the server, and judges
//! each request and each answer by the document.

mod conformance;
mod delivery;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use entente_e2e::peers::{Prism, SettingsDevice, SettingsServer};
use serde_json::{Value, json};

use crate::chart::repository;
use crate::openapi::{Schemathesis, spectral_finds_nothing};

const USER: &str = "entente";
const PASSWORD: &str = "right";

fn document() -> PathBuf {
    repository().join("docs/api/settings.yaml")
}

/// Starts a server with a login, and the judge in front of it.
async fn judged_server() -> (SettingsServer, Prism) {
    let server = SettingsServer::start(Some((USER, PASSWORD))).await.unwrap();
    let prism = Prism::start(&document(), &server.url()).await.unwrap();
    (server, prism)
}

/// Fails with what the judge has found, and with its log if it has seen no request.
fn assert_as_documented(prism: &Prism) {
    let verdicts = prism.verdicts();
    assert!(verdicts.is_empty(), "{verdicts:#?}");
    let log = prism.output();
    assert!(log.contains("Forwarding"), "it has judged nothing:\n{log}");
}

/// Number of the devices so far.
static DEVICES: AtomicU32 = AtomicU32::new(1);

/// Returns a device of the example model with the values of a new one, and a UUID of its own: a machine
/// belongs to one Device of the cluster.
fn device(reports: &str, settings: &[(&str, Value)]) -> SettingsDevice {
    let settings = settings.iter();
    SettingsDevice {
        product_name: "Northwind MFP 500".to_owned(),
        uuid: Some(format!(
            "urn:uuid:4509a320-00a0-008f-00b6-{:012x}",
            DEVICES.fetch_add(1, Ordering::Relaxed)
        )),
        reports: reports.to_owned(),
        settings: settings
            .map(|(path, value)| ((*path).to_owned(), value.clone()))
            .collect(),
        ..SettingsDevice::default()
    }
}

/// Returns the settings that the service `parts-life` sets, as a new device has them.
fn factory() -> Vec<(&'static str, Value)> {
    vec![
        ("/settings/alert/enabled", json!(false)),
        ("/settings/alert/threshold", json!(1)),
        ("/settings/alert/unit", json!("none")),
    ]
}

#[tokio::test]
async fn spectral_finds_nothing_in_the_document() {
    spectral_finds_nothing(&document(), "getDevice").await;
}

/// The server of the tests plays the servers of vendors, and has to be one itself.
#[tokio::test]
async fn schemathesis_gets_no_answer_of_the_server_of_the_tests_that_the_document_does_not_have() {
    let server = SettingsServer::start(Some((USER, PASSWORD))).await.unwrap();
    // That of the document's examples.
    let settings = [("/settings/backup/endpoint", json!(""))];
    let device = device("AtOnce", &settings);
    server.put_device("A1B2C3", &device).await.unwrap();
    let settings = format!(
        "[parameters]\n\"path.serialNumber\" = \"A1B2C3\"\n\"header.If-Match\" = '\"0\"'\n\n\
         [headers]\nAuthorization = \"Basic {}\"\n\n\
         [checks.positive_data_acceptance]\nexpected-statuses = [200, 204, 404, 412, 422]\n\n\
         [checks.missing_required_header]\nexpected-statuses = [400, 428]\n",
        // entente:right
        "ZW50ZW50ZTpyaWdodA=="
    );
    let run = Schemathesis {
        document: &document(),
        url: server.url(),
        // It is not asked for one.
        certificate: document(),
        settings,
        flags: &["--phases=examples,coverage,fuzzing", "--max-examples=60"],
        fewest: 100,
    };
    run.run().await;
    let taken = server.changes();
    assert!(
        !taken.is_empty(),
        "a server that takes nothing would pass, too"
    );
}
