//! The changes after which a device is reconciled again: those of everything that it depends on.
//!
//! Changes of the status that delivery itself writes are left out; a change of a spec also drops
//! the backoffs, so that a correction is tried at once; a wait that a remote side asked for stays.

pub(super) mod unreadable;

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    Compensation, Connection, Contract, Device, DeviceModel, DeviceTwin, MessageText,
    ServiceSubscription, Site, SmartService, SupplyOrder,
};
use entente_crds::{ANNOTATION_ABANDON, FINALIZER_IN_USE};
use entente_domain::condition::{find, is_true};
use entente_domain::delivery::{handles_of, instance_id, missing_offering};
use entente_domain::promise::CompensationRecord;
use entente_domain::reconcile_wish::reconcile_wish;
use entente_domain::supply_order;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Resource, ResourceExt as _};

use super::{Delivery, rivals::rivals_behind};
use crate::{
    cache::{Change, Key},
    devices_at_sites::BY_SITE,
    objects::{BY_CONNECTION, BY_CONTRACT, BY_MODEL, BY_SERVICE, device_label, path},
    queue::Queue,
    status::{Written, has_finalizer},
    triggers::differs,
};

/// Tries a device at once, without its backoffs, but for the waits that remote sides asked for.
fn again(delivery: &Delivery, queue: &Queue<Key>, key: Key) {
    delivery.backoffs.clear(&key);
    queue.add(key);
}

fn again_all(delivery: &Delivery, queue: &Queue<Key>, devices: &[Arc<Device>]) {
    for device in devices {
        again(delivery, queue, Key::of(&**device));
    }
}

pub(super) fn device(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Device>) {
    // Those of its Site are no part of its own spec.
    let spec = spec_changed(change) || differs(change, |it| it.spec.connections.clone());
    if spec {
        again(delivery, queue, change.key.clone());
    } else if change.by_others {
        queue.add(change.key.clone());
    }
    // Others with the same endpoint or identity may get the machine, or lose it.
    let claim = |device: &Device| {
        let status = device.status.as_ref()?;
        let faults = status.connections.iter();
        let faults: Vec<_> = faults
            .map(|it| {
                (
                    it.identity.clone(),
                    it.fault.as_ref().map(|fault| fault.reason),
                )
            })
            .collect();
        Some((status.identity.clone(), status.claim.clone(), faults))
    };
    if spec || differs(change, claim) {
        for version in [&change.old, &change.new].into_iter().flatten() {
            wake_rivals(delivery, queue, version);
        }
    }
}

/// Wakes a device that has notified us of a change.
pub(super) fn notified(_: &Delivery, queue: &Queue<Key>, device: &Key) {
    queue.add(device.clone());
}

/// Wakes the others at each place where this Device is the first of all: whose a machine is changes
/// only where the first one does. Otherwise each of a thousand Devices at one place would wake all.
fn wake_rivals(delivery: &Delivery, queue: &Queue<Key>, device: &Device) {
    for other in rivals_behind(&delivery.objects, device) {
        queue.add(Key::of(&*other));
    }
}

/// Tries these devices and their rivals at once: their access may have changed.
fn again_with_rivals(delivery: &Delivery, queue: &Queue<Key>, devices: &[Arc<Device>]) {
    again_all(delivery, queue, devices);
    for device in devices {
        wake_rivals(delivery, queue, device);
    }
}

pub(super) fn subscription(
    delivery: &Delivery,
    queue: &Queue<Key>,
    change: &Change<ServiceSubscription>,
) {
    if !spec_changed(change) {
        if change.by_others
            && let Some(found) = &change.new
        {
            let device = found.spec.device_ref.name.clone();
            queue.add(Key::new(change.key.namespace.clone(), device));
        }
        return;
    }
    for version in [&change.old, &change.new].into_iter().flatten() {
        let device = version.spec.device_ref.name.clone();
        again(
            delivery,
            queue,
            Key::new(change.key.namespace.clone(), device),
        );
    }
}

