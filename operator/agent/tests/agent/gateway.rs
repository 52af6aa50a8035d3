//! A gateway for tests: as small as docs/api/gateway.yaml allows, in memory, on loopback, with a ledger
//! of every request and a script of faults.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

mod activation;
mod answers;
mod content;
mod events;
mod updates;

pub(crate) use updates::Artifact;

/// Enrolment token.
pub(crate) const ENROLMENT: &str = "an-enrolment-token-of-a-test";
/// Id of the one device.
pub(crate) const ID: &str = "0d5e4d0c-6f3b-5b0a-9c0e-3b7f6f4f1c11";

/// Something that goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Another answer: status, headers, media type and body.
    Answer(u16, Vec<(&'static str, String)>, &'static str, String),
    /// The request has its effect, and the answer is lost.
    Lost,
    /// The answer does not come.
    Hangs,
    /// The request has its effect, and the answer comes once there is this file.
    Until(PathBuf),
    /// The body is cut after so many bytes.
    Cut(usize),
    /// The first byte of the body is another one.
    Spoiled,
}

impl Fault {
    /// A problem without any other header than those given.
    pub(crate) fn problem(status: u16, reason: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let body = content::problem(status, reason, "a fault of a test", &[]).to_string();
        Self::Answer(status, headers.collect(), "application/problem+json", body)
    }
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Entry {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }
}

/// State of the gateway.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) faults: Vec<(Method, &'static str, Fault)>,
    pub(crate) ledger: Vec<Entry>,
    /// Credential: the token, and whether it was used.
    pub(crate) token: Option<(String, bool)>,
    pub(crate) former: Option<String>,
    pub(crate) tokens: u64,
    pub(crate) withdrawn: bool,
    /// True while a registration waits for somebody.
    pub(crate) pending: bool,
    pub(crate) renew_after: Timestamp,
    pub(crate) version: u64,
    pub(crate) desired: Value,
    pub(crate) reported: Value,
    pub(crate) services: Value,
    /// Words of the device on its services, by application id, in turn.
    pub(crate) words: Vec<(String, Value)>,
    /// Events that the provider has, each once.
    pub(crate) taken: Vec<Value>,
    /// Most events of a batch.
    pub(crate) most_events: usize,
    /// True while the provider does not answer.
    pub(crate) pends: bool,
    pub(crate) poll_next: &'static str,
    pub(crate) sleep: &'static str,
    /// Gateway's clock minus the true one.
    pub(crate) ahead: SignedDuration,
    pub(crate) actions: BTreeMap<u64, Artifact>,
    pub(crate) feedback: Vec<Value>,
    /// Action that is cancelled; the cancellation has the next number.
    pub(crate) cancels: Option<u64>,
    pub(crate) url: String,
    /// Rule that this gateway breaks.
    pub(crate) defect: &'static str,
}

impl Inner {
    /// Instant by this gateway's clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }
}

/// A gateway that runs until it is dropped.
#[derive(Clone)]
pub(crate) struct Gateway {
    inner: Arc<Mutex<Inner>>,
    pub(crate) url: String,
    _task: Arc<Task>,
}

struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Shared::new(format!("http://{address}"));
        let router = gateway.router();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        gateway.running(tokio::spawn(serving))
    }

    /// The same over TLS, with the certificate in PEM.
    pub(crate) async fn start_with_tls() -> (Self, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let config = axum_server::tls_rustls::RustlsConfig::from_pem(
            certificate.clone().into_bytes(),
            key.into_bytes(),
        );
        let config = config.await.unwrap();
        let handle = axum_server::Handle::new();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = axum_server::bind_rustls(any, config).handle(handle.clone());
        // The port is known once it listens; the URL is filled in before anybody asks.
        let shared = Shared::new(String::new());
        let router = shared.router();
        let task = tokio::spawn(async move {
            server.serve(router.into_make_service()).await.unwrap();
        });
        let address = handle.listening().await.unwrap();
        let url = format!("https://localhost:{}", address.port());
        shared.0.lock().unwrap().url.clone_from(&url);
        (shared.running(task), certificate)
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Lets the next request of a method, whose path ends so, go wrong.
    pub(crate) fn fault(&self, method: Method, path: &'static str, fault: Fault) {
        self.inner().faults.push((method, path, fault));
    }

    /// Requests of a method whose path ends so.
    pub(crate) fn requests(&self, method: &Method, path: &str) -> Vec<Entry> {
        let inner = self.inner();
        let found = inner.ledger.iter().filter(|entry| {
            let name = entry.path.split('?').next().unwrap_or_default();
            entry.method == *method && name.ends_with(path)
        });
        found.cloned().collect()
    }

    /// A new version of the desired document.
    pub(crate) fn wants(&self, desired: Value) {
        let mut inner = self.inner();
        inner.version += 1;
        inner.desired = desired;
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    fn new(url: String) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            faults: Vec::new(),
            ledger: Vec::new(),
            token: None,
            former: None,
            tokens: 0,
            withdrawn: false,
            pending: false,
            renew_after: Timestamp::now() + SignedDuration::from_hours(4000),
            version: 1,
            desired: json!({"settings": {}}),
            reported: json!({"settings": {}}),
            services: json!([]),
            words: Vec::new(),
            taken: Vec::new(),
            most_events: 256,
            pends: false,
            poll_next: "PT1S",
            sleep: "00:00:01",
            ahead: SignedDuration::ZERO,
            actions: BTreeMap::new(),
            feedback: Vec::new(),
            cancels: None,
            url,
            defect: "",
        })))
    }

    fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    fn running(self, task: tokio::task::JoinHandle<()>) -> Gateway {
        let url = self.0.lock().unwrap().url.clone();
        Gateway {
            inner: self.0,
            url,
            _task: Arc::new(Task(task)),
        }
    }
}

