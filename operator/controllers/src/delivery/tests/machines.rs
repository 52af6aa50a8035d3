//! Tests of two Devices behind which there is one machine, and that first look at it at once.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Device, ServiceSubscription};

use jiff::SignedDuration;

use super::{objects::edit_device, *};

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

/// Returns a process with a second Device, at another address that leads to the same machine.
fn with_a_second() -> InProcess {
    let process = prepared();
    process
        .world
        .put_device(SECOND_URL, fake_device("urn:uuid:1"));
    process.cluster.apply(&example::devices()[1]);
    let mut subscription = example::service_subscription();
    subscription.metadata.name = Some(SECOND_SUBSCRIPTION.to_owned());
    SECOND.clone_into(&mut subscription.spec.device_ref.name);
    process.cluster.apply(&subscription);
    process
}

// shows K4
#[tokio::test(start_paused = true)]
async fn of_two_devices_that_first_look_at_one_machine_at_once_only_one_writes_to_it() {
    let mut process = with_a_second();
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

// shows K4
#[tokio::test(start_paused = true)]
async fn a_look_that_ends_without_a_claim_leaves_the_machine_to_the_device_that_met_it_meanwhile() {
    type Edit = fn(&InProcess);
    let edits: [(&str, Edit); 2] = [
        ("deleted", |process| {
            process.cluster.delete::<Device>(NAMESPACE, DEVICE);
        }),
        ("moved", |process| {
            edit_device(process, |it| it.spec.address = Some("10.20.3.9".to_owned()));
        }),
    ];
    for (what, edit) in edits {
        let mut process = with_a_second();
        for (url, seconds) in [(DEVICE_URL, 5), (SECOND_URL, 7)] {
            let latency = Duration::from_secs(seconds);
            process.world.set_latency(Some(url), latency);
        }
        begin(&process);
        process.start(delivery).await;
        let is_told = |process: &InProcess| second_says(process) == "False(AlreadyClaimed)";
        process.until("the second is told", is_told).await;
        edit(&process);
        let begun = process.clock.now();
        let has_it = |process: &InProcess| second_says(process) == "True(Delivered)";
        process.until("the second has it", has_it).await;
        let took = process.clock.now().duration_since(begun);
        assert!(took < SignedDuration::from_mins(2), "{what}: {took:?}");
    }
}
