//! The situations of the table: each in a namespace of its own, left as soon as all steps that lead
//! to it were made. It waits only for the conditions of its next step.

use std::time::Duration;

use entente_crds::v1alpha1::{
    AmendedService, Contract, ContractService, Device, NoticeType, SmartService, StartOn, Step,
    StepType, Term,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{TestNamespace, now, starting_in};
use entente_e2e::peers::OrderServer;
use entente_simulators::{Broker, FaultKind, FleetOptions, IppFleet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;

/// An allowance long enough that no promise is missed within a test.
pub(super) const ALLOWED: &str = "1h";

/// A situation that stays until it is dropped.
pub(super) struct Situation<'a> {
    pub(super) namespace: TestNamespace<'a>,
    fleets: Vec<IppFleet>,
    pub(super) broker: Option<Broker>,
    orders: Option<OrderServer>,
}

impl<'a> Situation<'a> {
    /// Returns the situation of a namespace whose service orders at a server.
    pub(super) fn with_orders(namespace: TestNamespace<'a>, server: OrderServer) -> Self {
        Self {
            namespace,
            fleets: Vec::new(),
            broker: None,
            orders: Some(server),
        }
    }
}

impl Situation<'_> {
    /// Everything works again.
    pub(super) async fn recover(&self) {
        for fleet in &self.fleets {
            fleet.clear_faults().await.unwrap();
        }
    }

    /// Returns the texts that no message may contain: the addresses of devices and servers.
    pub(super) fn addresses(&self) -> Vec<String> {
        let devices = self.fleets.iter().flat_map(|fleet| {
            fleet
                .devices()
                .iter()
                .map(|device| device.address().to_string())
        });
        let urls = self.broker.iter().map(Broker::url);
        let urls = urls.chain(self.orders.iter().map(OrderServer::url));
        let servers = urls.map(|url| url.replace("http://", ""));
        devices.chain(servers).collect()
    }
}

/// Makes a contract that starts in three weeks, which is before its lead time.
pub(super) async fn scheduled(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "scheduled").await;
    let three_weeks = Duration::from_hours(3 * 7 * 24);
    let entry = situation
        .namespace
        .entry("backup", "data-backup", &["mfp"], ALLOWED);
    let contract = situation
        .namespace
        .contract("ahead", starting_in(three_weeks), vec![entry]);
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract that starts in three weeks with three amendments: one from a later instant on,
/// one from an instant before the start, and one of a contract that there is not.
pub(super) async fn amended(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "amended").await;
    let namespace = &situation.namespace;
    let weeks = |count: u64| starting_in(Duration::from_hours(count * 7 * 24));
    let entry = situation.parts(&["mfp"], ALLOWED);
    let contract = namespace.contract("amended", weeks(3), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let change = || {
        vec![AmendedService {
            name: "parts".to_owned(),
            parameters: [("threshold".to_owned(), "33".to_owned())].into(),
            ..AmendedService::default()
        }]
    };
    for (name, contract, weeks) in [
        ("later", "amended", weeks(6)),
        ("too-early", "amended", weeks(2)),
        ("homeless", "nobody", weeks(6)),
    ] {
        let amendment = namespace.amendment(name, contract, weeks, change());
        namespace.apply(&amendment).await.unwrap();
    }
    situation
}

/// Makes three contracts: one waits for its notice, one has waited too long, and one has a date. Of the
/// last one notices report an end that lies ahead and a start, and one is of no contract.
pub(super) async fn noticed(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "noticed").await;
    let namespace = &situation.namespace;
    let three_weeks = starting_in(Duration::from_hours(3 * 7 * 24));
    for (name, start_by) in [
        ("awaiting", Some("2999-12-31")),
        ("overdue", Some("2020-06-30")),
        ("dated", None),
    ] {
        let entry = situation.parts(&["mfp"], ALLOWED);
        let mut contract = namespace.contract(name, three_weeks, vec![entry]);
        if let Some(start_by) = start_by {
            contract.spec.term = Term {
                start_on: Some(StartOn::Notice),
                start_by: Some(start_by.to_owned()),
                duration: Some("P3Y".to_owned()),
                time_zone: contract.spec.term.time_zone,
                ..Term::default()
            };
        }
        namespace.apply(&contract).await.unwrap();
    }
    let later = starting_in(Duration::from_hours(6 * 7 * 24));
    for (name, contract, r#type, at) in [
        ("ends", "dated", NoticeType::Ended, later),
        ("not-expected", "dated", NoticeType::Started, now()),
        ("homeless", "nobody", NoticeType::Started, now()),
    ] {
        let notice = namespace.notice(name, contract, r#type, at);
        namespace.apply(&notice).await.unwrap();
    }
    situation
}

