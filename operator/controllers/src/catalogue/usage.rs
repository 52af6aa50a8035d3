//! Who uses what of the catalogue.

use std::sync::Arc;

use entente_crds::v1alpha1::ServiceSubscription;

use crate::objects::{BY_CONNECTION, BY_MODEL, BY_SERVICE, Objects};

/// How many Devices and subscriptions use a Connection.
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

/// How many Devices are of a model.
pub(super) fn of_model(objects: &Objects, name: &str) -> i64 {
    count(objects.devices.by_index(BY_MODEL, name).len())
}

/// How many subscriptions use a service.
pub(super) fn of_service(objects: &Objects, name: &str) -> i64 {
    count(objects.subscriptions.by_index(BY_SERVICE, name).len())
}

/// Subscriptions whose withdrawal was given up with an instance behind this connection.
pub(super) fn abandoned(objects: &Objects, connection: &str) -> Vec<ServiceSubscription> {
    let all = objects.subscriptions.all().into_iter();
    all.filter(|subscription| {
        subscription
            .status
            .as_ref()
            .and_then(|status| status.server.as_ref())
            .is_some_and(|handle| {
                handle.orphaned.is_some() && handle.connection_ref.name == connection
            })
    })
    .map(Arc::unwrap_or_clone)
    .collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
