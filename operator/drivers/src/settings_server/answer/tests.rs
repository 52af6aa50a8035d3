use entente_domain::remote::FailureKind as Kind;
use serde_json::{Value as Json, json};

use super::*;
use crate::text::tests::{NOTHING, tenants_secret};

fn answered(status: u16, body: &Json) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        body: body.to_string().into(),
        ..Answer::default()
    }
}

fn problem(reason: &str) -> Json {
    json!({
        "type": "about:blank", "title": "Not taken", "status": 422, "reason": reason,
        "errors": [{"pointer": "/value", "detail": "must be an https URL"}],
    })
}

// shows K7
#[test]
fn each_status_of_a_write_has_its_kind_and_says_if_it_leaves_a_doubt() {
    let none = json!(null);
    for (status, body, kind, doubtful) in [
        (301, &none, Kind::ProtocolError, false),
        (400, &none, Kind::ProtocolError, false),
        (400, &problem("InvalidValue"), Kind::RejectedValue, false),
        (401, &none, Kind::Unauthorized, false),
        (403, &none, Kind::Unauthorized, false),
        (404, &none, Kind::Unsupported, false),
        (405, &none, Kind::RejectedNotSettable, false),
        (408, &none, Kind::TimedOut, false),
        (409, &none, Kind::Concurrent, false),
        (409, &problem("ReadOnly"), Kind::RejectedNotSettable, false),
        (413, &none, Kind::ProtocolError, false),
        (422, &none, Kind::RejectedValue, false),
        (422, &problem("Whatever"), Kind::RejectedValue, false),
        (422, &problem("UnknownSetting"), Kind::Unsupported, false),
        (428, &none, Kind::ProtocolError, false),
        (429, &none, Kind::Busy, false),
        (500, &none, Kind::ProtocolError, true),
        (503, &none, Kind::Busy, false),
        (206, &none, Kind::ProtocolError, true),
    ] {
        let failure = failure_of_write(&answered(status, body), NOTHING);
        let found = (failure.kind, failure.doubtful);
        assert_eq!(found, (kind, doubtful), "{status} {body}");
    }
}

// shows K7
#[test]
fn each_status_of_a_reading_has_its_kind_and_leaves_no_doubt() {
    for (status, kind) in [
        (204, Kind::ProtocolError),
        (304, Kind::ProtocolError),
        (401, Kind::Unauthorized),
        (404, Kind::ProtocolError),
        (410, Kind::ProtocolError),
        (422, Kind::ProtocolError),
        (429, Kind::Busy),
        (500, Kind::ProtocolError),
        (503, Kind::Busy),
    ] {
        let failure = failure_of_reading(&answered(status, &json!(null)), NOTHING);
        assert_eq!((failure.kind, failure.doubtful), (kind, false), "{status}");
    }
}

// shows K4
#[test]
fn the_words_of_a_problem_are_quoted_without_secrets_and_those_of_an_odd_answer_not_at_all() {
    let secrets = tenants_secret("s3cr3t-of-the-tenant");
    let private = PrivateTexts {
        secrets: Some(&secrets),
        ..NOTHING
    };
    let mut refused = problem("InvalidValue");
    refused["detail"] = "s3cr3t-of-the-tenant is too short".into();
    let failure = failure_of_write(&answered(422, &refused), private);
    let said = "HTTP 422 Unprocessable Entity: [redacted] is too short; must be an https URL";
    assert_eq!(failure.message, said);
    let failure = failure_of_write(&answered(500, &refused), private);
    assert!(failure.message.ends_with(NOT_SHOWN), "{failure:?}");
}

#[test]
fn the_state_of_an_operation_is_told_by_the_words_of_the_document_alone() {
    let state = |body: Json| operation_state(&answered(200, &body), NOTHING);
    assert!(matches!(
        state(json!({"state": "Running"})),
        Some(OperationState::Running)
    ));
    assert!(matches!(
        state(json!({"state": "Succeeded"})),
        Some(OperationState::Succeeded)
    ));
    let failed = state(json!({"state": "Failed", "problem": problem("ReadOnly")}));
    let Some(OperationState::Failed(failure)) = failed else {
        panic!("{failed:?}");
    };
    assert_eq!(failure.kind, Kind::RejectedNotSettable);
    for odd in [json!({"state": "done"}), json!([]), json!({"state": 7})] {
        assert!(state(odd.clone()).is_none(), "{odd}");
    }
    let gone = operation_state(&answered(404, &json!({"state": "Running"})), NOTHING);
    assert!(gone.is_none(), "{gone:?}");
}
