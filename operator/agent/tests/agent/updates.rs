//! Firmware on a device: fetched, resumed, verified, staged, and in effect after a restart only.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    device::Device,
    gateway::{Artifact, Fault, Gateway},
};

fn offering(change: impl FnOnce(&mut Artifact)) -> Gateway {
    let gateway = Gateway::start();
    let mut artifact = Artifact::new("4.2.0");
    change(&mut artifact);
    gateway.inner().actions.insert(12, artifact);
    gateway
}

fn reported_version(gateway: &Gateway) -> Value {
    gateway.inner().reported["software"][0]["version"].clone()
}

/// Result of the feedback that ended the action.
fn result(gateway: &Gateway) -> Option<Value> {
    let inner = gateway.inner();
    let closed = inner
        .feedback
        .iter()
        .find(|one| one["status"]["execution"] == "closed");
    closed.map(|closed| closed["status"]["result"]["finished"].clone())
}

#[tokio::test]
async fn firmware_that_broke_off_is_resumed_and_runs_after_the_restart_only() {
    let gateway = offering(|_| ());
    gateway.fault(Method::GET, "a.swu", Fault::Cut(120_000));
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is installed", |_, gateway| result(gateway).is_some())
        .await;
    assert_eq!(
        result(&gateway),
        Some(json!("success")),
        "{}",
        device.dump()
    );
    let fetched = gateway.requests(&Method::GET, "a.swu");
    assert_eq!(fetched.len(), 2);
    assert_eq!(fetched[0].header("range"), "");
    let from = fetched[1].header("range").to_owned();
    let from: usize = from["bytes=".len()..]
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!((1..=120_000).contains(&from), "{from}");
    assert_eq!(fetched[1].header("if-range").len(), 66);
    assert!(
        fetched[1]
            .header("authorization")
            .starts_with("TargetToken ")
    );
    assert_eq!(reported_version(&gateway), "4.1.0");
    assert_eq!(
        device.file("software.json")["staged"]["software"][0]["version"],
        "4.2.0"
    );
    // A loss of power between the two is the restart.
    device.kill();
    device.start();
    device
        .until("it is reported", |_, gateway| {
            reported_version(gateway) == "4.2.0"
        })
        .await;
    assert!(gateway.inner().reported["restarted"].is_string());
    assert_eq!(gateway.requests(&Method::GET, "a.swu").len(), 2);
}

#[tokio::test]
async fn a_device_that_restarts_by_itself_reports_what_runs_then() {
    let gateway = offering(|_| ());
    let mut device = Device::new(&gateway).and(&["--restart-takes", "300ms"]);
    device.start();
    let versions = |gateway: &Gateway| -> Vec<Value> {
        let sent = gateway.requests(&Method::PUT, "/configData");
        let versions = sent
            .iter()
            .map(|entry| entry.body["data"]["firmware.main"].clone());
        versions.collect()
    };
    device
        .until("both versions are reported", |_, gateway| {
            versions(gateway) == ["4.1.0", "4.2.0"]
        })
        .await;
    assert_eq!(reported_version(&gateway), "4.2.0");
    assert!(!device.path("artifacts").exists(), "{}", device.dump());
}

#[tokio::test]
async fn a_device_that_lies_reports_success_and_the_old_version() {
    let gateway = offering(|_| ());
    let mut device =
        Device::new(&gateway).and(&["--restart-takes", "100ms", "--lie-about-firmware"]);
    device.start();
    device
        .until("it restarts", |_, gateway| {
            gateway.inner().reported["restarted"].is_string()
        })
        .await;
    assert_eq!(result(&gateway), Some(json!("success")));
    assert_eq!(reported_version(&gateway), "4.1.0");
}

/// An artifact that is not what was announced: its name, the change, the fault, a word of the feedback.
type Odd = (&'static str, fn(&mut Artifact), Option<Fault>, &'static str);

