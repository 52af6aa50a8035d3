//! Triggers: the changes after which the compensations of an entry are reconciled again.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{Compensation, PromiseState, ServiceSubscription};
use kube::ResourceExt as _;

use super::Compensations;
use crate::{
    cache::{Change, Key},
    objects::entry_of,
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
        let mut labels = change.key.name.splitn(3, '.');
        let named = labels.next().zip(labels.next());
        let named = named.map(|(contract, service)| format!("{contract}.{service}"));
        let entries: BTreeSet<String> = [Some(entry), named].into_iter().flatten().collect();
        for entry in entries {
            queue.add(Key::new(change.key.namespace.clone(), entry));
        }
    }
}
