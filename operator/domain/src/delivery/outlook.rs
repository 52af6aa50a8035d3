//! Outlook: the obstacles that the objects alone put in the way of the subscriptions on a device, now and
//! at each date that lies ahead.
//!
//! Decides nothing of its own: at each instant the wants are resolved as in a pass. It asks no remote side
//! and reads no Secret, so that it says nothing about them. Called by `kubectl entente plan` for the
//! objects as they are and as they would be.

pub(in crate::delivery) mod calls;
mod obeyed;

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::digest::Digest;
use entente_crds::v1alpha1::{Connection, DriftPolicy, Item};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::condition::find;
use crate::delivery::claim::is_within_networks;
use crate::delivery::resolve::resolve;
use crate::delivery::{Blocked, DeviceSnapshot, Intent, ResolvedDevice, ResolvedSubscription};
use crate::secret::{SecretText, Secrets};

/// The most dates of one device that are looked at.
const MOST_DATES: usize = 32;

/// Obstacle that a subscription meets on its device.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Obstacle {
    /// Name of the subscription.
    pub subscription: String,
    /// Name of its contract.
    pub contract: String,
    /// Name of the device.
    pub device: String,
    /// Reason of the condition that would report it.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// The instant from which on it is there; `None` for now.
    pub from: Option<Timestamp>,
}

/// Wants of the subscriptions on a device, with what is in their way.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// Obstacles, each once with the first instant at which it is there.
    pub obstacles: Vec<Obstacle>,
    /// Digest of the machine and the way to it; `None` if it cannot be reached.
    target: Option<Digest>,
    /// Digest of each item that is wanted now, by subscription.
    wanted: BTreeMap<String, BTreeMap<String, Digest>>,
    /// Settings that somebody has changed at the device and that are left so, by subscription.
    drifted: BTreeMap<String, BTreeSet<String>>,
}

/// Returns the outlook of a device at `now`.
pub fn outlook(snapshot: &DeviceSnapshot, now: Timestamp) -> Outlook {
    let snapshot = with_unknown_secrets(snapshot);
    let mut found = Outlook::default();
    let mut known = BTreeSet::new();
    let dates = dates(&snapshot, now).into_iter().map(Some);
    for from in std::iter::once(None).chain(dates) {
        let resolved = resolve(&snapshot, from.unwrap_or(now));
        for subscription in &resolved.subscriptions {
            let Some(blocked) = obstacle(&snapshot, &resolved, subscription) else {
                continue;
            };
            let key = (subscription.name.clone(), blocked.reason);
            if known.insert(key) {
                found
                    .obstacles
                    .push(told(&snapshot, subscription, blocked, from));
            }
        }
        if from.is_none() {
            found.target = resolved.target_digest;
            found.wanted = wanted(&resolved);
            found.drifted = drifted(&snapshot);
        }
    }
    found
}

impl Outlook {
    /// Adds the obstacles that a device which calls has told of, but those that the objects tell already.
    pub fn add(&mut self, calls: Option<&calls::Calls>) {
        for obstacle in calls.iter().flat_map(|calls| &calls.obstacles) {
            let key = |it: &Obstacle| (it.subscription.clone(), it.reason);
            let mut known = self.obstacles.iter();
            if !known.any(|it| key(it) == key(obstacle)) {
                self.obstacles.push(obstacle.clone());
            }
        }
    }

    /// Returns a sentence about each subscription to which something is sent anew although it stays as it
    /// is: its device is another one, or the catalogue gives it other values. `before` is the outlook of
    /// the same device before the change. The key is the name of the subscription.
    pub fn sent_anew(&self, before: &Self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let both = before.target.zip(self.target);
        let is_another = both.is_some_and(|(old, new)| old != new);
        for (name, items) in &self.wanted {
            let Some(old) = before.wanted.get(name).filter(|it| !it.is_empty()) else {
                continue;
            };
            if is_another {
                let words =
                    "another machine or another way to it: everything is sent and proved anew";
                found.insert(name.clone(), words.to_owned());
                continue;
            }
            let is_left = |outlook: &Self, key: &str| {
                let left = outlook.drifted.get(name);
                left.is_some_and(|left| left.contains(key))
            };
            let differ = items.iter().filter(|(key, digest)| {
                let is_set_again = is_left(before, key) && !is_left(self, key);
                is_set_again || old.get(*key).is_none_or(|before| before != *digest)
            });
            let mut names: Vec<&str> = differ.map(|(key, _)| &**key).collect();
            names.sort_unstable();
            if !names.is_empty() {
                found.insert(name.clone(), format!("sent anew: {}", names.join(", ")));
            }
        }
        found
    }
}

/// Returns the settings that somebody has changed at the device and that are left so, by subscription.
fn drifted(snapshot: &DeviceSnapshot) -> BTreeMap<String, BTreeSet<String>> {
    let device = snapshot.device.as_deref();
    let policy = device.and_then(|device| device.spec.drift_policy);
    if policy != Some(DriftPolicy::Report) {
        return BTreeMap::new();
    }
    let told = device.and_then(|device| device.status.as_ref());
    let told = told.map_or(&[][..], |status| &status.drift);
    let subscriptions = snapshot.subscriptions.iter();
    let left = subscriptions.map(|subscription| {
        let items = subscription.status.iter().flat_map(|it| &it.items);
        let is_told = |item: &&Item| {
            let mut told = told.iter();
            item.was_effective && told.any(|it| item.key.name() == Some(it.name.as_str()))
        };
        let keys = items.filter(is_told).map(|item| item.key.to_string());
        (subscription.name_any(), keys.collect())
    });
    left.collect()
}

