//! The set of subscriptions of one accepted contract.
//!
//! Decides which subscriptions are made, changed, deleted, held back or waited for, from the segments
//! of each device. It must never look at a contract that is not accepted. Called by `resolve`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::v1alpha1::{
    Contract, ExcludedTime, NameReference, Revision, ServiceSubscription, ServiceSubscriptionSpec,
    SubscriptionContract, SubscriptionCustomer,
};
use jiff::{SignedDuration, Timestamp};

use super::exclusions::{Exclusions, exclude, exclude_first};
use super::overlay::StageEntry;
use super::parsed::created;
use super::revisions::{Dates, Segment, advance, from_now, from_start, instant};
use super::segments::SegmentsByDevice;
use super::{
    ContractWorld, DesiredSubscription, DeviceFacts, EntryDevices, ResolvedContract,
    SubscriptionHandle, SubscriptionUpdate, is_adopted, is_own, is_terminating, name_of,
};
use crate::promise;

/// Time for which a subscription that came back from a backup is kept although it is not wanted.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The set of subscriptions of one accepted contract.
pub(super) struct Subscriptions<'a> {
    world: &'a ContractWorld,
    existing: BTreeMap<&'a str, &'a ServiceSubscription>,
    devices: BTreeMap<&'a str, &'a DeviceFacts>,
    dates: Dates,
    /// The times that are not owed, and the instant since which they are known.
    exclusions: (&'a Exclusions<'a>, Timestamp),
    now: Timestamp,
    common: ServiceSubscriptionSpec,
}

impl<'a> Subscriptions<'a> {
    pub(super) fn new(
        world: &'a ContractWorld,
        dates: Dates,
        exclusions: (&'a Exclusions<'a>, Timestamp),
        now: Timestamp,
    ) -> Self {
        let contract = &world.contract;
        let spec = &contract.spec;
        let existing = world.subscriptions.iter().map(|found| {
            let name = found.metadata.name.as_deref().unwrap_or_default();
            (name, &**found)
        });
        let devices = world
            .devices
            .iter()
            .map(|device| (device.name.as_str(), device));
        Self {
            world,
            existing: existing.collect(),
            devices: devices.collect(),
            dates,
            exclusions,
            now,
            common: ServiceSubscriptionSpec {
                contract: SubscriptionContract {
                    name: name_of(contract).to_owned(),
                    uid: contract.metadata.uid.clone().unwrap_or_default(),
                    start: dates.start,
                    created: created(contract, now),
                    suspend: spec.suspend,
                    deletion_policy: spec.deletion_policy,
                },
                customer: SubscriptionCustomer {
                    id: spec.customer.id.clone(),
                },
                time_zone: spec.term.time_zone.clone(),
                lead_time: spec.preparation.clone().unwrap_or_default().lead_time,
                ..ServiceSubscriptionSpec::default()
            },
        }
    }

