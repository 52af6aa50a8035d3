//! The requests to an order server on the wire (docs/api/orders.yaml).

use std::sync::atomic::{AtomicUsize, Ordering};

use entente_crds::example;
use entente_crds::v1alpha1::Protocol;
use entente_domain::remote::FailureKind;
use entente_domain::secret::Secrets;
use entente_domain::supply_order::{OrderAnswer, OrderBody, OrderRequest};
use entente_drivers::{CredentialsValue, Drivers, ServerTarget};
use serde_json::{Value, json};

use super::server::{Reply, Server, profile};

fn reply(status: &str, body: &Value) -> Reply {
    (
        format!("{status}\r\nContent-Type: application/json"),
        body.to_string().into_bytes(),
    )
}

fn target(server: &Server) -> ServerTarget {
    let token = "t0ken-of-the-shop".to_owned().into();
    let credentials = Some(CredentialsValue::Bearer { token });
    ServerTarget {
        secrets: Secrets::default(),
        profile: profile(Protocol::HTTP, credentials),
        url: format!("http://{}/shop/", server.address),
    }
}

fn place() -> OrderRequest {
    let record = example::supply_order().spec.record;
    let reference = record.reference.clone().unwrap();
    OrderRequest::Place(Box::new(OrderBody::of(&record, &reference)))
}

fn order() -> Value {
    let reference = example::supply_order().spec.record.reference;
    json!({"orderId": "PO-1", "state": "Accepted", "reference": reference})
}

// shows A3 A4 A9
#[tokio::test]
async fn an_order_is_sent_twice_byte_for_byte_with_its_reference_as_key() {
    let server = Server::start(|_| reply("201 Created", &order())).await;
    let drivers = Drivers::real();
    for _ in 0..2 {
        let answer = drivers.orders().send(&target(&server), &place()).await;
        assert!(matches!(answer, Ok(OrderAnswer::Order(order)) if order.id == "PO-1"));
    }
    let [first, second] = &*server.arrived() else {
        panic!("two requests");
    };
    assert_eq!(first.line, "POST /shop/v1/orders");
    assert_eq!(first.body, second.body);
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    let reference = body["reference"].as_str().unwrap();
    assert_eq!(first.header("idempotency-key"), Some(reference));
    assert_eq!(
        first.header("authorization"),
        Some("Bearer t0ken-of-the-shop")
    );
    assert_eq!(body["device"]["serialNumber"], "NW500-0001");
    assert_eq!(
        body["lines"],
        json!([{"supply": "black-toner", "partNumber": "TN-500K", "quantity": 1}])
    );
    assert_eq!(body["error"]["id"], "lobby-mfp/TonerEmpty/black-toner/7");
    assert_eq!(body["customerId"], "C-4711");
}

// shows A4
#[tokio::test]
async fn an_operation_is_asked_for_where_the_server_says_and_only_there() {
    let server = Server::start(|request| match &*request.line {
        "POST /shop/v1/orders" => (
            "202 Accepted\r\nLocation: operations/9".to_owned(),
            Vec::new(),
        ),
        _ => reply("200 OK", &json!({"state": "Succeeded", "order": order()})),
    })
    .await;
    let drivers = Drivers::real();
    let answer = drivers.orders().send(&target(&server), &place()).await;
    let Ok(OrderAnswer::UnderWay {
        path: Some(path), ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(path, "v1/operations/9");
    let read = OrderRequest::ReadOperation { path };
    let answer = drivers.orders().send(&target(&server), &read).await;
    assert!(matches!(answer, Ok(OrderAnswer::Order(_))), "{answer:?}");
    let elsewhere = Server::start(|_| {
        let head = "202 Accepted\r\nLocation: http://elsewhere.example/shop/v1/orders/operations/9";
        (head.to_owned(), Vec::new())
    })
    .await;
    let answer = drivers.orders().send(&target(&elsewhere), &place()).await;
    assert!(
        matches!(answer, Ok(OrderAnswer::UnderWay { path: None, .. })),
        "{answer:?}"
    );
}

// shows A9
#[tokio::test]
async fn a_connection_that_ends_without_an_answer_leaves_a_doubt_and_a_refused_one_does_not() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        (String::new(), Vec::new())
    })
    .await;
    let drivers = Drivers::real();
    let asked = target(&server);
    let failure = drivers.orders().send(&asked, &place()).await.unwrap_err();
    assert!(failure.doubtful, "{failure:?}");
    let read = OrderRequest::Read {
        id: "PO-1".to_owned(),
    };
    let failure = drivers.orders().send(&asked, &read).await.unwrap_err();
    assert!(!failure.doubtful, "{failure:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let refused = ServerTarget {
        url: format!("http://{address}/shop/"),
        ..asked
    };
    let failure = drivers.orders().send(&refused, &place()).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.doubtful),
        (FailureKind::Unreachable, false)
    );
}
