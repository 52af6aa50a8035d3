//! Two namespaces that name one machine: the one that has proved it keeps it.

use entente_crds::v1alpha1::{AllowEntry, Connection, Device, Selector, ServiceSubscription};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::IppFleet;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::ALLOWED;
use crate::delivery_fixture::{brief, contract_is, reconciled, test_namespace, writes_to};

/// Another tenant, with a Device in a namespace of its own.
struct Neighbour<'a> {
    namespace: &'a TestNamespace<'a>,
    own: String,
    devices: Api<Device>,
}

impl<'a> Neighbour<'a> {
    /// Makes a Device of the neighbour for that machine of the fleet, before any other.
    async fn with_device(namespace: &'a TestNamespace<'a>, fleet: &IppFleet, place: usize) -> Self {
        let neighbour = Self::of(namespace).await;
        neighbour
            .create(namespace.device(&fleet.devices()[place]))
            .await;
        neighbour
    }

    /// Makes a neighbour without a Device.
    async fn of(namespace: &'a TestNamespace<'a>) -> Self {
        let own = namespace
            .plane()
            .create_namespace("neighbour")
            .await
            .unwrap();
        let devices = Api::namespaced(namespace.client().clone(), &own);
        Self {
            namespace,
            own,
            devices,
        }
    }

    async fn create(&self, mut device: Device) {
        device.metadata.name = Some("theirs".to_owned());
        device.metadata.namespace = Some(self.own.clone());
        let created = self.devices.create(&PostParams::default(), &device).await;
        created.unwrap();
    }

    /// A contract for the neighbour's Device, whose subscription waits for it.
    async fn wants(&self, threshold: &str) {
        let mut entry = self
            .namespace
            .entry("parts", "parts-life", &["theirs"], ALLOWED);
        let threshold = ("threshold".to_owned(), threshold.to_owned());
        entry.parameters = [threshold].into();
        let mut contract = self.namespace.contract("sly", now(), vec![entry]);
        contract.metadata.namespace = Some(self.own.clone());
        self.namespace.apply(&contract).await.unwrap();
        self.is_told("DeviceNotFound").await;
    }

    /// Waits until the subscription of that contract has that reason.
    async fn is_told(&self, reason: &str) {
        let client = self.namespace.client().clone();
        let subscriptions: Api<ServiceSubscription> = Api::namespaced(client, &self.own);
        let what = format!("the neighbour's subscription says Ready {reason}");
        let said = self.namespace.soon(&what, async || {
            let subscription = subscriptions.get("sly.parts.theirs").await.ok()?;
            (subscription.reason("Ready") == reason).then_some(())
        });
        said.await.unwrap();
    }

    /// Returns the entry of a Connection that allows the neighbour every address on loopback.
    fn entry(&self) -> AllowEntry {
        let name = ("kubernetes.io/metadata.name".to_owned(), self.own.clone());
        AllowEntry {
            name: "neighbour".to_owned(),
            namespaces: Selector {
                match_labels: [name].into(),
                match_expressions: Vec::new(),
            },
            networks: vec!["127.0.0.0/8".to_owned()],
        }
    }

    /// Waits until the neighbour's Device, in its current generation, has that reason.
    async fn says(&self, condition: &str, reason: &str) {
        let what = format!("the neighbour's Device says {condition} {reason}");
        let said = self.namespace.soon(&what, async || {
            let device = self.devices.get("theirs").await.ok()?;
            let current = device.condition(condition)?.observed_generation;
            let is_now = current == device.metadata.generation;
            (is_now && device.reason(condition) == reason).then_some(())
        });
        said.await.unwrap();
    }

    /// Changes something without meaning, so that the Device is reconciled again.
    async fn touch(&self) {
        let patch = json!({"spec": {"timeZone": "UTC"}});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = self.devices.patch("theirs", &parameters, &patch).await;
        patched.unwrap();
    }

    /// Names that machine of the fleet, as anybody can who may edit the Device.
    async fn moves_to(&self, fleet: &IppFleet, place: usize) {
        let wanted = self.namespace.device(&fleet.devices()[place]);
        let patch = json!({"spec": {
            "address": wanted.spec.address, "serialNumber": wanted.spec.serial_number,
        }});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = self.devices.patch("theirs", &parameters, &patch).await;
        patched.unwrap();
    }
}

/// The catalogue, then the Device and a contract of the first machine, until it is delivered.
async fn delivered(namespace: &TestNamespace<'_>, fleet: &IppFleet) {
    let device = namespace.device(&fleet.devices()[0]);
    namespace.apply::<Device>(&device).await.unwrap();
    let names = [fleet.devices()[0].name()];
    let entry = namespace.entry("parts", "parts-life", &names, ALLOWED);
    let contract = namespace.contract("ours", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "ours", "Delivered").await;
}

