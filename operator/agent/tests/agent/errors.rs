//! Errors that the device tells, and the messages that it shows.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    device::Device,
    gateway::{Entry, Fault, Gateway},
};

async fn error(device: &Device, words: &str) -> (Option<i32>, String) {
    let words: Vec<&str> = words.split(' ').collect();
    let done = device.run("error", &words).await;
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code(), said)
}

/// Data of the events that the gateway has, in its order.
fn told(gateway: &Gateway) -> Vec<Value> {
    let inner = gateway.inner();
    let data = inner.taken.iter().map(|event| event["data"].clone());
    data.collect()
}

async fn until_told(device: &Device, number: usize) {
    device
        .until("the gateway has the errors", |device, gateway| {
            gateway.inner().taken.len() >= number
                && device.file("outbox.json")["waiting"] == json!([])
        })
        .await;
}

/// A device that has polled.
async fn running(gateway: &Gateway, flags: &[&str]) -> Device {
    let mut device = Device::new(gateway).and(&["--no-ddi"]).and(flags);
    device.start();
    device.until_it_polls().await;
    device
}

const TONER: &str = "--reason toner-empty --subject black-toner";

// shows A1
#[tokio::test]
async fn an_error_is_told_at_once_without_any_service_and_is_over_when_it_is_cleared() {
    let gateway = Gateway::start();
    let device = running(&gateway, &[]).await;
    let raise = format!("raise {TONER} --request-order --impressions 48213");
    let (code, said) = error(&device, &raise).await;
    assert_eq!(code, Some(0), "{said}");
    until_told(&device, 1).await;
    let raised = json!({"state": "Raised", "reason": "toner-empty", "orderRequested": true,
        "impressions": 48213});
    assert_eq!(told(&gateway), std::slice::from_ref(&raised));
    let event = gateway.inner().taken[0].clone();
    assert_eq!(event["type"], "dev.entente.error");
    assert_eq!(event["subject"], "black-toner");
    let (code, said) = error(&device, &raise).await;
    assert_eq!(
        (code, said.contains("raised already")),
        (Some(5), true),
        "{said}"
    );
    let status = String::from_utf8(device.run("status", &[]).await.stdout).unwrap();
    let row = status.lines().find(|line| line.starts_with("toner-empty"));
    let row = row.unwrap_or_else(|| panic!("{status}"));
    assert!(
        row.contains("black-toner") && row.contains("requested"),
        "{row}"
    );
    let clear = format!("clear {TONER} --replaced");
    assert_eq!(error(&device, &clear).await.0, Some(0));
    until_told(&device, 2).await;
    let cleared = json!({"state": "Cleared", "reason": "toner-empty", "replaced": true});
    assert_eq!(told(&gateway), [raised, cleared]);
    let (code, said) = error(&device, &format!("clear {TONER}")).await;
    assert_eq!(
        (code, said.contains("is not raised")),
        (Some(5), true),
        "{said}"
    );
}

