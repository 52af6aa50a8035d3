//! Triggers: the changes after which an order is reconciled again.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{
    Connection, Device, DeviceError, DisplayedMessage, ServiceSubscription, SupplyOrder,
};

use jiff::Timestamp;

use super::SupplyOrders;
use crate::{
    cache::{Change, Key},
    objects::{BY_CONNECTION, BY_DEVICE, BY_SUBSCRIPTION, path},
    queue::Queue,
    triggers::{differs, spec_differs},
};

/// The parts of a Device that an order reads, by its name.
type Parts = BTreeMap<String, (Option<DeviceError>, Option<DisplayedMessage>)>;

/// Wakes the orders of which a Device says something else than before, and all of a Device that was seen with
/// a new supply.
pub(super) fn device(orders: &SupplyOrders, queue: &Queue<Key>, change: &Change<Device>) {
    let of = |device: &Option<std::sync::Arc<Device>>| {
        device
            .as_ref()
            .map(|device| parts(device))
            .unwrap_or_default()
    };
    let (before, after) = (of(&change.old), of(&change.new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        if before.get(name) != after.get(name) {
            queue.add(Key::new(change.key.namespace.clone(), &**name));
        }
    }
    if differs(change, replaced) {
        let of_device = path(&change.key.namespace, &change.key.name);
        for order in orders.objects.orders.by_index(BY_DEVICE, &of_device) {
            queue.add(Key::of(&*order));
        }
    }
}

/// Returns the supplies that a Device was seen with as new ones, each with the instant.
fn replaced(device: &Device) -> Vec<(Option<String>, Timestamp)> {
    let errors = device.status.iter().flat_map(|status| &status.errors);
    let replaced = errors.filter_map(|error| Some((error.unit.clone(), error.replaced?)));
    replaced.collect()
}

fn parts(device: &Device) -> Parts {
    let mut parts = Parts::new();
    let Some(status) = &device.status else {
        return parts;
    };
    for error in &status.errors {
        if let Some(order) = &error.order {
            parts.entry(order.name.clone()).or_default().0 = Some(error.clone());
        }
    }
    for message in &status.messages {
        parts.entry(message.id.clone()).or_default().1 = Some(message.clone());
    }
    parts
}

/// Wakes an order that a person changed, or that is new or gone.
pub(super) fn order(_: &SupplyOrders, queue: &Queue<Key>, change: &Change<SupplyOrder>) {
    if spec_differs(change) || change.by_others {
        queue.add(change.key.clone());
    }
}

/// Wakes the open orders of a Connection that was edited.
pub(super) fn connection(orders: &SupplyOrders, queue: &Queue<Key>, change: &Change<Connection>) {
    if spec_differs(change) {
        let cache = &orders.objects.orders;
        for order in cache.by_index(BY_CONNECTION, &change.key.name) {
            queue.add(Key::of(&*order));
        }
    }
}

/// Wakes the orders of a subscription that came or went: those by hand are checked against it.
pub(super) fn subscription(
    orders: &SupplyOrders,
    queue: &Queue<Key>,
    change: &Change<ServiceSubscription>,
) {
    if differs(change, kube::ResourceExt::uid) {
        let of = path(&change.key.namespace, &change.key.name);
        for order in orders.objects.orders.by_index(BY_SUBSCRIPTION, &of) {
            queue.add(Key::of(&*order));
        }
    }
}
