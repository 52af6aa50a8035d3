//! swupdate, which others wrote, behind the real gateway: from a service that needs firmware to its proof.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AgentSoftware, Artifact, Connection, Device, DeviceModel, DeviceTwin, Firmware, ServiceModel,
    SmartService, SoftwareVia,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::operator::OperatorOptions;
use entente_e2e::peers::{APPLICATION, FIRMWARE, Swupdate, SwupdateOptions};
use serde_json::{Value, json};

use super::fixture::{CallingFixture, Credential, TOKEN};
use super::order::{apply_catalogue, delivered_once, reported};
use super::vendor::Vendor;
use crate::delivery_fixture::contract_is;

const SOON: Duration = Duration::from_mins(1);
const DEVICE: &str = "lobby";
const SERIAL_NUMBER: &str = "NW5-0042";

/// Registers the device as its installer does.
async fn register(fixture: &CallingFixture<'_>) -> Credential {
    let registration = json!({
        "serialNumber": SERIAL_NUMBER, "productName": "Northwind MFP 500", "shipDestination": "DE",
        "timeZone": "Europe/Berlin", "capabilities": {"ddi": true},
        "software": [{"part": "firmware", "name": "main", "version": "4.1.0"}],
        "consent": {"by": "Technician", "at": now().to_string(), "textVersion": "2027-01"},
    });
    fixture.register(&registration).await
}

fn version(twin: &DeviceTwin) -> String {
    let reported = twin.status.iter().flat_map(|it| &it.reported);
    let software = reported.flat_map(|it| &it.software);
    software.map(|it| it.version.to_string()).collect()
}

/// Returns a model of which the vendor has firmware 4.2.0.
fn model(namespace: &TestNamespace<'_>, artifact: Artifact) -> DeviceModel {
    let mut model = namespace.model();
    model.spec.firmware = vec![Firmware {
        name: "main".to_owned(),
        version: "4.2.0".to_owned(),
        artifact,
        via: SoftwareVia {
            agent: Some(AgentSoftware {}),
        },
        downgrade: false,
        takes: None,
    }];
    model
}

/// Returns a service that needs that firmware and nothing else.
fn service(namespace: &TestNamespace<'_>) -> SmartService {
    let mut service = namespace.parts();
    service.metadata.name = Some(namespace.named("panel"));
    service.spec.parameters = Vec::new();
    let side = service.spec.device.as_mut().unwrap();
    side.settings = Vec::new();
    side.models = vec![ServiceModel {
        name: namespace.named("mfp-500"),
        minimum_firmware: Some("4.2.0".to_owned()),
        ..ServiceModel::default()
    }];
    service
}

/// Returns the identity of swupdate as that device.
fn identity(fixture: &CallingFixture<'_>, token: &str) -> SwupdateOptions {
    SwupdateOptions {
        server: fixture.gateway.url(),
        authority: Some(fixture.gateway.certificate()),
        tenant: fixture.namespace.name().to_owned(),
        device: DEVICE.to_owned(),
        token: token.to_owned(),
        hardware: "mfp:1.0".to_owned(),
        running: [(FIRMWARE, "4.1.0".to_owned())].into(),
    }
}

/// Waits until swupdate has installed what it was offered since its start.
async fn installs(fixture: &CallingFixture<'_>, swupdate: &Swupdate) {
    let installed = async || swupdate.log().contains("SWUPDATE successful").then_some(());
    let found = fixture
        .namespace
        .within(SOON, "swupdate installs", installed);
    let found = found.await;
    found.unwrap_or_else(|error| panic!("{error}\n{}", swupdate.log()));
}

/// Waits until the device is asked for settings, and returns its twin as the gateway serves it.
async fn settings_are_asked(fixture: &CallingFixture<'_>, credential: &Credential) -> Value {
    let asked = async || {
        let twin = fixture.served_twin(credential).await?;
        let settings = twin["desired"]["settings"].as_object()?;
        (!settings.is_empty()).then_some(twin)
    };
    let what = "the device is asked for settings";
    fixture.namespace.soon(what, asked).await.unwrap()
}

/// Reports the settings of a twin as in effect, as a program of the device does that applied them.
async fn report_settings(fixture: &CallingFixture<'_>, credential: &Credential, twin: &Value) {
    let mut settings = twin["desired"]["settings"].clone();
    for setting in settings.as_object_mut().unwrap().values_mut() {
        setting["by"] = json!("Server");
    }
    fixture.report(credential, twin, &settings).await;
}

/// True if the device was asked for no setting yet, and the service server for nothing.
async fn is_nothing_but_software(fixture: &CallingFixture<'_>) -> bool {
    let twin = fixture.twin(DEVICE).await.unwrap();
    twin.spec.settings.is_empty() && fixture.broker.instances().is_empty()
}

