//! Two namespaces that name one machine: who has proved it keeps it.

use entente_crds::v1alpha1::{AllowEntry, Connection, Device, Selector, ServiceSubscription};
use entente_e2e::scene::read::Conditioned as _;
use entente_e2e::scene::{Scene, now};
use entente_simulators::IppFleet;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::ALLOWED;
use crate::standard::{brief, contract_is, reconciled, scene, writes_to};

/// Another tenant, with a Device in a namespace of its own.
struct Neighbour<'a> {
    scene: &'a Scene<'a>,
    namespace: String,
    devices: Api<Device>,
}

impl<'a> Neighbour<'a> {
    /// A Device of the neighbour for that machine of the fleet, made before anybody else's.
    async fn with_device(scene: &'a Scene<'a>, fleet: &IppFleet, place: usize) -> Self {
        let neighbour = Self::of(scene).await;
        neighbour
            .create(scene.device(&fleet.devices()[place]))
            .await;
        neighbour
    }

    /// A neighbour without a Device.
    async fn of(scene: &'a Scene<'a>) -> Self {
        let namespace = scene.plane().create_namespace("neighbour").await.unwrap();
        let devices = Api::namespaced(scene.client().clone(), &namespace);
        Self {
            scene,
            namespace,
            devices,
        }
    }

    async fn create(&self, mut device: Device) {
        device.metadata.name = Some("theirs".to_owned());
        device.metadata.namespace = Some(self.namespace.clone());
        let created = self.devices.create(&PostParams::default(), &device).await;
        created.unwrap();
    }

    /// A contract for the neighbour's Device, whose subscription waits for it.
    async fn wants(&self, threshold: &str) {
        let mut entry = self
            .scene
            .entry("parts", "parts-life", &["theirs"], ALLOWED);
        let threshold = ("threshold".to_owned(), threshold.to_owned());
        entry.parameters = [threshold].into();
        let mut contract = self.scene.contract("sly", now(), vec![entry]);
        contract.metadata.namespace = Some(self.namespace.clone());
        self.scene.apply(&contract).await.unwrap();
        self.is_told("DeviceNotFound").await;
    }

    /// Waits until the subscription of that contract says that reason.
    async fn is_told(&self, reason: &str) {
        let client = self.scene.client().clone();
        let subscriptions: Api<ServiceSubscription> = Api::namespaced(client, &self.namespace);
        let what = format!("the neighbour's subscription says Ready {reason}");
        let said = self.scene.soon(&what, async || {
            let subscription = subscriptions.get("sly.parts.theirs").await.ok()?;
            (subscription.reason("Ready") == reason).then_some(())
        });
        said.await.unwrap();
    }

    /// The entry of a Connection that lets the neighbour to every address on loopback.
    fn entry(&self) -> AllowEntry {
        let name = (
            "kubernetes.io/metadata.name".to_owned(),
            self.namespace.clone(),
        );
        AllowEntry {
            name: "neighbour".to_owned(),
            namespaces: Selector {
                match_labels: [name].into(),
                match_expressions: Vec::new(),
            },
            networks: vec!["127.0.0.0/8".to_owned()],
        }
    }

    /// Waits until the neighbour's Device, as it is now, says that reason.
    async fn says(&self, condition: &str, reason: &str) {
        let what = format!("the neighbour's Device says {condition} {reason}");
        let said = self.scene.soon(&what, async || {
            let device = self.devices.get("theirs").await.ok()?;
            let current = device.condition(condition)?.observed_generation;
            let is_now = current == device.metadata.generation;
            (is_now && device.reason(condition) == reason).then_some(())
        });
        said.await.unwrap();
    }

    /// Changes something that means nothing, so that the Device is looked at again.
    async fn touch(&self) {
        let patch = json!({"spec": {"timeZone": "UTC"}});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = self.devices.patch("theirs", &parameters, &patch).await;
        patched.unwrap();
    }

    /// Names that machine of the fleet, as whoever may edit the Device can.
    async fn moves_to(&self, fleet: &IppFleet, place: usize) {
        let wanted = self.scene.device(&fleet.devices()[place]);
        let patch = json!({"spec": {
            "address": wanted.spec.address, "serialNumber": wanted.spec.serial_number,
        }});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = self.devices.patch("theirs", &parameters, &patch).await;
        patched.unwrap();
    }
}