/// Wakes the device that called, or whose twin another one wrote. Its backoffs stay: what it does not
/// take is not asked for at each call.
pub(super) fn twin(_: &Delivery, queue: &Queue<Key>, change: &Change<DeviceTwin>) {
    if change.by_others || change.new.is_none() {
        queue.add(change.key.clone());
    }
}

pub(super) fn model(delivery: &Delivery, queue: &Queue<Key>, change: &Change<DeviceModel>) {
    if spec_changed(change) {
        again_all(
            delivery,
            queue,
            &delivery
                .objects
                .devices
                .by_index(BY_MODEL, &change.key.name),
        );
    }
}

pub(super) fn service(delivery: &Delivery, queue: &Queue<Key>, change: &Change<SmartService>) {
    if spec_changed(change) {
        of_service(delivery, queue, &change.key.name);
    } else if is_protected_now(change) {
        let subscriptions = &delivery.objects.subscriptions;
        for subscription in subscriptions.by_index(BY_SERVICE, &change.key.name) {
            queue.add(device_of(&subscription));
        }
    }
}

/// Tries the devices of a site at once: it may have another zone, language or window. Of other connections
/// the Devices themselves tell.
pub(super) fn site(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Site>) {
    if spec_changed(change) {
        again_all(delivery, queue, &of_site(delivery, &change.key));
    }
}

fn of_site(delivery: &Delivery, site: &Key) -> Vec<Arc<Device>> {
    let site = path(&site.namespace, &site.name);
    delivery.objects.devices.by_index(BY_SITE, &site)
}

