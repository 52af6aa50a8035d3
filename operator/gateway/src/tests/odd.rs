//! Requests of devices and gateways that others reported as broken, and those of nobody in particular.

use std::{collections::BTreeSet, time::Duration};

use entente_crds::v1alpha1::Device;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::stand::{ACME, Stand, json_of, problem, registration, token, value};

async fn send(stand: &Stand, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = stand.request(Method::POST, "/v1/registrations", &token());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await.unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

// shows K4
#[tokio::test]
async fn a_body_that_is_no_registration_is_refused_and_nothing_is_written() {
    let stand = Stand::new().await;
    stand.cluster.forget_requests();
    let good = registration("A1").to_string();
    let with = |member: &str, value: Value| {
        let mut body = registration("A1");
        body[member] = value;
        body.to_string()
    };
    let long = "x".repeat(300 * 1024);
    for (body, status) in [
        (long.clone(), 413),
        (with("productName", json!(long)), 413),
        ("serialNumber=A1".to_owned(), 400),
        (String::new(), 400),
        (
            format!("{{\"area\":{}{}}}", "[".repeat(40), "]".repeat(40)),
            400,
        ),
        (good.replacen('{', "{\"serialNumber\":\"A2\",", 1), 400),
        ("[]".to_owned(), 422),
        (with("serial", json!("A1")), 422),
        (with("productName", json!("NW MFP\r\nSet-Cookie: a")), 422),
        (with("serialNumber", json!("A1\u{0}")), 422),
    ] {
        let start: String = body.chars().take(100).collect();
        let answer = problem(send(&stand, &[JSON], body.into_bytes()).await).await;
        assert_eq!(answer.0, status, "{start}: {}", answer.1);
    }
    let no_text = b"{\"serialNumber\":\"\xff\"}".to_vec();
    assert_eq!(problem(send(&stand, &[JSON], no_text).await).await.0, 400);
    assert_eq!(stand.cluster.writes(), [""; 0]);
}

// shows K4
#[tokio::test]
async fn a_body_of_another_type_is_refused_and_a_charset_is_no_other_type() {
    // dojot/dojot#967 (no type), thingsboard/thingsboard#13655 (a form),
    // Somfy-Developer/Somfy-TaHoma-Developer-Mode#35 (a charset)
    let stand = Stand::new().await;
    let body = registration("A1").to_string();
    for (headers, status) in [
        (&[][..], 415),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            415,
        ),
        (&[JSON, ("content-encoding", "gzip")], 415),
        (&[("content-type", "application/json; charset=utf-8")], 201),
    ] {
        let answer = send(&stand, headers, body.clone().into_bytes()).await;
        assert_eq!(answer.status(), status, "{headers:?}");
    }
}

// shows C1 C2
#[tokio::test]
async fn a_device_whose_clock_begins_in_1970_registers_all_the_same() {
    // Azure/azure-iot-sdk-c#1066, Azure/iotedge#4062
    let stand = Stand::new().await;
    let mut body = registration("A1");
    body["consent"]["at"] = json!("1970-01-01T00:00:12Z");
    let answer = stand.post_registration(&body, &token()).await;
    assert_eq!(answer.status(), 201);
    let registration = stand.status("lobby-mfp").registration.unwrap();
    assert_eq!(
        registration.consent.unwrap().at.to_string(),
        "1970-01-01T00:00:12Z"
    );
    assert_eq!(registration.at.as_second(), stand.now().as_second());
}

