//! The users of each object of the catalogue.

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::v1alpha1::{Protocol, ServerInstance, ServiceSubscription};
use entente_domain::{
    catalogue::{BrokerInstances, Users},
    delivery::{handles_of, instance_id, may_exist, wants_nothing},
    gateway::artifacts::leads_to_file_of,
};
use jiff::Timestamp;
use kube::{Resource, ResourceExt as _};

use crate::{
    cache::{Key, Unreadable},
    objects::{BY_CONNECTION, BY_MODEL, BY_SERVICE, Objects, path},
};

/// Returns the Devices and subscriptions that use a Connection: because their service names it, or
/// because their instance is behind it, whatever their service names by now. DeviceModels use it for
/// their files.
pub(super) fn of_connection(objects: &Objects, name: &str) -> Users {
    let services = objects.services.by_index(BY_CONNECTION, name);
    let services = services.iter().filter_map(|it| it.metadata.name.as_ref());
    let of_services = services.flat_map(|it| objects.subscriptions.by_index(BY_SERVICE, it));
    let of_handles = objects.subscriptions.by_index(BY_CONNECTION, name);
    let mut unreadable = unreadable(objects);
    let mut models = BTreeSet::new();
    let found = objects.connections.get(&Key::new("", name));
    if let Some(files) = found.filter(|it| it.spec.protocol == Protocol::HTTP) {
        let all = objects.models.all().into_iter();
        let with_files = all.filter(|model| leads_to_file_of(&files, model));
        models.extend(with_files.map(|model| model.name_any()));
        let odd = objects.models.unreadable().into_iter();
        unreadable.extend(odd.map(|it| format!("DeviceModel {}", it.key.name)));
    }
    Users {
        devices: names(objects.devices.by_index(BY_CONNECTION, name)),
        subscriptions: names(of_services.chain(of_handles)),
        models,
        unreadable,
        ..Users::default()
    }
}

/// Returns the Devices of a model.
pub(super) fn of_model(objects: &Objects, name: &str) -> Users {
    Users {
        devices: names(objects.devices.by_index(BY_MODEL, name)),
        unreadable: unreadable(objects),
        ..Users::default()
    }
}

/// Returns the subscriptions that use a service.
pub(super) fn of_service(objects: &Objects, name: &str) -> Users {
    Users {
        subscriptions: names(objects.subscriptions.by_index(BY_SERVICE, name)),
        unreadable: unreadable(objects),
        ..Users::default()
    }
}

fn names<K: Resource>(objects: impl IntoIterator<Item = Arc<K>>) -> BTreeSet<String> {
    let objects = objects.into_iter();
    let path = |it: Arc<K>| path(&it.namespace().unwrap_or_default(), &it.name_any());
    objects.map(path).collect()
}

/// Returns the objects that cannot be read and may use others of the catalogue: while there is one,
/// none is known to be unused.
fn unreadable(objects: &Objects) -> BTreeSet<String> {
    let services = objects.services.unreadable().into_iter();
    let services = services.map(|it| format!("SmartService {}", it.key.name));
    let named = |kind: &'static str, found: Vec<Arc<Unreadable>>| {
        let found = found.into_iter();
        found.map(move |it| format!("{kind} {}", path(&it.key.namespace, &it.key.name)))
    };
    services
        .chain(named("Device", objects.devices.unreadable()))
        .chain(named("Site", objects.sites.unreadable()))
        .chain(named(
            "ServiceSubscription",
            objects.subscriptions.unreadable(),
        ))
        .collect()
}

/// Sorts the instances behind a connection: subscriptions whose withdrawal was given up, and the
/// ids of the instances that are in service.
pub(super) fn of_instances(objects: &Objects, connection: &str) -> BrokerInstances {
    let mut instances = BrokerInstances::default();
    for subscription in objects.subscriptions.by_index(BY_CONNECTION, connection) {
        let behind = handles_of(&subscription).filter(|it| it.connection_ref.name == connection);
        for handle in behind {
            if handle.orphaned.is_some() {
                instances.abandoned.push(with_handle(&subscription, handle));
            } else if may_exist(handle) {
                // One that was recorded and not asked for yet may come to nothing.
                instances.in_service.insert(handle.instance_id.clone());
            }
        }
    }
    instances
}

/// Returns a subscription as if it had this instance alone.
fn with_handle(subscription: &ServiceSubscription, handle: &ServerInstance) -> ServiceSubscription {
    let mut with = subscription.clone();
    if let Some(status) = &mut with.status {
        status.server = Some(handle.clone());
        status.leaving = None;
    }
    with
}

/// Returns a phrase about a subscription that holds an instance, whatever the Connection: two may
/// lead to one broker. One that gave the instance up holds it as long as it may come to want it
/// again. While a subscription cannot be read, it may hold every instance.
pub(super) fn holder(objects: &Objects, instance: &str, now: Timestamp) -> Option<String> {
    if let Some(unreadable) = objects.subscriptions.unreadable().first() {
        let Key { namespace, name } = &unreadable.key;
        return Some(format!(
            "the ServiceSubscription {namespace}/{name} cannot be read and may use it"
        ));
    }
    let all = objects.subscriptions.all();
    let found = all.iter().find(|found| holds(found, instance, now))?;
    let namespace = found.namespace().unwrap_or_default();
    Some(format!(
        "the ServiceSubscription {namespace}/{} uses its id",
        found.name_any()
    ))
}

/// Returns the ids of instances that a subscription has or will have: that in its status, and that
/// which its names make.
pub(super) fn instance_ids(subscription: &ServiceSubscription) -> BTreeSet<String> {
    let recorded = handles_of(subscription).map(|it| it.instance_id.clone());
    let namespace = subscription.namespace().unwrap_or_default();
    recorded
        .chain([instance_id(&namespace, subscription)])
        .collect()
}

fn holds(subscription: &ServiceSubscription, instance: &str, now: Timestamp) -> bool {
    let mut recorded = handles_of(subscription);
    let given_up = recorded.any(|it| it.instance_id == instance && it.orphaned.is_some());
    instance_ids(subscription).contains(instance) && !(given_up && wants_nothing(subscription, now))
}
