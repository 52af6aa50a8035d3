//! The changes after which a contract is reconciled again.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use entente_crds::v1alpha1::{
    Compensation, Contract, ContractAmendment, ContractNotice, Device, NameReference,
    ServiceSubscription, SmartService,
};
use entente_domain::contract::{predecessor_of, view};
use kube::{Resource, ResourceExt as _};

use super::{Contracts, kin, observe::amendments};
use crate::{
    cache::{Change, Key, UnreadableChange},
    objects::{BY_DEVICE, BY_SERVICE, contract_label, path},
    queue::Queue,
    triggers::{differs, spec_differs},
};

/// Time for which changes of many subscriptions are gathered into one pass.
const GATHER: Duration = Duration::from_millis(50);

pub(super) fn contract(contracts: &Contracts, queue: &Queue<Key>, change: &Change<Contract>) {
    kin::wake_of_contract(contracts, queue, change);
    // What others wrote into its status or its finalizers is put right.
    if spec_differs(change) || change.by_others {
        queue.add(change.key.clone());
    }
}

/// Wakes every contract: whether its start has come depends on the clock.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn clock(contracts: &Contracts, queue: &Queue<Key>, (): &()) {
    for contract in contracts.objects.contracts.all() {
        queue.add(Key::of(&*contract));
    }
}

/// Wakes the contract of an amendment: it is the one that decides and reports it.
pub(super) fn amendment(_: &Contracts, queue: &Queue<Key>, change: &Change<ContractAmendment>) {
    contract_of(queue, change, |found| &found.spec.contract_ref);
}

/// Wakes the contract of a notice: it is the one that decides and reports it.
pub(super) fn notice(_: &Contracts, queue: &Queue<Key>, change: &Change<ContractNotice>) {
    contract_of(queue, change, |found| &found.spec.contract_ref);
}

fn contract_of<K: Resource<DynamicType = ()>>(
    queue: &Queue<Key>,
    change: &Change<K>,
    reference: fn(&K) -> &NameReference,
) {
    if !spec_differs(change) && !change.by_others {
        return;
    }
    // It may have been deleted and made again for another contract.
    for found in [&change.old, &change.new].into_iter().flatten() {
        let contract = reference(found).name.clone();
        queue.add(Key::new(change.key.namespace.clone(), contract));
    }
}

/// Wakes the contracts of a namespace in which an amendment cannot be read, or is no more so: it may
/// be of any of them.
pub(super) fn unreadable_amendment(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let namespace = &change.object.key.namespace;
    for contract in contracts.objects.contracts.in_namespace(namespace) {
        queue.add_after(Key::of(&*contract), GATHER);
    }
}

pub(super) fn subscription(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &Change<ServiceSubscription>,
) {
    let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    let key = Key::new(
        change.key.namespace.clone(),
        found.spec.contract.name.clone(),
    );
    kin::wake_of_subscription(contracts, queue, change, &key);
    let began_to_go = change
        .old
        .as_ref()
        .is_none_or(|old| old.metadata.deletion_timestamp.is_none());
    let goes = change
        .new
        .as_ref()
        .is_none_or(|new| new.metadata.deletion_timestamp.is_some());
    let lock = |names: &std::sync::Mutex<std::collections::BTreeSet<Key>>, key: &Key| {
        names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(key)
    };
    if goes && began_to_go && change.old.is_some() && !lock(&contracts.asked, &change.key) {
        contracts
            .recreated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(change.key.clone());
    }
    if change.new.is_none() {
        contracts
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&change.key);
        queue.add(key);
        return;
    }
    if differs(change, view) {
        queue.add_after(key, GATHER);
    }
}

/// Wakes the contract of a subscription that cannot be read, or no longer so: it waits for it.
pub(super) fn unreadable_subscription(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    // By its name: one that was restored from a backup has no owner.
    let Key { namespace, name } = &change.object.key;
    let key = Key::new(namespace.clone(), contract_label(name));
    let contract = contracts.objects.contracts.get(&key);
    let succeeds = contract.as_ref().and_then(|it| predecessor_of(it));
    kin::wake(contracts, queue, &key, succeeds);
    queue.add(key);
}

pub(super) fn service(contracts: &Contracts, queue: &Queue<Key>, change: &Change<SmartService>) {
    if !differs(change, |service| {
        (service.uid(), service.metadata.generation)
    }) {
        return;
    }
    of_service(contracts, queue, &change.key.name);
}

