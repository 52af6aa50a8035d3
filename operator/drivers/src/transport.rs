//! One HTTP exchange with a remote side, inside the bounds of its Connection.
//!
//! Holds the clients (one for each trust, networks and timeouts) and the limits. Every exchange has
//! a timeout and a cap on its answer; a redirect is never followed, a proxy never used, an address
//! outside the networks never dialled. Every error becomes a `Failure` without URL, body or secret.
//! Called by the drivers; retries are the domain's, except those that a login needs: if a token or
//! a nonce is refused, the request is sent again with another, since nothing was done yet.

mod body;
mod challenge;
mod clients;
mod datagram;
mod digest;
mod failure;
mod limits;
mod networks;
mod nonces;
mod redirect;
mod retry_after;
mod stream;
mod token;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use entente_domain::remote::{Failure, FailureKind};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};
use zeroize::Zeroizing;

use crate::credentials::{AccessToken, CredentialsValue};
use crate::profile::{ConnectionProfile, TrustProfile};
use body::BodyBudget;
pub(crate) use challenge::Challenge;
use clients::Clients;
pub(crate) use datagram::DatagramLine;
pub(crate) use digest::can_be_answered;
use digest::{Authorized, DigestChallenge};
use limits::Limits;
use nonces::Nonces;
pub(crate) use redirect::Redirect;
pub(crate) use stream::BodyStream;
use token::{Client, Grant};
use tokens::Tokens;

/// State that all drivers of a process share. Made once.
#[derive(Default)]
pub struct Transport {
    clients: Clients,
    limits: Limits,
    tokens: Tokens,
    nonces: Nonces,
    bodies: BodyBudget,
    /// Addresses of the API server of Kubernetes.
    api_server: Arc<[IpAddr]>,
}

/// The longest answer of a token endpoint that is read.
const MOST_TOKEN_BYTES: usize = 64 * 1024;

/// One request.
pub(crate) struct Exchange<'a> {
    /// The Connection.
    pub profile: &'a ConnectionProfile,
    /// Method of the request.
    pub method: Method,
    /// URL of the request, `http` or `https`.
    pub url: Url,
    /// Headers, without those of the credentials.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The fingerprint that the certificate must have, for Pin and FirstUse.
    pub pinned: Option<&'a str>,
    /// The longest answer that is read; of a longer error its status is kept.
    pub most_bytes: usize,
    /// True if the remote side is to change something: only then can a failure be doubtful.
    pub writes: bool,
    /// False if a success counts by its status, whatever its body lacks.
    pub needs_body: bool,
    /// True if the body of a success is not read but left to the caller, piece by piece.
    pub streamed: bool,
}

/// One answer, read in full.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Wait that the remote side asks for (RFC 9110 section 10.2.3), as a time from now.
    pub retry_after: Option<SignedDuration>,
    /// Schemes by which it asks for a login.
    pub challenges: Vec<Challenge>,
    /// Its direction, if it leads elsewhere.
    pub redirect: Option<Redirect>,
    /// The place where an accepted request is told of (RFC 9110 section 15.3.3), on any host.
    pub location: Option<Url>,
    /// Its body, with its part of the memory of all bodies.
    pub body: Bytes,
    /// The body of a success, where the request asked for it in pieces.
    pub stream: Option<BodyStream>,
    /// The SHA-256 of the certificate that was shown, where TLS was spoken.
    pub certificate_sha256: Option<String>,
    /// The token that was fetched and sent, so that it can be kept out of messages.
    pub token: Option<AccessToken>,
}

impl Transport {
    /// Makes a transport. Nothing is dialled before the first exchange.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a transport that dials these addresses, those of the API server of Kubernetes, only for
    /// a Connection that lists them one by one.
    pub fn beside(api_server: &[IpAddr]) -> Self {
        Self {
            api_server: api_server.into(),
            ..Self::default()
        }
    }

    /// Sends one request and reads its answer, with any status.
    ///
    /// Waits for its permit first, without a bound: the caller can drop the wait. A token that is
    /// needed and not held is fetched before.
    pub(crate) async fn send(&self, exchange: Exchange<'_>) -> Result<Answer, Failure> {
        let Some(credentials) = &exchange.profile.credentials else {
            return self.send_once(&exchange, None).await;
        };
        let (id, secret, scope) = match credentials {
            CredentialsValue::Digest { username, password } => {
                return self.send_with_digest(&exchange, username, password).await;
            }
            CredentialsValue::OAuth2ClientCredentials {
                client_id,
                client_secret,
                scope,
            } => (client_id, client_secret, scope),
            other => return self.send_once(&exchange, authorization(other)?).await,
        };
        let client = Client {
            id,
            secret,
            scope: scope.as_ref().map(|scope| scope.as_str()),
            authentication: exchange.profile.client_authentication,
        };
        let first = self.token(exchange.profile, client, None).await?;
        let answer = self.send_with_token(&exchange, &first).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let next = self.token(exchange.profile, client, Some(&first)).await?;
        self.send_with_token(&exchange, &next).await
    }

