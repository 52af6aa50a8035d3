//! Devices behind a settings distribution server (docs/api/settings.yaml).
//!
//! The server keeps what is wanted of each device until the device fetches it, and what the device
//! reported. A reading is what the device reported; the server's own copy tells only what the device is
//! asked for, and whether it has seen that. A write changes one wanted value, on the version that was
//! read, and never takes a success for an effect. Nothing here trusts the clock of the server.

mod answer;
mod document;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use entente_domain::protocol::Place;
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind,
    StatusReport, Value,
};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use http::{Method, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use url::Url;

use crate::device::{DeviceDriver, DeviceTarget};
use crate::parsing::parse;
use crate::text::{PrivateTexts, is_an_echo, places_with_a_secret};
use crate::transport::{Answer, Exchange, Transport};
use answer::OperationState;
use document::Document;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest answer that is read.
const MOST_BYTES: usize = 1024 * 1024;

/// The number of times that one wanted value is sent while others change what is wanted of the device.
const MOST_ATTEMPTS: usize = 3;

/// The longest time for which an operation of the server is waited for: the next reading tells of one
/// that takes longer.
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// Wait between two questions for an operation, where the server names none.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// The driver. One for a process.
pub struct SettingsServerDriver {
    transport: Arc<Transport>,
}

impl SettingsServerDriver {
    /// Makes a driver. Sends nothing by itself.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Sends one request.
    async fn send(&self, target: &DeviceTarget, request: Request) -> Result<Answer, Failure> {
        let mut headers = request.headers;
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, application/problem+json"),
        );
        let writes = request.method != Method::GET;
        let exchange = Exchange {
            profile: &target.profile,
            method: request.method,
            url: request.url,
            headers,
            body: request.body,
            pinned: target.pinned_certificate.as_deref(),
            most_bytes: MOST_BYTES,
            writes,
            needs_body: !writes,
            streamed: false,
        };
        self.transport.send(exchange).await
    }

    /// Reads the document of a device.
    async fn read(&self, target: &DeviceTarget) -> Result<(Document, Answer), Failure> {
        let url = url_of(target)?;
        let serial_number = document::serial_number(&url)?;
        let answer = self.send(target, Request::get(url)).await?;
        if answer.status != StatusCode::OK {
            return Err(answer::failure_of_reading(
                &answer,
                private(target, &answer),
            ));
        }
        let read = || Document::read(&answer.body, &serial_number);
        let document = parse(answer.body.len(), read).await?;
        Ok((document, answer))
    }

    /// Waits a while for an operation that was accepted. One that is not over then is told of by the
    /// next reading, and so is one of which nothing is heard.
    ///
    /// # Errors
    /// The operation ended without success.
    async fn follow(&self, target: &DeviceTarget, first: Answer) -> Result<(), Failure> {
        let Some(location) = first.location.clone() else {
            return Ok(());
        };
        if !is_of_the_server(&location, &target.url) {
            return Err(Failure {
                doubtful: true,
                ..Failure::new(
                    FailureKind::ProtocolError,
                    "the settings distribution server tells of its operation on another server, \
                     which is not asked",
                )
            });
        }
        let patience = MOST_PATIENCE.min(target.profile.request_timeout);
        let deadline = Instant::now() + patience;
        let mut asked = first.retry_after;
        loop {
            let wait = asked.and_then(|asked| Duration::try_from(asked).ok());
            let wait = wait.unwrap_or(BETWEEN_QUESTIONS);
            if Instant::now() + wait > deadline {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            let Ok(answer) = self.send(target, Request::get(location.clone())).await else {
                return Ok(());
            };
            let private = private(target, &answer);
            match answer::operation_state(&answer, private) {
                Some(OperationState::Running) => asked = answer.retry_after,
                Some(OperationState::Failed(failure)) => return Err(failure),
                Some(OperationState::Succeeded) | None => return Ok(()),
            }
        }
    }

    /// Sends one wanted value on the version of a document; `None` if another version is there by now.
    async fn put(
        &self,
        target: &DeviceTarget,
        (path, value): (&str, &Value),
        version: &str,
    ) -> Result<Option<()>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(IF_MATCH, header(&format!("\"{version}\""))?);
        let key = idempotency_key(target, (path, value), version);
        headers.insert(IDEMPOTENCY_KEY, header(&key)?);
        let request = Request {
            method: Method::PUT,
            url: url_of_wanted(target, path)?,
            headers,
            body: Bytes::from(json!({ "value": document::json_of(value) }).to_string()),
        };
        let answer = self.send(target, request).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(Some(())),
            StatusCode::ACCEPTED => self.follow(target, answer).await.map(Some),
            StatusCode::PRECONDITION_FAILED => Ok(None),
            _ => Err(answer::failure_of_write(&answer, private(target, &answer))),
        }
    }
}

/// One request before it is sent.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }
}

