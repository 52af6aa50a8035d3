//! Tests of two Devices behind which there is one machine, and that first look at it at once.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Device, ServiceSubscription};

use super::*;

const SECOND: &str = example::DEVICES[1];
const SECOND_URL: &str = "ipp://10.20.3.2:631/ipp/print";
const SECOND_SUBSCRIPTION: &str = "banco-sul-2027.backup.second";

/// Returns the addresses at which something was written.
fn written(process: &InProcess) -> BTreeSet<String> {
    let calls = process.world.ledger().into_iter();
    let writes = calls.filter(|call| call.operation == Operation::DeviceApply);
    writes.map(|call| call.url).collect()
}

fn second_says(process: &InProcess) -> String {
    let found: Option<ServiceSubscription> = process.cluster.get(NAMESPACE, SECOND_SUBSCRIPTION);
    let status = found.and_then(|found| found.status).unwrap_or_default();
    says(&status.conditions, "Ready")
}

// shows K4
#[tokio::test(start_paused = true)]
async fn of_two_devices_that_first_look_at_one_machine_at_once_only_one_writes_to_it() {
    let mut process = prepared();
    process
        .world
        .put_device(SECOND_URL, fake_device("urn:uuid:1"));
    process.cluster.apply(&example::devices()[1]);
    let mut subscription = example::service_subscription();
    subscription.metadata.name = Some(SECOND_SUBSCRIPTION.to_owned());
    SECOND.clone_into(&mut subscription.spec.device_ref.name);
    process.cluster.apply(&subscription);
    // Both read at the same time, and answer at the same time.
    for url in [DEVICE_URL, SECOND_URL] {
        process.world.set_latency(Some(url), Duration::from_secs(5));
    }
    begin(&process);
    process.start(delivery).await;
    let is_decided = |process: &InProcess| {
        let both = [ready(process), second_says(process)];
        both.contains(&"True(Delivered)".to_owned())
            && both.contains(&"False(AlreadyClaimed)".to_owned())
    };
    process
        .until("one has it, and the other is told", is_decided)
        .await;
    process.let_pass(Duration::from_mins(10)).await;
    assert!(is_decided(&process), "it stays so");
    assert_eq!(written(&process).len(), 1, "{:?}", written(&process));

    // The other gets it when the first one goes.
    let owner = if ready(&process) == "True(Delivered)" {
        DEVICE
    } else {
        SECOND
    };
    process.cluster.delete::<Device>(NAMESPACE, owner);
    let other = |process: &InProcess| {
        let both = [ready(process), second_says(process)];
        both.contains(&"True(Delivered)".to_owned())
            && both.contains(&"False(DeviceNotFound)".to_owned())
    };
    process.until("the other has it", other).await;
}
