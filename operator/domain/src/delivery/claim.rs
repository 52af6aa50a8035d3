//! The claim on a machine: of several Devices with one endpoint or one identity, exactly one in the
//! cluster has the machine (K4, api section 4).
//!
//! Decides by proof and seniority, never by the age of an object alone: the editor of a Device may
//! give it any address. A Device whose Connection does not allow its address has no claim. It must
//! never look into another namespace for anything but this, and no message names a Device of another
//! namespace. Called by the observe stage, which gathers the rivals, and by the report.

use std::{collections::BTreeMap, fmt};

use entente_crds::{
    digest::Digest,
    v1alpha1::{Connection, Device, DeviceClaim, DeviceConnection},
};
use ipnet::IpNet;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::delivery::{
    allows, digest,
    resolve::endpoint::{canonical, endpoint_key},
    verify::identity::{forbids_use, pinned_identity},
};
use crate::{identity::Identity, remote::DeviceReading};

/// Returns a digest of what a claim is about; another one begins it anew. Only what the Device
/// says counts: an edit of the Connection moves nobody. `None` for a Device without a connection.
pub fn claim_digest(device: &Device) -> Option<Digest> {
    let (first, others) = device.spec.connections.split_first()?;
    let of_first = (
        &first.name,
        device.spec.address.as_deref().map(canonical),
        first.port,
        &first.queue,
        &device.spec.serial_number,
    );
    if others.is_empty() {
        return Some(digest(&of_first));
    }
    let others: Vec<_> = others
        .iter()
        .map(|other| (&other.name, other.port, &other.queue))
        .collect();
    Some(digest(&(of_first, others)))
}

/// Returns the identity by which other Devices that meet the same machine through a connection find
/// this one: the identity last reported there, else the pinned one.
pub fn known_identity(device: &Device, connection: &str) -> Option<Identity> {
    let first = device.spec.connections.first();
    let is_first = first.is_some_and(|first| first.name == connection);
    let said = claim_of(device).filter(|_| is_first);
    said.and_then(identity_of)
        .or_else(|| pinned_identity(device, connection))
}

/// Returns the identity of a claim; one from before it had one spelling may have another.
fn identity_of(claim: &DeviceClaim) -> Option<Identity> {
    claim.identity.as_deref().and_then(Identity::of)
}

/// Returns the identities of a Device, of all its connections.
pub fn known_identities(device: &Device) -> Vec<Identity> {
    let connections = device.spec.connections.iter();
    connections
        .filter_map(|connection| known_identity(device, &connection.name))
        .collect()
}

/// True if a Device may have the machine at its address, as far as the Connection of its first
/// entry says: it exists, allows the namespace, has a URL for the Device, and an address that is no
/// name lies in a network of that namespace.
pub fn may_claim(
    device: &Device,
    connection: Option<&Connection>,
    namespace_labels: &BTreeMap<String, String>,
) -> bool {
    let Some(connection) = connection.filter(|it| allows(it, namespace_labels).is_some()) else {
        return false;
    };
    let mut chosen = device.spec.connections.iter();
    let url = chosen
        .next()
        .and_then(|first| endpoint_key(device, first, connection));
    if url.is_none() {
        return false;
    }
    is_within_networks(device, connection, namespace_labels)
}

/// True if the address of a Device is a name, or lies in a network that a Connection allows to the
/// namespace. The driver checks on each dial the address that is dialled.
pub(in crate::delivery) fn is_within_networks(
    device: &Device,
    connection: &Connection,
    namespace_labels: &BTreeMap<String, String>,
) -> bool {
    let address = canonical(device.spec.address.as_deref().unwrap_or_default());
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

/// The Device that has a machine, as far as another Device that meets it may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claimant {
    /// A Device of the same namespace.
    SameNamespace {
        /// Its name.
        name: String,
    },
    /// A Device of another namespace, whose names are no business of this one.
    AnotherNamespace,
}

impl Claimant {
    fn of(rival: &Device, own: &Device) -> Self {
        if rival.namespace() == own.namespace() {
            Self::SameNamespace {
                name: rival.name_any(),
            }
        } else {
            Self::AnotherNamespace
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameNamespace { name } => write!(f, "the Device {name}"),
            Self::AnotherNamespace => f.write_str("a Device of another namespace"),
        }
    }
}

/// Returns the rival that has the machine at one endpoint of a Device; `None` if the Device itself
/// has it. `connection` is that of the endpoint; `rivals` are other Devices that may have that
/// endpoint or the identity, and `may_claim` tells which of them [`may_claim`] it; `identity` is the
/// one that the machine last reported, else the pinned one.
///
/// A thousand rivals cost little: only one that comes before all so far is looked at.
pub fn claimant<'a>(
    own: &Device,
    chosen: &DeviceConnection,
    connection: Option<&Connection>,
    identity: Option<&Identity>,
    rivals: impl IntoIterator<Item = &'a Device>,
    may_claim: impl Fn(&Device) -> bool,
) -> Option<Claimant> {
    let (here, anywhere) = (rank(own), rank_by_identity(own, identity));
    let shares = connection.map(|it| sharing_endpoint(own, chosen, it));
    let wins = |rival: &Device, rank: &Rank<'_>| {
        if shares.as_ref().is_some_and(|shares| shares(rival)) {
            return has_a_say(rival) && *rank < here;
        }
        let has_proved = claim_of(rival)
            .is_some_and(|it| it.since.is_some() && identity_of(it).as_ref() == identity);
        identity.is_some() && has_proved && *rank < anywhere
    };
    let mut first = Rank::max(here, anywhere);
    let mut winner = None;
    for rival in rivals {
        if earliest_rank(rival) >= first {
            continue;
        }
        let rank = rank(rival);
        if rank < first && wins(rival, &rank) && may_claim(rival) {
            (first, winner) = (rank, Some(rival));
        }
    }
    winner.map(|rival| Claimant::of(rival, own))
}

