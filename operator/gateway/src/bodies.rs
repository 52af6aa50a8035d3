//! Bodies of requests, read within bounds of length and time.
//!
//! Decides nothing of their content. A body that is too long is read on for a while and thrown away, so
//! that its sender sees the answer and no reset. Called by the routes that have a body.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, header},
};
use entente_domain::gateway::{
    body::{self, MOST_BYTES},
    problem::Problem,
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

/// Time in which a body has to be whole.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of a body that are read, if only to be thrown away.
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
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BadRequest("it broke off".to_owned()))?;
        let data: Bytes = frame.into_data().unwrap_or_default();
        read += data.len();
        if read > MOST_READ {
            break;
        }
        if read <= MOST_BYTES {
            kept.extend_from_slice(&data);
        }
    }
    if read > MOST_BYTES {
        return Err(Problem::TooLarge(MOST_BYTES));
    }
    Ok(kept)
}
