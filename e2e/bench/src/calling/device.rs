//! One device that calls: it registers, reads its twin, holds a request, and reports.
//!
//! It does what a device has to by the description of the API and nothing more: it keeps its token, the
//! tag of the document that it read last and at most one connection, which it opens again when the
//! server has closed it. It must never try a request again that was answered. Called by the parts of
//! this bench.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::line::{Answer, Line, Server};
use super::problem;
use crate::BenchError;

/// The product of the example model.
const PRODUCT: &str = "Northwind MFP 500";
/// Header of the time after which to call again.
const POLL_NEXT: &str = "entente-poll-next";
/// Time after which a registration that has to wait is sent again.
const PAUSE: Duration = Duration::from_secs(2);
/// Number of times that it is sent.
const TRIES: usize = 60;

/// A device.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) serial_number: String,
    /// Its path below `/v1/devices`, and its token; empty before it is registered.
    printer_id: String,
    token: String,
    /// Tag of the document that it read last.
    etag: Option<String>,
    line: Option<Line>,
}

/// A request that reads the twin of one device, ready to be sent any number of times.
#[derive(Clone)]
pub(super) struct Reading {
    uri: Uri,
    host: HeaderValue,
    authorization: HeaderValue,
    if_none_match: Option<HeaderValue>,
    prefer: Option<HeaderValue>,
}

impl Reading {
    /// Returns the request.
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::default());
        request.uri_mut().clone_from(&self.uri);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        if let Some(tag) = &self.if_none_match {
            headers.insert(header::IF_NONE_MATCH, tag.clone());
        }
        if let Some(prefer) = &self.prefer {
            headers.insert("prefer", prefer.clone());
        }
        request
    }

    /// Returns the same request, to be held for so many seconds while nothing changes.
    pub(super) fn held(mut self, seconds: u64) -> Result<Self, BenchError> {
        let prefer = HeaderValue::from_str(&format!("wait={seconds}"));
        self.prefer = Some(prefer.map_err(problem)?);
        Ok(self)
    }
}

impl Device {
    /// Returns a device that is not registered.
    pub(super) fn new(index: usize) -> Self {
        Self {
            name: format!("mfp-{index:05}"),
            serial_number: format!("NW5-{index:05}"),
            printer_id: String::new(),
            token: String::new(),
            etag: None,
            line: None,
        }
    }

    /// Registers by the token of an enrolment. The Device has to be there, or to be on its way.
    pub(super) async fn register(
        &mut self,
        server: &Server,
        enrollment_token: &str,
    ) -> Result<(), BenchError> {
        let body = json!({
            "serialNumber": self.serial_number,
            "productName": PRODUCT,
            "shipDestination": "JP",
            "timeZone": "Asia/Tokyo",
            "consent": {"by": "Panel", "at": Timestamp::now(), "textVersion": "1"},
        });
        for _ in 0..TRIES {
            let request = with_body(
                server,
                (Method::POST, "/v1/registrations"),
                ("application/json", &body),
                enrollment_token,
            )?;
            let answer = self.send(server, request).await?;
            match answer.status {
                201 => return self.registered(&answer),
                // Waiting is what the protocol asks for here, and TRIES bounds it. Retry-After may name a
                // longer time: 10,000 devices would keep it for minutes, and registering is not measured.
                202 | 429 | 503 => tokio::time::sleep(PAUSE).await,
                _ => return Err(unexpected("the registration", &answer)),
            }
        }
        Err(problem(format!("{} was never registered", self.name)))
    }

    fn registered(&mut self, answer: &Answer) -> Result<(), BenchError> {
        let body: Value = serde_json::from_slice(&answer.body).map_err(problem)?;
        let text = |pointer: &str| {
            let found = body.pointer(pointer).and_then(Value::as_str);
            found.map(str::to_owned)
        };
        self.printer_id = text("/printerId").ok_or_else(|| unexpected("the id", answer))?;
        self.token = text("/credential/token").ok_or_else(|| unexpected("the token", answer))?;
        Ok(())
    }

