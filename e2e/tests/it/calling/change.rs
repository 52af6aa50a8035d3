//! A change of provider while a device sends ten events a second, and operator and gateway are killed: each
//! event is at one provider in the end, at that of its time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use entente_crds::v1alpha1::{
    AgentData, AmendedService, Connection, Contract, DataType, DataVia, Device, DeviceModel,
    ExclusiveHold, ServiceData, SmartService, WantedDataType,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::operator::OperatorOptions;
use entente_e2e::peers::CloudEventsInbox;
use entente_simulators::Broker;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use super::fixture::{CallingFixture, Credential};
use crate::delivery_fixture::AHEAD;

const DEVICE: &str = "behind";
const CONTRACT: &str = "now";
const GROUP: &str = "backups";
const KIND: &str = "supplies.level";
/// The two services, each of a provider with a server and an inbox of its own.
const SERVICES: [&str; 2] = ["data-backup", "other-backup"];
/// Time between two events.
const PACE: Duration = Duration::from_millis(100);
/// Time between two batches: a device may send one request a second.
const BETWEEN: Duration = Duration::from_millis(1100);
/// Time within which a change is done, with processes that start again in between.
const CHANGED: Duration = Duration::from_mins(2);

/// A place in a change of provider, by what is seen of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    /// The instance of the provider before is set aside.
    SetAside,
    /// The next provider has an instance.
    Made,
    /// The switch is written.
    Switched,
    /// The next provider has turned its instance on.
    TurnedOn,
    /// The provider before has no instance any more.
    Removed,
}

const STAGES: [Stage; 5] = [
    Stage::SetAside,
    Stage::Made,
    Stage::Switched,
    Stage::TurnedOn,
    Stage::Removed,
];

/// A process that is killed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Killed {
    Operator,
    Gateway,
}

/// An event that the device made.
struct Made {
    id: String,
    at: Timestamp,
}

/// A device that makes an event every tenth of a second, and keeps each until it is answered with 202.
struct Sender {
    task: JoinHandle<Vec<Made>>,
    end: watch::Sender<bool>,
}

impl Sender {
    fn start(fixture: &CallingFixture<'_>, credential: &Credential) -> Self {
        let (end, ended) = watch::channel(false);
        let url = format!(
            "{}/v1/devices/{}/events",
            fixture.gateway.url(),
            credential.id
        );
        let request = fixture.gateway.client().post(url);
        let request = request.bearer_auth(&credential.token);
        let request = request.header("content-type", "application/cloudevents-batch+json");
        Self {
            task: tokio::spawn(send(request, ended)),
            end,
        }
    }

    /// Ends it once everything is answered, and returns all events.
    async fn end(self) -> Vec<Made> {
        self.end.send(true).unwrap();
        let made = tokio::time::timeout(CHANGED, self.task).await;
        made.expect("everything is answered").unwrap()
    }
}

async fn send(request: reqwest::RequestBuilder, end: watch::Receiver<bool>) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let mut outbox: VecDeque<Value> = VecDeque::new();
    let mut pace = interval(PACE);
    let mut next = Instant::now();
    loop {
        pace.tick().await;
        if !*end.borrow() {
            let (id, at) = (format!("1-{}", made.len()), now());
            outbox.push_back(json!({
                "specversion": "1.0", "id": id, "type": format!("dev.entente.{KIND}"),
                "time": at, "subject": "black-toner", "sequence": format!("{:08}", made.len()),
                "data": {"level": 18},
            }));
            made.push(Made { id, at });
        } else if outbox.is_empty() {
            return made;
        }
        if Instant::now() < next {
            continue;
        }
        let batch: Vec<Value> = outbox.iter().take(256).cloned().collect();
        let request = request.try_clone().expect("it has no body yet");
        let answer = request.body(json!(batch).to_string()).send().await;
        let mut wait = BETWEEN;
        if let Ok(answer) = answer {
            let seconds = answer.headers().get("retry-after");
            let seconds = seconds.and_then(|it| it.to_str().ok()?.parse().ok());
            wait = wait.max(Duration::from_secs(seconds.unwrap_or_default()));
            if answer.status() == 202
                && let Ok(body) = answer.json::<Value>().await
            {
                assert_eq!(body["refused"], json!([]), "nothing is refused");
                outbox.drain(..batch.len());
            }
        }
        next = Instant::now() + wait;
    }
}

/// Two providers of one group, and a device that calls.
struct Change<'a> {
    fixture: CallingFixture<'a>,
    brokers: [Broker; 2],
    inboxes: [CloudEventsInbox; 2],
    /// The switches so far: the service, and the instant since which it acts.
    holds: Vec<(String, Timestamp)>,
}

