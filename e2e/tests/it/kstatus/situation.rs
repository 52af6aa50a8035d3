//! The situations of the table: each a world of its own, left as soon as everything that leads to
//! the situation was done. It waits only for what the next deed needs.

use std::time::Duration;

use entente_crds::v1alpha1::{Contract, ContractService, Device, SmartService, Step, StepType};
use entente_e2e::operator::Ground;
use entente_e2e::scene::{Scene, now, starting_in};
use entente_simulators::{Broker, FaultKind, FleetOptions, IppFleet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Long enough that no promise is missed within a test.
const ALLOWED: &str = "1h";

/// A world that stays as long as it is looked at.
pub(super) struct World<'a> {
    pub(super) scene: Scene<'a>,
    fleets: Vec<IppFleet>,
    broker: Option<Broker>,
}

impl World<'_> {
    /// Everything works again.
    pub(super) async fn recover(&self) {
        for fleet in &self.fleets {
            fleet.clear_faults().await.unwrap();
        }
    }

    /// What no message may hold: where devices and the broker are reached.
    pub(super) fn addresses(&self) -> Vec<String> {
        let devices = self.fleets.iter().flat_map(|fleet| {
            fleet
                .devices()
                .iter()
                .map(|device| device.address().to_string())
        });
        let broker = self
            .broker
            .iter()
            .map(|broker| broker.url().replace("http://", ""));
        devices.chain(broker).collect()
    }
}

/// A contract that starts in three weeks, which is before its lead time.
pub(super) async fn scheduled(ground: &Ground) -> World<'_> {
    let world = with_broker(ground, "scheduled").await;
    let three_weeks = Duration::from_hours(3 * 7 * 24);
    let entry = world
        .scene
        .entry("backup", "data-backup", &["mfp"], ALLOWED);
    let contract = world
        .scene
        .contract("ahead", starting_in(three_weeks), vec![entry]);
    world.scene.apply(&contract).await.unwrap();
    world
}

/// The only device is off, and its settings may be made before the start, which lies ahead.
pub(super) async fn at_risk(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "at-risk").await;
    let mut service: SmartService = world.scene.parts();
    service.spec.steps = vec![Step {
        r#type: StepType::DeviceSettings,
        early: true,
    }];
    world.scene.apply(&service).await.unwrap();
    world.fleets[0].set_fault(FaultKind::Offline).await.unwrap();
    let entry = world.parts(&["mfp"], ALLOWED);
    let start = starting_in(Duration::from_hours(7 * 24));
    let contract = world.scene.contract("risky", start, vec![entry]);
    world.scene.apply(&contract).await.unwrap();
    world
}

/// The service server has not finished what it was asked.
pub(super) async fn under_way(ground: &Ground) -> World<'_> {
    let world = with_broker(ground, "under-way").await;
    begin_without_end(&world, "running").await;
    world
}

/// The same, and longer than a step of the service may take.
pub(super) async fn too_slow(ground: &Ground) -> World<'_> {
    let world = with_broker(ground, "too-slow").await;
    let mut service = world.scene.backup();
    service.spec.step_timeout = "1s".into();
    world.scene.apply(&service).await.unwrap();
    begin_without_end(&world, "slow").await;
    world
}

/// A contract of which the service server begins and never ends what it is asked.
async fn begin_without_end(world: &World<'_>, contract: &str) {
    let broker = world.broker.as_ref().expect("this world has one");
    broker.set_mode(entente_simulators::Mode::Async {
        polls: 1,
        milliseconds: 1,
    });
    broker.set_fault(FaultKind::AsyncNeverEnds).await.unwrap();
    let entry = world
        .scene
        .entry("backup", "data-backup", &["mfp"], ALLOWED);
    let contract = world.scene.contract(contract, now(), vec![entry]);
    world.scene.apply(&contract).await.unwrap();
}

/// The only device of the contract is off.
pub(super) async fn switched_off(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "switched-off").await;
    world.fleets[0].set_fault(FaultKind::Offline).await.unwrap();
    let entry = world.parts(&["mfp"], ALLOWED);
    world
        .scene
        .apply(&world.scene.contract("switched-off", now(), vec![entry]))
        .await
        .unwrap();
    world
}

