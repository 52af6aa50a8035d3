//! Tests of the board as HTTP, without a network.

mod odd;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use entente_controllers::clock::SystemClock;
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::{Value, json};
use tower::{BoxError, ServiceExt as _, service_fn};

use super::*;

/// Returns pages whose API server knows the token `known` alone, and hangs at the token `slow`.
fn pages(is_tls: bool) -> Pages {
    let service = service_fn(|request: Request<kube::client::Body>| async move {
        let body = request.into_body().collect_bytes().await?;
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if body["spec"]["token"] == "slow" {
            std::future::pending::<()>().await;
        }
        let is_known = body["spec"]["token"] == "known";
        let user = json!({"username": "<i>ana</i>"});
        body["status"] = json!({"authenticated": is_known, "user": user, "audiences": ["entente"]});
        let body = kube::client::Body::from(body.to_string().into_bytes());
        Ok::<_, BoxError>(axum::http::Response::new(body))
    });
    let client = Client::new(service, "default");
    let board = Arc::new(Board::new(client, Arc::new(SystemClock)));
    Pages::new(board, Arc::new(Metrics::new("0")), is_tls)
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Sends a request: status, headers and text of the answer.
async fn send(pages: &Pages, request: Request<Body>) -> (u16, HeaderMap, String) {
    let answer = router(pages.clone()).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

// shows K4
#[tokio::test]
async fn a_session_begins_with_a_token_that_is_known_and_ends_when_it_is_asked() {
    let pages = pages(true);
    let sign_in =
        |token: &str| request(Method::POST, "/sign-in", &[FORM], &format!("token={token}"));
    let (status, headers, _) = send(&pages, sign_in("known")).await;
    assert_eq!(
        (status, &headers["location"]),
        (303, &HeaderValue::from_static("./"))
    );
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-entente-board=known; "),
        "{cookie}"
    );
    for wrong in ["stranger", "", "a%20b", &"x".repeat(5000)] {
        let (status, headers, text) = send(&pages, sign_in(wrong)).await;
        assert_eq!((status, headers.get("set-cookie")), (401, None), "{text}");
        assert!(text.contains("role=\"alert\""), "{text}");
    }
    let out = request(Method::POST, "/sign-out", &[], "");
    let (status, headers, _) = send(&pages, out).await;
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(status == 303 && cookie.contains("Max-Age=0"), "{cookie}");
}

// shows K4
#[tokio::test]
async fn another_site_can_neither_sign_in_nor_out_and_no_field_is_guessed() {
    let pages = pages(true);
    for site in ["cross-site", "same-site"] {
        for path in ["/sign-in", "/sign-out"] {
            let headers = [FORM, ("sec-fetch-site", site)];
            let sent = request(Method::POST, path, &headers, "token=known");
            let (status, headers, _) = send(&pages, sent).await;
            assert_eq!(
                (status, headers.get("set-cookie")),
                (400, None),
                "{path} {site}"
            );
        }
    }
    let other = request(Method::POST, "/sign-in", &[FORM], "password=known");
    let (status, _, text) = send(&pages, other).await;
    assert!(status == 400 && text.contains("field token"), "{text}");
}

// shows K4
#[tokio::test]
async fn every_answer_keeps_to_itself_and_tells_what_is_wrong() {
    let pages = pages(false);
    let known = ("authorization", "Bearer known");
    let get = |path, headers: &[(&str, &str)]| request(Method::GET, path, headers, "");
    for (sent, status, part) in [
        (get("/", &[]), 401, "Sign in with a token"),
        (
            get("/", &[("cookie", "entente-board=stranger")]),
            401,
            "Sign in",
        ),
        // The caches are not there yet.
        (get("/", &[known]), 503, "still reads the objects"),
        (
            get("/", &[("cookie", "entente-board=known")]),
            503,
            "still reads",
        ),
        (get("/?days=0", &[known]), 400, "from 1 to 366"),
        (get("/?days=%3Cb%3E", &[known]), 400, "&#60;b&#62;"),
        (get("/namespaces/a/contracts/b", &[]), 401, "Sign in"),
        (
            get("/namespaces/a/contracts/%ff", &[known]),
            404,
            "Not found",
        ),
        (get("/namespaces/a", &[]), 404, "Not found"),
        (request(Method::DELETE, "/", &[known], ""), 405, "by GET"),
        (
            request(Method::PUT, "/sign-in", &[known], ""),
            405,
            "by GET",
        ),
        (get("/sign-in", &[known]), 401, "Sign in with a token"),
        (get("/?days=1&days=2", &[known]), 400, "once at most"),
    ] {
        let line = format!("{} {}", sent.method(), sent.uri());
        let (found, headers, text) = send(&pages, sent).await;
        assert_eq!(found, status, "{line}: {text}");
        assert!(text.contains(part), "{line}: {text}");
        assert!(
            !text.contains("<b>"),
            "{line}: what was asked is escaped: {text}"
        );
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert_eq!(headers["cache-control"], "no-store", "{line}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{line}");
    }
    let counted = pages.metrics.encode();
    assert!(
        counted.contains("entente_board_requests_total{code=\"401\"} 4"),
        "{counted}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_told_and_one_viewer_too_many_comes_again() {
    let pages = pages(false);
    let slow = || request(Method::GET, "/", &[("authorization", "Bearer slow")], "");
    let waiting: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let pages = pages.clone();
            tokio::spawn(async move { send(&pages, slow()).await })
        })
        .collect();
    // Until each of them has its place.
    while pages.slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let (status, headers, text) = send(&pages, slow()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE.as_u16());
    assert!(
        headers.contains_key("retry-after") && text.contains("Too many requests"),
        "{text}"
    );
    for one in waiting {
        let (status, _, text) = one.await.unwrap();
        assert_eq!(status, 503);
        assert!(text.contains("does not answer"), "{text}");
    }
    assert_eq!(
        pages.slots.available_permits(),
        REQUESTS,
        "every place is free again"
    );
}