fn told(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
    blocked: Blocked,
    from: Option<Timestamp>,
) -> Obstacle {
    let object = snapshot.subscription(&subscription.name);
    Obstacle {
        subscription: subscription.name.to_string(),
        contract: object.map_or_else(String::new, |it| it.spec.contract.name.clone()),
        device: snapshot.device_name.clone(),
        reason: blocked.reason,
        message: blocked.message,
        from,
    }
}

/// Returns the instants ahead at which a revision on the device begins or ends, the first ones.
fn dates(snapshot: &DeviceSnapshot, now: Timestamp) -> BTreeSet<Timestamp> {
    let all = snapshot.subscriptions.iter();
    let revisions = all.flat_map(|it| &it.spec.revisions);
    let dates = revisions.flat_map(|it| [Some(it.effective), it.until]);
    let ahead: BTreeSet<Timestamp> = dates.flatten().filter(|at| *at > now).collect();
    ahead.into_iter().take(MOST_DATES).collect()
}

/// Returns the obstacle to a subscription that is in force, the one that its status would name first.
fn obstacle(
    snapshot: &DeviceSnapshot,
    resolved: &ResolvedDevice,
    subscription: &ResolvedSubscription,
) -> Option<Blocked> {
    let object = snapshot.subscription(&subscription.name)?;
    let is_suspended = subscription.intent == Intent::Suspended;
    if is_suspended && !object.spec.contract.suspend {
        let message = format!("the Device {} is suspended", snapshot.device_name);
        return Some(Blocked::new(Reason::Suspended, message));
    }
    if subscription.intent != Intent::SetUp {
        return None;
    }
    let server = subscription.server.as_ref();
    let items = subscription.items();
    let conflicts = items.filter_map(|(_, item)| item.conflict.clone());
    subscription
        .refused
        .clone()
        .into_iter()
        .chain(conflicts)
        .chain(server.and_then(|server| server.url.clone().err()))
        .find(|it| !passes_by_itself(it.reason))
        .or_else(|| outside_of_networks(snapshot, resolved))
        .or_else(|| connection_not_ready(snapshot, server.map(|it| it.connection.as_str())))
}

/// True if delivery waits for this only as long as it is at work.
fn passes_by_itself(reason: Reason) -> bool {
    matches!(reason, Reason::HandingOver | Reason::Waiting)
}

/// Returns the obstacle of a device of which no address may be dialled.
fn outside_of_networks(snapshot: &DeviceSnapshot, resolved: &ResolvedDevice) -> Option<Blocked> {
    let device = snapshot.device.as_deref()?;
    let usable = resolved.connections.iter().filter(|it| it.endpoint.is_ok());
    let mut usable = usable.filter_map(|it| Some((&it.name, snapshot.connections.get(&it.name)?)));
    let reaches = |connection: &Connection| {
        is_within_networks(device, connection, &snapshot.namespace_labels)
    };
    let (name, first) = usable.next()?;
    if reaches(first) || usable.any(|(_, connection)| reaches(connection)) {
        return None;
    }
    let address = device.spec.address.as_deref().unwrap_or_default();
    let message = format!(
        "{address}, the address of the Device {}, lies in no network that the Connection {name} allows \
         to the namespace {}",
        snapshot.device_name, snapshot.namespace
    );
    Some(Blocked::new(Reason::NotAllowed, message))
}

/// Returns the obstacle of a Connection that is not Ready: that of the server, or of the device if it has
/// only one.
fn connection_not_ready(snapshot: &DeviceSnapshot, server: Option<&str>) -> Option<Blocked> {
    let device = snapshot.device.iter().flat_map(|it| &it.spec.connections);
    let of_device: Vec<&str> = device.map(|it| it.name.as_str()).collect();
    let only = match of_device.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    server.into_iter().chain(only).find_map(|name| {
        let connection = snapshot.connections.get(name)?;
        let conditions = connection.status.as_ref().map(|it| &*it.conditions)?;
        let said = find(conditions, ConditionType::Ready)?;
        // What was said of another spec is not known of this one.
        let seen = said.observed_generation;
        let is_of_another = seen.is_some() && seen < connection.metadata.generation;
        if said.status != "False" || is_of_another {
            return None;
        }
        let reason = Reason::ALL.iter().find(|it| it.as_str() == said.reason)?;
        let message = format!(
            "the Connection {name} is not ready: {}",
            said.message.as_str()
        );
        Some(Blocked::new(*reason, message))
    })
}

fn wanted(resolved: &ResolvedDevice) -> BTreeMap<String, BTreeMap<String, Digest>> {
    let in_force = resolved.subscriptions.iter();
    let in_force = in_force.filter(|it| it.intent == Intent::SetUp && it.refused.is_none());
    let of_one = |subscription: &ResolvedSubscription| {
        let items = subscription.items();
        let digests = items.map(|(_, item)| (item.key.to_string(), item.digest));
        (subscription.name.to_string(), digests.collect())
    };
    in_force.map(of_one).collect()
}

/// Returns the snapshot with one text in the place of each Secret, none of which is read: nothing that
/// follows from its value is said.
fn with_unknown_secrets(snapshot: &DeviceSnapshot) -> DeviceSnapshot {
    let mut snapshot = snapshot.clone();
    let revisions = snapshot
        .subscriptions
        .iter()
        .flat_map(|it| &it.spec.revisions);
    let parameters = revisions.flat_map(|it| &it.secret_parameters);
    let unknown = SecretText::of_catalogue("");
    let secrets = parameters.map(|it| (it.secret_key_ref.clone(), Ok(unknown.clone())));
    snapshot.secrets = Secrets(secrets.collect());
    snapshot
}
