use serde_json::json;

use super::object::Existing;
use super::*;

mod odd;

const TYPE: Option<&str> = Some("application/cloudevents+json");

/// Returns an event of a start.
pub(super) fn started() -> Value {
    json!({
        "specversion": "1.0",
        "id": "9f0c1f34-7f3a-4d63-9b7e-2f9b7c1f0a11",
        "source": "https://crm.example",
        "type": "dev.entente.contract.started.v1",
        "subject": "acme-2027",
        "time": "2027-04-01T01:12:00Z",
        "data": {},
    })
}

pub(super) fn changed(pointer: &str, value: Value) -> Value {
    let mut event = started();
    put(&mut event, pointer, value);
    event
}

pub(super) fn put(event: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = event.pointer_mut(parent).expect("it is there");
    parent[name] = value;
}

pub(super) fn read(event: &Value) -> Result<ContractEvent, Problem> {
    ContractEvent::parse(TYPE, event.to_string().as_bytes())
}

pub(super) fn made(event: &Value) -> EventObject {
    let read = read(event).expect("a valid event");
    read.object("acme", "system:serviceaccount:crm:crm")
        .expect("an object")
}

// shows B2 K4
#[test]
fn each_type_of_event_becomes_its_object() {
    let notice = made(&started());
    assert_eq!(notice.plural, "contractnotices");
    assert_eq!(
        notice.object["spec"],
        json!({
            "contractRef": {"name": "acme-2027"},
            "type": "Started",
            "at": "2027-04-01T01:12:00Z",
            "source": "https://crm.example",
            "eventId": "9f0c1f34-7f3a-4d63-9b7e-2f9b7c1f0a11",
        })
    );
    let mut ended = changed("/type", json!("dev.entente.contract.ended.v1"));
    put(&mut ended, "/data/at", json!("2027-12-31T00:00:00Z"));
    let ended = made(&ended);
    assert_eq!(ended.object["spec"]["type"], "Ended");
    assert_eq!(ended.object["spec"]["at"], "2027-12-31T00:00:00Z");
    let mut change = changed("/type", json!("dev.entente.contract.changed.v1"));
    put(&mut change, "/data/effectiveDate", json!("2027-07-01"));
    let change = made(&change);
    assert_eq!(change.kind, "ContractAmendment");
    assert_eq!(
        change.object["spec"],
        json!({"contractRef": {"name": "acme-2027"}, "effectiveDate": "2027-07-01"})
    );
    let mut signed = changed("/type", json!("dev.entente.contract.signed.v1"));
    put(&mut signed, "/data/customer", json!({"id": "C-1"}));
    let signed = made(&signed);
    assert_eq!((signed.kind, &*signed.name), ("Contract", "acme-2027"));
    assert!(!signed.needs_contract);
    assert_eq!(signed.object["metadata"]["namespace"], "acme");
    assert_eq!(
        signed.object["metadata"]["annotations"][SENDER_ANNOTATION],
        "system:serviceaccount:crm:crm"
    );
}

// shows B2
#[test]
fn the_name_of_an_object_follows_from_source_and_id_and_fits() {
    let name = |event: &Value| made(event).name;
    let one = name(&started());
    // printf 'https://crm.example\0009f0c1f34-…' | sha256sum
    assert_eq!(one, "acme-2027-00ff851d30b3");
    assert_eq!(name(&changed("/time", json!("2027-04-01T02:00:00Z"))), one);
    assert_eq!(name(&changed("/extension", json!("x"))), one);
    assert_ne!(name(&changed("/id", json!("2"))), one);
    assert_ne!(name(&changed("/source", json!("https://erp.example"))), one);
    let long = name(&changed("/subject", json!("x".repeat(63))));
    assert_eq!(long.len(), 63);
    // The end of one and the beginning of the other are not mixed up.
    let ab = |source: &str, id: &str| {
        let mut event = changed("/source", json!(source));
        put(&mut event, "/id", json!(id));
        name(&event)
    };
    assert_ne!(ab("a", "bc"), ab("ab", "c"));
}

// shows B2
#[test]
fn an_object_that_exists_is_the_same_only_if_the_event_says_the_same() {
    let object = made(&started());
    assert_eq!(object.compare(&object.object), Existing::Same);
    // Members in another order, defaults of the server, and a status.
    let mut stored = object.object.clone();
    stored["spec"]["added"] = json!("by the server");
    stored["status"] = json!({});
    assert_eq!(object.compare(&stored), Existing::Same);
    let other = made(&changed("/time", json!("2027-04-02T01:12:00Z")));
    assert_eq!(other.compare(&object.object), Existing::Another);
    stored["metadata"]["annotations"] = json!({"other": "x"});
    assert_eq!(object.compare(&stored), Existing::Foreign);
}

/// A value of the event of a start that is refused, at its place, and a part of the answer.
type Refused = (&'static str, Value, &'static str);

