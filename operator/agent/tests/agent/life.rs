//! The life of a device: region, consent, registration, settings, renewal, withdrawal.

use std::os::unix::fs::PermissionsExt;

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    device::Device,
    gateway::{Fault, Gateway},
};

fn region_of(gateway: &Gateway) -> [String; 6] {
    [
        "--region-url",
        &gateway.url,
        "--country",
        "JP",
        "--subdivision",
        "13",
    ]
    .map(String::from)
}

fn reports(gateway: &Gateway, name: &str, setting: &Value) -> bool {
    gateway.inner().reported["settings"][name] == *setting
}

// shows C1
#[tokio::test]
async fn without_consent_nothing_but_the_look_up_of_the_region_is_sent() {
    let gateway = Gateway::start();
    let mut device = Device::with(&gateway, &region_of(&gateway), false);
    device.start();
    assert_eq!(device.ended().await, Some(4));
    let inner = gateway.inner();
    let paths: Vec<&str> = inner.ledger.iter().map(|entry| &*entry.path).collect();
    assert_eq!(paths, ["/v1/region?country=JP&subdivision=13"]);
    assert_eq!(inner.ledger[0].header("authorization"), "");
    assert!(device.log().contains("consent"), "{}", device.log());
}

// shows D1
#[tokio::test]
async fn a_device_finds_its_region_registers_applies_and_reports() {
    let gateway = Gateway::start();
    gateway.wants(json!({"settings": {
        "backup.endpoint": {"value": "https://backup.example/v1"},
        "cloud.password": {"secret": true, "value": "a-canary"}}}));
    gateway.inner().services = json!([{"applicationId": "acme.toner.lobby-mfp",
        "serviceId": "toner", "provider": "Northwind", "description": "Toner is sent in time",
        "appliedOn": "2027-03-01", "from": "2027-04-01T00:00:00Z", "until": null, "state": "Scheduled"}]);
    let mut device = Device::with(&gateway, &region_of(&gateway), true);
    device.start();
    let set = json!({"value": "https://backup.example/v1", "by": "Server"});
    device
        .until("the setting is reported", |_, gateway| {
            reports(gateway, "backup.endpoint", &set)
        })
        .await;
    assert_eq!(device.file("settings.json")["cloud.password"], "a-canary");
    let secret = json!({"secret": true, "by": "Server"});
    assert!(
        reports(&gateway, "cloud.password", &secret),
        "{}",
        device.dump()
    );
    let registration = &gateway.requests(&Method::POST, "/registrations")[0];
    assert_eq!(registration.body["consent"]["by"], "Panel");
    assert_eq!(
        registration.body["area"],
        json!({"country": "JP", "subdivision": "13"})
    );
    assert_eq!(registration.body["software"][0]["version"], "4.1.0");
    assert_eq!(
        device.file("services.json")[0]["applicationId"],
        "acme.toner.lobby-mfp"
    );
    for name in ["agent.json", "settings.json", "twin.json", "services.json"] {
        let mode = std::fs::metadata(device.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let status = device.run("status", &[]).await;
    let shown = String::from_utf8(status.stdout).unwrap();
    for part in [
        "lobby-mfp of acme",
        "toner",
        "https://backup.example/v1",
        "(secret)",
        "4.1.0",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let token = gateway.inner().token.clone().unwrap().0;
    for secret in ["a-canary", &token] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!device.log().contains(secret), "{}", device.log());
    }
}

// shows C2 C17
#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_repeated_with_its_key_even_after_a_crash() {
    let gateway = Gateway::start();
    gateway.fault(Method::POST, "/registrations", Fault::Hangs);
    gateway.fault(Method::POST, "/registrations", Fault::Lost);
    let mut device = Device::new(&gateway).and(&["--once"]);
    device.start();
    device
        .until("it registers", |_, gateway| {
            !gateway.requests(&Method::POST, "/registrations").is_empty()
        })
        .await;
    device.kill();
    device.start();
    assert_eq!(device.ended().await, Some(1));
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    let sent = gateway.requests(&Method::POST, "/registrations");
    let keys: Vec<&str> = sent
        .iter()
        .map(|entry| entry.header("idempotency-key"))
        .collect();
    assert_eq!(keys, [keys[0]; 3]);
    // The credential of the lost answer is dead, the one that is kept works.
    assert_eq!(gateway.inner().tokens, 2);
    assert!(gateway.inner().token.as_ref().unwrap().1);
}

