//! Observe: the objects that a contract's subscriptions depend on, from the caches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use entente_crds::v1alpha1::{
    Contract, ContractAmendment, ContractNotice, ServiceSubscription, SmartService,
};
use entente_domain::contract::{ContractWorld, DeviceFacts};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use super::{Contracts, kin};
use crate::{
    cache::Key,
    objects::{BY_CONTRACT, Objects, contract_label, path},
};

/// Returns the objects of one contract.
pub(super) fn world(contracts: &Contracts, contract: Contract) -> ContractWorld {
    let objects = &contracts.objects;
    let namespace = contract.namespace().unwrap_or_default();
    let of = path(&namespace, &contract.name_any());
    let amendments = amendments(objects, &of);
    let devices = devices(objects, &contract, &amendments);
    let named = services_named(&contract, &amendments);
    let unreadable_services = unreadable_services(objects, &named);
    let services = services(objects, &named);
    let recreated = contracts
        .recreated
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    ContractWorld {
        kin: kin::of(objects, &contract),
        clock_skew: contracts.context.skew.is_skewed(),
        services,
        devices,
        subscriptions: subscriptions(objects, &of),
        amendments,
        notices: notices(objects, &of),
        unreadable_services,
        unreadable_amendments: unreadable_amendments(objects, &contract),
        unreadable: unreadable_subscriptions(objects, &contract),
        unreadable_record: has_unreadable_record(objects, &contract),
        recreated: recreated
            .iter()
            .filter(|key| key.namespace == namespace)
            .map(|key| key.name.clone())
            .collect(),
        contract,
    }
}

/// Returns the Devices that a contract or one of its amendments may select or names, sorted.
fn devices(
    objects: &Objects,
    contract: &Contract,
    amendments: &[Arc<ContractAmendment>],
) -> Vec<DeviceFacts> {
    let namespace = contract.namespace().unwrap_or_default();
    let amended = || amendments.iter().flat_map(|found| &found.spec.services);
    let changes = || amended().filter_map(|change| change.devices.as_ref());
    let entries = || contract.spec.services.iter();
    let selects = entries().any(|entry| entry.devices.selector.is_some())
        || changes().any(|change| change.selector.is_some());
    let named = entries()
        .flat_map(|entry| &entry.devices.names)
        .chain(changes().flat_map(|change| change.names.iter().chain(&change.add)));
    // Only the objects that are needed: a contract that names its devices does not read all of
    // them.
    let devices = if selects {
        objects.devices.in_namespace(&namespace)
    } else {
        named
            .filter_map(|name| objects.devices.get(&Key::new(&*namespace, name)))
            .collect()
    };
    // A Device that cannot be read is there all the same, with its labels.
    let unreadable = objects.devices.unreadable();
    let unreadable = unreadable.iter().filter(|it| it.key.namespace == namespace);
    let mut devices: Vec<DeviceFacts> = unreadable
        .map(|device| &device.metadata)
        .chain(devices.iter().map(|device| &device.metadata))
        .filter(|metadata| metadata.deletion_timestamp.is_none())
        .map(device_facts)
        .collect();
    // Stable: of one that cannot be read and an older version of it, the first stays.
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    devices.dedup_by(|a, b| a.name == b.name);
    devices
}

fn device_facts(metadata: &ObjectMeta) -> DeviceFacts {
    DeviceFacts {
        name: metadata.name.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        created: metadata
            .creation_timestamp
            .as_ref()
            .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    }
}

/// Returns the subscriptions of "namespace/contract" that can be read. An older version of one that
/// cannot be read is not what the API server has.
pub(super) fn subscriptions(objects: &Objects, of: &str) -> Vec<Arc<ServiceSubscription>> {
    let cache = &objects.subscriptions;
    let mut found = cache.by_index(BY_CONTRACT, of);
    found.retain(|subscription| !cache.is_unreadable(&Key::of(&**subscription)));
    found
}

/// Returns the amendments of "namespace/contract".
pub(super) fn amendments(objects: &Objects, of: &str) -> Vec<Arc<ContractAmendment>> {
    objects.amendments.by_index(BY_CONTRACT, of)
}

/// Returns the notices of "namespace/contract". The older version of one that cannot be read is as
/// good, since its spec cannot be changed.
pub(super) fn notices(objects: &Objects, of: &str) -> Vec<Arc<ContractNotice>> {
    objects.notices.by_index(BY_CONTRACT, of)
}

/// Returns the SmartServices of these names, those that exist.
pub(super) fn services(
    objects: &Objects,
    names: &BTreeSet<&str>,
) -> BTreeMap<String, Arc<SmartService>> {
    let found = names.iter().filter_map(|name| {
        let service = objects.services.get(&Key::new("", *name))?;
        Some(((*name).to_owned(), service))
    });
    found.collect()
}

/// Returns the SmartServices that a contract or one of its amendments names.
fn services_named<'a>(
    contract: &'a Contract,
    amendments: &'a [Arc<ContractAmendment>],
) -> BTreeSet<&'a str> {
    let entries = contract.spec.services.iter().map(|it| &it.service_ref);
    let changes = amendments.iter().flat_map(|found| &found.spec.services);
    let all = entries.chain(changes.filter_map(|change| change.service_ref.as_ref()));
    all.map(|reference| reference.name.as_str()).collect()
}

/// Returns those of these SmartServices that cannot be read.
fn unreadable_services(objects: &Objects, named: &BTreeSet<&str>) -> BTreeSet<String> {
    let unreadable = named
        .iter()
        .filter(|name| objects.services.is_unreadable(&Key::new("", **name)));
    unreadable.map(|name| (*name).to_owned()).collect()
}

/// Returns the names of the ContractAmendments that may be of a contract, cannot be read, and of which
/// there is no older version. An older one is as good, since its spec cannot be changed.
fn unreadable_amendments(objects: &Objects, contract: &Contract) -> BTreeSet<String> {
    let own = Key::of(contract);
    let unreadable = objects.amendments.unreadable();
    let unknown = unreadable.iter().filter(|it| {
        // An amendment cannot be edited: what it says of its contract holds, if that can be read.
        let of = it.spec["contractRef"]["name"].as_str();
        it.key.namespace == own.namespace
            && of.is_none_or(|of| of == own.name)
            && objects.amendments.get(&it.key).is_none()
    });
    unknown.map(|it| it.key.name.clone()).collect()
}

/// True if a Compensation of this contract cannot be read, by the contract in its name.
fn has_unreadable_record(objects: &Objects, contract: &Contract) -> bool {
    let key = Key::of(contract);
    let unreadable = objects.compensations.unreadable();
    let mut unreadable = unreadable.iter().map(|it| &it.key);
    unreadable.any(|it| it.namespace == key.namespace && contract_label(&it.name) == key.name)
}

/// Returns the names of the subscriptions of this very contract that cannot be read; one that was
/// restored from a backup, which nobody controls, is this one's by its name.
fn unreadable_subscriptions(objects: &Objects, contract: &Contract) -> BTreeSet<String> {
    let key = Key::of(contract);
    let unreadable = objects.subscriptions.unreadable();
    let own = unreadable.iter().filter(|subscription| {
        let owners = subscription.metadata.owner_references.iter().flatten();
        let mut controllers = owners.filter(|owner| owner.controller == Some(true));
        let is_named = subscription.key.namespace == key.namespace
            && contract_label(&subscription.key.name) == key.name;
        controllers.next().map_or(is_named, |owner| {
            Some(&owner.uid) == contract.metadata.uid.as_ref()
        })
    });
    own.map(|subscription| subscription.key.name.clone())
        .collect()
}