async fn apply_catalogue(namespace: &TestNamespace<'_>, connection: &Connection) {
    namespace.apply::<Connection>(connection).await.unwrap();
    namespace.apply(&namespace.model()).await.unwrap();
    namespace.apply(&namespace.parts()).await.unwrap();
}

// shows K4
#[tokio::test]
async fn a_device_that_is_moved_to_the_machine_of_another_tenant_does_not_get_it() {
    let namespace = test_namespace("claim").await;
    let fleet = namespace.fleet(2).await.unwrap();
    let neighbour = Neighbour::with_device(&namespace, &fleet, 1).await;
    let mut connection = namespace.device_connection(fleet.port());
    connection.spec.allow.push(neighbour.entry());
    apply_catalogue(&namespace, &connection).await;
    neighbour.says("Ready", "NothingWanted").await;
    delivered(&namespace, &fleet).await;
    let name = fleet.devices()[0].name();
    let before = brief(&writes_to(&namespace, name));

    neighbour.moves_to(&fleet, 0).await;
    neighbour.says("Accepted", "AlreadyClaimed").await;
    reconciled(&namespace, name).await;
    let ours = namespace.read_device(name).await.unwrap();
    assert!(
        ours.is("Ready") && ours.is("Accepted"),
        "{:#?}",
        ours.status
    );
    assert!(
        namespace
            .read_contract("ours")
            .await
            .unwrap()
            .is("Delivered")
    );
    assert_eq!(brief(&writes_to(&namespace, name)), before);

    // When it is given up, the waiting Device gets it without being touched.
    namespace
        .delete::<Device>(Some(namespace.name()), name)
        .await
        .unwrap();
    neighbour.says("Ready", "NothingWanted").await;
}

// shows K4
#[tokio::test]
async fn one_machine_behind_two_connections_is_written_for_who_has_proved_it() {
    let namespace = test_namespace("side-door").await;
    let fleet = namespace.fleet(1).await.unwrap();
    apply_catalogue(&namespace, &namespace.device_connection(fleet.port())).await;
    delivered(&namespace, &fleet).await;
    let name = fleet.devices()[0].name();
    let before = brief(&writes_to(&namespace, name));

    // Only the identity that the machine reports decides whose it is.
    let neighbour = Neighbour::of(&namespace).await;
    let url = format!("ipp://{{address}}:{}/ipp/print", fleet.port());
    let mut side_door = namespace.ipp_connection("side-door", &url);
    side_door.spec.allow = vec![neighbour.entry()];
    namespace.apply::<Connection>(&side_door).await.unwrap();
    neighbour.wants("77").await;
    let mut device = namespace.device(&fleet.devices()[0]);
    device.spec.connections[0].name = namespace.named("side-door");
    neighbour.create(device).await;
    neighbour.says("Accepted", "AlreadyClaimed").await;
    neighbour.is_told("AlreadyClaimed").await;
    assert_eq!(brief(&writes_to(&namespace, name)), before);
    let theirs = neighbour.devices.get("theirs").await.unwrap();
    assert_eq!(
        theirs.status.unwrap().identity,
        None,
        "it is told whose it is"
    );
    assert!(
        namespace
            .read_contract("ours")
            .await
            .unwrap()
            .is("Delivered")
    );

    // When it is given up, the waiting Device gets it without being touched.
    namespace
        .delete::<Device>(Some(namespace.name()), name)
        .await
        .unwrap();
    neighbour.is_told("Delivered").await;
}

// shows K4
#[tokio::test]
async fn a_device_that_its_connection_refuses_keeps_nobody_from_a_machine() {
    let namespace = test_namespace("refused").await;
    let fleet = namespace.fleet(1).await.unwrap();
    let neighbour = Neighbour::with_device(&namespace, &fleet, 0).await;
    let connection = namespace.device_connection(fleet.port());
    apply_catalogue(&namespace, &connection).await;
    neighbour.says("Ready", "NotAllowed").await;
    delivered(&namespace, &fleet).await;
    let ours = namespace
        .read_device(fleet.devices()[0].name())
        .await
        .unwrap();
    assert!(
        ours.is("Ready") && ours.is("Accepted"),
        "{:#?}",
        ours.status
    );
    // Nor does its status reveal that another Device has it.
    neighbour.touch().await;
    neighbour.says("Ready", "NotAllowed").await;
}
