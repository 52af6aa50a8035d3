//! Tests of panics: in a driver, in a pass and while a status is written.

use std::time::Duration;

use entente_crds::{
    example,
    v1alpha1::{Device, ItemState, ServiceSubscription},
};
use entente_drivers::fake::{Fault, Operation};
use http::Method;

use super::*;
use crate::{cache::Key, controller::Reconcile as _, status::WriteError};

const SIBLING: &str = "banco-sul-2027.second.lobby-mfp";
const SUBSCRIPTION_STATUS: &str = "servicesubscriptions/banco-sul-2027.backup.lobby-mfp/status";
const OTHER_DEVICE: &str = example::DEVICES[1];
const OTHER_DEVICE_URL: &str = "ipp://10.20.3.2:631/ipp/print";
/// The login of the broker, which a pass over the device reads.
const BROKER_LOGIN: &str = "secrets/northwind-services";

/// Returns the process of [`prepared`], with another device beside it.
fn prepared_two() -> InProcess {
    let process = prepared();
    process.cluster.apply(&example::devices()[1]);
    let other = fake_device("urn:uuid:2");
    process.world.put_device(OTHER_DEVICE_URL, other);
    process
}

/// True if all is well with the other device.
fn other_is_served(process: &InProcess) -> bool {
    let device: Option<Device> = process.cluster.get(NAMESPACE, OTHER_DEVICE);
    let status = device.and_then(|device| device.status).unwrap_or_default();
    says(&status.conditions, "Ready").starts_with("True(")
}