// shows C2 C17
#[tokio::test]
async fn a_device_that_was_reset_is_registered_again_when_a_person_permits_it() {
    // thingsboard/thingsboard#8385 (never again), #10261 and telefonicaid/iotagent-node-lib#48 (anybody,
    // any number of times)
    let stand = Stand::new().await;
    let before = stand.register("A1").await;
    stand
        .report(
            &before,
            &json!({"settings": {"a": {"value": "1", "by": "Panel"}}}),
        )
        .await;
    for _ in 0..3 {
        let answer = stand.post_registration(&registration("A1"), &token()).await;
        assert_eq!(problem(answer).await, (409, "AlreadyRegistered".to_owned()));
    }
    stand
        .cluster
        .edit(ACME, "lobby-mfp", |device: &mut Device| {
            let annotation = ("entente.dev/reregister".to_owned(), "1".to_owned());
            device.metadata.annotations = Some([annotation].into());
        });
    let key = entente_controllers::cache::Key::new(ACME, "lobby-mfp");
    let is_seen = || {
        let seen = stand.gateway.objects.devices.get(&key);
        seen.is_some_and(|device| device.metadata.annotations.is_some())
    };
    stand.until(is_seen).await;
    let after = stand.register("A1").await;
    assert_eq!(after.id, before.id);
    let reported = stand.status("lobby-mfp").reported.unwrap();
    assert!(reported.settings.is_empty(), "it has forgotten what it had");
}

// shows C17
#[tokio::test]
async fn a_token_in_another_header_or_under_another_word_is_answered_with_the_right_one() {
    // eclipse-hawkbit/hawkbit#2702 and #2148
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = format!("/v1/devices/{}/twin", device.id);
    for (name, value) in [
        ("token", device.token.clone()),
        ("x-authorization", format!("Bearer {}", device.token)),
        ("authorization", format!("TargetToken {}", device.token)),
        ("authorization", device.token.clone()),
    ] {
        let request = stand.request(Method::GET, &path, "").header(name, value);
        let answer = request.send().await.unwrap();
        assert_eq!(
            answer.headers()["www-authenticate"],
            "Bearer realm=\"entente\""
        );
        assert_eq!(problem(answer).await.0, 401);
    }
    let lower = stand.request(Method::GET, &path, "");
    let lower = lower.header("authorization", format!("bearer {}", device.token));
    assert_eq!(lower.send().await.unwrap().status(), 200);
}

// shows C9
#[tokio::test]
async fn an_id_may_be_written_with_percent_signs_and_an_answer_without_a_body_has_all_headers() {
    // eclipse-hawkbit/hawkbit#1135; open-policy-agent/opa#3923
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let encoded = device.id.replace('-', "%2D").replace('4', "%34");
    let answer = stand
        .get(&format!("/v1/devices/{encoded}/twin"), &device.token)
        .await;
    assert_eq!(answer.status(), 200);
    let etag = answer.headers()["etag"].clone();
    let request = stand.request(
        Method::GET,
        &format!("/v1/devices/{}/twin", device.id),
        &device.token,
    );
    let answer = request
        .header("if-none-match", etag.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 304);
    assert_eq!(answer.headers()["etag"], etag);
    for name in ["date", "entente-poll-next"] {
        assert!(answer.headers().contains_key(name), "{name}");
    }
    let head = stand.request(
        Method::HEAD,
        &format!("/v1/devices/{}/twin", device.id),
        &device.token,
    );
    let head = head.send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["etag"], etag);
    assert_eq!(head.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_with_those_that_it_has() {
    // thingsboard/thingsboard#2349
    let stand = Stand::new().await;
    for (path, allow) in [
        ("/v1/region", "GET, HEAD"),
        ("/v1/registrations", "POST"),
        ("/v1/registrations/x", "GET, HEAD"),
        ("/v1/devices/x", "DELETE"),
        ("/v1/devices/x/credential", "POST"),
        ("/v1/devices/x/services", "GET, HEAD"),
        ("/v1/devices/x/twin", "GET, HEAD"),
        ("/v1/devices/x/twin/reported", "PATCH"),
    ] {
        for method in [Method::PUT, Method::OPTIONS] {
            let answer = stand.request(method, path, "").send().await.unwrap();
            assert_eq!(answer.headers()["allow"], allow, "{path}");
            assert_eq!(
                problem(answer).await,
                (405, "MethodNotAllowed".to_owned()),
                "{path}"
            );
        }
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/devices",
        "/v1/devices/x/twin/",
        "/v1/region/x",
    ] {
        let answer = stand.get(path, "").await;
        assert_eq!(
            problem(answer).await,
            (404, "NotFound".to_owned()),
            "{path}"
        );
    }
}

// shows K5
#[tokio::test]
async fn a_flood_is_answered_with_the_time_after_which_to_come_again() {
    // grzegorz914/homebridge-melcloud-control#68
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = format!("/v1/devices/{}/services", device.id);
    let mut seen = BTreeSet::new();
    for _ in 0..80 {
        let answer = stand.get(&path, &device.token).await;
        seen.insert(answer.status().as_u16());
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
        }
    }
    assert_eq!(seen, [200, 429].into(), "one device");
    let mut taken = 0;
    let mut last = None;
    for _ in 0..500 {
        let answer = stand.get("/v1/region?country=JP", "").await;
        taken += u32::from(answer.status() == 200);
        last = Some(answer);
    }
    assert!((300..500).contains(&taken), "{taken} of one address");
    assert_eq!(
        problem(last.unwrap()).await,
        (429, "TooManyRequests".to_owned())
    );
}

