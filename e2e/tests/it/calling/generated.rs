//! A device whose client was generated from docs/api/gateway.yaml by a program that others wrote: the document
//! alone is enough to build a device by.

use entente_crds::v1alpha1::{
    ActivationMode, AgentData, Connection, DataEvent, DataType, DataVia, Device, DeviceModel,
    ErrorType, ErrorWords, ServiceData, SmartService, WantedDataType,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{CloudEventsInbox, GeneratedClient, GeneratedDevice, PeerError};
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

/// Applies a model with a kind of data, and a service that wants it at this inbox and that the device has to
/// ask for.
async fn apply_catalogue(namespace: &TestNamespace<'_>, inbox: &CloudEventsInbox) {
    let connection = namespace.inbox_connection(&inbox.url());
    namespace.apply::<Connection>(&connection).await.unwrap();
    let mut model = namespace.model();
    model.spec.data_types = vec![DataType {
        name: "supplies.level".to_owned(),
        on: vec![DataEvent::Replaced],
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
        ..DataType::default()
    }];
    model.spec.errors = vec![ErrorType {
        r#type: "TonerEmpty".to_owned(),
        words: ErrorWords {
            state_reasons: vec!["toner-empty".to_owned()],
            ..ErrorWords::default()
        },
        ..ErrorType::default()
    }];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut service = namespace.backup();
    service.spec.activation = ActivationMode::ByDevice;
    service.spec.data = Some(ServiceData {
        connection_ref: namespace.reference("inbox"),
        path: "/v1/events".to_owned(),
    });
    let side = service.spec.device.as_mut().expect("a device side");
    side.data_types = vec![WantedDataType {
        name: "supplies.level".to_owned(),
        period: Some("6h".into()),
    }];
    namespace.apply::<SmartService>(&service).await.unwrap();
}

/// Fails unless the device was told to begin with the kind of data, and was answered that its service is on.
fn asked_to_be_activated(device: &GeneratedDevice, fixture: &CallingFixture<'_>) {
    let twins = device.answers("twin");
    let kind = json!({"name": "supplies.level", "on": ["Replaced"], "period": "PT6H"});
    let begins = json!(["supplies.level"]);
    let is_told = |twin: &Value| twin["kinds"] == json!([kind]) && twin["begins"] == begins;
    assert!(twins.iter().any(is_told), "{twins:#?}");
    let answer = device.answers("activation").pop().expect("it has asked");
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1);
    assert_eq!(answer["provider"]["reference"], instances[0].id);
    assert_eq!(answer["state"], "Active");
    assert_eq!(
        answer["service"],
        fixture.namespace.named("data-backup").as_str()
    );
}

/// Fails unless the batch of the device was taken, and is at the inbox of the provider as the SDK of
/// CloudEvents reads it.
async fn has_sent_its_data(device: &mut GeneratedDevice, inbox: &CloudEventsInbox) {
    let sent = device.until_sent().await;
    let sent = sent.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (&sent["accepted"], &sent["refused"]),
        (&json!(1), &json!([]))
    );
    let taken = inbox.taken();
    let ids: Vec<&str> = taken.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(json!(ids), sent["ids"]);
    assert_eq!(taken[0].kind, "dev.entente.supplies.level");
    assert_eq!(taken[0].applicationid.as_deref(), Some("now.backup.behind"));
    assert!(inbox.requests().iter().all(|it| it.faults.is_empty()));
}

// shows A1 C1 C2 C3 C5 C7 C8 C16 D1
#[tokio::test]
async fn openapi_python_client_makes_a_device_that_registers_and_is_set_up() {
    let document = repository().join(DOCUMENT);
    let client = GeneratedClient::generate(&document).await.unwrap();
    let fixture = CallingFixture::new("generated", "24h").await;
    let namespace = &fixture.namespace;
    let inbox = CloudEventsInbox::start().await.unwrap();
    apply_catalogue(namespace, &inbox).await;
    let device = namespace.calling_device("behind", "NW5-0008");
    namespace.apply::<Device>(&device).await.unwrap();
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();
    let started = client.start(&fixture.gateway, "NW5-0008", TOKEN);
    let mut device = started.unwrap();
    let active = device.until_active().await;
    active.unwrap_or_else(|error| panic!("{error}"));
    contract_is(namespace, "now", "Delivered").await;

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
    asked_to_be_activated(&device, &fixture);
    has_sent_its_data(&mut device, &inbox).await;

    // It is in effect by the report of this client, and by nothing else.
    let twin = fixture.twin("behind").await.expect("the twin");
    let status = twin.status.expect("a status");
    let told = device
        .answers("error")
        .pop()
        .expect("it has told of an error");
    assert_eq!(told["accepted"], 1, "{told}");
    let [error] = &status.errors[..] else {
        panic!("{:?}", status.errors);
    };
    assert_eq!(error.key, "toner-empty/black-toner");
    assert!(error.order_requested);
    let kept = status.reported.expect("a report");
    assert_eq!(json!(kept.version), reported["version"]);
    assert_eq!(&*kept.data_types[0].name, "supplies.level");
    let kept = kept.settings.iter().map(|it| {
        let setting = json!({"value": it.value, "by": it.by});
        (it.name.to_string(), setting)
    });
    assert_eq!(Value::Object(kept.collect()), settings);
    let consent = status.registration.and_then(|it| it.consent);
    assert_eq!(json!(consent.map(|it| it.by)), json!("Panel"));
}