    /// Returns the request that reads the twin unless it is as the device knows it.
    pub(super) fn reading(&self, server: &Server) -> Result<Reading, BenchError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(problem);
        let path = format!("/v1/devices/{}/twin", self.printer_id);
        Ok(Reading {
            uri: path.parse().map_err(problem)?,
            host: value(&server.host())?,
            authorization: value(&format!("Bearer {}", self.token))?,
            if_none_match: self.etag.as_deref().map(value).transpose()?,
            prefer: None,
        })
    }

    /// Reads the twin; returns it if it is a new one, and the time after which to call again.
    pub(super) async fn read(
        &mut self,
        server: &Server,
    ) -> Result<(Option<Value>, SignedDuration), BenchError> {
        let request = self.reading(server)?.request();
        let answer = self.send(server, request).await?;
        self.take(&answer)
    }

    /// Reads the twin by a request that may be held so long, as [`Device::read`].
    pub(super) async fn hold(
        &mut self,
        server: &Server,
        seconds: u64,
    ) -> Result<(Option<Value>, SignedDuration), BenchError> {
        let request = self.reading(server)?.held(seconds)?.request();
        let answer = self.send(server, request).await?;
        self.take(&answer)
    }

    fn take(&mut self, answer: &Answer) -> Result<(Option<Value>, SignedDuration), BenchError> {
        let next = next_call(answer)?;
        match answer.status {
            304 => Ok((None, next)),
            200 => {
                let body = serde_json::from_slice(&answer.body).map_err(problem)?;
                self.etag = answer.header("etag").map(str::to_owned);
                Ok((Some(body), next))
            }
            _ => Err(unexpected("the twin", answer)),
        }
    }

    /// Reports a merge patch on the document that it read last; false if that has moved on.
    pub(super) async fn report(
        &mut self,
        server: &Server,
        patch: &Value,
    ) -> Result<bool, BenchError> {
        let uri = format!("/v1/devices/{}/twin/reported", self.printer_id);
        let mut request = with_body(
            server,
            (Method::PATCH, &uri),
            ("application/merge-patch+json", patch),
            &self.token,
        )?;
        if let Some(etag) = &self.etag {
            let etag = HeaderValue::from_str(etag).map_err(problem)?;
            request.headers_mut().insert(header::IF_MATCH, etag);
        }
        let answer = self.send(server, request).await?;
        match answer.status {
            204 => Ok(true),
            412 => Ok(false),
            _ => Err(unexpected("the report", &answer)),
        }
    }

    /// Returns its id at the gateway, and its token.
    pub(super) fn credential(&self) -> (&str, &str) {
        (&self.printer_id, &self.token)
    }

    /// Returns the version of the document that it read last.
    pub(super) fn version(&self) -> Option<i64> {
        self.etag.as_deref()?.trim_matches('"').parse().ok()
    }

    /// Closes its connection.
    pub(super) fn hang_up(&mut self) {
        self.line = None;
    }

    /// Sends a request over its connection. A connection that was idle may be closed while the request
    /// is on its way: it is sent once more over a new one.
    async fn send(
        &mut self,
        server: &Server,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, BenchError> {
        if let Some(mut line) = self.line.take().filter(Line::is_open) {
            match line.send(request.clone()).await {
                Ok(answer) => {
                    self.line = Some(line);
                    return Ok(answer);
                }
                Err(error) if !is_idle_end(&error) => return Err(problem(error)),
                Err(_) => {}
            }
        }
        let mut line = server.connect().await?;
        let answer = line.send(request).await.map_err(problem)?;
        self.line = Some(line);
        Ok(answer)
    }
}

fn with_body(
    server: &Server,
    (method, uri): (Method, &str),
    (kind, body): (&'static str, &Value),
    token: &str,
) -> Result<Request<Full<Bytes>>, BenchError> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::HOST, server.host())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, kind)
        .body(Full::from(body.to_string()))
        .map_err(problem)
}

/// True if the server has closed a connection that was idle, before it saw the request.
fn is_idle_end(error: &hyper::Error) -> bool {
    error.is_closed() || error.is_canceled() || error.is_incomplete_message()
}

/// Returns the time after which to call again.
fn next_call(answer: &Answer) -> Result<SignedDuration, BenchError> {
    let next = answer.header(POLL_NEXT);
    let next = next.ok_or_else(|| unexpected("the time of the next call", answer))?;
    next.parse().map_err(problem)
}

pub(super) fn unexpected(what: &str, answer: &Answer) -> BenchError {
    let body = String::from_utf8_lossy(&answer.body);
    let body: String = body.chars().take(300).collect();
    problem(format!("{what}: {} {body}", answer.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| {
            let name = header::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        Answer {
            status,
            headers: headers.collect(),
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn a_document_is_taken_once_and_an_answer_without_the_next_call_is_a_fault() {
        let mut device = Device::new(7);
        let whole = answer(
            200,
            &[("etag", "\"3\""), (POLL_NEXT, "PT24H")],
            r#"{"version":3}"#,
        );
        let (twin, next) = device.take(&whole).unwrap();
        assert_eq!(twin, Some(json!({"version": 3})));
        assert_eq!(next, SignedDuration::from_hours(24));
        assert_eq!(device.version(), Some(3));
        let (twin, next) = device
            .take(&answer(304, &[(POLL_NEXT, "PT1M5S")], ""))
            .unwrap();
        assert_eq!((twin, next), (None, SignedDuration::from_secs(65)));
        let problem = device.take(&answer(304, &[], "")).unwrap_err();
        assert!(problem.to_string().contains("next call"), "{problem}");
        let away = answer(503, &[(POLL_NEXT, "PT1S")], "{}");
        let problem = device.take(&away).unwrap_err();
        assert!(problem.to_string().contains("503"), "{problem}");
    }
}
