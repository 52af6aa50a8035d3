//! The events endpoint: `POST /v1/namespaces/{namespace}/events` over TLS (docs/api/contract-events.yaml).
//!
//! It bounds connections, requests, bodies and time, and turns answers into HTTP; it decides nothing of
//! a caller or an event, and never tells or logs a header. Served while the flags say so.

pub(crate) mod certificate;

use std::{
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use axum_server::{
    Handle, Server,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use entente_controllers::{
    contract_events::{ContractEvents, MOST_BYTES, Problem, Received, Taken},
    shutdown::Shutdown,
};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

/// Connections that are open at once; one more is closed as it comes.
const CONNECTIONS: usize = 256;
/// Requests that are worked on at once; one more is told to come again. Less than the requests to the
/// API server, so that events never stop reconciles.
const REQUESTS: usize = 16;
/// Time in which a connection shows its certificate, a head or a body is whole, or the next request comes.
const SILENCE: Duration = Duration::from_secs(10);
/// Time in which the API server says who a caller is, and in which it takes an object.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time in which requests under way may end after the signal to stop.
const GRACE: Duration = Duration::from_secs(15);
/// Most bytes of the head of a request: a token may have 16 KiB.
const HEAD: usize = 32 * 1024;
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
    let connections = Connections {
        slots: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    let acceptor = RustlsAcceptor::new(tls)
        .handshake_timeout(SILENCE)
        .acceptor(connections);
    let handle = Handle::new();
    let mut server = Server::<SocketAddr>::from_listener(listener)
        .acceptor(acceptor)
        .handle(handle.clone())
        .http1_only()
        .first_request_timeout(SILENCE);
    server
        .http_builder()
        .http1()
        .header_read_timeout(SILENCE)
        .max_buf_size(HEAD);
    let endpoint = Endpoint {
        events,
        slots: Arc::new(Semaphore::new(REQUESTS)),
    };
    let stop = async {
        shutdown.requested().await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server.serve(router(endpoint).into_make_service()) => ended,
        () = stop => Ok(()),
    }
}

/// The connections that are open. Each holds a place until it is closed.
#[derive(Clone)]
struct Connections {
    slots: Arc<Semaphore>,
}

impl Accept<TcpStream, Router> for Connections {
    type Stream = TcpStream;
    type Service = Router;
    type Future = Ready<io::Result<(TcpStream, Router)>>;

    fn accept(&self, stream: TcpStream, service: Router) -> Self::Future {
        let place = Arc::clone(&self.slots).try_acquire_owned();
        ready(match place {
            Ok(place) => Ok((stream, service.layer(Extension(Arc::new(place))))),
            Err(_) => Err(io::Error::other("too many connections")),
        })
    }
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
