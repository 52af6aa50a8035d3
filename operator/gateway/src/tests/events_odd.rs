//! Batches and answers that others reported as broken, between devices that speak CloudEvents and servers that
//! take webhooks. Each row names the report.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    events::{TONER, begin, deferred, level, levels, post, taken},
    inbox::{Inbox, Reply},
    stand::{Registered, Stand, problem},
};

const BATCH: &str = "application/cloudevents-batch+json";

async fn send(stand: &Stand, device: &Registered, content_type: &str, body: &str) -> Response {
    let path = format!("/v1/devices/{}/events", device.id);
    let request = stand.request(Method::POST, &path, &device.token);
    let request = request.header("content-type", content_type);
    request.body(body.to_owned()).send().await.unwrap()
}

/// Returns an event with another member, or with another value of one.
fn with(id: &str, member: &str, value: Value) -> Value {
    let mut event = level(id);
    event[member] = value;
    event
}

// shows C8 K4
#[tokio::test]
async fn an_event_that_another_sdk_could_not_read_is_refused_with_its_place_before_it_is_forwarded()
{
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    for (member, value) in [
        // cloudevents/sdk-java#200, smallrye/smallrye-reactive-messaging#2061: the name of a zone
        (
            "time",
            json!("2020-07-16T13:53:54.545218America/Los_Angeles"),
        ),
        (
            "time",
            json!("2020-07-16T13:53:54-07:00[America/Los_Angeles]"),
        ),
        ("time", json!("2023-01-25T19:07:06.370582GMT")),
        // apache/incubator-kie-examples#1495: an offset without a colon
        ("time", json!("2022-02-24T13:25:16+0000")),
        ("time", json!("2022-02-24T13:25:16+00")),
        // myntra/cortex#32: a blank, and no zone
        ("time", json!("2018-07-23 09:51:00Z")),
        ("time", json!("2018-07-23T09:51:00")),
        ("time", json!("20180723T095100Z")),
        ("time", json!("2018-07-23T09:51:00,5Z")),
        ("time", json!("2018-07-23T09:51Z")),
        // denoland/std#7299: a leap second is an instant that most readers do not have
        ("time", json!("2016-12-31T23:59:60Z")),
        // cloudevents/sdk-javascript#386: it was taken for now
        ("time", json!("some invalid time string")),
        ("time", json!(1_532_339_460)),
        // cloudevents/sdk-java#676
        ("subject", json!("")),
        // cloudevents/sdk-csharp#59, Azure/azure-sdk-for-python#16697, cloudevents/sdk-go#533
        ("Subject", json!("black-toner")),
        ("serialNumber", json!("A1")),
        ("code-checksum", json!("1")),
        // dapr/dapr#2612, dapr/dapr#2794: it was forwarded as text, or as nothing
        ("data_base64", json!("AQ==")),
        // An older version of CloudEvents, and values of other types
        ("specversion", json!("0.3")),
        ("datacontenttype", json!("text/plain")),
        ("sequence", json!(12)),
        ("id", json!(12)),
        ("id", json!("line\nfeed")),
    ] {
        let body = json!([level("good"), with("1", member, value.clone())]);
        let answer = post(&stand, &device, &body).await;
        assert_eq!(answer.status(), 422, "{member}: {value}");
        let answer: Value = answer.json().await.unwrap();
        let pointer = &answer["errors"][0]["pointer"];
        assert_eq!(*pointer, format!("/1/{member}"), "{answer}");
    }
    assert_eq!(inbox.received().len(), 0);
}

// shows C8 K4
#[tokio::test]
async fn a_body_that_is_no_batch_is_refused_and_a_charset_is_no_other_type() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let one = level("1").to_string();
    let batch = levels(&["1"]).to_string();
    let twice = batch.replacen('{', "{\"id\":\"0\",", 1);
    for (content_type, body, status) in [
        // cloudevents/sdk-javascript#440: an array by another type was read as its first event
        ("application/cloudevents+json", &batch, 415),
        ("application/json", &batch, 415),
        ("application/cloudevents+json", &one, 415),
        (BATCH, &one, 422),
        (BATCH, &twice, 400),
        // cloudevents/sdk-csharp#323, cloudevents/sdk-java#89
        (
            "application/cloudevents-batch+json; charset=utf-8",
            &batch,
            202,
        ),
        (
            "Application/CloudEvents-Batch+JSON;charset=\"UTF-8\"",
            &batch,
            202,
        ),
    ] {
        let answer = send(&stand, &device, content_type, body).await;
        assert_eq!(answer.status(), status, "{content_type}: {body}");
    }
    assert_eq!(inbox.received().len(), 1, "the second one is known");
}