/// Makes a device that calls and has not registered, an enrolment whose Secret may not be read, and one
/// whose Connection there is not.
pub(super) async fn calling(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "calling").await;
    let namespace = &situation.namespace;
    let gateway = namespace.gateway_connection("https://gateway.example", "24h");
    namespace.apply(&gateway).await.unwrap();
    let device = namespace.calling_device("behind", "NW5-0001");
    namespace.apply(&device).await.unwrap();
    for (name, connection) in [
        ("locked", gateway.name_any()),
        ("homeless", "none".to_owned()),
    ] {
        let mut enrollment = namespace.enrollment(name);
        enrollment.spec.connection_ref.name = connection;
        namespace.apply(&enrollment).await.unwrap();
    }
    situation
}

/// Makes a contract whose only device is off, and whose settings may be made before the start,
/// which lies ahead.
pub(super) async fn at_risk(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "at-risk").await;
    let mut service: SmartService = situation.namespace.parts();
    service.spec.steps = vec![Step {
        r#type: StepType::DeviceSettings,
        early: true,
    }];
    situation.namespace.apply(&service).await.unwrap();
    situation.fleets[0]
        .set_fault(FaultKind::Offline)
        .await
        .unwrap();
    let entry = situation.parts(&["mfp"], ALLOWED);
    let start = starting_in(Duration::from_hours(7 * 24));
    let contract = situation.namespace.contract("risky", start, vec![entry]);
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract whose service server has not finished a request.
pub(super) async fn under_way(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "under-way").await;
    begin_without_end(&situation, "running").await;
    situation
}

/// Makes the same, and waits longer than a step of the service may take.
pub(super) async fn too_slow(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "too-slow").await;
    let mut service = situation.namespace.backup();
    service.spec.step_timeout = "1s".into();
    situation.namespace.apply(&service).await.unwrap();
    begin_without_end(&situation, "slow").await;
    situation
}

/// Makes a contract whose first request the service server begins and never ends.
async fn begin_without_end(situation: &Situation<'_>, contract: &str) {
    let broker = situation.broker.as_ref().expect("this situation has one");
    broker.set_mode(entente_simulators::Mode::Async {
        polls: 1,
        milliseconds: 1,
    });
    broker.set_fault(FaultKind::AsyncNeverEnds).await.unwrap();
    let entry = situation
        .namespace
        .entry("backup", "data-backup", &["mfp"], ALLOWED);
    let contract = situation.namespace.contract(contract, now(), vec![entry]);
    situation.namespace.apply(&contract).await.unwrap();
}

/// Makes a delivered contract, and gives it another provider of the group, whose broker is off.
pub(super) async fn changing(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "changing").await;
    let namespace = &situation.namespace;
    let mut service: SmartService = namespace.backup();
    service.spec.exclusive_group = Some("backups".to_owned());
    namespace.apply(&service).await.unwrap();
    let mut connection = namespace.broker_connection("http://127.0.0.1:1");
    connection.metadata.name = Some(namespace.named("other-broker"));
    namespace.apply(&connection).await.unwrap();
    service.metadata.name = Some(namespace.named("other-backup"));
    let server = service.spec.server.as_mut().expect("it has one");
    server.connection_ref = namespace.reference("other-broker");
    namespace.apply(&service).await.unwrap();
    let entry = |service| namespace.entry("backup", service, &["mfp"], ALLOWED);
    let mut contract: Contract = namespace.contract("changing", now(), vec![entry("data-backup")]);
    namespace.apply(&contract).await.unwrap();
    situation
        .until("contract/changing", "Ready=True/Delivered")
        .await;
    contract.spec.services = vec![entry("other-backup")];
    namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract whose only device is off.
pub(super) async fn switched_off(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "switched-off").await;
    situation.fleets[0]
        .set_fault(FaultKind::Offline)
        .await
        .unwrap();
    let entry = situation.parts(&["mfp"], ALLOWED);
    situation
        .namespace
        .apply(
            &situation
                .namespace
                .contract("switched-off", now(), vec![entry]),
        )
        .await
        .unwrap();
    situation
}

