//! A device that a test plays: it takes what its twin asks for when it is told to, and says of its services
//! what the test says; it sends the events that the test makes.
//!
//! Decides nothing by itself, so that each word and each report has its place in the test. Called by tests of
//! the activation and of data.

use entente_crds::v1alpha1::{Device, ServiceSubscription};
use entente_e2e::namespace::now;
use entente_e2e::namespace::read::Conditioned as _;
use serde_json::{Map, Value, json};

use super::fixture::{CallingFixture, Credential};

/// The contract whose entries are the services of the device.
pub(super) const CONTRACT: &str = "now";

/// The answer to a batch of events.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) status: u16,
    /// Seconds after which to come again.
    pub(super) retry_after: Option<u32>,
    pub(super) body: Value,
}

/// A device that has registered.
pub(super) struct Played<'f> {
    fixture: &'f CallingFixture<'static>,
    name: String,
    credential: Credential,
    /// Version of the twin on which it has reported.
    reported: Value,
    /// True if it sends the kinds of data that it is asked for.
    sends_data: bool,
}

impl<'f> Played<'f> {
    /// Applies its Device, and registers it with abilities, or with none that it tells.
    pub(super) async fn register(
        fixture: &'f CallingFixture<'static>,
        (name, serial_number): (&str, &str),
        capabilities: Value,
    ) -> Self {
        let device = fixture.namespace.calling_device(name, serial_number);
        fixture.namespace.apply::<Device>(&device).await.unwrap();
        let mut registration = json!({
            "serialNumber": serial_number, "productName": "Northwind MFP 500",
            "shipDestination": "BR", "timeZone": "America/Sao_Paulo",
            "consent": {"by": "Panel", "at": now().to_string(), "textVersion": "2027-01"},
        });
        if !capabilities.is_null() {
            registration["capabilities"] = capabilities;
        }
        Self::resumed(fixture, name, &fixture.register(&registration).await)
    }

    /// Returns a device that has registered before.
    pub(super) fn resumed(
        fixture: &'f CallingFixture<'static>,
        name: &str,
        credential: &Credential,
    ) -> Self {
        Self {
            fixture,
            name: name.to_owned(),
            credential: credential.clone(),
            reported: Value::Null,
            sends_data: true,
        }
    }

    /// Returns its credential.
    pub(super) fn credential(&self) -> Credential {
        self.credential.clone()
    }

    /// From now on it sends, or does not send, the kinds of data that it is asked for, and says so.
    pub(super) fn send_data(&mut self, sends_data: bool) {
        self.sends_data = sends_data;
        self.reported = Value::Null;
    }

    /// Returns its twin as the gateway serves it.
    pub(super) async fn twin(&self) -> Option<Value> {
        self.fixture.served_twin(&self.credential).await
    }

