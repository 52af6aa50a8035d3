//! The simulated order server: one key, one order; found by its reference; moved on by a person.

use entente_simulators::OrderServer;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::driven::http;

async fn ask(
    server: &OrderServer,
    method: Method,
    path: &str,
    (key, body): (Option<&str>, Value),
) -> (StatusCode, Value) {
    let mut request = http().request(method, format!("{}/v1/orders{path}", server.url()));
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

fn order(reference: &str, part: &str) -> Value {
    json!({
        "reference": reference,
        "device": {"serialNumber": "A1"},
        "lines": [{"partNumber": part, "quantity": 1}],
    })
}

#[tokio::test]
async fn one_key_makes_one_order_and_another_body_under_it_is_refused() {
    let server = OrderServer::start(0).await.unwrap();
    let place = |body| ask(&server, Method::POST, "", (Some("k1"), body));
    let (status, first) = place(order("k1", "TN-1")).await;
    assert_eq!(
        (status.as_u16(), &first["orderId"]),
        (201, &json!("PO-88123"))
    );
    let (status, again) = place(order("k1", "TN-1")).await;
    assert_eq!((status.as_u16(), again), (200, first));
    let (status, refused) = place(order("k1", "TN-2")).await;
    assert_eq!(
        (status.as_u16(), &refused["reason"]),
        (422, &json!("IdempotencyKeyReused"))
    );
    assert_eq!(server.orders().len(), 1);
    assert_eq!(server.orders()[0].requests, 3);
}

#[tokio::test]
async fn an_order_is_found_by_reference_and_device_and_ends_as_a_person_says() {
    let server = OrderServer::start(0).await.unwrap();
    for key in ["k1", "k2"] {
        ask(&server, Method::POST, "", (Some(key), order(key, "TN-1"))).await;
    }
    let get = |path: &'static str| ask(&server, Method::GET, path, (None, Value::Null));
    let ids = |list: &Value| {
        let orders = list["orders"].as_array().unwrap().iter();
        orders
            .map(|it| it["orderId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&get("?reference=k2").await.1), ["PO-88124"]);
    assert!(server.move_to("PO-88123", "Delivered"));
    assert_eq!(ids(&get("?device=A1&open=true").await.1), ["PO-88124"]);
    assert_eq!(get("/PO-88123").await.1["state"], "Delivered");
    assert_eq!(get("/PO-1").await.0.as_u16(), 404);
    let cancel = |path: &'static str| ask(&server, Method::POST, path, (None, Value::Null));
    assert_eq!(cancel("/PO-88123/cancellation").await.0.as_u16(), 409);
    assert_eq!(cancel("/PO-88124/cancellation").await.0.as_u16(), 202);
    assert_eq!(server.orders()[1].state, "Cancelled");
}