#[tokio::test]
async fn a_registration_that_waits_is_sent_again_when_somebody_has_permitted_it() {
    let gateway = Gateway::start();
    gateway.inner().pending = true;
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it asks for its registration", |_, gateway| {
            !gateway
                .requests(&Method::GET, "/registrations/r1")
                .is_empty()
        })
        .await;
    gateway.inner().pending = false;
    device.until_it_polls().await;
    let sent = gateway.requests(&Method::POST, "/registrations");
    assert_eq!(sent.len(), 2, "{}", device.dump());
    assert_eq!(
        sent[0].header("idempotency-key"),
        sent[1].header("idempotency-key")
    );
}

// shows C9
#[tokio::test]
async fn what_a_person_changes_is_reported_at_once_and_news_comes_at_once() {
    let gateway = Gateway::start();
    gateway.inner().poll_next = "PT24H";
    gateway.inner().sleep = "23:59:59";
    gateway.wants(json!({"settings": {"backup.weekdays": {"value": "wed"}}}));
    let mut device = Device::new(&gateway).and(&["--wait", "60s"]);
    device.start();
    let server = json!({"value": "wed", "by": "Server"});
    device
        .until("it is applied", |_, gateway| {
            reports(gateway, "backup.weekdays", &server)
        })
        .await;
    std::fs::write(
        device.path("settings.json"),
        r#"{"backup.weekdays": "mon", "mine": 5}"#,
    )
    .unwrap();
    let panel = json!({"value": "mon", "by": "Panel"});
    device
        .until("it is reported", |_, gateway| {
            reports(gateway, "backup.weekdays", &panel)
        })
        .await;
    assert!(reports(
        &gateway,
        "mine",
        &json!({"value": "5", "by": "Panel"})
    ));
    assert_eq!(device.file("settings.json")["backup.weekdays"], "mon");
    // The next poll is a day away: only a request that is held brings this.
    gateway.wants(json!({"settings": {"backup.weekdays": {"value": "fri"}}}));
    device
        .until("a later version wins", |device, _| {
            device.file("settings.json")["backup.weekdays"] == "fri"
        })
        .await;
}

// shows C9
#[tokio::test]
async fn the_next_revision_is_applied_at_its_instant_by_the_gateways_clock_alone() {
    let gateway = Gateway::start();
    {
        let mut inner = gateway.inner();
        inner.ahead = SignedDuration::from_hours(24);
        inner.poll_next = "PT24H";
        inner.sleep = "23:59:59";
    }
    let effective =
        Timestamp::now() + SignedDuration::from_hours(24) + SignedDuration::from_secs(4);
    gateway.wants(json!({"settings": {"a": {"value": "1"}},
        "next": {"effective": effective, "settings": {"a": {"value": "2"}}}}));
    // The device's own clock is a year behind, the gateway's a day ahead of ours.
    let mut device = Device::new(&gateway).and(&["--clock-offset", "-365d"]);
    device.start();
    device
        .until("it is held", |device, _| {
            device.file("settings.json")["a"] == "1"
        })
        .await;
    assert!(
        gateway.inner().now() < effective,
        "the machine is too slow for this test"
    );
    let first = json!({"value": "1", "by": "Server"});
    device
        .until("it is reported", |_, gateway| reports(gateway, "a", &first))
        .await;
    // The gateway cannot answer at the instant.
    for _ in 0..3 {
        let outage = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
        gateway.fault(Method::PATCH, "/reported", outage);
    }
    device
        .until("it is applied", |device, _| {
            device.file("settings.json")["a"] == "2"
        })
        .await;
    let now = gateway.inner().now();
    assert!(now >= effective, "{now} is before {effective}");
    let second = json!({"value": "2", "by": "Server"});
    device
        .until("it is reported, too", |_, gateway| {
            reports(gateway, "a", &second)
        })
        .await;
}

