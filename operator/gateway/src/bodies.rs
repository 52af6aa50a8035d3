//! Bodies of requests, read within bounds of length and time.
//!
//! Decides nothing of their content. What a route has not read, because the body is too long or the
//! request is refused before, is read on for a while and thrown away, so that its sender sees the answer
//! and no reset. Called by the routes that have a body, and around each route.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use entente_domain::gateway::{
    body::{self, MOST_BYTES},
    problem::Problem,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

/// Time in which a body has to be whole.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a body that are read on and thrown away.
const MOST_READ: usize = 1024 * 1024;

/// Returns the text of a header; `None` also if it is no text.
pub(crate) fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads the JSON of a request.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    media_type: &'static str,
) -> Result<Value, Problem> {
    body::read(&read_text(headers, body, media_type).await?)
}

/// Reads the body of a request, whatever is in it.
pub(crate) async fn read_text(
    headers: &HeaderMap,
    body: Body,
    media_type: &'static str,
) -> Result<Vec<u8>, Problem> {
    let content_type = text(headers, header::CONTENT_TYPE);
    // One that is no text is an encoding that nobody knows.
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map(|it| it.to_str().unwrap_or("unknown"));
    body::judge_type(content_type, encoding, media_type)?;
    let bytes = timeout(PATIENCE, whole(body)).await;
    bytes.unwrap_or_else(|_| Err(Problem::Timeout(PATIENCE.as_secs())))
}

async fn whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    // As long as its sender says, within the bound: one that grows is copied several times.
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(MOST_BYTES);
    let mut kept = Vec::with_capacity(told.min(MOST_BYTES));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BadRequest("it broke off".to_owned()))?;
        let data: Bytes = frame.into_data().unwrap_or_default();
        if kept.len() + data.len() > MOST_BYTES {
            return Err(Problem::TooLarge(MOST_BYTES));
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept)
}

/// A body that a route reads and that is there after it.
struct Lent(Arc<Mutex<Body>>);

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.size_hint()
    }
}

/// Answers a request, and reads on what its route has left of the body.
pub(crate) async fn read_on(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // One that waits for 100 Continue has sent nothing, and sends nothing if it is refused.
    if body.is_end_stream() || parts.headers.contains_key(header::EXPECT) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let body = Arc::new(Mutex::new(body));
    let lent = Body::new(Lent(Arc::clone(&body)));
    let answer = next.run(Request::from_parts(parts, lent)).await;
    if answer.status() != StatusCode::REQUEST_TIMEOUT {
        let rest = throw_away(Lent(body));
        timeout(PATIENCE, rest).await.unwrap_or_default();
    }
    answer
}

async fn throw_away(mut body: Lent) {
    let mut read = 0;
    while read < MOST_READ && !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}