// shows B6 D1
#[tokio::test]
async fn swupdate_registers_by_token_and_firmware_is_effective_only_when_it_reports_it() {
    let fixture = CallingFixture::new("swupdate", "2s").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device(DEVICE, SERIAL_NUMBER);
    namespace.apply::<Device>(&device).await.unwrap();
    let token = register(&fixture).await.token;
    let mut swupdate = Swupdate::start(identity(&fixture, &token)).await.unwrap();

    let vendor = Vendor::start().await;
    let image = swupdate
        .image(FIRMWARE, "4.2.0", "1.0", &vec![7; 300_000])
        .await
        .unwrap();
    let artifact = vendor.publish("mfp-500-4.2.0.swu", &image);
    let files = namespace.file_connection(&vendor.url());
    namespace.apply::<Connection>(&files).await.unwrap();
    let model = model(namespace, artifact);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let service = service(namespace);
    namespace.apply::<SmartService>(&service).await.unwrap();
    let entry = namespace.entry("panel", "panel", &[DEVICE], "1h");
    let contract = namespace.contract("now", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();

    installs(&fixture, &swupdate).await;
    let twin = fixture.twin(DEVICE).await.unwrap();
    assert_eq!(
        version(&twin),
        "4.1.0",
        "it is installed, and does not run yet"
    );
    let contract = namespace.read_contract("now").await.unwrap();
    assert!(
        !contract.is("Delivered"),
        "nothing is effective by feedback"
    );

    swupdate.restart().await.unwrap();
    contract_is(namespace, "now", "Delivered").await;
    let twin = fixture.twin(DEVICE).await.unwrap();
    assert_eq!(version(&twin), "4.2.0");
    let device = namespace.read_device(DEVICE).await.unwrap();
    let identity = device.status.and_then(|it| it.identity).unwrap();
    assert_eq!(
        json!(identity.firmware),
        json!([{"name": "main", "version": "4.2.0"}])
    );
    let log = fixture.gateway.view().log();
    assert!(
        !log.contains(&token) && !log.contains(TOKEN),
        "a token is in the log"
    );
}

// shows B6 D1 K5
#[tokio::test]
async fn swupdate_gets_firmware_and_application_before_settings_with_the_operator_killed_between() {
    let options = OperatorOptions {
        gateway: true,
        ..OperatorOptions::default()
    };
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let view = environment.operator.view();
    let fixture = CallingFixture::on_plane(&environment.plane, view, "swupdate-order", "2s").await;
    let namespace = &fixture.namespace;
    let device = namespace.calling_device(DEVICE, SERIAL_NUMBER);
    namespace.apply::<Device>(&device).await.unwrap();
    let credential = register(&fixture).await;
    fixture.report_nothing(&credential).await;
    let identity = identity(&fixture, &credential.token);
    let mut swupdate = Swupdate::start(identity).await.unwrap();
    let firmware = swupdate
        .image(FIRMWARE, "4.2.0", "1.0", &vec![7; 300_000])
        .await;
    let application = swupdate
        .image(APPLICATION, "2.1.0", "1.0", &vec![8; 100_000])
        .await;
    apply_catalogue(&fixture, &firmware.unwrap(), &application.unwrap()).await;
    let contract = fixture.contract("now", DEVICE, now());
    namespace.apply(&contract).await.unwrap();

    installs(&fixture, &swupdate).await;
    environment.operator.kill_hard().await.unwrap();
    assert_eq!(
        swupdate.installed(APPLICATION),
        None,
        "firmware comes first"
    );
    assert!(is_nothing_but_software(&fixture).await);
    swupdate.restart().await.unwrap();
    reported(&fixture, DEVICE, "4.2.0", || swupdate.log()).await;
    environment.operator.restart().await.unwrap();

    installs(&fixture, &swupdate).await;
    environment.operator.kill_hard().await.unwrap();
    assert!(swupdate.installed(APPLICATION).is_some());
    assert!(is_nothing_but_software(&fixture).await);
    swupdate.restart().await.unwrap();
    reported(&fixture, DEVICE, "2.1.0", || swupdate.log()).await;
    environment.operator.restart().await.unwrap();

    let twin = settings_are_asked(&fixture, &credential).await;
    environment.operator.kill_hard().await.unwrap();
    let instances = fixture.broker.instances();
    assert!(instances.is_empty(), "the server waits for the settings");
    report_settings(&fixture, &credential, &twin).await;
    environment.operator.restart().await.unwrap();
    delivered_once(&fixture).await;
}
