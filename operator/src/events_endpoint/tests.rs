//! Tests of the events endpoint as HTTP, without a network.

use std::time::Duration;

use axum::http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::Value;
use tower::{BoxError, ServiceExt as _, service_fn};

use super::*;
use entente_controllers::metrics::Metrics;

const PATH: &str = "/v1/namespaces/acme/events";

/// Returns an endpoint whose API server knows every token, and allows and makes everything.
fn endpoint(requests: usize) -> Router {
    let service = service_fn(|request: Request<kube::client::Body>| async move {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect_bytes().await?;
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let user = json!({"username": "crm"});
        if body["spec"]["token"] == "slow" {
            std::future::pending::<()>().await;
        }
        if path.ends_with("tokenreviews") {
            body["status"] = json!({"authenticated": true, "user": user, "audiences": ["entente"]});
        } else if path.ends_with("subjectaccessreviews") {
            body["status"] = json!({"allowed": true});
        } else if path.ends_with("/contracts/acme-2027") {
            body = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                          "metadata": {"name": "acme-2027"}});
        }
        let body = kube::client::Body::from(body.to_string().into_bytes());
        Ok::<_, BoxError>(axum::http::Response::new(body))
    });
    let client = Client::new(service, "default");
    router(Endpoint {
        events: Arc::new(ContractEvents::new(client, Arc::new(Metrics::new("0")))),
        slots: Arc::new(Semaphore::new(requests)),
    })
}

fn request(body: Body) -> Request<Body> {
    Request::post(PATH)
        .header("authorization", "Bearer token")
        .header("content-type", "application/cloudevents+json")
        .body(body)
        .unwrap()
}

fn started() -> Body {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "https://crm.example",
        "type": "dev.entente.contract.started.v1", "subject": "acme-2027",
        "time": "2027-04-01T01:12:00Z",
    });
    Body::from(event.to_string())
}

/// Sends a request: status, headers and body of the answer.
async fn send(endpoint: &Router, request: Request<Body>) -> (u16, HeaderMap, Value) {
    let answer = endpoint.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap();
    (parts.status.as_u16(), parts.headers, body)
}

#[tokio::test]
async fn an_event_that_is_taken_is_answered_with_its_object_and_its_place() {
    let (status, headers, body) = send(&endpoint(1), request(started())).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["kind"], "ContractNotice");
    let location = headers["location"].to_str().unwrap();
    let name = body["name"].as_str().unwrap();
    assert_eq!(
        location,
        format!("/apis/entente.dev/v1alpha1/namespaces/acme/contractnotices/{name}")
    );
}

#[tokio::test]
async fn every_refusal_is_a_problem_document_with_the_headers_that_belong_to_it() {
    let endpoint = endpoint(1);
    let get = Request::get(PATH).body(Body::empty()).unwrap();
    let elsewhere = Request::post("/v1/events").body(Body::empty()).unwrap();
    let nobody = Request::post(PATH).body(started()).unwrap();
    let no_text = Request::post("/v1/namespaces/%ff/events")
        .header("authorization", "Bearer token")
        .body(started())
        .unwrap();
    let large = request(Body::from("x".repeat(MOST_BYTES + 1)));
    let broken = Body::from_stream(futures::stream::iter([
        Ok("{"),
        Err(io::Error::other("closed")),
    ]));
    let mut other_media = request(started());
    let json = HeaderValue::from_static("application/json");
    other_media.headers_mut().insert("content-type", json);
    for (request, status, header) in [
        (get, 405, Some(("allow", "POST"))),
        (elsewhere, 404, None),
        (
            nobody,
            401,
            Some(("www-authenticate", "Bearer realm=\"entente\"")),
        ),
        (no_text, 404, None),
        (large, 413, None),
        (request(broken), 400, None),
        (request(Body::from("{")), 400, None),
        (other_media, 415, None),
    ] {
        let path = request.uri().clone();
        let (found, headers, body) = send(&endpoint, request).await;
        assert_eq!(
            (found, &body["status"]),
            (status, &json!(status)),
            "{path} {body}"
        );
        assert_eq!(headers["content-type"], "application/problem+json");
        if let Some((name, value)) = header {
            assert_eq!(
                headers.get_all(name).iter().collect::<Vec<_>>(),
                [value],
                "{path}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_and_a_request_too_many_are_sent_away() {
    let endpoint = endpoint(1);
    let silent = || Body::from_stream(futures::stream::pending::<Result<&str, io::Error>>());
    let slow = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { send(&endpoint, request(silent())).await }
    });
    // Until it has the only place.
    tokio::time::advance(Duration::from_millis(1)).await;
    tokio::task::yield_now().await;
    let (status, headers, _) = send(&endpoint, request(started())).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (503, &HeaderValue::from_static("1"))
    );
    let (status, _, body) = slow.await.unwrap();
    assert_eq!((status, &body["title"]), (408, &json!("Timeout")));
    let (status, _, body) = send(&endpoint, request(started())).await;
    assert_eq!(status, 201, "the place is free again: {body}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_told_within_half_a_minute() {
    let endpoint = endpoint(1);
    let mut request = request(started());
    let slow = HeaderValue::from_static("Bearer slow");
    request.headers_mut().insert("authorization", slow);
    let began = tokio::time::Instant::now();
    let (status, headers, _) = send(&endpoint, request).await;
    assert_eq!(
        (status, &headers["retry-after"]),
        (503, &HeaderValue::from_static("1"))
    );
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}