// shows C16
#[tokio::test]
async fn an_event_that_is_odd_and_right_is_at_its_provider_as_it_is() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    // Azure/azure-sdk-for-python#14841: a batch of none was an error that nobody understood
    assert_eq!(taken(&stand, &device, &json!([])).await, (0, json!([])));
    assert_eq!(inbox.received().len(), 0, "nor is it forwarded");
    // cloudevents/spec#456, cloudevents/sdk-csharp#38, cloudevents/sdk-go#1331
    for id in [
        "\"😉\u{33c}.is+Fine火\"",
        "a b",
        "100%",
        "%2F..%2f",
        " ",
        "'--",
    ] {
        assert_eq!(taken(&stand, &device, &levels(&[id])).await.0, 1, "{id}");
        assert_eq!(inbox.kept().last().map(String::as_str), Some(id));
    }
    // cloudevents/sdk-javascript#489, kurrent-io/KurrentDB#1541: numbers of data were rounded
    let numbers = r#"{"pages":993143214321423154315154321,"level":0.1234567890123456789}"#;
    // cloudevents/sdk-java#430: a member that is null is absent, and SDKs fail on it
    let event = format!(
        r#"[{{"specversion":"1.0","id":"n","type":"dev.entente.supplies.level","subject":null,
             "time":null,"dataschema":null,"applicationid":null,"data":{numbers}}}]"#
    );
    let answer = send(&stand, &device, BATCH, &event).await;
    assert_eq!(answer.status(), 202);
    let received = inbox.received().pop().unwrap();
    let body = &received.text;
    assert!(body.contains(&format!("\"data\":{numbers}")), "{body}");
    let event = received.events[0].as_object().unwrap();
    let names: Vec<&str> = event.keys().map(String::as_str).collect();
    let expected = [
        "applicationid",
        "data",
        "id",
        "source",
        "specversion",
        "type",
    ];
    assert_eq!(names, expected);
    assert_eq!(event["applicationid"], TONER);
    for time in [
        "2027-04-01T09:00:02+09:00",
        "2027-04-01T00:00:02.123456789Z",
        // cloudevents/sdk-php#35: RFC 3339 has small letters, too
        "1985-04-12t23:20:50.52z",
    ] {
        let event = with(time, "time", json!(time));
        assert_eq!(taken(&stand, &device, &json!([event])).await.0, 1);
        let received = inbox.received().pop().unwrap();
        assert_eq!(received.events[0]["time"], time);
    }
}