// shows C17
#[tokio::test]
async fn a_credential_is_renewed_when_it_is_time() {
    let gateway = Gateway::start();
    gateway.inner().renew_after = Timestamp::now() - SignedDuration::from_hours(1);
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is renewed", |_, gateway| {
            let inner = gateway.inner();
            inner.tokens >= 2 && inner.former.is_none() && inner.token.as_ref().unwrap().1
        })
        .await;
    // The answer of the next renewal is lost: the former credential still works.
    gateway.fault(Method::POST, "/credential", Fault::Lost);
    let before = gateway.inner().tokens;
    device
        .until("it is renewed again", |_, gateway| {
            let inner = gateway.inner();
            inner.tokens >= before + 2 && inner.token.as_ref().unwrap().1
        })
        .await;
    assert!(!device.log().contains("stopped"), "{}", device.log());
}

// shows C17
#[tokio::test]
async fn a_revoked_credential_ends_the_device() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    gateway.inner().token = None;
    assert_eq!(device.ended().await, Some(3));
    let sent = gateway.requests(&Method::POST, "/registrations").len();
    assert_eq!(sent, 1, "it registers by itself: {}", device.dump());
    assert!(device.file("agent.json")["credential"]["token"].is_string());
}

// shows C1
#[tokio::test]
async fn a_withdrawal_ends_everything_and_a_new_consent_begins_anew() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    let done = device.run("withdraw", &["--by", "Panel"]).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert!(gateway.inner().withdrawn);
    assert!(device.file("agent.json")["credential"].is_null());
    let sent = gateway.inner().ledger.len();
    // The same command line does not consent again.
    device.start();
    assert_eq!(device.ended().await, Some(1));
    assert_eq!(gateway.inner().ledger.len(), sent);
    let mut device = device.and(&["--consent-again", "--once"]);
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert!(!gateway.inner().withdrawn);
}

// shows C1
#[tokio::test]
async fn a_new_registration_has_a_twin_of_its_own_whatever_its_version() {
    let gateway = Gateway::start();
    gateway.wants(json!({"settings": {"a": {"value": "old"}}}));
    let mut device = Device::new(&gateway).and(&["--once"]);
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert_eq!(device.file("settings.json")["a"], "old");
    let done = device.run("withdraw", &["--by", "Panel"]).await;
    assert!(done.status.success(), "{done:?}");
    // The version, and with it the tag, is the same by chance.
    gateway.inner().desired = json!({"settings": {"a": {"value": "new"}}});
    let mut device = device.and(&["--consent-again"]);
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert_eq!(
        device.file("settings.json")["a"],
        "new",
        "{}",
        device.dump()
    );
    let set = json!({"value": "new", "by": "Server"});
    assert!(reports(&gateway, "a", &set), "{}", device.dump());
}

// shows C1
#[tokio::test]
async fn a_withdrawal_while_the_device_registers_reaches_the_gateway() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway);
    let answered = Fault::Until(device.path("withdrawal.json"));
    gateway.fault(Method::POST, "/registrations", answered);
    device.start();
    device
        .until("it registers", |_, gateway| {
            !gateway.requests(&Method::POST, "/registrations").is_empty()
        })
        .await;
    let done = device.run("withdraw", &["--by", "Panel"]).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert!(gateway.inner().withdrawn, "{}", device.dump());
}

// shows C1
#[tokio::test]
async fn withdrawals_at_the_same_moment_do_not_disturb_each_other() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    let withdrawals = (0..8).map(|_| device.run("withdraw", &["--by", "Panel"]));
    for done in futures::future::join_all(withdrawals).await {
        assert!(done.status.success(), "{done:?}");
    }
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    assert!(gateway.inner().withdrawn);
}

