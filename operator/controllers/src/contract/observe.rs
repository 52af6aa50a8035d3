//! Observe: the objects that a contract's subscriptions depend on, from the caches.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use entente_crds::v1alpha1::{Contract, SmartService};
use entente_domain::contract::{ContractWorld, DeviceFacts};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Contracts;
use crate::{
    cache::Key,
    objects::{BY_CONTRACT, path},
};

/// Returns the objects of one contract.
pub(super) fn world(contracts: &Contracts, contract: Contract) -> ContractWorld {
    let objects = &contracts.objects;
    let namespace = contract.namespace().unwrap_or_default();
    let of = path(&namespace, &contract.name_any());
    let selects = contract
        .spec
        .services
        .iter()
        .any(|entry| entry.devices.selector.is_some());
    let named = contract
        .spec
        .services
        .iter()
        .flat_map(|entry| &entry.devices.names);
    // Only the objects that are needed: a contract that names its devices does not read all of
    // them.
    let devices = if selects {
        objects.devices.in_namespace(&namespace)
    } else {
        named
            .filter_map(|name| objects.devices.get(&Key::new(namespace.clone(), name)))
            .collect()
    };
    let mut devices: Vec<DeviceFacts> = devices
        .iter()
        .filter(|device| device.metadata.deletion_timestamp.is_none())
        .map(|device| DeviceFacts {
            name: device.name_any(),
            labels: device.labels().clone(),
            created: device
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        })
        .collect();
    devices.sort_by(|a, b| a.name.cmp(&b.name));
    devices.dedup_by(|a, b| a.name == b.name);
    let services: BTreeMap<String, Arc<SmartService>> = contract
        .spec
        .services
        .iter()
        .filter_map(|entry| {
            let name = &entry.service_ref.name;
            let service = objects.services.get(&Key::new("", name.clone()))?;
            Some((name.clone(), service))
        })
        .collect();
    let recreated = contracts
        .recreated
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    ContractWorld {
        clock_skew: contracts.context.skew.is_skewed(),
        services,
        devices,
        subscriptions: objects.subscriptions.by_index(BY_CONTRACT, &of),
        recreated: recreated
            .iter()
            .filter(|key| key.namespace == namespace)
            .map(|key| key.name.clone())
            .collect(),
        contract,
    }
}