// shows K4
#[tokio::test]
async fn texts_of_devices_reach_no_header_and_no_line_of_their_own() {
    let stand = Stand::new().await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let path = "a".repeat(20_000);
    let request = format!(
        "GET /v1/devices/{path}%0d%0aSet-Cookie:%20a/twin HTTP/1.1\r\nhost: x\r\n\
         authorization: Bearer x\r\nidempotency-key: {}\r\nconnection: close\r\n\r\n",
        "k".repeat(3000)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(
        !answer.contains("Set-Cookie") && !answer.contains("aaaa"),
        "{answer}"
    );
}

// shows K5
#[tokio::test]
async fn a_body_that_never_comes_ends_in_time_and_one_that_breaks_off_changes_nothing() {
    let stand = Stand::new().await;
    let head = format!(
        "POST /v1/registrations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        token()
    );
    let mut broken = TcpStream::connect(stand.address).await.unwrap();
    broken.write_all(head.as_bytes()).await.unwrap();
    drop(broken);
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer));
    let length = read.await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"reason\":\"Timeout\""), "{answer}");
    assert_eq!(stand.status("lobby-mfp").registration, None);
}

// shows K2
#[tokio::test]
async fn every_request_is_counted_under_its_route_and_never_under_its_path() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    stand.want(vec![value("a", "1")]);
    stand
        .get(&format!("/v1/devices/{}/twin", device.id), &device.token)
        .await;
    stand.get("/v1/devices/secret-path/twin", "x").await;
    stand.get("/nothing", "").await;
    let answer = stand.post_registration(&registration("Z"), &token()).await;
    json_of(answer).await;
    let metrics = stand.metrics.encode();
    for line in [
        "entente_gateway_requests_total{route=\"twin\",code=\"200\"} 1",
        "entente_gateway_requests_total{route=\"twin\",code=\"401\"} 1",
        "entente_gateway_requests_total{route=\"unknown\",code=\"404\"} 1",
        "entente_gateway_registrations_total{outcome=\"Registered\"} 1",
        "entente_gateway_registrations_total{outcome=\"Pending\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("secret-path") && !metrics.contains(&device.id));
}

/// Sends a request whose body comes in two parts, the second one after a while, and returns the answer.
/// It is read once all is written, as simple clients do.
async fn written_slowly(stand: &Stand, head: &str, length: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(stand.address).await?;
    let start = format!("{head}content-length: {length}\r\n\r\n ");
    stream.write_all(start.as_bytes()).await?;
    // An answer that comes now is one to a sender who does not listen yet.
    let early = tokio::time::timeout(Duration::from_millis(500), stream.readable());
    drop(early.await);
    for _ in 1..length {
        stream.write_all(b" ").await?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

// shows K4 K5
#[tokio::test]
async fn a_request_that_is_refused_before_its_body_is_read_is_answered_all_the_same() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    for (path, token, status) in [
        (format!("/v1/devices/{}/events", device.id), "nobody", 401),
        (
            format!("/v1/devices/{}/events", device.id),
            &*device.token,
            415,
        ),
        ("/v1/registrations".to_owned(), "nobody", 401),
        ("/nothing".to_owned(), "nobody", 404),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: text/plain\r\nconnection: close\r\n"
        );
        let answer = written_slowly(&stand, &head, 20_000).await;
        let answer = answer.unwrap_or_else(|error| panic!("{path} {token}: {error}"));
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
    }
}
