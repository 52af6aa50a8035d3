//! A device whose client was generated from docs/api/gateway.yaml by a program that others wrote: the document
//! alone is enough to build a device by.

use entente_crds::v1alpha1::Device;
use entente_e2e::namespace::now;
use entente_e2e::peers::{GeneratedClient, PeerError};
use serde_json::{Value, json};

use super::fixture::{CallingFixture, TOKEN};
use crate::chart::repository;
use crate::delivery_fixture::contract_is;

const DOCUMENT: &str = "docs/api/gateway.yaml";

#[tokio::test]
async fn openapi_python_client_warns_of_a_document_that_it_cannot_read_in_full() {
    let text = std::fs::read_to_string(repository().join(DOCUMENT)).unwrap();
    let known = "application/merge-patch+json:\n";
    assert!(text.contains(known), "no {known}");
    let spoiled = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(spoiled.path(), text.replace(known, "text/csv:\n")).unwrap();
    let error = GeneratedClient::generate(spoiled.path()).await.unwrap_err();
    let PeerError::Setup { output, .. } = &error else {
        panic!("{error}");
    };
    assert!(output.contains("text/csv"), "{output}");
}

// shows C1 C2 C3 D1
#[tokio::test]
async fn openapi_python_client_makes_a_device_that_registers_and_is_set_up() {
    let document = repository().join(DOCUMENT);
    let client = GeneratedClient::generate(&document).await.unwrap();
    let fixture = CallingFixture::new("generated", "24h").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device("behind", "NW5-0008");
    namespace.apply::<Device>(&device).await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let started = client.start(&fixture.gateway, "NW5-0008", TOKEN);
    let mut device = started.unwrap();
    let active = device.until_active().await;
    active.unwrap_or_else(|error| panic!("{error}"));
    contract_is(namespace, "now", "Delivered").await;
    assert_eq!(fixture.broker.instances().len(), 1);

    let region = json!({"answer": "region", "region": "here", "url": fixture.gateway.url()});
    assert_eq!(device.answers("region"), [region]);
    let registered = device.answers("registered").pop().expect("it has");
    assert_eq!(registered["device"], "behind");
    assert_eq!(registered["namespace"], namespace.name());
    let names = json!(["backup.endpoint", "backup.mode", "backup.weekdays"]);
    let twins = device.answers("twin");
    let asked = |twin: &Value| twin["names"] == names && twin["delta"] == names;
    assert!(twins.iter().any(asked), "{twins:#?}");
    let by_server = |value: &str| json!({"value": value, "by": "Server"});
    let settings = json!({
        "backup.endpoint": by_server("https://backup.northwind.example/v1"),
        "backup.mode": by_server("full"),
        "backup.weekdays": by_server("sun"),
    });
    let reported = device.answers("reported").pop().expect("it has");
    assert_eq!(reported["settings"], settings);
    let services = device.answers("services").pop().expect("a list");
    let service = namespace.named("data-backup");
    assert_eq!(services["states"], json!({service: "Active"}));

    // It is in effect by the report of this client, and by nothing else.
    let twin = fixture.twin("behind").await.expect("the twin");
    let status = twin.status.expect("a status");
    let kept = status.reported.expect("a report");
    assert_eq!(json!(kept.version), reported["version"]);
    let kept = kept.settings.iter().map(|it| {
        let setting = json!({"value": it.value, "by": it.by});
        (it.name.to_string(), setting)
    });
    assert_eq!(Value::Object(kept.collect()), settings);
    let consent = status.registration.and_then(|it| it.consent);
    assert_eq!(json!(consent.map(|it| it.by)), json!("Panel"));
}
