//! Requests to the gateway: one client, TLS, bounds, and the gateway's clock.
//!
//! It follows no redirect, uses no proxy, reads no body beyond its bound, and sends a token to the
//! gateway's scheme, host and port only. It decides nothing of an answer but that (`answer`).

use std::{
    error::Error,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, Response, header, redirect, retry};
use serde_json::Value;
use url::Url;

use crate::{
    answer::{self, Answer, Failure},
    clock::Clock,
    link,
};

/// Time in which a connection is made.
const CONNECT: Duration = Duration::from_secs(10);
/// Time in which an answer comes, besides the time for which it may be held.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest body of an answer in bytes; that of a twin with every setting at its longest is half of it.
const LONGEST: usize = 1024 * 1024;

/// Manner in which a request is authorised.
#[derive(Clone, Copy)]
pub enum Token<'a> {
    /// Not at all.
    None,
    /// By `Bearer`.
    Bearer(&'a str),
    /// By `TargetToken`, for DDI.
    Target(&'a str),
}

/// A request.
#[derive(Clone)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Absolute URL, or path on the gateway.
    pub link: String,
    /// Authorisation.
    pub token: Token<'a>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Media type and body.
    pub body: Option<(&'static str, String)>,
    /// Time for which the gateway may hold the request.
    pub held: Duration,
}

impl<'a> Request<'a> {
    /// A GET.
    pub fn get(link: &str, token: Token<'a>) -> Self {
        Self::new(Method::GET, link, token)
    }

    /// A request without a body.
    pub fn new(method: Method, link: &str, token: Token<'a>) -> Self {
        Self {
            method,
            link: link.to_owned(),
            token,
            headers: Vec::new(),
            body: None,
            held: Duration::ZERO,
        }
    }

    /// A request with JSON.
    pub fn json(method: Method, link: &str, token: Token<'a>, body: &Value) -> Self {
        Self::new(method, link, token).with_body("application/json", body.to_string())
    }

    /// With a body of a media type.
    #[must_use]
    pub fn with_body(mut self, media: &'static str, body: String) -> Self {
        self.body = Some((media, body));
        self
    }

    /// With a header, if there is a value for it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }
}

/// The client of a device.
pub struct Http {
    client: Client,
    clock: Mutex<Clock>,
    offset: SignedDuration,
}

/// Reason for which there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// The file of certificates cannot be used.
    #[error("{path}: {detail}")]
    Certificates {
        /// The file.
        path: String,
        /// Words about the fault.
        detail: String,
    },
    /// TLS cannot be used.
    #[error("no client: {detail}")]
    Build {
        /// Words about the fault.
        detail: String,
    },
}

