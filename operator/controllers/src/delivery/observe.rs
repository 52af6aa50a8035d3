//! Observe: the objects that delivery on one device depends on, from the caches.
//!
//! Reads Secrets and authorities by name; sends no request to a device or a service server.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::{
    ANNOTATION_ABANDON,
    v1alpha1::{
        Connection, Device, LocalReference, Orphan, SecretKeyReference, ServiceSubscription, Site,
        SmartService,
    },
};
use entente_domain::{
    catalogue::texts_that_count,
    delivery::{DeviceSnapshot, handles_of, is_reconcile_requested},
    errors::KnownOrder,
    names::{ConnectionName, SubscriptionName},
    promise::{CompensationRecord, has_missed, owed_records, promises},
    reconcile_wish::reconcile_wish_in,
    secret::Secrets,
    site::at_site,
    supply_order,
};
use entente_drivers::profile::ConnectionProfile;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, ResourceExt as _};

use super::{
    Delivery,
    rivals::{claimed_connections, proved_by_others},
};
use crate::{
    cache::{Key, entries},
    objects::{BY_DEVICE, BY_SUBSCRIPTION, Objects, device_label, path},
    secrets::Fault,
    status::read,
};

/// Takes the snapshot of one device.
pub(super) async fn snapshot(delivery: &Delivery, key: &Key) -> DeviceSnapshot {
    let objects = &delivery.objects;
    let now = delivery.context.clock.now();
    let (device, site) = device(objects, key);
    let subscriptions = objects
        .subscriptions
        .by_index(BY_DEVICE, &path(&key.namespace, &key.name));
    let services = services(objects, &subscriptions);
    let connections = connections(objects, device.as_deref(), &services, &subscriptions);
    let claimed = device.as_ref();
    let claimed = claimed.map(|device| claimed_connections(objects, device));
    let claimed = claimed.unwrap_or_default();
    let namespace = namespace(delivery, &key.namespace).await;
    let mut snapshot = DeviceSnapshot {
        namespace: key.namespace.clone(),
        namespace_labels: namespace
            .as_ref()
            .map(|found| found.labels().clone())
            .unwrap_or_default(),
        namespace_terminating: namespace
            .is_none_or(|found| found.metadata.deletion_timestamp.is_some()),
        device_name: key.name.clone(),
        model: device.as_ref().and_then(|device| {
            let name = device.spec.model_ref.name.clone();
            objects.models.get(&Key::new("", name))
        }),
        twin: device.as_ref().and_then(|_| objects.twins.get(key)),
        proved_by_others: device
            .as_ref()
            .map(|device| proved_by_others(objects, device, &claimed))
            .unwrap_or_default(),
        claimed_by_another: claimed,
        notified: delivery.attention.take(key),
        supply_orders: supply_orders(objects, key),
        message_texts: texts_that_count(objects.texts.all()),
        catalogs: delivery.catalogs.known(connections.keys(), now),
        compensations: compensations(objects, &key.namespace, &subscriptions),
        clock_skew: delivery.context.skew.is_skewed(),
        unwritten: delivery.unwritten.of(key),
        unsaid_attempts: delivery.attempts.of(key),
        withdraw_deadline: SignedDuration::try_from(delivery.context.options.withdraw_deadline)
            .unwrap_or(SignedDuration::MAX),
        orphans_taken_over: orphans(&connections),
        orphans_being_removed: known_orphans(objects, |it| it.removal.is_some()),
        orphans_gone: known_orphans(objects, |it| it.gone.is_some()),
        unreadable: objects.unreadable(&key.namespace),
        unreadable_subscriptions: unreadable_subscriptions(objects, key),
        device,
        site,
        services,
        connections,
        subscriptions,
        ..DeviceSnapshot::default()
    };
    contracts(objects, &mut snapshot);
    snapshot.reconcile_requested = !snapshot.open_wishes().is_empty();
    read_secrets(delivery, &mut snapshot, now).await;
    snapshot
}

/// Returns the device, with the fields of its Site where it has none of its own, and the Site.
fn device(objects: &Objects, key: &Key) -> (Option<Arc<Device>>, Option<Arc<Site>>) {
    let device = objects.devices.get(key);
    let site = device.as_ref().and_then(|device| {
        let name = &device.spec.site_ref.as_ref()?.name;
        objects.sites.get(&Key::new(key.namespace.clone(), name))
    });
    let Some(site) = site else {
        return (device, None);
    };
    let device = device.map(|device| Arc::new(at_site(&device, Some(&site)).into_owned()));
    (device, Some(site))
}

