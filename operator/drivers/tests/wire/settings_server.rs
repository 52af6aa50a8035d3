//! A settings distribution server on the wire (docs/api/settings.yaml).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entente_crds::v1alpha1::{Protocol, SecretKeyReference};
use entente_domain::protocol::{Manner, Place};
use entente_domain::remote::{
    AskedState, DeviceReadRequest, DeviceReading, DeviceWrite, Failure, FailureKind, Scalar, Value,
};
use entente_domain::secret::{DigestKey, SecretText, Secrets};
use entente_drivers::{CredentialsValue, DeviceTarget, Drivers};
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::server::{Arrived, Reply, Server, profile};

const ENDPOINT: &str = "/settings/backup/endpoint";

fn place(path: &str) -> Place {
    Place::Http {
        path: path.to_owned(),
    }
}

fn target(server: &Server) -> DeviceTarget {
    DeviceTarget {
        profile: profile(Protocol::HTTP, None),
        url: format!("http://{}/v1/devices/A1", server.address),
        printer_uri: None,
        pinned_certificate: None,
        secrets: Secrets::default(),
    }
}

fn write(value: Value) -> DeviceWrite {
    DeviceWrite {
        place: place(ENDPOINT),
        manner: Manner::Http,
        value,
    }
}

fn wanted(text: &str) -> DeviceWrite {
    write(Value::Text(text.to_owned()))
}

async fn apply(target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::HTTP).expect("a driver");
    driver.apply(target, write).await
}

async fn observe(target: &DeviceTarget) -> Result<DeviceReading, Failure> {
    let drivers = Drivers::real();
    let driver = drivers.device(Protocol::HTTP).expect("a driver");
    let request = DeviceReadRequest {
        identity: place("/uuid"),
        places: BTreeSet::from([place(ENDPOINT)]),
    };
    driver.observe(target, &request).await
}

fn document(version: &str) -> Json {
    json!({
        "serialNumber": "A1",
        "desired": {"version": version, "settings": {}},
        "reported": {
            "version": "1", "at": "2027-03-01T00:00:00Z", "uuid": "urn:uuid:1",
            "productName": "NW MFP 500", "settings": {"backup": {"endpoint": "old"}},
        },
    })
}

fn ok(body: &Json) -> Reply {
    let head = "200 OK\r\nContent-Type: application/json";
    (head.to_owned(), body.to_string().into_bytes())
}

fn is_read(arrived: &Arrived) -> bool {
    arrived.line.starts_with("GET /v1/devices/")
}

/// Starts a server that shows version 7, and answers writes and questions by a function of their
/// number.
async fn answering(answer: impl Fn(usize, &Arrived) -> Reply + Send + Sync + 'static) -> Server {
    let number = Mutex::new(0);
    Server::start(move |arrived| {
        if is_read(arrived) {
            return ok(&document("7"));
        }
        let mut number = number.lock().unwrap();
        *number += 1;
        answer(*number, arrived)
    })
    .await
}

fn puts(server: &Server) -> Vec<Arrived> {
    let mut arrived = server.arrived();
    arrived.retain(|it| it.line.starts_with("PUT"));
    arrived
}

// shows B3
#[tokio::test]
async fn a_reading_is_one_request_and_tells_what_the_device_reported() {
    let mut asked = document("8");
    asked["desired"]["settings"] = json!({"backup": {"endpoint": "new"}});
    let server = Server::start(move |_| ok(&asked)).await;
    let reading = observe(&target(&server)).await.unwrap();
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:1"));
    let old = [Scalar::Text("old".to_owned())];
    assert_eq!(reading.values[&place(ENDPOINT)], old);
    let state = reading.asked_for(&place(ENDPOINT), &Value::Text("new".to_owned()));
    assert_eq!(state, Some(&AskedState::Waiting));
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].line, "GET /v1/devices/A1");
}