/// Makes a contract with a term in a time zone that does not exist.
pub(super) async fn faulty_contract(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "faulty").await;
    let entry = situation.parts(&["mfp"], ALLOWED);
    let mut contract = situation.namespace.contract("faulty", now(), vec![entry]);
    "Mars/Olympus_Mons".clone_into(&mut contract.spec.term.time_zone);
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract with two devices, of which one lacks a setting of the service.
pub(super) async fn unsupported(
    environment: &TestEnvironment,
    max_unavailable: Option<i32>,
) -> Situation<'_> {
    let mut situation = with_devices(environment, "unsupported").await;
    let lacking = FleetOptions {
        names: vec!["bare".to_owned()],
        settable: Vec::new(),
        ..FleetOptions::of(1)
    };
    let fleet = situation.namespace.fleet_of(lacking).await.unwrap();
    let url = format!("ipp://{{address}}:{}/ipp/print", fleet.port());
    situation
        .namespace
        .apply(&situation.namespace.ipp_connection("bare", &url))
        .await
        .unwrap();
    let mut device: Device = situation.namespace.device(&fleet.devices()[0]);
    device.spec.connections[0].name = situation.namespace.named("bare");
    situation.namespace.apply(&device).await.unwrap();
    situation.fleets.push(fleet);
    let entry = situation.parts(&["mfp", "bare"], ALLOWED);
    let mut contract: Contract = situation.namespace.contract("mixed", now(), vec![entry]);
    contract.spec.max_unavailable = max_unavailable.map(IntOrString::Int);
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract whose start passed with its device off, with an allowance of a second.
pub(super) async fn late(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "late").await;
    situation.fleets[0]
        .set_fault(FaultKind::Offline)
        .await
        .unwrap();
    let entry = situation.parts(&["mfp"], "1s");
    let start = starting_in(Duration::from_secs(2));
    situation
        .namespace
        .apply(&situation.namespace.contract("late", start, vec![entry]))
        .await
        .unwrap();
    situation
}

/// Contract and device are suspended by their specs.
pub(super) async fn suspended(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "suspended").await;
    let mut device: Device = situation
        .namespace
        .device(&situation.fleets[0].devices()[0]);
    device.spec.suspend = true;
    situation.namespace.apply(&device).await.unwrap();
    // With a contract that is suspended, the Device says so of its spec before, too.
    situation.until("device/mfp", "Ready=True/Suspended").await;
    let entry = situation.parts(&["mfp"], ALLOWED);
    let mut contract = situation.namespace.contract("paused", now(), vec![entry]);
    contract.spec.suspend = true;
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

/// Makes a contract and deletes everything while the service server, which has an instance, is off.
pub(super) async fn deleting(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_broker(environment, "deleting").await;
    let namespace = &situation.namespace;
    let entry = namespace.entry("backup", "data-backup", &["mfp"], ALLOWED);
    namespace
        .apply(&namespace.contract("leaving", now(), vec![entry]))
        .await
        .unwrap();
    situation
        .until("contract/leaving", "Ready=True/Delivered")
        .await;
    // Users of the catalogue are counted with a delay, and protect it from then on.
    let held = [
        "connection/broker",
        "connection/devices",
        "model/mfp-500",
        "service/data-backup",
    ];
    for object in held {
        let look = async || {
            let found = situation.object(object).await?;
            let finalizers = found["metadata"]["finalizers"].as_array()?;
            finalizers
                .iter()
                .any(|name| name == entente_crds::FINALIZER_IN_USE)
                .then_some(())
        };
        namespace.within(super::SOON, object, look).await.unwrap();
    }
    let broker = situation.broker.as_ref().expect("this situation has one");
    broker.set_fault(FaultKind::Offline).await.unwrap();
    let name = Some(namespace.name());
    namespace.delete::<Contract>(name, "leaving").await.unwrap();
    let named = |name: &str| namespace.named(name);
    for name in ["broker", "devices"] {
        let name = named(name);
        namespace
            .delete::<entente_crds::v1alpha1::Connection>(None, &name)
            .await
            .unwrap();
    }
    let model = named("mfp-500");
    namespace
        .delete::<entente_crds::v1alpha1::DeviceModel>(None, &model)
        .await
        .unwrap();
    namespace
        .delete::<SmartService>(None, &named("data-backup"))
        .await
        .unwrap();
    situation
}

