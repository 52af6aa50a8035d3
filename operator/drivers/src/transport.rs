//! One HTTP exchange with a remote side, inside the bounds of its Connection.
//!
//! Holds the clients (one for each trust, networks and timeouts) and the limits. Every exchange
//! has a timeout and a cap on its answer; a redirect is never followed, a proxy never used, an
//! address outside the networks never dialled. What goes wrong becomes a `Failure` without URL,
//! body or secret. Called by the drivers; retries are the domain's.

mod clients;
mod failure;
mod limits;
mod networks;
mod retry_after;

use bytes::Bytes;
use entente_domain::exchange::{Failure, FailureKind};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use reqwest::tls::TlsInfo;
use url::Url;

use crate::certificate::fingerprint;
use crate::profile::{ConnectionProfile, CredentialsValue};
use clients::Clients;
use limits::Limits;

pub(crate) use failure::failure;

/// What all drivers of a process share. Made once.
#[derive(Default)]
pub struct Transport {
    clients: Clients,
    limits: Limits,
}

/// One request.
pub(crate) struct Exchange<'a> {
    /// The Connection.
    pub profile: &'a ConnectionProfile,
    /// What is to be done with the URL.
    pub method: Method,
    /// Where to, `http` or `https`.
    pub url: Url,
    /// Headers, without those of the login.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The fingerprint to be met, for Pin and FirstUse.
    pub pinned: Option<&'a str>,
    /// The longest answer that is read.
    pub most_bytes: usize,
    /// Whether the remote side is to change something: only then can a failure be doubtful.
    pub writes: bool,
}

/// One answer, read in full.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// When it wants to be asked again (RFC 9110 section 10.2.3), as a time from now.
    pub retry_after: Option<SignedDuration>,
    /// Its body.
    pub body: Bytes,
    /// The SHA-256 of the certificate that was shown, where TLS was spoken.
    pub certificate_sha256: Option<String>,
}

impl Transport {
    /// Nothing is dialled before the first exchange.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends one request and reads its answer, whatever its status.
    ///
    /// Waits for its turn first, without a bound: who waits can be dropped.
    pub(crate) async fn send(&self, exchange: Exchange<'_>) -> Result<Answer, Failure> {
        let Exchange {
            profile,
            method,
            url,
            mut headers,
            body,
            pinned,
            most_bytes,
            writes,
        } = exchange;
        networks::check_literal(&url, &profile.networks).map_err(failure::not_allowed)?;
        let client = self.clients.get(profile, pinned)?;
        if let Some(credentials) = &profile.credentials {
            headers.insert(AUTHORIZATION, authorization(credentials)?);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let remote = format!("{}:{port}", url.host_str().unwrap_or_default());

        let _turn = self.limits.turn(profile, &remote).await;
        let request = client
            .request(method, url)
            .headers(headers)
            .body(body)
            .timeout(profile.request_timeout);
        let response = request
            .send()
            .await
            .map_err(|error| failure::classify(&error, writes))?;
        read(response, most_bytes, writes).await
    }

    /// How many hosts and Connections are counted at the moment; for tests and metrics.
    pub fn counted_limits(&self) -> usize {
        self.limits.len()
    }

    /// How many clients are held at the moment; for tests and metrics.
    pub fn held_clients(&self) -> usize {
        self.clients.len()
    }
}

async fn read(
    mut response: reqwest::Response,
    most_bytes: usize,
    writes: bool,
) -> Result<Answer, Failure> {
    let status = response.status();
    let retry_after = retry_after::parse(response.headers());
    let certificate_sha256 = response
        .extensions()
        .get::<TlsInfo>()
        .and_then(TlsInfo::peer_certificate)
        .map(fingerprint);
    let too_long = || Failure {
        doubtful: writes,
        ..failure(
            FailureKind::ProtocolError,
            &format!("the answer is longer than {most_bytes} bytes"),
        )
    };
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |announced| announced > most_bytes) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| failure::classify(&error, writes))?
    {
        if body.len() + chunk.len() > most_bytes {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        retry_after,
        body: body.into(),
        certificate_sha256,
    })
}

fn authorization(credentials: &CredentialsValue) -> Result<HeaderValue, Failure> {
    use base64::Engine as _;
    use zeroize::Zeroizing;

    let text = match credentials {
        CredentialsValue::Basic { username, password } => {
            let pair = Zeroizing::new(format!("{}:{}", username.as_str(), password.as_str()));
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
            Zeroizing::new(format!("Basic {}", Zeroizing::new(encoded).as_str()))
        }
        CredentialsValue::Bearer { token } => Zeroizing::new(format!("Bearer {}", token.as_str())),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        failure(
            FailureKind::Unauthorized,
            "the credentials cannot be sent in a header",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
