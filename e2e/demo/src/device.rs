//! The six devices of the demo and the behaviour of each.
//!
//! Decides names and behaviours; `embedded` and `real` make simulators and real printers behave so.

/// Behaviour of a device; the bad ones have the names of the simulators' faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Accepts every setting.
    Good,
    /// Accepts a setting without taking it.
    NotEffective,
    /// Is switched off.
    Offline,
}

/// A device of the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct DemoDevice {
    /// Its name, also that of its Device.
    pub(super) name: &'static str,
    /// Behaviour of the device.
    pub(super) behaviour: Behaviour,
}

impl DemoDevice {
    const fn new(name: &'static str, behaviour: Behaviour) -> Self {
        Self { name, behaviour }
    }
}

/// The six devices.
pub(super) const DEVICES: [DemoDevice; 6] = [
    DemoDevice::new("lobby-mfp", Behaviour::Good),
    DemoDevice::new("office-mfp", Behaviour::Good),
    DemoDevice::new("legal-mfp", Behaviour::Good),
    DemoDevice::new("branch-mfp", Behaviour::Good),
    DemoDevice::new("archive-mfp", Behaviour::NotEffective),
    DemoDevice::new("depot-mfp", Behaviour::Offline),
];

/// Returns the names of the devices with that behaviour.
pub(super) fn names(behaviour: Behaviour) -> impl Iterator<Item = &'static str> {
    DEVICES
        .into_iter()
        .filter(move |device| device.behaviour == behaviour)
        .map(|device| device.name)
}
