//! Who plays in the demo: the six devices with their roles, and the service server.
//!
//! Decides names and roles; how a role is played is said in `embedded` and `real`.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, SmartService};
use jiff::Timestamp;

use super::embedded::Embedded;
use super::real::Real;
use super::{DemoError, Peers};
use crate::scene::Scene;

/// What a device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes what it is told.
    Good,
    /// Says that it took a setting, and did not.
    Liar,
    /// Is switched off.
    Off,
}

/// The six devices.
pub(super) const DEVICES: [(&str, Role); 6] = [
    ("lobby-mfp", Role::Good),
    ("office-mfp", Role::Good),
    ("legal-mfp", Role::Good),
    ("branch-mfp", Role::Good),
    ("archive-mfp", Role::Liar),
    ("depot-mfp", Role::Off),
];

/// The names of the devices that play a role.
pub(super) fn playing(role: Role) -> impl Iterator<Item = &'static str> {
    DEVICES
        .into_iter()
        .filter(move |(_, played)| *played == role)
        .map(|(name, _)| name)
}

/// What is applied before the contract.
pub(super) struct Catalogue {
    pub(super) connections: Vec<Connection>,
    pub(super) models: Vec<DeviceModel>,
    pub(super) service: SmartService,
    pub(super) devices: Vec<Device>,
}

/// What the peers were really asked.
#[derive(Debug, Default)]
pub(super) struct LedgerFacts {
    /// Requests before the start that asked who a peer is and how it is.
    pub(super) probes_before: usize,
    /// All others before the start: on behalf of a subscription.
    pub(super) others_before: usize,
    /// Writes in all.
    pub(super) writes: usize,
    /// Writes that a peer took although they asked for nothing new; absent where nobody counts.
    pub(super) unneeded: Option<usize>,
    /// Writes that were carried out twice.
    pub(super) duplicates: usize,
    /// What the numbers are about.
    pub(super) about: &'static str,
}

impl LedgerFacts {
    /// Whether nothing was sent too early, in vain or twice.
    pub(super) fn is_clean(&self) -> bool {
        self.others_before == 0 && self.duplicates == 0 && self.unneeded.unwrap_or(0) == 0
    }
}

/// The name of the service in the scene.
pub(super) const SERVICE: &str = "data-backup";

/// The peers.
pub(super) enum Stage {
    Embedded(Embedded),
    Real(Box<Real>),
}

/// What is said while the peers start.
pub(super) fn title(peers: Peers) -> &'static str {
    match peers {
        Peers::Embedded => "Peers: six simulated IPP devices, a simulated service broker",
        Peers::Real => "Peers: cupsd and lprint as devices, openbrokerapi as service broker",
    }
}

impl Stage {
    /// Starts the peers; the bad ones are bad when this returns.
    pub(super) async fn start(peers: Peers, scene: &Scene<'_>) -> Result<Self, DemoError> {
        Ok(match peers {
            Peers::Embedded => Self::Embedded(Embedded::start(scene).await?),
            Peers::Real => Self::Real(Box::new(Real::start().await?)),
        })
    }

    pub(super) fn catalogue(&self, scene: &Scene<'_>) -> Catalogue {
        match self {
            Self::Embedded(embedded) => embedded.catalogue(scene),
            Self::Real(real) => real.catalogue(scene),
        }
    }

    /// What is wrong with a device of that role, as the end of a sentence.
    pub(super) fn trouble(&self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (_, Role::Good) => None,
            (_, Role::Off) => Some("is switched off."),
            (Self::Embedded(_), Role::Liar) => {
                Some("lies: it accepts every setting and does not take the weekdays.")
            }
            (Self::Real(_), Role::Liar) => {
                Some("lies: lprint accepts printer-location and does not take it.")
            }
        }
    }

    /// Cures the devices of that role; what was done, as the end of a sentence.
    pub(super) async fn cure(
        &mut self,
        role: Role,
        scene: &Scene<'_>,
    ) -> Result<&'static str, DemoError> {
        match self {
            Self::Embedded(embedded) => embedded.cure(role).await,
            Self::Real(real) => real.cure(role, scene).await,
        }
    }

    pub(super) async fn ledger(
        &self,
        scene: &Scene<'_>,
        start: Timestamp,
    ) -> Result<LedgerFacts, DemoError> {
        match self {
            Self::Embedded(_) => Ok(super::embedded::ledger(scene.ledger(), start)),
            Self::Real(real) => real.ledger(start).await,
        }
    }
}
