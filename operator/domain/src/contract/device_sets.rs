//! The devices of each entry of a contract, and which of two entries of one service gets a device.
//!
//! Decides between entries of one service that want one device: if both name it the contract is at
//! fault; if a label causes it, the entry that comes first in the spec has it.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::Selector;

use super::overlay::StageEntry;
use super::{DeviceFacts, Exception, ExceptionCause, Fault, listed};

/// The devices of each entry, in the order of the entries.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceSets {
    /// By the name of a device: true if the entry names it, false if a label selects it.
    pub(super) sets: Vec<BTreeMap<String, bool>>,
    /// Devices that an entry does not get, because another one has them; sorted.
    pub(super) exceptions: Vec<Exception>,
    /// Devices that two entries of one service name.
    pub(super) faults: Vec<Fault>,
}

/// Returns the devices that are selected or named, true for those named; a named one need not exist.
pub(super) fn members(
    selector: Option<&Selector>,
    names: &[String],
    devices: &[DeviceFacts],
) -> BTreeMap<String, bool> {
    let selected = devices.iter().filter(|device| {
        selector.is_some_and(|selector| !selector.is_empty() && selector.matches(&device.labels))
    });
    let mut set: BTreeMap<String, bool> = selected
        .map(|device| (device.name.clone(), false))
        .collect();
    set.extend(names.iter().map(|name| (name.clone(), true)));
    set
}

/// Returns the devices of every entry.
pub(super) fn device_sets(entries: &[StageEntry<'_>], devices: &[DeviceFacts]) -> DeviceSets {
    let mut result = DeviceSets::default();
    // By service and device: the entry that has the device, and whether it names the device.
    let mut taken: BTreeMap<(&str, String), (&str, bool)> = BTreeMap::new();
    let mut named_twice: BTreeMap<(&str, &str, &str), Vec<String>> = BTreeMap::new();
    for StageEntry {
        service: entry,
        without,
        ..
    } in entries
    {
        let service = entry.service_ref.name.as_str();
        let wanted = &entry.devices;
        let mut set = members(wanted.selector.as_ref(), &wanted.names, devices);
        set.retain(|device, named| {
            if without.contains(device) {
                return false;
            }
            let key = (service, device.clone());
            let Some((first, first_named)) = taken.get(&key).copied() else {
                taken.insert(key, (&entry.name, *named));
                return true;
            };
            if *named && first_named {
                let pair = (service, first, entry.name.as_str());
                named_twice.entry(pair).or_default().push(device.clone());
            } else {
                result.exceptions.push(Exception {
                    device: device.clone(),
                    service: entry.name.clone(),
                    cause: ExceptionCause::TakenBy(first.to_owned()),
                });
            }
            false
        });
        result.sets.push(set);
    }
    result.exceptions.sort_unstable();
    result.faults = named_twice
        .into_iter()
        .map(|((service, first, second), devices)| Fault {
            reason: Reason::DuplicateService,
            message: format!(
                "entries {first} and {second} both name {} for SmartService {service}: name each \
                 device in one of them only",
                listed(devices.iter().map(String::as_str))
            ),
        })
        .collect();
    result
}