/// Reads the Secrets and authorities that the Connections and the subscriptions name, or the faults
/// that prevent it.
async fn read_secrets(delivery: &Delivery, snapshot: &mut DeviceSnapshot, now: Timestamp) {
    // For a wish of a contract its trigger forgets them once, and not the pass over each device.
    let device = snapshot.device.as_deref();
    if device.is_some_and(is_reconcile_requested) {
        delivery.secrets.forget_namespace(&snapshot.namespace);
    }
    for (name, connection) in &snapshot.connections {
        if let Err(fault) = profile(delivery, snapshot, connection, now).await {
            snapshot.connection_faults.insert(name.clone(), fault);
        }
    }
    snapshot.secrets = secret_parameters(delivery, snapshot, now).await;
}

/// Returns the profile of a connection for the device of the snapshot, with its own credentials if
/// it has some.
pub(super) async fn profile(
    delivery: &Delivery,
    snapshot: &DeviceSnapshot,
    connection: &Connection,
    now: Timestamp,
) -> Result<Arc<ConnectionProfile>, Fault> {
    let profiles = &delivery.profiles;
    let credentials = device_credentials(snapshot, &connection.name_any());
    let namespace = (snapshot.namespace.as_str(), &snapshot.namespace_labels);
    profiles
        .profile(connection, namespace, credentials, now)
        .await
}

/// Returns the namespace and name of the Secret with the device's credentials for a connection.
pub(super) fn device_credentials<'a>(
    snapshot: &'a DeviceSnapshot,
    connection: &str,
) -> Option<(&'a str, &'a LocalReference)> {
    let mut connections = snapshot.device.iter().flat_map(|it| &it.spec.connections);
    let named = connections.find(|entry| entry.name == connection)?;
    let reference = named.credentials_ref.as_ref()?;
    Some((&snapshot.namespace, reference))
}

/// Reads the values of the parameters of type Secret.
async fn secret_parameters(
    delivery: &Delivery,
    snapshot: &DeviceSnapshot,
    now: Timestamp,
) -> Secrets {
    let revisions = snapshot
        .subscriptions
        .iter()
        .flat_map(|it| &it.spec.revisions);
    let references: BTreeSet<&SecretKeyReference> = revisions
        .flat_map(|revision| &revision.secret_parameters)
        .map(|parameter| &parameter.secret_key_ref)
        .collect();
    let mut read = BTreeMap::new();
    for reference in references {
        let text = delivery
            .secrets
            .text(&snapshot.namespace, reference, now)
            .await;
        read.insert(reference.clone(), text);
    }
    Secrets(read)
}

/// Returns the namespace, from the API server if the cache is older than the objects in it, since
/// its labels decide on access.
async fn namespace(delivery: &Delivery, name: &str) -> Option<Arc<Namespace>> {
    let cache = &delivery.objects.namespaces;
    let key = Key::new("", name);
    if let Some(found) = cache.get(&key) {
        return Some(found);
    }
    let api: Api<Namespace> = Api::all(delivery.context.client.clone());
    if let Ok(Some(found)) = read(&api, &key).await {
        cache.put_written(found);
    }
    cache.get(&key)
}

fn services(
    objects: &Objects,
    subscriptions: &[Arc<ServiceSubscription>],
) -> BTreeMap<String, Arc<SmartService>> {
    let names: BTreeSet<&String> = subscriptions
        .iter()
        .flat_map(|subscription| &subscription.spec.revisions)
        .map(|revision| &revision.service_ref.name)
        .collect();
    names
        .into_iter()
        .filter_map(|name| {
            let found = objects.services.get(&Key::new("", name.clone()))?;
            Some((name.clone(), found))
        })
        .collect()
}

fn connections(
    objects: &Objects,
    device: Option<&Device>,
    services: &BTreeMap<String, Arc<SmartService>>,
    subscriptions: &[Arc<ServiceSubscription>],
) -> BTreeMap<ConnectionName, Arc<Connection>> {
    let of_device = device
        .into_iter()
        .flat_map(|device| &device.spec.connections)
        .map(|it| it.name.as_str());
    let of_services = services
        .values()
        .flat_map(|service| service.spec.connections());
    let of_handles = subscriptions
        .iter()
        .flat_map(|subscription| handles_of(subscription))
        .map(|handle| handle.connection_ref.name.as_str());
    let names: BTreeSet<&str> = of_device.chain(of_services).chain(of_handles).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let found = objects.connections.get(&Key::new("", name))?;
            Some((name.into(), found))
        })
        .collect()
}

/// Returns the subscriptions on a device that cannot be read and of which there is no older version.
/// Their names say whose they are.
fn unreadable_subscriptions(objects: &Objects, device: &Key) -> BTreeSet<SubscriptionName> {
    let unreadable = objects.subscriptions.unreadable();
    let of_device = unreadable.iter().filter(|it| {
        let key = &it.key;
        key.namespace == device.namespace
            && device_label(&key.name) == Some(&*device.name)
            && objects.subscriptions.get(key).is_none()
    });
    of_device.map(|it| it.key.name.as_str().into()).collect()
}