#[async_trait]
impl DeviceDriver for SettingsServerDriver {
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure> {
        let uuid = request.identity.as_http().ok_or_else(not_carried)?;
        let (document, answer) = self.read(target).await?;
        let gate = private(target, &answer).gate();
        let mut reading = document.reading(uuid, &request.places, &gate)?;
        // It goes into statuses, and a device may have put any text into it.
        let redactions = private(target, &answer).redactions();
        let product = reading.product_name.take();
        reading.product_name = product.map(|product| redactions.hide(&product));
        let identity = reading.identity.take();
        reading.identity = identity.filter(|identity| !is_an_echo(identity, &redactions));
        reading.private = places_with_a_secret(&reading.values, &redactions);
        reading.certificate_sha256 = answer.certificate_sha256;
        Ok(reading)
    }

    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure> {
        let path = write.place.as_http().ok_or_else(not_carried)?;
        for _ in 0..MOST_ATTEMPTS {
            let (document, _) = self.read(target).await?;
            // The answer to an earlier request may have been lost.
            if document.is_under_way(path, &write.value) {
                return Ok(());
            }
            let version = document.wanted_version();
            let put = self.put(target, (path, &write.value), version).await?;
            if put.is_some() {
                return Ok(());
            }
        }
        Err(Failure::new(
            FailureKind::Busy,
            "what is wanted of the device changes at the settings distribution server faster than it \
             can be read there (HTTP 412)",
        ))
    }

    async fn status(&self, _: &DeviceTarget, _: &Place) -> Result<StatusReport, Failure> {
        Err(only_settings())
    }

    async fn display(&self, _: &DeviceTarget, _: &DisplayRequest) -> Result<(), Failure> {
        Err(only_settings())
    }
}

/// Returns the failure of a request that is not for this protocol: nothing was sent.
fn not_carried() -> Failure {
    Failure::new(
        FailureKind::Unsupported,
        "the setting is not one that a settings distribution server can carry",
    )
}

/// Returns the failure of a request for something else than settings: nothing was sent.
fn only_settings() -> Failure {
    Failure::new(
        FailureKind::Unsupported,
        "a settings distribution server tells and takes settings only",
    )
}

fn private<'a>(target: &'a DeviceTarget, answer: &'a Answer) -> PrivateTexts<'a> {
    PrivateTexts {
        credentials: target.profile.credentials.as_ref(),
        token: answer.token.as_ref(),
        url: &target.url,
        secrets: Some(&target.secrets),
    }
}

fn url_of(target: &DeviceTarget) -> Result<Url, Failure> {
    let url = Url::parse(&target.url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        Failure::new(
            FailureKind::Unreachable,
            "the URL is not an http or https URL",
        )
    })
}

/// Returns the URL of one wanted value. Its place is in the query: many servers and proxies decode or
/// refuse a slash in a segment of a path.
fn url_of_wanted(target: &DeviceTarget, path: &str) -> Result<Url, Failure> {
    let mut url = url_of(target)?;
    url.path_segments_mut()
        .map_err(|()| not_carried())?
        .push("desired");
    url.query_pairs_mut().append_pair("path", path);
    Ok(url)
}

/// True if a URL leads to the same server as that of a device.
fn is_of_the_server(location: &Url, device: &str) -> bool {
    Url::parse(device).is_ok_and(|device| device.origin() == location.origin())
}

/// Returns the key by which the server knows a request again: that of the same value on the same
/// version. Of a secret only its keyed digest is in it.
fn idempotency_key(target: &DeviceTarget, (path, value): (&str, &Value), version: &str) -> String {
    let value = match value {
        Value::Secret(secret) => secret.digest().to_string(),
        other => document::json_of(other).to_string(),
    };
    let parts = json!([target.url, path, version, value]).to_string();
    let digest = Sha256::digest(parts.as_bytes());
    hex::encode(&digest[..16])
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        let message = "the version of what is wanted of the device cannot be written in a header";
        Failure::new(FailureKind::ProtocolError, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn an_operation_is_asked_for_at_the_same_scheme_host_and_port_alone() {
        let device = "https://settings.example/v1/devices/A1";
        for (location, is_asked) in [
            ("https://settings.example/v1/operations/9", true),
            ("https://settings.example:443/elsewhere", true),
            // A proxy in front of TLS often leaves the server in the belief that there is none.
            ("http://settings.example/v1/operations/9", false),
            ("https://settings.example:8443/v1/operations/9", false),
            (
                "https://settings.example.evil.example/v1/operations/9",
                false,
            ),
            ("https://10.0.0.1/v1/operations/9", false),
        ] {
            let location = Url::parse(location).expect("a URL");
            assert_eq!(is_of_the_server(&location, device), is_asked, "{location}");
        }
    }

    #[test]
    fn the_place_of_a_wanted_value_is_encoded_in_the_query() {
        let target = DeviceTarget {
            profile: Arc::new(
                crate::profile::ConnectionProfile::from_spec(
                    "hq",
                    &entente_crds::v1alpha1::ConnectionSpec::default(),
                    Vec::new(),
                    None,
                    None,
                )
                .expect("a profile"),
            ),
            url: "https://settings.example/fleet/v1/devices/N%2FA".to_owned(),
            printer_uri: None,
            pinned_certificate: None,
            secrets: entente_domain::secret::Secrets::default(),
        };
        let url = url_of_wanted(&target, "/settings/a~1b").expect("a URL");
        let built =
            "https://settings.example/fleet/v1/devices/N%2FA/desired?path=%2Fsettings%2Fa%7E1b";
        assert_eq!(url.as_str(), built);
    }
}
