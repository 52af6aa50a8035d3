//! The contracts before and after a contract: what a pass reads of them, and whom their changes wake.
//!
//! Reads the caches alone. Called by observe and by the triggers.

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::v1alpha1::{Contract, ServiceSubscription};
use entente_domain::contract::{ContractFacts, Kin, Predecessor, predecessor_of};
use kube::ResourceExt as _;

use super::{
    Contracts,
    observe::{self, subscriptions},
};
use crate::{
    cache::{Change, Key},
    objects::{BY_SUCCEEDS, Objects, contract_label, path},
    queue::Queue,
    triggers::differs,
};

/// Returns the contracts before and after one, with their subscriptions.
pub(super) fn of(objects: &Objects, contract: &Contract) -> Kin {
    let key = Key::of(contract);
    let after = descendants(objects, &key);
    let mut kin = Kin {
        heirs: of_contracts(objects, &after),
        ..Kin::default()
    };
    let after: BTreeSet<String> = after.into_iter().map(|it| it.name).collect();
    kin.unreadable_heir = unreadable(objects, &key.namespace, &after).is_some();
    let Some(named) = predecessor_of(contract) else {
        return kin;
    };
    let nearest = Key::new(key.namespace.clone(), named);
    let mut siblings = successors(objects, &nearest);
    siblings.retain(|it| *it != key);
    kin.siblings = of_contracts(objects, &siblings);
    kin.given = of_contracts(objects, std::slice::from_ref(&nearest));
    let services = kin.given.iter().flat_map(|it| &it.spec.revisions);
    let services: BTreeSet<&str> = services.map(|it| it.service_ref.name.as_str()).collect();
    kin.services = observe::services(objects, &services);
    let before = predecessors(objects, &key, nearest.clone());
    let predecessors = before.into_iter().map(|contract| {
        let of = path(&key.namespace, &contract.name_any());
        Predecessor {
            amendments: observe::amendments(objects, &of),
            notices: observe::notices(objects, &of),
            contract,
        }
    });
    kin.predecessors = predecessors.collect();
    kin.unreadable_predecessor = if objects.contracts.is_unreadable(&nearest) {
        Some(format!("Contract {}", nearest.name))
    } else {
        unreadable(objects, &key.namespace, &[nearest.name].into())
    };
    kin
}

/// Returns the contracts to which `spec.succeeds` leads, nearest first, each once.
fn predecessors(objects: &Objects, own: &Key, mut next: Key) -> Vec<Arc<Contract>> {
    let mut found: Vec<Arc<Contract>> = Vec::new();
    while next != *own
        && found.iter().all(|it| it.name_any() != next.name)
        && let Some(contract) = objects.contracts.get(&next)
    {
        let named = predecessor_of(&contract).map(str::to_owned);
        found.push(contract);
        let Some(named) = named else { break };
        next = Key::new(next.namespace, named);
    }
    found
}

/// Returns the contracts that succeed one.
fn successors(objects: &Objects, contract: &Key) -> Vec<Key> {
    let of = path(&contract.namespace, &contract.name);
    let found = objects.contracts.by_index(BY_SUCCEEDS, &of);
    found.iter().map(|contract| Key::of(&**contract)).collect()
}

/// Returns the contracts that succeed one, and those that succeed these, each once.
fn descendants(objects: &Objects, contract: &Key) -> Vec<Key> {
    let mut known = BTreeSet::from([contract.clone()]);
    let mut found = Vec::new();
    let mut next = successors(objects, contract);
    while let Some(key) = next.pop() {
        if known.insert(key.clone()) {
            next.extend(successors(objects, &key));
            found.push(key);
        }
    }
    found
}

fn of_contracts(objects: &Objects, contracts: &[Key]) -> Vec<Arc<ServiceSubscription>> {
    let paths = contracts.iter().map(|it| path(&it.namespace, &it.name));
    paths.flat_map(|of| subscriptions(objects, &of)).collect()
}

/// Returns a subscription of these contracts that cannot be read, by the contract in its name.
fn unreadable(objects: &Objects, namespace: &str, contracts: &BTreeSet<String>) -> Option<String> {
    let unreadable = objects.subscriptions.unreadable();
    let mut found = unreadable
        .iter()
        .map(|it| &it.key)
        .filter(|key| key.namespace == namespace && contracts.contains(contract_label(&key.name)));
    found
        .next()
        .map(|key| format!("ServiceSubscription {}", key.name))
}

/// Wakes the contracts that read of this one: those which it succeeds, one after the other, others that
/// succeed the nearest as well, and those that succeed this one.
pub(super) fn wake(
    contracts: &Contracts,
    queue: &Queue<Key>,
    contract: &Key,
    succeeds: Option<&str>,
) {
    let objects = &contracts.objects;
    for found in successors(objects, contract) {
        queue.add(found);
    }
    if let Some(named) = succeeds {
        let nearest = Key::new(contract.namespace.clone(), named);
        let siblings = successors(objects, &nearest);
        for found in siblings.into_iter().filter(|it| it != contract) {
            queue.add(found);
        }
        for found in predecessors(objects, contract, nearest) {
            queue.add(Key::of(&*found));
        }
    }
}

/// Wakes the kin of a contract of which anything changed that they read.
pub(super) fn wake_of_contract(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &Change<Contract>,
) {
    if !differs(change, |contract| ContractFacts::from(contract)) {
        return;
    }
    for version in [&change.old, &change.new].into_iter().flatten() {
        wake(contracts, queue, &change.key, predecessor_of(version));
    }
    // A circle may be closed, or opened, far from here.
    for found in descendants(&contracts.objects, &change.key) {
        queue.add(found);
    }
}

/// Wakes the kin of a subscription's contract, if anything changed that they read.
pub(super) fn wake_of_subscription(
    contracts: &Contracts,
    queue: &Queue<Key>,
    change: &Change<ServiceSubscription>,
    contract: &Key,
) {
    let matters = differs(change, |found| {
        (
            found.uid(),
            found.metadata.generation,
            found.metadata.deletion_timestamp.is_some(),
        )
    });
    if !matters {
        return;
    }
    let found = contracts.objects.contracts.get(contract);
    let succeeds = found.as_ref().and_then(|it| predecessor_of(it));
    wake(contracts, queue, contract, succeeds);
}