// shows B3
#[tokio::test]
async fn a_write_names_the_version_that_was_read_and_has_a_key_of_its_own() {
    let server = answering(|_, _| ("204 No Content".to_owned(), Vec::new())).await;
    for value in ["new", "new", "newer"] {
        apply(&target(&server), &wanted(value)).await.unwrap();
    }
    let puts = puts(&server);
    assert_eq!(puts.len(), 3);
    let line = "PUT /v1/devices/A1/desired?path=%2Fsettings%2Fbackup%2Fendpoint";
    assert_eq!(puts[0].line, line);
    assert_eq!(puts[0].header("if-match"), Some("\"7\""));
    assert_eq!(puts[0].header("content-type"), Some("application/json"));
    assert_eq!(puts[0].body, br#"{"value":"new"}"#);
    let keys: Vec<_> = puts.iter().map(|it| it.header("idempotency-key")).collect();
    assert!(keys[0].is_some_and(|key| key.len() == 32), "{keys:?}");
    assert_eq!(keys[0], keys[1], "the same request again");
    assert_ne!(keys[0], keys[2], "another value");
}

#[tokio::test]
async fn every_type_of_value_is_sent_as_its_own_in_json() {
    let words = ["b", "a"].map(str::to_owned);
    for (value, sent) in [
        (Value::Integer(7), json!(7)),
        (Value::Boolean(true), json!(true)),
        (Value::Words(words.into()), json!(["a", "b"])),
        (Value::Text("x".to_owned()), json!("x")),
    ] {
        let server = answering(|_, _| ("204 No Content".to_owned(), Vec::new())).await;
        apply(&target(&server), &write(value)).await.unwrap();
        let body: Json = serde_json::from_slice(&puts(&server)[0].body).unwrap();
        assert_eq!(body, json!({ "value": sent }));
    }
}

// shows B7
#[tokio::test]
async fn a_version_that_another_one_has_changed_is_read_again_before_anything_is_sent() {
    let version = Arc::new(Mutex::new(7));
    let of_server = Arc::clone(&version);
    let server = Server::start(move |arrived| {
        let mut version = of_server.lock().unwrap();
        if is_read(arrived) {
            let shown = document(&version.to_string());
            if *version == 7 {
                // Somebody else is faster.
                *version = 8;
            }
            return ok(&shown);
        }
        let names = arrived.header("if-match").unwrap_or_default();
        if names == format!("\"{version}\"") {
            ("204 No Content".to_owned(), Vec::new())
        } else {
            ("412 Precondition Failed".to_owned(), Vec::new())
        }
    })
    .await;
    apply(&target(&server), &wanted("new")).await.unwrap();
    let lines: Vec<String> = server
        .arrived()
        .iter()
        .map(|it| it.header("if-match").unwrap_or("read").to_owned())
        .collect();
    assert_eq!(lines, ["read", "\"7\"", "read", "\"8\""]);
}

// shows K2
#[tokio::test]
async fn a_version_that_changes_all_the_time_is_given_up_without_a_doubt() {
    let server = answering(|_, _| ("412 Precondition Failed".to_owned(), Vec::new())).await;
    let failure = apply(&target(&server), &wanted("new")).await.unwrap_err();
    assert_eq!((failure.kind, failure.doubtful), (FailureKind::Busy, false));
    assert_eq!(puts(&server).len(), 3);
}

// shows B3 K2
#[tokio::test]
async fn an_accepted_write_is_followed_for_a_while() {
    let state = |state: &str| json!({"id": "9", "state": state});
    let failed = json!({"id": "9", "state": "Failed", "problem": {
        "type": "about:blank", "title": "No", "status": 422, "reason": "ReadOnly",
        "detail": "the panel is locked",
    }});
    for (answers, ends) in [
        (vec![state("Running"), state("Succeeded")], Ok(())),
        (
            vec![state("Running"), failed],
            Err(FailureKind::RejectedNotSettable),
        ),
        // It is gone, or says nothing: the next reading tells.
        (vec![json!({})], Ok(())),
    ] {
        let server = answering(move |number, arrived| {
            if number == 1 {
                let head = "202 Accepted\r\nLocation: /v1/operations/9\r\nRetry-After: 0";
                (head.to_owned(), b"{}".to_vec())
            } else {
                assert_eq!(arrived.line, "GET /v1/operations/9");
                let body = answers[(number - 2).min(answers.len() - 1)].to_string();
                let head = "200 OK\r\nRetry-After: 0";
                (head.to_owned(), body.into_bytes())
            }
        })
        .await;
        let answer = apply(&target(&server), &wanted("new")).await;
        assert_eq!(answer.map_err(|it| it.kind), ends);
        assert_eq!(puts(&server).len(), 1);
    }
}

// shows K2
#[tokio::test]
async fn an_operation_that_does_not_end_is_left_to_the_next_reading() {
    let server = answering(|number, _| {
        let location = if number == 1 {
            "\r\nLocation: /v1/operations/9"
        } else {
            ""
        };
        let status = if number == 1 {
            "202 Accepted"
        } else {
            "200 OK"
        };
        let head = format!("{status}{location}\r\nRetry-After: 2");
        (head, br#"{"id": "9", "state": "Running"}"#.to_vec())
    })
    .await;
    let begun = Instant::now();
    apply(&target(&server), &wanted("new")).await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    let asked = server.arrived().len();
    assert!((3..=5).contains(&asked), "{asked} requests");
}

// shows K4
#[tokio::test]
async fn an_operation_on_another_server_is_not_asked_for() {
    let other = Server::start(|_| ok(&json!({"state": "Succeeded"}))).await;
    let address = other.address;
    let server = answering(move |_, _| {
        let head = format!("202 Accepted\r\nLocation: http://{address}/v1/operations/9");
        (head, b"{}".to_vec())
    })
    .await;
    let target = DeviceTarget {
        profile: profile(
            Protocol::HTTP,
            Some(CredentialsValue::Bearer {
                token: "s3cr3t-token".to_owned().into(),
            }),
        ),
        ..target(&server)
    };
    let failure = apply(&target, &wanted("new")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::ProtocolError);
    assert!(failure.doubtful, "it was accepted: {failure:?}");
    assert!(other.arrived().is_empty());
}

// shows B7 K2
#[tokio::test]
async fn a_write_whose_answer_was_lost_is_in_doubt_and_not_sent_again_while_it_is_under_way() {
    let carried_out = Arc::new(Mutex::new(false));
    let of_server = Arc::clone(&carried_out);
    let server = Server::start(move |arrived| {
        let mut carried_out = of_server.lock().unwrap();
        if is_read(arrived) {
            let mut shown = document("7");
            if *carried_out {
                shown["operations"] = json!([
                    {"id": "9", "state": "Running", "path": ENDPOINT, "value": "new"},
                ]);
            }
            return ok(&shown);
        }
        *carried_out = true;
        (String::new(), Vec::new())
    })
    .await;
    let failure = apply(&target(&server), &wanted("new")).await.unwrap_err();
    assert!(failure.doubtful, "{failure:?}");
    apply(&target(&server), &wanted("new")).await.unwrap();
    assert_eq!(puts(&server).len(), 1);
    apply(&target(&server), &wanted("newer")).await.unwrap_err();
    assert_eq!(puts(&server).len(), 2, "another value");
}

// shows K2
#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_told() {
    for status in [
        "429 Too Many Requests",
        "503 Service Unavailable",
        "409 Conflict",
    ] {
        let server = answering(move |_, _| {
            let head = format!("{status}\r\nRetry-After: 7");
            (head, Vec::new())
        })
        .await;
        let failure = apply(&target(&server), &wanted("new")).await.unwrap_err();
        let wait = Some(SignedDuration::from_secs(7));
        assert_eq!(
            (failure.retry_after, failure.doubtful),
            (wait, false),
            "{status}"
        );
        let server = Server::start(move |_| {
            let head = format!("{status}\r\nRetry-After: 7");
            (head, Vec::new())
        })
        .await;
        let failure = observe(&target(&server)).await.unwrap_err();
        assert_eq!(failure.retry_after, wait, "{status}");
    }
}

// shows K4
#[tokio::test]
async fn nothing_is_sent_to_a_server_that_answers_with_another_device() {
    let mut other = document("7");
    other["serialNumber"] = "B2".into();
    let server = Server::start(move |_| ok(&other)).await;
    for failure in [
        observe(&target(&server)).await.unwrap_err(),
        apply(&target(&server), &wanted("new")).await.unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::ProtocolError);
        assert!(!failure.doubtful);
    }
    assert!(puts(&server).is_empty());
}

