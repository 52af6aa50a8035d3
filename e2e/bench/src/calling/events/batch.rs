//! Batches of one device, each with ids that it has never used before.
//!
//! It must never make the same event twice: the gateway would drop it, and measure nothing. Called by the
//! parts of this bench.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;

use super::super::device::{Device, unexpected};
use super::super::line::{Answer, Server};
use super::super::problem;
use super::wanted::{KIND, application_id};
use crate::BenchError;

/// A device that sends.
pub(super) struct Sender {
    uri: Uri,
    host: HeaderValue,
    authorization: HeaderValue,
    /// Texts of an event before and after its number.
    before: String,
    after: String,
    next: usize,
}

impl Sender {
    /// Returns one for a device whose events have this run in their ids.
    pub(super) fn new(
        device: &Device,
        server: &Server,
        (number, run): (usize, usize),
    ) -> Result<Self, BenchError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(problem);
        let (printer_id, token) = device.credential();
        let application_id = application_id(number, &device.name);
        Ok(Self {
            uri: format!("/v1/devices/{printer_id}/events")
                .parse()
                .map_err(problem)?,
            host: value(&server.host())?,
            authorization: value(&format!("Bearer {token}"))?,
            before: format!(
                r#"{{"specversion":"1.0","source":"urn:uuid:{printer_id}","type":"dev.entente.{KIND}","subject":"black-toner","applicationid":"{application_id}","time":"2027-04-01T01:02:03Z","data":{{"partNumber":"TN-500K","level":18,"unit":"Percent","colorant":"black","cause":"Consumed"}},"id":"{run}-"#
            ),
            after: r#""}"#.to_owned(),
            next: 0,
        })
    }

    /// Returns a request with so many events.
    pub(super) fn request(&mut self, events: usize) -> Request<Full<Bytes>> {
        let each = self.before.len() + self.after.len() + 8;
        let mut body = String::with_capacity(each * events + 2);
        for place in 0..events {
            body.push(if place == 0 { '[' } else { ',' });
            body.push_str(&self.before);
            write!(body, "{}", self.next).expect("a String takes everything");
            body.push_str(&self.after);
            self.next += 1;
        }
        body.push(']');
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = http::Method::POST;
        request.uri_mut().clone_from(&self.uri);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        let kind = HeaderValue::from_static("application/cloudevents-batch+json");
        headers.insert(header::CONTENT_TYPE, kind);
        request
    }
}

/// Fails unless an answer is 202 and, where it is one of the gateway, has taken so many events.
pub(super) fn require_taken(answer: &Answer, events: usize) -> Result<(), BenchError> {
    let taken = format!(r#""accepted":{events},"#);
    let is_whole = answer.body.is_empty() || String::from_utf8_lossy(&answer.body).contains(&taken);
    if answer.status == 202 && is_whole {
        return Ok(());
    }
    Err(unexpected("the batch", answer))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn no_event_has_the_id_of_another_one_of_its_device() {
        let server: Uri = "/".parse().unwrap();
        let mut sender = Sender {
            uri: server,
            host: HeaderValue::from_static("a"),
            authorization: HeaderValue::from_static("b"),
            before: r#"{"id":"7-"#.to_owned(),
            after: r#""}"#.to_owned(),
            next: 0,
        };
        let mut ids = HashSet::new();
        for events in [1, 16, 256] {
            let body = sender.request(events).into_body().collect().await.unwrap();
            let batch: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
            let batch = batch.as_array().unwrap();
            assert_eq!(batch.len(), events);
            let fresh = batch.iter().all(|event| ids.insert(event["id"].clone()));
            assert!(fresh, "{batch:?}");
        }
    }

    #[test]
    fn a_batch_that_is_taken_in_part_is_a_fault() {
        let answer = |status, body: &'static str| Answer {
            status,
            headers: http::HeaderMap::new(),
            body: Bytes::from(body),
        };
        let whole = r#"{"accepted":16,"refused":[]}"#;
        require_taken(&answer(202, whole), 16).unwrap();
        require_taken(&answer(202, ""), 16).unwrap();
        require_taken(&answer(202, whole), 17).unwrap_err();
        require_taken(&answer(503, whole), 16).unwrap_err();
    }
}