impl Http {
    /// Makes a client. With `authorities`, a file of PEM certificates, it trusts these alone. `offset`
    /// is added to the device's clock (for tests of a wrong one), `ahead` was kept of the gateway's.
    pub fn new(
        authorities: Option<&Path>,
        offset: SignedDuration,
        ahead: SignedDuration,
    ) -> Result<Self, ClientFault> {
        // A second call finds the first one's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(CONNECT)
            .user_agent(concat!("entente-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = authorities {
            let fault = |detail: String| ClientFault::Certificates {
                path: path.display().to_string(),
                detail,
            };
            let text = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&text)
                .map_err(|error| fault(error.to_string()))?;
            if certificates.is_empty() {
                return Err(fault("holds no certificate in PEM".into()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder.build().map_err(|error| ClientFault::Build {
            detail: chain(&error),
        })?;
        Ok(Self {
            client,
            clock: Mutex::new(Clock::new(ahead)),
            offset,
        })
    }

    /// Instant by the gateway's clock.
    pub fn now(&self) -> Timestamp {
        self.clock().now(self.local(), Instant::now())
    }

    /// Difference of the clocks, to be kept.
    pub fn ahead(&self) -> SignedDuration {
        self.clock().ahead()
    }

    fn clock(&self) -> std::sync::MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn local(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.offset).unwrap_or(now)
    }

    /// Sends a request to the gateway, and returns its answer if that is a success or `304`.
    pub async fn send(&self, gateway: &Url, request: Request<'_>) -> Result<Answer, Failure> {
        answer::judged(self.exchange(gateway, request).await?)
    }

    /// Sends a request to the gateway, and returns its answer, whatever it is.
    pub async fn exchange(&self, gateway: &Url, request: Request<'_>) -> Result<Answer, Failure> {
        let most = PATIENCE + request.held;
        let whole = async {
            let mut response = self.begin(gateway, request).await?;
            let mut answer = self.head(&response);
            while let Some(part) = response.chunk().await.map_err(|error| broken(&error))? {
                if answer.body.len() + part.len() > LONGEST {
                    let detail = format!("a body of more than {LONGEST} bytes");
                    return Err(Failure::NotUnderstood { detail });
                }
                answer.body.extend_from_slice(&part);
            }
            Ok(answer)
        };
        let late = |_| Failure::Unreachable {
            detail: format!("no whole answer within {} seconds", most.as_secs()),
        };
        tokio::time::timeout(most, whole).await.map_err(late)?
    }

    /// Sends a request, and returns its answer with the body still to be read; without a bound of time
    /// for the body.
    pub async fn begin(&self, gateway: &Url, request: Request<'_>) -> Result<Response, Failure> {
        let url = link::within(gateway, &request.link)?;
        let most = PATIENCE + request.held;
        let mut builder = self.client.request(request.method, url);
        let authorization = match request.token {
            Token::None => None,
            Token::Bearer(token) => Some(format!("Bearer {token}")),
            Token::Target(token) => Some(format!("TargetToken {token}")),
        };
        if let Some(authorization) = authorization {
            let mut value = header::HeaderValue::from_str(&authorization).map_err(|_| {
                let detail = "the token has characters that no header has".into();
                Failure::NotUnderstood { detail }
            })?;
            value.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, value);
        }
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some((media, body)) = request.body {
            builder = builder.header(header::CONTENT_TYPE, media).body(body);
        }
        let sent = tokio::time::timeout(most, builder.send()).await;
        let sent = sent.map_err(|_| Failure::Unreachable {
            detail: format!("no answer within {} seconds", most.as_secs()),
        })?;
        let response = sent.map_err(|error| broken(&error))?;
        if let Some(date) = text(&response, header::DATE).and_then(answer::date_of) {
            self.clock().hear(date, self.local(), Instant::now());
        }
        Ok(response)
    }

    /// Reads the headers of an answer.
    pub fn head(&self, response: &Response) -> Answer {
        let date = text(response, header::DATE).and_then(answer::date_of);
        Answer {
            status: response.status().as_u16(),
            date,
            etag: text(response, header::ETAG).map(String::from),
            retry_after: text(response, header::RETRY_AFTER)
                .and_then(|value| answer::retry_after(value, date)),
            poll_next: text(
                response,
                header::HeaderName::from_static("entente-poll-next"),
            )
            .and_then(answer::poll_next),
            content_type: text(response, header::CONTENT_TYPE)
                .unwrap_or_default()
                .to_owned(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.as_str().to_owned(), value)
                })
                .collect(),
            body: Vec::new(),
        }
    }
}

/// Reads a header that is text.
pub fn text(response: &Response, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Words of an error of the client, without the URL, which may be long.
pub fn broken(error: &reqwest::Error) -> Failure {
    let detail = chain(error);
    Failure::Unreachable { detail }
}

fn chain(error: &reqwest::Error) -> String {
    let mut words = String::new();
    let mut source: Option<&dyn Error> = error.source();
    while let Some(error) = source {
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&error.to_string());
        source = error.source();
    }
    if words.is_empty() {
        words = error.to_string();
    }
    words.chars().take(300).collect()
}
