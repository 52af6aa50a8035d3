//! The fake, under the checks for the real ones.

#![allow(clippy::unwrap_used, reason = "tests end at what they did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entente_crds::v1alpha1::{ConnectionSpec, IppOperation, IppSyntax, Protocol};
use entente_domain::protocol::Place;
use entente_domain::remote::{Catalog, FailureKind, Offering, Plan, Scalar, Value};
use entente_drivers::conformance::{
    DeviceSubject, ServerSubject, SettingWrite, judge_device, judge_server,
};
use entente_drivers::fake::{FakeDevice, FakeServer, Fault, Operation, World};
use entente_drivers::{
    ConnectionProfile, DeviceDriver, DeviceTarget, Drivers, ServerTarget, ServiceDriver,
};
use serde_json::{Map, json};

const DEVICE: &str = "ipp://10.20.3.4:631/ipp/print";
const SERVER: &str = "https://broker.example";

fn profile(protocol: Protocol) -> Arc<ConnectionProfile> {
    let spec = ConnectionSpec {
        protocol,
        ..ConnectionSpec::default()
    };
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    ConnectionProfile::from_spec("hq", &spec, networks, None, None)
        .unwrap()
        .into()
}

fn text(attribute: &str, value: &str) -> SettingWrite {
    SettingWrite {
        attribute: attribute.to_owned(),
        syntax: IppSyntax::Text,
        value: Value::Text(value.to_owned()),
    }
}

struct Subject {
    world: Arc<World>,
    drivers: Drivers,
    operation: IppOperation,
}

impl Subject {
    fn new() -> Self {
        let world = World::new();
        let lobby = vec![Scalar::Text("Lobby".to_owned())];
        let operations = [
            IppOperation::SetPrinterAttributes,
            IppOperation::SetSystemAttributes,
        ];
        let names = ["printer-info", "printer-location", "printer-uptime"];
        let places = operations
            .iter()
            .flat_map(|operation| names.map(|name| Place::ipp(*operation, name)));
        let values: BTreeMap<Place, Vec<Scalar>> =
            places.map(|place| (place, lobby.clone())).collect();
        world.put_device(
            DEVICE,
            FakeDevice {
                product_name: Some("NW MFP 500".to_owned()),
                identity: Some("urn:uuid:1".to_owned()),
                values,
                ignored: BTreeSet::from(["printer-location".to_owned()]),
                refused: BTreeMap::from([(
                    "printer-uptime".to_owned(),
                    FailureKind::RejectedNotSettable,
                )]),
                ..FakeDevice::default()
            },
        );
        let plan = Plan {
            updateable: true,
            id: "p".to_owned(),
            name: "standard".to_owned(),
            ..Plan::default()
        };
        let offering = Offering {
            id: "s".to_owned(),
            name: "data-backup".to_owned(),
            instances_retrievable: true,
            plans: vec![plan],
            ..Offering::default()
        };
        let catalog = Catalog {
            offerings: vec![offering],
            ..Catalog::default()
        };
        world.put_server(
            SERVER,
            FakeServer {
                catalog,
                ..FakeServer::default()
            },
        );
        Self {
            drivers: Drivers::fake(Arc::clone(&world)),
            world,
            operation: IppOperation::SetPrinterAttributes,
        }
    }
}

#[async_trait]
impl DeviceSubject for Subject {
    fn name(&self) -> &'static str {
        "the fake device"
    }

    fn driver(&self) -> &dyn DeviceDriver {
        self.drivers.device(Protocol::IPP).unwrap()
    }

    fn target(&self) -> DeviceTarget {
        DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::IPP),
            url: DEVICE.to_owned(),
            printer_uri: None,
            pinned_certificate: None,
        }
    }

    fn operation(&self) -> IppOperation {
        self.operation
    }

    fn settable(&self) -> Option<(SettingWrite, SettingWrite)> {
        Some((text("printer-info", "one"), text("printer-info", "two")))
    }

    fn accepted_without_effect(&self) -> Option<SettingWrite> {
        Some(text("printer-location", "Basement"))
    }

    fn refused(&self) -> Option<(SettingWrite, Vec<FailureKind>)> {
        Some((
            text("printer-uptime", "0"),
            vec![FailureKind::RejectedNotSettable],
        ))
    }

    fn elsewhere(&self) -> Option<DeviceTarget> {
        let url = "ipp://10.20.3.4:631/other".to_owned();
        Some(DeviceTarget {
            secrets: entente_domain::secret::Secrets::default(),
            url,
            ..DeviceSubject::target(self)
        })
    }

    fn dials(&self) -> bool {
        false
    }

    async fn freeze(&self) -> bool {
        self.world
            .script(Some(DEVICE), Operation::DeviceObserve, Fault::Hang, 1);
        true
    }

    async fn stop(&self) -> bool {
        self.world.remove_device(DEVICE).is_some()
    }
}