#[tokio::test]
async fn what_is_not_what_was_announced_is_never_installed() {
    let cases: [Odd; 5] = [
        (
            "another hash",
            |one| one.sha256 = Some("0".repeat(64)),
            None,
            "SHA-256",
        ),
        ("another byte", |_| (), Some(Fault::Spoiled), "SHA-256"),
        ("more bytes", |one| one.size = Some(1000), None, "more than"),
        (
            "10 GB",
            |one| one.size = Some(10_000_000_000),
            None,
            "more than",
        ),
        (
            "another host",
            |one| one.link = Some("https://files.example/a.swu".into()),
            None,
            "leads away",
        ),
    ];
    for (name, change, fault, word) in cases {
        let gateway = offering(change);
        if let Some(fault) = fault {
            gateway.fault(Method::GET, "a.swu", fault);
        }
        let mut device = Device::new(&gateway).and(&["--restart-takes", "50ms"]);
        device.start();
        device
            .until(name, |_, gateway| result(gateway).is_some())
            .await;
        assert_eq!(result(&gateway), Some(json!("failure")), "{name}");
        let said = gateway.inner().feedback.last().unwrap()["status"]["details"].to_string();
        assert!(said.contains(word), "{name}: {said}");
        assert_eq!(reported_version(&gateway), "4.1.0", "{name}");
        let left = std::fs::read_dir(device.path("artifacts")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{name}: a part is left");
    }
}

/// Results of the feedback for a cancellation of action 12.
fn cancelled(gateway: &Gateway) -> Option<Value> {
    let inner = gateway.inner();
    let answer = inner.feedback.iter().find(|one| one["id"] == "13")?;
    Some(answer["status"]["result"]["finished"].clone())
}

// eclipse-hawkbit/hawkbit#773: an action was cancelled that the device had never seen.
// eclipse-hawkbit/hawkbit#952: a cancellation was answered so that it stayed for ever.
#[tokio::test]
async fn an_action_that_the_device_never_saw_is_cancelled() {
    let gateway = Gateway::start();
    gateway.inner().cancels = Some(12);
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is answered", |_, gateway| cancelled(gateway).is_some())
        .await;
    assert_eq!(cancelled(&gateway), Some(json!("success")));
    let execution = gateway.inner().feedback[0]["status"]["execution"].clone();
    assert_eq!(execution, "closed");
}

#[tokio::test]
async fn what_waits_for_a_restart_can_be_cancelled_and_does_not_run_then() {
    let gateway = offering(|_| ());
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is installed", |_, gateway| result(gateway).is_some())
        .await;
    gateway.inner().cancels = Some(12);
    device
        .until("it is answered", |_, gateway| cancelled(gateway).is_some())
        .await;
    assert_eq!(cancelled(&gateway), Some(json!("success")));
    device.kill();
    let polls = gateway.requests(&Method::GET, "/lobby-mfp").len();
    device.start();
    device
        .until("it polls", |_, gateway| {
            gateway.requests(&Method::GET, "/lobby-mfp").len() > polls
        })
        .await;
    assert_eq!(reported_version(&gateway), "4.1.0");
    assert_eq!(
        device.file("software.json")["running"][0]["version"],
        "4.1.0"
    );
}

// zephyrproject-rtos/zephyr#71691: a cancellation was granted although the firmware was running.
#[tokio::test]
async fn what_runs_already_is_not_cancelled() {
    let gateway = offering(|_| ());
    let mut device = Device::new(&gateway).and(&["--restart-takes", "50ms"]);
    device.start();
    device
        .until("it runs", |_, gateway| reported_version(gateway) == "4.2.0")
        .await;
    gateway.inner().cancels = Some(12);
    device
        .until("it is answered", |_, gateway| cancelled(gateway).is_some())
        .await;
    assert_eq!(cancelled(&gateway), Some(json!("failure")));
    assert_eq!(reported_version(&gateway), "4.2.0");
}