fn tenants_secret(text: &str) -> (Value, Secrets) {
    let secret = SecretText::new(text.to_owned(), &DigestKey::new(b"key".to_vec()));
    let reference = SecretKeyReference {
        name: "scan".to_owned(),
        key: "password".to_owned(),
    };
    let secrets = Secrets([(reference, Ok(secret.clone()))].into());
    (Value::Secret(secret), secrets)
}

// shows K4
#[tokio::test]
async fn a_secret_is_sent_and_never_shown_whoever_gives_it_back() {
    let (value, secrets) = tenants_secret("s3cr3t-of-the-tenant");
    let server = Server::start(|arrived| {
        if is_read(arrived) {
            let mut shown = document("7");
            shown["reported"]["productName"] = "NW s3cr3t-of-the-tenant".into();
            shown["reported"]["uuid"] = "s3cr3t-of-the-tenant".into();
            shown["reported"]["settings"]["backup"]["endpoint"] = "s3cr3t-of-the-tenant".into();
            return ok(&shown);
        }
        let body = String::from_utf8_lossy(&arrived.body).into_owned();
        let problem = json!({"type": "about:blank", "title": body, "status": 422});
        (
            "422 Unprocessable Content".to_owned(),
            problem.to_string().into_bytes(),
        )
    })
    .await;
    let target = DeviceTarget {
        secrets,
        ..target(&server)
    };
    let reading = observe(&target).await.unwrap();
    assert_eq!(reading.product_name.as_deref(), Some("NW [redacted]"));
    assert_eq!(reading.identity, None);
    assert!(reading.private.contains(&place(ENDPOINT)));
    let failure = apply(&target, &write(value)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::RejectedValue);
    assert!(!failure.message.contains("s3cr3t"), "{failure:?}");
    let put = &puts(&server)[0];
    assert_eq!(put.body, br#"{"value":"s3cr3t-of-the-tenant"}"#);
    let key = put.header("idempotency-key").unwrap();
    assert!(!key.contains("s3cr3t"), "{key}");
}
