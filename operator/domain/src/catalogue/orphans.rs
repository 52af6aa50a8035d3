//! The list of orphans of a Connection: instances that withdrawals left behind on its broker.
//!
//! Decides what is listed: given up by a subscription and not yet gone, not in service again, not
//! forgotten by a person. Never decides to remove one: that is [`super::removals`]. Called by the
//! report of a Connection, after every probe and after every attempt to remove an orphan.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    ANNOTATION_FORGET_ORPHAN,
    v1alpha1::{Connection, Orphan, OrphanedBy, ServiceSubscription},
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::listing::some_of;

/// The most orphans that a Connection lists; where there is no room, withdrawals that gave up wait.
pub const MOST_ORPHANS: usize = 256;

/// The most bytes that all orphans of a Connection have: a half of what etcd stores as one object
/// (1.5 MiB by default), since an object that is larger cannot be written at all.
const MOST_BYTES: usize = 768 * 1024;

/// Number of ids and namespaces that a message names.
pub(super) const MOST_NAMES: usize = 4;

/// A namespace gets another place while it has less than so many times what is free: three quarters
/// of the list, where it is alone.
const SHARE: usize = 3;

/// The most bytes of orphans up to which one is listed with its operation, which may have 10,000
/// characters and which nobody needs in order to remove the instance.
pub(super) const MOST_BYTES_WITH_OPERATIONS: usize = 256 * 1024;

/// The instances behind a Connection, as subscriptions have them.
#[derive(Clone, Debug, Default)]
pub struct BrokerInstances {
    /// Subscriptions whose withdrawal was given up with an instance there.
    pub abandoned: Vec<ServiceSubscription>,
    /// The ids of instances there that subscriptions have in service.
    pub in_service: BTreeSet<String>,
}

/// The orphans of a Connection, as its status lists them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct OrphanList {
    pub(super) orphans: Vec<Orphan>,
    /// The ids in the annotation that were acted on.
    pub(super) forgotten: Vec<String>,
    /// The namespaces with orphans for which there was no room.
    pub(super) without_room: BTreeSet<String>,
    /// The ids in the annotation that are none of an orphan.
    pub(super) unknown: Vec<String>,
}

impl OrphanList {
    /// Returns the list after another look at what subscriptions have, from the list in the status
    /// and what became of it since.
    pub(super) fn of(
        connection: &Connection,
        mut orphans: Vec<Orphan>,
        instances: &BrokerInstances,
        now: Timestamp,
    ) -> Self {
        let without_room = take_over(&mut orphans, &instances.abandoned);
        let known: BTreeSet<String> = orphans.iter().map(|it| it.instance_id.clone()).collect();
        let wish = wish(connection);
        let before = forgotten_before(connection);
        for orphan in &mut orphans {
            let id = &orphan.instance_id;
            // While a request may be under way that removes it, it has to be known.
            if orphan.removal.is_none() && wish.contains(id) && !before.contains(id) {
                orphan.gone.get_or_insert(now);
            }
        }
        let is_settled = |id: &String| {
            let mut listed = orphans.iter();
            before.contains(id) || listed.any(|it| it.instance_id == *id && it.gone.is_some())
        };
        let forgotten: Vec<String> = wish.iter().filter(|id| is_settled(id)).cloned().collect();
        let unknown = wish
            .iter()
            .filter(|id| !known.contains(*id) && !forgotten.contains(id))
            .cloned()
            .collect();
        let left_by = |orphan: &Orphan| {
            let mut abandoned = instances.abandoned.iter();
            abandoned.any(|it| recorded_id(it) == Some(&orphan.instance_id))
        };
        orphans.retain(|orphan| {
            // The id of an instance is made of names alone, so that a contract that is applied again
            // finds the instance that was left behind.
            let in_service = instances.in_service.contains(&orphan.instance_id);
            orphan.removal.is_some() || !in_service && (orphan.gone.is_none() || left_by(orphan))
        });
        orphans.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
        Self {
            orphans,
            forgotten,
            without_room,
            unknown,
        }
    }

    /// Returns the number of orphans that are not gone.
    pub(super) fn count(&self) -> i64 {
        let left = self.orphans.iter().filter(|orphan| orphan.gone.is_none());
        i64::try_from(left.count()).unwrap_or(i64::MAX)
    }

    /// Returns a sentence about ids in the annotation that are none of an orphan.
    pub(super) fn warning(&self) -> Option<String> {
        if self.unknown.is_empty() {
            return None;
        }
        let unknown = some_of(self.unknown.iter(), MOST_NAMES);
        let left = self.orphans.iter().filter(|orphan| orphan.gone.is_none());
        let listed = some_of(left.map(|orphan| &orphan.instance_id), MOST_NAMES);
        let allowed = if listed.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are: {listed}")
        };
        Some(format!(
            "The annotation {ANNOTATION_FORGET_ORPHAN} names {unknown}, which is no instanceId in \
             status.orphans; {allowed}."
        ))
    }
}

/// True if a person asked to take an instance out of the list and that is not done yet.
pub(super) fn is_to_be_forgotten(connection: &Connection, instance_id: &str) -> bool {
    wish(connection).contains(instance_id) && !forgotten_before(connection).contains(instance_id)
}

