//! Tests of a Device whose status cannot be written, so that the machine behind it may be pinned
//! nowhere.

use entente_crds::v1alpha1::Device;
use entente_domain::remote::FailureKind;
use entente_drivers::fake::Fault;
use http::Method;

use super::*;
use crate::{
    cache::Key,
    controller::{Reconcile as _, run_once},
    pass_ids::PassIds,
    queue::Requeue,
};

const DEVICE_STATUS: &str = "devices/lobby-mfp/status";

fn key() -> Key {
    Key::new(NAMESPACE, DEVICE)
}

/// Returns a process in which the start has come, and its machine was never looked at.
fn begun() -> InProcess {
    let process = prepared();
    begin(&process);
    process
}

fn writes(process: &InProcess) -> usize {
    process.world.count(Operation::DeviceApply)
}

/// True if the status of the Device pins the machine that was written to.
fn is_pinned(process: &InProcess) -> bool {
    let device: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
    let identity = device.and_then(|device| device.status?.identity?.id);
    identity.is_some_and(|id| id == "urn:uuid:1")
}

/// Returns the instant at which the machine was proved, as the status has it.
fn pinned_at(process: &InProcess) -> Option<Timestamp> {
    let device: Option<Device> = process.cluster.get(NAMESPACE, DEVICE);
    device?.status?.claim?.since
}

// shows K2 K4
#[tokio::test(start_paused = true)]
async fn another_machine_gets_nothing_written_while_the_one_before_could_not_be_pinned() {
    for refusal in [
        (403, "Forbidden"),
        (422, "Invalid"),
        (500, "InternalError"),
        (409, "Conflict"),
    ] {
        let mut process = begun();
        process
            .cluster
            .refuse(Method::PUT, DEVICE_STATUS, refusal, usize::MAX);
        process.start(delivery).await;
        process.until("it is delivered", is_delivered).await;
        let first = writes(&process);
        let says = |process: &InProcess, reason| ready(process) == format!("False({reason})");
        for (identity, reason) in [
            ("urn:uuid:1", "InternalError"),
            ("urn:uuid:2", "IdentityMismatch"),
        ] {
            let machine = fake_device(identity);
            process.world.put_device(DEVICE_URL, machine);
            let held = |process: &InProcess| says(process, reason);
            process.until("it says why nothing is written", held).await;
            process.let_pass(Duration::from_mins(30)).await;
            assert!(held(&process), "{refusal:?}: it stays so");
            assert_eq!(writes(&process), first, "{refusal:?}: {identity}");
        }
        process.cluster.recover();
        process.until("it is pinned", is_pinned).await;
        process.let_pass(Duration::from_mins(30)).await;
        assert!(says(&process, "IdentityMismatch"), "{refusal:?}");
        assert_eq!(writes(&process), first, "{refusal:?}");
        let before = fake_device("urn:uuid:1");
        process.world.put_device(DEVICE_URL, before);
        process.until("it is delivered again", is_delivered).await;
    }
}

// shows K2 K5
#[tokio::test(start_paused = true)]
async fn work_goes_on_at_once_when_the_status_of_the_device_can_be_written() {
    let mut process = begun();
    let failing = (500, "InternalError");
    process
        .cluster
        .refuse(Method::PUT, DEVICE_STATUS, failing, 5);
    let lost = Fault::Fail {
        kind: FailureKind::TimedOut,
        retry_after: None,
        doubtful: false,
    };
    process
        .world
        .script(Some(DEVICE_URL), Operation::DeviceApply, lost, 1);
    process.start(delivery).await;
    process.until("it is delivered", is_delivered).await;
    let calls = process.world.ledger();
    let applied = calls
        .iter()
        .filter(|it| it.operation == Operation::DeviceApply);
    let applied: Vec<_> = applied.map(|call| call.at).collect();
    let pinned = pinned_at(&process).expect("its status is written");
    assert!(pinned > applied[0], "not with the write that failed");
    assert!(applied[1..].iter().all(|at| *at == pinned), "{applied:?}");
    assert_eq!(applied.len(), 4, "{applied:?}");
    assert_eq!(process.clock.now(), pinned);
}

// shows K4 K5
#[tokio::test(start_paused = true)]
async fn a_failure_to_write_is_known_to_the_next_pass_and_a_conflict_that_is_settled_is_none() {
    let process = begun();
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    let rival = |device: &mut serde_json::Value| {
        device["metadata"]["annotations"]["rival"] = json!("was here");
    };
    process.cluster.overtake(Method::PUT, DEVICE_STATUS, rival);
    let settled = delivery.reconcile(&key()).await;
    assert!(settled.is_ok(), "{settled:?}");
    assert_eq!(delivery.unwritten.of(&key()), None);

    let process = begun();
    let (parts, _trigger) = process.parts().await;
    let delivery = self::delivery(parts);
    process
        .cluster
        .refuse(Method::PUT, DEVICE_STATUS, (500, "InternalError"), 1);
    let failed = delivery.reconcile(&key()).await.expect_err("a failure");
    let known = delivery.unwritten.of(&key()).expect("it is known");
    assert_eq!(known.failure, failed.error.to_string());
    let identity = known.identity.and_then(|identity| identity.id);
    assert_eq!(identity, Some("urn:uuid:1".into()));
    let next = delivery.reconcile(&key()).await.expect("no failure");
    assert_eq!(delivery.unwritten.of(&key()), None);
    assert_eq!(next, Some(Requeue::At(process.clock.now())), "it goes on");
}

// shows K4 K7
#[tokio::test(start_paused = true)]
async fn a_pass_that_ends_in_a_defect_is_one_whose_status_was_not_written() {
    let process = begun();
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    let login = "secrets/northwind-services";
    process.cluster.panic(Method::GET, login, 1);
    run_once(&delivery, &key(), &PassIds::default()).await;
    assert!(delivery.unwritten.of(&key()).is_some());
    run_once(&delivery, &key(), &PassIds::default()).await;
    assert_eq!(delivery.unwritten.of(&key()), None);
}

// shows K5
#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_device_that_is_gone() {
    let process = begun();
    let (parts, _trigger) = process.parts().await;
    let delivery = delivery(parts);
    process
        .cluster
        .refuse(Method::PUT, DEVICE_STATUS, (500, "InternalError"), 1);
    let failed = delivery.reconcile(&key()).await;
    assert!(failed.is_err(), "{failed:?}");
    process.cluster.delete::<Device>(NAMESPACE, DEVICE);
    let is_gone = || delivery.objects.devices.get(&key()).is_none();
    while !is_gone() {
        process.let_pass(Duration::from_millis(1)).await;
    }
    let report = delivery.reconcile(&key()).await;
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(delivery.unwritten.of(&key()), None);
}
