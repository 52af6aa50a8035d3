//! The demo's peers as simulators in this process. Called by `peers`.

use entente_e2e::namespace::{NamespaceError, TestNamespace};
use entente_simulators::{Broker, Cause, Control, FaultKind, FleetOptions, IppFleet, Ledger};
use jiff::Timestamp;

use super::DemoError;
use super::device::{Behaviour, names, reached};
use super::peers::{Catalogue, LedgerFacts};
use super::supplies::{self, Supplies};
use super::terminal::Terminal;

/// A fleet and a broker, which people may steer by hand.
pub(super) struct Embedded {
    fleet: IppFleet,
    broker: Broker,
    control: Control,
    supplies: Supplies,
}

impl Embedded {
    pub(super) async fn start(namespace: &TestNamespace<'_>) -> Result<Self, DemoError> {
        let namespace_failed = |source| DemoError::Namespace { source };
        let names: Vec<String> = reached().map(str::to_owned).collect();
        let count = names.len();
        let fleet = FleetOptions {
            names,
            ..FleetOptions::of(count)
        };
        let fleet = namespace.fleet_of(fleet).await.map_err(namespace_failed)?;
        let broker = namespace.broker().await.map_err(namespace_failed)?;
        let (fleets, ledger) = (vec![fleet.clone()], namespace.ledger().clone());
        let control = Control::start(0, fleets, Some(broker.clone()), ledger)
            .await
            .map_err(|source| namespace_failed(NamespaceError::Simulator { source }))?;
        let embedded = Self {
            fleet,
            broker,
            control,
            supplies: Supplies::start().await?,
        };
        let lie = FaultKind::NotEffective {
            attributes: vec!["nw-backup-weekdays".to_owned()],
        };
        embedded.set(Behaviour::NotEffective, Some(lie)).await?;
        embedded
            .set(Behaviour::Offline, Some(FaultKind::Offline))
            .await?;
        Ok(embedded)
    }

    async fn set(&self, behaviour: Behaviour, fault: Option<FaultKind>) -> Result<(), DemoError> {
        for name in names(behaviour) {
            let device = self.fleet.device(name).expect("named when it was started");
            match fault.clone() {
                Some(fault) => device.set_fault(fault).await,
                None => device.clear_faults().await,
            }
            .map_err(|source| DemoError::Namespace {
                source: NamespaceError::Simulator { source },
            })?;
        }
        Ok(())
    }

    pub(super) fn catalogue(&self, namespace: &TestNamespace<'_>) -> Catalogue {
        let devices = self.fleet.devices();
        let mut connection = namespace.device_connection(self.fleet.port());
        let (mut model, mut service) = (namespace.model(), namespace.backup());
        Supplies::add_to(namespace, &mut service, &mut model, &mut connection);
        Catalogue {
            connections: vec![
                connection,
                namespace.broker_connection(&self.broker.url()),
                self.supplies.connection(namespace),
            ],
            models: vec![model],
            texts: vec![Supplies::text(namespace)],
            service,
            devices: devices
                .iter()
                .map(|device| namespace.device(device))
                .collect(),
        }
    }

    /// Shows a cartridge that runs empty, at the end.
    pub(super) async fn show_supplies(
        &self,
        terminal: &Terminal,
        namespace: &TestNamespace<'_>,
    ) -> Result<bool, DemoError> {
        let printer = self.fleet.device(supplies::DEVICE);
        let printer = printer.expect("named when it was started");
        self.supplies.show(terminal, namespace, printer).await
    }

    /// Returns the URL of the control interface.
    pub(super) fn control(&self) -> String {
        self.control.url()
    }

    pub(super) async fn mend(&mut self, behaviour: Behaviour) -> Result<&'static str, DemoError> {
        self.set(behaviour, None).await?;
        Ok(match behaviour {
            Behaviour::Good | Behaviour::Calls => "was good all the time.",
            Behaviour::NotEffective => "is mended: settings take effect from now on.",
            Behaviour::Offline => "is switched on.",
        })
    }
}

/// Returns the facts in the ledger of the simulators.
pub(super) fn ledger(ledger: &Ledger, start: Timestamp) -> LedgerFacts {
    let entries = ledger.entries();
    let (probes, others): (Vec<_>, Vec<_>) = entries
        .iter()
        .filter(|entry| entry.cause == Cause::Request && entry.time() < start)
        .partition(|entry| entry.probe);
    LedgerFacts {
        probes_before: probes.len(),
        others_before: others.len(),
        writes: ledger.writes().len(),
        unneeded: Some(ledger.unneeded_writes().len()),
        duplicates: ledger.duplicates().len(),
        about: "from the ledger of the simulated devices and broker",
    }
}