impl<'a> Change<'a> {
    async fn new(fixture: CallingFixture<'a>) -> Self {
        let inboxes = [
            CloudEventsInbox::start().await.unwrap(),
            CloudEventsInbox::start().await.unwrap(),
        ];
        let namespace = &fixture.namespace;
        let brokers = [fixture.broker.clone(), namespace.broker().await.unwrap()];
        let mut model = namespace.model();
        model.spec.data_types = vec![DataType {
            name: KIND.to_owned(),
            period: "24h".into(),
            via: DataVia {
                agent: Some(AgentData {}),
            },
            ..DataType::default()
        }];
        namespace.apply::<DeviceModel>(&model).await.unwrap();
        for (number, name) in SERVICES.iter().enumerate() {
            let to_inbox = format!("inbox-{number}");
            let mut connection = namespace.inbox_connection(&inboxes[number].url());
            connection.metadata.name = Some(namespace.named(&to_inbox));
            namespace.apply::<Connection>(&connection).await.unwrap();
            let to_broker = format!("broker-{number}");
            let mut connection = namespace.broker_connection(&brokers[number].url());
            connection.metadata.name = Some(namespace.named(&to_broker));
            namespace.apply::<Connection>(&connection).await.unwrap();
            let service = service(namespace, name, (&to_inbox, &to_broker));
            namespace.apply::<SmartService>(&service).await.unwrap();
        }
        Self {
            fixture,
            brokers,
            inboxes,
            holds: Vec::new(),
        }
    }

    /// Registers the device, and returns once its first provider acts.
    async fn begin(&mut self) -> Credential {
        let namespace = &self.fixture.namespace;
        let device = namespace.calling_device(DEVICE, "NW5-0061");
        namespace.apply::<Device>(&device).await.unwrap();
        let contract = self.fixture.contract(CONTRACT, DEVICE, now());
        namespace.apply::<Contract>(&contract).await.unwrap();
        let registration = json!({
            "serialNumber": "NW5-0061", "productName": "Northwind MFP 500",
            "shipDestination": "BR", "timeZone": "America/Sao_Paulo",
            "consent": {"by": "Panel", "at": now().to_string(), "textVersion": "2027-01"},
        });
        let credential = self.fixture.register(&registration).await;
        let confirms = async || {
            let twin = self.fixture.served_twin(&credential).await?;
            let kinds = twin["desired"]["dataTypes"].as_array()?;
            let report = json!({
                "desiredVersion": twin["version"],
                "settings": {},
                "dataTypes": kinds.iter()
                    .map(|kind| json!({"name": kind["name"], "period": kind["period"]}))
                    .collect::<Vec<_>>(),
            });
            self.fixture.send_report(&credential, &report).await;
            self.hold().await
        };
        let what = "the first provider acts";
        let hold = namespace.within(CHANGED, what, confirms).await.unwrap();
        self.note(&hold);
        credential
    }

    async fn hold(&self) -> Option<ExclusiveHold> {
        let device = self.fixture.namespace.read_device(DEVICE).await?;
        let exclusive = device.status?.exclusive;
        exclusive.into_iter().find(|hold| hold.group == GROUP)
    }

    fn note(&mut self, hold: &ExclusiveHold) {
        let service = hold.service.clone().expect("it is named");
        self.holds.push((service, hold.since));
    }

    /// Amends the contract, so that the other provider begins in a moment.
    async fn amend(&self, round: usize, to: usize) {
        let namespace = &self.fixture.namespace;
        let change = AmendedService {
            name: "backup".to_owned(),
            service_ref: Some(namespace.reference(SERVICES[to])),
            ..AmendedService::default()
        };
        let title = format!("change-{round}");
        let amendment = namespace.amendment(&title, CONTRACT, starting_in(AHEAD), vec![change]);
        namespace.apply(&amendment).await.unwrap();
    }

    /// True if a stage of the change to a provider is reached.
    async fn is_at(&self, stage: Stage, to: usize) -> bool {
        let is_on = |broker: &Broker| {
            let instances = broker.instances();
            instances
                .iter()
                .any(|it| it.parameters["enabled"] == json!(true))
        };
        match stage {
            Stage::SetAside => {
                let namespace = &self.fixture.namespace;
                let found = namespace.subscription(CONTRACT, "backup", DEVICE).await;
                found
                    .and_then(|it| it.status)
                    .is_some_and(|it| it.leaving.is_some())
            }
            Stage::Made => !self.brokers[to].instances().is_empty(),
            Stage::Switched => {
                let service = self.fixture.namespace.named(SERVICES[to]);
                let hold = self.hold().await;
                hold.is_some_and(|hold| hold.service.as_ref() == Some(&service))
            }
            Stage::TurnedOn => is_on(&self.brokers[to]),
            Stage::Removed => {
                is_on(&self.brokers[to]) && self.brokers[1 - to].instances().is_empty()
            }
        }
    }