#[tokio::test]
async fn a_status_says_when_the_gateway_answers_again_and_when_the_next_call_is() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway);
    device.start();
    device.until_it_polls().await;
    let unavailable = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
    gateway.fault(Method::GET, "/services", unavailable);
    let says = |device: &Device, what: &str| {
        let said = device.file("agent.json")["last"]["what"].clone();
        said.as_str().is_some_and(|it| it.contains(what))
    };
    let failed = |device: &Device, _: &Gateway| device.log().contains("again in");
    device.until("it fails", failed).await;
    let recovered = |device: &Device, _: &Gateway| says(device, "the gateway answers again");
    device.until("it is answered", recovered).await;
    let status = device.run("status", &[]).await;
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("the gateway answers again"), "{status}");
    let next = status.lines().find(|line| line.starts_with("next call"));
    let next = next.and_then(|line| line.split_whitespace().nth(2));
    let next: Option<Timestamp> = next.and_then(|at| at.parse().ok());
    // A machine under load shows an older status.
    let earliest = gateway.inner().now() - SignedDuration::from_secs(30);
    assert!(next.is_some_and(|next| next >= earliest), "{status}");
    assert_eq!(status.matches("again").count(), 1, "{status}");
    device.kill();
    let once = device.run("run", &["--once"]).await;
    assert!(once.status.success());
    let status = device.run("status", &[]).await;
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(!status.contains("next call"), "it has stopped: {status}");
}

#[tokio::test]
async fn a_withdrawal_that_the_gateway_did_not_hear_is_repeated_and_nothing_else_is_sent() {
    let gateway = Gateway::start();
    let mut device = Device::new(&gateway).and(&["--once"]);
    device.start();
    assert_eq!(device.ended().await, Some(0));
    let unavailable = Fault::problem(503, "Unavailable", &[("retry-after", "1")]);
    gateway.fault(Method::DELETE, crate::gateway::ID, unavailable);
    let done = device.run("withdraw", &["--by", "Technician"]).await;
    assert!(!done.status.success());
    let before = gateway.inner().ledger.len();
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
    let inner = gateway.inner();
    let after: Vec<String> = inner.ledger[before..]
        .iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    assert_eq!(after.len(), 1, "{after:?}");
    assert!(
        after[0].starts_with("DELETE") && after[0].contains("by=Technician"),
        "{after:?}"
    );
    assert!(inner.withdrawn);
}

// shows C15
#[tokio::test]
async fn a_switch_is_turned_at_the_device_and_stays() {
    let gateway = Gateway::start();
    gateway.inner().services = json!([{"applicationId": "acme.toner.lobby-mfp",
        "serviceId": "toner", "provider": "Northwind", "description": "Toner is sent in time",
        "appliedOn": "2027-03-01", "from": "2027-04-01T00:00:00Z", "until": null, "state": "Active"}]);
    let mut device = Device::new(&gateway);
    device.start();
    device
        .until("it is kept", |device, _| {
            device.file("services.json")[0]["enabled"] == true
        })
        .await;
    let done = device.run("disable", &["backup", "--by", "Panel"]).await;
    assert!(!done.status.success());
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("backup") && said.contains("toner"), "{said}");
    let done = device
        .run("disable", &["toner", "--by", "Technician"])
        .await;
    assert!(done.status.success(), "{done:?}");
    gateway.inner().services[0]["applicationId"] = Value::Null;
    gateway.inner().services[0]["state"] = json!("Cancelled");
    device
        .until("the cancellation is kept", |device, _| {
            device.file("services.json")[0]["applicationId"].is_null()
        })
        .await;
    let kept = &device.file("services.json")[0];
    assert_eq!(
        (&kept["enabled"], &kept["by"]),
        (&json!(false), &json!("Technician"))
    );
}

#[tokio::test]
async fn a_gateway_is_trusted_by_the_certificates_that_are_given_and_by_no_others() {
    let (gateway, certificate) = Gateway::start_with_tls().await;
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, certificate).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    let mut device = Device::new(&gateway).and(&["--once", "--ca", &wrong.display().to_string()]);
    device.start();
    assert_eq!(device.ended().await, Some(1));
    assert!(gateway.inner().ledger.is_empty());
    assert!(device.log().contains("certificate"), "{}", device.log());
    let mut device = Device::new(&gateway).and(&["--once", "--ca", &right.display().to_string()]);
    device.start();
    assert_eq!(device.ended().await, Some(0), "{}", device.dump());
}
