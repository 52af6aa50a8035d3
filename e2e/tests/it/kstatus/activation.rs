//! The situations of an activation: each of its legs is missing alone. A leg that somebody has to give is
//! in progress, and one that the device cannot give has failed.

use entente_crds::v1alpha1::{
    ActivationMode, AgentData, DataType, DataVia, Device, DeviceModel, SmartService, WantedDataType,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::now;
use entente_simulators::{Fault, FaultKind};

use super::environment;
use super::situation::{ALLOWED, Situation, with_broker, with_devices};

/// Returns every situation of this file, each with an object and what it says there.
pub(super) async fn all(
    environment: &TestEnvironment,
) -> Vec<(Situation<'_>, &'static str, &'static str)> {
    vec![
        (
            disabled(environment).await,
            "subscription/off.backup.mfp",
            "Activated=False/DisabledLocally",
        ),
        (
            incapable(environment).await,
            "subscription/incapable.backup.mfp",
            "Activated=False/UnsupportedByDevice",
        ),
        (
            unanswered(environment).await,
            "subscription/unanswered.backup.mfp",
            "Activated=False/ProviderPending",
        ),
        (
            unasked(environment).await,
            "subscription/unasked.parts.behind",
            "Activated=False/WaitingForDevice",
        ),
    ]
}

/// Makes a contract of a service that a command has switched off on its device.
async fn disabled(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "off").await;
    let namespace = &situation.namespace;
    let mut device: Device = namespace.read_device("mfp").await.expect("it was applied");
    device.metadata.managed_fields = None;
    device.metadata.resource_version = None;
    device.status = None;
    device.spec.disabled_services = vec![namespace.named("data-backup")];
    namespace.apply(&device).await.unwrap();
    begin(&situation, "off").await;
    situation
}

/// Makes a contract of a service that delivers a supply which the device cannot use.
async fn incapable(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "incapable").await;
    let namespace = &situation.namespace;
    let mut service: SmartService = namespace.backup();
    let side = service.spec.device.as_mut().expect("it has a device side");
    side.supplies = vec!["TN-500K".to_owned()];
    namespace.apply(&service).await.unwrap();
    begin(&situation, "incapable").await;
    situation
}

/// Makes a contract whose service server has everything and does not turn the service on.
async fn unanswered(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "unanswered").await;
    let broker = situation.broker.as_ref().expect("this situation has one");
    let fails = Fault::new(FaultKind::http_500()).on("update");
    broker.set_fault(fails).await.unwrap();
    begin(&situation, "unanswered").await;
    situation
}

async fn begin(situation: &Situation<'_>, contract: &str) {
    let namespace = &situation.namespace;
    let entry = namespace.entry("backup", "data-backup", &["mfp"], ALLOWED);
    let contract = namespace.contract(contract, now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
}

/// Makes a contract of a service that its device has to ask for and to send data for, and a device that
/// has never called.
async fn unasked(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "unasked").await;
    let namespace = &situation.namespace;
    let gateway = namespace.gateway_connection("https://gateway.example", "24h");
    namespace.apply(&gateway).await.unwrap();
    let mut model: DeviceModel = namespace.model();
    model.spec.data_types = vec![DataType {
        name: "supplies.level".to_owned(),
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
        ..DataType::default()
    }];
    namespace.apply(&model).await.unwrap();
    let mut service: SmartService = namespace.parts();
    service.spec.activation = ActivationMode::ByDevice;
    let side = service.spec.device.as_mut().expect("it has a device side");
    side.data_types = vec![WantedDataType {
        name: "supplies.level".to_owned(),
        period: None,
    }];
    namespace.apply(&service).await.unwrap();
    let device = namespace.calling_device("behind", "NW5-0001");
    namespace.apply(&device).await.unwrap();
    let entry = namespace.entry("parts", "parts-life", &["behind"], ALLOWED);
    let contract = namespace.contract("unasked", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    situation
}

// shows C5 C15 K2
#[tokio::test]
async fn a_service_that_is_switched_off_on_its_device_is_in_progress_and_set_up_but_for_that() {
    let situation = disabled(environment().await).await;
    situation
        .shows(&[
            (
                "subscription/off.backup.mfp",
                "Ready=False/DisabledLocally Reconciling=True/ProgressingWithRetry \
                 DeviceConfigured=True/Succeeded ServerConfigured=True/Succeeded \
                 Activated=False/DisabledLocally Delivered=False/DisabledLocally",
                "InProgress",
            ),
            (
                "contract/off",
                "Ready=False/DevicesPending Reconciling=True/Progressing",
                "InProgress",
            ),
            (
                "device/mfp",
                "Ready=False/Progressing Reconciling=True/Progressing \
                 SettingsApplied=True/Succeeded",
                "InProgress",
            ),
        ])
        .await;
}

// shows C5 C14 K2
#[tokio::test]
async fn a_service_that_its_device_cannot_do_has_failed() {
    let situation = incapable(environment().await).await;
    situation
        .shows(&[(
            "subscription/incapable.backup.mfp",
            "Ready=False/UnsupportedByDevice Stalled=True/UnsupportedByDevice \
             DeviceConfigured=True/Succeeded ServerConfigured=True/Succeeded \
             Activated=False/UnsupportedByDevice Delivered=False/UnsupportedByDevice",
            "Failed",
        )])
        .await;
}

// shows C5 C6 K2
#[tokio::test]
async fn a_service_that_its_server_does_not_turn_on_is_in_progress() {
    let situation = unanswered(environment().await).await;
    situation
        .shows(&[(
            "subscription/unanswered.backup.mfp",
            "Ready=False/ProtocolError Reconciling=True/ProgressingWithRetry \
             DeviceConfigured=True/Succeeded ServerConfigured=False/ProtocolError \
             Activated=False/ProviderPending",
            "InProgress",
        )])
        .await;
}

// shows C5 C7 K2
#[tokio::test]
async fn a_service_that_its_device_has_not_asked_for_is_in_progress() {
    let situation = unasked(environment().await).await;
    situation
        .shows(&[(
            "subscription/unasked.parts.behind",
            "Ready=False/NotRegistered Reconciling=True/ProgressingWithRetry \
             DataTypesConfigured=False/Waiting Activated=False/WaitingForDevice",
            "InProgress",
        )])
        .await;
}
