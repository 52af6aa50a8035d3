//! A gateway that listens on loopback, the API server in front of which it stands, and the operator's
//! part, which the test plays.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use entente_controllers::{
    clock::{Clock as _, FakeClock},
    fake_api::cluster::FakeCluster,
    liveness::Liveness,
    metrics::Metrics,
    readiness::Readiness,
    shutdown::{Shutdown, ShutdownTrigger},
};
use entente_crds::digest::Digest;
use entente_crds::v1alpha1::{
    AgentEndpoint, AgentRegion, AllowEntry, Connection, ConnectionSpec, Device, DeviceConnection,
    DeviceEnrollment, DeviceEnrollmentSpec, DeviceModel, DeviceModelSpec, DeviceSpec, DeviceTwin,
    DeviceTwinSpec, DeviceTwinStatus, Protocol, TwinDevice, TwinSetting,
};
use entente_domain::secret::{DigestKey, SecretText};
use entente_e2e::wait::wait_for;
use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::ResourceExt as _;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Gateway, Options, Parts};

pub(super) const ACME: &str = "acme";
const DIGEST_KEY: &[u8; 32] = b"the operator's key for digests!!";
pub(super) const TOKEN: &str = "an enrolment token of acme";
/// Time in which something has to become true.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Stand {
    pub(super) cluster: Arc<FakeCluster>,
    pub(super) clock: Arc<FakeClock>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) address: SocketAddr,
    pub(super) http: Client,
    pub(super) metrics: Arc<Metrics>,
    pub(super) directory: tempfile::TempDir,
    leave: ShutdownTrigger,
    trigger: ShutdownTrigger,
    server: JoinHandle<()>,
}

/// A device that has registered.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) id: String,
    pub(super) token: String,
}

/// Returns the token of acme, which has no blank.
pub(super) fn token() -> String {
    TOKEN.replace(' ', "-")
}

pub(super) fn connection() -> Connection {
    let region = |name: &str, countries: &[&str]| AgentRegion {
        name: name.to_owned(),
        url: format!("https://gw.{name}.example"),
        countries: countries.iter().map(|it| (*it).to_owned()).collect(),
    };
    let spec = ConnectionSpec {
        protocol: Protocol::Agent,
        agent: Some(AgentEndpoint {
            url: "https://gw.eu.example".to_owned(),
            region: "eu".to_owned(),
            regions: vec![region("eu", &["DE"]), region("jp", &["JP"])],
            ..AgentEndpoint::default()
        }),
        allow: vec![AllowEntry::default()],
        ..ConnectionSpec::default()
    };
    Connection::new("gateway", spec)
}

pub(super) fn enrollment() -> DeviceEnrollment {
    let mut spec = DeviceEnrollmentSpec::default();
    spec.connection_ref.name = "gateway".to_owned();
    spec.token_secret_ref.name = "acme-enrollment".to_owned();
    let mut enrollment = DeviceEnrollment::new("acme-2027", spec);
    enrollment.metadata.namespace = Some(ACME.to_owned());
    enrollment
}

pub(super) fn device(name: &str, serial_number: &str) -> Device {
    let mut spec = DeviceSpec {
        serial_number: serial_number.to_owned(),
        connections: vec![DeviceConnection {
            name: "gateway".to_owned(),
            ..DeviceConnection::default()
        }],
        ..DeviceSpec::default()
    };
    spec.model_ref.name = "nw-mfp".to_owned();
    let mut device = Device::new(name, spec);
    device.metadata.namespace = Some(ACME.to_owned());
    device
}

pub(super) fn registration(serial_number: &str) -> Value {
    json!({
        "serialNumber": serial_number, "productName": "NW MFP 500", "shipDestination": "JP",
        "timeZone": "Asia/Tokyo",
        "consent": {"by": "Panel", "at": "2027-03-20T01:02:03Z", "textVersion": "2027-01"},
    })
}

