//! The world of a device that calls: its gateway, its enrolment, its model with firmware and
//! applications, the vendor's server, and a device that does everything that its twin asks for.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    ConsentWay, Delay, DeploymentState, DeviceTwin, DeviceTwinStatus, Devices, DriftPolicy,
    MaintenanceWindow, ReportedSetting, ReportedSoftware, SetBy, SoftwarePart, TwinConsent,
    TwinDeployment, TwinDeploymentState, TwinRegistration,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::*;

/// The Device that calls.
const CALLER: &str = "branch-nw5-0007";
/// Ends of fields that name something of the device itself, beside [`OF_REMOTE_SIDES`]: how often it
/// calls is its own matter, too.
pub(super) const OF_CALLERS: &[&str] = &["poll", "missedPolls", "key"];
/// Time between two calls of the device.
const BETWEEN_CALLS: Duration = Duration::from_mins(1);

/// The objects of which a field may be odd.
pub(super) fn objects() -> Vec<(CaseKind, Value)> {
    vec![
        plain(CaseKind::Connection, &example::gateway()),
        plain(CaseKind::Connection, &example::northwind_files()),
        plain(CaseKind::DeviceModel, &example::mfp_510()),
        plain(CaseKind::DeviceModel, &example::mfp_510()),
        plain(CaseKind::SmartService, &example::remote_panel()),
        plain(CaseKind::Device, &device()),
        plain(CaseKind::DeviceEnrollment, &example::enrollment()),
        plain(CaseKind::Contract, &contract()),
    ]
}

fn device() -> Device {
    let mut device = example::calling_device();
    device.metadata.name = Some(CALLER.to_owned());
    device.spec.drift_policy = Some(DriftPolicy::Report);
    device.spec.maintenance_windows = vec![MaintenanceWindow {
        days: Vec::new(),
        start: "23:00".to_owned(),
        duration: "4h".into(),
    }];
    device
}

fn contract() -> Contract {
    let mut contract = example::banco_sul_2027();
    let mut panel = contract.spec.services.pop().expect("two services");
    "panel".clone_into(&mut panel.name);
    panel.service_ref.name = example::remote_panel().name_any();
    panel.parameters.clear();
    panel.devices = Devices {
        names: vec![CALLER.to_owned()],
        ..Devices::default()
    };
    contract.spec.services = vec![panel];
    contract
}

fn token() -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some("banco-sul-enrollment".to_owned());
    secret.metadata.namespace = Some(NAMESPACE.to_owned());
    let label = (entente_crds::LABEL_USE, entente_crds::MAY_BE_USED);
    secret.metadata.labels = Some([(label.0.to_owned(), label.1.to_owned())].into());
    let text = b"a token of more than twenty characters".to_vec();
    secret.data = Some([("token".to_owned(), ByteString(text))].into());
    secret
}

/// Returns the world, two days before the start. Nothing runs yet.
pub(super) fn working() -> InProcess {
    let process = InProcess::at("2027-03-30T03:00:00Z");
    let cluster = &process.cluster;
    cluster.apply(&token());
    cluster.apply(&example::gateway());
    cluster.apply(&example::northwind_files());
    cluster.apply(&example::mfp_510());
    cluster.apply(&example::remote_panel());
    cluster.apply(&device());
    cluster.apply(&example::enrollment());
    cluster.apply(&contract());
    process
}

/// True if a delay is the time until the next call of the device, by which it has what it is asked for. A
/// start that an odd value has moved ahead is late for so long.
pub(super) fn is_a_call(delay: &Delay) -> bool {
    let length = delay.until.map(|until| until.duration_since(delay.from));
    &*delay.reason == Reason::WaitingForDevice.as_str()
        && length.is_some_and(|length| length.unsigned_abs() <= BETWEEN_CALLS)
}

/// Lets time pass in which the device calls.
pub(super) async fn let_pass(process: &InProcess, time: Duration) {
    let calls = time.as_secs() / BETWEEN_CALLS.as_secs();
    for _ in 0..calls {
        process.let_pass(BETWEEN_CALLS).await;
        call(process);
    }
}

/// The device calls: it has everything that its twin asks for, and says so.
fn call(process: &InProcess) {
    let device: Option<Device> = process.cluster.get(NAMESPACE, CALLER);
    let twin: Option<DeviceTwin> = process.cluster.get(NAMESPACE, CALLER);
    let (Some(device), Some(twin)) = (device, twin) else {
        return;
    };
    let now = process.clock.now();
    let mut status = twin.status.clone().unwrap_or_default();
    if status.registration.is_none() {
        status.registration = Some(registration(&device.spec.serial_number, now));
        let reported = status.reported.get_or_insert_default();
        reported.software = vec![software(SoftwarePart::Firmware, "main", "4.1.0")];
    }
    let reported = status.reported.get_or_insert_default();
    reported.version = twin.metadata.generation;
    let settings = twin.spec.settings.iter().map(|wanted| ReportedSetting {
        name: wanted.name.as_str().into(),
        value: wanted.value.as_deref().map(Into::into),
        digest: wanted.digest,
        by: SetBy::Server,
    });
    reported.settings = settings.collect();
    if let Some(asked) = &twin.spec.deployment {
        install(&mut status, asked, now);
    }
    status.last_heard = Some(now);
    process
        .cluster
        .edit(NAMESPACE, CALLER, |twin: &mut DeviceTwin| {
            twin.status = Some(status);
        });
}

fn registration(serial_number: &str, now: Timestamp) -> TwinRegistration {
    TwinRegistration {
        printer_id: Some("7d5d0a4e-0000-4000-8000-000000000007".to_owned()),
        enrollment: example::enrollment().name_any(),
        at: now,
        serial_number: serial_number.into(),
        product_name: "Northwind MFP 510".into(),
        consent: Some(TwinConsent {
            by: ConsentWay::Panel,
            at: now,
            text_version: "1".into(),
            ..TwinConsent::default()
        }),
        ..TwinRegistration::default()
    }
}

fn software(part: SoftwarePart, name: &str, version: &str) -> ReportedSoftware {
    ReportedSoftware {
        part,
        name: name.into(),
        version: version.into(),
    }
}

/// The device installs what it is asked for, starts again, and reports its version.
fn install(status: &mut DeviceTwinStatus, asked: &TwinDeployment, now: Timestamp) {
    let known = status.deployment.as_ref();
    let is_known = known.is_some_and(|known| known.action == asked.action);
    let (Some(part), Some(name), Some(version)) = (asked.part, &asked.name, &asked.version) else {
        return;
    };
    if is_known || asked.until.is_some_and(|until| until <= now) {
        return;
    }
    let reported = status.reported.get_or_insert_default();
    let before = reported.restarted;
    reported
        .software
        .retain(|it| (it.part, &*it.name) != (part, name.as_str()));
    reported.software.push(software(part, name, version));
    reported.restarted = Some(now);
    status.deployment = Some(TwinDeploymentState {
        action: asked.action,
        state: DeploymentState::Installed,
        message: None,
        at: now,
        restarted: before,
        reported: Some(now),
    });
}

// shows B6 C2
#[tokio::test(start_paused = true)]
async fn where_nothing_is_odd_the_device_that_calls_gets_everything() {
    let mut process = working();
    process.start_all();
    let_pass(&process, Duration::from_mins(4)).await;
    jump_to_start(&process);
    let_pass(&process, TO_DELIVER).await;
    let told = conditions(&process);
    assert!(
        contract_says(&process, "Delivered").starts_with("True"),
        "{}",
        told.join("\n")
    );
    process.kill();
}
