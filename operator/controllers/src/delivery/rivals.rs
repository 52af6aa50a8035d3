//! The Devices that may have the machine which a Device meets, from the caches.
//!
//! One that cannot be read has its machine all the same, as far as it is still known. Decides nothing:
//! whose a machine is, is decided by the domain's `claimant`. Called by observe, by execute after a
//! reading, and by the triggers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::v1alpha1::{
    Connection, Device, DeviceClaim, DeviceConnection, DeviceSpec, DeviceStatus,
};
use entente_domain::{
    delivery::{
        Claimant, claim_digest, claimant, endpoint_key, endpoint_lookup, is_proved_by_another,
        known_identity, may_claim,
    },
    identity::Identity,
    names::ConnectionName,
};
use kube::ResourceExt as _;

use crate::{
    cache::{Key, Unreadable, entries, part},
    devices_at_sites::at_site,
    objects::{BY_CONNECTION, BY_ENDPOINT, BY_IDENTITY, Objects},
};

/// Returns the connections of a Device through which it would meet another Device's machine, with
/// that Device.
pub(super) fn claimed_connections(
    objects: &Objects,
    device: &Device,
) -> BTreeMap<ConnectionName, Claimant> {
    let names = device.spec.connections.iter().map(|chosen| &chosen.name);
    names
        .filter_map(|name| {
            let identity = known_identity(device, name);
            let claimant = claimant_of(objects, device, name, identity.as_ref())?;
            Some((name.into(), claimant))
        })
        .collect()
}

/// Returns those of the claimed connections of a Device whose very endpoint another Device has
/// proved.
pub(super) fn proved_by_others(
    objects: &Objects,
    device: &Device,
    claimed: &BTreeMap<ConnectionName, Claimant>,
) -> BTreeSet<ConnectionName> {
    let chosen = device.spec.connections.iter();
    let chosen = chosen.filter(|chosen| claimed.contains_key(chosen.name.as_str()));
    let proved = chosen.filter(|chosen| {
        let connection = connection_of(objects, chosen);
        connection.is_some_and(|connection| {
            let rivals = near_the_endpoint(objects, device, chosen, &connection);
            let rivals = others(objects, device, rivals);
            let may_claim = |rival: &Device| may_have(objects, rival);
            is_proved_by_another(device, chosen, &connection, refs(&rivals), may_claim)
        })
    });
    proved.map(|chosen| chosen.name.as_str().into()).collect()
}

/// Returns the other Device that has the machine that this one meets through a connection, and that
/// gave this identity there.
pub(super) fn claimant_of(
    objects: &Objects,
    device: &Device,
    connection: &str,
    identity: Option<&Identity>,
) -> Option<Claimant> {
    let mut chosen = device.spec.connections.iter();
    let chosen = chosen.find(|chosen| chosen.name == connection)?;
    let connection = connection_of(objects, chosen);
    let connection = connection.as_deref();
    let near = connection.map(|it| near_the_endpoint(objects, device, chosen, it));
    let mut rivals = near.unwrap_or_default();
    rivals.extend(with_the_identity(objects, identity));
    first_of(objects, device, chosen, connection, identity, rivals)
}

/// Returns the one of these rivals that has the machine before a Device.
fn first_of(
    objects: &Objects,
    device: &Device,
    chosen: &DeviceConnection,
    connection: Option<&Connection>,
    identity: Option<&Identity>,
    rivals: Vec<Arc<Device>>,
) -> Option<Claimant> {
    let rivals = others(objects, device, rivals);
    let may_claim = |rival: &Device| may_have(objects, rival);
    claimant(
        device,
        chosen,
        connection,
        identity,
        refs(&rivals),
        may_claim,
    )
}

/// Returns the other Devices that wait for this one: they share an endpoint or an identity with it,
/// and none of all has the machine there before it.
pub(super) fn rivals_behind(objects: &Objects, device: &Device) -> Vec<Arc<Device>> {
    let mut found = Vec::new();
    for chosen in &device.spec.connections {
        if let Some(connection) = connection_of(objects, chosen) {
            let near = near_the_endpoint(objects, device, chosen, &connection);
            let first = first_of(
                objects,
                device,
                chosen,
                Some(&connection),
                None,
                near.clone(),
            );
            if first.is_none() {
                found.extend(near);
            }
        }
        let identity = known_identity(device, &chosen.name);
        let identity = identity.as_ref();
        let alike = with_the_identity(objects, identity);
        if first_of(objects, device, chosen, None, identity, alike.clone()).is_none() {
            found.extend(alike);
        }
    }
    let own = Key::of(device);
    found.retain(|other| Key::of(&**other) != own);
    found
}

