//! Order servers that speak docs/api/orders.yaml.
//!
//! One request of the domain, one request of HTTP, and no retry: the domain decides what a lost
//! answer means. The meaning of an answer is one pure table in `answer`. An operation is asked for
//! only below the URL of the Connection, wherever the server sends us.

mod answer;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use entente_domain::supply_order::{OrderAnswer, OrderRequest};
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::parsing::parse;
use crate::service::ServerTarget;
use crate::text::PrivateTexts;
use crate::transport::{Exchange, Transport};
use answer::Answered;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A driver of order servers. Every call is one request, sent without a retry.
#[async_trait]
pub trait OrderDriver: Send + Sync {
    /// Sends a request and returns the answer. A failure of a request that writes is doubtful where
    /// the server may have acted all the same.
    async fn send(
        &self,
        target: &ServerTarget,
        request: &OrderRequest,
    ) -> Result<OrderAnswer, Failure>;
}

/// The driver. One for a process.
pub struct HttpOrderDriver {
    transport: Arc<Transport>,
}

/// One request before it is HTTP.
struct Call {
    method: Method,
    url: Url,
    key: Option<String>,
    body: Option<Value>,
}

impl HttpOrderDriver {
    /// Makes a driver. Sends nothing by itself.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }
}

#[async_trait]
impl OrderDriver for HttpOrderDriver {
    async fn send(
        &self,
        target: &ServerTarget,
        request: &OrderRequest,
    ) -> Result<OrderAnswer, Failure> {
        let base = base(&target.url)?;
        let call = call(&base, request)?;
        let mut headers = HeaderMap::new();
        let accepted = HeaderValue::from_static("application/json, application/problem+json");
        headers.insert(ACCEPT, accepted);
        if let Some(key) = &call.key {
            headers.insert(IDEMPOTENCY_KEY, key_of(key)?);
        }
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = call.body.map(|body| Bytes::from(body.to_string()));
        let answer = self
            .transport
            .send(Exchange {
                profile: &target.profile,
                method: call.method,
                url: call.url,
                headers,
                body: body.unwrap_or_default(),
                pinned: None,
                most_bytes: answer::most_bytes(request),
                writes: request.writes(),
                needs_body: true,
                streamed: false,
            })
            .await?;
        let location = answer.location.as_ref();
        let answered = Answered {
            status: answer.status,
            body: &answer.body,
            operation: location.and_then(|location| below(&base, location)),
            retry_after: answer.retry_after,
        };
        let private = PrivateTexts {
            credentials: target.profile.credentials.as_ref(),
            token: answer.token.as_ref(),
            url: &target.url,
            secrets: Some(&target.secrets),
        };
        parse(answered.body.len(), || {
            answer::judge(request, &answered, private)
        })
        .await
    }
}

/// Returns the URL of the Connection with a path that ends in a slash, so that paths are added to it.
fn base(url: &str) -> Result<Url, Failure> {
    let refused = || {
        let message = "the URL is not an http or https URL";
        Failure::new(FailureKind::Unreachable, message)
    };
    let mut url = Url::parse(url).map_err(|_| refused())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused());
    }
    let mut segments = url.path_segments_mut().map_err(|()| refused())?;
    segments.pop_if_empty().push("");
    drop(segments);
    Ok(url)
}

/// Returns the request of HTTP.
fn call(base: &Url, request: &OrderRequest) -> Result<Call, Failure> {
    let orders = |more: &[&str]| {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(["v1", "orders"])
                .extend(more);
        }
        url
    };
    let reading = |url| Call {
        method: Method::GET,
        url,
        key: None,
        body: None,
    };
    let writing = |url, key: String, body| Call {
        method: Method::POST,
        url,
        key: Some(key),
        body: Some(body),
    };
    Ok(match request {
        OrderRequest::FindByReference { reference } => {
            let mut url = orders(&[]);
            url.query_pairs_mut().append_pair("reference", reference);
            reading(url)
        }
        OrderRequest::FindOpen { serial_number } => {
            let mut url = orders(&[]);
            let pairs = [("device", &**serial_number), ("open", "true")];
            url.query_pairs_mut().extend_pairs(pairs);
            reading(url)
        }
        OrderRequest::Place(body) => writing(orders(&[]), body.reference.clone(), json!(body)),
        OrderRequest::Read { id } => reading(orders(&[id])),
        OrderRequest::ReadOperation { path } => reading(operation(base, path)?),
        OrderRequest::Cancel {
            id,
            reference,
            reason,
        } => {
            let body = json!({"reference": reference, "reason": reason});
            let key = format!("{reference}-cancellation");
            writing(orders(&[id, "cancellation"]), key, body)
        }
    })
}

fn key_of(key: &str) -> Result<HeaderValue, Failure> {
    // Without the quotes of a structured string: many servers take the header as it comes, and some
    // refuse everything but letters, digits and hyphens (SPSCommerce/sps-api-standards#98).
    HeaderValue::from_str(key)
        .map_err(|_| Failure::new(FailureKind::ProtocolError, "a header cannot be written"))
}

/// Returns the part of a URL below the URL of the Connection; `None` for any other place. A server behind a
/// proxy that ends TLS writes its own scheme and port; what is sent goes to those of the Connection.
fn below(base: &Url, url: &Url) -> Option<String> {
    let same = url.host() == base.host() && url.username().is_empty();
    let path = url.path().strip_prefix(base.path()).filter(|_| same)?;
    let query = url.query().map(|query| format!("?{query}"));
    Some(format!("{path}{}", query.unwrap_or_default()))
}

/// Returns the URL of an operation, from its path below the URL of the Connection.
fn operation(base: &Url, path: &str) -> Result<Url, Failure> {
    let found = base.join(&format!("./{path}")).ok();
    let found = found.filter(|found| below(base, found).is_some());
    found.ok_or_else(|| {
        let message = "the operation lies outside the URL of the Connection";
        Failure::new(FailureKind::ProtocolError, message)
    })
}

#[cfg(test)]
mod tests;