/// Returns the orders of supplies for a device, as far as delivery needs them; of one that cannot be read, and
/// has no older version, as far as it can be.
fn supply_orders(objects: &Objects, key: &Key) -> Vec<KnownOrder> {
    let orders = objects
        .orders
        .by_index(BY_DEVICE, &path(&key.namespace, &key.name));
    let readable = orders.iter().map(|order| supply_order::known(order));
    let unreadable = objects.orders.unreadable().into_iter().filter(|it| {
        let is_of_device = supply_order::device_of(&it.key.name, &it.spec) == Some(&*key.name);
        let namespace = &it.key.namespace;
        is_of_device && *namespace == key.namespace && objects.orders.get(&it.key).is_none()
    });
    let unreadable =
        unreadable.map(|it| supply_order::unreadable(&it.key.name, &it.spec, &it.status));
    readable.chain(unreadable).collect()
}

fn compensations(
    objects: &Objects,
    namespace: &str,
    subscriptions: &[Arc<ServiceSubscription>],
) -> Vec<CompensationRecord> {
    let missed = subscriptions.iter().filter(|found| has_missed(found));
    missed
        .flat_map(|subscription| {
            let subject = path(namespace, &subscription.name_any());
            let about = objects.compensations.by_index(BY_SUBSCRIPTION, &subject);
            // One about something else may have the name of a record that is owed.
            let owed = promises(subscription)
                .iter()
                .flat_map(|promise| owed_records(subscription, promise));
            let named = owed.filter_map(|owed| {
                let key = Key::new(namespace, owed.name);
                let found = objects.compensations.get(&key)?;
                let is_about = found.spec.record.subscription.name == subscription.name_any();
                (!is_about).then_some(found)
            });
            about.into_iter().chain(named).collect::<Vec<_>>()
        })
        .map(|compensation| CompensationRecord::from(&*compensation))
        .collect()
}

fn contracts(objects: &Objects, snapshot: &mut DeviceSnapshot) {
    let names: BTreeSet<&String> = snapshot
        .subscriptions
        .iter()
        .map(|entry| &entry.spec.contract.name)
        .collect();
    for name in names {
        let key = Key::new(snapshot.namespace.clone(), name.clone());
        let Some((metadata, established)) = contract_facts(objects, &key) else {
            continue;
        };
        let wish = reconcile_wish_in(&metadata);
        let Some(uid) = metadata.uid else { continue };
        if let Some(established) = established {
            snapshot.established.insert(uid.clone(), established);
        }
        if let Some(wish) = wish {
            snapshot.contract_wishes.insert(uid.clone(), wish);
        }
        let annotations = metadata.annotations.unwrap_or_default();
        if annotations.contains_key(ANNOTATION_ABANDON) {
            snapshot.abandoned_contracts.insert(uid.clone());
        }
        if let Some(deleted) = &metadata.deletion_timestamp {
            snapshot.deleted_contracts.insert(uid, deleted.0);
        } else {
            snapshot.live_contracts.insert(uid);
            snapshot.live_contract_names.insert(name.clone());
        }
    }
}

/// Returns the metadata of a contract and the instant at which its set was complete. Of one that
/// cannot be read no more is needed than is known of it, and it is there all the same.
fn contract_facts(objects: &Objects, key: &Key) -> Option<(ObjectMeta, Option<Timestamp>)> {
    let unreadable = objects.contracts.unreadable();
    if let Some(found) = unreadable.into_iter().find(|found| found.key == *key) {
        let established = found.status["established"].as_str();
        let established = established.and_then(|text| text.parse().ok());
        return Some((found.metadata.clone(), established));
    }
    let contract = objects.contracts.get(key)?;
    let status = contract.status.as_ref();
    let established = status.and_then(|status| status.established);
    Some((contract.metadata.clone(), established))
}

/// Returns the ids of orphans, whatever their Connection: two may lead to one broker. Called after
/// the subscriptions were read.
fn known_orphans(objects: &Objects, is_one: impl Fn(&Orphan) -> bool) -> BTreeSet<String> {
    let connections = objects.connections.all();
    let statuses = connections.iter().flat_map(|it| &it.status);
    let orphans = statuses.flat_map(|status| &status.orphans);
    // The list of a Connection that cannot be read holds all the same.
    let unreadable = objects.connections.unreadable().into_iter();
    let unreadable = unreadable.flat_map(|it| entries::<Orphan>(&it.status["orphans"]));
    let unreadable: Vec<Orphan> = unreadable.collect();
    let found = orphans.chain(&unreadable).filter(|orphan| is_one(orphan));
    found.map(|orphan| orphan.instance_id.clone()).collect()
}

fn orphans(connections: &BTreeMap<ConnectionName, Arc<Connection>>) -> BTreeSet<String> {
    connections
        .values()
        .filter_map(|connection| connection.status.as_ref())
        .flat_map(|status| &status.orphans)
        .map(|orphan| orphan.instance_id.clone())
        .collect()
}
