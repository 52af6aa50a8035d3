//! Cases of events. Their kind is one that no service wants, so that no provider gets anything from a test.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Bench, Title,
    device::FOREIGN,
    json as body_of, path,
    rules::{member, not_allowed, pointed, refused, status},
    with_body,
};
use crate::{
    answer::{self, Answer},
    api::{EventsTaken, Registered},
    http::{Request, Token},
};

const SECTION: &str = "/v1/devices/{printerId}/events";
const BATCH: &str = "application/cloudevents-batch+json";

pub(super) async fn run(bench: &mut Bench) {
    batches(bench).await;
    strangers(bench).await;
    faults(bench).await;
    malformed(bench).await;
}

fn post(link: &str, body: &Value) -> Request<'static> {
    with_body(Method::POST, link, BATCH, &body.to_string())
}

/// An event that nobody wants.
fn event(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.check.none",
        "time": "2027-04-01T00:00:02Z", "subject": "check", "sequence": "0000001", "data": {}})
}

/// An event with another member, or without one where the value is null.
fn with(name: &str, value: &Value) -> Value {
    let mut event = event("check-1");
    let members = event.as_object_mut().expect("an object");
    members.remove(name);
    if !value.is_null() {
        members.insert(name.into(), value.clone());
    }
    event
}

/// An answer to events of which nobody wants one.
fn nobody_wants(answer: &Answer, ids: &[&str]) -> Result<(), String> {
    status(answer, 202)?;
    let read: EventsTaken = answer::body(answer).map_err(|failure| failure.to_string())?;
    let body = body_of(answer)?;
    let reasons = ids
        .iter()
        .map(|id| json!({"id": id, "reason": "NotRequested"}));
    let reasons: Vec<Value> = reasons.collect();
    member(&body, "/refused", &json!(reasons))?;
    member(&body, "/accepted", &json!(0))?;
    member(&body, "/activations", &json!([]))?;
    if read.poll.next.0.is_zero() {
        return Err("poll.next is no time to come again".into());
    }
    Ok(())
}

async fn batches(bench: &mut Bench) {
    let required = "202 with accepted, refused, activations and poll.next";
    let title: Title = ("events-none", SECTION, required);
    let request = |device: &_| post(&path(device, "/events"), &json!([]));
    bench
        .of_device(title, request, |answer| nobody_wants(answer, &[]))
        .await;
    let required = "202: each event that nobody wants is refused, in the order of the batch";
    let title: Title = ("events-that-nobody-wants", SECTION, required);
    let batch = json!([event("check-2"), event("check-1")]);
    let request = |device: &_| post(&path(device, "/events"), &batch);
    let rule = |answer: &Answer| nobody_wants(answer, &["check-2", "check-1"]);
    bench.of_device(title, request, rule).await;
    let required = "202: the event is refused, and the batch is not";
    let title: Title = ("events-for-a-service-of-nobody", SECTION, required);
    let mut foreign = event("check-3");
    foreign["applicationid"] = json!("check.none");
    let request = |device: &_| post(&path(device, "/events"), &json!([foreign]));
    let rule = |answer: &Answer| nobody_wants(answer, &["check-3"]);
    bench.of_device(title, request, rule).await;
    let required =
        "202: a member that is null is absent, and the id of the device may be the source";
    let title: Title = ("events-with-absent-members", SECTION, required);
    let request = |device: &Registered| {
        let id = &device.printer_id;
        let sparse = json!([{"specversion": "1.0", "id": "check-4", "type": "dev.entente.check.none",
            "source": format!("urn:uuid:{id}"), "subject": null, "data": null}]);
        post(&path(device, "/events"), &sparse)
    };
    let rule = |answer: &Answer| nobody_wants(answer, &["check-4"]);
    bench.of_device(title, request, rule).await;
    let required = "202, the same answer again";
    let title: Title = ("events-again", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = again(bench, &device).await;
        bench.ends(title, result);
    }
}

