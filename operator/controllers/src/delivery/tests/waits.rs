//! Tests of a broker that asks all who use it for a wait.

use entente_crds::v1alpha1::Device;
use entente_domain::remote::FailureKind;
use entente_drivers::fake::Fault;
use jiff::SignedDuration;

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
    let of_broker = |call: &&entente_drivers::fake::Call| {
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
