//! A device whose events go to the inbox of a provider: openbrokerapi is the provider's server, and the SDK of
//! CloudEvents judges each event at its inbox.
//!
//! Decides the catalogue, and how events are made. Called by the tests of events.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_crds::v1alpha1::{
    ActivationMode, AgentData, Connection, Contract, DataEvent, DataType, DataVia, DeviceModel,
    ServiceData, SmartService, Timeouts, WantedDataType,
};
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{CloudEventsInbox, OpenBroker, OpenBrokerOptions, TakenEvent};
use serde_json::{Value, json};

use super::activation::UNLIMITED;
use super::fixture::CallingFixture;
use super::played::{CONTRACT, Played, Sent};

/// Name of the device.
pub(super) const DEVICE: &str = "behind";
/// The kind of data that the service wants.
pub(super) const KIND: &str = "supplies.level";
/// A kind that the device can send, and nobody wants.
pub(super) const UNWANTED: &str = "counters.total";
/// Path of the inbox.
pub(super) const PATH: &str = "/v1/events";
/// Time in which the inbox has to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A namespace with a gateway, a provider's server and its inbox.
pub(super) struct EventsFixture {
    pub(super) calling: CallingFixture<'static>,
    pub(super) broker: OpenBroker,
    pub(super) inbox: CloudEventsInbox,
}

impl EventsFixture {
    /// Sets it up with a service that is turned on in this way, and wants one kind of data and no setting.
    /// The contract is in force.
    pub(super) async fn new(title: &str, mode: ActivationMode) -> Self {
        let calling = CallingFixture::with_flags(title, "24h", &UNLIMITED).await;
        let broker = OpenBroker::start(OpenBrokerOptions::default());
        let broker = broker.await.unwrap();
        let inbox = CloudEventsInbox::start().await.unwrap();
        let namespace = &calling.namespace;
        let to_broker = namespace.broker_connection(&broker.url());
        namespace.apply::<Connection>(&to_broker).await.unwrap();
        apply_catalogue(namespace, &inbox, mode).await;
        let entry = namespace.entry("backup", "data-backup", &[DEVICE], "1h");
        let contract = namespace.contract(CONTRACT, now(), vec![entry]);
        namespace.apply::<Contract>(&contract).await.unwrap();
        Self {
            calling,
            broker,
            inbox,
        }
    }

    /// Registers the device, and has it take what its twin asks for until its service is on.
    pub(super) async fn device(&self, serial_number: &str) -> Played<'_> {
        device(&self.calling, serial_number).await
    }

    /// Sends a batch until it is answered otherwise than 503, and returns that answer.
    pub(super) async fn until_answered(&self, device: &Played<'_>, batch: &Value) -> Sent {
        let send = async || {
            let sent = device.sends(batch).await.ok()?;
            (sent.status != 503).then_some(sent)
        };
        let namespace = &self.calling.namespace;
        namespace.soon("the batch is answered", send).await.unwrap()
    }

    /// True if the only instance at the provider's server is turned on.
    pub(super) async fn is_on(&self) -> bool {
        let instances = self.broker.instances().await.unwrap();
        assert_eq!(instances.len(), 1, "{instances:?}");
        let mut instances = instances.into_values();
        instances
            .next()
            .is_some_and(|it| it.parameters["enabled"] == json!(true))
    }

    /// Fails unless the inbox, by the SDK, has found nothing wrong with any request.
    pub(super) fn nothing_is_wrong(&self) {
        let requests = self.inbox.requests();
        assert!(!requests.is_empty(), "nothing was sent");
        for request in &requests {
            assert_eq!(request.faults, [""; 0], "{request:?}");
            assert_eq!(request.path, PATH, "{request:?}");
        }
    }
}

/// Works as [`EventsFixture::device`], for tests that end a peer meanwhile.
pub(super) async fn device<'f>(
    calling: &'f CallingFixture<'static>,
    serial_number: &str,
) -> Played<'f> {
    let named = (DEVICE, serial_number);
    let mut device = Played::register(calling, named, Value::Null).await;
    device.is_said("backup", "Active").await;
    device
}

async fn apply_catalogue(
    namespace: &TestNamespace<'_>,
    inbox: &CloudEventsInbox,
    mode: ActivationMode,
) {
    let mut connection = namespace.inbox_connection(&inbox.url());
    connection.spec.timeouts = Some(Timeouts {
        request: "2s".into(),
        ..Timeouts::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let kind = |name: &str| DataType {
        name: name.to_owned(),
        on: vec![DataEvent::Consumed],
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
        ..DataType::default()
    };
    let mut model = namespace.model();
    model.spec.data_types = vec![kind(KIND), kind(UNWANTED)];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let mut service = namespace.backup();
    service.spec.activation = mode;
    service.spec.data = Some(ServiceData {
        connection_ref: namespace.reference("inbox"),
        path: PATH.to_owned(),
    });
    let side = service.spec.device.as_mut().expect("a device side");
    side.settings.clear();
    side.data_types = vec![WantedDataType {
        name: KIND.to_owned(),
        period: None,
    }];
    namespace.apply::<SmartService>(&service).await.unwrap();
}

/// Returns a counter of the gateway that has one label, by the value of it.
pub(super) async fn counted(calling: &CallingFixture<'_>, metric: &str, outcome: &str) -> u64 {
    let metrics = calling.gateway.view().get("/metrics").await.unwrap();
    let line = format!("{metric}_total{{outcome=\"{outcome}\"}} ");
    let mut values = metrics.lines().filter_map(|it| it.strip_prefix(&line));
    values
        .next()
        .map_or(0, |it| it.parse().expect("a whole number"))
}

/// Returns an event of a kind.
pub(super) fn event(kind: &str, id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "type": format!("dev.entente.{kind}"),
           "time": "2027-04-01T09:00:02+09:00", "subject": "black-toner", "sequence": id,
           "data": {"partNumber": "TN-500K", "level": 18}})
}

/// Returns a batch of events that the service wants.
pub(super) fn levels(ids: &[&str]) -> Value {
    ids.iter().map(|id| event(KIND, id)).collect()
}

/// Returns the ids of events.
pub(super) fn ids(taken: &[TakenEvent]) -> Vec<&str> {
    taken.iter().map(|it| it.id.as_str()).collect()
}

/// Returns the source and the id of each event, each once: what a provider has that takes doubles for one.
pub(super) fn without_doubles(taken: &[TakenEvent]) -> BTreeSet<(&str, &str)> {
    let taken = taken.iter();
    taken
        .map(|it| (it.source.as_str(), it.id.as_str()))
        .collect()
}