    /// Sends a request with HTTP Digest: by the nonce that is held, if there is one, and by a new one
    /// where the remote side asks for it, which did nothing then. A login that it refuses with a
    /// nonce that is new is not sent again.
    async fn send_with_digest(
        &self,
        exchange: &Exchange<'_>,
        username: &str,
        password: &str,
    ) -> Result<Answer, Failure> {
        let key = nonces::key(exchange.profile, &exchange.url, username, password);
        let login = |(challenge, count): &(DigestChallenge, u32)| {
            let cnonce = uuid::Uuid::new_v4().simple().to_string();
            let request = Authorized {
                username,
                password,
                method: exchange.method.as_str(),
                uri: &exchange.url[Position::BeforePath..Position::AfterQuery],
                count: *count,
                cnonce: &cnonce,
            };
            sensitive(&digest::authorization(challenge, request))
        };
        let held = self.nonces.next(key);
        let held = held.as_ref().map(login).transpose()?;
        let mut answer = self.send_once(exchange, held).await?;
        // A nonce that is stale although it is new is exchanged once.
        for attempt in 0..2 {
            let asked = digest::choose(&answer.challenges);
            let Some(asked) = asked.filter(|asked| attempt == 0 || asked.stale) else {
                break;
            };
            if answer.status != StatusCode::UNAUTHORIZED {
                break;
            }
            let next = self.nonces.keep(key, asked);
            answer = self.send_once(exchange, Some(login(&next)?)).await?;
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            self.nonces.forget(key);
        }
        Ok(answer)
    }

    async fn send_with_token(
        &self,
        exchange: &Exchange<'_>,
        token: &AccessToken,
    ) -> Result<Answer, Failure> {
        let login = bearer(token.as_str())?;
        let answer = self.send_once(exchange, Some(login)).await?;
        Ok(Answer {
            token: Some(token.clone()),
            ..answer
        })
    }

    /// Returns the token for a request: the one that is held, else a new one.
    async fn token(
        &self,
        profile: &ConnectionProfile,
        client: Client<'_>,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, Failure> {
        let key = tokens::key(profile, client);
        self.tokens
            .get(key, refused, self.fetch_token(profile, client))
            .await
    }

    /// Fetches a token, inside all bounds of the Connection: its networks, timeouts and limits. The
    /// endpoint's certificate is judged by authorities, independently of the trust in devices.
    async fn fetch_token(
        &self,
        profile: &ConnectionProfile,
        client: Client<'_>,
    ) -> Result<Grant, Failure> {
        let Some(url) = profile.token_url.clone() else {
            let message = "the Connection names no token endpoint";
            return Err(Failure::new(FailureKind::Unauthorized, message));
        };
        let profile = ConnectionProfile {
            trust: match &profile.trust {
                TrustProfile::Verify { .. } => profile.trust.clone(),
                TrustProfile::Pin | TrustProfile::FirstUse => TrustProfile::Verify { ca_pem: None },
            },
            server_name: None,
            credentials: None,
            ..profile.clone()
        };
        let exchange = Exchange {
            profile: &profile,
            method: Method::POST,
            url,
            headers: token::headers(client)?,
            body: token::body(client),
            pinned: None,
            most_bytes: MOST_TOKEN_BYTES,
            // The request that needs the token was not begun.
            writes: false,
            needs_body: true,
            streamed: false,
        };
        let answer = self
            .send_once(&exchange, None)
            .await
            .map_err(|failure| Failure {
                message: format!("the token endpoint: {}", failure.message),
                ..failure
            })?;
        token::judge(answer.status, answer.body, answer.retry_after)
    }

    async fn send_once(
        &self,
        exchange: &Exchange<'_>,
        login: Option<HeaderValue>,
    ) -> Result<Answer, Failure> {
        let (profile, url) = (exchange.profile, &exchange.url);
        networks::check_literal(url, &profile.networks, &self.api_server)
            .map_err(failure::not_allowed)?;
        let clients = &self.clients;
        let client = clients.get(profile, exchange.pinned, &self.api_server)?;
        let mut headers = exchange.headers.clone();
        headers.extend(login.map(|login| (AUTHORIZATION, login)));
        let remote = limits::remote(url);

        let permit = self.limits.permit(profile, &remote).await;
        let request = client
            .request(exchange.method.clone(), url.clone())
            .headers(headers)
            .body(exchange.body.clone());
        let deadline = Instant::now() + profile.request_timeout;
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(|_| failure::too_late(exchange.writes))?
            .map_err(|error| failure::classify(&error, exchange.writes))?;
        if exchange.streamed && response.status().is_success() {
            let status = response.status();
            let stream = BodyStream::new(response, permit, profile.request_timeout);
            return Ok(Answer {
                status,
                stream: Some(stream),
                ..Answer::default()
            });
        }
        body::read(response, exchange, deadline, &self.bodies).await
    }

    /// Returns the number of hosts and Connections that are counted at the moment; for tests and
    /// metrics.
    pub fn counted_limits(&self) -> usize {
        self.limits.len()
    }

    /// Returns the number of clients that are held at the moment; for tests and metrics.
    pub fn held_clients(&self) -> usize {
        self.clients.len()
    }
}

/// Returns the header of the credentials; `None` if TLS itself carries them, or a challenge or a
/// token is needed first.
fn authorization(credentials: &CredentialsValue) -> Result<Option<HeaderValue>, Failure> {
    match credentials {
        CredentialsValue::Basic { username, password } => {
            let pair = Zeroizing::new(format!("{}:{}", username.as_str(), password.as_str()));
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair.as_bytes());
            let encoded = Zeroizing::new(encoded);
            sensitive(&Zeroizing::new(format!("Basic {}", encoded.as_str()))).map(Some)
        }
        CredentialsValue::Bearer { token } => bearer(token).map(Some),
        // Those of SNMP belong to no HTTP.
        CredentialsValue::ClientCertificate(_)
        | CredentialsValue::Digest { .. }
        | CredentialsValue::OAuth2ClientCredentials { .. }
        | CredentialsValue::SnmpUser(_)
        | CredentialsValue::SnmpCommunity { .. } => Ok(None),
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    sensitive(&Zeroizing::new(format!("Bearer {token}")))
}

fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Failure::new(
            FailureKind::Unauthorized,
            "the credentials cannot be sent in a header",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