/// Returns the ids in the annotation by which a person takes orphans out of the list.
fn wish(connection: &Connection) -> BTreeSet<String> {
    let text = connection.annotations().get(ANNOTATION_FORGET_ORPHAN);
    let ids = text.into_iter().flat_map(|text| text.split(','));
    let ids = ids.map(str::trim).filter(|id| !id.is_empty());
    ids.map(str::to_owned).take(MOST_ORPHANS).collect()
}

fn forgotten_before(connection: &Connection) -> BTreeSet<String> {
    let status = connection.status.iter();
    status
        .flat_map(|status| &status.forgotten)
        .cloned()
        .collect()
}

fn recorded_id(subscription: &ServiceSubscription) -> Option<&String> {
    let status = subscription.status.as_ref()?;
    Some(&status.server.as_ref()?.instance_id)
}

/// Adds the instances that subscriptions gave up. Returns the namespaces of those for which there is
/// no room.
fn take_over(orphans: &mut Vec<Orphan>, abandoned: &[ServiceSubscription]) -> BTreeSet<String> {
    let mut new: BTreeMap<String, Vec<Orphan>> = BTreeMap::new();
    for orphan in abandoned.iter().filter_map(orphan_of) {
        let mut known = orphans.iter_mut();
        let known = known.find(|known| known.instance_id == orphan.instance_id);
        match known {
            // It was in service again, and was given up again.
            Some(known) if known.since != orphan.since => {
                let removal = known.removal.take();
                *known = Orphan { removal, ..orphan };
            }
            Some(_) => {}
            None => {
                let of_namespace = new.entry(namespace(&orphan).to_owned());
                of_namespace.or_default().push(orphan);
            }
        }
    }
    let mut room = Room::default();
    for orphan in orphans.iter() {
        room.take(orphan);
    }
    let mut without = BTreeSet::new();
    for mut orphan in in_turn(new) {
        if room.all.bytes + size_of(&orphan) > MOST_BYTES_WITH_OPERATIONS {
            orphan.operation = None;
        }
        if room.is_there_for(&orphan) {
            room.take(&orphan);
            orphans.push(orphan);
        } else {
            without.insert(namespace(&orphan).to_owned());
        }
    }
    without
}

/// Returns the first of each namespace, then the second of each, and so on.
fn in_turn(orphans: BTreeMap<String, Vec<Orphan>>) -> Vec<Orphan> {
    let of_one = orphans
        .into_values()
        .flat_map(|it| it.into_iter().enumerate());
    let mut all: Vec<(usize, Orphan)> = of_one.collect();
    all.sort_by_key(|(turn, _)| *turn);
    all.into_iter().map(|(_, orphan)| orphan).collect()
}

/// Returns the namespace that left an orphan behind; that of those listed by an old version is not
/// known.
fn namespace(orphan: &Orphan) -> &str {
    let left_by = orphan.subscription.as_ref();
    left_by.map_or("", |left_by| &left_by.namespace)
}

/// The places and bytes that orphans have.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    places: usize,
    bytes: usize,
}

/// The room of a list, by the namespaces that have it. A namespace gets another place only while it
/// has less than [`SHARE`] times what is free, so that no one fills the list for another.
#[derive(Debug, Default)]
struct Room {
    all: Taken,
    by_namespace: BTreeMap<String, Taken>,
}

impl Room {
    fn take(&mut self, orphan: &Orphan) {
        let of_namespace = self.by_namespace.entry(namespace(orphan).to_owned());
        for taken in [&mut self.all, of_namespace.or_default()] {
            taken.places += 1;
            taken.bytes += size_of(orphan);
        }
    }

    fn is_there_for(&self, orphan: &Orphan) -> bool {
        let of_namespace = self.by_namespace.get(namespace(orphan));
        let own = of_namespace.copied().unwrap_or_default();
        let free_places = MOST_ORPHANS.saturating_sub(self.all.places);
        let free_bytes = MOST_BYTES.saturating_sub(self.all.bytes);
        free_places > 0
            && size_of(orphan) <= free_bytes
            && own.places < SHARE * free_places
            && own.bytes < SHARE * free_bytes
    }
}

/// Returns the orphan that a subscription gave up.
fn orphan_of(subscription: &ServiceSubscription) -> Option<Orphan> {
    let recorded = subscription.status.as_ref()?.server.as_ref()?;
    let (namespace, name) = (
        subscription.namespace().unwrap_or_default(),
        subscription.name_any(),
    );
    Some(Orphan {
        instance_id: recorded.instance_id.clone(),
        broker: recorded.broker.clone(),
        service_id: recorded.service_id.clone(),
        plan_id: recorded.plan_id.clone(),
        operation: recorded.operation.as_ref().and_then(|it| it.id.clone()),
        since: recorded.orphaned?,
        reason: format!("the withdrawal of {namespace}/{name} was given up").into(),
        subscription: Some(OrphanedBy { namespace, name }),
        ..Orphan::default()
    })
}

/// Returns the size of an orphan in a request, in bytes.
pub(super) fn size_of(orphan: &Orphan) -> usize {
    serde_json::to_vec(orphan).map_or(MOST_BYTES, |text| text.len())
}
