//! Refusals of the endpoint: by whom, of what, and the field that they name; nothing is made.

use std::time::Duration;

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::{TestNamespace, now};
use reqwest::Method;
use serde_json::{Value, json};

use super::sender::{Sender, event};
use crate::delivery_fixture::test_namespace;
use crate::security::canary::places_with;

const NOTICES: &str = "contractnotices.entente.dev";

/// Returns a contract that starts tomorrow.
fn contract_to_come(namespace: &TestNamespace<'_>, name: &str) -> Contract {
    let entry = namespace.entry("parts", "parts-life", &["absent"], "1h");
    namespace.contract(name, now() + Duration::from_hours(24), vec![entry])
}

// shows K4
#[tokio::test]
async fn who_is_not_known_or_may_not_is_not_let_in_and_no_token_is_told() {
    let namespace = test_namespace("callers").await;
    let contract = contract_to_come(&namespace, "callers");
    namespace.apply(&contract).await.unwrap();
    let started = event("started", "1", "callers", json!({}));
    // A token for the API server, which it takes itself, is none for the endpoint.
    let sender = Sender::of_audience(&namespace, None).await;
    let answer = sender.send(&started).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (401, "Unauthorized"),
        "{answer:?}"
    );
    assert!(answer.headers.contains_key("www-authenticate"));
    let own = sender
        .kubectl(&["create", "token", "crm", "--audience=entente"])
        .await;
    let own = own.trim();
    let path = sender.path();
    for token in ["", "x", &format!("{own}x")] {
        let answer = sender.send_as(token, &path, &started).await;
        assert_eq!(answer.status, 401, "{token}");
    }
    // It is known, and may nothing yet.
    let answer = sender.send_as(own, &path, &started).await;
    assert_eq!(
        (answer.status, answer.reason()),
        (403, "Forbidden"),
        "{answer:?}"
    );
    sender.allow(NOTICES).await;
    let allowed = namespace.soon("a right that was given is seen", async || {
        let answer = sender.send_as(own, &path, &started).await;
        if answer.status == 403 {
            return None;
        }
        assert_eq!(answer.status, 201, "{answer:?}");
        Some(())
    });
    allowed.await.unwrap();
    // A right in one namespace is none in another, and none to other kinds.
    let other = test_namespace("callers-other").await;
    let there = format!("/v1/namespaces/{}/events", other.name());
    assert_eq!(sender.send_as(own, &there, &started).await.status, 403);
    let signed = event("signed", "2", "new", json!({}));
    assert_eq!(sender.send_as(own, &path, &signed).await.status, 403);
    let tokens = [sender.token.clone(), own.to_owned()];
    assert_eq!(places_with(&namespace, &tokens).await, Vec::<String>::new());
}

/// Returns the specs of contracts with a fault, and its place in the event.
fn contracts_with_a_fault(contract: &Contract) -> Vec<(Value, &'static str)> {
    let spec = serde_json::to_value(&contract.spec).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut spec = spec.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[name] = value;
        spec
    };
    vec![
        (with("/currency", json!("reais")), "/data/currency"),
        (
            with("/services/0/fee/per", json!("Week")),
            "/data/services/0/fee/per",
        ),
        (with("/servicez", json!([])), "/data/servicez"),
        (with("/term/endDate", json!("soon")), "/data/term/endDate"),
    ]
}

// shows B2 K4
#[tokio::test]
async fn an_event_that_cannot_be_taken_says_which_field_and_makes_nothing() {
    let namespace = test_namespace("faults").await;
    let all = "contracts.entente.dev,contractamendments.entente.dev,contractnotices.entente.dev";
    let sender = Sender::new(&namespace, all).await;
    let contract = contract_to_come(&namespace, "faults");
    namespace.apply(&contract).await.unwrap();
    let answer = sender
        .send(&event("started", "1", "absent", json!({})))
        .await;
    assert_eq!(
        (answer.status, answer.reason()),
        (404, "ContractNotFound"),
        "{answer:?}"
    );

    let entries = json!([{"name": "parts"}]);
    let amendments = [
        (json!({}), "/data/services"),
        (
            json!({"effectiveDate": "2027-02-30", "services": entries}),
            "/data/effectiveDate",
        ),
        (
            json!({"effectiveDate": "2027-03-01", "fees": []}),
            "/data/fees",
        ),
    ];
    let changed = amendments.into_iter().map(|it| ("changed", "faults", it));
    let signed = contracts_with_a_fault(&contract).into_iter();
    let signed = signed.map(|it| ("signed", "new", it));
    let ended = [("ended", "faults", (json!({"at": "noon"}), "/data/at"))];
    let faults = changed.chain(signed).chain(ended);
    for (number, (r#type, subject, (data, pointer))) in faults.enumerate() {
        let event = event(r#type, &number.to_string(), subject, data);
        let answer = sender.send(&event).await;
        let what = format!("{event}\n{answer:?}");
        assert_eq!((answer.status, answer.reason()), (422, "Invalid"), "{what}");
        assert_eq!(answer.pointers(), [pointer], "{what}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let kinds = "contracts,contractamendments,contractnotices";
    let all = sender.kubectl(&["get", kinds, "-o", "name"]).await;
    assert_eq!(all.trim(), "contract.entente.dev/faults");
}

// shows K4
#[tokio::test]
async fn a_path_that_is_none_of_the_endpoint_leads_nowhere_else() {
    let namespace = test_namespace("paths").await;
    let sender = Sender::new(&namespace, NOTICES).await;
    let event = event("started", "1", "paths", json!({}));
    for (path, status, reason) in [
        ("/", 404, "NotFound"),
        ("/v1/namespaces/acme", 404, "NotFound"),
        (&format!("{}/", sender.path()), 404, "NotFound"),
        (
            "/v1/namespaces/..%2f..%2fapi/events",
            404,
            "NamespaceNotFound",
        ),
        (
            "/v1/namespaces/acme%3fdryRun=All/events",
            404,
            "NamespaceNotFound",
        ),
        ("/v1/namespaces/%ff/events", 404, "NamespaceNotFound"),
        // It may not even ask if there is one.
        ("/v1/namespaces/absent/events", 403, "Forbidden"),
    ] {
        let answer = sender.send_as(&sender.token, path, &event).await;
        let found = (answer.status, answer.reason());
        assert_eq!(found, (status, reason), "{path} {answer:?}");
    }
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ] {
        let answer = sender
            .ask(sender.bare(method.clone(), &sender.path()))
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    // In clear text there is nothing.
    let plain = sender.endpoint.url().replace("https", "http") + &sender.path();
    assert!(reqwest::get(plain).await.is_err());
}

// shows K4
#[tokio::test]
async fn a_body_that_is_none_of_an_event_is_refused() {
    let namespace = test_namespace("bodies").await;
    let sender = Sender::new(&namespace, NOTICES).await;
    let body = event("started", "1", "bodies", json!({})).to_string();
    let path = sender.path();
    let untyped = || sender.bare(Method::POST, &path).bearer_auth(&sender.token);
    let of_json = || untyped().header("content-type", "application/json");
    let typed = || untyped().header("content-type", "application/cloudevents+json");
    for (request, status) in [
        (untyped().body(body.clone()), 415),
        (of_json().body(body), 415),
        (typed().body("{"), 400),
        (typed().body(""), 400),
        (typed().body("x".repeat(64 * 1024 + 1)), 413),
    ] {
        let answer = sender.ask_until_taken(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
