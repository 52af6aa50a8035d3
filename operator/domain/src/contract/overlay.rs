//! Overlay: the entries of a contract with the changes of one amendment (api section
//! "ContractAmendment").
//!
//! Decides, field by field, what replaces and what is merged: parameters, secretParameters and
//! overrides by key, everything else as a whole; another SmartService inherits none of these three.
//! It must never look at a date or at what was signed. Called by `timeline`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use entente_crds::v1alpha1::{AmendedDevices, AmendedService, Contract, ContractService, Devices};

use super::{Fault, listed, unsupported};

/// The most entries of a contract (its schema).
const MOST_ENTRIES: usize = 64;
/// The most parameters of an entry (its schema).
const MOST_PARAMETERS: usize = 64;
/// The most sources of Secrets of an entry (its schema).
const MOST_SECRETS: usize = 16;

/// An entry of a contract in one stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageEntry<'a> {
    /// The entry, with what the amendments before changed.
    pub(super) service: Cow<'a, ContractService>,
    /// Devices that it does not have, even if a selector matches them.
    pub(super) without: BTreeSet<String>,
    /// Devices that an amendment has added.
    pub(super) added: BTreeSet<String>,
}

/// Returns the entries of a contract before any amendment.
pub(super) fn unamended(contract: &Contract) -> Vec<StageEntry<'_>> {
    let entry = |entry| StageEntry {
        service: Cow::Borrowed(entry),
        without: BTreeSet::new(),
        added: BTreeSet::new(),
    };
    contract.spec.services.iter().map(entry).collect()
}

/// Returns the entries with the changes of an amendment.
///
/// # Errors
/// Returns every change that cannot be made. Ending an entry that there is not is none of an
/// amendment that is `in_force`: the contract has taken it up.
pub(super) fn overlay<'a>(
    entries: &[StageEntry<'a>],
    changes: &[AmendedService],
    in_force: bool,
) -> Result<Vec<StageEntry<'a>>, Vec<Fault>> {
    let mut entries = entries.to_vec();
    let mut faults = Vec::new();
    for change in changes {
        let found = entries.iter().position(|it| it.service.name == change.name);
        match (found, change.end) {
            (Some(index), true) => {
                entries.remove(index);
            }
            (Some(index), false) => amend(&mut entries[index], change),
            (None, true) if in_force => {}
            (None, true) => faults.push(no_entry(&entries, change)),
            (None, false) => match new_entry(change) {
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(fault),
            },
        }
    }
    faults.extend(entries.iter().filter_map(|it| too_many(&it.service)));
    faults.extend(
        entries
            .iter()
            .filter_map(|it| overridden_secret(&it.service)),
    );
    if entries.len() > MOST_ENTRIES {
        faults.push(unsupported(format!(
            "spec.services: the contract would have {} entries from then on, and {MOST_ENTRIES} \
             are allowed",
            entries.len()
        )));
    }
    for change in changes {
        faults.extend(added_and_removed(change));
    }
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