    async fn until(&self, stage: Stage, to: usize) {
        let reached = async || self.is_at(stage, to).await.then_some(());
        let what = format!("the change to {} is at {stage:?}", SERVICES[to]);
        let reached = self.fixture.namespace.within(CHANGED, &what, reached).await;
        reached.unwrap();
    }

    /// Waits until nothing of the provider before is left.
    async fn until_done(&mut self, to: usize) {
        self.until(Stage::Switched, to).await;
        self.until(Stage::Removed, to).await;
        let done = async || {
            let namespace = &self.fixture.namespace;
            let found = namespace.subscription(CONTRACT, "backup", DEVICE).await?;
            found.status?.leaving.is_none().then_some(())
        };
        let what = "nothing leaves any more";
        let namespace = &self.fixture.namespace;
        namespace.within(CHANGED, what, done).await.unwrap();
        let hold = self.hold().await.expect("somebody acts");
        self.note(&hold);
    }

    /// Returns the number of the provider that acted at an instant.
    fn acted(&self, at: Timestamp) -> usize {
        let since = |hold: &&(String, Timestamp)| hold.1 <= at;
        let hold = self.holds.iter().rev().find(since);
        let (service, _) = hold.unwrap_or(&self.holds[0]);
        let named = |name: &&str| self.fixture.namespace.named(name) == *service;
        SERVICES.iter().position(named).expect("one of both")
    }

    /// Prints how many events are at both providers and at neither, and fails if any is, or if one is at
    /// another than the one that acted at its time.
    fn judge(&self, made: &[Made], killed: usize) {
        let taken = |inbox: &CloudEventsInbox| -> Vec<String> {
            inbox.taken().into_iter().map(|it| it.id).collect()
        };
        let taken = self.inboxes.each_ref().map(taken);
        let sets = taken
            .each_ref()
            .map(|ids| ids.iter().collect::<BTreeSet<_>>());
        let both = sets[0].intersection(&sets[1]).count();
        let neither = made
            .iter()
            .filter(|it| !sets.iter().any(|ids| ids.contains(&it.id)))
            .count();
        let another: Vec<&str> = made
            .iter()
            .filter(|it| sets[1 - self.acted(it.at)].contains(&it.id))
            .map(|it| it.id.as_str())
            .collect();
        let again = taken[0].len() + taken[1].len() - sets[0].len() - sets[1].len();
        println!(
            "change of provider: {killed} kills of the binaries in {} changes, {} events, {both} at both, \
             {neither} at neither, {again} sent again",
            STAGES.len(),
            made.len()
        );
        assert_eq!((both, neither, killed), (0, 0, 10));
        assert_eq!(another, [""; 0], "{:?}", self.holds);
        assert!(sets.iter().all(|ids| ids.len() > 50), "both have some");
    }
}

/// Returns a service of the group that wants a kind of data and no setting of the device.
fn service(
    namespace: &TestNamespace<'_>,
    name: &str,
    (inbox, broker): (&str, &str),
) -> SmartService {
    let mut service = namespace.backup();
    service.metadata.name = Some(namespace.named(name));
    service.spec.exclusive_group = Some(GROUP.to_owned());
    service.spec.data = Some(ServiceData {
        connection_ref: namespace.reference(inbox),
        path: "/v1/events".to_owned(),
    });
    let server = service.spec.server.as_mut().expect("it has a server");
    server.connection_ref = namespace.reference(broker);
    let side = service.spec.device.as_mut().expect("it has a device side");
    side.settings.clear();
    side.data_types = vec![WantedDataType {
        name: KIND.to_owned(),
        period: None,
    }];
    service
}

// shows C11 C16 K5
#[tokio::test]
async fn no_event_is_lost_or_at_two_providers_while_operator_and_gateway_are_killed_during_changes()
{
    let options = OperatorOptions {
        gateway: true,
        ..OperatorOptions::default()
    };
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let view = environment.operator.view();
    let fixture = CallingFixture::on_plane(&environment.plane, view, "change", "24h").await;
    let mut change = Change::new(fixture).await;
    let credential = change.begin().await;
    let sender = Sender::start(&change.fixture, &credential);
    let mut killed = 0;
    for round in 0..STAGES.len() {
        let to = (round + 1) % 2;
        change.amend(round, to).await;
        let mut points = [
            (STAGES[round], Killed::Operator),
            (STAGES[(round + 2) % STAGES.len()], Killed::Gateway),
        ];
        points.sort();
        for (stage, process) in points {
            change.until(stage, to).await;
            match process {
                Killed::Operator => {
                    environment.operator.kill_hard().await.unwrap();
                    environment.operator.restart().await.unwrap();
                }
                Killed::Gateway => {
                    change.fixture.gateway.kill_hard().await.unwrap();
                    change.fixture.gateway.restart().await.unwrap();
                }
            }
            killed += 1;
        }
        change.until_done(to).await;
    }
    let made = sender.end().await;
    change.judge(&made, killed);
}