/// Writes a request into the ledger, answers it, and lets go wrong what is scripted.
async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let path = parts
        .uri
        .path_and_query()
        .map_or("", |path| path.as_str())
        .to_owned();
    let fault = {
        let mut inner = shared.0.lock().unwrap();
        inner.ledger.push(Entry {
            at: Instant::now(),
            method: parts.method.clone(),
            path: path.clone(),
            headers: parts.headers.clone(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        });
        let name = path.split('?').next().unwrap_or_default().to_owned();
        let at = inner
            .faults
            .iter()
            .position(|(method, end, _)| *method == parts.method && name.ends_with(end));
        at.map(|at| inner.faults.remove(at).2)
    };
    if let Some(Fault::Answer(status, headers, media, body)) = fault {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        let media = HeaderValue::from_static(media);
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        for (name, value) in headers {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(&value).unwrap());
        }
        return dated(&shared, response);
    }
    if let Some(Fault::Hangs) = fault {
        std::future::pending::<()>().await;
    }
    let asked = answers::Asked {
        method: parts.method,
        path,
        headers: parts.headers,
        body: body.to_vec(),
    };
    let held = held_for(&asked);
    let until = Instant::now() + held;
    let response = loop {
        let response = shared.0.lock().unwrap().answer(&asked);
        if response.status() != StatusCode::NOT_MODIFIED || Instant::now() >= until {
            break response;
        }
        // A request is held here as by the real gateway; this is the time between two looks.
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    dated(&shared, spoiled(response, fault).await)
}

/// Time for which the request may be held.
fn held_for(asked: &answers::Asked) -> Duration {
    let prefer = asked.header("prefer").strip_prefix("wait=");
    let wait = prefer.and_then(|wait| wait.parse::<u64>().ok());
    Duration::from_secs(wait.unwrap_or(0).min(60))
}

async fn spoiled(response: Response, fault: Option<Fault>) -> Response {
    if let Some(Fault::Until(file)) = &fault {
        while !file.exists() {
            // The time between two looks; the test's own deadline ends the wait.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let (parts, body) = response.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap()
        .to_vec();
    let keep = match fault {
        Some(Fault::Lost) => 0,
        Some(Fault::Cut(length)) => length,
        Some(Fault::Spoiled) => {
            if let Some(first) = bytes.first_mut() {
                *first ^= 0xff;
            }
            bytes.len()
        }
        _ => return Response::from_parts(parts, Body::from(bytes)),
    };
    let mut parts = parts;
    let length = HeaderValue::from(bytes.len());
    parts.headers.insert(header::CONTENT_LENGTH, length);
    if keep >= bytes.len() {
        return Response::from_parts(parts, Body::from(bytes));
    }
    bytes.truncate(keep);
    // The connection is closed before the length that was announced. Nothing tells the server that its
    // client has the part that was sent, and an error at once would take that part back.
    let first = futures::stream::once(async { Ok(bytes::Bytes::from(bytes)) });
    let end = futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(std::io::Error::other("cut by a test"))
    });
    let body = Body::from_stream(futures::StreamExt::chain(first, end));
    Response::from_parts(parts, body)
}

fn dated(shared: &Shared, mut response: Response) -> Response {
    let inner = shared.0.lock().unwrap();
    if inner.defect == "no-date" {
        // An empty value cannot be read.
        let none = HeaderValue::from_static("now");
        response.headers_mut().insert(header::DATE, none);
        return response;
    }
    let now = std::time::SystemTime::from(inner.now());
    let date = HeaderValue::from_str(&httpdate::fmt_http_date(now)).unwrap();
    response.headers_mut().insert(header::DATE, date);
    response
}
