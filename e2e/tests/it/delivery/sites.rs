//! Devices that have their connections by a Site, and what an edit of it does.

use entente_crds::v1alpha1::{
    Connection, Device, DeviceConnection, DeviceModel, NameReference, Site, SiteSpec, SmartService,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_simulators::IppFleet;

use crate::delivery_fixture::{contract_is, test_namespace, writes_to};

/// Two ways to the devices of a fleet, and the catalogue.
struct Ways<'a> {
    namespace: TestNamespace<'a>,
    fleet: IppFleet,
}

const ALLOWED: &str = "15m";

impl Ways<'static> {
    async fn new(title: &str) -> Self {
        let namespace = test_namespace(title).await;
        let fleet = namespace.fleet(1).await.unwrap();
        let url = format!("ipp://{{address}}:{}/ipp/print", fleet.port());
        for connection in [
            namespace.device_connection(fleet.port()),
            namespace.ipp_connection("other", &url),
        ] {
            namespace.apply::<Connection>(&connection).await.unwrap();
        }
        let (model, service) = (namespace.model(), namespace.parts());
        namespace.apply::<DeviceModel>(&model).await.unwrap();
        namespace.apply::<SmartService>(&service).await.unwrap();
        Self { namespace, fleet }
    }
}

impl Ways<'_> {
    fn connections(&self, name: &str) -> Vec<DeviceConnection> {
        vec![DeviceConnection {
            name: self.namespace.named(name),
            ..DeviceConnection::default()
        }]
    }

    async fn apply_site(&self, name: &str, connection: &str) {
        let connections = self.connections(connection);
        let mut site = Site::new(
            name,
            SiteSpec {
                connections,
                ..SiteSpec::default()
            },
        );
        site.metadata.namespace = Some(self.namespace.name().to_owned());
        self.namespace.apply(&site).await.unwrap();
    }

    /// Returns the Device of the machine, at a Site and without connections of its own.
    fn device(&self, name: &str, site: &str) -> Device {
        let mut device = self.namespace.device(&self.fleet.devices()[0]);
        device.metadata.name = Some(name.to_owned());
        device.spec.connections.clear();
        device.spec.site_ref = Some(NameReference {
            name: site.to_owned(),
        });
        device
    }

    /// Waits until each way is used by so many Devices.
    async fn are_used_by(&self, devices: i64, other: i64) {
        let api = self.namespace.catalogue::<Connection>();
        for (name, count) in [("devices", devices), ("other", other)] {
            let name = self.namespace.named(name);
            let what = format!("{count} Devices use the Connection {name}");
            let counted = self.namespace.soon(&what, async || {
                let status = api.get(&name).await.ok()?.status?;
                (status.used_by == Some(count)).then_some(())
            });
            counted.await.unwrap();
        }
    }

    /// Waits until a Device has that reason.
    async fn says(&self, device: &str, condition: &str, reason: &str) {
        let what = format!("{device} says {condition} {reason}");
        let said = self.namespace.soon(&what, async || {
            let device = self.namespace.read_device(device).await?;
            (device.reason(condition) == reason).then_some(())
        });
        said.await.unwrap();
    }

    /// Waits until the machine was proved through that Connection.
    async fn is_reached_by(&self, device: &str, connection: &str) {
        let connection = self.namespace.named(connection);
        let what = format!("{device} is reached by {connection}");
        let reached = self.namespace.soon(&what, async || {
            let status = self.namespace.read_device(device).await?.status?;
            let identity = status.identity?;
            let is_proved = status.claim?.since.is_some();
            (is_proved && identity.connection == Some(connection.clone())).then_some(())
        });
        reached.await.unwrap();
    }
}

// shows K2 K4
#[tokio::test]
async fn a_device_has_the_connections_of_its_site_until_it_has_its_own() {
    let ways = Ways::new("sites").await;
    let namespace = &ways.namespace;
    let machine = ways.fleet.devices()[0].name();

    // Nothing is sent before the Site is there.
    let device = ways.device(machine, "north");
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("parts", "parts-life", &[machine], ALLOWED);
    let contract = namespace.contract("shared", now(), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    ways.says(machine, "Ready", "SiteNotFound").await;
    ways.says(machine, "ResolvedRefs", "SiteNotFound").await;
    assert!(writes_to(namespace, machine).is_empty());

    ways.apply_site("north", "devices").await;
    contract_is(namespace, "shared", "Delivered").await;
    ways.are_used_by(1, 0).await;

    // An edit of the Site is one of its Devices.
    ways.apply_site("north", "other").await;
    ways.are_used_by(0, 1).await;
    ways.is_reached_by(machine, "other").await;
    contract_is(namespace, "shared", "Delivered").await;

    // A second Device with the machine, by another Site.
    let second = ways.device("second", "south");
    namespace.apply::<Device>(&second).await.unwrap();
    ways.says("second", "ResolvedRefs", "SiteNotFound").await;
    ways.apply_site("south", "other").await;
    ways.says("second", "Accepted", "AlreadyClaimed").await;
    ways.are_used_by(0, 2).await;

    // With a list of its own nothing of the Site counts, wherever that leads.
    let mut own = ways.device(machine, "north");
    own.spec.connections = ways.connections("devices");
    namespace.apply::<Device>(&own).await.unwrap();
    ways.are_used_by(1, 1).await;
    ways.apply_site("north", "nowhere").await;
    ways.is_reached_by(machine, "devices").await;
    contract_is(namespace, "shared", "Delivered").await;
    ways.says("second", "Accepted", "AlreadyClaimed").await;

    // Once the machine is free, the second one gets it without being touched.
    let place = Some(namespace.name());
    namespace.delete::<Device>(place, machine).await.unwrap();
    ways.is_reached_by("second", "other").await;
}