/// A term in a time zone that there is not.
pub(super) async fn faulty_contract(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "faulty").await;
    let entry = world.parts(&["mfp"], ALLOWED);
    let mut contract = world.scene.contract("faulty", now(), vec![entry]);
    "Mars/Olympus_Mons".clone_into(&mut contract.spec.term.time_zone);
    world.scene.apply(&contract).await.unwrap();
    world
}

/// Two devices, of which one lacks what the service sets.
pub(super) async fn unsupported(ground: &Ground, max_unavailable: Option<i32>) -> World<'_> {
    let mut world = with_devices(ground, "unsupported").await;
    let lacking = FleetOptions {
        names: vec!["bare".to_owned()],
        settable: Vec::new(),
        ..FleetOptions::of(1)
    };
    let fleet = world.scene.fleet_of(lacking).await.unwrap();
    let url = format!("ipp://{{address}}:{}/ipp/print", fleet.port());
    world
        .scene
        .apply(&world.scene.ipp_connection("bare", &url))
        .await
        .unwrap();
    let mut device: Device = world.scene.device(&fleet.devices()[0]);
    device.spec.connections[0].name = world.scene.named("bare");
    world.scene.apply(&device).await.unwrap();
    world.fleets.push(fleet);
    let entry = world.parts(&["mfp", "bare"], ALLOWED);
    let mut contract: Contract = world.scene.contract("mixed", now(), vec![entry]);
    contract.spec.max_unavailable = max_unavailable.map(IntOrString::Int);
    world.scene.apply(&contract).await.unwrap();
    world
}

/// The start passed with its device off, and nothing is allowed beyond a second.
pub(super) async fn late(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "late").await;
    world.fleets[0].set_fault(FaultKind::Offline).await.unwrap();
    let entry = world.parts(&["mfp"], "1s");
    let start = starting_in(Duration::from_secs(2));
    world
        .scene
        .apply(&world.scene.contract("late", start, vec![entry]))
        .await
        .unwrap();
    world
}

/// Contract and device are suspended by their specs.
pub(super) async fn suspended(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "suspended").await;
    let mut device: Device = world.scene.device(&world.fleets[0].devices()[0]);
    device.spec.suspend = true;
    world.scene.apply(&device).await.unwrap();
    let entry = world.parts(&["mfp"], ALLOWED);
    let mut contract = world.scene.contract("paused", now(), vec![entry]);
    contract.spec.suspend = true;
    world.scene.apply(&contract).await.unwrap();
    world
}

/// Everything is deleted while the service server, which holds an instance, is off.
pub(super) async fn deleting(ground: &Ground) -> World<'_> {
    let world = with_broker(ground, "deleting").await;
    let entry = world
        .scene
        .entry("backup", "data-backup", &["mfp"], ALLOWED);
    world
        .scene
        .apply(&world.scene.contract("leaving", now(), vec![entry]))
        .await
        .unwrap();
    world
        .until("contract/leaving", "Ready=True/Delivered")
        .await;
    // Users of the catalogue are counted with a delay, and held from then on.
    let held = [
        "connection/broker",
        "connection/devices",
        "model/mfp-500",
        "service/data-backup",
    ];
    for object in held {
        let look = async || {
            let found = world.object(object).await?;
            let finalizers = found["metadata"]["finalizers"].as_array()?;
            finalizers
                .iter()
                .any(|name| name == entente_crds::FINALIZER_IN_USE)
                .then_some(())
        };
        world.scene.within(super::SOON, object, look).await.unwrap();
    }
    let broker = world.broker.as_ref().expect("this world has one");
    broker.set_fault(FaultKind::Offline).await.unwrap();
    let namespace = Some(world.scene.namespace());
    world
        .scene
        .delete::<Contract>(namespace, "leaving")
        .await
        .unwrap();
    let named = |name: &str| world.scene.named(name);
    for name in ["broker", "devices"] {
        let name = named(name);
        world
            .scene
            .delete::<entente_crds::v1alpha1::Connection>(None, &name)
            .await
            .unwrap();
    }
    let model = named("mfp-500");
    world
        .scene
        .delete::<entente_crds::v1alpha1::DeviceModel>(None, &model)
        .await
        .unwrap();
    world
        .scene
        .delete::<SmartService>(None, &named("data-backup"))
        .await
        .unwrap();
    world
}

