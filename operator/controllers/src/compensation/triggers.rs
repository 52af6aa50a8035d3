//! Triggers: the changes after which the compensations of an entry are reconciled again.

use std::sync::Arc;

use entente_crds::v1alpha1::{Compensation, PromiseState, ServiceSubscription};
use kube::ResourceExt as _;

use super::Compensations;
use crate::{
    cache::{Change, Key},
    objects::entry_of,
    shutdown::Shutdown,
    triggers::{differs, forward},
};

/// Subscribes to the caches of subscriptions and compensations.
pub(super) fn start(compensations: &Arc<Compensations>, shutdown: &Shutdown) {
    let listener = Arc::clone(compensations);
    let changes = compensations.objects.subscriptions.subscribe();
    forward(changes, shutdown.clone(), move |change| {
        subscription(&listener, change);
    });
    let listener = Arc::clone(compensations);
    let changes = compensations.objects.compensations.subscribe();
    forward(changes, shutdown.clone(), move |change| {
        compensation(&listener, change);
    });
}

fn subscription(compensations: &Compensations, change: &Change<ServiceSubscription>) {
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
        compensations
            .queue
            .add(Key::new(change.key.namespace.clone(), entry_of(found)));
    }
}

fn compensation(compensations: &Compensations, change: &Change<Compensation>) {
    if differs(change, |compensation| {
        (compensation.uid(), compensation.metadata.generation)
    }) {
        let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
            return;
        };
        let record = &found.spec.record;
        let entry = format!("{}.{}", record.contract.name, record.service_name);
        compensations
            .queue
            .add(Key::new(change.key.namespace.clone(), entry));
    }
}