fn of_service(contracts: &Contracts, queue: &Queue<Key>, service: &str) {
    let objects = &contracts.objects;
    for contract in objects.contracts.by_index(BY_SERVICE, service) {
        let key = Key::of(&*contract);
        kin::wake(contracts, queue, &key, predecessor_of(&contract));
        queue.add(key);
    }
    for amendment in objects.amendments.by_index(BY_SERVICE, service) {
        let namespace = amendment.namespace().unwrap_or_default();
        let key = Key::new(namespace, amendment.spec.contract_ref.name.clone());
        if let Some(contract) = objects.contracts.get(&key) {
            kin::wake(contracts, queue, &key, predecessor_of(&contract));
        }
        queue.add(key);
    }
}

/// Wakes the contracts that succeed one which cannot be read, or is no more so.
pub(super) fn unreadable_contract(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    kin::wake(contracts, queue, &change.object.key, None);
}

/// Wakes the contracts that name a SmartService which cannot be read, or is no more so.
pub(super) fn unreadable_service(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    of_service(contracts, queue, &change.object.key.name);
}

/// Wakes the contracts that select a Device which cannot be read, or is no more so: it has its labels
/// all the same. Which it had before is not known, so those that have it wake as well.
pub(super) fn unreadable_device(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let labels = change.object.metadata.labels.clone().unwrap_or_default();
    let namespace = &change.object.key.namespace;
    for contract in contracts.objects.contracts.in_namespace(namespace) {
        if selects(contracts, &contract, &labels) {
            queue.add_after(Key::of(&*contract), GATHER);
        }
    }
    let of = path(namespace, &change.object.key.name);
    for subscription in contracts.objects.subscriptions.by_index(BY_DEVICE, &of) {
        let contract = subscription.spec.contract.name.clone();
        queue.add_after(Key::new(namespace.clone(), contract), GATHER);
    }
}

/// Wakes the contract of a Compensation that cannot be read, or is no more so: what it owes counts.
pub(super) fn unreadable_compensation(
    _: &Contracts,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let Key { namespace, name } = &change.object.key;
    let contract = contract_label(name);
    queue.add_after(Key::new(namespace.clone(), contract), GATHER);
}

/// True if an entry, an override of one, an exclusion or an amendment selects a Device with these
/// labels.
fn selects(contracts: &Contracts, contract: &Contract, labels: &BTreeMap<String, String>) -> bool {
    let of = path(
        &contract.namespace().unwrap_or_default(),
        &contract.name_any(),
    );
    let amendments = amendments(&contracts.objects, &of);
    let of_amendments = amendments.iter().flat_map(|found| &found.spec.services);
    let of_amendments = of_amendments.flat_map(|change| {
        let overrides = change.overrides.iter();
        let of_overrides = overrides.filter_map(|given| given.devices.selector.as_ref());
        let devices = change.devices.iter();
        of_overrides.chain(devices.filter_map(|devices| devices.selector.as_ref()))
    });
    let entries = contract.spec.services.iter();
    let of_entries = entries.flat_map(|entry| {
        let overrides = entry.overrides.iter();
        let of_overrides = overrides.filter_map(|given| given.devices.selector.as_ref());
        of_overrides.chain(&entry.devices.selector)
    });
    let exclusions = contract.spec.exclusions.iter();
    let excluded = exclusions.filter_map(|it| it.devices.as_ref()?.selector.as_ref());
    let mut selectors = of_entries.chain(excluded).chain(of_amendments);
    selectors.any(|selector| selector.matches(labels))
}

pub(super) fn device(contracts: &Contracts, queue: &Queue<Key>, change: &Change<Device>) {
    let matters = differs(change, |device| {
        (
            device.uid(),
            device.labels().clone(),
            device.metadata.deletion_timestamp.clone(),
        )
    });
    if !matters {
        return;
    }
    let versions = [&change.old, &change.new];
    for contract in contracts
        .objects
        .contracts
        .in_namespace(&change.key.namespace)
    {
        let mut versions = versions.into_iter().flatten();
        if versions.any(|device| selects(contracts, &contract, device.labels())) {
            queue.add_after(Key::of(&*contract), GATHER);
        }
    }
}

pub(super) fn compensation(_: &Contracts, queue: &Queue<Key>, change: &Change<Compensation>) {
    let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    let name = found.spec.record.contract.name.clone();
    queue.add_after(Key::new(change.key.namespace.clone(), name), GATHER);
}