/// Returns the found Devices without this one, and those that cannot be read.
fn others(objects: &Objects, device: &Device, mut found: Vec<Arc<Device>>) -> Vec<Arc<Device>> {
    let own = (device.namespace(), device.name_any());
    found.retain(|other| {
        let metadata = &other.metadata;
        (metadata.namespace.as_ref(), metadata.name.as_ref()) != (own.0.as_ref(), Some(&own.1))
    });
    found.extend(unreadable_rivals(objects));
    found
}

fn refs(devices: &[Arc<Device>]) -> impl Iterator<Item = &Device> {
    devices.iter().map(|device| &**device)
}

/// True if a Device may have its machine, or nobody knows since it cannot be read.
fn may_have(objects: &Objects, device: &Device) -> bool {
    let is_readable = objects.devices.get(&Key::of(device)).is_some();
    !is_readable || is_allowed(objects, device)
}

/// Returns the Devices that cannot be read and of which there is no older version, as far as they can.
/// Nobody knows what their Connections allow them, so that they keep what they have.
fn unreadable_rivals(objects: &Objects) -> impl Iterator<Item = Arc<Device>> {
    let unreadable = objects.devices.unreadable().into_iter();
    let unknown = unreadable.filter(|it| objects.devices.get(&it.key).is_none());
    unknown.map(|it| Arc::new(remnant(objects, &it)))
}

/// Returns a Device that cannot be read, as far as it can: where its machine is, and its claim,
/// which stands until it is known to be about something else.
///
/// A machine without an identity, of a Device whose address is what cannot be read, is known by nobody.
pub(super) fn remnant(objects: &Objects, device: &Unreadable) -> Device {
    let (spec, status) = (&device.spec, &device.status);
    let text = |field: &str| spec[field].as_str().map(str::to_owned);
    let mut remnant = Device {
        metadata: device.metadata.clone(),
        spec: DeviceSpec {
            serial_number: text("serialNumber").unwrap_or_default(),
            address: text("address"),
            site_ref: part(&spec["siteRef"]),
            connections: entries(&spec["connections"]),
            ..DeviceSpec::default()
        },
        status: None,
    };
    if let Some((at_site, _)) = at_site(&objects.sites, &remnant, false) {
        remnant = at_site;
    }
    let mut claim: Option<DeviceClaim> = part(&status["claim"]);
    if let (Some(claim), Some(digest)) = (&mut claim, claim_digest(&remnant)) {
        claim.endpoint_digest = digest;
    }
    remnant.status = Some(DeviceStatus {
        identity: part(&status["identity"]),
        connections: entries(&status["connections"]),
        claim,
        ..DeviceStatus::default()
    });
    remnant
}

fn with_the_identity(objects: &Objects, identity: Option<&Identity>) -> Vec<Arc<Device>> {
    identity
        .map(|identity| objects.devices.by_index(BY_IDENTITY, identity.as_str()))
        .unwrap_or_default()
}

/// Returns the Devices that may share this endpoint of a Device, among them all that do.
fn near_the_endpoint(
    objects: &Objects,
    device: &Device,
    chosen: &DeviceConnection,
    connection: &Connection,
) -> Vec<Arc<Device>> {
    if endpoint_key(device, chosen, connection).is_none() {
        return Vec::new();
    }
    let devices = &objects.devices;
    match endpoint_lookup(device, chosen, connection) {
        Some(value) => devices.by_index(BY_ENDPOINT, &value),
        None => devices.by_index(BY_CONNECTION, &connection.name_any()),
    }
}

fn connection_of(objects: &Objects, chosen: &DeviceConnection) -> Option<Arc<Connection>> {
    objects.connections.get(&Key::new("", chosen.name.clone()))
}

/// True if a Device may have its machine, as far as its first connection says.
fn is_allowed(objects: &Objects, device: &Device) -> bool {
    let first = device.spec.connections.first();
    let connection = first.and_then(|first| connection_of(objects, first));
    let namespace = device.namespace().unwrap_or_default();
    let namespace = objects.namespaces.get(&Key::new("", namespace));
    let labels = namespace.map(|found| found.labels().clone());
    may_claim(device, connection.as_deref(), &labels.unwrap_or_default())
}
