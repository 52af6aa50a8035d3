//! The OpenAPI document of the gateway, judged by others, and held against the running gateway.
//!
//! DDI is left out, since other clients speak it (swupdate, hawkbit), and so is what ends the registration of
//! the device that Schemathesis plays.

use std::path::PathBuf;

use entente_crds::v1alpha1::{ActivationMode, Contract, Device, SmartService};
use entente_e2e::namespace::{TestNamespace, now};
use serde_json::json;
use tempfile::NamedTempFile;

use super::activation::UNLIMITED;
use super::fixture::{CallingFixture, TOKEN};
use crate::chart::repository;
use crate::openapi::{Answers, Schemathesis, spectral_finds_nothing};

/// Name and serial number of the device that Schemathesis plays.
const DEVICE: (&str, &str) = ("behind", "NW5-0009");
/// Name and serial number of the device that registers in an example of the document.
const EXAMPLE: (&str, &str) = ("example", "A1B2C3");
const PRODUCT: &str = "Northwind MFP 500";
/// The id of the service of which the device says something, of the contract `now`.
const APPLICATION: &str = "now.parts.behind";
/// Fewest answers of each kind that shows that an operation was reached behind its checks.
const REACHED: usize = 20;

fn document() -> PathBuf {
    repository().join("docs/api/gateway.yaml")
}

#[tokio::test]
async fn spectral_finds_nothing_in_the_document() {
    spectral_finds_nothing(&document(), "register").await;
}

/// Returns the document with examples that are about this device, and with its source of events: Schemathesis
/// varies each of them, and those of another device would all be refused for that.
fn about(printer: &str) -> NamedTempFile {
    let mut text = std::fs::read_to_string(document()).unwrap();
    let id = format!("example: {printer}");
    let source = format!("pattern: ^urn:uuid:{printer}$");
    for (from, to) in [
        ("example: 0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11", &*id),
        (
            "example: acme-2027.toner.lobby-mfp",
            &format!("example: {APPLICATION}"),
        ),
        (
            "pattern: ^[Uu][Rr][Nn]:[Uu][Uu][Ii][Dd]:[0-9A-Fa-f-]{36}$",
            &source,
        ),
        ("example: '\"13\"'", "example: '*'"),
        ("desiredVersion: 13", "desiredVersion: 1"),
        ("example: wait=60", "example: wait=0"),
        ("example: wait=30", "example: wait=0"),
        ("productName: NW MFP 500", "productName: Northwind MFP 500"),
    ] {
        assert!(text.contains(from), "the document has no `{from}`");
        text = text.replace(from, to);
    }
    let file = NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Returns the settings of a run as one device, with the token of its enrolment and its own: most requests are
/// about this device and hold the gateway for a second at most, some are about another one.
fn settings(printer: &str, token: &str) -> String {
    format!(
        r#"
[dictionaries]
printers = {{values = ["{printer}"]}}
applications = {{values = ["{APPLICATION}"]}}
tags = {{values = ["*"]}}
waits = {{values = ["wait=0", "wait=1"]}}
products = {{values = ["{PRODUCT}"]}}
zones = {{values = ["Asia/Tokyo"]}}

[parameters]
"path.printerId" = {{dictionary = "printers", probability = 0.9}}
"path.applicationId" = {{dictionary = "applications", probability = 0.9}}
"header.If-Match" = {{dictionary = "tags", probability = 0.7}}
"header.If-None-Match" = {{dictionary = "tags", probability = 0.2}}
"header.Prefer" = {{dictionary = "waits", probability = 0.9}}
"body.productName" = {{dictionary = "products", probability = 0.5}}
"body.timeZone" = {{dictionary = "zones", probability = 0.9}}

[auth.openapi.enrolmentToken]
bearer = "{TOKEN}"
[auth.openapi.deviceToken]
bearer = "{token}"

# A random product has no model, a random serial number no Device, and consent may be left out.
[[operations]]
include-operation-id = "register"
checks.positive_data_acceptance.expected-statuses = [201, 202, 403, 409, 422]

# Most random ids are of no service; and words on what the device lacks go with `supported: false` only.
[[operations]]
include-operation-id = "putActivation"
checks.positive_data_acceptance.expected-statuses = [200, 202, 403, 404, 409, 422]

# A random version is none that there was; and a version that there is not is told before a wrong body.
[[operations]]
include-operation-id = "reportTwin"
checks.positive_data_acceptance.expected-statuses = [204, 403, 412, 422]
checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 412, 415, 422]
"#
    )
}

