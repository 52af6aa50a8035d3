//! A customer of a bench: a namespace, its simulated devices and broker, and its contracts.
//!
//! It sets the limits of the Connections so high that they do not bound the measurement; everything
//! else of the catalogue is as in the examples. It measures nothing.

use std::time::{Duration, Instant};

use entente_crds::v1alpha1::{Connection, Contract, Device, Limit, Limits};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::OperatorView;
use entente_simulators::{Broker, FleetOptions, IppFleet};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::runtime::wait::await_condition;

use super::requests::is_work;
use super::{BenchError, audit_failed, namespace_failed, within};

/// The most that a Connection can allow.
const NO_LIMIT: Limit = Limit {
    in_flight: 4096,
    per_second: 100_000,
};
/// Objects that are applied at once.
const AT_ONCE: usize = 32;
/// Interval between two checks of a changing state.
const LOOK: Duration = Duration::from_millis(250);
/// The most devices that an entry of a contract may name.
pub(super) const MOST_NAMES: usize = 1000;
/// The service of all benches: settings on both sides, proven, and an activation.
pub(super) const SERVICE: &str = "data-backup";
/// Name of the entry of a contract for it.
const ENTRY: &str = "backup";

/// A customer.
pub(super) struct Customer<'p> {
    pub(super) namespace: TestNamespace<'p>,
    pub(super) fleet: IppFleet,
    pub(super) broker: Broker,
}

impl<'p> Customer<'p> {
    /// Devices and broker listen; nothing is applied but the namespace.
    pub(super) async fn new(
        plane: &'p ControlPlane,
        view: OperatorView,
        name: &str,
        devices: usize,
        first_index: usize,
    ) -> Result<Self, BenchError> {
        let options = FleetOptions {
            first_index,
            ..FleetOptions::of(devices)
        };
        Self::with_fleet(plane, view, name, options).await
    }

    /// As [`Customer::new`], with devices of these options.
    pub(super) async fn with_fleet(
        plane: &'p ControlPlane,
        view: OperatorView,
        name: &str,
        options: FleetOptions,
    ) -> Result<Self, BenchError> {
        let namespace = TestNamespace::with_name(plane, view, name.to_owned())
            .await
            .map_err(namespace_failed)?;
        let mut object = Namespace::default();
        object.metadata.name = Some(name.to_owned());
        namespace.apply(&object).await.map_err(namespace_failed)?;
        let fleet = IppFleet::start(options, namespace.ledger().clone())
            .await
            .map_err(|source| BenchError::Simulator { source })?;
        let broker = namespace.broker().await.map_err(namespace_failed)?;
        Ok(Self {
            namespace,
            fleet,
            broker,
        })
    }

    /// Returns the names of the devices.
    pub(super) fn names(&self) -> Vec<&str> {
        let devices = self.fleet.devices().iter();
        devices.map(|device| device.name()).collect()
    }

    /// Applies catalogue and Devices, with Connections that do not bound what is measured.
    pub(super) async fn apply(&self) -> Result<(), BenchError> {
        let namespace = &self.namespace;
        let connections = [
            unlimited(namespace.device_connection(self.fleet.port())),
            unlimited(namespace.broker_connection(&self.broker.url())),
        ];
        self.apply_catalogue(&connections).await?;
        let simulated = self.fleet.devices().iter();
        let devices: Vec<_> = simulated.map(|device| namespace.device(device)).collect();
        self.apply_devices(&devices).await
    }

    /// Applies these Connections, the model and the service.
    pub(super) async fn apply_catalogue(
        &self,
        connections: &[Connection],
    ) -> Result<(), BenchError> {
        let namespace = &self.namespace;
        for connection in connections {
            namespace
                .apply(connection)
                .await
                .map_err(namespace_failed)?;
        }
        namespace
            .apply(&namespace.model())
            .await
            .map_err(namespace_failed)?;
        namespace
            .apply(&namespace.backup())
            .await
            .map(drop)
            .map_err(namespace_failed)
    }

    /// Applies these Devices, of whichever namespace.
    pub(super) async fn apply_devices(&self, devices: &[Device]) -> Result<(), BenchError> {
        apply_devices(&self.namespace, devices).await
    }

    /// Deletes these Devices, of whichever namespace.
    pub(super) async fn delete_devices(&self, devices: &[Device]) -> Result<(), BenchError> {
        let delete = |device: &Device| {
            let (namespace, name) = (device.namespace(), device.name_any());
            async move {
                let namespace = namespace.as_deref();
                self.namespace.delete::<Device>(namespace, &name).await
            }
        };
        stream::iter(devices.iter().map(delete))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await
            .map_err(namespace_failed)
    }

    /// Returns a contract for one service on these devices.
    pub(super) fn contract(&self, name: &str, start: Timestamp, devices: &[&str]) -> Contract {
        self.contract_of((ENTRY, SERVICE), name, start, devices)
    }

    fn contract_of(
        &self,
        (entry, service): (&str, &str),
        name: &str,
        start: Timestamp,
        devices: &[&str],
    ) -> Contract {
        let entry = self.namespace.entry(entry, service, devices, "15m");
        self.namespace.contract(name, start, vec![entry])
    }

    /// Contracts for one service on all devices: as few as can name them.
    pub(super) fn contracts(&self, start: Timestamp) -> Vec<Contract> {
        self.contracts_of((ENTRY, SERVICE), start)
    }

    /// As [`Self::contracts`], for an entry of this name for this service.
    pub(super) fn contracts_of(&self, entry: (&str, &str), start: Timestamp) -> Vec<Contract> {
        let names = self.names();
        let parts = names.chunks(MOST_NAMES).enumerate();
        parts
            .map(|(number, names)| self.contract_of(entry, &contract_name(number), start, names))
            .collect()
    }

