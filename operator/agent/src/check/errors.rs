//! Cases of errors that a device tells. The error is one that no model lists, and it is over at the end, so
//! that nothing is ordered for a test.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Bench, Title, json as body_of, path,
    rules::{member, pointed, status},
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
    let required = "202: the error stands in the twin, also when it is told again; where the model of \
        the device lists no errors, each event is refused as NotRequested";
    let title: Title = ("error-raised-and-cleared", SECTION, required);
    if let Some(device) = bench.device(title).await {
        let result = told(bench, &device).await;
        bench.ends(title, result);
    }
    faults(bench).await;
}

fn event(id: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.error", "subject": "check",
        "sequence": id, "data": data})
}

async fn told(bench: &mut Bench, device: &Registered) -> Result<(), String> {
    let raised = json!({"state": "Raised", "reason": "check.none", "impressions": 7});
    let cleared = json!({"state": "Cleared", "reason": "check.none", "replaced": false});
    let first = json!([event("check-e1", &raised)]);
    let both = json!([event("check-e1", &raised), event("check-e2", &cleared)]);
    let mut kept = Vec::new();
    for (batch, ids) in [
        (&first, &["check-e1"][..]),
        (&first, &["check-e1"]),
        (&both, &["check-e1", "check-e2"]),
    ] {
        let request = with_body(
            Method::POST,
            &path(device, "/events"),
            BATCH,
            &batch.to_string(),
        );
        let request = Request {
            token: Token::Bearer(&device.credential.token),
            ..request
        };
        kept.push(is_kept(&bench.send(request).await?, ids)?);
    }
    if kept.iter().any(|it| *it != kept[0]) {
        return Err("an error is refused once, and kept at another time".into());
    }
    Ok(())
}

/// True if all events are kept, and false if all are refused because the model lists no errors.
fn is_kept(answer: &Answer, ids: &[&str]) -> Result<bool, String> {
    status(answer, 202)?;
    let read: EventsTaken = answer::body(answer).map_err(|failure| failure.to_string())?;
    let body = body_of(answer)?;
    let is_kept = read.refused.is_empty();
    let refused: Vec<Value> = ids
        .iter()
        .filter(|_| !is_kept)
        .map(|id| json!({"id": id, "reason": "NotRequested"}))
        .collect();
    member(&body, "/refused", &json!(refused))?;
    member(&body, "/accepted", &json!(ids.len() - refused.len()))?;
    Ok(is_kept)
}

/// Data with a fault: a name of the case, the data, and the pointer to the fault.
fn with_faults() -> [(&'static str, Value, &'static str); 8] {
    let with = |member: &str, value: Value| {
        let mut data = json!({"state": "Raised", "reason": "check.none"});
        data[member] = value;
        data
    };
    [
        ("error-without-data", Value::Null, "/0/data"),
        (
            "error-without-a-reason",
            json!({"state": "Raised"}),
            "/0/data/reason",
        ),
        (
            "error-without-a-state",
            json!({"reason": "check.none"}),
            "/0/data/state",
        ),
        (
            "error-in-an-unknown-state",
            with("state", json!("Open")),
            "/0/data/state",
        ),
        (
            "error-with-an-odd-reason",
            with("reason", json!("no toner")),
            "/0/data/reason",
        ),
        (
            "error-with-a-text-for-pages",
            with("impressions", json!("7")),
            "/0/data/impressions",
        ),
        (
            "error-with-a-text-for-a-request",
            with("orderRequested", json!("no")),
            "/0/data/orderRequested",
        ),
        (
            "error-with-an-unknown-member",
            with("orderRequsted", json!(true)),
            "/0/data/orderRequsted",
        ),
    ]
}

async fn faults(bench: &mut Bench) {
    for (name, data, pointer) in with_faults() {
        let required = "422 InvalidRequest with a pointer to the fault";
        let batch = json!([event("check-e3", &data)]).to_string();
        let request = |device: &_| with_body(Method::POST, &path(device, "/events"), BATCH, &batch);
        let rule = |answer: &Answer| pointed(answer, "InvalidRequest", &[pointer]);
        bench
            .of_device((name, SECTION, required), request, rule)
            .await;
    }
}
