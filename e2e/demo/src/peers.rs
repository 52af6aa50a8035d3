//! The peers of the demo, simulated or real, behind one type: the objects that are applied for
//! them, the repair of the bad ones, and the requests that they received.
//!
//! Decides nothing: `embedded` and `real` do.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, MessageText, SmartService};
use entente_e2e::namespace::TestNamespace;
use jiff::Timestamp;

use super::device::Behaviour;
use super::embedded::Embedded;
use super::real::Real;
use super::terminal::Terminal;
use super::{DemoError, Peers};

/// Objects that are applied before the contract.
pub(super) struct Catalogue {
    pub(super) connections: Vec<Connection>,
    pub(super) models: Vec<DeviceModel>,
    pub(super) texts: Vec<MessageText>,
    pub(super) service: SmartService,
    pub(super) devices: Vec<Device>,
}

/// Requests that the peers really received.
#[derive(Debug, Default)]
pub(super) struct LedgerFacts {
    /// Requests before the start that read identity or state only.
    pub(super) probes_before: usize,
    /// All others before the start: on behalf of a subscription.
    pub(super) others_before: usize,
    /// Writes in all.
    pub(super) writes: usize,
    /// Writes that a peer accepted although they changed nothing; absent if that is not counted.
    pub(super) unneeded: Option<usize>,
    /// Writes that were carried out twice.
    pub(super) duplicates: usize,
    /// Subject of the numbers.
    pub(super) about: &'static str,
}

impl LedgerFacts {
    /// True if nothing was sent too early, in vain or twice.
    pub(super) fn is_clean(&self) -> bool {
        self.others_before == 0 && self.duplicates == 0 && self.unneeded.unwrap_or(0) == 0
    }
}

/// The name of the service, without the namespace's prefix.
pub(super) const SERVICE: &str = "data-backup";

/// The peers.
pub(super) enum DemoPeers {
    Embedded(Embedded),
    Real(Box<Real>),
}

/// Returns the title that is shown while the peers start.
pub(super) fn title(peers: Peers) -> &'static str {
    match peers {
        Peers::Embedded => {
            "Peers: six simulated IPP devices, a service broker, an order server, one device that calls"
        }
        Peers::Real => {
            "Peers: cupsd and lprint as devices, openbrokerapi as service broker, one device that calls"
        }
    }
}

impl DemoPeers {
    /// Starts the peers; the bad ones are bad when this returns.
    pub(super) async fn start(
        peers: Peers,
        namespace: &TestNamespace<'_>,
    ) -> Result<Self, DemoError> {
        Ok(match peers {
            Peers::Embedded => Self::Embedded(Embedded::start(namespace).await?),
            Peers::Real => Self::Real(Box::new(Real::start().await?)),
        })
    }

    pub(super) fn catalogue(&self, namespace: &TestNamespace<'_>) -> Catalogue {
        match self {
            Self::Embedded(embedded) => embedded.catalogue(namespace),
            Self::Real(real) => real.catalogue(namespace),
        }
    }

    /// Returns the fault of a device of that behaviour, as the end of a sentence.
    pub(super) fn trouble(&self, behaviour: Behaviour) -> Option<&'static str> {
        match (self, behaviour) {
            (_, Behaviour::Good) => None,
            (_, Behaviour::Calls) => {
                Some("is behind a firewall: nobody reaches it, it calls the gateway.")
            }
            (_, Behaviour::Offline) => Some("is switched off."),
            (Self::Embedded(_), Behaviour::NotEffective) => {
                Some("accepts every setting, but the weekdays never take effect.")
            }
            (Self::Real(_), Behaviour::NotEffective) => {
                Some("accepts printer-location, but it never takes effect: lprint does so.")
            }
        }
    }

    /// Repairs the devices of that behaviour. Returns the repair, as the end of a sentence.
    pub(super) async fn mend(
        &mut self,
        behaviour: Behaviour,
        namespace: &TestNamespace<'_>,
    ) -> Result<&'static str, DemoError> {
        match self {
            Self::Embedded(embedded) => embedded.mend(behaviour).await,
            Self::Real(real) => real.mend(behaviour, namespace).await,
        }
    }

    /// Shows a cartridge that runs empty. Returns true if all is as it has to be; real peers show none.
    pub(super) async fn show_supplies(
        &self,
        terminal: &Terminal,
        namespace: &TestNamespace<'_>,
    ) -> Result<bool, DemoError> {
        match self {
            Self::Embedded(embedded) => embedded.show_supplies(terminal, namespace).await,
            Self::Real(_) => Ok(true),
        }
    }

    /// Returns the URL at which the devices can be switched off and on; `None` for real peers.
    pub(super) fn control(&self) -> Option<String> {
        match self {
            Self::Embedded(embedded) => Some(embedded.control()),
            Self::Real(_) => None,
        }
    }

    pub(super) async fn ledger(
        &self,
        namespace: &TestNamespace<'_>,
        start: Timestamp,
    ) -> Result<LedgerFacts, DemoError> {
        match self {
            Self::Embedded(_) => Ok(super::embedded::ledger(namespace.ledger(), start)),
            Self::Real(real) => real.ledger(start).await,
        }
    }
}