/// Asserts that the subscription says what the guard of the drivers does.
fn is_said_to_be_ours(process: &InProcess, operation: Operation) {
    let conditions = status(process).conditions;
    let ready = conditions.iter().find(|it| it.type_ == "Ready");
    let message = ready.map(|it| it.message.clone()).unwrap_or_default();
    assert!(
        message.contains("a defect of its own"),
        "{operation:?}: {message}"
    );
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_over_a_device_is_a_fault_of_that_device_alone() {
    for operation in [Operation::DeviceObserve, Operation::DeviceApply] {
        let mut process = prepared_two();
        process.start(delivery).await;
        process.until("the other is served", other_is_served).await;
        let at_fault = Some(DEVICE_URL);
        process.world.script(at_fault, operation, Fault::Panic, 1);
        begin(&process);
        let said = |process: &InProcess| ready(process) == "False(ProtocolError)";
        process.until("the panic is said", said).await;
        is_said_to_be_ours(&process, operation);
        assert!(other_is_served(&process), "{operation:?}");
        process.until("it is delivered", is_delivered).await;
    }
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_over_a_broker_loses_nothing_of_the_device() {
    let operations = [
        Operation::Catalog,
        Operation::InstanceObserve,
        Operation::Provision,
        Operation::Update,
        Operation::LastOperation,
    ];
    for operation in operations {
        let process = waiting().await;
        let world = &process.world;
        if operation == Operation::LastOperation {
            let slow = Fault::Async { polls: 1 };
            world.script(None, Operation::Provision, slow, 1);
        }
        world.script(Some(BROKER_URL), operation, Fault::Panic, 1);
        begin(&process);
        let said = |process: &InProcess| ready(process) == "False(ProtocolError)";
        process.until("the panic is said", said).await;
        is_said_to_be_ours(&process, operation);
        for key in ["DeviceSetting/backup.weekdays", "DeviceSetting/backup.mode"] {
            let state = item(&process, key).state;
            assert_eq!(state, ItemState::Effective, "{operation:?}: {key}");
        }
        process.until("it is delivered", is_delivered).await;
        let server = process.world.server(BROKER_URL).expect("a broker");
        assert_eq!(server.instances.len(), 1, "{operation:?}");
    }
}

// shows C10 K7
#[tokio::test(start_paused = true)]
async fn a_removal_in_which_a_driver_panics_is_tried_again() {
    let process = delivered().await;
    let panics = Fault::Panic;
    process
        .world
        .script(None, Operation::Deprovision, panics, 1);
    let protected = |found: &mut ServiceSubscription| {
        let finalizer = entente_crds::FINALIZER_WITHDRAW.to_owned();
        found.metadata.finalizers = Some(vec![finalizer]);
    };
    process.cluster.edit(NAMESPACE, SUBSCRIPTION, protected);
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, SUBSCRIPTION);
    let gone = |process: &InProcess| process.cluster.names::<ServiceSubscription>().is_empty();
    process.until("it is gone", gone).await;
    assert_eq!(process.world.count(Operation::Deprovision), 2);
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert!(server.instances.is_empty(), "{:?}", server.instances);
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_is_said_in_status_and_by_an_event_and_the_next_one_delivers() {
    let process = waiting().await;
    process.cluster.panic(Method::GET, BROKER_LOGIN, 1);
    begin(&process);
    let said = |process: &InProcess| {
        ready(process) == "False(InternalError)"
            && device_says(process, "Ready") == "False(InternalError)"
    };
    process.until("the defect is said", said).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(device_says(&process, "Ready"), "True(Succeeded)");
    let events = process.cluster.events();
    for object in [
        "Device lobby-mfp",
        "ServiceSubscription banco-sul-2027.backup.lobby-mfp",
    ] {
        let event = format!("InternalError {object}");
        let told = events.iter().filter(|told| **told == event).count();
        assert_eq!(told, 1, "{event} in {events:?}");
    }
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_panics_again_and_again_touches_no_other_device() {
    let mut process = prepared_two();
    process.cluster.panic(Method::GET, BROKER_LOGIN, usize::MAX);
    process.start(delivery).await;
    let served = |process: &InProcess| {
        other_is_served(process) && device_says(process, "Ready") == "False(InternalError)"
    };
    process
        .until("one is served and the other says why not", served)
        .await;
    process.cluster.forget_requests();
    process.let_pass(Duration::from_mins(10)).await;
    let tried = process.cluster.count(&Method::GET, BROKER_LOGIN);
    assert!((2..=20).contains(&tried), "{tried} tries in ten minutes");
}

/// Returns the subscription of another service on the same device.
fn sibling() -> ServiceSubscription {
    let mut sibling = example::service_subscription();
    sibling.metadata.name = Some(SIBLING.to_owned());
    sibling.metadata.uid = Some("9a1b".to_owned());
    sibling.spec.service_name = "second".to_owned();
    sibling
}

// shows K2 K7
#[tokio::test(start_paused = true)]
async fn a_panic_over_one_status_loses_no_other_and_no_instant() {
    let objects = [SUBSCRIPTION, SIBLING, DEVICE];
    for panicked in objects {
        let process = prepared();
        process.cluster.apply(&sibling());
        let (parts, _trigger) = process.parts().await;
        let delivery = delivery(parts);
        let at = format!("/{panicked}/status");
        process.cluster.panic(Method::PUT, &at, 1);
        let key = Key::new(NAMESPACE, DEVICE);
        let failed = delivery.reconcile(&key).await.expect_err("a failure");
        assert!(
            matches!(failed.error, WriteError::Panicked { .. }),
            "{failed:?}"
        );
        let wake = failed.at.expect("the instants survive");
        assert!(wake <= promised(), "{wake}");
        for name in objects {
            let said = [
                process.cluster.json::<ServiceSubscription>(NAMESPACE, name),
                process.cluster.json::<Device>(NAMESPACE, name),
            ];
            let conditions = said
                .iter()
                .find_map(|it| it["status"]["conditions"].as_array());
            let conditions = conditions.expect("a status is written");
            let is_ours = conditions.iter().any(|it| it["reason"] == "InternalError");
            assert_eq!(is_ours, name == panicked, "{panicked}: {conditions:?}");
        }
    }
}

// shows K5 K7
#[tokio::test(start_paused = true)]
async fn an_instance_over_whose_record_we_panic_is_not_made_and_the_settings_are_sent_once() {
    let mut process = prepared();
    clear_values(&process);
    process
        .cluster
        .panic(Method::PUT, SUBSCRIPTION_STATUS, usize::MAX);
    process.start(delivery).await;
    begin(&process);
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(
        sent(&process),
        ALL_WRITES[..3],
        "settings need no record, and each is sent once"
    );
    process.cluster.recover();
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows K7
#[tokio::test(start_paused = true)]
async fn a_status_that_the_api_server_refuses_is_told_by_an_event_with_its_words() {
    let process = waiting().await;
    let refusal = (422, "Invalid");
    process
        .cluster
        .refuse(Method::PUT, SUBSCRIPTION_STATUS, refusal, 1);
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    let event = format!("InternalError ServiceSubscription {SUBSCRIPTION}");
    let told = |process: &InProcess| process.cluster.events().contains(&event);
    process.until("the refusal is told", told).await;
}
