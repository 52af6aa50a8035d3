//! The seven devices of the demo and the behaviour of each.
//!
//! Decides names and behaviours; `embedded` and `real` make simulators and real printers behave so,
//! and `calling` starts the one that calls.

/// Behaviour of a device; the bad ones have the names of the simulators' faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Accepts every setting.
    Good,
    /// Accepts a setting without taking it.
    NotEffective,
    /// Is switched off.
    Offline,
    /// Is good, and behind a firewall: nobody reaches it, it calls.
    Calls,
}

/// A device of the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct DemoDevice {
    /// Its name, also that of its Device.
    pub(super) name: &'static str,
    /// Behaviour of the device.
    pub(super) behaviour: Behaviour,
}

impl Behaviour {
    /// True if the device takes all that it is asked for, in time.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::Calls)
    }
}

impl DemoDevice {
    const fn new(name: &'static str, behaviour: Behaviour) -> Self {
        Self { name, behaviour }
    }
}

/// The seven devices.
pub(super) const DEVICES: [DemoDevice; 7] = [
    DemoDevice::new("lobby-mfp", Behaviour::Good),
    DemoDevice::new("office-mfp", Behaviour::Good),
    DemoDevice::new("legal-mfp", Behaviour::Good),
    DemoDevice::new("branch-mfp", Behaviour::Good),
    DemoDevice::new("archive-mfp", Behaviour::NotEffective),
    DemoDevice::new("depot-mfp", Behaviour::Offline),
    DemoDevice::new("kiosk-mfp", Behaviour::Calls),
];

/// Returns the names of the devices with that behaviour.
pub(super) fn names(behaviour: Behaviour) -> impl Iterator<Item = &'static str> {
    DEVICES
        .into_iter()
        .filter(move |device| device.behaviour == behaviour)
        .map(|device| device.name)
}

/// Returns the names of the devices that are reached over the network.
pub(super) fn reached() -> impl Iterator<Item = &'static str> {
    DEVICES
        .into_iter()
        .filter(|device| device.behaviour != Behaviour::Calls)
        .map(|device| device.name)
}
