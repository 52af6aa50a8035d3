//! The peers of the demo, simulated or real, behind one face.
//!
//! Decides nothing: `embedded` and `real` do.

use jiff::Timestamp;

use super::embedded::Embedded;
use super::real::Real;
use super::role::{Catalogue, LedgerFacts, Role};
use super::{DemoError, Peers};
use entente_e2e::scene::Scene;

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
