//! The fault of each connection of a device at its last use, in this pass or before.
//!
//! Decides which of them count as silence, which forbid the use of the device, and which one shows
//! that another machine is in its place; never the words of a report. Called by verify and by the
//! device's report.

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceFault},
};

use crate::delivery::{
    Blocked, DeviceSnapshot, Observations, ResolvedDevice,
    verify::identity::{identity_fault, remembered_fault, remembered_machine},
};
use crate::reasons::{reason, shows_another_machine};

/// Faults of the connections, in the order of the device's spec; those without a fault are not in
/// it.
pub(in crate::delivery) struct ConnectionFaults<'a> {
    faults: Vec<(&'a str, Blocked)>,
    /// Faults by which another machine answered, where the expected one has not answered since.
    machines: Vec<(&'a str, DeviceFault)>,
    connections: usize,
}

impl<'a> ConnectionFaults<'a> {
    /// Finds the fault of each connection of a device at its last use, in this pass or before.
    pub(in crate::delivery) fn find(
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
        let faults: Vec<_> = names.filter_map(|name| Some((name, met(name)?))).collect();
        let machine = |(name, fault): &(&'a str, Blocked)| {
            let machine = if shows_another_machine(fault.reason) {
                DeviceFault {
                    reason: fault.reason,
                    message: fault.message.as_str().into(),
                }
            } else {
                remembered_machine(device, name)?
            };
            Some((*name, machine))
        };
        Self {
            machines: faults.iter().filter_map(machine).collect(),
            faults,
            connections: device.spec.connections.len(),
        }
    }

    /// Returns the fault of one connection.
    pub(in crate::delivery) fn of(&self, connection: &str) -> Option<&Blocked> {
        let mut faults = self.faults.iter();
        let found = faults.find(|(name, _)| *name == connection);
        found.map(|(_, fault)| fault)
    }

    /// True if no connection has a fault.
    pub(in crate::delivery) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns the first fault with this reason.
    pub(in crate::delivery) fn with(&self, reason: Reason) -> Option<&Blocked> {
        self.all().find(|fault| fault.reason == reason)
    }

    /// Returns the first fault by which another machine is in place of the device.
    pub(super) fn another_machine(&self) -> Option<Blocked> {
        let (_, machine) = self.machines.first()?;
        let message = machine.message.to_string();
        Some(Blocked::new(machine.reason, message))
    }

    /// Returns the fault by which another machine answered through a connection before the fault that
    /// it has now.
    pub(in crate::delivery) fn machine_before(&self, connection: &str) -> Option<&DeviceFault> {
        let is_said = |fault: &Blocked| shows_another_machine(fault.reason);
        if self.of(connection).is_some_and(is_said) {
            return None;
        }
        let mut machines = self.machines.iter();
        let found = machines.find(|(name, _)| *name == connection);
        found.map(|(_, machine)| machine)
    }

    /// Returns the fault that every connection has: the first of them. `None` while one answers.
    pub(in crate::delivery) fn silence(&self) -> Option<&Blocked> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use entente_crds::{
        example,
        v1alpha1::{DeviceConnectionStatus, DeviceFault},
    };
    use jiff::Timestamp;

    use super::*;
    use crate::delivery::resolve::resolve;

    const NAMES: [&str; 3] = ["first", "second", "third"];

    /// Returns a device with three connections, of which some met a fault when they were last used.
    fn device(faults: &[(&str, Reason)]) -> Device {
        let mut device = example::devices()[0].clone();
        let connection = device.spec.connections[0].clone();
        device.spec.connections = NAMES
            .map(|name| {
                let mut connection = connection.clone();
                connection.name = name.to_owned();
                connection
            })
            .into();
        let faults = faults.iter().map(|(name, reason)| DeviceConnectionStatus {
            name: (*name).to_owned(),
            fault: Some(DeviceFault {
                reason: *reason,
                message: format!("{name} met it").into(),
            }),
            ..DeviceConnectionStatus::default()
        });
        device.status.get_or_insert_default().connections = faults.collect();
        device
    }

    fn found<T>(device: &Device, read: impl FnOnce(&ConnectionFaults<'_>) -> T) -> T {
        let snapshot = DeviceSnapshot {
            device_name: example::DEVICES[0].to_owned(),
            device: Some(Arc::new(device.clone())),
            ..DeviceSnapshot::default()
        };
        let resolved = resolve(&snapshot, Timestamp::UNIX_EPOCH);
        let observations = Observations::default();
        read(&ConnectionFaults::find(
            &snapshot,
            &resolved,
            &observations,
            device,
        ))
    }

    fn words(fault: Option<&Blocked>) -> Option<String> {
        fault.map(|fault| fault.message.clone())
    }

    // shows K2
    #[test]
    fn a_device_is_silent_only_while_no_connection_of_it_answers() {
        let off = Reason::Unreachable;
        let [first, second, third] = NAMES;
        let all = [(third, off), (second, Reason::TimedOut), (first, off)];
        for (faults, silence) in [
            (&all[..0], None),
            (&all[..1], None),
            (&all[..2], None),
            (&all[..], Some("first met it".to_owned())),
        ] {
            let silent = found(&device(faults), |it| words(it.silence()));
            assert_eq!(silent, silence, "{faults:?}");
        }
    }

    // shows K2 K4
    #[test]
    fn who_answers_as_another_machine_is_not_silent() {
        let off = Reason::Unreachable;
        let [first, second, third] = NAMES;
        let faults = [
            (first, off),
            (second, Reason::IdentityMismatch),
            (third, off),
        ];
        found(&device(&faults), |it| {
            assert_eq!(words(it.silence()), None);
            let mismatch = words(it.with(Reason::IdentityMismatch));
            assert_eq!(mismatch.as_deref(), Some("second met it"));
            assert_eq!(it.another_machine().map(|it| it.message), mismatch);
            let first = words(it.with(off));
            assert_eq!(first.as_deref(), Some("first met it"), "of two");
            assert_eq!(words(it.with(Reason::Busy)), None);
        });
    }

    // shows K2
    #[test]
    fn a_fault_is_of_its_connection_and_one_that_was_taken_out_of_the_spec_has_none() {
        let [first, second, _] = NAMES;
        let faults = [(second, Reason::Busy), ("fourth", Reason::Busy)];
        found(&device(&faults), |it| {
            assert_eq!(words(it.of(second)).as_deref(), Some("second met it"));
            assert_eq!(words(it.of(first)), None);
            assert_eq!(words(it.of("fourth")), None);
            assert!(!it.is_empty());
        });
        let gone = device(&[("fourth", Reason::Busy)]);
        found(&gone, |it| assert!(it.is_empty()));
    }
}
