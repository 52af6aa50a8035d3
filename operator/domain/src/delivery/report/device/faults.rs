//! Report: the faults of each connection of a device, found once for a whole report.
//!
//! Decides which of them count as silence and which forbid the use of the device; never the words
//! of the report. Called by the device's report.

use entente_crds::{condition::Reason, v1alpha1::Device};

use crate::delivery::{
    Blocked, DeviceSnapshot, Observations, ResolvedDevice,
    verify::identity::{identity_fault, remembered_fault},
};
use crate::reasons::reason;

/// Faults of the connections, in the order of the device's spec; those without a fault are not in
/// it.
pub(super) struct ConnectionFaults<'a> {
    faults: Vec<(&'a str, Blocked)>,
    connections: usize,
}

impl<'a> ConnectionFaults<'a> {
    /// Finds the fault of each connection of a device at its last use, in this pass or before.
    pub(super) fn find(
        snapshot: &DeviceSnapshot,
        resolved: &ResolvedDevice,
        observations: &Observations,
        device: &'a Device,
    ) -> Self {
        let met = |connection: &str| {
            let Some(reading) = observations.through(connection).reading.as_ref() else {
                // No request used the connection in this pass.
                return remembered_fault(device, connection);
            };
            match &reading.result {
                Ok(_) => identity_fault(snapshot, resolved, (device, observations), connection),
                Err(failure) => Some(Blocked::new(reason(failure.kind), failure.message.clone())),
            }
        };
        let connections = device.spec.connections.iter();
        let names = connections.map(|connection| connection.name.as_str());
        Self {
            faults: names.filter_map(|name| Some((name, met(name)?))).collect(),
            connections: device.spec.connections.len(),
        }
    }

    /// Returns the fault of one connection.
    pub(super) fn of(&self, connection: &str) -> Option<&Blocked> {
        let mut faults = self.faults.iter();
        let found = faults.find(|(name, _)| *name == connection);
        found.map(|(_, fault)| fault)
    }

    /// True if no connection has a fault.
    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the first fault with this reason.
    pub(super) fn with(&self, reason: Reason) -> Option<&Blocked> {
        self.all().find(|fault| fault.reason == reason)
    }

    /// Returns the fault that every connection has: the first of them. `None` while one answers.
    pub(super) fn silence(&self) -> Option<&Blocked> {
        let mut silent = self
            .all()
            .filter(|fault| Reason::OF_AN_ATTEMPT.contains(&fault.reason));
        let first = silent.next()?;
        (silent.count() + 1 == self.connections).then_some(first)
    }

    fn all(&self) -> impl Iterator<Item = &Blocked> {
        self.faults.iter().map(|(_, fault)| fault)
    }
}
