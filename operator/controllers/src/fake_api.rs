//! An API server for tests, in this process: every request is handed to the test, which answers.
//!
//! It knows nothing of Kubernetes; a request that a test does not answer stays open, as with a
//! server that hangs. One that answers by itself is [`cluster::FakeCluster`]. Only compiled for
//! tests, of this crate and of those that use it (feature `fake-api`).

pub mod cluster;

use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc as stream;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tower::{BoxError, service_fn};

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

/// A request that waits for its answer.
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The body, as JSON; null if it is none.
    pub body: Value,
    reply: oneshot::Sender<Response<AnswerBody>>,
}

/// The requests of one client, in order.
pub struct FakeApi {
    asked: mpsc::UnboundedReceiver<Asked>,
}

/// A watch that the test feeds. Dropping it ends the watch as a server does.
pub struct FakeWatch(stream::UnboundedSender<Result<http_body::Frame<Bytes>, BoxError>>);

impl FakeApi {
    /// Returns a client and the requests that it sends.
    pub fn new() -> (Client, Self) {
        let (sender, asked) = mpsc::unbounded_channel();
        let service = service_fn(move |request: http::Request<Body>| {
            let sender = sender.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await?;
                let (reply, answer) = oneshot::channel();
                let asked = Asked {
                    method: parts.method,
                    target: parts.uri.to_string(),
                    body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                    reply,
                };
                sender.send(asked).map_err(|_| "the test is over")?;
                Ok::<_, BoxError>(answer.await?)
            }
        });
        (Client::new(service, "default"), Self { asked })
    }

    /// Returns the next request; fails the test if none comes.
    pub async fn next(&mut self) -> Asked {
        self.asked_within(Duration::from_mins(1)).await
    }

    /// Returns the next request; fails the test if none comes in this time.
    pub async fn asked_within(&mut self, patience: Duration) -> Asked {
        tokio::time::timeout(patience, self.asked.recv())
            .await
            .expect("a request in time")
            .expect("a client that lives")
    }

    /// True if no request waits for an answer.
    pub fn is_silent(&mut self) -> bool {
        self.asked.is_empty()
    }
}

impl Asked {
    /// True if it begins a watch.
    pub fn is_watch(&self) -> bool {
        self.target.contains("watch=true")
    }

    /// Answers with JSON.
    pub fn answer(self, status: u16, body: &Value) {
        self.text(status, &body.to_string());
    }

    /// Answers with a text.
    pub fn text(self, status: u16, body: &str) {
        let body = Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {});
        let response = Response::builder().status(status).body(body.boxed_unsync());
        // A client that has given up does not listen any more.
        let _ = self.reply.send(response.expect("a valid response"));
    }

    /// Answers with the Status of a failure.
    pub fn refuse(self, code: u16, reason: &str, message: &str) {
        let status = failure(code, reason, message);
        self.answer(code, &status);
    }

    /// Answers with a page of a list of ConfigMaps.
    pub fn list(self, version: u64, token: &str, items: &[Value]) {
        assert!(!self.is_watch(), "a list is asked for, not {}", self.target);
        let body = json!({
            "kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": {"resourceVersion": version.to_string(), "continue": token},
            "items": items,
        });
        self.answer(200, &body);
    }

    /// Answers with a watch.
    pub fn watch(self) -> FakeWatch {
        assert!(self.is_watch(), "a watch is asked for, not {}", self.target);
        let (sender, frames) = stream::unbounded();
        let body = StreamBody::new(frames).boxed_unsync();
        let _ = self.reply.send(Response::new(body));
        FakeWatch(sender)
    }
}

impl FakeWatch {
    /// Sends an event: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`.
    pub fn send(&self, event: &str, object: &Value) {
        assert!(self.try_send(event, object), "a client that watches");
    }

    /// Sends an event; false if nobody watches any more.
    fn try_send(&self, event: &str, object: &Value) -> bool {
        // In the order of the server: type before object.
        let line = format!("{{\"type\":\"{event}\",\"object\":{object}}}\n");
        let frame = http_body::Frame::data(Bytes::from(line));
        self.0.unbounded_send(Ok(frame)).is_ok()
    }
}

/// Returns the Status of a failure.
pub fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "code": code, "reason": reason, "message": message})
}

/// Returns a ConfigMap in namespace `acme`, with one value.
pub fn config_map(name: &str, uid: &str, version: u64, value: &str) -> Value {
    json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {
            "namespace": "acme", "name": name, "uid": uid,
            "resourceVersion": version.to_string(),
            "managedFields": [{"manager": "kubectl"}],
        },
        "data": {"value": value},
    })
}
