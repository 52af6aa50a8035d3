//! A device that calls: its twin is made, written and read through the API server, whoever writes in
//! between. What is asked for and what proves it is shown by the tests of the domain.

use entente_crds::v1alpha1::{
    DeviceTwin, DeviceTwinStatus, ReportedSetting, SetBy, TwinRegistration, TwinReported,
};
use http::Method;

use super::*;

/// Starts as [`prepared`] does, with a device that calls.
pub(super) fn calling() -> InProcess {
    let process = prepared();
    process.cluster.apply(&example::gateway());
    objects::edit_device(&process, |device| {
        device.spec.address = None;
        device.spec.connections[0].name = "gateway".to_owned();
    });
    process
}

pub(super) fn twin(process: &InProcess) -> DeviceTwin {
    let found = process.cluster.get(NAMESPACE, DEVICE);
    found.expect("the twin of the device")
}

/// Writes what the gateway would when the device calls.
pub(super) fn call(process: &InProcess, edit: impl FnOnce(&mut DeviceTwinStatus)) {
    let now = process.clock.now();
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |twin: &mut DeviceTwin| {
            let status = twin.status.get_or_insert_default();
            edit(status);
            status.last_heard = Some(now);
        });
}

pub(super) fn register(process: &InProcess) {
    let device: Device = process.cluster.get(NAMESPACE, DEVICE).expect("a device");
    let at = process.clock.now();
    call(process, |status| {
        status.registration = Some(TwinRegistration {
            at,
            serial_number: device.spec.serial_number.as_str().into(),
            product_name: "Northwind MFP 500".into(),
            ..TwinRegistration::default()
        });
        status.reported = Some(TwinReported {
            version: Some(0),
            ..TwinReported::default()
        });
    });
}

/// The device reports that it has what its twin asks for.
fn report(process: &InProcess) {
    let twin = twin(process);
    let has = twin.spec.settings.iter().map(|wanted| ReportedSetting {
        name: wanted.name.as_str().into(),
        value: wanted.value.as_deref().map(Into::into),
        digest: wanted.digest,
        by: SetBy::Server,
    });
    let reported = TwinReported {
        version: twin.metadata.generation,
        settings: has.collect(),
        ..TwinReported::default()
    };
    call(process, |status| status.reported = Some(reported));
}

pub(super) fn is_asked(process: &InProcess) -> bool {
    let found: Option<DeviceTwin> = process.cluster.get(NAMESPACE, DEVICE);
    found.is_some_and(|twin| twin.spec.settings.len() == 3)
}

// shows B3 B6 D1 C2
#[tokio::test(start_paused = true)]
async fn a_device_that_calls_is_set_up_by_its_twin_before_the_server_is() {
    let mut process = calling();
    process.start(delivery).await;
    let has_twin = |process: &InProcess| {
        let twin: Option<DeviceTwin> = process.cluster.get(NAMESPACE, DEVICE);
        twin.is_some()
    };
    process.until("there is a twin", has_twin).await;
    begin(&process);
    let missing = |process: &InProcess| ready(process) == "False(NotRegistered)";
    process.until("it waits for the device", missing).await;
    register(&process);
    process.until("the device is asked", is_asked).await;
    let waits = |process: &InProcess| ready(process) == "False(WaitingForDevice)";
    process.until("it waits for a call", waits).await;
    process.let_pass(Duration::from_mins(30)).await;
    assert_eq!(sent(&process), [], "the server comes after the device");
    report(&process);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), [Operation::Provision, Operation::Update]);
    let twins = |write: &&String| write.contains("devicetwins");
    let writes = process.cluster.writes();
    let writes: Vec<&String> = writes.iter().filter(twins).collect();
    assert_eq!(writes.len(), 2, "made once, and one request: {writes:?}");
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_twin_that_the_gateway_writes_at_once_loses_nothing() {
    let mut process = calling();
    process.start(delivery).await;
    let has_twin = |process: &InProcess| device_says(process, "Online") == "False(NotRegistered)";
    process.until("there is a twin", has_twin).await;
    register(&process);
    // The gateway writes the status each time just before the operator's write of the spec arrives.
    let path = format!("devicetwins/{DEVICE}");
    process
        .cluster
        .refuse(Method::PATCH, &path, (409, "Conflict"), 2);
    begin(&process);
    process.until("the device is asked", is_asked).await;
    report(&process);
    process.until("it is delivered", is_delivered).await;
}

// shows C13 K5
#[tokio::test(start_paused = true)]
async fn a_twin_that_cannot_be_written_is_said_and_tried_again() {
    let mut process = calling();
    process.start(delivery).await;
    let has_twin = |process: &InProcess| device_says(process, "Online") == "False(NotRegistered)";
    process.until("there is a twin", has_twin).await;
    register(&process);
    let path = format!("devicetwins/{DEVICE}");
    process
        .cluster
        .refuse(Method::PATCH, &path, (500, "InternalError"), 3);
    begin(&process);
    let says_so = |process: &InProcess| {
        let conditions = status(process).conditions;
        let ready = conditions.iter().find(|it| it.type_ == "Ready");
        ready.is_some_and(|it| it.message.contains("could not be written into its twin"))
    };
    process.until("it says so", says_so).await;
    process.until("the device is asked", is_asked).await;
}

// shows C10
#[tokio::test(start_paused = true)]
async fn a_twin_that_a_person_deletes_is_made_again() {
    let mut process = calling();
    process.start(delivery).await;
    let has_twin = |process: &InProcess| device_says(process, "Online") == "False(NotRegistered)";
    process.until("there is a twin", has_twin).await;
    process.cluster.delete::<DeviceTwin>(NAMESPACE, DEVICE);
    let is_back = |process: &InProcess| {
        let found: Option<DeviceTwin> = process.cluster.get(NAMESPACE, DEVICE);
        found.is_some()
    };
    process.until("it is back", is_back).await;
}
