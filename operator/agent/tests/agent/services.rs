//! The switch of a service: the gateway is told of each use once, whatever happens in between.

use axum::http::Method;
use serde_json::{Value, json};

use crate::{
    device::Device,
    gateway::{Entry, Fault, Gateway},
};

/// The list of services of a device that has one.
pub(crate) fn toner(state: &str, activation: &str) -> Value {
    json!([{"applicationId": "acme.toner.lobby-mfp",
        "serviceId": "toner", "provider": "Northwind", "description": "Toner is sent in time",
        "appliedOn": "2027-03-01", "from": "2027-04-01T00:00:00Z", "until": null, "state": state,
        "activation": activation, "missing": [],
        "requires": {"supplies": ["TN-500K"], "software": [], "dataTypes": ["supplies.level"]}}])
}

/// Words that came, in turn, whether they were answered or not.
fn sent(gateway: &Gateway) -> Vec<Entry> {
    gateway.requests(&Method::PUT, "/activation")
}

/// Waits for so many polls more.
async fn polls(device: &Device, gateway: &Gateway, more: usize) {
    let count = |gateway: &Gateway| gateway.requests(&Method::GET, "/services").len();
    let begun = count(gateway);
    device
        .until("it polls", |_, gateway| count(gateway) >= begun + more)
        .await;
}

async fn until_told(device: &Device, words: usize) {
    device
        .until("it is told", |device, gateway| {
            sent(gateway).len() >= words && !device.file("services.json")[0]["told"].is_null()
        })
        .await;
}

async fn turns(device: &Device, command: &str, by: &str) {
    let done = device.run(command, &["toner", "--by", by]).await;
    assert!(done.status.success(), "{done:?}");
}

// shows C15
#[tokio::test]
async fn a_use_of_the_switch_is_told_at_once_and_once_over_polls_and_restarts() {
    let gateway = Gateway::start();
    gateway.inner().services = toner("Active", "ByOperator");
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    polls(&device, &gateway, 1).await;
    assert_eq!(sent(&gateway).len(), 0, "nobody has used a switch");
    // The next poll is a day away: only the switch itself brings this.
    gateway.inner().poll_next = "PT24H";
    gateway.inner().sleep = "23:59:59";
    polls(&device, &gateway, 1).await;
    turns(&device, "disable", "Technician").await;
    until_told(&device, 1).await;
    let word = &sent(&gateway)[0];
    assert!(
        word.path
            .ends_with("/services/acme.toner.lobby-mfp/activation")
    );
    assert_eq!(word.body, json!({"active": false, "by": "Technician"}));
    let kept = device.file("services.json")[0].clone();
    assert_eq!(
        (&kept["state"], &kept["told"]["answer"]),
        (&json!("Inactive"), &json!("Inactive"))
    );
    device.kill();
    gateway.inner().poll_next = "PT1S";
    gateway.inner().sleep = "00:00:01";
    device.start();
    polls(&device, &gateway, 2).await;
    assert_eq!(sent(&gateway).len(), 1, "{}", device.dump());
    // It is used while the device is off.
    device.kill();
    turns(&device, "enable", "Panel").await;
    device.start();
    let both = |_: &Device, gateway: &Gateway| sent(gateway).len() == 2;
    device.until("the second use is told", both).await;
    polls(&device, &gateway, 2).await;
    let words: Vec<Value> = sent(&gateway).into_iter().map(|word| word.body).collect();
    assert_eq!(
        words[1..],
        [json!({"active": true, "by": "Panel"})],
        "{}",
        device.dump()
    );
}

// shows C15
#[tokio::test]
async fn a_word_whose_answer_was_lost_is_told_again_even_after_a_crash() {
    let gateway = Gateway::start();
    gateway.inner().services = toner("Active", "ByOperator");
    for fault in [
        Fault::Lost,
        Fault::problem(503, "Unavailable", &[("retry-after", "1")]),
        Fault::Hangs,
    ] {
        gateway.fault(Method::PUT, "/activation", fault);
    }
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    turns(&device, "disable", "Panel").await;
    device
        .until("it is told in vain", |_, gateway| sent(gateway).len() == 3)
        .await;
    assert!(
        device.file("services.json")[0]["told"].is_null(),
        "{}",
        device.dump()
    );
    device.kill();
    device.start();
    until_told(&device, 4).await;
    polls(&device, &gateway, 2).await;
    let words: Vec<Value> = sent(&gateway).into_iter().map(|word| word.body).collect();
    let off = json!({"active": false, "by": "Panel"});
    assert_eq!(
        words,
        [off.clone(), off.clone(), off.clone(), off],
        "{}",
        device.dump()
    );
    let pause = sent(&gateway)[2].at - sent(&gateway)[1].at;
    assert!(pause >= std::time::Duration::from_secs(1), "{pause:?}");
}

