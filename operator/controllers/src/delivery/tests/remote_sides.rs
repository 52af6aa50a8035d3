//! Tests of remote sides that hang, are slow, refuse, or have another identity.

use std::collections::BTreeSet;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Connection, Device, ServerOperationType},
};
use entente_domain::remote::FailureKind;
use entente_drivers::fake::{FakeDevice, Fault};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;

use super::*;

fn second_device_url() -> &'static str {
    "ipp://10.20.3.2:631/ipp/print"
}

/// Returns the subscription of the same entry on a device, in a namespace.
fn subscription_on(device: &str, namespace: &str) -> ServiceSubscription {
    let mut other = example::service_subscription();
    other.metadata.name = Some(format!("banco-sul-2027.backup.{device}"));
    other.metadata.namespace = Some(namespace.to_owned());
    other.spec.device_ref.name = device.to_owned();
    other
}

fn ready_of(process: &InProcess, namespace: &str, name: &str) -> String {
    let found: Option<ServiceSubscription> = process.cluster.get(namespace, name);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

/// Asks for a full look at the device.
fn look_again(process: &InProcess, wish: &str) {
    process
        .cluster
        .edit(NAMESPACE, DEVICE, |device: &mut Device| {
            let key = entente_crds::ANNOTATION_RECONCILE_AT.to_owned();
            device.metadata.annotations = Some([(key, wish.to_owned())].into());
        });
}

fn events(process: &InProcess, reason: &str) -> usize {
    let events = process.cluster.events();
    events.iter().filter(|it| it.starts_with(reason)).count()
}

// shows K5 K7
#[tokio::test(start_paused = true)]
async fn a_device_that_hangs_keeps_no_other_device_waiting() {
    let mut process = prepared();
    process.cluster.apply(&example::devices()[1]);
    let other = subscription_on(example::DEVICES[1], NAMESPACE);
    process.cluster.apply(&other);
    process
        .world
        .put_device(second_device_url(), fake_device("urn:uuid:2"));
    for operation in [Operation::DeviceObserve, Operation::DeviceApply] {
        process
            .world
            .script(Some(DEVICE_URL), operation, Fault::Hang, u32::MAX);
    }
    process.start(delivery).await;
    begin(&process);
    let delivered =
        |process: &InProcess| ready_of(process, NAMESPACE, &other.name_any()) == "True(Delivered)";
    process.until("the other is delivered", delivered).await;
    let took = process.clock.now().duration_since(promised());
    assert!(took < SignedDuration::from_secs(15), "{took:?}");
    let timed_out = |process: &InProcess| ready(process) == "False(TimedOut)";
    process.until("the one that hangs says so", timed_out).await;
    assert_eq!(device_says(&process, "Online"), "False(TimedOut)");
    process.world.clear_faults();
    process.until("it is delivered, too", is_delivered).await;
    assert_eq!(process.world.count(Operation::Provision), 2);
}

// shows K5 K7
#[tokio::test(start_paused = true)]
async fn a_namespace_full_of_devices_that_hang_keeps_no_other_namespace_waiting() {
    const HUNG: usize = 300;
    let mut process = prepared();
    let mut acme = Namespace::default();
    let label = ("kubernetes.io/metadata.name".to_owned(), "acme".to_owned());
    acme.metadata.labels = Some([label].into());
    acme.metadata.name = Some("acme".to_owned());
    process.cluster.apply(&acme);
    process
        .cluster
        .edit("", "hq-ipp", |connection: &mut Connection| {
            let mut entry = connection.spec.allow[0].clone();
            entry.name = "acme".to_owned();
            let labels = &mut entry.namespaces.match_labels;
            labels.insert("kubernetes.io/metadata.name".to_owned(), "acme".to_owned());
            entry.networks = vec!["10.21.0.0/16".to_owned()];
            connection.spec.allow.push(entry);
        });
    for number in 0..HUNG {
        let mut device = example::devices()[1].clone();
        device.metadata.namespace = Some("acme".to_owned());
        device.metadata.name = Some(format!("hung-{number}"));
        let address = format!("10.21.{}.{}", number / 250, number % 250);
        let url = format!("ipp://{address}:631/ipp/print");
        device.spec.address = Some(address);
        process.cluster.apply(&device);
        let operation = Operation::DeviceObserve;
        process
            .world
            .script(Some(&url), operation, Fault::Hang, u32::MAX);
    }
    begin(&process);
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    let took = process.clock.now().duration_since(promised());
    assert!(took < SignedDuration::from_secs(10), "{took:?}");
    let asked = process.world.ledger();
    let hung: BTreeSet<&str> = asked
        .iter()
        .map(|call| call.url.as_str())
        .filter(|url| url.starts_with("ipp://10.21."))
        .collect();
    assert!(hung.len() > 20, "{} of them hang by then", hung.len());
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_its_time_is_said_to_run_and_is_made_once() {
    let process = waiting().await;
    let slow = Fault::Async { polls: 20 };
    process.world.script(None, Operation::Provision, slow, 1);
    begin(&process);
    let runs = |process: &InProcess| ready(process) == "False(OperationRunning)";
    process.until("it is said to run", runs).await;
    let operation = status(&process).server.and_then(|it| it.operation);
    let operation = operation.expect("the operation is kept in status");
    assert_eq!(operation.r#type, ServerOperationType::Provision);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
    assert!(process.world.count(Operation::LastOperation) > 20);
    assert_eq!(
        status(&process).server.and_then(|it| it.operation),
        None,
        "it is over"
    );
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn killed_during_an_operation_of_the_broker_the_next_one_goes_on_asking_for_it() {
    let mut process = waiting().await;
    let slow = Fault::Async { polls: 30 };
    process.world.script(None, Operation::Provision, slow, 1);
    begin(&process);
    let runs = |process: &InProcess| ready(process) == "False(OperationRunning)";
    process.until("it is said to run", runs).await;
    process.kill();
    let before = status(&process).server.expect("an instance");
    process.world.clear_ledger();
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), [Operation::Update], "the activation alone");
    let after = status(&process).server.expect("an instance");
    assert_eq!(after.instance_id, before.instance_id);
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn killed_after_a_provision_and_before_its_status_the_next_one_finds_the_instance() {
    let mut process = waiting().await;
    clear_values(&process);
    begin(&process);
    let recorded = |process: &InProcess| status(process).server.is_some();
    process.until("the instance is recorded", recorded).await;
    let failing = (500, "InternalError");
    let part = format!("{SUBSCRIPTION}/status");
    process
        .cluster
        .refuse(http::Method::PUT, &part, failing, usize::MAX);
    let made = |process: &InProcess| process.world.count(Operation::Provision) == 1;
    process.until("the instance is made", made).await;
    process.let_pass(Duration::from_secs(1)).await;
    process.kill();
    assert_ne!(ready(&process), "True(Delivered)");
    process.cluster.recover();
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(process.world.count(Operation::Provision), 1);
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert_eq!(server.instances.len(), 1);
}

// shows B7 K5
#[tokio::test(start_paused = true)]
async fn killed_after_the_settings_and_before_the_status_the_next_one_sends_none_again() {
    let mut process = waiting().await;
    clear_values(&process);
    process
        .world
        .set_latency(Some(BROKER_URL), Duration::from_secs(2));
    let failing = (500, "InternalError");
    process
        .cluster
        .refuse(http::Method::PUT, SUBSCRIPTION, failing, usize::MAX);
    begin(&process);
    let set = |process: &InProcess| process.world.count(Operation::DeviceApply) == 3;
    process.until("every setting is sent", set).await;
    process.let_pass(Duration::from_millis(100)).await;
    process.kill();
    assert!(
        status(&process)
            .items
            .iter()
            .all(|it| it.last_sent.is_none())
    );
    process.cluster.recover();
    process.world.clear_ledger();
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES[3..]);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn an_operation_that_fails_says_the_brokers_words_and_is_made_anew() {
    let process = waiting().await;
    let fails = Fault::AsyncFails {
        polls: 2,
        message: "no tape is left".to_owned(),
    };
    process.world.script(None, Operation::Provision, fails, 1);
    begin(&process);
    let said = |process: &InProcess| {
        let conditions = status(process).conditions;
        conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.message.contains("no tape is left"))
    };
    process.until("it says why", said).await;
    process.until("it is delivered", is_delivered).await;
    let server = process.world.server(BROKER_URL).expect("a broker");
    assert_eq!(server.instances.len(), 1);
}

// shows D1 K2
#[tokio::test(start_paused = true)]
async fn a_setting_that_is_taken_and_not_in_effect_is_told_once_and_tried_again() {
    let process = waiting().await;
    process.world.change_device(DEVICE_URL, |device| {
        device.ignored.insert(ATTRIBUTES[1].to_owned());
    });
    begin(&process);
    let liar = |process: &InProcess| ready(process) == "False(AcceptedNotEffective)";
    process.until("it is said", liar).await;
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(events(&process, "VerificationMismatch"), 1);
    let tried = process.world.count(Operation::DeviceApply);
    assert!((5..=60).contains(&tried), "{tried} tries in an hour");
    assert_eq!(process.world.count(Operation::Provision), 0, "a later step");
    let cured = |device: &mut FakeDevice| device.ignored.clear();
    process.world.change_device(DEVICE_URL, cured);
    process.until("it is delivered", is_delivered).await;
}

// shows K2 K4
#[tokio::test(start_paused = true)]
async fn another_machine_at_the_address_gets_nothing_until_the_right_one_is_back() {
    let process = waiting().await;
    let right = process.world.device(DEVICE_URL).expect("a device");
    process
        .world
        .put_device(DEVICE_URL, fake_device("urn:uuid:stranger"));
    begin(&process);
    let stranger = |process: &InProcess| ready(process) == "False(IdentityMismatch)";
    process.until("the stranger is seen", stranger).await;
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(sent(&process), []);
    assert_eq!(events(&process, "IdentityMismatch"), 1);
    process.world.put_device(DEVICE_URL, right);
    process.until("it is delivered", is_delivered).await;
    assert_eq!(sent(&process), ALL_WRITES);
}

// shows B7 K4
#[tokio::test(start_paused = true)]
async fn a_machine_that_takes_the_place_of_one_that_was_set_up_is_not_set_up_in_its_stead() {
    let process = delivered().await;
    let right = process.world.device(DEVICE_URL).expect("a device");
    process
        .world
        .put_device(DEVICE_URL, fake_device("urn:uuid:stranger"));
    process.world.clear_ledger();
    look_again(&process, "now");
    let stranger = |process: &InProcess| device_says(process, "Ready") == "False(IdentityMismatch)";
    process.until("the stranger is seen", stranger).await;
    process.let_pass(Duration::from_hours(1)).await;
    process.world.put_device(DEVICE_URL, right);
    let back = |process: &InProcess| device_says(process, "Ready") == "True(Succeeded)";
    process.until("the right one is back", back).await;
    assert_eq!(sent(&process), [], "everything is still set");
}

// shows B7 D1
#[tokio::test(start_paused = true)]
async fn what_somebody_changed_on_the_device_is_seen_at_the_next_look_and_set_back() {
    let process = delivered().await;
    process.world.clear_ledger();
    process.world.change_device(DEVICE_URL, |device| {
        let mut values = device.values.iter_mut();
        let weekdays = values.find(|(place, _)| place.to_string() == ATTRIBUTES[1]);
        *weekdays.expect("a place").1 = vec![Scalar::Text("mon".to_owned())];
    });
    process.let_pass(Duration::from_hours(24)).await;
    assert_eq!(sent(&process), [Operation::DeviceApply]);
    assert_eq!(ready(&process), "True(Delivered)");
    let promise = &status(&process).promises[0];
    assert_eq!(promise.state, PromiseState::Kept, "a kept promise stays so");
}

// shows D2 K5
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_from_the_broker_is_made_again() {
    let process = delivered().await;
    let before = status(&process).server.expect("an instance").instance_id;
    process.world.clear_ledger();
    process
        .world
        .change_server(BROKER_URL, |server| server.instances.clear());
    look_again(&process, "now");
    let made = |process: &InProcess| {
        is_delivered(process) && process.world.count(Operation::Provision) > 0
    };
    process.until("it is made again", made).await;
    assert_eq!(process.world.count(Operation::DeviceApply), 0);
    let server = process.world.server(BROKER_URL).expect("a broker");
    let ids: Vec<&String> = server.instances.keys().collect();
    let after = status(&process).server.expect("an instance").instance_id;
    assert_eq!(ids, [&after]);
    assert_eq!(after, before, "under the id that was recorded");
}

// shows K2 K3 K5
#[tokio::test(start_paused = true)]
async fn a_catalog_that_gives_other_ids_stops_everything_and_is_told_once() {
    let process = delivered().await;
    process.world.clear_ledger();
    let swap = |ids: [&str; 2]| {
        process.world.change_server(BROKER_URL, |server| {
            let offering = &mut server.catalog.offerings[0];
            offering.id = ids[0].to_owned();
            offering.plans[0].id = ids[1].to_owned();
        });
        let now = process.clock.now();
        process
            .cluster
            .edit("", "northwind-services", |broker: &mut Connection| {
                // An edit of the Connection makes its catalog be read anew.
                broker.spec.allow[0].name = format!("banks-{}", now.as_second());
            });
        look_again(&process, ids[0]);
    };
    swap(["another-id", "another-plan"]);
    let changed = |process: &InProcess| ready(process) == "False(OfferingChanged)";
    process.until("it is another offering", changed).await;
    process.let_pass(Duration::from_hours(1)).await;
    assert_eq!(sent(&process), []);
    assert_eq!(events(&process, "OfferingChanged"), 1);
    swap(["data-backup-id", "standard-id"]);
    process.until("it is delivered again", is_delivered).await;
    assert_eq!(sent(&process), []);
}

// shows K2 K3
#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_the_login_is_told_once_and_asked_again() {
    let process = waiting().await;
    let wrong_login = Fault::fail(FailureKind::Unauthorized);
    process
        .world
        .script(None, Operation::Provision, wrong_login, 5);
    begin(&process);
    let is_refused = |process: &InProcess| ready(process) == "False(Unauthorized)";
    process.until("it is refused", is_refused).await;
    process.until("it is delivered", is_delivered).await;
    assert_eq!(events(&process, "CredentialsRejected"), 1);
    assert_eq!(process.world.count(Operation::Provision), 6);
}

// shows K2
#[tokio::test(start_paused = true)]
async fn whatever_a_device_answers_is_the_reason_and_heals_or_waits_for_a_person() {
    for (kind, reason) in [
        (FailureKind::Busy, "False(Busy)"),
        (FailureKind::TimedOut, "False(TimedOut)"),
        (FailureKind::TlsFailed, "False(TlsFailed)"),
        (FailureKind::Unauthorized, "False(Unauthorized)"),
        (FailureKind::ProtocolError, "False(ProtocolError)"),
        (FailureKind::Unreachable, "False(Unreachable)"),
    ] {
        let process = waiting().await;
        process
            .world
            .script(None, Operation::DeviceApply, Fault::fail(kind), 3);
        begin(&process);
        let said = |process: &InProcess| ready(process) == reason;
        process.until(reason, said).await;
        process.until("it is delivered", is_delivered).await;
        assert_eq!(process.world.count(Operation::DeviceApply), 6, "{reason}");
    }
}

// shows B7 K2
#[tokio::test(start_paused = true)]
async fn what_a_device_does_not_support_is_told_and_sent_again_by_the_hour_alone() {
    for (kind, reason) in [
        (FailureKind::Unsupported, Reason::Unsupported),
        (
            FailureKind::RejectedNotSettable,
            Reason::RejectedNotSettable,
        ),
    ] {
        let process = waiting().await;
        process.world.change_device(DEVICE_URL, |device| {
            device.refused.insert(ATTRIBUTES[2].to_owned(), kind);
        });
        begin(&process);
        let wanted = format!("False({})", reason.as_str());
        let said = |process: &InProcess| ready(process) == wanted;
        process.until(&wanted, said).await;
        process.let_pass(Duration::from_mins(50)).await;
        assert_eq!(sent(&process), ALL_WRITES[..3], "{wanted}");
        process.let_pass(Duration::from_hours(2)).await;
        let again = sent(&process).len() - 3;
        assert!((1..=3).contains(&again), "{wanted}: {again}");
        assert_eq!(events(&process, "SettingsRejected"), 1);
        let problem = item(&process, "DeviceSetting/backup.mode").problem;
        assert_eq!(problem.map(|it| it.outcome), Some(reason));
    }
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_device_that_says_when_to_come_again_is_not_asked_before() {
    let process = waiting().await;
    let busy = Fault::Fail {
        kind: FailureKind::Busy,
        retry_after: Some(SignedDuration::from_mins(7)),
        doubtful: false,
    };
    process.world.script(None, Operation::DeviceApply, busy, 1);
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    let calls = process.world.ledger().into_iter();
    let mut tries = calls.filter(|call| call.operation == Operation::DeviceApply);
    let pause = {
        let (first, second) = (tries.next().expect("one"), tries.next().expect("two"));
        second.at.duration_since(first.at)
    };
    assert!(pause >= SignedDuration::from_mins(7), "{pause:?}");
    assert!(pause < SignedDuration::from_mins(8), "{pause:?}");
}

// shows B3 K5
#[tokio::test(start_paused = true)]
async fn a_broker_that_has_another_catalog_by_now_is_asked_for_it_before_the_next_provision() {
    let process = waiting().await;
    let outdated = Fault::fail(FailureKind::CatalogOutdated);
    process
        .world
        .script(None, Operation::Provision, outdated, 1);
    begin(&process);
    process.until("it is delivered", is_delivered).await;
    let calls = process.world.ledger().into_iter();
    let calls = calls.map(|call| call.operation);
    let kinds = [Operation::Catalog, Operation::Provision];
    let calls: Vec<Operation> = calls.filter(|call| kinds.contains(call)).collect();
    let expected = [
        Operation::Provision,
        Operation::Catalog,
        Operation::Provision,
    ];
    assert!(calls.ends_with(&expected), "{calls:?}");
}