/// The catalogue, then the Device and a contract of the first machine, until it is delivered.
async fn delivered(scene: &Scene<'_>, fleet: &IppFleet) {
    let device = scene.device(&fleet.devices()[0]);
    scene.apply::<Device>(&device).await.unwrap();
    let names = [fleet.devices()[0].name()];
    let entry = scene.entry("parts", "parts-life", &names, ALLOWED);
    let contract = scene.contract("ours", now(), vec![entry]);
    scene.apply(&contract).await.unwrap();
    contract_is(scene, "ours", "Delivered").await;
}

async fn apply_catalogue(scene: &Scene<'_>, connection: &Connection) {
    scene.apply::<Connection>(connection).await.unwrap();
    scene.apply(&scene.model()).await.unwrap();
    scene.apply(&scene.parts()).await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_device_that_is_moved_to_the_machine_of_another_tenant_does_not_get_it() {
    let scene = scene("claim").await;
    let fleet = scene.fleet(2).await.unwrap();
    let neighbour = Neighbour::with_device(&scene, &fleet, 1).await;
    let mut connection = scene.device_connection(fleet.port());
    connection.spec.allow.push(neighbour.entry());
    apply_catalogue(&scene, &connection).await;
    neighbour.says("Ready", "Succeeded").await;
    delivered(&scene, &fleet).await;
    let name = fleet.devices()[0].name();
    let before = brief(&writes_to(&scene, name));

    neighbour.moves_to(&fleet, 0).await;
    neighbour.says("Accepted", "AlreadyClaimed").await;
    reconciled(&scene, name).await;
    let ours = scene.read_device(name).await.unwrap();
    assert!(
        ours.is("Ready") && ours.is("Accepted"),
        "{:#?}",
        ours.status
    );
    assert!(scene.read_contract("ours").await.unwrap().is("Delivered"));
    assert_eq!(brief(&writes_to(&scene, name)), before);

    // When it is given up, whoever waits for it gets it without being touched.
    scene
        .delete::<Device>(Some(scene.namespace()), name)
        .await
        .unwrap();
    neighbour.says("Ready", "Succeeded").await;
}

// shows K4
#[tokio::test]
async fn one_machine_behind_two_connections_is_written_for_who_has_proved_it() {
    let scene = scene("side-door").await;
    let fleet = scene.fleet(1).await.unwrap();
    apply_catalogue(&scene, &scene.device_connection(fleet.port())).await;
    delivered(&scene, &fleet).await;
    let name = fleet.devices()[0].name();
    let before = brief(&writes_to(&scene, name));

    // Nothing but what the machine says of itself tells whose it is.
    let neighbour = Neighbour::of(&scene).await;
    let url = format!("ipp://{{address}}:{}/ipp/print", fleet.port());
    let mut side_door = scene.ipp_connection("side-door", &url);
    side_door.spec.allow = vec![neighbour.entry()];
    scene.apply::<Connection>(&side_door).await.unwrap();
    neighbour.wants("77").await;
    let mut device = scene.device(&fleet.devices()[0]);
    device.spec.connections[0].name = scene.named("side-door");
    neighbour.create(device).await;
    neighbour.says("Accepted", "AlreadyClaimed").await;
    neighbour.is_told("AlreadyClaimed").await;
    assert_eq!(brief(&writes_to(&scene, name)), before);
    let theirs = neighbour.devices.get("theirs").await.unwrap();
    assert_eq!(
        theirs.status.unwrap().identity,
        None,
        "it is told whose it is"
    );
    assert!(scene.read_contract("ours").await.unwrap().is("Delivered"));

    // When it is given up, whoever waits for it gets it without being touched.
    scene
        .delete::<Device>(Some(scene.namespace()), name)
        .await
        .unwrap();
    neighbour.is_told("Delivered").await;
}

// shows K4
#[tokio::test]
async fn a_device_that_its_connection_refuses_keeps_nobody_from_a_machine() {
    let scene = scene("refused").await;
    let fleet = scene.fleet(1).await.unwrap();
    let neighbour = Neighbour::with_device(&scene, &fleet, 0).await;
    let connection = scene.device_connection(fleet.port());
    apply_catalogue(&scene, &connection).await;
    neighbour.says("Ready", "NotAllowed").await;
    delivered(&scene, &fleet).await;
    let ours = scene.read_device(fleet.devices()[0].name()).await.unwrap();
    assert!(
        ours.is("Ready") && ours.is("Accepted"),
        "{:#?}",
        ours.status
    );
    // Nor is it told that somebody has it.
    neighbour.touch().await;
    neighbour.says("Ready", "NotAllowed").await;
}
