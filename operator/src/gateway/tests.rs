//! The gateway behind TLS, as devices meet it.

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use entente_controllers::{
    clock::FakeClock,
    fake_api::cluster::FakeCluster,
    shutdown::{Shutdown, ShutdownTrigger},
};
use entente_crds::v1alpha1::{Connection, Device, DeviceEnrollment, DeviceModel, DeviceTwin};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Resource;
use rcgen::generate_simple_self_signed;
use reqwest::{Certificate, Client};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

const TOKEN: &str = "a-token-of-twenty-characters";

/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(10);

fn apply<K: Resource<DynamicType = ()> + Serialize + DeserializeOwned>(
    cluster: &FakeCluster,
    object: Value,
) {
    let object: K = serde_json::from_value(object).unwrap();
    cluster.apply(&object);
}

/// Returns an API server with one Device of acme, and its twin as the operator makes it.
fn cluster() -> Arc<FakeCluster> {
    let start = "2027-03-20T01:02:03Z".parse().unwrap();
    let cluster = FakeCluster::new(Arc::new(FakeClock::starting_at(start)));
    let of = |kind: &str| json!({"apiVersion": "entente.dev/v1alpha1", "kind": kind});
    let object = |kind: &str, name: &str, spec: Value| {
        let mut object = of(kind);
        object["metadata"] =
            json!({"namespace": "acme", "name": name, "uid": format!("uid-{name}")});
        object["spec"] = spec;
        object
    };
    let metadata = json!({"name": "acme"});
    apply::<Namespace>(&cluster, json!({"metadata": metadata}));
    let agent = json!({"url": "https://gw.example", "region": "eu"});
    let allow = json!([{"name": "all", "namespaces": {}}]);
    let spec = json!({"protocol": "Agent", "agent": agent, "allow": allow});
    let mut connection = object("Connection", "gateway", spec);
    connection["metadata"]["namespace"] = Value::Null;
    apply::<Connection>(&cluster, connection);
    let spec = json!({"manufacturer": "Northwind", "productNames": ["MFP"]});
    let mut model = object("DeviceModel", "mfp", spec);
    model["metadata"]["namespace"] = Value::Null;
    apply::<DeviceModel>(&cluster, model);
    let spec = json!({"modelRef": {"name": "mfp"}, "serialNumber": "A1",
                      "connections": [{"name": "gateway"}]});
    apply::<Device>(&cluster, object("Device", "lobby", spec));
    let spec = json!({"deviceRef": {"name": "lobby", "uid": "uid-lobby"}});
    apply::<DeviceTwin>(&cluster, object("DeviceTwin", "lobby", spec));
    let spec = json!({"connectionRef": {"name": "gateway"}, "tokenSecretRef": {"name": "token"},
                      "consent": "NotNeeded"});
    apply::<DeviceEnrollment>(&cluster, object("DeviceEnrollment", "acme", spec));
    let labels = json!({"entente.dev/use": "true"});
    let mut secret = json!({"metadata": {"namespace": "acme", "name": "token", "labels": labels}});
    secret["data"] = json!({"token": base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD, TOKEN)});
    apply::<Secret>(&cluster, secret);
    cluster
}

struct Stand {
    address: SocketAddr,
    http: Client,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    trigger: ShutdownTrigger,
    served: JoinHandle<()>,
}

/// Begins to serve, over TLS, `connections` at once. It drains for so long.
async fn stand(connections: usize, time: Duration) -> Stand {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.path().join("tls.crt"), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    fs::write(directory.path().join("tls.key"), key).unwrap();
    let (trigger, leaving) = Shutdown::channel();
    let metrics = Arc::new(Metrics::new("0"));
    let parts = Parts {
        client: cluster().client(),
        clock: Arc::new(SystemClock),
        metrics: Arc::clone(&metrics),
        fetcher: entente_drivers::Fetcher::beside(&[]),
        readiness: Arc::new(Readiness::waiting_for(&[COMPONENT])),
        liveness: Arc::new(Liveness::default()),
        options: Options {
            connection: "gateway".to_owned(),
            namespace: "entente-system".to_owned(),
            served: Vec::new(),
            held: 2000,
            of_address: 20,
            of_device: 1,
            plain: false,
            artifacts: directory.path().join("artifacts"),
            artifact_bytes: 1 << 20,
            drain: time,
        },
    };
    let readiness = Arc::clone(&parts.readiness);
    let end = drain(leaving.clone(), Arc::clone(&readiness), time);
    let shutdown = end.shutdown.clone();
    let gateway = Gateway::new(parts, leaving, shutdown.clone());
    let running = Arc::clone(&gateway);
    tokio::spawn(async move { running.run().await });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let faults = Faults::new(Arc::clone(&metrics), ENDPOINT);
    let served = tokio::spawn(async move {
        let serve =
            |tls| bounded_http::serve(listener, Some(tls), gateway.router(), connections, end);
        let path = directory.path();
        with_certificate(path, faults, &shutdown, serve)
            .await
            .unwrap();
    });
    let root = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let http = Client::builder().tls_certs_only([root]);
    let stand = Stand {
        address,
        http: http.resolve("localhost", address).build().unwrap(),
        metrics,
        readiness,
        trigger,
        served,
    };
    stand.until(|| stand.readiness.is_ready()).await;
    stand
}