/// The same batch twice, as after a lost answer.
async fn again(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    for _ in 0..2 {
        let request = post(&path(device, "/events"), &json!([event("check-5")]));
        let request = Request {
            token: Token::Bearer(&device.credential.token),
            ..request
        };
        nobody_wants(&bench.send(request).await?, &["check-5"])?;
    }
    Ok(())
}

async fn strangers(bench: &mut Bench) {
    let link = format!("{FOREIGN}/events");
    let required = "403 DeviceMismatch: no answer tells which devices there are";
    let title: Title = ("events-of-another-device", SECTION, required);
    let request = |_: &_| post(&link, &json!([event("check-1")]));
    let rule = |answer: &Answer| refused(answer, 403, "DeviceMismatch");
    bench.of_device(title, request, rule).await;
    let title: Title = ("events-without-a-token", SECTION, "401 CredentialInvalid");
    let request = post(&link, &json!([event("check-1")]));
    let rule = |answer: &Answer| refused(answer, 401, "CredentialInvalid");
    bench.one(title, request, rule).await;
}

/// A batch with faults: its name, its body, and the pointers to its faults.
type Faulty = (&'static str, Value, &'static [&'static str]);

fn with_faults() -> [Faulty; 11] {
    let many: Vec<Value> = (0..257).map(|at| event(&format!("check-{at}"))).collect();
    let one = |name: &str, value: Value| json!([with(name, &value)]);
    let foreign = json!("urn:uuid:00000000-0000-5000-8000-000000000000");
    [
        (
            "events-without-a-version",
            one("specversion", Value::Null),
            &["/0/specversion"],
        ),
        (
            "events-of-another-version",
            one("specversion", json!("0.3")),
            &["/0/specversion"],
        ),
        ("events-without-an-id", one("id", Value::Null), &["/0/id"]),
        (
            "events-of-another-type",
            one("type", json!("com.example.none")),
            &["/0/type"],
        ),
        (
            "events-from-another-source",
            one("source", foreign),
            &["/0/source"],
        ),
        (
            "events-at-no-instant",
            one("time", json!("yesterday")),
            &["/0/time"],
        ),
        (
            "events-with-an-unknown-member",
            one("aplicationid", json!("x")),
            &["/0/aplicationid"],
        ),
        (
            "events-with-data-in-base64",
            one("data_base64", json!("e30=")),
            &["/0/data_base64"],
        ),
        (
            "events-with-two-faults",
            json!([
                event("check-1"),
                with("id", &json!("")),
                with("time", &json!(7))
            ]),
            &["/1/id", "/2/time"],
        ),
        ("events-that-are-too-many", json!(many), &[""]),
        ("events-that-are-no-list", event("check-1"), &[""]),
    ]
}

async fn faults(bench: &mut Bench) {
    for (name, body, pointers) in with_faults() {
        let required = "422 InvalidRequest with a pointer to each fault";
        let request = |device: &_| post(&path(device, "/events"), &body);
        let rule = |answer: &Answer| pointed(answer, "InvalidRequest", pointers);
        bench
            .of_device((name, SECTION, required), request, rule)
            .await;
    }
}

async fn malformed(bench: &mut Bench) {
    let long = format!("[{}]", " ".repeat(262_144));
    let cases = [
        ("events-that-are-no-json", BATCH, "[{", 400, "BadRequest"),
        (
            "events-as-json",
            "application/json",
            "[]",
            415,
            "UnsupportedMediaType",
        ),
        (
            "events-one-by-one",
            "application/cloudevents+json",
            "{}",
            415,
            "UnsupportedMediaType",
        ),
        ("events-that-are-too-long", BATCH, &long, 413, "TooLarge"),
    ];
    for (name, media, body, required, reason) in cases {
        let title: Title = (name, SECTION, "the status of this fault, and its reason");
        let request = |device: &_| with_body(Method::POST, &path(device, "/events"), media, body);
        let rule = |answer: &Answer| refused(answer, required, reason);
        bench.of_device(title, request, rule).await;
    }
    let title: Title = ("events-by-get", SECTION, "405 with Allow: POST");
    let request = |device: &_| Request::get(&path(device, "/events"), Token::None);
    bench
        .of_device(title, request, |answer| not_allowed(answer, "POST"))
        .await;
}
