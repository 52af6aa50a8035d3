//! A gate before the writes of the operator: an admission webhook whose answers the test gives.
//!
//! While it is closed, each write of an object of Entente in one namespace waits at it until the test lets
//! it pass or refuses it; the API server has checked it by then and has not stored it. It must never hold a
//! write of anybody but the operator.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use entente_e2e::namespace::TestNamespace;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::PostParams;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A write that waits.
pub(super) struct Held {
    /// Its operation and its object, such as `UPDATE devices/status label-7`.
    pub(super) what: String,
    /// The version that it replaces; none where it makes the object.
    pub(super) replaces: Option<String>,
    /// The path of the object.
    pub(super) path: String,
    answer: oneshot::Sender<bool>,
}

impl Held {
    /// Answers it; who wrote it may be gone.
    pub(super) fn answer(self, passes: bool) {
        let _ = self.answer.send(passes);
    }
}

struct Shared {
    is_closed: AtomicBool,
    asked: AtomicUsize,
    held: mpsc::UnboundedSender<Held>,
}

/// The gate. It is open at first.
pub(super) struct Gate {
    shared: Arc<Shared>,
    held: mpsc::UnboundedReceiver<Held>,
    server: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Gate {
    /// Puts one before the writes in a namespace; the API server asks it when this returns. `touch` writes
    /// something there.
    pub(super) async fn before(namespace: &TestNamespace<'_>, touch: impl AsyncFn()) -> Self {
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let authority = certificate.cert.pem();
        let listener = Listener::with(&certificate).await;
        let url = format!("https://{}/", listener.address);
        let (sender, held) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            is_closed: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            held: sender,
        });
        let router = Router::new().route("/", post(review));
        let router = router.with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        let gate = Self {
            shared,
            held,
            server,
        };
        register(namespace, &url, &authority).await;
        let asked = namespace.soon("the API server asks at the gate", async || {
            touch().await;
            (gate.shared.asked.load(Ordering::Acquire) > 0).then_some(())
        });
        asked.await.unwrap();
        gate
    }

    /// Holds each write of the operator from now on.
    pub(super) fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
    }

    /// Lets everything pass from now on, also what waits.
    pub(super) fn open(&mut self) {
        self.shared.is_closed.store(false, Ordering::Release);
        while let Ok(held) = self.held.try_recv() {
            held.answer(true);
        }
    }

    /// Refuses what waits.
    pub(super) fn refuse_waiting(&mut self) {
        while let Ok(held) = self.held.try_recv() {
            held.answer(false);
        }
    }

    /// Returns the next write that waits.
    pub(super) async fn next(&mut self) -> Held {
        self.held.recv().await.expect("the gate has a sender")
    }
}

/// Has the API server ask at this URL before it stores an object of Entente in the namespace.
async fn register(namespace: &TestNamespace<'_>, url: &str, authority: &str) {
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let configuration = json!({
        "metadata": { "name": namespace.named("gate") },
        "webhooks": [{
            "name": "gate.entente.test",
            "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": url, "caBundle": authority },
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 30,
            "namespaceSelector": {
                "matchLabels": { "kubernetes.io/metadata.name": namespace.name() },
            },
            "rules": [{
                "apiGroups": ["entente.dev"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["*/*"],
            }],
        }],
    });
    let configuration: ValidatingWebhookConfiguration =
        serde_json::from_value(configuration).unwrap();
    let api: Api<ValidatingWebhookConfiguration> = Api::all(namespace.client().clone());
    let created = api.create(&PostParams::default(), &configuration).await;
    created.unwrap();
}

async fn review(State(shared): State<Arc<Shared>>, Json(review): Json<Value>) -> Json<Value> {
    shared.asked.fetch_add(1, Ordering::AcqRel);
    let request = &review["request"];
    let user = request["userInfo"]["username"].as_str().unwrap_or_default();
    let is_held = shared.is_closed.load(Ordering::Acquire) && user.ends_with(":entente");
    let passes = !is_held || wait(&shared, request).await;
    let status = json!({ "code": 503, "message": "the test refuses it" });
    Json(json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": { "uid": request["uid"], "allowed": passes, "status": status },
    }))
}

/// Waits for the answer of the test; a write that nobody answers is refused.
async fn wait(shared: &Shared, request: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = text(&request["resource"]["resource"]);
    let part = text(&request["subResource"]);
    let name = text(&request["object"]["metadata"]["name"]);
    let operation = text(&request["operation"]);
    let (answer, answered) = oneshot::channel();
    let held = Held {
        what: format!("{operation} {resource}/{part} {name}"),
        replaces: request["oldObject"]["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned),
        path: format!(
            "/apis/entente.dev/{}/namespaces/{}/{resource}/{name}",
            text(&request["resource"]["version"]),
            text(&request["namespace"]),
        ),
        answer,
    };
    shared.held.send(held).is_ok() && answered.await.unwrap_or(false)
}

/// Accepts connections by TLS.
struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
}

impl Listener {
    async fn with(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let key = certificate.signing_key.serialize_der();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            socket,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.socket.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