    pub(super) fn fill(
        &self,
        segments: &SegmentsByDevice<'_>,
        (current, in_force): (usize, &[StageEntry<'_>]),
        resolved: &mut ResolvedContract,
    ) {
        let mut ended: BTreeSet<(&str, &str)> = BTreeSet::new();
        for ((entry, device), segments) in segments {
            let is_left = segments.last().is_some_and(|last| last.has_ended(self.now));
            // Withdrawn by an amendment; what is over with the term stays as it was.
            if is_left && !self.dates.is_over(self.now) {
                ended.insert((entry, device));
                continue;
            }
            let is_out = !segments.iter().any(|it| it.is_in_stage(current));
            let is_kept = || {
                let live = self.live(entry, device);
                let until = live.and_then(|live| kept_until(&self.world.contract, live));
                until.is_some_and(|until| until > self.now)
            };
            if is_out && (is_kept() || self.is_held(entry, device, in_force, &resolved.entries)) {
                continue;
            }
            self.one(entry, device, segments, resolved);
        }
        self.surplus(in_force, &ended, resolved);
        let changes = &mut resolved.changes;
        resolved
            .desired
            .sort_unstable_by(|a, b| a.name.cmp(&b.name));
        changes.create.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        changes
            .update
            .sort_unstable_by(|a, b| a.handle.cmp(&b.handle));
        changes.delete.sort_unstable();
        changes.held.sort_unstable();
        changes.restored.sort_unstable();
        changes.waiting.sort_unstable();
    }

    /// Adds the subscription of one entry on one device, and the write that it needs.
    fn one(
        &self,
        entry: &str,
        device: &str,
        segments: &[Segment<'_>],
        resolved: &mut ResolvedContract,
    ) {
        let contract = &self.world.contract;
        let name = format!("{}.{entry}.{device}", name_of(contract));
        let desired = |name: String, revisions: Vec<Arc<Revision>>, restored| {
            let spec = ServiceSubscriptionSpec {
                service_name: entry.to_owned(),
                device_ref: NameReference {
                    name: device.to_owned(),
                },
                revisions,
                restored,
                ..self.common.clone()
            };
            Arc::new(DesiredSubscription { name, spec })
        };
        let excluded = self.excluded(device);
        let found = self.existing.get(name.as_str()).copied();
        if let Some(live) = found.filter(|found| is_own(contract, found) && !is_terminating(found))
        {
            let revisions = advance(live, segments, &self.dates, self.now);
            let revisions = revisions.and_then(|it| exclude(it, live, &excluded, self.now));
            if revisions.is_none() {
                resolved.changes.held.push(name.clone());
            }
            let kept = || live.spec.revisions.clone();
            let restored = self.restored(live);
            let desired = desired(name, revisions.unwrap_or_else(kept), restored);
            if desired.spec != live.spec {
                let update = SubscriptionUpdate::new(contract, live, &desired);
                resolved.changes.update.push(update);
            }
            resolved.desired.push(desired);
        } else if let Some((revisions, restored)) = self.first(&name, device, segments) {
            let revisions = exclude_first(revisions, &excluded, self.exclusions.1);
            let desired = desired(name, revisions, restored);
            let exists = found.is_some() || self.world.unreadable.contains(&desired.name);
            if exists {
                resolved.changes.waiting.push(desired.name.clone());
            } else {
                resolved.changes.create.push(Arc::clone(&desired));
            }
            resolved.desired.push(desired);
        }
    }

    /// Returns the instant at which a subscription came back: now, if it is adopted.
    fn restored(&self, live: &ServiceSubscription) -> Option<Timestamp> {
        let adopted = is_adopted(&self.world.contract, live).then(|| instant(self.now));
        adopted.max(live.spec.restored)
    }

    /// Returns the adoption of a subscription that is not wanted: only then is its withdrawal waited for.
    fn adoption(&self, live: &ServiceSubscription) -> SubscriptionUpdate {
        let spec = ServiceSubscriptionSpec {
            contract: self.common.contract.clone(),
            restored: self.restored(live),
            ..live.spec.clone()
        };
        let name = live.metadata.name.clone().unwrap_or_default();
        let desired = Arc::new(DesiredSubscription { name, spec });
        SubscriptionUpdate::new(&self.world.contract, live, &desired)
    }

    /// Returns the entries of a subscription that does not exist, and the instant at which it is made
    /// again if it had existed; `None` if there is nothing to make.
    fn first(
        &self,
        name: &str,
        device: &str,
        segments: &[Segment<'_>],
    ) -> Option<(Vec<Arc<Revision>>, Option<Timestamp>)> {
        let Self { dates, now, .. } = self;
        let first = segments.first()?;
        if dates.is_over(*now) && !self.was_never_judged(name, device, first.named) {
            return None;
        }
        let existed = self.existed(name, device, first);
        if !existed && self.came_later(device, first) {
            return Some((from_now(device, segments, dates, *now)?, None));
        }
        let restored = existed && first.from <= *now;
        let revisions = from_start(device, segments, dates)?;
        Some((revisions, restored.then(|| instant(*now))))
    }

    fn live(&self, entry: &str, device: &str) -> Option<&'a ServiceSubscription> {
        let name = format!("{}.{entry}.{device}", name_of(&self.world.contract));
        self.existing.get(name.as_str()).copied()
    }

    /// True if a service runs on a device that has left its entry, and its withdrawal is held back.
    fn is_held(
        &self,
        entry: &str,
        device: &str,
        in_force: &[StageEntry<'_>],
        counts: &[EntryDevices],
    ) -> bool {
        let live = self.live(entry, device);
        let runs =
            live.is_some_and(|live| promise::in_force(&live.spec.revisions, self.now).is_some());
        let mut entries = in_force.iter();
        let found = entries.find(|it| it.service.name == entry);
        runs && found.is_some_and(|found| is_pending(found, device, counts))
    }

    /// Returns the creation of a device that exists.
    fn created(&self, device: &str) -> Option<Timestamp> {
        self.devices.get(device).map(|device| device.created)
    }

    /// Returns the times of a device that are not owed.
    fn excluded(&self, device: &str) -> Vec<ExcludedTime> {
        let labels = self.devices.get(device).map(|device| &device.labels);
        self.exclusions.0.of_device(device, labels)
    }

    /// True if the promise of a subscription whose term is over was never judged: the contract is
    /// first seen now. It is made all the same, so that what was promised is judged and owed. One
    /// that existed and was removed after the end is not, nor is one for a device that a label
    /// brought after it.
    fn was_never_judged(&self, name: &str, device: &str, named: bool) -> bool {
        let contract = &self.world.contract;
        let status = contract.status.as_ref();
        let existed = status.is_some_and(|status| status.established.is_some())
            || self.world.recreated.contains(name)
            || self.world.unreadable.contains(name)
            || self
                .existing
                .get(name)
                .is_some_and(|found| is_own(contract, found));
        let created = self.created(device);
        let took_part = created.zip(self.dates.end);
        let took_part = named || took_part.is_some_and(|(created, end)| created < end);
        self.dates.promised && !existed && took_part
    }

    /// True if a subscription that does not exist was written before: it was deleted by hand or
    /// restored from a backup.
    fn existed(&self, name: &str, device: &str, first: &Segment<'_>) -> bool {
        let contract = &self.world.contract;
        let status = contract.status.as_ref();
        let established = status.and_then(|status| status.established);
        let was_written = match first.amended {
            None => established,
            Some(amended) => amended.was_accepted.then_some(first.from),
        };
        let Some(was_written) = was_written else {
            return false;
        };
        let unchanged =
            status.and_then(|status| status.observed_generation) == contract.metadata.generation;
        let created = self.created(device);
        let took_part = first.named || created.is_some_and(|created| created < was_written);
        let may_be = unchanged && took_part && !self.all_are_there();
        self.world.recreated.contains(name) || may_be
    }

    /// True if as many subscriptions exist as the status counts, so that none was lost: a device that
    /// lacks one was given its label since.
    fn all_are_there(&self) -> bool {
        let contract = &self.world.contract;
        let status = contract.status.as_ref();
        let counted = status.and_then(|status| status.subscriptions.as_ref());
        let counted = counted.and_then(|it| usize::try_from(it.total).ok());
        let at = self.now.max(self.dates.start);
        let existing = self.existing.values().filter(|found| {
            is_own(contract, found)
                && !is_terminating(found)
                && promise::in_force(&found.spec.revisions, at).is_some()
        });
        let there = existing.count() + self.world.unreadable.len();
        counted.is_some_and(|counted| counted <= there)
    }

    /// True if a device has come to an entry after that began: by a plain edit or a label, which
    /// promises nothing, or by an amendment that was made after its own instant.
    fn came_later(&self, device: &str, first: &Segment<'_>) -> bool {
        if self.now < first.from {
            return false;
        }
        let Some(amended) = first.amended else {
            let status = self.world.contract.status.as_ref();
            return status.is_some_and(|status| status.established.is_some());
        };
        let created = self.created(device);
        let took_part = first.named || created.is_some_and(|created| created <= first.from);
        amended.was_accepted || !first.is_promised(&self.dates) || !took_part
    }

    /// Deletes subscriptions that are not wanted, or holds their withdrawal back; of `ended` entries and
    /// devices an amendment says so.
    fn surplus(
        &self,
        in_force: &[StageEntry<'_>],
        ended: &BTreeSet<(&str, &str)>,
        resolved: &mut ResolvedContract,
    ) {
        let contract = &self.world.contract;
        let wanted: BTreeSet<&str> = resolved
            .desired
            .iter()
            .map(|desired| desired.name.as_str())
            .collect();
        for (name, found) in &self.existing {
            if wanted.contains(name) || !is_own(contract, found) || is_terminating(found) {
                continue;
            }
            if is_adopted(contract, found) {
                resolved.changes.update.push(self.adoption(found));
                continue;
            }
            // One that has ended needs nothing that may come later. The backup may be older than the
            // amendment that ended it.
            let of = (&*found.spec.service_name, &*found.spec.device_ref.name);
            let is_over = ended.contains(&of) || has_ended(found, self.now);
            let kept = kept_until(contract, found).filter(|until| !is_over && *until > self.now);
            if let Some(until) = kept {
                let again = resolved.next_change.into_iter().chain([until]).min();
                resolved.next_change = again;
                resolved.changes.restored.push((*name).to_owned());
                continue;
            }
            let entry = |entry: &&StageEntry<'_>| entry.service.name == found.spec.service_name;
            match in_force.iter().find(entry) {
                Some(StageEntry { service, .. })
                    if !self.world.services.contains_key(&service.service_ref.name) => {}
                Some(entry)
                    if is_pending(entry, &found.spec.device_ref.name, &resolved.entries) =>
                {
                    resolved.changes.held.push((*name).to_owned());
                }
                _ => resolved.changes.delete.push(SubscriptionHandle::of(found)),
            }
        }
    }
}

/// True if every entry of a subscription is over.
fn has_ended(found: &ServiceSubscription, now: Timestamp) -> bool {
    let mut revisions = found.spec.revisions.iter();
    revisions.all(|it| promise::end_of(found, it).is_some_and(|end| end <= now))
}

/// Returns the end of the time for which a subscription that came back from a backup is not withdrawn: for
/// a day, while nobody has edited the contract that adopted it. Its device, the device's labels or an
/// amendment may come back later.
pub(super) fn kept_until(contract: &Contract, found: &ServiceSubscription) -> Option<Timestamp> {
    let is_unedited = contract.metadata.generation == Some(1);
    let restored = found.spec.restored.filter(|_| is_unedited)?;
    let is_of_this = created(contract, restored) <= restored;
    restored.checked_add(KEPT).ok().filter(|_| is_of_this)
}

/// True if the withdrawal of a device from an entry is held back: the number of devices is not the
/// expected one, so that a wrong label may have caused it, and no amendment has removed the device.
fn is_pending(entry: &StageEntry<'_>, device: &str, counts: &[EntryDevices]) -> bool {
    let StageEntry {
        service, without, ..
    } = entry;
    let count = counts.iter().find(|count| count.service == service.name);
    let is_mismatch = count.is_some_and(EntryDevices::is_mismatch);
    service.devices.selector.is_some() && is_mismatch && !without.contains(device)
}
