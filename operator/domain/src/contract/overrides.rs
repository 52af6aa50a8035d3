//! The overrides of an entry: other parameter values for some of its devices (B5).
//!
//! Decides which values a device gets in place of those of the entry. Two overrides of one device
//! may set different parameters; if they set one parameter to different values, the contract is at
//! fault where both name the device, and where labels cause it the device is an exception. It must
//! never choose between two overrides. Called by `terms`.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ContractService, Override, Revision, SmartService};

use super::device_sets::members;
use super::parameters::{Reading, chosen};
use super::{DeviceFacts, Fault, OverridesConflict, listed};

/// The overrides of one entry, each read once.
#[derive(Clone, Debug)]
pub(super) struct Overrides<'a> {
    entry: &'a str,
    /// In the order of the spec.
    overrides: Vec<Overriding<'a>>,
}

/// One override.
#[derive(Clone, Debug)]
struct Overriding<'a> {
    name: &'a str,
    /// By the name of a device: true if the override names it, false if a label selects it.
    devices: BTreeMap<String, bool>,
    values: BTreeMap<&'a str, Reading>,
}

impl<'a> Overrides<'a> {
    /// Reads the overrides of an entry, with the devices that each has.
    pub(super) fn new(
        entry: &'a ContractService,
        service: &SmartService,
        devices: &[DeviceFacts],
    ) -> Self {
        let read = |given: &'a Override| {
            let field = format!("overrides[{}].parameters", given.name);
            let of = &given.devices;
            Overriding {
                name: &given.name,
                devices: members(of.selector.as_ref(), &of.names, devices),
                values: chosen(entry, service, &given.parameters, &field),
            }
        };
        Self {
            entry: &entry.name,
            overrides: entry.overrides.iter().map(read).collect(),
        }
    }

    /// Returns the values that a device gets in place of those of the entry, by parameter.
    ///
    /// # Errors
    /// Returns two overrides that set a parameter of the device differently.
    pub(super) fn of(&self, device: &str) -> Result<BTreeMap<&str, &Reading>, OverridesConflict> {
        let of_device = |given: &&Overriding<'_>| given.devices.contains_key(device);
        merged(self.overrides.iter().filter(of_device))
    }

    /// Returns the values that are refused, and the overrides that name one device and set one of its
    /// parameters differently; `signed` are the last revisions of the subscriptions of the entry.
    pub(super) fn faults(&self, signed: &[&Revision]) -> Vec<Fault> {
        let values = self.overrides.iter().flat_map(|given| &given.values);
        let refused = values.filter_map(|(name, reading)| reading.fault(name, signed));
        refused.chain(self.named_twice()).collect()
    }

    fn named_twice(&self) -> Vec<Fault> {
        let mut naming: BTreeMap<&str, Vec<&Overriding<'_>>> = BTreeMap::new();
        for given in &self.overrides {
            let named = given.devices.iter().filter(|(_, named)| **named);
            for (device, _) in named {
                naming.entry(device).or_default().push(given);
            }
        }
        let mut conflicts: BTreeMap<OverridesConflict, Vec<&str>> = BTreeMap::new();
        for (device, given) in naming {
            if let Err(conflict) = merged(given) {
                conflicts.entry(conflict).or_default().push(device);
            }
        }
        let fault = |(conflict, devices): (OverridesConflict, Vec<&str>)| Fault {
            reason: Reason::OverridesConflict,
            message: format!(
                "spec.services[{}].overrides: {} and {} both name {} and set {} to different \
                 values: name each device in one of them only, or give the parameter one value",
                self.entry,
                conflict.first,
                conflict.second,
                listed(devices),
                conflict.parameter
            ),
        };
        conflicts.into_iter().map(fault).collect()
    }
}

/// Returns the values of several overrides together.
fn merged<'a>(
    overrides: impl IntoIterator<Item = &'a Overriding<'a>>,
) -> Result<BTreeMap<&'a str, &'a Reading>, OverridesConflict> {
    let mut merged: BTreeMap<&str, (&str, &Reading)> = BTreeMap::new();
    for given in overrides {
        for (parameter, reading) in &given.values {
            let (first, before) = *merged.entry(parameter).or_insert((given.name, reading));
            if before.text != reading.text {
                return Err(OverridesConflict {
                    parameter: (*parameter).to_owned(),
                    first: first.to_owned(),
                    second: given.name.to_owned(),
                });
            }
        }
    }
    let values = merged.into_iter();
    Ok(values
        .map(|(parameter, (_, reading))| (parameter, reading))
        .collect())
}
