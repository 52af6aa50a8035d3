//! Tests of remote sides that ask for a wait: everybody, whatever a person changes meanwhile.

use entente_crds::{
    ANNOTATION_RECONCILE_AT,
    v1alpha1::{Connection, Device, DeviceModel, SmartService},
};
use entente_domain::remote::FailureKind;
use entente_drivers::fake::{Call, Fault};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

const OTHER_URL: &str = "ipp://10.20.3.2:631/ipp/print";
const OTHER: &str = "banco-sul-2027.backup.branch-01-mfp";

/// Returns the condition Ready of the subscription on the other device.
fn ready_there(process: &InProcess) -> String {
    let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, OTHER);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_broker_that_asks_one_subscription_for_a_wait_is_asked_by_no_other_one_before() {
    let mut process = prepared();
    let device = example::devices()[1].clone();
    let mut other = example::service_subscription();
    other.metadata.name = Some(OTHER.to_owned());
    other.spec.device_ref.name = device.name_any();
    process.cluster.apply::<Device>(&device);
    process.cluster.apply(&other);
    process
        .world
        .put_device(OTHER_URL, fake_device("urn:uuid:2"));
    // It comes to the broker a while after the first one was asked to wait.
    let slow = Duration::from_secs(2);
    process.world.set_latency(Some(OTHER_URL), slow);
    let asks = Fault::Fail {
        kind: FailureKind::Busy,
        retry_after: Some(SignedDuration::from_secs(60)),
        doubtful: false,
    };
    process.world.script(None, Operation::Provision, asks, 1);
    process.start(delivery).await;
    let scheduled = |process: &InProcess| {
        ready(process) == "True(Scheduled)" && ready_there(process) == "True(Scheduled)"
    };
    process.until("both wait for the start", scheduled).await;
    begin(&process);
    let both =
        |process: &InProcess| is_delivered(process) && ready_there(process) == "True(Delivered)";
    process.until("both are delivered", both).await;
    let calls = process.world.ledger();
    let of_broker = |call: &&Call| {
        !matches!(
            call.operation,
            Operation::DeviceObserve | Operation::DeviceApply
        )
    };
    let asked = calls
        .iter()
        .find(|call| call.operation == Operation::Provision)
        .expect("the one that was asked to wait");
    let after = calls
        .iter()
        .filter(of_broker)
        .filter(|call| call.at > asked.at);
    let first = after.map(|call| call.at).min().expect("they went on");
    let pause = first.duration_since(asked.at);
    assert!(pause >= SignedDuration::from_secs(60), "{pause:?}");
    let provisions = calls
        .iter()
        .filter(|call| call.operation == Operation::Provision);
    assert_eq!(provisions.count(), 3);
    // A device is no matter of the broker.
    let devices = calls.iter().filter(|call| !of_broker(call));
    assert!(devices.filter(|call| call.at < first).count() > 2);
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn asking_for_a_minute(kind: FailureKind) -> Fault {
    Fault::Fail {
        kind,
        retry_after: Some(MINUTE),
        doubtful: false,
    }
}

/// Labels everything that the device depends on, and asks for a reconcile, each second.
async fn meddle(process: &InProcess, seconds: i64) {
    let cluster = &process.cluster;
    for second in 0..seconds {
        let text = second.to_string();
        let label = |meta: &mut ObjectMeta| {
            let labels = meta.labels.get_or_insert_default();
            labels.insert("touched".to_owned(), text.clone());
        };
        cluster.edit("", "hq-ipp", |it: &mut Connection| label(&mut it.metadata));
        cluster.edit("", "northwind-services", |it: &mut Connection| {
            label(&mut it.metadata);
        });
        cluster.edit("", "mfp-500", |it: &mut DeviceModel| {
            label(&mut it.metadata);
        });
        cluster.edit("", "data-backup", |it: &mut SmartService| {
            label(&mut it.metadata);
        });
        cluster.edit(NAMESPACE, SUBSCRIPTION, |it: &mut ServiceSubscription| {
            label(&mut it.metadata);
        });
        cluster.edit(NAMESPACE, DEVICE, |it: &mut Device| {
            label(&mut it.metadata);
            let annotations = it.annotations_mut();
            annotations.insert(ANNOTATION_RECONCILE_AT.to_owned(), text.clone());
        });
        process.let_pass(Duration::from_secs(1)).await;
    }
}

/// Returns the time from the first request of a kind to the next one of any of these kinds.
fn pause(process: &InProcess, first: Operation, next: &[Operation]) -> SignedDuration {
    let calls = process.world.ledger();
    let mut calls = calls.iter();
    let first = calls.find(|call| call.operation == first);
    let next = calls.find(|call| next.contains(&call.operation));
    let at = |call: Option<&Call>| call.expect("it was asked").at;
    at(next).duration_since(at(first))
}

// shows K5
#[tokio::test(start_paused = true)]
async fn labels_and_reconcile_at_do_not_make_a_broker_be_asked_before_the_end_of_its_wait() {
    for kind in [FailureKind::Busy, FailureKind::ProtocolError] {
        let process = waiting().await;
        let asks = asking_for_a_minute(kind);
        process.world.script(None, Operation::Provision, asks, 1);
        // Some of it happens while the answer is on its way.
        let slow = Duration::from_secs(3);
        process.world.set_latency(Some(BROKER_URL), slow);
        begin(&process);
        meddle(&process, 90).await;
        let requests = [
            Operation::Provision,
            Operation::InstanceObserve,
            Operation::Update,
        ];
        let pause = pause(&process, Operation::Provision, &requests);
        assert!(pause >= MINUTE, "{kind:?} {pause:?}");
        assert!(pause <= MINUTE + SignedDuration::from_secs(9), "{pause:?}");
        process.until("it is delivered", is_delivered).await;
    }
}

// shows K5
#[tokio::test(start_paused = true)]
async fn labels_and_reconcile_at_do_not_make_an_operation_be_polled_before_the_broker_says() {
    let process = waiting().await;
    process.world.change_server(BROKER_URL, |server| {
        server.poll_after = Some(MINUTE);
    });
    // What happens while its answer is on the way must not lose what it asks for.
    let slow = Duration::from_secs(3);
    process.world.set_latency(Some(BROKER_URL), slow);
    let asynchronous = Fault::Async { polls: 1 };
    process
        .world
        .script(None, Operation::Provision, asynchronous, 1);
    begin(&process);
    meddle(&process, 140).await;
    let calls = process.world.ledger();
    let polls = calls
        .iter()
        .filter(|call| call.operation == Operation::LastOperation);
    assert_eq!(polls.count(), 2);
    let poll = [Operation::LastOperation];
    let first = pause(&process, Operation::Provision, &poll);
    let second = pause(&process, Operation::LastOperation, &poll);
    assert!(first >= MINUTE && second >= MINUTE, "{first:?} {second:?}");
    // The operation is over, and what follows is not held back by its polls.
    process.until("it is delivered", is_delivered).await;
}

// shows K5
#[tokio::test(start_paused = true)]
async fn labels_and_reconcile_at_do_not_make_a_device_be_asked_before_the_end_of_its_wait() {
    for (operation, kind) in [
        (Operation::DeviceObserve, FailureKind::Busy),
        (Operation::DeviceApply, FailureKind::Busy),
        (Operation::DeviceApply, FailureKind::ProtocolError),
    ] {
        let process = waiting().await;
        process.world.clear_ledger();
        let asks = asking_for_a_minute(kind);
        process.world.script(None, operation, asks, 1);
        begin(&process);
        meddle(&process, 80).await;
        let requests = [Operation::DeviceObserve, Operation::DeviceApply];
        let pause = pause(&process, operation, &requests);
        assert!(pause >= MINUTE, "{operation:?} {kind:?} {pause:?}");
        process.until("it is delivered", is_delivered).await;
    }
}

// shows K5
#[tokio::test(start_paused = true)]
async fn a_broker_or_device_at_another_place_is_asked_at_once_whatever_the_former_one_asked_for() {
    let (broker, device) = ("https://another.example", "ipp://10.20.3.2:631/ipp/print");
    for (operation, moves_broker) in [
        (Operation::Provision, true),
        (Operation::DeviceApply, false),
    ] {
        let process = waiting().await;
        let asks = Fault::Fail {
            kind: FailureKind::Busy,
            retry_after: Some(MINUTE * 600),
            doubtful: false,
        };
        process.world.script(None, operation, asks, 1);
        begin(&process);
        let busy = |process: &InProcess| ready(process) == "False(Busy)";
        process.until("it is asked to wait", busy).await;
        if moves_broker {
            process.world.put_server(broker, fake_broker());
            let edit = |it: &mut Connection| {
                it.spec.osb.as_mut().expect("a broker").url = broker.to_owned();
            };
            process.cluster.edit("", "northwind-services", edit);
        } else {
            process.world.put_device(device, fake_device("urn:uuid:1"));
            let edit = |it: &mut Device| it.spec.address = Some("10.20.3.2".to_owned());
            process.cluster.edit(NAMESPACE, DEVICE, edit);
        }
        let since = process.clock.now();
        process.until("it is delivered", is_delivered).await;
        let took = process.clock.now().duration_since(since);
        assert!(took < MINUTE, "{operation:?} {took:?}");
    }
}