// shows C5 C6
#[tokio::test]
async fn a_device_asks_for_a_service_once_for_each_list_and_shows_the_answer() {
    let gateway = Gateway::start();
    gateway.inner().pends = true;
    gateway.inner().services = toner("Scheduled", "ByDevice");
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    polls(&device, &gateway, 1).await;
    assert_eq!(sent(&gateway).len(), 0, "it is not in force");
    gateway.inner().services = toner("Inactive", "ByDevice");
    until_told(&device, 1).await;
    assert_eq!(
        sent(&gateway)[0].body,
        json!({"active": true, "by": "Panel"})
    );
    let kept = &device.file("services.json")[0];
    assert_eq!(kept["told"]["answer"], "Pending (ProviderPending)");
    polls(&device, &gateway, 2).await;
    assert_eq!(sent(&gateway).len(), 1, "{}", device.dump());
    gateway.inner().pends = false;
    gateway.inner().services = toner("Pending", "ByDevice");
    device
        .until("it is on", |device, _| {
            device.file("services.json")[0]["state"] == "Active"
        })
        .await;
    polls(&device, &gateway, 2).await;
    assert_eq!(sent(&gateway).len(), 2, "{}", device.dump());
    let status = String::from_utf8(device.run("status", &[]).await.stdout).unwrap();
    let lines: Vec<&str> = status.lines().collect();
    let heading = lines
        .iter()
        .find(|line| line.starts_with("SERVICE"))
        .unwrap();
    let row = lines.iter().find(|line| line.starts_with("toner")).unwrap();
    for (column, value) in [
        ("HERE", "on"),
        ("STATE", "Active"),
        ("ANSWER", "Active"),
        ("APPLICATION", "acme."),
    ] {
        let at = heading.find(column).unwrap();
        assert!(row[at..].starts_with(value), "{column}\n{status}");
    }
}

#[tokio::test]
async fn a_service_that_the_gateway_does_not_know_is_looked_up_anew() {
    let gateway = Gateway::start();
    gateway.inner().poll_next = "PT24H";
    gateway.inner().services = toner("Active", "ByOperator");
    let mut device = Device::new(&gateway).and(&["--no-ddi"]);
    device.start();
    device.until_it_polls().await;
    let mut renewed = toner("Active", "ByOperator");
    renewed[0]["applicationId"] = json!("acme-2028.toner.lobby-mfp");
    gateway.inner().services = renewed;
    turns(&device, "disable", "Panel").await;
    until_told(&device, 2).await;
    let paths: Vec<String> = sent(&gateway).into_iter().map(|word| word.path).collect();
    assert!(
        paths[0].contains("/acme.toner") && paths[1].contains("/acme-2028.toner"),
        "{paths:?}"
    );
    let lists = gateway.requests(&Method::GET, "/services");
    assert_eq!(lists.len(), 2, "{}", device.dump());
    assert_eq!(lists[1].header("if-none-match"), "");
}

// shows C7 C14
#[tokio::test]
async fn a_device_says_what_it_cannot_do_and_sends_only_the_kinds_of_data_that_it_can() {
    let gateway = Gateway::start();
    gateway.inner().services = toner("Inactive", "ByDevice");
    let kind =
        |name: &str| json!({"name": name, "on": ["Consumed"], "threshold": 20, "period": "PT6H"});
    gateway.wants(
        json!({"settings": {}, "dataTypes": [kind("counters.total"), kind("supplies.level")]}),
    );
    let mut device =
        Device::new(&gateway).and(&["--supplies", "", "--data-types", "supplies.level"]);
    device.start();
    let sends = json!([{"name": "supplies.level", "period": "PT6H"}]);
    device
        .until("it reports", |_, gateway| {
            gateway.inner().reported["dataTypes"] == sends
        })
        .await;
    assert_eq!(
        device.file("data-types.json"),
        json!([kind("supplies.level")])
    );
    let registration = &gateway.requests(&Method::POST, "/registrations")[0];
    assert_eq!(
        registration.body["capabilities"],
        json!({"ddi": true, "dataTypes": ["supplies.level"], "supplies": []})
    );
    polls(&device, &gateway, 2).await;
    let words: Vec<Value> = sent(&gateway).into_iter().map(|word| word.body).collect();
    let lacks = ["cannot use the supply TN-500K"];
    let unable = json!({"active": true, "by": "Panel", "supported": false, "unsupported": lacks});
    assert_eq!(words, [unable], "{}", device.dump());
    let status = String::from_utf8(device.run("status", &[]).await.stdout).unwrap();
    for part in ["UnsupportedByDevice", "counters.total", "PT6H"] {
        assert!(status.contains(part), "{part} is not in\n{status}");
    }
    // A file that somebody has deleted, and a kind that nobody wants any more.
    std::fs::remove_file(device.path("data-types.json")).unwrap();
    device
        .until("it is written anew", |device, _| {
            device.file("data-types.json") == json!([kind("supplies.level")])
        })
        .await;
    gateway.wants(json!({"settings": {}, "dataTypes": []}));
    device
        .until("it ends", |_, gateway| {
            gateway.inner().reported["dataTypes"] == json!([])
        })
        .await;
    assert_eq!(device.file("data-types.json"), json!([]));
}
