//! Files of others, fetched piece by piece over the one checked transport.
//!
//! Decides whether an answer is the file that was asked for, as far as its head tells: status, range
//! and length. Never holds more than a piece of it, never follows a redirect, never asks for an
//! encoding, never judges the content: the caller knows its digest. Called by the gateway for the
//! artifacts that devices install.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use http::{Method, StatusCode};
use url::Url;

use crate::post::Poster;
use crate::profile::ConnectionProfile;
use crate::transport::{Answer, BodyStream, Exchange, Transport};

/// The most of a refusal that is read; none of it is shown.
const MOST_OF_A_REFUSAL: usize = 16 * 1024;

/// Fetches files. Cheap to clone; all clones share connections and limits.
#[derive(Clone)]
pub struct Fetcher {
    transport: Arc<Transport>,
}

/// The part of a file that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its URL, `http` or `https`.
    pub url: &'a Url,
    /// Length of the whole file in bytes, which an answer must not contradict.
    pub size: u64,
    /// The bytes before the part.
    pub from: u64,
    /// The ETag of the bytes that are there already (`Download::validator`).
    pub validator: Option<&'a str>,
}

/// A file, or the rest of one, on its way.
#[derive(Debug)]
pub struct Download {
    stream: BodyStream,
    /// Bytes of the file before the first piece: those that were asked for, or 0 where the server
    /// sends the file from its beginning.
    pub from: u64,
    /// The strong ETag of the file, by which the rest of it can be asked for.
    pub validator: Option<String>,
}

impl Fetcher {
    /// Returns a fetcher that dials these addresses, those of the API server of Kubernetes, only for
    /// a Connection that lists them one by one. Sends nothing by itself.
    pub fn beside(api_server: &[IpAddr]) -> Self {
        Self {
            transport: Arc::new(Transport::beside(api_server)),
        }
    }

    /// Returns a poster that shares connections and limits with this fetcher.
    pub fn poster(&self) -> Poster {
        Poster::over(Arc::clone(&self.transport))
    }

    /// Asks for a file and returns it as soon as its head is there. It holds a slot of its
    /// Connection until it is dropped.
    ///
    /// # Errors
    /// The failure of the request, or that of an answer which is not the file; its message is a
    /// sentence without URL and body.
    pub async fn fetch(
        &self,
        profile: &ConnectionProfile,
        wanted: Wanted<'_>,
    ) -> Result<Download, Failure> {
        let exchange = Exchange {
            profile,
            method: Method::GET,
            url: wanted.url.clone(),
            headers: headers(wanted)?,
            body: Bytes::new(),
            pinned: None,
            most_bytes: MOST_OF_A_REFUSAL,
            writes: false,
            needs_body: false,
            streamed: true,
        };
        let answer = self.transport.send(exchange).await?;
        let (status, stream) = match answer {
            Answer {
                status,
                stream: Some(stream),
                ..
            } => (status, stream),
            refused => return Err(refusal(&refused)),
        };
        let from = begin(status, stream.headers(), stream.announced(), wanted)?;
        let validator = strong_etag(stream.headers());
        Ok(Download {
            stream,
            from,
            validator,
        })
    }
}

impl Download {
    /// Returns the next piece, `None` at the end of the answer, which may be before that of the
    /// file.
    ///
    /// # Errors
    /// The connection broke off, or the file comes too slowly.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.stream.next().await
    }
}

/// Returns the headers of a request. An encoding would change length and digest.
fn headers(wanted: Wanted<'_>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let Some(validator) = wanted.validator.filter(|_| wanted.from > 0) else {
        return Ok(headers);
    };
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Failure::new(FailureKind::ProtocolError, "the request cannot be written"))
    };
    headers.insert(RANGE, value(&format!("bytes={}-", wanted.from))?);
    headers.insert(IF_RANGE, value(validator)?);
    Ok(headers)
}

/// Returns the number of bytes before the first one of an answer.
fn begin(
    status: StatusCode,
    headers: &HeaderMap,
    announced: Option<u64>,
    wanted: Wanted<'_>,
) -> Result<u64, Failure> {
    let fault = |message: String| Err(Failure::new(FailureKind::ProtocolError, message));
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|it| !it.eq_ignore_ascii_case(b"identity")) {
        return fault("the server sends the file in an encoding, which was not asked for".into());
    }
    let from = match status {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT => match content_range(headers) {
            Some((from, total))
                if from == wanted.from && total.is_none_or(|it| it == wanted.size) =>
            {
                from
            }
            _ => {
                return fault(
                    "the server sends another part of the file than was asked for".into(),
                );
            }
        },
        other => {
            return fault(format!(
                "the server answered HTTP {other} in place of the file"
            ));
        }
    };
    let size = wanted.size;
    match announced.map(|length| from.saturating_add(length)) {
        Some(found) if found != size => fault(format!(
            "the file has {found} bytes on the server, and artifact.size of the model is {size}"
        )),
        _ => Ok(from),
    }
}

/// Reads Content-Range (RFC 9110 section 14.4): the first byte, and the length of the whole.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total = match total {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    (first <= last).then_some((first, total))
}

/// Returns the ETag, if two answers with it have the same bytes (RFC 9110 section 8.8.1).
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(ETAG)?.to_str().ok()?;
    let is_strong = etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"');
    (is_strong && etag.len() <= 256).then(|| etag.to_owned())
}

/// Returns the failure of a server that does not send the file.
fn refusal(answer: &Answer) -> Failure {
    let status = answer.status;
    let (kind, message) = match status {
        _ if status.is_redirection() => (
            FailureKind::ProtocolError,
            format!(
                "the server redirects (HTTP {}), and no redirect is followed",
                status.as_u16()
            ),
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            FailureKind::Unauthorized,
            format!(
                "the server refuses the login of the Connection, or asks for one (HTTP {})",
                status.as_u16()
            ),
        ),
        StatusCode::NOT_FOUND | StatusCode::GONE => (
            FailureKind::ProtocolError,
            format!(
                "the server has nothing at the URL of the artifact (HTTP {})",
                status.as_u16()
            ),
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (
            FailureKind::Busy,
            format!("the server is busy (HTTP {})", status.as_u16()),
        ),
        _ => (
            FailureKind::ProtocolError,
            format!("the server answered HTTP {status}"),
        ),
    };
    Failure {
        retry_after: answer.retry_after,
        ..Failure::new(kind, message)
    }
}

#[cfg(test)]
mod tests;
