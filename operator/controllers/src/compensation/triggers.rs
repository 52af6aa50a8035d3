//! Triggers: the changes after which the compensations of an entry are reconciled again.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Compensation, PromiseState, ServiceSubscription};
use kube::ResourceExt as _;

use super::Compensations;
use crate::{
    cache::{Change, Key, UnreadableChange},
    objects::{entry_label, entry_of},
    queue::Queue,
    triggers::differs,
};

pub(super) fn subscription(
    _: &Compensations,
    queue: &Queue<Key>,
    change: &Change<ServiceSubscription>,
) {
    let missed = differs(change, |subscription| {
        let promises = subscription
            .status
            .iter()
            .flat_map(|status| status.promises.clone());
        let missed = promises.filter(|promise| promise.state == PromiseState::Missed);
        (subscription.uid(), missed.collect::<Vec<_>>())
    });
    let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    if missed {
        queue.add(Key::new(change.key.namespace.clone(), entry_of(found)));
    }
}

pub(super) fn compensation(_: &Compensations, queue: &Queue<Key>, change: &Change<Compensation>) {
    let spec = differs(change, |compensation| {
        (compensation.uid(), compensation.metadata.generation)
    });
    if spec || change.by_others {
        let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
            return;
        };
        let record = &found.spec.record;
        let entry = format!("{}.{}", record.contract.name, record.service_name);
        // One about something else may have had the name of a record that is owed here.
        let named = entry_label(&change.key.name);
        let entries: BTreeSet<String> = [Some(entry), named].into_iter().flatten().collect();
        for entry in entries {
            queue.add(Key::new(change.key.namespace.clone(), entry));
        }
    }
}

/// Wakes the entry of a subscription or of a Compensation that cannot be read, or is no more so:
/// amounts wait for it.
pub(super) fn unreadable(_: &Compensations, queue: &Queue<Key>, change: &UnreadableChange) {
    let Key { namespace, name } = &change.object.key;
    if let Some(entry) = entry_label(name) {
        queue.add(Key::new(namespace.clone(), entry));
    }
}