/// Applies a contract of two services, in force: one asks the device for settings, and one for nothing, so
/// that what the device says of it is answered soon whatever else it does.
async fn begin(namespace: &TestNamespace<'_>) {
    let mut parts = namespace.parts();
    parts.spec.activation = ActivationMode::ByDevice;
    parts.spec.parameters.clear();
    let side = parts.spec.device.as_mut().expect("a device side");
    side.settings.clear();
    namespace.apply::<SmartService>(&parts).await.unwrap();
    let entries = vec![
        namespace.entry("backup", "data-backup", &[DEVICE.0], "1h"),
        namespace.entry("parts", "parts-life", &[DEVICE.0], "1h"),
    ];
    let contract = namespace.contract("now", now(), entries);
    namespace.apply::<Contract>(&contract).await.unwrap();
}

// shows C1 C2 C3 C5 C8 K4
#[tokio::test]
async fn schemathesis_gets_no_answer_that_the_document_does_not_have() {
    let fixture = CallingFixture::with_flags("schema", "24h", &UNLIMITED).await;
    let namespace = &fixture.namespace;
    for (name, serial_number) in [DEVICE, EXAMPLE] {
        let device = namespace.calling_device(name, serial_number);
        namespace.apply::<Device>(&device).await.unwrap();
    }
    begin(namespace).await;
    let credential = fixture
        .register(&json!({
            "serialNumber": DEVICE.1, "productName": PRODUCT, "shipDestination": "JP",
            "timeZone": "Asia/Tokyo",
            "consent": {"by": "Panel", "at": now().to_string(), "textVersion": "2027-01"},
        }))
        .await;
    fixture.report_nothing(&credential).await;
    let (printer, token) = (&credential.id, &credential.token);
    let asked = async || {
        let twin = fixture.twin(DEVICE.0).await?;
        (!twin.spec.settings.is_empty()).then_some(())
    };
    let what = "the device is asked for settings";
    namespace.soon(what, asked).await.unwrap();
    let document = about(printer);
    let run = Schemathesis {
        document: document.path(),
        url: fixture.gateway.url(),
        certificate: fixture.gateway.certificate(),
        settings: settings(printer, token),
        flags: &[
            "--exclude-tag=ddi",
            "--exclude-operation-id=withdrawConsent",
            "--exclude-operation-id=renewCredential",
            "--phases=examples,coverage,fuzzing",
            "--max-examples=150",
            "--request-timeout=90",
        ],
        fewest: 1000,
    };
    let answers = run.run().await;
    println!("{}", answers.table());
    is_reached(&answers, &format!("/v1/devices/{printer}"));
    let log = fixture.gateway.view().log();
    assert!(
        !log.contains(token.as_str()) && !log.contains(TOKEN),
        "a token is in the log"
    );
}

/// Fails unless each operation has done its work: to refuse everything would be as the document says, too.
fn is_reached(answers: &Answers, device: &str) {
    let registrations = "/v1/registrations";
    for (method, path, status) in [
        ("GET", "/v1/region", 200),
        ("POST", registrations, 201),
        ("GET", &format!("{device}/services"), 200),
        ("GET", &format!("{device}/services"), 304),
        ("GET", &format!("{device}/twin"), 200),
        ("GET", &format!("{device}/twin"), 304),
        ("PATCH", &format!("{device}/twin/reported"), 204),
        ("PATCH", &format!("{device}/twin/reported"), 422),
        (
            "PUT",
            &format!("{device}/services/{APPLICATION}/activation"),
            200,
        ),
        ("POST", &format!("{device}/events"), 202),
        ("POST", &format!("{device}/events"), 422),
    ] {
        let number = answers.count(method, path, status);
        let what = format!("{method} {path} was answered {number} times with {status}");
        assert!(number >= REACHED, "{what}:\n{}", answers.table());
    }
    // Schemathesis also takes the id of the other service, from the list that it reads.
    for status in [202, 409, 422] {
        let services = ["now.backup.behind", APPLICATION].into_iter();
        let numbers = services.map(|service| {
            let path = format!("{device}/services/{service}/activation");
            answers.count("PUT", &path, status)
        });
        let what = format!("no activation was answered with {status}");
        assert!(numbers.sum::<usize>() > 0, "{what}:\n{}", answers.table());
    }
    let waiting = answers.count("POST", registrations, 202);
    assert!(waiting > 0, "no registration waits:\n{}", answers.table());
}
