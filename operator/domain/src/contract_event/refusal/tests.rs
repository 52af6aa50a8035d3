use serde_json::json;

use super::*;
use crate::contract_event::tests::{changed, made, put, read, started};

fn refused(event: &serde_json::Value, refusal: &Refusal) -> Problem {
    let event_read = read(event).expect("a valid event");
    event_read.refused(&made(event), "acme", refusal)
}

fn refusal(code: u16, message: &str) -> Refusal {
    Refusal {
        code,
        message: message.to_owned(),
        ..Refusal::default()
    }
}

// shows K4
#[test]
fn what_the_api_server_says_of_a_field_is_told_at_the_field_of_the_event() {
    let mut change = changed("/type", json!("dev.entente.contract.changed.v1"));
    put(&mut change, "/data/effectiveDate", json!("2027-07-32"));
    let mut said = refusal(422, "ContractAmendment is invalid");
    said.causes = vec![
        ("spec.effectiveDate".to_owned(), "must be a day".to_owned()),
        ("spec.services[1].fee".to_owned(), "x\n".repeat(5_000)),
        (
            "<nil>".to_owned(),
            "Invalid value: null: some validation rules were not checked".to_owned(),
        ),
    ];
    let problem = refused(&change, &said);
    assert_eq!(problem.status, 422);
    let pointers: Vec<&str> = problem.faults.iter().map(|it| &*it.pointer).collect();
    assert_eq!(pointers, ["/data/effectiveDate", "/data/services/1/fee"]);
    assert!(problem.faults[1].detail.len() <= MOST_OF_MESSAGE);
    assert!(!problem.faults[1].detail.contains('\n'));
    // A policy of the cluster names no field.
    let problem = refused(&change, &refusal(422, "policy x denied request: no"));
    assert_eq!(problem.faults[0].pointer, "/data");
    assert!(problem.faults[0].detail.contains("denied request: no"));
}

// shows K4
#[test]
fn a_field_that_the_kind_does_not_have_is_refused_not_dropped() {
    let change = changed("/type", json!("dev.entente.contract.changed.v1"));
    let said = "ContractAmendment in version \"v1alpha1\" cannot be handled as a ContractAmendment: strict decoding error: unknown field \"spec.fees\", unknown field \"spec.services[0].prize\"";
    let problem = refused(&change, &refusal(400, said));
    assert_eq!(problem.status, 422);
    let faults: Vec<(&str, &str)> = problem
        .faults
        .iter()
        .map(|it| (&*it.pointer, &*it.detail))
        .collect();
    assert_eq!(
        faults,
        [
            ("/data/fees", "is unknown"),
            ("/data/services/0/prize", "is unknown")
        ]
    );
    let problem = refused(&change, &refusal(400, "json: cannot unmarshal"));
    assert_eq!(problem.faults[0].pointer, "/data");
}

// shows K4
#[test]
fn only_a_refusal_that_does_not_end_by_itself_blames_the_sender() {
    let denied = "contractnotices.entente.dev is forbidden: User \"system:serviceaccount:entente-system:entente\" cannot create resource";
    let quota = "exceeded quota: contracts";
    for (said, status, retry) in [
        (refusal(403, denied), 503, Some(AGAIN)),
        (refusal(403, quota), 403, None),
        (refusal(404, "404 page not found"), 503, Some(AGAIN)),
        (refusal(409, "a conflict"), 503, Some(AGAIN)),
        (refusal(413, "too large"), 413, None),
        (refusal(429, "too many requests"), 503, Some(AGAIN)),
        (refusal(500, "etcd"), 503, Some(AGAIN)),
        (
            Refusal {
                retry_after: 17,
                ..refusal(503, "")
            },
            503,
            Some(17),
        ),
    ] {
        let problem = refused(&started(), &said);
        assert_eq!(
            (problem.status, problem.retry_after),
            (status, retry),
            "{said:?}"
        );
    }
    let mut gone = refusal(404, "namespaces \"acme\" not found");
    gone.of = "namespaces".to_owned();
    let problem = refused(&started(), &gone);
    assert_eq!((problem.status, problem.reason), (404, "NamespaceNotFound"));
}
