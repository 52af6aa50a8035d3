//! Objects that cannot be read, and that can be read again or are gone: who refers to one says so.
//!
//! A version that can be read is announced as a new object besides, which drops the backoffs.

use entente_domain::supply_order;

use super::{Delivery, of_contract, of_service, of_site, wake_rivals, woken_by_connection};
use crate::{
    cache::{Key, UnreadableChange},
    delivery::rivals::remnant,
    objects::{BY_MODEL, device_label},
    queue::Queue,
};

/// Wakes a Device and those that may have its machine.
pub(in crate::delivery) fn device(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    queue.add(change.object.key.clone());
    let objects = &delivery.objects;
    wake_rivals(delivery, queue, &remnant(objects, &change.object));
}

/// Wakes the device of a subscription, where others may have to wait for it.
pub(in crate::delivery) fn subscription(
    _: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let Key { namespace, name } = &change.object.key;
    if let Some(device) = device_label(name) {
        queue.add(Key::new(namespace.clone(), device));
    }
}

/// Wakes the device of an order, which may be one for a supply that is ordered else.
pub(in crate::delivery) fn supply_order(
    _: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let object = &change.object;
    let Key { namespace, name } = &object.key;
    if let Some(device) = supply_order::device_of(name, &object.spec) {
        queue.add(Key::new(namespace.clone(), device));
    }
}

/// Wakes the Devices of a DeviceModel.
pub(in crate::delivery) fn model(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    let devices = &delivery.objects.devices;
    for device in devices.by_index(BY_MODEL, &change.object.key.name) {
        queue.add(Key::of(&*device));
    }
}

/// Wakes the Devices of a Site.
pub(in crate::delivery) fn site(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    for device in of_site(delivery, &change.object.key) {
        queue.add(Key::of(&*device));
    }
}

/// Wakes the devices of a SmartService.
pub(in crate::delivery) fn service(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    of_service(delivery, queue, &change.object.key.name);
}

/// Wakes the devices that use a Connection.
pub(in crate::delivery) fn connection(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    woken_by_connection(delivery, queue, &change.object.key.name);
}

/// Wakes the devices of a Contract: it may be deleted or abandoned in a version that cannot be read.
pub(in crate::delivery) fn contract(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &UnreadableChange,
) {
    of_contract(delivery, queue, &change.object.key);
}
