//! The events endpoint: `POST /v1/namespaces/{namespace}/events` over TLS (docs/api/contract-events.yaml).
//!
//! It bounds connections, requests, bodies and time, and turns answers into HTTP; it decides nothing of
//! a caller or an event, and never tells or logs a header. Served while the flags say so.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use axum_server::tls_rustls::RustlsConfig;
use entente_controllers::{
    contract_events::{ContractEvents, MOST_BYTES, Problem, Received, Taken},
    shutdown::Shutdown,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use crate::bounded_http::{self, SILENCE};

/// Connections that are open at once; one more is closed as it comes.
const CONNECTIONS: usize = 256;
/// Requests that are worked on at once; one more is told to come again. Less than the requests to the
/// API server, so that events never stop reconciles.
const REQUESTS: usize = 16;
/// Time in which the API server says who a caller is, and in which it takes an object.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds after which one that found no room, or no answer, comes again.
const AGAIN: u32 = 1;

#[derive(Clone)]
struct Endpoint {
    events: Arc<ContractEvents>,
    slots: Arc<Semaphore>,
}

/// Serves until the shutdown is requested and requests under way have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: RustlsConfig,
    events: Arc<ContractEvents>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let endpoint = Endpoint {
        events,
        slots: Arc::new(Semaphore::new(REQUESTS)),
    };
    let router = router(endpoint);
    bounded_http::serve(listener, Some(tls), router, CONNECTIONS, shutdown).await
}

fn router(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/v1/namespaces/{namespace}/events", post(receive))
        .method_not_allowed_fallback(async || {
            let allow = [(header::ALLOW, HeaderValue::from_static("POST"))];
            (allow, answer(&Problem::method_not_allowed())).into_response()
        })
        .fallback(async || answer(&Problem::not_found()))
        .with_state(endpoint)
}

async fn receive(
    State(endpoint): State<Endpoint>,
    namespace: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let events = &endpoint.events;
    let Ok(_slot) = endpoint.slots.try_acquire() else {
        return refuse(events, &Problem::unavailable(AGAIN));
    };
    let authorization = text(&headers, header::AUTHORIZATION);
    let caller = match timeout(PATIENCE, events.caller(authorization)).await {
        Ok(Ok(caller)) => caller,
        Ok(Err(problem)) => return refuse(events, &problem),
        Err(_) => return refuse(events, &Problem::unavailable(AGAIN)),
    };
    let body = match timeout(SILENCE, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_long(&error) => return refuse(events, &Problem::too_large()),
        Ok(Err(_)) => return refuse(events, &Problem::broken()),
        Err(_) => return refuse(events, &Problem::timeout(SILENCE.as_secs())),
    };
    // A path that is no text can be that of no namespace.
    let namespace = namespace
        .map(|Path(namespace)| namespace)
        .unwrap_or_default();
    let received = Received {
        namespace: &namespace,
        content_type: text(&headers, header::CONTENT_TYPE),
        body: &body,
    };
    match timeout(PATIENCE, events.take(&caller, received)).await {
        Ok(Ok(taken)) => accepted(&taken),
        Ok(Err(problem)) => answer(&problem),
        // The object may have been made: the same event finds it.
        Err(_) => refuse(events, &Problem::unavailable(AGAIN)),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn accepted(taken: &Taken) -> Response {
    let status = if taken.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = [(header::LOCATION, taken.location.clone())];
    let body = json!({"kind": taken.kind, "name": taken.name});
    (status, location, Json(body)).into_response()
}

fn refuse(events: &ContractEvents, problem: &Problem) -> Response {
    events.refused(problem);
    answer(problem)
}

fn answer(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"entente\"");
        headers.insert(header::WWW_AUTHENTICATE, scheme);
    }
    (status, headers, problem.body().to_string()).into_response()
}

#[cfg(test)]
mod tests;
