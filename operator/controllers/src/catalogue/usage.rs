//! The users of each object of the catalogue.

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::v1alpha1::ServiceSubscription;

use crate::objects::{BY_CONNECTION, BY_MODEL, BY_SERVICE, Objects};

/// Returns the number of Devices and subscriptions that use a Connection: because their service names
/// it, or because their instance is behind it, whatever their service names by now.
pub(super) fn of_connection(objects: &Objects, name: &str) -> i64 {
    let devices = objects.devices.by_index(BY_CONNECTION, name).len();
    let services = objects.services.by_index(BY_CONNECTION, name);
    let services: BTreeSet<&String> = services
        .iter()
        .filter_map(|service| service.metadata.name.as_ref())
        .collect();
    let of_services: usize = services
        .iter()
        .map(|service| objects.subscriptions.by_index(BY_SERVICE, service).len())
        .sum();
    let names_none = |subscription: &Arc<ServiceSubscription>| {
        let mut revisions = subscription.spec.revisions.iter();
        !revisions.any(|revision| services.contains(&revision.service_ref.name))
    };
    let of_handles = objects.subscriptions.by_index(BY_CONNECTION, name);
    let of_handles = of_handles.into_iter().filter(names_none).count();
    count(devices + of_services + of_handles)
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
    for subscription in objects.subscriptions.by_index(BY_CONNECTION, connection) {
        let handle = subscription
            .status
            .as_ref()
            .and_then(|it| it.server.as_ref());
        match handle {
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

/// True if an object that may use others of the catalogue cannot be read, so that none of them is
/// known to be unused.
pub(super) fn is_unknown(objects: &Objects) -> bool {
    !(objects.services.unreadable().is_empty()
        && objects.devices.unreadable().is_empty()
        && objects.subscriptions.unreadable().is_empty())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