/// True if one of these rivals has proved the very endpoint of a Device before it did: what answers
/// there is known without a request. One that has not proved it may never do so, and then somebody
/// has to look. The other arguments are as for [`claimant`].
pub fn is_proved_by_another<'a>(
    own: &Device,
    chosen: &DeviceConnection,
    connection: &Connection,
    rivals: impl IntoIterator<Item = &'a Device>,
    may_claim: impl Fn(&Device) -> bool,
) -> bool {
    let here = rank(own);
    let shares = sharing_endpoint(own, chosen, connection);
    let has_proved = |rival: &Device| claim_of(rival).is_some_and(|it| it.since.is_some());
    let mut rivals = rivals.into_iter();
    rivals.any(|rival| {
        earliest_rank(rival) < here
            && rank(rival) < here
            && has_proved(rival)
            && shares(rival)
            && may_claim(rival)
    })
}

/// Returns a test for rivals: true of one that meets what this Device meets through a connection.
fn sharing_endpoint(
    own: &Device,
    chosen: &DeviceConnection,
    connection: &Connection,
) -> impl Fn(&Device) -> bool {
    let endpoint = endpoint_key(own, chosen, connection);
    move |rival| {
        let mut same = rival.spec.connections.iter();
        endpoint.is_some()
            && same
                .any(|it| it.name == chosen.name && endpoint_key(rival, it, connection) == endpoint)
    }
}

/// Returns the claim of a Device that is about what its spec says now.
fn claim_of(device: &Device) -> Option<&DeviceClaim> {
    let claim = device.status.as_ref()?.claim.as_ref()?;
    (Some(claim.endpoint_digest) == claim_digest(device)).then_some(claim)
}

/// True if an endpoint can be a Device's that has not proved it: one whose machine turned out to
/// be another one, or that was not let there, does not stand in the way.
fn has_a_say(device: &Device) -> bool {
    let Some(claim) = claim_of(device) else {
        return true;
    };
    let faults = device.status.iter().flat_map(|it| &it.connections);
    let mut faults = faults.filter_map(|connection| connection.fault.as_ref());
    claim.since.is_some() || !faults.any(forbids_use)
}

/// Class, instant of proof or of naming, creation, namespace and name.
type Rank<'a> = (u8, Option<Timestamp>, Option<Timestamp>, &'a str, &'a str);

/// Returns the rank by which the claim is decided, lowest first: Devices that have proved the
/// machine, in the order of their proofs; then those that name it, in the order in which they did;
/// then those that no pass has seen, by creation.
fn rank(device: &Device) -> Rank<'_> {
    rank_of(device, claim_of(device))
}

/// Returns a rank that is no later than [`rank`], without a digest: what the claim is about may have
/// been edited since, and then it does not count.
fn earliest_rank(device: &Device) -> Rank<'_> {
    let status = device.status.as_ref();
    rank_of(device, status.and_then(|status| status.claim.as_ref()))
}

/// Returns the rank among Devices that meet one machine at several places: a proof of another
/// machine at a Device's own place does not count for this one.
fn rank_by_identity<'a>(device: &'a Device, identity: Option<&Identity>) -> Rank<'a> {
    let about = claim_of(device).filter(|it| identity_of(it).as_ref() == identity);
    rank_of(device, about)
}

fn rank_of<'a>(device: &'a Device, claim: Option<&DeviceClaim>) -> Rank<'a> {
    let (class, since) = match claim {
        Some(DeviceClaim {
            since: Some(since), ..
        }) => (0, Some(*since)),
        Some(claim) => (1, Some(claim.named)),
        None => (2, None),
    };
    let metadata = &device.metadata;
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    (class, since, created, namespace, name)
}

/// True if the machine of a Device was not proved yet to be the one that is meant.
pub(super) fn is_unproved(device: &Device) -> bool {
    claim_of(device).is_none_or(|claim| claim.since.is_none())
}

/// Result of a pass as far as a claim depends on it.
pub(super) struct Look<'a> {
    /// True if the Device [`may_claim`] its machine.
    pub(super) may_claim: bool,
    /// True if another Device has it.
    pub(super) is_claimed_by_another: bool,
    /// Reading of the machine, if it answered as the expected one.
    pub(super) said: Option<&'a DeviceReading>,
}

/// Returns the claim of a Device after a pass. A Device that may not reach the machine has none,
/// and begins a new one when it may: meanwhile the machine may have become another's.
pub(super) fn next_claim(device: &Device, look: &Look<'_>, now: Timestamp) -> Option<DeviceClaim> {
    if !look.may_claim {
        return None;
    }
    let mut claim = match claim_of(device) {
        Some(claim) => claim.clone(),
        None => DeviceClaim {
            endpoint_digest: claim_digest(device)?,
            named: now,
            since: None,
            identity: None,
        },
    };
    if let Some(DeviceReading { identity, .. }) = look.said
        && (claim.since.is_none()
            || identity_of(&claim) != identity.as_deref().and_then(Identity::of))
    {
        // The second claimant remembers the machine that it waits for.
        claim.since = (!look.is_claimed_by_another).then_some(now);
        claim.identity = identity.as_deref().map(Into::into);
    }
    Some(claim)
}