#[async_trait]
impl ServerSubject for Subject {
    fn name(&self) -> &'static str {
        "the fake service server"
    }

    fn driver(&self) -> &dyn ServiceDriver {
        self.drivers.service()
    }

    fn target(&self) -> ServerTarget {
        ServerTarget {
            secrets: entente_domain::secret::Secrets::default(),
            profile: profile(Protocol::OSB),
            url: SERVER.to_owned(),
        }
    }

    fn offering(&self) -> (String, String) {
        ("s".to_owned(), "p".to_owned())
    }

    fn parameters(
        &self,
    ) -> (
        Map<String, serde_json::Value>,
        Map<String, serde_json::Value>,
    ) {
        let of = |weekday: &str| json!({"weekday": weekday}).as_object().unwrap().clone();
        (of("Wed"), of("Sun"))
    }

    fn dials(&self) -> bool {
        false
    }

    async fn freeze(&self) -> bool {
        self.world
            .script(Some(SERVER), Operation::Provision, Fault::Hang, 1);
        true
    }

    async fn stop(&self) -> bool {
        self.world.remove_server(SERVER).is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn the_fake_device_keeps_every_promise_of_a_device() {
    for operation in [
        IppOperation::SetPrinterAttributes,
        IppOperation::SetSystemAttributes,
    ] {
        let subject = Subject {
            operation,
            ..Subject::new()
        };
        let report = judge_device(&subject).await;
        report.assert_kept();
        assert_eq!(report.skipped().len(), 1, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fake_service_server_keeps_every_promise_of_a_service_server() {
    let report = judge_server(&Subject::new()).await;
    report.assert_kept();
    assert_eq!(report.skipped().len(), 2, "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_fake_service_server_keeps_them_also_when_everything_takes_its_time() {
    let subject = Subject::new();
    for operation in [
        Operation::Provision,
        Operation::Update,
        Operation::Deprovision,
    ] {
        subject
            .world
            .script(Some(SERVER), operation, Fault::Async { polls: 3 }, 100);
    }
    subject.world.set_latency(None, Duration::from_millis(200));
    // The suite's own fault would stand behind the hundred.
    let report = judge_server(&NeverHangs(subject)).await;
    report.assert_kept();
}

struct NeverHangs(Subject);

#[async_trait]
impl ServerSubject for NeverHangs {
    fn name(&self) -> &str {
        ServerSubject::name(&self.0)
    }

    fn driver(&self) -> &dyn ServiceDriver {
        ServerSubject::driver(&self.0)
    }

    fn target(&self) -> ServerTarget {
        ServerSubject::target(&self.0)
    }

    fn offering(&self) -> (String, String) {
        self.0.offering()
    }

    fn parameters(
        &self,
    ) -> (
        Map<String, serde_json::Value>,
        Map<String, serde_json::Value>,
    ) {
        self.0.parameters()
    }

    fn dials(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_a_doubt_and_the_deed() {
    let subject = Subject::new();
    let world = &subject.world;
    world.script(None, Operation::Provision, Fault::LoseAnswer, 1);
    let target = ServerSubject::target(&subject);
    let instance = entente_domain::remote::InstanceKey {
        instance_id: "i".to_owned(),
        service_id: "s".to_owned(),
        plan_id: "p".to_owned(),
    };
    let context = entente_domain::remote::InstanceContext {
        organization: "c".to_owned(),
        namespace: "n".to_owned(),
        subscription: "u".to_owned(),
    };
    let (parameters, _) = subject.parameters();
    let service = subject.drivers.service();
    let failure = service
        .provision(
            &target,
            entente_domain::remote::InstanceRequest {
                instance: &instance,
                to_plan: None,
                maintenance_version: None,
                context: &context,
                parameters: &parameters,
            },
        )
        .await
        .unwrap_err();
    assert!(failure.doubtful);
    assert_eq!(world.instance(SERVER, "i").unwrap().parameters, parameters);
    assert_eq!(world.count(Operation::Provision), 1);
    assert_eq!(world.ledger()[0].values["context"]["namespace"], "n");
}
