//! The table of answers, and odd ones that others have reported.

use entente_crds::example;
use entente_domain::supply_order::OrderBody;
use serde_json::json;

use super::*;
use crate::text::tests::NOTHING;

const REFERENCE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn place() -> OrderRequest {
    let record = example::supply_order().spec.record;
    OrderRequest::Place(Box::new(OrderBody::of(&record, REFERENCE)))
}

fn find() -> OrderRequest {
    OrderRequest::FindByReference {
        reference: REFERENCE.to_owned(),
    }
}

fn read() -> OrderRequest {
    OrderRequest::Read {
        id: "PO-1".to_owned(),
    }
}

fn operation() -> OrderRequest {
    OrderRequest::ReadOperation {
        path: "v1/orders/operations/9".to_owned(),
    }
}

fn cancel() -> OrderRequest {
    OrderRequest::Cancel {
        id: "PO-1".to_owned(),
        reference: REFERENCE.to_owned(),
        reason: "not needed".to_owned(),
    }
}

fn judged(request: &OrderRequest, status: u16, body: &str) -> Result<OrderAnswer, Failure> {
    let answered = Answered {
        status: StatusCode::from_u16(status).unwrap_or_default(),
        body: body.as_bytes(),
        operation: None,
        retry_after: None,
    };
    judge(request, &answered, NOTHING)
}

/// Returns the answer in one word, with the kind of a failure and whether it leaves a doubt.
fn word(request: &OrderRequest, status: u16, body: &str) -> String {
    match judged(request, status, body) {
        Ok(OrderAnswer::Orders(orders)) => {
            let ids: Vec<&str> = orders.iter().map(|order| &*order.id).collect();
            format!("Orders {}", ids.join(" "))
        }
        Ok(OrderAnswer::Order(order)) => match order.state {
            Some(state) => format!("Order {} {state:?}", order.id),
            None => format!("Order {} in an unknown state", order.id),
        },
        Ok(other) => {
            let text = format!("{other:?}");
            let end = text.find([' ', '(']).unwrap_or(text.len());
            text[..end].to_owned()
        }
        Err(failure) if failure.doubtful => format!("{:?}, in doubt", failure.kind),
        Err(failure) => format!("{:?}", failure.kind),
    }
}

/// One row: the request, the status, the body, and the meaning.
type Row<'a> = (OrderRequest, u16, &'a str, &'a str);