/// Makes a catalogue with the faults that a platform team may make.
pub(super) async fn faulty_catalogue(environment: &TestEnvironment) -> Situation<'_> {
    use entente_crds::v1alpha1::{Credentials, CredentialsType, LocalReference};
    let namespace = TestNamespace::new(environment, "catalogue").await.unwrap();
    let dead = namespace.broker().await.unwrap();
    dead.set_fault(FaultKind::Offline).await.unwrap();
    let mut connection = namespace.broker_connection(&dead.url());
    connection.metadata.name = Some(namespace.named("dead"));
    namespace.apply(&connection).await.unwrap();
    connection.metadata.name = Some(namespace.named("keyless"));
    connection.spec.credentials = Some(Credentials {
        r#type: CredentialsType::Basic,
        secret_ref: Some(LocalReference {
            name: namespace.named("no-such-secret"),
        }),
        ..Credentials::default()
    });
    namespace.apply(&connection).await.unwrap();
    let gateway = namespace.gateway_connection("https://gateway.example", "1s");
    namespace.apply(&gateway).await.unwrap();
    let mut service = namespace.backup();
    service.metadata.name = Some(namespace.named("homeless"));
    service
        .spec
        .server
        .as_mut()
        .expect("it has one")
        .connection_ref = namespace.reference("no-such-connection");
    namespace.apply(&service).await.unwrap();
    let mut service = namespace.parts();
    service.metadata.name = Some(namespace.named("wrong"));
    let setting = &mut service.spec.device.as_mut().expect("it has one").settings[1];
    setting.value_from.as_mut().expect("it has one").parameter =
        Some("no-such-parameter".to_owned());
    namespace.apply(&service).await.unwrap();
    Situation {
        namespace,
        fleets: Vec::new(),
        broker: Some(dead),
        orders: None,
    }
}

/// Makes a delivered contract, puts another machine at the address, and changes the contract.
pub(super) async fn stranger(environment: &TestEnvironment) -> Situation<'_> {
    let situation = with_devices(environment, "stranger").await;
    let entry = situation.parts(&["mfp"], ALLOWED);
    let mut contract = situation.namespace.contract("robbed", now(), vec![entry]);
    situation.namespace.apply(&contract).await.unwrap();
    situation
        .until("contract/robbed", "Ready=True/Delivered")
        .await;
    situation.fleets[0].devices()[0].replace_machine();
    let parameters = [("threshold".to_owned(), "33".to_owned())];
    contract.spec.services[0].parameters = parameters.into();
    situation.namespace.apply(&contract).await.unwrap();
    situation
}

impl Situation<'_> {
    fn parts(&self, devices: &[&str], allowed: &str) -> ContractService {
        self.namespace
            .entry("parts", "parts-life", devices, allowed)
    }
}

/// Makes a namespace with one device `mfp`, and the service that needs the device alone.
pub(super) async fn with_devices<'a>(
    environment: &'a TestEnvironment,
    title: &str,
) -> Situation<'a> {
    let namespace = TestNamespace::new(environment, title).await.unwrap();
    let named = FleetOptions {
        names: vec!["mfp".to_owned()],
        ..FleetOptions::of(1)
    };
    let fleet = namespace.fleet_of(named).await.unwrap();
    namespace
        .apply(&namespace.device_connection(fleet.port()))
        .await
        .unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
    namespace
        .apply(&namespace.device(&fleet.devices()[0]))
        .await
        .unwrap();
    Situation {
        namespace,
        fleets: vec![fleet],
        broker: None,
        orders: None,
    }
}

/// Makes the same with a service server, and the service that needs both.
pub(super) async fn with_broker<'a>(
    environment: &'a TestEnvironment,
    title: &str,
) -> Situation<'a> {
    let mut situation = with_devices(environment, title).await;
    let broker = situation.namespace.broker().await.unwrap();
    situation
        .namespace
        .apply(&situation.namespace.broker_connection(&broker.url()))
        .await
        .unwrap();
    situation
        .namespace
        .apply(&situation.namespace.backup())
        .await
        .unwrap();
    situation.broker = Some(broker);
    situation
}