/// What a platform team gets wrong in the catalogue.
pub(super) async fn faulty_catalogue(ground: &Ground) -> World<'_> {
    use entente_crds::v1alpha1::{Credentials, CredentialsType, LocalReference};
    let scene = Scene::new(ground, "catalogue").await.unwrap();
    let dead = scene.broker().await.unwrap();
    dead.set_fault(FaultKind::Offline).await.unwrap();
    let mut connection = scene.broker_connection(&dead.url());
    connection.metadata.name = Some(scene.named("dead"));
    scene.apply(&connection).await.unwrap();
    connection.metadata.name = Some(scene.named("keyless"));
    connection.spec.credentials = Some(Credentials {
        r#type: CredentialsType::Basic,
        secret_ref: LocalReference {
            name: scene.named("no-such-secret"),
        },
        token_url: None,
    });
    scene.apply(&connection).await.unwrap();
    let mut service = scene.backup();
    service.metadata.name = Some(scene.named("homeless"));
    service
        .spec
        .server
        .as_mut()
        .expect("it has one")
        .connection_ref = scene.reference("no-such-connection");
    scene.apply(&service).await.unwrap();
    let mut service = scene.parts();
    service.metadata.name = Some(scene.named("wrong"));
    let setting = &mut service.spec.device.as_mut().expect("it has one").settings[1];
    setting.value_from.as_mut().expect("it has one").parameter =
        Some("no-such-parameter".to_owned());
    scene.apply(&service).await.unwrap();
    World {
        scene,
        fleets: Vec::new(),
        broker: Some(dead),
    }
}

/// After a contract was delivered another machine stands at the address, and the contract changes.
pub(super) async fn stranger(ground: &Ground) -> World<'_> {
    let world = with_devices(ground, "stranger").await;
    let entry = world.parts(&["mfp"], ALLOWED);
    let mut contract = world.scene.contract("robbed", now(), vec![entry]);
    world.scene.apply(&contract).await.unwrap();
    world.until("contract/robbed", "Ready=True/Delivered").await;
    world.fleets[0].devices()[0].replace_machine();
    let parameters = [("threshold".to_owned(), "33".to_owned())];
    contract.spec.services[0].parameters = parameters.into();
    world.scene.apply(&contract).await.unwrap();
    world
}

impl World<'_> {
    fn parts(&self, devices: &[&str], allowed: &str) -> ContractService {
        self.scene.entry("parts", "parts-life", devices, allowed)
    }
}

/// One device `mfp`, and the service that needs the device alone.
async fn with_devices<'a>(ground: &'a Ground, title: &str) -> World<'a> {
    let scene = Scene::new(ground, title).await.unwrap();
    let named = FleetOptions {
        names: vec!["mfp".to_owned()],
        ..FleetOptions::of(1)
    };
    let fleet = scene.fleet_of(named).await.unwrap();
    scene
        .apply(&scene.device_connection(fleet.port()))
        .await
        .unwrap();
    scene.apply(&scene.model()).await.unwrap();
    scene.apply(&scene.parts()).await.unwrap();
    scene
        .apply(&scene.device(&fleet.devices()[0]))
        .await
        .unwrap();
    World {
        scene,
        fleets: vec![fleet],
        broker: None,
    }
}

/// The same with a service server, and the service that needs both.
async fn with_broker<'a>(ground: &'a Ground, title: &str) -> World<'a> {
    let mut world = with_devices(ground, title).await;
    let broker = world.scene.broker().await.unwrap();
    world
        .scene
        .apply(&world.scene.broker_connection(&broker.url()))
        .await
        .unwrap();
    world.scene.apply(&world.scene.backup()).await.unwrap();
    world.broker = Some(broker);
    world
}