// shows A1 A9
#[tokio::test]
async fn an_error_is_told_once_however_often_the_device_dies_and_the_gateway_fails() {
    let gateway = Gateway::start();
    gateway.fault(Method::POST, "/events", Fault::Lost);
    gateway.fault(Method::POST, "/events", Fault::Hangs);
    let busy = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
    gateway.fault(Method::POST, "/events", busy);
    let mut device = running(&gateway, &[]).await;
    assert_eq!(error(&device, "raise --reason jam").await.0, Some(0));
    device
        .until("the second batch hangs", |_, gateway| {
            gateway.requests(&Method::POST, "/events").len() == 2
        })
        .await;
    device.kill();
    device.start();
    until_told(&device, 1).await;
    let sent = gateway.requests(&Method::POST, "/events");
    let bodies: Vec<&Value> = sent.iter().map(|entry: &Entry| &entry.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(told(&gateway).len(), 1);
    assert_eq!(device.file("outbox.json")["errors"][0]["reason"], "jam");
}

// shows A1
#[tokio::test]
async fn errors_that_a_device_cannot_have_are_refused_with_what_is_allowed() {
    let gateway = Gateway::start();
    let device = Device::new(&gateway);
    let (code, said) = error(&device, "raise --reason jam").await;
    assert_eq!(
        (code, said.contains("not registered")),
        (Some(5), true),
        "{said}"
    );
    let device = running(&gateway, &[]).await;
    for (words, part) in [
        ("raise --reason no/toner", "--reason: found"),
        ("raise --reason -x", "--reason"),
        ("raise --reason jam --subject \u{7}", "--subject: found"),
    ] {
        let (code, said) = error(&device, words).await;
        assert_ne!(code, Some(0), "{words}");
        assert!(said.contains(part), "{words}: {said}");
    }
    let (code, _) = error(&device, "clear --reason jam --replaced").await;
    assert_eq!(code, Some(2), "what is replaced has a name");
}

fn message(id: &str, order: &str) -> Value {
    json!({"id": id, "language": "ja", "text": format!("黒トナーがなくなりました。注文番号 {order}"),
        "short": format!("注文 {order}"), "until": null})
}

fn wants(gateway: &Gateway, messages: &[Value]) {
    gateway.wants(json!({"settings": {}, "messages": messages}));
}

fn reported(gateway: &Gateway, id: &str) -> Value {
    gateway.inner().reported["messages"][id].clone()
}

const ID: &str = "lobby-mfp.toner-empty.black-toner.7";

// shows A7 A8
#[tokio::test]
async fn a_message_stands_on_the_panel_before_it_is_reported_and_is_taken_down_when_it_is_gone() {
    let gateway = Gateway::start();
    let device = running(&gateway, &["--display", "24x1", "--wait", "30s"]).await;
    let registration = &gateway.requests(&Method::POST, "/registrations")[0];
    let display = json!({"columns": 24, "lines": 1});
    assert_eq!(registration.body["capabilities"]["display"], display);
    wants(&gateway, &[message(ID, "PO-88123")]);
    device
        .until("the message is reported", |_, gateway| {
            reported(gateway, ID)["state"] == "Shown"
        })
        .await;
    assert_eq!(reported(&gateway, ID)["text"], "注文 PO-88123");
    let page = &device.file("panel.json")[0];
    assert_eq!(page["lines"], json!(["注文 PO-88123"]));
    let status = String::from_utf8(device.run("status", &[]).await.stdout).unwrap();
    let frame = "┌──────────────────────────┐\n│ 注文 PO-88123            │\n";
    assert!(status.contains(frame), "{status}");
    wants(&gateway, &[]);
    device
        .until("it is taken down", |_, gateway| {
            reported(gateway, ID)["state"] == "Cleared"
        })
        .await;
    assert_eq!(device.file("panel.json"), json!([]));
}

// shows A8
#[tokio::test]
async fn a_message_survives_the_death_of_its_device_and_is_reported_after_it() {
    let gateway = Gateway::start();
    wants(&gateway, &[message(ID, "PO-88123")]);
    gateway.fault(Method::PATCH, "/reported", Fault::Hangs);
    let mut device = Device::new(&gateway).and(&["--no-ddi"]);
    device.start();
    device
        .until("the report hangs", |_, gateway| {
            !gateway.requests(&Method::PATCH, "/reported").is_empty()
        })
        .await;
    device.kill();
    let shown = device.file("panel.json");
    assert_eq!(shown[0]["id"], ID);
    let at = device.file("twin.json")["shown"][ID]["at"].clone();
    // A panel that was lost with the power is there again.
    std::fs::remove_file(device.path("panel.json")).unwrap();
    device.start();
    device
        .until("the message is reported", |_, gateway| {
            reported(gateway, ID)["state"] == "Shown"
        })
        .await;
    assert_eq!(device.file("panel.json"), shown);
    assert_eq!(reported(&gateway, ID)["at"], at);
}

// shows A8
#[tokio::test]
async fn a_device_without_a_display_says_so_and_one_that_ignores_a_message_reports_nothing() {
    for (flag, expected) in [
        (["--display", "none"], json!("Undeliverable")),
        (["--ignore", ID], Value::Null),
    ] {
        let gateway = Gateway::start();
        gateway
            .wants(json!({"settings": {"a": {"value": "1"}}, "messages": [message(ID, "PO-1")]}));
        let device = running(&gateway, &flag).await;
        device
            .until("the version is reported", |_, gateway| {
                gateway.inner().reported["version"] == 2
            })
            .await;
        assert_eq!(reported(&gateway, ID)["state"], expected, "{flag:?}");
        assert_ne!(device.file("panel.json")[0]["id"], ID);
    }
}