pub(super) fn value(name: &str, value: &str) -> TwinSetting {
    TwinSetting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        asked: 1,
        ..TwinSetting::default()
    }
}

impl Stand {
    /// Begins with the catalogue, an enrolment of acme and one Device.
    pub(super) async fn new() -> Self {
        let stand = Self::with(options()).await;
        stand.add_device("lobby-mfp", "A1");
        stand.until(|| stand.gateway.is_available()).await;
        stand
    }

    pub(super) async fn with(mut options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        options.artifacts = directory.path().to_owned();
        // It fails when there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let start = "2027-03-20T01:02:03Z".parse().unwrap();
        let clock = Arc::new(FakeClock::starting_at(start));
        let cluster = FakeCluster::new(Arc::clone(&clock));
        prepare(&cluster);
        let (leave, leaving) = Shutdown::channel();
        let (trigger, shutdown) = Shutdown::channel();
        let metrics = Arc::new(Metrics::new("0"));
        let clock_of_gateway: Arc<FakeClock> = Arc::clone(&clock);
        let parts = Parts {
            client: cluster.client(),
            clock: clock_of_gateway,
            metrics: Arc::clone(&metrics),
            fetcher: entente_drivers::Fetcher::beside(&[]),
            readiness: Arc::new(Readiness::waiting_for(&[crate::COMPONENT])),
            liveness: Arc::new(Liveness::default()),
            options,
        };
        let gateway = Gateway::new(parts, leaving, shutdown.clone());
        let running = Arc::clone(&gateway);
        tokio::spawn(async move { running.run().await });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = gateway
            .router()
            .into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, service);
            let end = async move { shutdown.requested().await };
            served.with_graceful_shutdown(end).await.unwrap();
        });
        Self {
            cluster,
            clock,
            gateway,
            address,
            http: Client::new(),
            metrics,
            directory,
            leave,
            trigger,
            server,
        }
    }

    /// Adds a Device, and its twin as the operator does.
    pub(super) fn add_device(&self, name: &str, serial_number: &str) {
        self.cluster.apply(&device(name, serial_number));
        self.make_twin(name);
    }

    pub(super) fn make_twin(&self, name: &str) {
        let device: Device = self.cluster.get(ACME, name).unwrap();
        let spec = DeviceTwinSpec {
            device_ref: Some(TwinDevice {
                name: name.to_owned(),
                uid: device.uid().unwrap(),
            }),
            ..DeviceTwinSpec::default()
        };
        let mut twin = DeviceTwin::new(name, spec);
        twin.metadata.namespace = Some(ACME.to_owned());
        self.cluster.apply(&twin);
    }

    /// Changes what the device should hold.
    pub(super) fn want(&self, settings: Vec<TwinSetting>) {
        self.cluster
            .edit(ACME, "lobby-mfp", |twin: &mut DeviceTwin| {
                twin.spec.settings = settings;
            });
    }

    pub(super) fn status(&self, name: &str) -> DeviceTwinStatus {
        let twin: DeviceTwin = self.cluster.get(ACME, name).unwrap();
        twin.status.unwrap_or_default()
    }

    pub(super) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let request = self.http.request(method, url);
        if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        }
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    pub(super) async fn post_registration(&self, body: &Value, token: &str) -> Response {
        let request = self.request(Method::POST, "/v1/registrations", token);
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    pub(super) async fn register(&self, serial_number: &str) -> Registered {
        let answer = self
            .post_registration(&registration(serial_number), &token())
            .await;
        assert_eq!(
            answer.status(),
            StatusCode::CREATED,
            "{}",
            self.cluster.dump()
        );
        let body = json_of(answer).await;
        Registered {
            id: body["printerId"].as_str().unwrap().to_owned(),
            token: body["credential"]["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Reports of a device.
    pub(super) async fn report(&self, device: &Registered, body: &Value) -> Response {
        let path = format!("/v1/devices/{}/twin/reported", device.id);
        let request = self.request(Method::PATCH, &path, &device.token);
        let request = request.header("content-type", "application/merge-patch+json");
        request.body(body.to_string()).send().await.unwrap()
    }

    pub(super) async fn until(&self, mut is_true: impl FnMut() -> bool) {
        let look = async || is_true().then_some(());
        let seen = wait_for("a condition of the gateway", PATIENCE, look).await;
        seen.unwrap_or_else(|late| panic!("{late}{}", self.cluster.dump()));
    }

    /// Waits until the gateway has seen everything that the cluster has.
    pub(super) async fn until_seen(&self, name: &str) {
        let stored = || {
            let twin: Option<DeviceTwin> = self.cluster.get(ACME, name);
            twin.and_then(|twin| twin.resource_version())
        };
        let key = entente_controllers::cache::Key::new(ACME, name);
        self.until(|| {
            let seen = self.gateway.objects.twins.get(&key);
            seen.and_then(|twin| twin.resource_version()) == stored()
        })
        .await;
    }

    pub(super) fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Stops as the process does, and waits until everything is answered.
    pub(super) async fn stop(self) {
        self.trigger.trigger();
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .unwrap()
            .unwrap();
    }

    /// Lets it leave, as at the beginning of the end of the process.
    pub(super) fn leave(&self) {
        self.leave.trigger();
    }

    pub(super) fn trigger(&self) {
        self.trigger.trigger();
    }
}

/// Returns the options of a gateway whose connections are on loopback.
pub(super) fn options() -> Options {
    Options {
        connection: "gateway".to_owned(),
        namespace: "entente-system".to_owned(),
        served: Vec::new(),
        held: 1000,
        of_address: 20,
        of_device: 1,
        plain: true,
        artifacts: std::path::PathBuf::new(),
        artifact_bytes: 64 << 20,
        drain: Duration::from_secs(1),
    }
}

fn prepare(cluster: &FakeCluster) {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(ACME.to_owned());
    cluster.apply(&namespace);
    cluster.apply(&connection());
    let spec = DeviceModelSpec {
        manufacturer: "Northwind".to_owned(),
        product_names: vec!["NW MFP *".to_owned()],
        ..DeviceModelSpec::default()
    };
    cluster.apply(&DeviceModel::new("nw-mfp", spec));
    cluster.apply(&enrollment());
    put_secret(cluster, "acme-enrollment", "token", &token());
    let key = str::from_utf8(DIGEST_KEY).unwrap();
    put_secret_in(
        cluster,
        "entente-system",
        ("entente-digest-key", "key"),
        key,
    );
}

/// Returns the digest of a text by the operator's key.
pub(super) fn digest(text: &str) -> Digest {
    SecretText::new(text.to_owned(), &DigestKey::new(DIGEST_KEY.to_vec())).digest()
}

/// Stores a Secret that may be used.
pub(super) fn put_secret(cluster: &FakeCluster, name: &str, key: &str, value: &str) {
    put_secret_in(cluster, ACME, (name, key), value);
}

fn put_secret_in(cluster: &FakeCluster, namespace: &str, (name, key): (&str, &str), value: &str) {
    let mut secret = Secret::default();
    secret.metadata.namespace = Some(namespace.to_owned());
    secret.metadata.name = Some(name.to_owned());
    let label = (entente_crds::LABEL_USE.to_owned(), "true".to_owned());
    secret.metadata.labels = Some([label].into());
    let value = ByteString(value.as_bytes().to_vec());
    secret.data = Some([(key.to_owned(), value)].into());
    cluster.apply(&secret);
}

pub(super) async fn json_of(answer: Response) -> Value {
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Returns status and reason of a problem, after a look at its form.
pub(super) async fn problem(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(kind, "application/problem+json", "{status}");
    assert!(answer.headers().contains_key("date"));
    let is_later = [429, 503].contains(&status);
    assert_eq!(answer.headers().contains_key("retry-after"), is_later);
    let body = json_of(answer).await;
    assert_eq!(body["status"], status);
    (status, body["reason"].as_str().unwrap().to_owned())
}
