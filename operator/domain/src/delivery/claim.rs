//! Which of several Devices has a machine: one endpoint and one identity belong to one Device in the
//! cluster (K4, api section 4).
//!
//! Decides by proof and seniority, never by who made an object first alone: whoever may edit a
//! Device may give it any address. A Device that the Connection does not let to its address has no
//! say. It must never look into another namespace for anything but this, and nobody is told whose
//! the other Device is. Called by the observe stage, which gathers the rivals, and by the report.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Connection, Device, DeviceClaim, SyncResult};
use ipnet::IpNet;
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    digest::digest,
    endpoint::{allows, endpoint_key},
    identity::{reported_fault, reported_not_allowed},
};
use crate::exchange::DeviceReading;

/// Returns a digest of what a claim is about; another one begins it anew. `None` for a Device
/// without an address or a connection.
pub fn claim_digest(device: &Device) -> Option<String> {
    Some(digest(&(endpoint_key(device)?, &device.spec.serial_number)))
}

/// True if a Device may have the machine at its address, as far as its Connection says: it exists,
/// allows the namespace, and an address that is no name lies in a network of that namespace.
pub fn may_claim(
    device: &Device,
    connection: Option<&Connection>,
    namespace_labels: &BTreeMap<String, String>,
) -> bool {
    let Some(connection) = connection.filter(|it| allows(it, namespace_labels).is_some()) else {
        return false;
    };
    let address = device.spec.address.as_deref().unwrap_or_default();
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return true;
    };
    let entries = connection.spec.allow.iter();
    entries
        .filter(|entry| entry.namespaces.matches(namespace_labels))
        .flat_map(|entry| &entry.networks)
        .filter_map(|network| network.parse::<IpNet>().ok())
        .any(|network| network.contains(&address))
}

/// True if one of the rivals has the machine, and not the Device itself. `rivals` are the other
/// Devices with its endpoint or with the identity, those that [`may_claim`] it; `identity` is what
/// the machine said last, else what is pinned.
pub fn is_claimed_by_another<'a>(
    own: &Device,
    identity: Option<&str>,
    rivals: impl IntoIterator<Item = &'a Device>,
) -> bool {
    let ours = rank(own);
    let endpoint = endpoint_key(own);
    rivals.into_iter().any(|rival| {
        let same_endpoint = endpoint.is_some() && endpoint_key(rival) == endpoint;
        let same_identity = identity.is_some()
            && claim_of(rival)
                .is_some_and(|it| it.since.is_some() && it.identity.as_deref() == identity);
        (same_identity || same_endpoint && has_a_say(rival)) && rank(rival) < ours
    })
}

/// The claim of a Device that is about what its spec says now.
fn claim_of(device: &Device) -> Option<&DeviceClaim> {
    let claim = device.status.as_ref()?.claim.as_ref()?;
    (Some(&claim.endpoint_digest) == claim_digest(device).as_ref()).then_some(claim)
}

/// Whether an endpoint can be a Device's that has not proved it: one whose machine turned out to
/// be another one, or that was not let there, does not stand in the way.
fn has_a_say(device: &Device) -> bool {
    let Some(claim) = claim_of(device) else {
        return true;
    };
    let answered = device
        .status
        .as_ref()
        .and_then(|status| status.last_sync.as_ref());
    let refused = answered.is_some_and(|it| it.result == SyncResult::Answered)
        && reported_fault(device).is_some();
    claim.since.is_some() || !refused && reported_not_allowed(device).is_none()
}

/// Who is asked first: who has proved it, the earlier the better; then who names it, the earlier
/// the better; then who was never looked at, the older object first.
fn rank(device: &Device) -> (u8, Option<Timestamp>, Option<Timestamp>, String, String) {
    let (class, since) = match claim_of(device) {
        Some(DeviceClaim {
            since: Some(since), ..
        }) => (0, Some(*since)),
        Some(claim) => (1, Some(claim.named)),
        None => (2, None),
    };
    let created = device
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    (
        class,
        since,
        created,
        device.namespace().unwrap_or_default(),
        device.name_any(),
    )
}

/// The claim that a Device has after a pass. `proved` is what the machine gave, where it answered as
/// the one that is meant and nobody else has it.
pub(super) fn next_claim(
    device: &Device,
    proved: Option<&DeviceReading>,
    now: Timestamp,
) -> Option<DeviceClaim> {
    let mut claim = match claim_of(device) {
        Some(claim) => claim.clone(),
        None => DeviceClaim {
            endpoint_digest: claim_digest(device)?,
            named: now,
            since: None,
            identity: None,
        },
    };
    if let Some(reading) = proved
        && (claim.since.is_none() || claim.identity != reading.identity)
    {
        claim.since = Some(now);
        claim.identity.clone_from(&reading.identity);
    }
    Some(claim)
}