impl Stand {
    async fn until(&self, is_true: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            assert!(begun.elapsed() < PATIENCE, "{}", self.metrics.encode());
            // Between two looks; the deadline ends the wait.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Registers the device, as soon as the gateway knows enough. Returns its twin and its token.
    async fn register(&self) -> (String, String) {
        let body = json!({"serialNumber": "A1", "productName": "MFP", "shipDestination": "JP",
                          "timeZone": "UTC"});
        let begun = Instant::now();
        loop {
            let request = self.http.post(self.url("/v1/registrations"));
            let answer = request.bearer_auth(TOKEN).json(&body).send().await.unwrap();
            if answer.status() == 201 {
                let answer: Value = answer.json().await.unwrap();
                let id = answer["printerId"].as_str().unwrap();
                let token = answer["credential"]["token"].as_str().unwrap().to_owned();
                return (self.url(&format!("/v1/devices/{id}/twin")), token);
            }
            assert_eq!(answer.status(), 503, "{:?}", answer.text().await);
            assert!(begun.elapsed() < PATIENCE, "{}", self.metrics.encode());
            // Between two requests, as a device that is told to come again; the deadline ends the wait.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns a request for a twin that is held.
    fn wait(&self, (twin, token): &(String, String)) -> reqwest::RequestBuilder {
        let request = self.http.get(twin).bearer_auth(token);
        request
            .header("if-none-match", "\"1\"")
            .header("prefer", "wait=60")
    }

    fn is_held(&self, number: usize) -> bool {
        let line = format!("entente_gateway_held_requests {number}\n");
        self.metrics.encode().contains(&line)
    }
}

// shows C9 C13
#[tokio::test]
async fn requests_that_are_held_over_tls_are_answered_at_the_shutdown_and_nothing_is_reset() {
    let stand = stand(100, Duration::from_millis(1)).await;
    let device = stand.register().await;
    let waits: Vec<_> = (0..20)
        .map(|_| tokio::spawn(stand.wait(&device).send()))
        .collect();
    stand.until(|| stand.is_held(20)).await;
    let began = tokio::time::Instant::now();
    stand.trigger.trigger();
    for wait in waits {
        let answer = wait.await.unwrap().expect("an answer, and no reset");
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers()["connection"], "close");
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "not at their time"
    );
    tokio::time::timeout(Duration::from_secs(10), stand.served)
        .await
        .unwrap()
        .unwrap();
}

// shows C9 C13
#[tokio::test]
async fn a_gateway_that_leaves_says_so_and_takes_new_connections_until_it_has_drained() {
    let stand = stand(100, Duration::from_secs(2)).await;
    let device = stand.register().await;
    let held = tokio::spawn(stand.wait(&device).send());
    stand.until(|| stand.is_held(1)).await;
    stand.trigger.trigger();
    stand.until(|| !stand.readiness.is_ready()).await;
    let missing = stand.readiness.missing().concat();
    assert!(missing.starts_with("drain: "), "{missing}");
    let get = |(twin, token): &(String, String)| stand.http.get(twin).bearer_auth(token).send();
    for _ in 0..2 {
        let answer = get(&device).await.expect("a connection of its own");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["connection"], "close");
    }
    let answer = held.await.unwrap().expect("an answer, and no reset");
    assert_eq!(answer.status(), 304);
    assert_eq!(answer.headers()["connection"], "close");
    let ended = tokio::time::timeout(Duration::from_secs(10), stand.served).await;
    ended.expect("it ends by itself").unwrap();
    assert!(TcpStream::connect(stand.address).await.is_err());
}

// shows K5
#[tokio::test]
async fn a_connection_too_many_is_closed_and_none_is_taken_by_one_that_says_nothing() {
    let stand = stand(2, Duration::from_millis(1)).await;
    let ends = async |mut stream: TcpStream| {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        read.expect("it ends in time").ok();
    };
    let connect = async || TcpStream::connect(stand.address).await.unwrap();
    let (silent, mut slow) = (connect().await, connect().await);
    // The beginning of a handshake.
    slow.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let began = tokio::time::Instant::now();
    ends(connect().await).await;
    assert!(began.elapsed() < Duration::from_secs(5), "one too many");
    tokio::join!(ends(silent), ends(slow));
    assert!(
        began.elapsed() < Duration::from_secs(18),
        "a handshake has its time"
    );
    stand.register().await;
}

// shows K5
#[tokio::test]
async fn a_head_that_is_too_long_or_never_ends_is_refused_before_it_is_looked_at() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_trigger, shutdown) = Shutdown::channel();
    let router = axum::Router::new();
    tokio::spawn(bounded_http::serve(listener, None, router, 10, shutdown));
    let answer = async |head: String| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let written = stream.write_all(head.as_bytes()).await;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        (
            written.is_ok(),
            read.expect("it ends in time").is_ok(),
            answer,
        )
    };
    // The last read may bring as much again as the bound.
    let long = "a".repeat(100 * 1024);
    let (_, _, many) = answer(format!("GET / HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n")).await;
    assert!(
        many.starts_with("HTTP/1.1 431") || many.is_empty(),
        "{many}"
    );
    let (_, _, path) = answer(format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert!(path.starts_with("HTTP/1.1 4") || path.is_empty(), "{path}");
    let (_, _, never) = answer("GET / HTTP/1.1\r\nhost: x\r\nx: ".to_owned()).await;
    assert!(
        never.is_empty() || never.starts_with("HTTP/1.1 408"),
        "{never}"
    );
    let (_, _, garbage) = answer("\u{1}\u{2}\u{3}\r\n\r\n".to_owned()).await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
}