    /// Applies contracts; returns them as the API server has them.
    pub(super) async fn apply_contracts(
        &self,
        contracts: &[Contract],
    ) -> Result<Vec<Contract>, BenchError> {
        stream::iter(contracts.iter())
            .map(|contract| self.namespace.apply(contract))
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(namespace_failed)
    }

    /// Waits by a watch until the contracts report all their subscriptions as delivered, except
    /// `but` of each.
    pub(super) async fn until_delivered(
        &self,
        contracts: &[Contract],
        but: usize,
    ) -> Result<(), BenchError> {
        let within = within(self.fleet.devices().len());
        until_delivered(&self.namespace, contracts, but, within).await
    }

    /// Waits until the operator has sent nothing for so long, neither to the API server (watches
    /// excepted) nor to a peer.
    pub(super) async fn until_quiet(&self, quiet: Duration) -> Result<(), BenchError> {
        let within = within(self.fleet.devices().len());
        until_quiet(&self.namespace, quiet, within).await
    }
}

/// Applies these Devices, of whichever namespace.
pub(super) async fn apply_devices(
    namespace: &TestNamespace<'_>,
    devices: &[Device],
) -> Result<(), BenchError> {
    stream::iter(devices.iter().map(|device| namespace.apply(device)))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await
        .map_err(namespace_failed)
}

/// Waits by a watch until the contracts report all their subscriptions as delivered, except `but` of
/// each.
pub(super) async fn until_delivered(
    namespace: &TestNamespace<'_>,
    contracts: &[Contract],
    but: usize,
    within: Duration,
) -> Result<(), BenchError> {
    let api = namespace.api::<Contract>();
    let waits = contracts.iter().map(|contract| {
        let (name, wanted) = (contract.name_any(), named(contract) - but);
        let done = move |contract: Option<&Contract>| delivered(contract) >= wanted;
        let api = api.clone();
        async move { await_condition(api, &name, done).await }
    });
    let all = futures::future::try_join_all(waits);
    if let Ok(Ok(_)) = tokio::time::timeout(within, all).await {
        return Ok(());
    }
    let (mut wanted, mut found) = (0, 0);
    for contract in contracts {
        wanted += named(contract) - but;
        let contract = namespace.read_contract(&contract.name_any()).await;
        found += delivered(contract.as_ref());
    }
    Err(BenchError::Late {
        what: format!("{wanted} subscriptions are not delivered, but {found}"),
        within,
    })
}

/// Waits until operator and gateway have sent nothing for so long because of a change, neither to the
/// API server nor to a peer.
pub(super) async fn until_quiet(
    namespace: &TestNamespace<'_>,
    quiet: Duration,
    within: Duration,
) -> Result<(), BenchError> {
    let ledger = namespace.ledger();
    until_unchanged(namespace, (quiet, within), || ledger.last_sequence()).await
}

/// As [`until_quiet`], where devices are asked for their status all the time: of the API server alone.
pub(super) async fn until_at_rest(
    namespace: &TestNamespace<'_>,
    quiet: Duration,
    within: Duration,
) -> Result<(), BenchError> {
    until_unchanged(namespace, (quiet, within), || 0).await
}

/// Waits until operator and gateway have sent nothing to the API server because of a change for so long,
/// and a number of requests to peers has stayed the same.
async fn until_unchanged(
    namespace: &TestNamespace<'_>,
    (quiet, within): (Duration, Duration),
    requests: impl Fn() -> u64,
) -> Result<(), BenchError> {
    let plane = namespace.plane();
    let deadline = Instant::now() + within;
    let (mut since, mut seen) = (Instant::now(), requests());
    let mut position = plane.audit_position().await.map_err(audit_failed)?;
    let mut last = None;
    while Instant::now() < deadline {
        // The pause between two looks, until the deadline.
        tokio::time::sleep(LOOK).await;
        let next = plane.audit_position().await.map_err(audit_failed)?;
        let events = plane.audit_events_since(position).await;
        let events = events.map_err(audit_failed)?;
        position = next;
        let mut events = events.into_iter();
        let busy = events.rfind(is_work);
        let now_seen = requests();
        if busy.is_some() || now_seen != seen {
            (since, seen) = (Instant::now(), now_seen);
            last = busy.or(last);
        }
        if since.elapsed() >= quiet {
            return Ok(());
        }
    }
    let last = last.map(|event| format!("{} {}", event.verb, event.uri));
    Err(BenchError::Late {
        what: format!("the operator does not come to rest, last {last:?}"),
        within,
    })
}

/// Returns the name of a contract of a fleet.
pub(super) fn contract_name(number: usize) -> String {
    format!("fleet-{number}")
}

/// Returns the number of devices that a contract names.
fn named(contract: &Contract) -> usize {
    let services = contract.spec.services.iter();
    services.map(|service| service.devices.names.len()).sum()
}

fn delivered(contract: Option<&Contract>) -> usize {
    contract
        .and_then(|contract| contract.status.as_ref()?.subscriptions.as_ref())
        .and_then(|counts| usize::try_from(counts.delivered).ok())
        .unwrap_or_default()
}

/// Returns a Connection whose limits are set to the most there is.
pub(super) fn unlimited(mut connection: Connection) -> Connection {
    connection.spec.limits = Some(Limits {
        per_host: Some(NO_LIMIT),
        total: Some(NO_LIMIT),
    });
    // As users have it: the impatient one of the tests is not measured.
    connection.spec.retry = None;
    connection
}
