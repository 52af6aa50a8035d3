//! The users of each object of the catalogue.

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::v1alpha1::ServiceSubscription;

use crate::objects::{BY_CONNECTION, BY_MODEL, BY_SERVICE, Objects};

/// Returns the number of Devices and subscriptions that use a Connection.
pub(super) fn of_connection(objects: &Objects, name: &str) -> i64 {
    let devices = objects.devices.by_index(BY_CONNECTION, name).len();
    let services = objects.services.by_index(BY_CONNECTION, name);
    let subscriptions: usize = services
        .iter()
        .filter_map(|service| service.metadata.name.as_ref())
        .map(|service| objects.subscriptions.by_index(BY_SERVICE, service).len())
        .sum();
    count(devices + subscriptions)
}

/// Returns the number of Devices of a model.
pub(super) fn of_model(objects: &Objects, name: &str) -> i64 {
    count(objects.devices.by_index(BY_MODEL, name).len())
}

/// Returns the number of subscriptions that use a service.
pub(super) fn of_service(objects: &Objects, name: &str) -> i64 {
    count(objects.subscriptions.by_index(BY_SERVICE, name).len())
}

/// Sorts the instances behind a connection: subscriptions whose withdrawal was given up, and the
/// ids of the instances that are in service.
pub(super) fn of_instances(
    objects: &Objects,
    connection: &str,
) -> (Vec<ServiceSubscription>, BTreeSet<String>) {
    let mut abandoned = Vec::new();
    let mut in_service = BTreeSet::new();
    for subscription in objects.subscriptions.all() {
        let handle = subscription
            .status
            .as_ref()
            .and_then(|it| it.server.as_ref());
        match handle.filter(|handle| handle.connection_ref.name == connection) {
            Some(handle) if handle.orphaned.is_some() => {
                abandoned.push(Arc::unwrap_or_clone(subscription));
            }
            Some(handle) => {
                in_service.insert(handle.instance_id.clone());
            }
            None => {}
        }
    }
    (abandoned, in_service)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