fn no_entry(entries: &[StageEntry<'_>], change: &AmendedService) -> Fault {
    let names = entries.iter().map(|it| it.service.name.as_str());
    unsupported(format!(
        "spec.services[{}].end: the contract has no such entry at that time, only {}",
        change.name,
        listed(names)
    ))
}

/// Returns an entry that the contract does not have; it needs a service and devices.
fn new_entry<'a>(change: &AmendedService) -> Result<StageEntry<'a>, Fault> {
    let name = &change.name;
    let refused = |missing: &str| {
        unsupported(format!(
            "spec.services[{name}].{missing} must be set: the contract has no entry {name} at that \
             time, so that this is a new one"
        ))
    };
    let service_ref = change
        .service_ref
        .clone()
        .ok_or_else(|| refused("serviceRef"))?;
    let given = change.devices.as_ref();
    let has_some =
        given.is_some_and(|it| it.selector.is_some() || !it.names.is_empty() || !it.add.is_empty());
    if !has_some {
        return Err(refused("devices"));
    }
    let mut entry = StageEntry {
        service: Cow::Owned(ContractService {
            name: name.clone(),
            service_ref,
            ..ContractService::default()
        }),
        without: BTreeSet::new(),
        added: BTreeSet::new(),
    };
    amend(&mut entry, change);
    Ok(entry)
}

/// Changes an entry.
fn amend(entry: &mut StageEntry<'_>, change: &AmendedService) {
    // All fields, so that a new one that is forgotten here does not compile.
    let AmendedService {
        name: _,
        service_ref,
        devices,
        parameters,
        unset,
        overrides,
        secret_parameters,
        fee,
        service_level,
        remedies,
        elect,
        end: _,
    } = change;
    let service = entry.service.to_mut();
    if let Some(another) = service_ref
        && *another != service.service_ref
    {
        service.service_ref = another.clone();
        service.parameters.clear();
        service.secret_parameters.clear();
        service.overrides.clear();
    }
    for name in unset {
        service.parameters.remove(name);
        service.secret_parameters.retain(|it| it.name != *name);
    }
    for (name, value) in parameters {
        service.secret_parameters.retain(|it| it.name != *name);
        service.parameters.insert(name.clone(), value.clone());
    }
    for secret in secret_parameters {
        service.parameters.remove(&secret.name);
        replace(&mut service.secret_parameters, secret, |it| &it.name);
    }
    for given in overrides {
        replace(&mut service.overrides, given, |it| &it.name);
    }
    if fee.is_some() {
        service.fee.clone_from(fee);
    }
    if service_level.is_some() {
        service.service_level.clone_from(service_level);
    }
    if !remedies.is_empty() {
        service.remedies.clone_from(remedies);
        service.elect = None;
    }
    if elect.is_some() {
        service.elect.clone_from(elect);
    }
    if let Some(devices) = devices {
        amend_devices(entry, devices);
    }
}

/// Puts an item in the place of the one with its name, or behind all others.
fn replace<T: Clone>(items: &mut Vec<T>, item: &T, name: impl Fn(&T) -> &String) {
    match items.iter_mut().find(|it| name(it) == name(item)) {
        Some(before) => before.clone_from(item),
        None => items.push(item.clone()),
    }
}

fn amend_devices(entry: &mut StageEntry<'_>, change: &AmendedDevices) {
    let AmendedDevices {
        selector,
        names,
        add,
        remove,
        expect,
    } = change;
    let Devices {
        selector: selector_before,
        names: names_before,
        expect: expect_before,
    } = &mut entry.service.to_mut().devices;
    if selector.is_some() {
        selector_before.clone_from(selector);
    }
    if !names.is_empty() {
        names_before.clone_from(names);
        entry.without.retain(|device| !names.contains(device));
    }
    for device in remove {
        names_before.retain(|name| name != device);
        entry.added.remove(device);
        entry.without.insert(device.clone());
    }
    for device in add {
        if !names_before.contains(device) {
            names_before.push(device.clone());
        }
        entry.without.remove(device);
        entry.added.insert(device.clone());
    }
    if expect.is_some() {
        *expect_before = *expect;
    }
}

/// Refuses a device that is added and removed at once.
fn added_and_removed(change: &AmendedService) -> Option<Fault> {
    let devices = change.devices.as_ref()?;
    let removed: BTreeSet<&String> = devices.remove.iter().collect();
    let mut added = devices.add.iter().chain(&devices.names);
    let both = added.find(|device| removed.contains(device))?;
    Some(unsupported(format!(
        "spec.services[{}].devices: {both} is both in remove and in add or names: name it in one \
         of them only",
        change.name
    )))
}

/// Refuses an entry that is larger than a contract may have it.
fn too_many(service: &ContractService) -> Option<Fault> {
    let lists = [
        ("parameters", service.parameters.len(), MOST_PARAMETERS),
        (
            "secretParameters",
            service.secret_parameters.len(),
            MOST_SECRETS,
        ),
    ];
    let (field, found, most) = lists.into_iter().find(|(_, found, most)| found > most)?;
    Some(unsupported(format!(
        "spec.services[{}].{field}: the entry would have {found} of them from then on, and {most} \
         are allowed",
        service.name
    )))
}

/// Refuses an override of a parameter whose value comes from a Secret: that is one for all devices.
fn overridden_secret(service: &ContractService) -> Option<Fault> {
    let mut secrets = service.secret_parameters.iter();
    secrets.find_map(|secret| {
        let mut overrides = service.overrides.iter();
        let given = overrides.find(|given| given.parameters.contains_key(&secret.name))?;
        Some(unsupported(format!(
            "spec.services[{}]: {} would be both in overrides[{}] and in secretParameters, whose \
             secrets are those of all devices",
            service.name, secret.name, given.name
        )))
    })
}
