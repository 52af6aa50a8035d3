//! Events: sent for services that are on, kept until the gateway has them, and for nobody else.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    device::Device,
    gateway::{Entry, Fault, Gateway, ID},
    services::toner,
};

fn kind(name: &str, on: &[&str]) -> Value {
    json!({"name": name, "on": on, "threshold": 20, "period": "PT24H"})
}

/// A gateway whose device has a service that wants the level of its toner.
fn wanting(state: &str, activation: &str) -> Gateway {
    let gateway = Gateway::start();
    gateway.inner().services = toner(state, activation);
    let kinds = [kind("supplies.level", &["Consumed", "BelowThreshold"])];
    gateway.wants(json!({"settings": {}, "dataTypes": kinds}));
    gateway
}

fn device(gateway: &Gateway) -> Device {
    Device::new(gateway).and(&["--no-ddi"])
}

/// Batches that came, in turn, whether they were answered or not.
fn batches(gateway: &Gateway) -> Vec<Entry> {
    gateway.requests(&Method::POST, "/events")
}

fn ids(batch: &Value) -> Vec<String> {
    let events = batch.as_array().into_iter().flatten();
    let ids = events.map(|event| event["id"].as_str().unwrap_or_default());
    ids.map(String::from).collect()
}

/// Ids of the events that the provider has, in its order.
fn taken(gateway: &Gateway) -> Vec<String> {
    ids(&json!(gateway.inner().taken))
}

/// Returns the number of the start of each event, by its id, from the first one on.
fn starts(ids: &[String]) -> Vec<u64> {
    let number = |id: &String| id.split('-').next()?.parse::<u64>().ok();
    let numbers: Vec<u64> = ids.iter().filter_map(number).collect();
    numbers.iter().map(|number| number - numbers[0]).collect()
}

async fn until_taken(device: &Device, number: usize) {
    device
        .until("the provider has the events", |_, gateway| {
            gateway.inner().taken.len() >= number
        })
        .await;
}

/// Waits until the device knows that everything is taken.
async fn until_empty(device: &Device) {
    device
        .until("the outbox is empty", |device, _| {
            device.file("outbox.json")["waiting"] == json!([])
        })
        .await;
}

async fn until_sent(device: &Device, number: usize) {
    device
        .until("batches are sent", |_, gateway| {
            batches(gateway).len() >= number
        })
        .await;
}

/// Lets something happen, and returns the exit code and what the command said.
async fn happens(device: &Device, arguments: &[&str]) -> (Option<i32>, String) {
    let done = device.run("event", arguments).await;
    let said = String::from_utf8(done.stdout).unwrap();
    (done.status.code(), said)
}

async fn consumed(device: &Device) {
    let (code, said) = happens(device, &["supplies.level", "--on", "Consumed"]).await;
    assert_eq!(code, Some(0), "{said}\n{}", device.dump());
}

/// Cell of a row of `status`, by the beginning of the row and the heading of the column.
async fn cell(device: &Device, row: &str, column: &str) -> String {
    let status = String::from_utf8(device.run("status", &[]).await.stdout).unwrap();
    let mut lines = status.lines();
    let heading = lines.find(|line| line.contains(column)).unwrap_or_default();
    let at = heading.find(column).unwrap_or_else(|| panic!("{status}"));
    let row = lines.find(|line| line.starts_with(row));
    let row = row.unwrap_or_else(|| panic!("{status}"));
    let cell = row[at..].split("   ").next().unwrap_or_default();
    cell.trim().to_owned()
}

