//! Tests of the whole delivery controller against the fake device and broker. The scripts of the
//! domain show its decisions; these show that they are carried out, once, whatever the API server
//! answers.

mod attempts;
mod calling;
mod faults;
mod handovers;
mod machines;
mod objects;
mod orders;
mod outdated;
mod panics;
mod publish;
mod remote_sides;
mod secrets;
mod software;
mod triggers;
mod unwritten;
mod waits;
mod wishes;
mod withdrawal;

use std::{sync::Arc, time::Duration};

use entente_crds::{
    FINALIZER_WITHDRAW, example,
    v1alpha1::{
        Contract, Device, Item, ItemState, PromiseState, Revision, ServiceSubscription,
        ServiceSubscriptionStatus,
    },
};
use entente_domain::remote::Scalar;
use entente_drivers::fake::Operation;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use super::Delivery;
use crate::{
    clock::Clock as _,
    in_process::{InProcess, Parts, broker_login, fake_broker, fake_device, says},
};

const NAMESPACE: &str = example::NAMESPACE;
const DEVICE: &str = example::DEVICES[0];
const SUBSCRIPTION: &str = "banco-sul-2027.backup.lobby-mfp";
const DEVICE_URL: &str = "ipp://10.20.3.1:631/ipp/print";
const BROKER_URL: &str = "https://broker.northwind.example";
const ATTRIBUTES: [&str; 3] = ["nw-backup-endpoint", "nw-backup-weekdays", "nw-backup-mode"];
/// Requests to both sides, in the order of the steps.
const ALL_WRITES: [Operation; 5] = [
    Operation::DeviceApply,
    Operation::DeviceApply,
    Operation::DeviceApply,
    Operation::Provision,
    Operation::Update,
];

fn delivery(parts: Parts) -> Delivery {
    let Parts {
        context,
        objects,
        secrets,
        profiles,
        shutdown,
    } = parts;
    Delivery::new(
        context,
        objects,
        secrets,
        profiles,
        Arc::default(),
        Arc::default(),
        shutdown,
    )
}

fn promised() -> Timestamp {
    example::service_subscription().spec.revisions[0].effective
}

/// Returns the objects and the remote sides of one promise, hours before its start. Nothing runs
/// yet.
fn prepared() -> InProcess {
    let process = InProcess::at("2027-03-31T12:00:00Z");
    process
        .world
        .put_device(DEVICE_URL, fake_device("urn:uuid:1"));
    process.world.put_server(BROKER_URL, fake_broker());
    let cluster = &process.cluster;
    cluster.apply(&broker_login());
    cluster.apply(&example::hq_ipp());
    cluster.apply(&example::in_use(example::northwind_services()));
    cluster.apply(&example::mfp_500());
    cluster.apply(&example::in_use(example::data_backup()));
    cluster.apply(&example::devices()[0]);
    let mut subscription = example::service_subscription();
    subscription.metadata.finalizers = Some(vec![FINALIZER_WITHDRAW.to_owned()]);
    let mut contract = example::banco_sul_2027();
    contract.metadata.uid = Some(subscription.spec.contract.uid.clone());
    cluster.apply(&contract);
    let created = subscription.spec.contract.created;
    cluster.edit(
        NAMESPACE,
        &contract.name_any(),
        |contract: &mut Contract| {
            contract.status.get_or_insert_default().established = Some(created);
        },
    );
    cluster.apply(&subscription);
    process
}

/// Starts as [`prepared`] does, with a controller that has seen everything and waits for the start.
async fn waiting() -> InProcess {
    let mut process = prepared();
    process.start(delivery).await;
    let scheduled = |process: &InProcess| ready(process) == "True(Scheduled)";
    process.until("it waits for the start", scheduled).await;
    process
}

/// Lets the device have no values of its own, so that none is kept before the settings are sent.
fn clear_values(process: &InProcess) {
    let mut device = fake_device("urn:uuid:1");
    device.values.values_mut().for_each(Vec::clear);
    process.world.put_device(DEVICE_URL, device);
}

/// Moves the clock to the start.
fn begin(process: &InProcess) {
    process
        .clock
        .jump(promised().duration_since(process.clock.now()));
}

/// Starts as [`waiting`] does, and returns after everything is delivered.
async fn delivered() -> InProcess {
    let process = waiting().await;
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    process.let_pass(Duration::from_secs(10)).await;
    process
}

fn status(process: &InProcess) -> ServiceSubscriptionStatus {
    let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, SUBSCRIPTION);
    found.and_then(|found| found.status).unwrap_or_default()
}

/// Returns the condition Ready of the subscription.
fn ready(process: &InProcess) -> String {
    says(&status(process).conditions, "Ready")
}

fn is_delivered(process: &InProcess) -> bool {
    ready(process) == "True(Delivered)"
}

/// Returns a condition of the device.
fn device_says(process: &InProcess, type_: &str) -> String {
    let found: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, type_)
}

fn item(process: &InProcess, key: &str) -> Item {
    let items = status(process).items;
    let found = items.iter().find(|item| item.key == key).cloned();
    found.unwrap_or_else(|| panic!("no item {key} in {items:#?}"))
}

/// Returns the requests to remote sides, in order.
fn sent(process: &InProcess) -> Vec<Operation> {
    let calls = process.world.ledger().into_iter();
    calls
        .map(|call| call.operation)
        .filter(|operation| operation.writes())
        .collect()
}