/// Wakes the devices with an error of the type, whose message may have another text or may have one now.
pub(super) fn text(delivery: &Delivery, queue: &Queue<Key>, change: &Change<MessageText>) {
    if !spec_changed(change) {
        return;
    }
    let versions = [&change.old, &change.new].into_iter().flatten();
    let types: BTreeSet<&str> = versions.map(|it| it.spec.error_type.as_str()).collect();
    let is_meant = |device: &Arc<Device>| {
        let mut errors = device.status.iter().flat_map(|status| &status.errors);
        errors.any(|error| error.order.is_some() && types.contains(error.r#type.as_str()))
    };
    let devices = delivery.objects.devices.all().into_iter();
    again_all(
        delivery,
        queue,
        &devices.filter(is_meant).collect::<Vec<_>>(),
    );
}

/// True if an object is kept from being deleted, and was not before: first instances waited for it.
fn is_protected_now<K: Written>(change: &Change<K>) -> bool {
    let is_held = |it: &Option<Arc<K>>| {
        it.as_ref()
            .is_some_and(|it| has_finalizer(&**it, FINALIZER_IN_USE))
    };
    !is_held(&change.old) && is_held(&change.new)
}

fn of_service(delivery: &Delivery, queue: &Queue<Key>, name: &str) {
    let subscriptions = &delivery.objects.subscriptions;
    again_for(delivery, queue, &subscriptions.by_index(BY_SERVICE, name));
}

/// Tries the devices of these subscriptions at once.
fn again_for(delivery: &Delivery, queue: &Queue<Key>, subscriptions: &[Arc<ServiceSubscription>]) {
    for subscription in subscriptions {
        again(delivery, queue, device_of(subscription));
    }
}

pub(super) fn connection(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Connection>) {
    of_orphans(delivery, queue, change);
    let spec = spec_changed(change);
    if !spec && !is_mended(change) {
        if refers_to_others(change) || is_protected_now(change) {
            woken_by_connection(delivery, queue, &change.key.name);
        }
        return;
    }
    if spec {
        delivery.catalogs.expire(&change.key.name);
    }
    let devices = delivery
        .objects
        .devices
        .by_index(BY_CONNECTION, &change.key.name);
    again_with_rivals(delivery, queue, &devices);
    of_broker(delivery, queue, &change.key.name);
}

/// Wakes the subscriptions that left an orphan behind, or that wait for its removal.
fn of_orphans(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Connection>) {
    let orphans = |version: &Option<Arc<Connection>>| -> BTreeSet<(String, bool, bool)> {
        let statuses = version.iter().flat_map(|it| &it.status);
        let orphans = statuses.flat_map(|status| &status.orphans);
        let known = orphans.map(|it| {
            let (is_removed, is_gone) = (it.removal.is_some(), it.gone.is_some());
            (it.instance_id.clone(), is_removed, is_gone)
        });
        known.collect()
    };
    let (old, new) = (orphans(&change.old), orphans(&change.new));
    let changed: BTreeSet<&String> = old.symmetric_difference(&new).map(|it| &it.0).collect();
    if changed.is_empty() {
        return;
    }
    let mut concerned = delivery.objects.subscriptions.all();
    concerned.retain(|subscription| {
        let mut recorded = handles_of(subscription).map(|it| &it.instance_id);
        let namespace = subscription.namespace().unwrap_or_default();
        recorded.any(|id| changed.contains(id))
            || changed.contains(&instance_id(&namespace, subscription))
    });
    again_for(delivery, queue, &concerned);
}

/// Runs every device that uses a Connection, with its backoffs.
fn woken_by_connection(delivery: &Delivery, queue: &Queue<Key>, connection: &str) {
    let objects = &delivery.objects;
    for device in objects.devices.by_index(BY_CONNECTION, connection) {
        queue.add(Key::of(&*device));
    }
    for subscription in of_connection(delivery, connection) {
        queue.add(device_of(&subscription));
    }
}

/// Returns the subscriptions that a broker serves: those whose service names its Connection, and
/// those whose instance it has, although their service may name another one by now.
fn of_connection(delivery: &Delivery, connection: &str) -> Vec<Arc<ServiceSubscription>> {
    let objects = &delivery.objects;
    let services = objects.services.by_index(BY_CONNECTION, connection);
    let subscriptions = &objects.subscriptions;
    let mut found: Vec<_> = services
        .iter()
        .flat_map(|service| subscriptions.by_index(BY_SERVICE, &service.name_any()))
        .collect();
    found.extend(subscriptions.by_index(BY_CONNECTION, connection));
    found
}

fn device_of(subscription: &ServiceSubscription) -> Key {
    let namespace = subscription.namespace().unwrap_or_default();
    Key::new(namespace, subscription.spec.device_ref.name.clone())
}

fn of_broker(delivery: &Delivery, queue: &Queue<Key>, connection: &str) {
    again_for(delivery, queue, &of_connection(delivery, connection));
}

/// Wakes the devices that use a broker whose catalog changed.
#[allow(
    clippy::ptr_arg,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn catalog(delivery: &Delivery, queue: &Queue<Key>, connection: &String) {
    of_broker(delivery, queue, connection);
}

/// Wakes the devices whose services name what a catalog does not have: a pass before it was read could
/// not say so. A fleet whose catalog has everything is not woken when that is first read.
#[allow(
    clippy::ptr_arg,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn catalog_without_the_wanted(
    delivery: &Delivery,
    queue: &Queue<Key>,
    connection: &String,
) {
    let now = delivery.context.clock.now();
    let Some(catalog) = delivery.catalogs.last(connection, now) else {
        return;
    };
    let objects = &delivery.objects;
    let services = objects.services.by_index(BY_CONNECTION, connection);
    let wants_more = services.iter().filter(|service| {
        let side = service.spec.server.as_ref();
        side.is_some_and(|side| missing_offering(&catalog, side).is_some())
    });
    for service in wants_more {
        let found = objects
            .subscriptions
            .by_index(BY_SERVICE, &service.name_any());
        again_for(delivery, queue, &found);
    }
}

/// Wakes every device with a subscription: what has begun depends on the clock, and instants that
/// are waited for are those of the local one.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shell hands over what the channel carries"
)]
pub(super) fn clock(delivery: &Delivery, queue: &Queue<Key>, (): &()) {
    for subscription in delivery.objects.subscriptions.all() {
        queue.add(device_of(&subscription));
    }
}