fn check(rows: &[Row<'_>]) {
    for (request, status, body, expected) in rows {
        let found = word(request, *status, body);
        assert_eq!(&found, expected, "{status} {body} to {request:?}");
    }
}

// shows A3 A4
#[test]
fn the_answers_of_the_document_have_the_meaning_that_it_gives_them() {
    let order = json!({"orderId": "PO-1", "state": "Accepted", "reference": REFERENCE}).to_string();
    let shipped =
        json!({"orderId": "PO-1", "state": "Shipped", "reference": REFERENCE}).to_string();
    let orders = json!({"orders": [{"orderId": "PO-1", "state": "Accepted"}]}).to_string();
    let of = |reason: &str| json!({"title": "t", "status": 422, "reason": reason}).to_string();
    let done = json!({"state": "Succeeded", "order": {"orderId": "PO-1", "state": "Accepted"}});
    let done = done.to_string();
    let failed = json!({"state": "Failed", "problem": {"reason": "UnknownPartNumber"}}).to_string();
    check(&[
        (place(), 201, &order, "Order PO-1 Accepted"),
        (place(), 200, &order, "Order PO-1 Accepted"),
        (place(), 202, "", "UnderWay"),
        (place(), 409, &of("InFlight"), "InFlight"),
        (place(), 422, &of("IdempotencyKeyReused"), "OtherContent"),
        (place(), 422, &of("UnknownPartNumber"), "ItemUnknown"),
        (place(), 422, &of("NotOrderable"), "Refused"),
        (place(), 400, "", "Refused"),
        (place(), 401, "", "Unauthorized"),
        (place(), 403, "", "Unauthorized"),
        (place(), 429, "", "Busy"),
        (place(), 503, "", "Busy, in doubt"),
        (place(), 500, "", "ProtocolError, in doubt"),
        (find(), 200, &orders, "Orders PO-1"),
        (find(), 200, r#"{"orders": []}"#, "Orders "),
        (find(), 404, "", "NotSearchable"),
        (find(), 405, "", "NotSearchable"),
        (find(), 501, "", "NotSearchable"),
        (find(), 503, "", "Busy"),
        (read(), 200, &shipped, "Order PO-1 Shipped"),
        (read(), 404, "", "Missing"),
        (read(), 410, "", "Missing"),
        (operation(), 200, r#"{"state": "InProgress"}"#, "UnderWay"),
        (operation(), 200, &done, "Order PO-1 Accepted"),
        (operation(), 200, &order, "Order PO-1 Accepted"),
        (operation(), 200, &failed, "ItemUnknown"),
        (operation(), 404, "", "Missing"),
        (cancel(), 202, "", "UnderWay"),
        (cancel(), 200, &shipped, "Order PO-1 Shipped"),
        (cancel(), 204, "", "UnderWay"),
        (cancel(), 409, &of("TooLate"), "TooLate"),
        (cancel(), 405, &of("NotCancellable"), "NotCancellable"),
        (cancel(), 401, "", "Unauthorized"),
        (cancel(), 500, "", "ProtocolError, in doubt"),
    ]);
}

// shows A9 K5: what others have met at order servers and with idempotency keys
#[test]
fn odd_answers_that_others_have_reported_never_make_an_order_look_unmade() {
    let params =
        json!({"type": "idempotency_error", "detail": "Keys for idempotent requests can only \
        be used with the same parameters"})
        .to_string();
    let mismatch = json!({"code": "idempotency_key_payload_mismatch"}).to_string();
    let number = json!({"orderId": 4_598_387_540_209_u64, "state": "Accepted"}).to_string();
    let long = json!({"orderId": "x".repeat(129), "state": "Accepted"}).to_string();
    let unseen = json!({"orderId": "PO-1\u{202e}", "state": "Accepted"}).to_string();
    let error = json!({"error": "order could not be stored"}).to_string();
    let lower = json!({"orderId": "PO-1", "state": "accepted"}).to_string();
    check(&[
        // stripe/stripe-ruby#431: a retry after a lost connection meets the first request at work.
        (
            place(),
            409,
            r#"{"title": "There is currently another in-progress request"}"#,
            "InFlight",
        ),
        // stripe/stripe-ruby#503: 400, and not 422, for a key with other parameters.
        (place(), 400, &params, "OtherContent"),
        // ugurkocde/AwesomeIntune#187: 409, and not 422, for the same.
        (place(), 409, &mismatch, "OtherContent"),
        // keygen-sh/keygen-api#305: the answer of the first request is replayed, also where it is 500.
        (place(), 500, &error, "ProtocolError, in doubt"),
        // woocommerce/woocommerce#14541: a gateway gives up after the order was made.
        (
            place(),
            504,
            "<html>504 Gateway Time-out</html>",
            "ProtocolError, in doubt",
        ),
        (place(), 502, "", "ProtocolError, in doubt"),
        // devlab-group/agent-commerce#13: the order is made, and the answer has another form.
        (place(), 200, &error, "ProtocolError, in doubt"),
        (place(), 201, "", "ProtocolError, in doubt"),
        (place(), 200, "<html>", "ProtocolError, in doubt"),
        // nozzlegear/ShopifySharp#700: ids that are numbers, beyond 2^32.
        (place(), 201, &number, "Order 4598387540209 Accepted"),
        // An id that does not fit could not be asked for again.
        (place(), 201, &long, "ProtocolError, in doubt"),
        (place(), 201, &unseen, "ProtocolError, in doubt"),
        // A state in another spelling is none that the document has.
        (read(), 200, &lower, "Order PO-1 in an unknown state"),
        // opencart/opencart#5423: orders cannot be listed at all.
        (find(), 404, "<html>Not Found</html>", "NotSearchable"),
        // A list without its member, and a list that is too long, are no lists.
        (find(), 200, "[]", "ProtocolError"),
        // A server that redirects its login page.
        (place(), 302, "", "ProtocolError"),
        (find(), 302, "", "ProtocolError"),
        // 408 of a proxy that did not get the whole body, or did.
        (place(), 408, "", "TimedOut, in doubt"),
    ]);
}

#[test]
fn an_order_without_an_id_is_left_out_of_a_list() {
    let list =
        json!({"orders": [{"state": "Accepted"}, {"orderId": "PO-2"}, 7, {"orderId": ".."}]});
    assert_eq!(word(&find(), 200, &list.to_string()), "Orders PO-2");
}

#[test]
fn of_a_long_list_what_was_asked_for_is_taken_wherever_it_stands() {
    let open = OrderRequest::FindOpen {
        serial_number: "A1B2C3".to_owned(),
    };
    let ours = json!({
        "orderId": "PO-1", "reference": REFERENCE, "device": {"serialNumber": "A1B2C3"},
    });
    for request in [find(), open] {
        let mut many = vec![json!({"orderId": "PO-2"}); 2 * MOST_ORDERS];
        many.push(ours.clone());
        let found = judged(&request, 200, &json!({"orders": many}).to_string());
        let Ok(OrderAnswer::Orders(found)) = found else {
            panic!("{found:?}");
        };
        assert_eq!((&*found[0].id, found.len()), ("PO-1", MOST_ORDERS));
    }
}

#[test]
fn everything_of_an_order_that_is_known_is_read() {
    let body = json!({
        "orderId": "PO-1", "reference": REFERENCE, "state": "Shipped", "customerId": "acme",
        "device": {"serialNumber": "A1B2C3", "name": "lobby"},
        "lines": [{"partNumber": "TN-500K", "quantity": 1}, {"quantity": 1}],
        "placed": "2027-05-12T09:15:00Z", "expected": "2027-05-14", "tracking": "1Z 999",
        "reason": 5,
    });
    let Ok(OrderAnswer::Order(order)) = judged(&read(), 200, &body.to_string()) else {
        panic!("an order");
    };
    let expected = ServerOrder {
        id: "PO-1".to_owned(),
        reference: Some(REFERENCE.to_owned()),
        state: Some(OrderState::Shipped),
        customer_id: Some("acme".to_owned()),
        serial_number: Some("A1B2C3".to_owned()),
        part_numbers: vec!["TN-500K".to_owned()],
        placed: "2027-05-12T09:15:00Z".parse().ok(),
        expected: Some("2027-05-14".to_owned()),
        tracking: Some("1Z 999".to_owned()),
        reason: None,
    };
    assert_eq!(*order, expected);
}

fn bearer() -> crate::CredentialsValue {
    crate::CredentialsValue::Bearer {
        token: "s3cr3t-token".to_owned().into(),
    }
}

/// Returns the texts that no message may contain: the login, and the host of the server.
fn private(credentials: &crate::CredentialsValue) -> PrivateTexts<'_> {
    PrivateTexts {
        credentials: Some(credentials),
        url: "https://orders.example/",
        ..NOTHING
    }
}

// shows K4
#[test]
fn the_words_of_a_server_are_quoted_without_secrets() {
    let credentials = bearer();
    let private = private(&credentials);
    let body = json!({"reason": "NotOrderable", "detail": "s3cr3t-token at orders.example"});
    let body = body.to_string();
    let answered = Answered {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        body: body.as_bytes(),
        operation: None,
        retry_after: None,
    };
    let Ok(OrderAnswer::Refused(message)) = judge(&place(), &answered, private) else {
        panic!("a refusal");
    };
    assert!(message.contains("[redacted] at [host]"), "{message}");
}

// shows K4
#[test]
fn an_id_or_the_place_of_an_operation_with_a_secret_of_the_request_in_it_is_none() {
    let credentials = bearer();
    let private = private(&credentials);
    let judged = |request: &OrderRequest, status: StatusCode, (body, path): (Value, &str)| {
        let body = body.to_string();
        let answered = Answered {
            status,
            body: body.as_bytes(),
            operation: Some(path.to_owned()),
            retry_after: None,
        };
        judge(request, &answered, private)
    };
    let order = |id: &str| json!({"orderId": id, "reference": REFERENCE, "state": "Accepted"});
    for id in ["PO-s3cr3t-token", "S3CR3T-TOKEN", "s3cr3t%2dtoken"] {
        let failure = judged(&place(), StatusCode::CREATED, (order(id), ""));
        let failure = failure.expect_err("an id that is a secret is none");
        assert!(failure.doubtful, "the order may be there");
        assert!(!failure.message.contains(id), "{}", failure.message);
        let path = format!("v1/orders/operations/{id}");
        let accepted = judged(&place(), StatusCode::ACCEPTED, (json!({}), &path));
        let none = OrderAnswer::UnderWay {
            path: None,
            retry_after: None,
        };
        assert_eq!(accepted, Ok(none), "{id}");
    }
    for id in ["PO-88123", "s3cr3t", "token"] {
        let found = judged(&place(), StatusCode::CREATED, (order(id), ""));
        assert!(
            matches!(found, Ok(OrderAnswer::Order(_))),
            "{id}: {found:?}"
        );
        let path = format!("v1/orders/operations/{id}");
        let accepted = judged(&place(), StatusCode::ACCEPTED, (json!({}), &path));
        let kept = OrderAnswer::UnderWay {
            path: Some(path),
            retry_after: None,
        };
        assert_eq!(accepted, Ok(kept), "{id}");
    }
}

// shows A9
#[test]
fn an_order_under_our_reference_without_an_id_is_no_proof_that_there_is_none() {
    let ours = |id: &str| json!({"orders": [{"orderId": id, "reference": REFERENCE}]}).to_string();
    let none = json!({"orders": [{"reference": REFERENCE}]}).to_string();
    let other = json!({"orders": [{"reference": "another"}]}).to_string();
    check(&[
        (find(), 200, &ours("PO-1"), "Orders PO-1"),
        (find(), 200, &ours(&"x".repeat(129)), "ProtocolError"),
        (find(), 200, &none, "ProtocolError"),
        (find(), 200, &other, "Orders "),
    ]);
}
