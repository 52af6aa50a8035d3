//! As many orders in the log of an order server as errors of a device have occurred: reported again and
//! again, by a device that is replaced, on a cluster that forgets.
//!
//! The printer is a simulated one, so that a test decides what it reports, and when.

mod another_machine;
mod reported_again;
mod restored;

use std::sync::Arc;

use entente_crds::example;
use entente_crds::v1alpha1::{
    Connection, Contract, Device, DeviceError, DeviceModel, Settle, Sync,
};
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::peers::{OrderServer, OrderServerOptions};
use entente_simulators::{self, IppFleet};

use super::add_supplies;
use crate::delivery_fixture::reconciled;

/// The word by which the printer says that toners are empty.
const EMPTY: &str = "toner-empty-error";
/// Keys of the errors of two of its toners.
const BLACK: &str = "TonerEmpty/black-toner";
const CYAN: &str = "TonerEmpty/cyan-toner";
/// Their part numbers.
const BLACK_PART: &str = "TN-520K";
const CYAN_PART: &str = "TN-520C";

/// A printer and the order server of its supplies, which outlive a control plane.
struct Peers {
    fleet: IppFleet,
    server: OrderServer,
}

impl Peers {
    async fn start(namespace: &TestNamespace<'_>, options: OrderServerOptions) -> Self {
        Self {
            fleet: namespace.fleet(1).await.unwrap(),
            server: OrderServer::start(options).await.unwrap(),
        }
    }

    fn printer(&self) -> &Arc<entente_simulators::Device> {
        &self.fleet.devices()[0]
    }

    fn name(&self) -> &str {
        self.printer().name()
    }

    /// Returns the name of the SupplyOrder for an occurrence of an empty toner.
    fn order(&self, supply: &str, occurrence: u32) -> String {
        format!("{}.toner-empty.{supply}.{occurrence}", self.name())
    }

    /// The printer says that these toners are empty, and no other ones.
    fn run_out(&self, colorants: &[&str]) {
        let levels: Vec<(&str, u8)> = colorants.iter().map(|name| (*name, 0)).collect();
        self.printer().set_toners(EMPTY, &levels).unwrap();
    }

    /// The printer says that nothing is the matter, and that its toners have so much.
    fn recover(&self, percent: u8) {
        self.printer().set_black_toner("none", percent).unwrap();
    }

    /// Returns the orders that were made: serial number and part number of each, sorted.
    fn ordered(&self) -> Vec<(String, String)> {
        let log = self.server.log();
        let mut ordered: Vec<_> = log
            .into_iter()
            .map(|order| {
                let [line] = &order.lines[..] else {
                    panic!("not one line: {order:?}");
                };
                assert_eq!(line.quantity, 1, "{order:?}");
                (order.device.serial_number, line.part_number.clone())
            })
            .collect();
        ordered.sort();
        ordered
    }
}

/// Applies the printer with a model that has errors with these times, and a contract of the service that
/// orders at the server; returns once it is delivered and the printer was asked.
async fn apply(namespace: &TestNamespace<'_>, peers: &Peers, (begin, end): (&str, &str)) {
    let mut connection = namespace.device_connection(peers.fleet.port());
    connection.spec.sync = Some(Sync {
        status: "1s".into(),
        ..Sync::default()
    });
    namespace.apply::<Connection>(&connection).await.unwrap();
    let example = example::mfp_520().spec;
    let mut model = namespace.model();
    model.spec.supplies = example.supplies;
    model.spec.errors = example.errors;
    for error in &mut model.spec.errors {
        error.settle = Some(Settle {
            begin: begin.into(),
            end: end.into(),
        });
    }
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    add_supplies(namespace, &peers.server.url()).await;
    let device = namespace.device(peers.printer());
    namespace.apply::<Device>(&device).await.unwrap();
    let entry = namespace.entry("supplies", "supplies", &[peers.name()], "1h");
    let contract = namespace.contract("now", now(), vec![entry]);
    namespace.apply::<Contract>(&contract).await.unwrap();
    crate::delivery_fixture::contract_is(namespace, "now", "Delivered").await;
    let online = namespace.soon("the printer answers", async || {
        let device = namespace.read_device(peers.name()).await?;
        device.is("Online").then_some(())
    });
    online.await.unwrap();
    assert_eq!(peers.ordered(), []);
}

/// The printer is looked at so many times.
async fn look(namespace: &TestNamespace<'_>, peers: &Peers, times: u32) {
    for _ in 0..times {
        reconciled(namespace, peers.name()).await;
    }
}

/// Returns the errors of the printer as its Device has them.
async fn errors(namespace: &TestNamespace<'_>, peers: &Peers) -> Vec<DeviceError> {
    let device = namespace.read_device(peers.name()).await.expect("a Device");
    device.status.map(|it| it.errors).unwrap_or_default()
}

/// Waits until an error of the printer is as it should be, and returns it.
async fn error(
    namespace: &TestNamespace<'_>,
    peers: &Peers,
    key: &str,
    is_as_wanted: impl Fn(&DeviceError) -> bool,
) -> DeviceError {
    let what = format!("{key} is as it should be");
    let found = namespace.soon(&what, async || {
        let errors = errors(namespace, peers).await;
        let found = errors.into_iter().find(|error| error.key == key)?;
        is_as_wanted(&found).then_some(found)
    });
    found.await.unwrap()
}

/// Returns the id of the order that an error has.
fn order_id(error: &DeviceError) -> Option<&str> {
    error.order.as_ref()?.id.as_deref()
}