/// True if a Secret was made or corrected. Secrets are not watched: the probe of the Connection
/// sees it, and wakes all devices that wait for it.
fn is_mended(change: &Change<Connection>) -> bool {
    let conditions = |connection: &Option<Arc<Connection>>| {
        let status = connection
            .as_ref()
            .and_then(|connection| connection.status.as_ref());
        status
            .map(|status| status.conditions.clone())
            .unwrap_or_default()
    };
    let (old, new) = (conditions(&change.old), conditions(&change.new));
    [ConditionType::ResolvedRefs, ConditionType::Authenticated]
        .into_iter()
        .any(|condition| {
            let failed = find(&old, condition).is_some_and(|found| found.status == "False");
            failed && is_true(&new, condition)
        })
}

/// True if another Secret or ConfigMap is missing than before, or none any more: the devices say so
/// as well.
fn refers_to_others(change: &Change<Connection>) -> bool {
    differs(change, |connection| {
        let conditions = connection.status.as_ref().map(|it| &it.conditions);
        let found = conditions.and_then(|all| find(all, ConditionType::ResolvedRefs))?;
        Some((
            found.status.clone(),
            found.reason.clone(),
            found.message.clone(),
        ))
    })
}

pub(super) fn contract(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Contract>) {
    let wish = |version: &Option<Arc<Contract>>| version.as_deref().and_then(reconcile_wish);
    let wanted = wish(&change.new);
    let is_wished = wanted.is_some() && wanted != wish(&change.old);
    if is_wished {
        // A Secret that was corrected is read by the passes that follow.
        delivery.secrets.forget_namespace(&change.key.namespace);
    }
    let matters = differs(change, |contract| {
        (
            contract.uid(),
            contract.metadata.deletion_timestamp.clone(),
            contract.annotations().contains_key(ANNOTATION_ABANDON),
            contract
                .status
                .as_ref()
                .and_then(|status| status.established),
        )
    });
    if is_wished || matters {
        of_contract(delivery, queue, &change.key);
    }
}

fn of_contract(delivery: &Delivery, queue: &Queue<Key>, contract: &Key) {
    let of = path(&contract.namespace, &contract.name);
    for subscription in delivery.objects.subscriptions.by_index(BY_CONTRACT, &of) {
        queue.add(device_of(&subscription));
    }
}

pub(super) fn compensation(_: &Delivery, queue: &Queue<Key>, change: &Change<Compensation>) {
    let matters = differs(change, |it| CompensationRecord::from(it));
    let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    if !matters {
        return;
    }
    let device = &*found.spec.record.device.name;
    // One about something else may have the name of a record that is owed for another device.
    let named = device_label(&change.key.name).unwrap_or(device);
    for device in BTreeSet::from([device, named]) {
        queue.add(Key::new(change.key.namespace.clone(), device));
    }
}

/// Wakes the device of an order whose id is known, or that is closed.
pub(super) fn supply_order(_: &Delivery, queue: &Queue<Key>, change: &Change<SupplyOrder>) {
    let Some(found) = change.new.as_ref().or(change.old.as_ref()) else {
        return;
    };
    if differs(change, supply_order::known) {
        let device = &*found.spec.record.device.name;
        queue.add(Key::new(change.key.namespace.clone(), device));
    }
}

pub(super) fn namespace(delivery: &Delivery, queue: &Queue<Key>, change: &Change<Namespace>) {
    let matters = differs(change, |namespace| {
        (
            namespace.labels().clone(),
            namespace.metadata.deletion_timestamp.clone(),
        )
    });
    if !matters {
        return;
    }
    again_with_rivals(
        delivery,
        queue,
        &delivery.objects.devices.in_namespace(&change.key.name),
    );
    for subscription in delivery
        .objects
        .subscriptions
        .in_namespace(&change.key.name)
    {
        let device = subscription.spec.device_ref.name.clone();
        queue.add(Key::new(change.key.name.clone(), device));
    }
}

/// True if anything but the status changed.
fn spec_changed<K: Resource>(change: &Change<K>) -> bool {
    differs(change, |object| {
        let meta = object.meta();
        (
            meta.uid.clone(),
            meta.generation,
            meta.deletion_timestamp.clone(),
            meta.annotations.clone(),
            meta.labels.clone(),
        )
    })
}