// shows C8 C7
#[tokio::test]
async fn data_begin_once_the_service_is_on_and_are_then_sent_on_what_is_asked_for() {
    let gateway = wanting("Inactive", "ByOperator");
    let mut device = device(&gateway);
    device.start();
    device
        .until("the kind is reported", |_, gateway| {
            !gateway.inner().reported["dataTypes"].is_null()
        })
        .await;
    let (code, said) = happens(&device, &["supplies.level", "--on", "Consumed"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("no service that is on wants"), "{said}");
    assert_eq!(batches(&gateway).len(), 0, "{}", device.dump());
    gateway.inner().services = toner("Active", "ByOperator");
    until_taken(&device, 1).await;
    let first = gateway.inner().taken[0].clone();
    assert_eq!(first["type"], "dev.entente.supplies.level");
    assert_eq!(first["source"], format!("urn:uuid:{ID}"));
    assert_eq!(first["subject"], "black-toner");
    // The next poll is a day away: the command itself brings this.
    gateway.inner().poll_next = "PT24H";
    consumed(&device).await;
    until_taken(&device, 2).await;
    assert_eq!(gateway.inner().taken[1]["data"]["cause"], "Consumed");
    let (code, said) = happens(&device, &["supplies.level", "--on", "Replaced"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("not asked for on Replaced"), "{said}");
    let (code, said) = happens(&device, &["counters.total"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("it sends: supplies.level"), "{said}");
    until_empty(&device).await;
    assert_eq!(gateway.inner().taken.len(), 2, "{}", device.dump());
    assert_eq!(cell(&device, "supplies.level", "TAKEN").await, "2");
    assert_eq!(cell(&device, "supplies.level", "WAITING").await, "0");
}

// shows C16
#[tokio::test]
async fn a_batch_is_sent_again_as_it_is_after_a_kill_and_no_id_is_used_twice() {
    let gateway = wanting("Active", "ByOperator");
    gateway.fault(Method::POST, "/events", Fault::Hangs);
    let mut device = device(&gateway);
    device.start();
    until_sent(&device, 1).await;
    // An event of the time in which the batch is under way is not in it.
    consumed(&device).await;
    device.kill();
    consumed(&device).await;
    device.start();
    until_taken(&device, 3).await;
    until_empty(&device).await;
    let sent = batches(&gateway);
    assert_eq!(sent[0].body, sent[1].body, "{}", device.dump());
    assert_eq!(ids(&sent[2].body).len(), 2, "{}", device.dump());
    // The answer came, and the device was killed before it knew.
    device.kill();
    let file = device.path("go");
    gateway.fault(Method::POST, "/events", Fault::Until(file));
    consumed(&device).await;
    device.start();
    until_taken(&device, 4).await;
    device.kill();
    device.start();
    until_sent(&device, 5).await;
    consumed(&device).await;
    until_taken(&device, 5).await;
    let sent = batches(&gateway);
    assert_eq!(sent[3].body, sent[4].body, "{}", device.dump());
    let all = taken(&gateway);
    let first = &all[0];
    assert!(all.iter().skip(1).all(|id| id != first), "{all:?}");
    assert_eq!(starts(&all), [0, 0, 0, 1, 3], "{}", device.dump());
    let order: Vec<Value> = gateway.inner().taken.clone();
    let order: Vec<&str> = order
        .iter()
        .filter_map(|event| event["sequence"].as_str())
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

// shows C16
#[tokio::test]
async fn a_batch_that_is_not_taken_waits_as_long_as_it_has_to_and_settings_do_not() {
    let gateway = wanting("Active", "ByOperator");
    for fault in [
        Fault::problem(503, "ProviderUnavailable", &[("retry-after", "2")]),
        Fault::problem(429, "TooManyRequests", &[("retry-after", "1")]),
        Fault::Lost,
        // A page of something in between is no answer.
        Fault::Answer(200, Vec::new(), "text/html", "<html>".into()),
        Fault::Answer(502, Vec::new(), "text/html", "<html>".into()),
    ] {
        gateway.fault(Method::POST, "/events", fault);
    }
    let mut device = device(&gateway);
    device.start();
    until_sent(&device, 1).await;
    gateway.wants(
        json!({"settings": {"backup.endpoint": {"value": "https://b.example"}},
        "dataTypes": [kind("supplies.level", &["Consumed"])]}),
    );
    device
        .until("the batch waits", |device, _| {
            !device.file("outbox.json")["notBefore"].is_null()
        })
        .await;
    consumed(&device).await;
    until_taken(&device, 2).await;
    let sent = batches(&gateway);
    assert_eq!(sent.len(), 7, "{}", device.dump());
    for again in &sent[1..6] {
        assert_eq!(again.body, sent[0].body, "{}", device.dump());
    }
    for (at, least) in [(0, 2), (1, 1)] {
        let pause = sent[at + 1].at - sent[at].at;
        assert!(pause >= Duration::from_secs(least), "{at}: {pause:?}");
    }
    assert!(device.log().contains("the gateway takes events again"));
    let endpoint = json!("https://b.example");
    assert_eq!(device.file("settings.json")["backup.endpoint"], endpoint);
}

#[tokio::test]
async fn an_event_at_fault_is_dropped_with_its_fault_and_a_refused_one_is_counted() {
    let gateway = wanting("Active", "ByOperator");
    let mut device = device(&gateway);
    device.start();
    until_taken(&device, 1).await;
    until_empty(&device).await;
    device.kill();
    for data in [
        r#"{"level": 3}"#,
        r#"{"poison": true}"#,
        r#"{"odd": true}"#,
        r#"{"level": 2}"#,
    ] {
        let (code, said) = happens(&device, &["supplies.level", "--data", data]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    device.start();
    until_taken(&device, 3).await;
    let levels: Vec<Value> = gateway.inner().taken[1..]
        .iter()
        .map(|event| event["data"]["level"].clone())
        .collect();
    assert_eq!(levels, [3, 2], "{}", device.dump());
    assert_eq!(batches(&gateway).len(), 3, "{}", device.dump());
    assert!(device.log().contains("/1/data"), "{}", device.log());
    until_empty(&device).await;
    let row = "supplies.level";
    assert_eq!(cell(&device, row, "REFUSED").await, "1 RefusedByProvider");
    assert_eq!(cell(&device, row, "DROPPED").await, "1 Invalid");
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_sent_in_parts_and_in_order() {
    let gateway = wanting("Active", "ByOperator");
    gateway.inner().most_events = 2;
    let mut device = device(&gateway);
    device.start();
    until_taken(&device, 1).await;
    until_empty(&device).await;
    device.kill();
    for _ in 0..5 {
        consumed(&device).await;
    }
    device.start();
    until_taken(&device, 6).await;
    let sizes: Vec<usize> = batches(&gateway)
        .iter()
        .map(|batch| ids(&batch.body).len())
        .collect();
    assert_eq!(sizes[..3], [1, 5, 2], "{}", device.dump());
    assert!(taken(&gateway).is_sorted(), "{:?}", taken(&gateway));
}

// shows C15 C8
#[tokio::test]
async fn what_waits_for_a_service_that_is_switched_off_here_is_sent_to_nobody() {
    let gateway = wanting("Active", "ByOperator");
    let busy = Fault::problem(503, "ProviderUnavailable", &[("retry-after", "3600")]);
    gateway.fault(Method::POST, "/events", busy);
    let mut device = device(&gateway);
    device.start();
    device
        .until("the batch waits", |device, _| {
            !device.file("outbox.json")["notBefore"].is_null()
        })
        .await;
    let done = device.run("disable", &["toner", "--by", "Panel"]).await;
    assert!(done.status.success(), "{done:?}");
    until_empty(&device).await;
    assert_eq!(
        cell(&device, "supplies.level", "DROPPED").await,
        "1 SwitchedOff"
    );
    assert!(device.log().contains("dropped, unsent: 1 (SwitchedOff)"));
    let (code, said) = happens(&device, &["supplies.level"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(batches(&gateway).len(), 1, "{}", device.dump());
}

// shows C1
#[tokio::test]
async fn a_withdrawal_empties_the_outbox_and_nothing_more_is_sent() {
    let gateway = wanting("Active", "ByOperator");
    let busy = Fault::problem(503, "ProviderUnavailable", &[("retry-after", "3600")]);
    gateway.fault(Method::POST, "/events", busy);
    let mut device = device(&gateway);
    device.start();
    device
        .until("the batch waits", |device, _| {
            !device.file("outbox.json")["notBefore"].is_null()
        })
        .await;
    let before = batches(&gateway).len();
    let start = device.file("outbox.json")["boot"].as_u64().unwrap();
    assert_ne!(
        start, 1,
        "a device that lost everything would use its ids again"
    );
    device.kill();
    let done = device.run("withdraw", &["--by", "Panel"]).await;
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        said.contains("events that are dropped, unsent: 1"),
        "{said}"
    );
    let outbox = device.file("outbox.json");
    assert_eq!(outbox["waiting"], json!([]), "{outbox}");
    let reasons = &outbox["counts"]["supplies.level"]["dropped"];
    assert_eq!(*reasons, json!({"ConsentWithdrawn": 1}));
    let (code, said) = happens(&device, &["supplies.level"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("consent was withdrawn"), "{said}");
    // Somebody else withdraws what the device was given anew, while it runs.
    device.arguments.push("--consent-again".into());
    device.start();
    until_taken(&device, 1).await;
    let busy = Fault::problem(503, "ProviderUnavailable", &[("retry-after", "3600")]);
    gateway.fault(Method::POST, "/events", busy);
    consumed(&device).await;
    device
        .until("the batch waits", |device, _| {
            !device.file("outbox.json")["notBefore"].is_null()
        })
        .await;
    gateway.inner().withdrawn = true;
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    let outbox = device.file("outbox.json");
    assert_eq!(outbox["waiting"], json!([]), "{outbox}");
    assert_eq!(batches(&gateway).len(), before + 2, "{}", device.dump());
    // The ids of a device that agreed again are new ones.
    assert!(
        taken(&gateway)[0].starts_with(&format!("{}-", start + 1)),
        "{:?}",
        taken(&gateway)
    );
}

// shows C12
#[tokio::test]
async fn the_short_form_has_its_first_data_taken_in_two_round_trips() {
    let gateway = wanting("Inactive", "ByFirstData");
    let mut device = device(&gateway).and(&["--short", "--data-types", "supplies.level"]);
    device.start();
    device.until_it_polls().await;
    device
        .until("the kind is reported", |_, gateway| {
            !gateway.inner().reported["dataTypes"].is_null()
        })
        .await;
    let all: Vec<String> = gateway.inner().ledger[..2]
        .iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    let events = format!("POST /v1/devices/{ID}/events");
    assert_eq!(all, ["POST /v1/registrations".to_owned(), events]);
    assert_eq!(gateway.inner().taken.len(), 1, "{}", device.dump());
    assert!(device.log().contains("is on by its first data"));
    // It goes on as ever: the first data were the first message of the period.
    consumed(&device).await;
    until_taken(&device, 2).await;
    assert_eq!(gateway.inner().taken[1]["data"]["cause"], "Consumed");
}

// shows C12
#[tokio::test]
async fn first_data_that_nobody_wants_are_over_and_begin_anew_once_somebody_does() {
    let gateway = Gateway::start();
    let mut device = device(&gateway).and(&["--short", "--data-types", "supplies.level"]);
    device.start();
    device.until_it_polls().await;
    assert_eq!(
        cell(&device, "supplies.level", "REFUSED").await,
        "1 NotRequested"
    );
    gateway.inner().services = toner("Inactive", "ByFirstData");
    gateway.wants(json!({"settings": {}, "dataTypes": [kind("supplies.level", &["Consumed"])]}));
    until_taken(&device, 1).await;
    device
        .until("the service is on", |device, _| {
            device.file("services.json")[0]["state"] == "Active"
        })
        .await;
}

#[tokio::test]
async fn an_outbox_that_cannot_be_read_is_put_aside_and_no_id_is_used_twice() {
    let gateway = wanting("Active", "ByOperator");
    let mut device = device(&gateway);
    device.start();
    until_taken(&device, 1).await;
    until_empty(&device).await;
    device.kill();
    std::fs::write(device.path("outbox.json"), "{").unwrap();
    device.start();
    until_taken(&device, 2).await;
    assert!(device.log().contains("outbox.json cannot be read"));
    assert!(device.path("outbox.json.unreadable").exists());
    until_empty(&device).await;
    // Somebody deletes it while the device runs.
    std::fs::remove_file(device.path("outbox.json")).unwrap();
    until_taken(&device, 3).await;
    let all = taken(&gateway);
    assert_eq!(starts(&all), [0, 1, 2], "{}", device.dump());
}
