//! Events that others have met, or lost, by public reports; each with its verdict here.
//!
//! Reports of what is no matter of an event alone have their tests elsewhere: a token that a server
//! takes without knowing of audiences (kubernetes/kubernetes#62692), tokens in logs
//! (Mininglamp-OSS/octo-server#31), fields that a kind does not have and that are dropped
//! (knative/serving#376), and twice the same at the same moment (automagik-dev/omni#958) in
//! `contract_events` of the controllers and the end-to-end tests; a certificate that is renewed and not
//! used (cert-manager/cert-manager#1340) in the operator.

use serde_json::{Value, json};

use super::{TYPE, changed, made, put, read, started};
use crate::contract_event::ContractEvent;
use crate::contract_event::object::Existing;

/// A report, the media type, what differs from the event of a start, and the verdict: the kind that it
/// becomes, or the status of the answer.
type Odd = (
    &'static str,
    Option<&'static str>,
    &'static [Change],
    Result<&'static str, u16>,
);

/// The place and the value of what differs.
type Change = (&'static str, fn() -> Value);

const NOTICE: Result<&str, u16> = Ok("ContractNotice");

const ODD: &[Odd] = &[
    (
        "cloudevents/sdk-java#503: a type of the data with a charset is JSON all the same",
        TYPE,
        &[("/datacontenttype", || {
            json!("application/json; charset=utf-8")
        })],
        NOTICE,
    ),
    (
        "cloudevents/spec#702: null is as if the attribute were left out",
        TYPE,
        &[
            ("/data", || json!({"at": "2027-04-01T01:12:00Z"})),
            ("/time", || Value::Null),
            ("/datacontenttype", || Value::Null),
        ],
        NOTICE,
    ),
    (
        "cloudevents/spec#702: also a null that has to be there",
        TYPE,
        &[("/source", || Value::Null)],
        Err(422),
    ),
    (
        "cloudevents/sdk-javascript#441: without a type of the data it is JSON",
        TYPE,
        &[],
        NOTICE,
    ),
    (
        "cloudevents/sdk-go#483: without a media type it was answered with 200 and dropped",
        None,
        &[],
        Err(415),
    ),
    (
        "cloudevents/sdk-java#362: a form of events that is not known is none of the known ones",
        Some("application/cloudevents+avro"),
        &[],
        Err(415),
    ),
    (
        "cloudevents/sdk-python#63: an event in JSON whose media type says JSON alone",
        Some("application/json"),
        &[],
        Err(415),
    ),
    (
        "cloudevents/spec#835: a subject that names something else than a contract",
        TYPE,
        &[("/subject", || json!("crn:///kafka=JAlahGL"))],
        Err(422),
    ),
    (
        "cloudevents/spec#307: an event without an instant",
        TYPE,
        &[("/time", || Value::Null), ("/data", || Value::Null)],
        Err(422),
    ),
    (
        "cloudevents/sdk-javascript#133: extension attributes of gateways on the way",
        TYPE,
        &[
            ("/knativearrivaltime", || {
                json!("2021-11-17T22:48:50.315578709Z")
            }),
            ("/traceparent", || {
                json!("00-73df58d7c1383e17dabe515dfd68d05a-b00799e628f49cbe-00")
            }),
            ("/partitionkey", || json!(23)),
        ],
        NOTICE,
    ),
    (
        "a trial by a newcomer: a misspelt data ended a contract at once, in place of next year",
        TYPE,
        &[("/Data", || json!({"at": "2028-12-31T00:00:00Z"}))],
        Err(422),
    ),
    (
        "the same, with the instant beside the data",
        TYPE,
        &[("/at", || json!("2028-12-31T00:00:00Z"))],
        Err(422),
    ),
    (
        "what is said of a contract beside the data",
        TYPE,
        &[("/services", || json!([{"name": "backup"}]))],
        Err(422),
    ),
];

fn event(changes: &[Change]) -> Value {
    let mut event = started();
    for (pointer, value) in changes {
        put(&mut event, pointer, value());
    }
    event
}

// shows B2 K4
#[test]
fn events_that_others_have_met_have_their_right_verdict() {
    for (report, media_type, changes, verdict) in ODD {
        let event = event(changes).to_string();
        let read = ContractEvent::parse(*media_type, event.as_bytes());
        let found = read.and_then(|event| event.object("acme", "crm"));
        let found = found
            .map(|object| object.kind)
            .map_err(|problem| problem.status);
        assert_eq!(found, *verdict, "{report}: {event}");
    }
}

// shows B2
#[test]
fn an_id_is_one_event_for_ever_and_two_ids_are_two() {
    // MicrosoftDocs/azure-docs#15127: the same id a day later, with another content.
    let first = made(&started());
    let later = made(&changed("/time", json!("2027-04-02T01:12:00Z")));
    assert_eq!(later.name, first.name);
    assert_eq!(later.compare(&first.object), Existing::Another);
    // Vexa-ai/vexa#519: one start under two ids is two notices, of which the contract takes the first.
    let again = made(&changed("/id", json!("another")));
    assert_ne!(again.name, first.name);
    // muxinc/mux-node-sdk#83: what is sent again may differ in what says nothing of the contract.
    let again = read(&changed("/attempt", json!(2))).expect("a valid event");
    let again = again.object("acme", "another sender").expect("an object");
    assert_eq!(again.compare(&first.object), Existing::Same);
}

// shows K4
#[test]
fn a_member_that_is_there_twice_is_refused_at_any_depth() {
    // serde-rs/json#762: the last one wins, and another reader takes the first.
    let event = started().to_string();
    let twice = event.replacen('{', r#"{"subject":"acme-2027","#, 1);
    let deep = event.replace(r#""data":{}"#, r#""data":{"services":[{"fee":1,"fee":2}]}"#);
    for text in [twice, deep] {
        let problem = ContractEvent::parse(TYPE, text.as_bytes()).expect_err("it is there twice");
        assert_eq!(problem.status, 400, "{text}");
        assert!(
            problem.detail.contains("a member is there twice at line 1"),
            "{problem:?}"
        );
    }
    let numbers = r#"{"a":[1,-1,1.5,null,true,"x",18446744073709551615]}"#;
    let read = crate::strict_json::read(numbers.as_bytes()).expect("JSON");
    assert_eq!(read.to_string(), numbers);
}
