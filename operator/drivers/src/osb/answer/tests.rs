//! The table, row by row.

use serde_json::json;

use super::*;
use crate::text::tests::{NOTHING, tenants_secret};

fn answer(asked: Asked, status: u16, body: &str) -> Result<Outcome, Failure> {
    let Ok(status) = StatusCode::from_u16(status) else {
        panic!("no such status: {status}")
    };
    judge(asked, status, body.as_bytes(), None, NOTHING)
}

fn done(body: Value) -> Outcome {
    let Value::Object(body) = body else {
        panic!("an object is needed")
    };
    Outcome::Done {
        body,
        retry_after: None,
    }
}

fn under_way(operation: Option<&str>) -> Outcome {
    Outcome::UnderWay {
        operation: operation.map(str::to_owned),
        retry_after: None,
    }
}

/// A row that ends well.
macro_rules! well {
    ($name:ident, $asked:ident, $status:literal, $body:literal => $outcome:expr) => {
        #[test]
        fn $name() {
            assert_eq!(answer(Asked::$asked, $status, $body), Ok($outcome));
        }
    };
}

/// A row that ends as a failure of this kind, doubtful or not.
macro_rules! ill {
    ($name:ident, $asked:ident, $status:literal, $body:literal => $kind:ident, doubtful $doubtful:literal) => {
        #[test]
        fn $name() {
            let failure = answer(Asked::$asked, $status, $body).unwrap_err();
            assert_eq!(
                (failure.kind, failure.doubtful),
                (FailureKind::$kind, $doubtful)
            );
        }
    };
}

