//! The parts of the demo: the six devices with their roles, what is applied for them, and what the
//! peers were asked in the end.
//!
//! Decides names and roles; how a role is played is said in `embedded` and `real`.

use entente_crds::v1alpha1::{Connection, Device, DeviceModel, SmartService};

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
