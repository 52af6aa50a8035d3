//! The six devices of the demo and how each of them behaves.
//!
//! Decides names and behaviours; how simulators and real printers are made to behave so is in
//! `embedded` and `real`.

/// What a device does; the bad ones are named as the simulators' faults are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Takes what it is told.
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
    /// What it does.
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