// shows B7: the rows of "Orphan Mitigation".
well!(row_01_200_well_formed_was_there_already, Provision, 200, "{}" => Outcome::Existed);
well!(row_01_200_well_formed_is_done, Update, 200, "{}" => done(json!({})));
ill!(row_02_200_malformed_made_nothing_to_clean_up, Provision, 200, "" => ProtocolError, doubtful false);
well!(row_03_201_well_formed_is_done, Provision, 201, r#"{"dashboard_url":"x"}"# => done(json!({"dashboard_url": "x"})));
ill!(row_04_201_malformed_leaves_a_doubt, Provision, 201, "<html>" => ProtocolError, doubtful true);
well!(row_05_202_well_formed_is_under_way, Provision, 202, r#"{"operation":"o1"}"# => under_way(Some("o1")));
ill!(row_06_202_malformed_leaves_a_doubt, Provision, 202, r#"{"operation":7}"# => ProtocolError, doubtful true);
ill!(row_07_any_other_2xx_leaves_a_doubt, Provision, 204, "{}" => ProtocolError, doubtful true);
ill!(row_08_408_was_never_taken_up, Provision, 408, "{}" => TimedOut, doubtful false);
ill!(row_09_409_is_a_conflict, Provision, 409, "{}" => Conflict, doubtful false);
ill!(row_10_422_concurrency_error_is_concurrent, Update, 422, r#"{"error":"ConcurrencyError"}"# => Concurrent, doubtful false);
ill!(row_11_422_async_required_is_a_rejection, Provision, 422, r#"{"error":"AsyncRequired"}"# => RejectedValue, doubtful false);
ill!(row_12_422_for_any_other_reason_is_a_rejection, Provision, 422, "" => RejectedValue, doubtful false);
ill!(row_13_400_is_a_rejection, Provision, 400, r#"{"description":"no"}"# => RejectedValue, doubtful false);
ill!(row_14_401_is_unauthorized, Provision, 401, "" => Unauthorized, doubtful false);
ill!(row_15_403_is_unauthorized, Provision, 403, "" => Unauthorized, doubtful false);
well!(row_16_404_to_a_fetch_is_no_instance, Fetch, 404, "{}" => Outcome::Missing);
well!(row_17_410_to_a_deprovision_is_done, Deprovision, 410, "{}" => Outcome::Missing);
well!(row_18_410_to_a_poll_is_gone, LastOperation, 410, "{}" => Outcome::Missing);
ill!(row_19_412_is_a_protocol_error, Provision, 412, "{}" => ProtocolError, doubtful false);
ill!(row_20_429_is_busy, Provision, 429, "" => Busy, doubtful false);
ill!(row_21_5xx_leaves_a_doubt, Provision, 500, "{}" => ProtocolError, doubtful true);

// Cases between the rows.
ill!(a_malformed_200_to_an_update_leaves_a_doubt, Update, 200, "<html>" => ProtocolError, doubtful true);
ill!(a_malformed_202_to_an_update_leaves_a_doubt, Update, 202, "" => ProtocolError, doubtful true);
well!(a_202_without_an_operation_is_under_way, Deprovision, 202, "{}" => under_way(None));
ill!(a_202_to_a_read_makes_no_sense, Fetch, 202, "{}" => ProtocolError, doubtful false);
ill!(a_201_to_an_update_leaves_a_doubt, Update, 201, "{}" => ProtocolError, doubtful true);
ill!(a_5xx_to_a_read_leaves_no_doubt, Catalog, 503, "{}" => ProtocolError, doubtful false);
ill!(a_5xx_to_a_deprovision_leaves_a_doubt, Deprovision, 502, "" => ProtocolError, doubtful true);
ill!(a_404_to_an_update_is_no_success, Update, 404, "{}" => ProtocolError, doubtful false);
ill!(a_409_stays_a_conflict_whatever_error_it_names, Provision, 409, r#"{"error":"ConcurrencyError"}"# => Conflict, doubtful false);
ill!(a_429_is_not_an_operation_on_the_instance, Update, 429, r#"{"error":"ConcurrencyError"}"# => Busy, doubtful false);
ill!(a_422_about_the_version_of_the_plan_is_an_outdated_catalog, Update, 422, r#"{"error":"MaintenanceInfoConflict"}"# => CatalogOutdated, doubtful false);
ill!(a_redirect_is_not_followed, Provision, 307, "" => ProtocolError, doubtful false);
ill!(a_list_is_not_an_answer, Provision, 200, "[]" => ProtocolError, doubtful false);

#[test]
fn only_the_brokers_own_words_are_quoted() {
    let said = |body: &str| answer(Asked::Provision, 400, body).unwrap_err().message;
    assert_eq!(
        said(r#"{"error":"Bad","description":"weekday\nmust be a day","secret":"x"}"#),
        "HTTP 400 Bad Request: Bad: weekday must be a day"
    );
    assert_eq!(
        said("<h1>password=x</h1>"),
        "the server answered HTTP 400 Bad Request"
    );
    assert_eq!(
        said(r#"{"description":7}"#),
        "the server answered HTTP 400 Bad Request"
    );
    let long = said(&json!({"description": "x".repeat(5000)}).to_string());
    assert_eq!(long.len(), "HTTP 400 Bad Request: ".len() + 256);
}

#[test]
fn a_wish_to_be_asked_later_is_handed_on() {
    let later = Some(SignedDuration::from_secs(7));
    let busy = judge(
        Asked::Provision,
        StatusCode::TOO_MANY_REQUESTS,
        b"",
        later,
        NOTHING,
    );
    assert_eq!(busy.unwrap_err().retry_after, later);
    let body = br#"{"state":"in progress"}"#;
    let under_way = judge(
        Asked::Deprovision,
        StatusCode::ACCEPTED,
        b"{}",
        later,
        NOTHING,
    );
    let accepted = ServerAnswer::UnderWay {
        operation: None,
        retry_after: later,
    };
    assert_eq!(under_way.map(of_write), Ok(accepted));
    let polled = judge(Asked::LastOperation, StatusCode::OK, body, later, NOTHING).unwrap();
    assert_eq!(
        operation_state(&polled, NOTHING),
        Ok(OperationState::InProgress { retry_after: later })
    );
}

// shows B7
#[test]
fn a_removal_is_judged_by_its_code_whatever_its_body() {
    for body in ["", "{}", "<html>", "[]", "null", r#"{"operation":7}"#] {
        for code in [200, 201, 203, 204, 205, 206, 299] {
            let answer = answer(Asked::Deprovision, code, body).map(of_write);
            assert_eq!(answer, Ok(ServerAnswer::Done), "{code} {body}");
        }
        let answer = answer(Asked::Deprovision, 202, body);
        assert_eq!(answer, Ok(under_way(None)), "{body}");
    }
    let named = answer(Asked::Deprovision, 202, r#"{"operation":"o1"}"#);
    assert_eq!(named, Ok(under_way(Some("o1"))));
}

// shows K5
#[test]
fn a_wish_to_be_asked_later_is_kept_with_an_answer_that_makes_no_sense() {
    let later = Some(SignedDuration::from_secs(7));
    let judged = |asked, status, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        judge(asked, status, body.as_bytes(), later, NOTHING)
    };
    for (asked, status) in [
        (Asked::Fetch, 200),
        (Asked::Provision, 204),
        (Asked::Update, 202),
    ] {
        assert_eq!(judged(asked, status, "").unwrap_err().retry_after, later);
    }
    let body = |asked, body| judged(asked, 200, body).unwrap();
    let fetched = instance(body(Asked::Fetch, r#"{"parameters":[]}"#));
    let polled = operation_state(&body(Asked::LastOperation, "{}"), NOTHING);
    let listed = catalog(&body(Asked::Catalog, "{}"), NOTHING);
    let failures = [fetched.err(), polled.err(), listed.err()];
    for failure in failures {
        assert_eq!(failure.and_then(|failure| failure.retry_after), later);
    }
}

#[test]
fn each_state_of_an_operation_is_read() {
    let state = |body: Value| operation_state(&done(body), NOTHING);
    assert_eq!(
        state(json!({"state": "succeeded"})),
        Ok(OperationState::Succeeded)
    );
    let failed = |message: &str| Ok(OperationState::Failed(Failure::of_operation(message)));
    assert_eq!(
        state(json!({"state": "failed", "description": "no\tdisk"})),
        failed("no disk")
    );
    assert_eq!(
        state(json!({"state": "failed"})),
        failed("the operation failed, and the server does not say why")
    );
    assert_eq!(
        operation_state(&Outcome::Missing, NOTHING),
        Ok(OperationState::Gone)
    );
    for nonsense in [json!({}), json!({"state": "done"}), json!({"state": 1})] {
        assert_eq!(
            state(nonsense).unwrap_err().kind,
            FailureKind::ProtocolError
        );
    }
}

#[test]
fn parameters_that_are_not_told_are_told_from_empty_ones() {
    let present = |body: Value| instance(done(body));
    let told = |parameters| InstanceReading::Present {
        service_id: Some("s".to_owned()),
        plan_id: None,
        parameters,
    };
    assert_eq!(present(json!({"service_id": "s"})), Ok(told(None)));
    assert_eq!(
        present(json!({"service_id": "s", "parameters": {}})),
        Ok(told(Some(Map::new())))
    );
    assert!(present(json!({"parameters": []})).is_err());
    assert!(present(json!({"service_id": 5})).is_err());
    assert_eq!(instance(Outcome::Missing), Ok(InstanceReading::Absent));
}

// shows B7
#[test]
fn a_deprovision_of_what_the_broker_does_not_know_is_told_from_one_that_is_done() {
    let answer = |body| answer(Asked::Deprovision, 404, body).map(of_write);
    let absent = |message: &str| {
        Ok(ServerAnswer::Absent {
            message: message.to_owned(),
        })
    };
    assert_eq!(
        answer(r#"{"description":"no such tenant"}"#),
        absent("HTTP 404 Not Found: no such tenant")
    );
    assert_eq!(
        answer("<html>"),
        absent("the server answered HTTP 404 Not Found")
    );
}

#[test]
fn what_a_failed_update_did_to_the_instance_is_told() {
    let body = json!({
        "error": "Bad", "description": "half done", "state": "failed",
        "update_repeatable": false, "instance_usable": false,
    });
    let told = "half done; the server says that the same update would fail again; the server \
                says that the instance cannot be used any more";
    let state = operation_state(&done(body.clone()), NOTHING);
    let Ok(OperationState::Failed(failure)) = state else {
        panic!("{state:?}")
    };
    assert_eq!(
        (failure.message.as_str(), failure.repeatable),
        (told, false)
    );
    let refused = |asked| answer(asked, 422, &body.to_string()).unwrap_err();
    let update = refused(Asked::Update);
    assert!(update.message.ends_with(told), "{}", update.message);
    assert!(!update.repeatable);
    // Of any other request these say nothing.
    let provision = refused(Asked::Provision);
    assert!(
        provision.message.ends_with("half done"),
        "{}",
        provision.message
    );
    assert!(provision.repeatable);
    let odd = r#"{"description":"no","update_repeatable":"no","instance_usable":0}"#;
    let odd = answer(Asked::Update, 422, odd).unwrap_err();
    assert!(odd.repeatable && odd.message.ends_with(": no"), "{odd:?}");
}

// shows K7
#[test]
fn an_operation_of_10000_characters_is_kept_whole_and_a_longer_one_makes_no_sense() {
    let under_way = |length: usize| {
        let body = format!(r#"{{"operation":"{}"}}"#, "x".repeat(length));
        judge(
            Asked::Provision,
            StatusCode::ACCEPTED,
            body.as_bytes(),
            None,
            NOTHING,
        )
    };
    let operation = "x".repeat(10_000);
    assert_eq!(
        under_way(10_000).unwrap(),
        self::under_way(Some(&operation))
    );
    assert!(under_way(10_001).is_err_and(|failure| failure.doubtful));
}

// shows K4
#[test]
fn an_odd_answer_to_a_request_with_a_secret_is_not_quoted_in_any_spelling() {
    let secrets = tenants_secret("s3cr3t-token");
    let private = PrivateTexts {
        secrets: Some(&secrets),
        ..NOTHING
    };
    let body = br#"{"description": "backwards: nekot-t3rc3s", "instance_usable": false}"#;
    let said = |asked, status, private| {
        let judged = judge(asked, status, body, None, private);
        judged.unwrap_err().message
    };
    assert_eq!(
        said(Asked::Update, StatusCode::INTERNAL_SERVER_ERROR, private),
        "the server answered HTTP 500 Internal Server Error; its words are not shown, since the \
         request carried a secret; the server says that the instance cannot be used any more"
    );
    let quoted = [
        (Asked::Update, StatusCode::BAD_REQUEST, private),
        (Asked::Fetch, StatusCode::INTERNAL_SERVER_ERROR, private),
        (Asked::Update, StatusCode::INTERNAL_SERVER_ERROR, NOTHING),
    ];
    for (asked, status, private) in quoted {
        assert!(
            said(asked, status, private).contains("nekot"),
            "{asked:?} {status}"
        );
    }
}