// shows B3 B6 B9 D1 D2 D3
#[tokio::test(start_paused = true)]
async fn at_the_start_both_sides_are_set_in_order_and_proven_by_reading_back() {
    let process = waiting().await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), [], "before the start");
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
    let calls = process.world.ledger();
    let mut operations = calls.iter().map(|call| (call.operation, call.at));
    assert!(operations.all(|(operation, at)| !operation.writes() || at >= promised()));
    let last = |operation: Operation| calls.iter().rposition(|call| call.operation == operation);
    assert!(last(Operation::DeviceApply) < last(Operation::DeviceObserve));
    assert!(last(Operation::DeviceObserve) < last(Operation::Provision));
    assert!(last(Operation::Update) < last(Operation::InstanceObserve));

    let status = status(&process);
    for item in &status.items {
        assert_eq!(item.state, ItemState::Effective, "{item:?}");
        assert!(
            item.last_verified.is_some_and(|at| at >= promised()),
            "{item:?}"
        );
    }
    let promise = &status.promises[0];
    assert_eq!(
        (promise.effective, promise.state),
        (promised(), PromiseState::Kept)
    );
    let proof = status
        .items
        .iter()
        .filter_map(|item| item.last_verified)
        .max();
    assert_eq!(promise.completed, proof);
    assert_eq!(device_says(&process, "SettingsApplied"), "True(Succeeded)");
    let instance = status.server.expect("an instance").instance_id;
    let instance = process
        .world
        .instance(BROKER_URL, &instance)
        .expect("it is there");
    let parameters = json!(instance.parameters);
    assert_eq!(parameters["enabled"], true, "{parameters}");
    assert_eq!(parameters["customer"], "C-4711", "{parameters}");
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn a_new_controller_over_what_is_delivered_sends_nothing_and_writes_nothing() {
    let mut process = delivered().await;
    process.stop().await;
    process.world.clear_ledger();
    process.cluster.forget_requests();
    process.start(delivery).await;
    process.let_pass(Duration::from_mins(10)).await;
    assert_eq!(sent(&process), []);
    assert!(
        process.cluster.writes().is_empty(),
        "{:?}",
        process.cluster.writes()
    );
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn a_new_controller_sends_only_what_the_one_before_had_not_sent() {
    let mut process = waiting().await;
    process.world.remove_server(BROKER_URL);
    begin(&process);
    let unreachable = |process: &InProcess| ready(process) == "False(Unreachable)";
    process.until("the broker is missed", unreachable).await;
    assert_eq!(sent(&process)[..3], ALL_WRITES[..3]);
    process.stop().await;
    process.world.put_server(BROKER_URL, fake_broker());
    process.world.clear_ledger();
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES[3..]);
}

// shows B2 B7
#[tokio::test(start_paused = true)]
async fn a_change_sends_only_what_differs() {
    let process = delivered().await;
    process.world.clear_ledger();
    let instance = status(&process).server.expect("an instance").instance_id;
    let effective = process.clock.now();
    process.cluster.edit(
        NAMESPACE,
        SUBSCRIPTION,
        |found: &mut ServiceSubscription| {
            let mut revision = Revision::clone(&found.spec.revisions[0]);
            revision
                .parameters
                .insert("weekdays".to_owned(), "mon".to_owned());
            revision.effective = effective;
            revision.promised = false;
            found.spec.revisions.push(revision.into());
        },
    );
    let changed = |process: &InProcess| {
        let revision = status(process).revision;
        is_delivered(process) && revision.is_some_and(|it| it.effective == effective)
    };
    process.until("the change is delivered", changed).await;
    assert_eq!(sent(&process), [Operation::DeviceApply, Operation::Update]);
    let device = process.world.device(DEVICE_URL).expect("a device");
    let monday = [Scalar::Text("mon".to_owned())];
    let mut values = device.values.iter();
    let weekdays = values.find(|(place, _)| place.to_string() == ATTRIBUTES[1]);
    assert_eq!(
        weekdays.map(|(_, value)| value.as_slice()),
        Some(&monday[..])
    );
    let kept = status(&process).server.expect("an instance").instance_id;
    assert_eq!(kept, instance);
}

// shows C10
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_deleted_goes_after_its_instance() {
    let process = delivered().await;
    let instance = status(&process).server.expect("an instance").instance_id;
    process.cluster.edit(
        NAMESPACE,
        SUBSCRIPTION,
        |found: &mut ServiceSubscription| {
            found.metadata.finalizers = Some(vec![FINALIZER_WITHDRAW.to_owned()]);
        },
    );
    process
        .cluster
        .delete::<ServiceSubscription>(NAMESPACE, SUBSCRIPTION);
    let gone = |process: &InProcess| process.cluster.names::<ServiceSubscription>().is_empty();
    process.until("it is gone", gone).await;
    assert_eq!(process.world.instance(BROKER_URL, &instance), None);
    assert_eq!(process.world.count(Operation::Deprovision), 1);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_pass_after_the_request_under_way_and_says_what_is_known() {
    let mut process = waiting().await;
    process
        .world
        .set_latency(Some(DEVICE_URL), Duration::from_secs(5));
    begin(&process);
    let first = |process: &InProcess| !sent(process).is_empty();
    process.until("the first setting is under way", first).await;
    process.stop().await;
    assert_eq!(sent(&process), ALL_WRITES[..1]);
    let told = status(&process).items;
    let told = told.iter().filter(|item| item.last_sent.is_some());
    assert_eq!(told.count(), 1);
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}