// shows C8 C16
#[tokio::test]
async fn a_device_that_sends_in_pieces_and_waits_to_be_told_to_go_on_is_answered() {
    // yhirose/cpp-httplib#349, fdintino/nginx-upload-module#28
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let body = levels(&["1"]).to_string();
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let head = format!(
        "POST /v1/devices/{}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: {BATCH}\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n",
        device.id, device.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    for piece in body.as_bytes().chunks(20) {
        let size = format!("{:x}\r\n", piece.len());
        let piece = [size.as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&piece).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert_eq!(inbox.kept(), ["1"]);
}

// shows C16 K5
#[tokio::test]
async fn every_answer_of_2xx_takes_a_batch_whatever_else_is_in_it() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let huge = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n{}",
        "x".repeat(3_000_000)
    );
    let rows: [&str; 14] = [
        // tableau/webhooks-docs#12, blynkkk/blynk-server#942: 204 was a failure
        "HTTP/1.1 204 No Content\r\n\r\n",
        // kubearchive/kubearchive#880, getlago/lago-api#245: bodies that were read as JSON
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{no",
        "HTTP/1.1 201 Created\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok",
        // MicrosoftDocs/azure-docs#51296: an answer in pieces was none
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        // Neither length nor pieces: the end of the connection is the end of the answer.
        "HTTP/1.1 202 Accepted\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        // lidofinance/validator-ejector#190, palantir/dialogue#1814: a body that has no end
        "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nbroken off",
        "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\nbroken off",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nno zip",
        // httpwg/http-extensions#3289, xrootd/xrootd#1120: interim answers
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n\
         HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        &huge,
    ];
    for (number, answer) in rows.into_iter().enumerate() {
        let reply = Reply::Say(answer.to_owned());
        inbox.answers(move |_| reply.clone());
        let start: String = answer.chars().take(80).collect();
        let sent = post(&stand, &device, &levels(&[&number.to_string()])).await;
        assert_eq!(sent.status(), 202, "{start}");
        assert_eq!(inbox.received().len(), number + 1, "{start}");
    }
}

// shows C16 K4 K5
#[tokio::test]
async fn an_answer_that_leads_elsewhere_or_is_none_keeps_the_batch_and_is_not_followed() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let other = Inbox::start().await;
    let device = begin(&stand, &inbox).await;
    let body = levels(&["1"]);
    let location: &str = format!("Location: {}\r\n", other.url()).leak();
    // MrZoller/vantage-point#49, mollie/api-documentation#602: the batch became a GET without a body
    // that was answered with 200; devlikeapro/waha#112
    for status in [301, 302, 303, 307, 308] {
        inbox.answers(move |_| Reply::Refuse(status, location));
        assert_eq!(deferred(&stand, &device, &body).await, 10, "{status}");
    }
    for status in [300, 304, 405, 415, 421, 426, 451, 501, 599] {
        inbox.answers(move |_| Reply::Refuse(status, ""));
        assert_eq!(deferred(&stand, &device, &body).await, 10, "{status}");
    }
    for answer in ["", "\r\n\r\n", "HTTP/1.1 202", "SSH-2.0-OpenSSH_9.2\r\n"] {
        inbox.answers(move |_| Reply::Say(answer.to_owned()));
        assert_eq!(deferred(&stand, &device, &body).await, 10, "{answer:?}");
    }
    // supabase/supabase-js#2634, mastra-ai/mastra#23778, acmesh-official/acme.sh#7201
    for (header, seconds) in [
        (
            "Date: Thu, 27 Aug 2026 11:10:53 GMT\r\nRetry-After: Thu, 27 Aug 2026 11:12:53 GMT\r\n",
            120,
        ),
        ("Retry-After: Thu, 27 Aug 2020 11:12:53 GMT\r\n", 1),
        ("Retry-After: 86400\r\n", 3600),
        ("Retry-After: 1.5\r\n", 2),
        ("Retry-After: -3\r\n", 10),
        ("Retry-After: soon\r\n", 10),
    ] {
        inbox.answers(move |_| Reply::Refuse(503, header));
        assert_eq!(deferred(&stand, &device, &body).await, seconds, "{header}");
    }
    assert_eq!(other.received().len(), 0, "a redirect was followed");
    inbox.answers(|_| Reply::Take);
    taken(&stand, &device, &body).await;
}

// shows C16 K5
#[tokio::test]
async fn a_provider_that_answers_before_it_has_read_the_batch_costs_no_event() {
    // dakrone/clj-http#277, psf/requests#2422, geventhttpclient/geventhttpclient#234
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let event = |number: usize| {
        let id = number.to_string();
        with(&id, "data", json!("x".repeat(2000)))
    };
    let body: Value = (0..100).map(event).collect();
    for status in [401, 503] {
        inbox.answers_early(Some(status));
        assert_eq!(deferred(&stand, &device, &body).await, 10, "{status}");
    }
    inbox.answers_early(None);
    assert_eq!(taken(&stand, &device, &body).await.0, 100);
    assert_eq!(inbox.kept().len(), 100);
    let wrong = post(&stand, &device, &json!("x")).await;
    assert_eq!(problem(wrong).await.0, 422);
}
