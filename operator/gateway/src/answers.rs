//! Answers in HTTP.
//!
//! Turns what the domain decided into status, headers and body; decides nothing. Called by every route.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use entente_domain::gateway::problem::Problem;
use serde_json::Value;

/// Header of the time after which a device calls again.
const POLL_NEXT: HeaderName = HeaderName::from_static("entente-poll-next");
/// Header of the wait that was kept (RFC 7240 section 3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// An answer, or the problem in place of it.
pub(crate) type Answer = Result<Response, Problem>;

/// Returns an answer with JSON.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    typed(status, "application/json", body.to_string())
}

fn typed(status: StatusCode, kind: &'static str, text: String) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
    (status, kind, text).into_response()
}

/// Returns an answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns the answer to a request that is refused. `scheme` is that of the token it needs.
pub(crate) fn refusal(problem: &Problem, scheme: &'static str) -> Response {
    let status =
        StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = problem.body().to_string();
    let mut response = typed(status, "application/problem+json", body);
    if let Some(seconds) = problem.retry_after() {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    match problem {
        Problem::MethodNotAllowed(allow) => set(&mut response, header::ALLOW, allow),
        Problem::PreconditionFailed(etag) => set(&mut response, header::ETAG, etag),
        Problem::RangeNotSatisfiable(size) => {
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{size}"),
            );
        }
        Problem::EnrollmentTokenInvalid | Problem::CredentialInvalid => {
            let challenge = format!("{scheme} realm=\"entente\"");
            set(&mut response, header::WWW_AUTHENTICATE, &challenge);
        }
        _ => {}
    }
    response
}

/// Sets a header. All values are made here; one that were none would be left out.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Sets the time after which a device calls again.
pub(crate) fn set_next(response: &mut Response, next: &str) {
    set(response, POLL_NEXT, next);
}

/// Sets the wait that was kept.
pub(crate) fn set_applied(response: &mut Response, wait: u32) {
    set(response, PREFERENCE_APPLIED, &format!("wait={wait}"));
}

/// Keeps an answer out of every cache: it has a secret.
pub(crate) fn set_no_store(response: &mut Response) {
    set(response, header::CACHE_CONTROL, "no-store");
}