fn refused() -> Vec<Refused> {
    let long = json!("x".repeat(254));
    let no_name = "name of a contract";
    let no_instant = "must be an instant";
    vec![
        ("/specversion", json!("0.3"), "must be \"1.0\""),
        ("/specversion", Value::Null, "must be set"),
        ("/specversion", json!(1), "must be a text"),
        ("/id", json!(""), "must be set"),
        ("/id", json!(7), "must be a text"),
        ("/id", long.clone(), "at most 253 characters"),
        ("/id", json!("a\u{0}b"), "no control characters"),
        ("/source", json!(""), "must be set"),
        ("/source", long, "at most 253 characters"),
        ("/source", json!(["x"]), "must be a text"),
        ("/subject", Value::Null, "must be set"),
        ("/subject", json!("Acme"), no_name),
        ("/subject", json!("a/b"), no_name),
        ("/subject", json!("../x"), no_name),
        ("/subject", json!("x".repeat(64)), no_name),
        ("/type", json!("started"), "dev.entente.contract.started.v1"),
        (
            "/type",
            json!("dev.entente.contract.started.v2"),
            "must be one of",
        ),
        ("/type", Value::Null, "must be set"),
        ("/time", json!("yesterday"), no_instant),
        ("/time", json!(1_700_000_000), no_instant),
        ("/time", json!("2027-02-30T00:00:00Z"), no_instant),
        ("/data", json!("text"), "must be an object"),
        ("/data", json!([1]), "must be an object"),
        ("/data_base64", json!("e30="), "must not be set"),
        ("/datacontenttype", json!("text/xml"), "application/json"),
        ("/Data", json!({}), "lower case letters and digits"),
        ("/at", json!("2027-04-01T00:00:00Z"), "must be within data"),
        ("/services", json!([]), "is within data"),
    ]
}

// shows B2 K4
#[test]
fn an_event_with_a_fault_is_refused_with_its_place_and_what_is_allowed() {
    for (pointer, value, part) in refused() {
        let problem = read(&changed(pointer, value.clone())).expect_err(pointer);
        let body = problem.body();
        assert_eq!(problem.status, 422, "{pointer} {value}: {body}");
        let found: Vec<&str> = problem.faults.iter().map(|it| &*it.pointer).collect();
        assert_eq!(found, [pointer], "{pointer} {value}: {body}");
        assert!(
            body.to_string().replace("\\\"", "\"").contains(part),
            "{body}"
        );
        assert_eq!(
            (&body["status"], &body["type"]),
            (&json!(422), &json!("about:blank"))
        );
    }
    let all = read(&json!({})).expect_err("nothing is set");
    assert_eq!(all.faults.len(), 5, "every fault at once: {:?}", all.faults);
}

// shows K4
#[test]
fn what_is_no_event_is_refused_before_it_is_looked_at() {
    let status = |content_type, body: &[u8]| {
        let read = ContractEvent::parse(content_type, body);
        read.map_or_else(|problem| problem.status, |_| 200)
    };
    let body = started().to_string();
    assert_eq!(status(TYPE, body.as_bytes()), 200);
    let with_charset = Some("Application/CloudEvents+JSON; charset=utf-8");
    assert_eq!(status(with_charset, body.as_bytes()), 200);
    for content_type in [
        None,
        Some("application/json"),
        Some("application/cloudevents-batch+json"),
    ] {
        assert_eq!(
            status(content_type, body.as_bytes()),
            415,
            "{content_type:?}"
        );
    }
    for text in ["", "{", "[]", "null", "\"x\"", "{\"id\":1}{}"] {
        assert_eq!(status(TYPE, text.as_bytes()), 400, "{text}");
    }
    assert_eq!(status(TYPE, b"\xff\xfe"), 400);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(status(TYPE, deep.as_bytes()), 400);
    assert_eq!(status(TYPE, " ".repeat(MOST_BYTES + 1).as_bytes()), 413);
}

// shows B2
#[test]
fn a_notice_has_an_instant_and_no_other_data_and_a_change_names_its_own_contract() {
    let refused = |event: &Value| {
        let read = read(event).expect("valid attributes");
        let problem = read
            .object("acme", "system:serviceaccount:crm:crm")
            .expect_err("no object");
        problem.faults[0].pointer.clone()
    };
    assert_eq!(refused(&changed("/time", Value::Null)), "/time");
    assert_eq!(refused(&changed("/data/at", json!("noon"))), "/data/at");
    assert_eq!(refused(&changed("/data/a~b", json!(1))), "/data/a~0b");
    let mut change = changed("/type", json!("dev.entente.contract.changed.v1"));
    put(
        &mut change,
        "/data/contractRef",
        json!({"name": "acme-2030"}),
    );
    assert_eq!(refused(&change), "/data/contractRef");
    put(
        &mut change,
        "/data/contractRef",
        json!({"name": "acme-2027"}),
    );
    assert_eq!(
        made(&change).object["spec"]["contractRef"]["name"],
        "acme-2027"
    );
}

// shows K4
#[test]
fn the_fields_that_the_api_server_names_have_their_place_in_the_event() {
    let notice = read(&started()).expect("valid");
    for (field, pointer) in [
        ("spec.at", "/time"),
        ("spec.source", "/source"),
        ("spec.eventId", "/id"),
        ("spec.contractRef.name", "/subject"),
        ("metadata.name", "/subject"),
        ("spec", "/data"),
    ] {
        assert_eq!(notice.pointer(field), pointer, "{field}");
    }
    let mut signed = started();
    put(
        &mut signed,
        "/type",
        json!("dev.entente.contract.signed.v1"),
    );
    let signed = read(&signed).expect("valid");
    for (field, pointer) in [
        ("spec.services[0].fee.amount", "/data/services/0/fee/amount"),
        ("spec.term", "/data/term"),
        ("spec.currency", "/data/currency"),
    ] {
        assert_eq!(signed.pointer(field), pointer, "{field}");
    }
}
