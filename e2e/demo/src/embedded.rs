//! The demo's peers as simulators in this process. Called by `stage`.

use jiff::Timestamp;

use super::DemoError;
use super::role::{Catalogue, DEVICES, LedgerFacts, Role, playing};
use entente_e2e::scene::{Scene, SceneError};
use entente_simulators::{Broker, Cause, FaultKind, FleetOptions, IppFleet, Ledger};

/// A fleet of six and a broker.
pub(super) struct Embedded {
    fleet: IppFleet,
    broker: Broker,
}

impl Embedded {
    pub(super) async fn start(scene: &Scene<'_>) -> Result<Self, DemoError> {
        let scene_failed = |source| DemoError::Scene { source };
        let fleet = FleetOptions {
            names: DEVICES.map(|(name, _)| name.to_owned()).to_vec(),
            ..FleetOptions::of(DEVICES.len())
        };
        let fleet = scene.fleet_of(fleet).await.map_err(scene_failed)?;
        let broker = scene.broker().await.map_err(scene_failed)?;
        let embedded = Self { fleet, broker };
        let lie = FaultKind::NotEffective {
            attributes: vec!["nw-backup-weekdays".to_owned()],
        };
        embedded.set(Role::Liar, Some(lie)).await?;
        embedded.set(Role::Off, Some(FaultKind::Offline)).await?;
        Ok(embedded)
    }

    async fn set(&self, role: Role, fault: Option<FaultKind>) -> Result<(), DemoError> {
        for name in playing(role) {
            let device = self.fleet.device(name).expect("named when it was started");
            match fault.clone() {
                Some(fault) => device.set_fault(fault).await,
                None => device.clear_faults().await,
            }
            .map_err(|source| DemoError::Scene {
                source: SceneError::Simulator { source },
            })?;
        }
        Ok(())
    }

    pub(super) fn catalogue(&self, scene: &Scene<'_>) -> Catalogue {
        let devices = self.fleet.devices();
        Catalogue {
            connections: vec![
                scene.device_connection(self.fleet.port()),
                scene.broker_connection(&self.broker.url()),
            ],
            models: vec![scene.model()],
            service: scene.backup(),
            devices: devices.iter().map(|device| scene.device(device)).collect(),
        }
    }

    pub(super) async fn cure(&mut self, role: Role) -> Result<&'static str, DemoError> {
        self.set(role, None).await?;
        Ok(match role {
            Role::Good => "was good all the time.",
            Role::Liar => "is cured: it takes settings from now on.",
            Role::Off => "is switched on.",
        })
    }
}

/// What the ledger of the simulators says.
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
