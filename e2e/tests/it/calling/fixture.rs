//! A namespace whose devices call: gateway, enrolment with its token, service server and catalogue.

use entente_crds::v1alpha1::{
    Connection, Contract, DeviceEnrollment, DeviceModel, DeviceTwin, SmartService,
};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::{Gateway, GatewayPlace, OperatorOptions, OperatorView};
use entente_e2e::peers::{Agent, AgentOptions};
use entente_simulators::Broker;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::delivery_fixture::test_namespace;
use crate::tenant_secrets::{apply_secret, grant};

/// The token of the enrolment.
pub(super) const TOKEN: &str = "a-token-of-an-enrolment-that-nobody-guesses";

/// Name of the enrolment and of its Secret.
pub(super) const ENROLLMENT: &str = "fleet";

/// Applies what a device needs to register: the Connection of a gateway at a URL that asks devices to call
/// each `poll`, their model, and their enrolment with its token.
pub(super) async fn let_in(
    namespace: &TestNamespace<'_>,
    (url, poll): (&str, &str),
    enrollment: &DeviceEnrollment,
) {
    let connection = namespace.gateway_connection(url, poll);
    namespace.apply::<Connection>(&connection).await.unwrap();
    let model = namespace.model();
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    grant(namespace).await;
    apply_secret(namespace, ENROLLMENT, &[("token", TOKEN)]).await;
    let applied = namespace.apply::<DeviceEnrollment>(enrollment);
    applied.await.unwrap();
}

/// Credential that a device gets by its registration.
#[derive(Clone)]
pub(super) struct Credential {
    /// Its `printerId`.
    pub(super) id: String,
    pub(super) token: String,
}

/// A namespace with a gateway.
pub(super) struct CallingFixture<'a> {
    pub(super) namespace: TestNamespace<'a>,
    pub(super) broker: Broker,
    pub(super) gateway: Gateway,
}

impl CallingFixture<'static> {
    /// Sets it up in the environment that all tests share; devices are asked to call each `poll`.
    pub(super) async fn new(title: &str, poll: &str) -> Self {
        Self::with_flags(title, poll, &[]).await
    }

    /// Works as [`Self::new`], with flags of the gateway.
    pub(super) async fn with_flags(title: &str, poll: &str, flags: &[&str]) -> Self {
        CallingFixture::on(test_namespace(title).await, poll, flags).await
    }
}

impl<'a> CallingFixture<'a> {
    /// Sets it up on a control plane whose operator is there.
    pub(super) async fn on_plane(
        plane: &'a ControlPlane,
        operator: OperatorView,
        title: &str,
        poll: &str,
    ) -> Self {
        let name = plane.create_namespace(title).await.unwrap();
        let namespace = TestNamespace::with_name(plane, operator, name).await;
        Self::on(namespace.unwrap(), poll, &[]).await
    }

    async fn on(namespace: TestNamespace<'a>, poll: &str, flags: &[&str]) -> Self {
        let plane = namespace.plane();
        let taken = GatewayPlace::take(plane).unwrap();
        let enrollment = namespace.enrollment(ENROLLMENT);
        let_in(&namespace, (&taken.url(), poll), &enrollment).await;
        let broker = namespace.broker().await.unwrap();
        let to_broker = namespace.broker_connection(&broker.url());
        namespace.apply::<Connection>(&to_broker).await.unwrap();
        let service = namespace.backup();
        namespace.apply::<SmartService>(&service).await.unwrap();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let own = OperatorOptions::default().namespace;
        let connection = namespace.named("gateway");
        let gateway = taken.start(plane, &own, &connection, &flags).await.unwrap();
        Self {
            namespace,
            broker,
            gateway,
        }
    }

    /// Registers a device whose Device is there, and returns its credential. The gateway may not have seen the
    /// Device yet: a registration that waits, or is refused, is sent again.
    pub(super) async fn register(&self, registration: &Value) -> Credential {
        let url = format!("{}/v1/registrations", self.gateway.url());
        let client = self.gateway.client();
        let registered = async || {
            let request = client.post(&url).bearer_auth(TOKEN).json(registration);
            let answer = request.send().await.ok()?;
            let answer = (answer.status() == 201).then_some(answer)?;
            answer.json().await.ok()
        };
        let registered = self.namespace.soon("it registers", registered).await;
        let log = || self.gateway.view().log();
        let answer: Value = registered.unwrap_or_else(|error| panic!("{error}\n{}", log()));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Credential {
            id: text(&answer["printerId"]),
            token: text(&answer["credential"]["token"]),
        }
    }

    /// Returns the twin of a device as the gateway serves it; none if it is refused.
    pub(super) async fn served_twin(&self, credential: &Credential) -> Option<Value> {
        let url = format!("{}/v1/devices/{}/twin", self.gateway.url(), credential.id);
        let request = self.gateway.client().get(url);
        let answer = request.bearer_auth(&credential.token).send().await.ok()?;
        let answer = (answer.status() == 200).then_some(answer)?;
        answer.json().await.ok()
    }

    /// Sends a report of a device on the twin that it has read.
    pub(super) async fn report(&self, credential: &Credential, twin: &Value, settings: &Value) {
        let report = json!({"desiredVersion": twin["version"], "settings": settings});
        self.send_report(credential, &report).await;
    }

    /// Sends a report of a device.
    pub(super) async fn send_report(&self, credential: &Credential, report: &Value) {
        let path = format!("/v1/devices/{}/twin/reported", credential.id);
        let request = self.gateway.client().patch(self.gateway.url() + &path);
        let request = request.header("content-type", "application/merge-patch+json");
        let request = request.bearer_auth(&credential.token);
        let answer = request.body(report.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// Reports that a device has no setting: before its first report it is asked for none.
    pub(super) async fn report_nothing(&self, credential: &Credential) {
        let read = async || self.served_twin(credential).await;
        let twin = self.namespace.soon("it reads its twin", read).await;
        self.report(credential, &twin.unwrap(), &json!({})).await;
    }

    /// Starts a device that calls.
    pub(super) fn agent(&self, serial_number: &str) -> Agent {
        Agent::start(&self.gateway, &AgentOptions::new(serial_number, TOKEN)).unwrap()
    }

    /// Returns a contract of one entry `backup` on a device.
    pub(super) fn contract(&self, name: &str, device: &str, start: Timestamp) -> Contract {
        let entry = self
            .namespace
            .entry("backup", "data-backup", &[device], "1h");
        self.namespace.contract(name, start, vec![entry])
    }

    /// Returns the twin of a device.
    pub(super) async fn twin(&self, device: &str) -> Option<DeviceTwin> {
        self.namespace.get(device).await
    }
}
