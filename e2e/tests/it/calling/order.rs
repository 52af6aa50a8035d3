//! The controlled order on a device that calls: firmware, applications, settings, service server,
//! activation; with everything that can end killed between two of them.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AgentSoftware, Application, Connection, Device, DeviceModel, Firmware, ServiceApplication,
    SmartService, SoftwareVia,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::operator::OperatorOptions;
use entente_e2e::peers::{Agent, AgentOptions};
use serde_json::json;

use super::fixture::{CallingFixture, TOKEN};
use super::vendor::Vendor;
use crate::delivery_fixture::contract_is;

/// Time within which a device does one thing; it calls every two seconds.
const SOON: Duration = Duration::from_mins(1);

fn by_a_call() -> SoftwareVia {
    SoftwareVia {
        agent: Some(AgentSoftware {}),
    }
}

/// Returns the example model, of which a vendor has firmware and an application.
fn model(
    namespace: &TestNamespace<'_>,
    vendor: &Vendor,
    firmware: &[u8],
    application: &[u8],
) -> DeviceModel {
    let mut model = namespace.model();
    model.spec.firmware = vec![Firmware {
        name: "main".to_owned(),
        version: "4.2.0".to_owned(),
        artifact: vendor.publish("mfp-500-4.2.0.swu", firmware),
        via: by_a_call(),
        downgrade: false,
        takes: None,
    }];
    model.spec.applications = vec![Application {
        name: "panel-agent".to_owned(),
        version: "2.1.0".to_owned(),
        artifact: vendor.publish("panel-agent-2.1.0.swu", application),
        via: by_a_call(),
    }];
    model
}

/// Returns the example service with every step in its usual order.
fn service(namespace: &TestNamespace<'_>) -> SmartService {
    let mut service = namespace.backup();
    service.spec.steps = Vec::new();
    let side = service.spec.device.as_mut().expect("a device side");
    side.models[0].minimum_firmware = Some("4.2.0".to_owned());
    side.models[0].applications = vec![ServiceApplication {
        name: "panel-agent".to_owned(),
        version: "2.1.0".to_owned(),
    }];
    service
}

/// Applies a service that needs firmware and an application of the vendor, whose files these are.
pub(super) async fn apply_catalogue(
    fixture: &CallingFixture<'_>,
    firmware: &[u8],
    application: &[u8],
) {
    let namespace = &fixture.namespace;
    let vendor = Vendor::start().await;
    let files = namespace.file_connection(&vendor.url());
    namespace.apply::<Connection>(&files).await.unwrap();
    let model = model(namespace, &vendor, firmware, application);
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let service = service(namespace);
    namespace.apply::<SmartService>(&service).await.unwrap();
}

/// Applies catalogue and Device, and starts the device with the firmware before.
async fn prepare(fixture: &CallingFixture<'_>) -> Agent {
    let namespace = &fixture.namespace;
    apply_catalogue(fixture, &vec![4; 100_000], &vec![2; 50_000]).await;
    let device = namespace.calling_device("behind", "NW5-0008");
    namespace.apply::<Device>(&device).await.unwrap();
    // Software that was installed runs when the program is started again.
    let mut options = AgentOptions::new("NW5-0008", TOKEN);
    options.flags.retain(|flag| !flag.starts_with("--wait"));
    options
        .flags
        .push("--software=firmware/main=4.1.0".to_owned());
    Agent::start(&fixture.gateway, &options).unwrap()
}

/// Waits until the device said something.
async fn said(fixture: &CallingFixture<'_>, agent: &Agent, words: &str) {
    let found = async || agent.log().contains(words).then_some(());
    let waited = fixture.namespace.within(SOON, words, found).await;
    waited.unwrap_or_else(|error| panic!("{error}\n{}", agent.log()));
}

/// Waits until the gateway has the report of a version.
pub(super) async fn reported(
    fixture: &CallingFixture<'_>,
    device: &str,
    version: &str,
    log: impl Fn() -> String,
) {
    let found = async || {
        let software = fixture.twin(device).await?.status?.reported?.software;
        let mut software = software.iter();
        software.any(|it| &*it.version == version).then_some(())
    };
    let waited = fixture.namespace.within(SOON, version, found).await;
    waited.unwrap_or_else(|error| panic!("{error}\n{}", log()));
}

/// True if neither a setting nor the service server was touched.
fn nothing_but_software(fixture: &CallingFixture<'_>, agent: &Agent) -> bool {
    let settings = agent.file("settings.json");
    let has_none = settings.is_none_or(|it| it == json!({}));
    has_none && fixture.broker.instances().is_empty()
}

/// Waits until the contract is delivered: one instance at the service server, and nothing sent twice.
pub(super) async fn delivered_once(fixture: &CallingFixture<'_>) {
    contract_is(&fixture.namespace, "now", "Delivered").await;
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].parameters["enabled"], json!(true));
    let twice = fixture.namespace.ledger().duplicates();
    assert!(twice.is_empty(), "{twice:?}");
}

// shows B6 D1 K5
#[tokio::test]
async fn a_device_that_calls_gets_everything_in_order_with_the_operator_killed_between_the_steps() {
    let options = OperatorOptions {
        gateway: true,
        ..OperatorOptions::default()
    };
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let view = environment.operator.view();
    let mut fixture = CallingFixture::on_plane(&environment.plane, view, "order", "2s").await;
    let namespace = fixture.namespace.clone();
    let mut agent = prepare(&fixture).await;
    let contract = fixture.contract("now", "behind", now());
    namespace.apply(&contract).await.unwrap();

    let installed = "firmware main 4.2.0 is installed";
    said(&fixture, &agent, installed).await;
    environment.operator.kill_hard().await.unwrap();
    assert!(nothing_but_software(&fixture, &agent), "{}", agent.log());
    assert!(!agent.log().contains("panel-agent"), "{}", agent.log());
    agent.restart().await.unwrap();
    reported(&fixture, "behind", "4.2.0", || agent.log()).await;
    environment.operator.restart().await.unwrap();

    let installed = "application panel-agent 2.1.0 is installed";
    said(&fixture, &agent, installed).await;
    environment.operator.kill_hard().await.unwrap();
    assert!(nothing_but_software(&fixture, &agent), "{}", agent.log());
    agent.restart().await.unwrap();
    reported(&fixture, "behind", "2.1.0", || agent.log()).await;

    // Nobody fetches the settings now: the service server waits for them.
    fixture.gateway.kill_hard().await.unwrap();
    environment.operator.restart().await.unwrap();
    let waits = async || {
        let subscription = namespace.subscription("now", "backup", "behind").await?;
        (subscription.reason("Delivered") == "WaitingForDevice").then_some(())
    };
    let what = "the subscription waits for the device";
    namespace.within(SOON, what, waits).await.unwrap();
    assert!(nothing_but_software(&fixture, &agent), "{}", agent.log());
    environment.operator.kill_hard().await.unwrap();
    fixture.gateway.restart().await.unwrap();
    environment.operator.restart().await.unwrap();

    delivered_once(&fixture).await;
}