    /// Says something of a service, and returns the status and the body of the answer. The request is sent
    /// once somebody waits for it, and the device may do something else meanwhile.
    pub(super) fn says(
        &self,
        entry: &str,
        word: &Value,
    ) -> impl Future<Output = (u16, Value)> + use<> {
        let path = format!(
            "/v1/devices/{}/services/{}/activation",
            self.credential.id,
            self.application(entry)
        );
        let gateway = &self.fixture.gateway;
        let request = gateway.client().put(gateway.url() + &path).json(word);
        let request = request.bearer_auth(&self.credential.token);
        let request = request.header("prefer", "wait=60");
        async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            (status, answer.json().await.unwrap())
        }
    }

    /// Returns its id at the gateway.
    pub(super) fn id(&self) -> &str {
        &self.credential.id
    }

    /// Returns the id of the service of an entry.
    pub(super) fn application(&self, entry: &str) -> String {
        format!("{CONTRACT}.{entry}.{}", self.name)
    }

    /// Sends a batch of events, and returns the answer; an error if there is none.
    pub(super) fn sends(
        &self,
        batch: &Value,
    ) -> impl Future<Output = Result<Sent, reqwest::Error>> + use<> {
        let gateway = &self.fixture.gateway;
        let path = format!("/v1/devices/{}/events", self.credential.id);
        let request = gateway.client().post(gateway.url() + &path);
        let request = request.bearer_auth(&self.credential.token);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let request = request.body(batch.to_string());
        async {
            let answer = request.send().await?;
            let seconds = answer.headers().get("retry-after");
            let seconds = seconds.and_then(|it| it.to_str().ok()?.parse().ok());
            Ok(Sent {
                status: answer.status().as_u16(),
                retry_after: seconds,
                body: answer.json().await?,
            })
        }
    }

    /// Withdraws the consent of its owner, and returns the status of the answer.
    pub(super) async fn withdraws(&self) -> u16 {
        let gateway = &self.fixture.gateway;
        let path = format!("/v1/devices/{}?by=Panel", self.credential.id);
        let request = gateway.client().delete(gateway.url() + &path);
        let request = request.bearer_auth(&self.credential.token);
        request.send().await.unwrap().status().as_u16()
    }

    /// Returns a service as the gateway lists it.
    pub(super) async fn listed(&self, entry: &str) -> Option<Value> {
        let gateway = &self.fixture.gateway;
        let path = format!("/v1/devices/{}/services", self.credential.id);
        let request = gateway.client().get(gateway.url() + &path);
        let request = request.bearer_auth(&self.credential.token);
        let list: Value = request.send().await.ok()?.json().await.ok()?;
        let id = self.application(entry);
        let mut services = list["services"].as_array()?.iter();
        services.find(|it| it["applicationId"] == id).cloned()
    }

    /// Returns the subscription of an entry on it.
    pub(super) async fn subscription(&self, entry: &str) -> Option<ServiceSubscription> {
        let namespace = &self.fixture.namespace;
        namespace.subscription(CONTRACT, entry, &self.name).await
    }

    /// Takes everything that its twin, as it was read, asks for and reports it, unless it has done so.
    pub(super) async fn takes(&mut self, twin: &Value) -> Option<()> {
        if twin["version"] == self.reported {
            return Some(());
        }
        let desired = &twin["desired"];
        let in_effect = |(name, wanted): (&String, &Value)| {
            let setting = json!({"value": wanted["value"], "by": "Server"});
            (name.clone(), setting)
        };
        let settings = desired["settings"].as_object()?.iter().map(in_effect);
        let kinds = desired["dataTypes"].as_array()?.iter();
        let kinds = kinds.filter(|_| self.sends_data);
        let kinds = kinds.map(|kind| json!({"name": kind["name"], "period": kind["period"]}));
        let report = json!({
            "desiredVersion": twin["version"],
            "settings": settings.collect::<Map<_, _>>(),
            "dataTypes": kinds.collect::<Vec<_>>(),
        });
        self.fixture.send_report(&self.credential, &report).await;
        self.reported = twin["version"].clone();
        Some(())
    }

    /// Takes what its twin asks for until the subscription of an entry is as it has to be.
    pub(super) async fn takes_until(
        &mut self,
        entry: &str,
        what: &str,
        is_it: impl Fn(&ServiceSubscription) -> bool,
    ) -> ServiceSubscription {
        let fixture = self.fixture;
        let look = async || {
            let twin = self.twin().await?;
            self.takes(&twin).await?;
            self.subscription(entry).await.filter(&is_it)
        };
        fixture.namespace.soon(what, look).await.unwrap()
    }

    /// Takes what its twin asks for until everything but the activation of an entry is set up.
    pub(super) async fn is_set_up(&mut self, entry: &str) -> ServiceSubscription {
        let is_set_up =
            |it: &ServiceSubscription| it.is("DeviceConfigured") && it.is("ServerConfigured");
        self.takes_until(entry, "both sides are set up", is_set_up)
            .await
    }

    /// Takes what its twin asks for until an entry says of its activation what it has to say.
    pub(super) async fn is_said(&mut self, entry: &str, reason: &str) -> ServiceSubscription {
        let what = format!("{entry} says Activated {reason}");
        self.takes_until(entry, &what, |it| it.reason("Activated") == reason)
            .await
    }

    /// Takes what its twin asks for until an entry is switched off, and its service server has it off.
    pub(super) async fn is_off(&mut self, entry: &str) -> ServiceSubscription {
        let is_off = |it: &ServiceSubscription| {
            it.reason("Activated") == "DisabledLocally" && it.is("ServerConfigured")
        };
        self.takes_until(entry, "it is off on both sides", is_off)
            .await
    }
}
