//! Resolve: the set of subscriptions of a contract, and the writes that lead there.
//!
//! Decides which subscriptions are made, changed, deleted, held back or waited for. Nothing is
//! written while the contract is not accepted; nothing but deletions while it is being deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::v1alpha1::{
    Contract, ContractAmendment, ExcludedTime, NameReference, ResolvedTerm, Revision,
    ServiceSubscription, ServiceSubscriptionSpec, SubscriptionContract, SubscriptionCustomer,
};
use jiff::{SignedDuration, Timestamp};

use super::acceptance::faults;
use super::amendment::verdicts;
use super::exclusions::{Exclusions, exclude, exclude_first, known_since};
use super::overlay::StageEntry;
use super::parsed::{Entries, Readings, accepted_term, created, lead_time};
use super::references::{references, with_unreadable_amendments};
use super::revisions::{Dates, Segment, advance, from_now, from_start, instant};
use super::segments::{SegmentsByDevice, segments, upcoming};
use super::succession;
use super::timeline::{effective_in, timeline};
use super::{
    Changes, ContractWorld, DesiredSubscription, DeviceFacts, EntryDevices, Exception,
    ExceptionCause, Fault, ResolvedContract, SubscriptionHandle, SubscriptionUpdate, is_deleting,
    is_own, is_terminating, name_of,
};
use crate::promise;
use crate::time::earlier_clock;

/// Resolves a contract, and the writes that lead to its subscriptions.
///
/// The order of devices and subscriptions in the world makes no difference. After the changes are
/// made and the world is read again, none is left at the same `now`.
pub fn resolve(world: &ContractWorld, now: Timestamp) -> ResolvedContract {
    let contract = &world.contract;
    let readings = Readings::new(world, now);
    let status = contract.status.as_ref();
    let before = status.and_then(|status| status.term.clone());
    let read = readings.term.as_ref().ok().cloned();
    let timeline = timeline(world, &readings, read.as_ref().or(before.as_ref()), now);
    let current = timeline.current(now);
    let stages = timeline.stages.iter();
    let stages: Vec<Entries<'_>> = stages.map(|it| Entries::new(world, &it.entries)).collect();
    let mut resolved = before_writes(world, &readings, &stages[current], now);
    resolved.next_change = timeline.next_change(now);
    resolved.amendments = verdicts(world, &timeline, resolved.accepted.is_ok(), now);
    if is_deleting(contract) {
        let live = world.own().filter(|found| !is_terminating(found));
        resolved.changes.delete = live.map(SubscriptionHandle::of).collect();
        resolved.changes.delete.sort_unstable();
    } else if !world.unreadable_amendments.is_empty() {
        resolved.refs = Err(with_unreadable_amendments(world, resolved.refs));
    } else if resolved.accepted.is_ok()
        && succession::predecessor_at_hand(world).is_ok()
        && let (Some(term), Ok(promised_from)) = (resolved.term.clone(), &readings.promised_from)
        && let Ok(exclusions) = &readings.exclusions
    {
        let declared = contract.spec.promises_from.is_some();
        let dates = Dates::new(&term, *promised_from, declared);
        let known_since = known_since(contract, *promised_from, now);
        let segments = segments(&timeline.stages, &stages, current, dates.end);
        resolved.upcoming = upcoming(&timeline.stages, &segments, now);
        Subscriptions::new(world, dates, (exclusions, known_since), now).fill(
            &segments,
            (current, &timeline.stages[current].entries),
            &mut resolved,
        );
        succession::apply(world, &mut resolved, now);
    }
    resolved
}

/// Returns a contract without its subscriptions; `entries` are those in force, or the first ones.
fn before_writes(
    world: &ContractWorld,
    readings: &Readings<'_>,
    entries: &Entries<'_>,
    now: Timestamp,
) -> ResolvedContract {
    let contract = &world.contract;
    let faults = faults(world, readings, entries, now);
    let status = contract.status.as_ref();
    let before = status.and_then(|status| status.term.clone());
    let read = readings.term.as_ref().ok().cloned();
    let term = if faults.is_empty() {
        read
    } else {
        before.or(read)
    };
    ResolvedContract {
        preparation: term.as_ref().and_then(|term| preparation(contract, term)),
        term,
        accepted: if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        },
        refs: both(
            references(world, entries),
            succession::predecessor_at_hand(world),
        ),
        entries: entry_devices(entries),
        exceptions: exceptions(entries),
        without_fee: entries
            .all
            .iter()
            .filter_map(|read| read.terms.as_ref()?.without_fee())
            .collect(),
        amendments: BTreeMap::new(),
        next_change: None,
        upcoming: Vec::new(),
        desired: Vec::new(),
        changes: Changes::default(),
        succeeded: BTreeMap::new(),
        done: is_deleting(contract) && world.own().next().is_none() && world.unreadable.is_empty(),
    }
}

/// Returns the devices on which an entry cannot be carried out, sorted.
fn exceptions(entries: &Entries<'_>) -> Vec<Exception> {
    let conflicts = entries.all.iter().flat_map(|read| {
        let terms = read.terms.as_ref();
        read.devices.keys().filter_map(move |device| {
            let conflict = terms?.overrides_conflict(device)?;
            Some(Exception {
                device: device.clone(),
                service: read.entry.name.clone(),
                cause: ExceptionCause::Overrides(conflict),
            })
        })
    });
    let taken = entries.taken.iter().cloned();
    let mut exceptions: Vec<Exception> = taken.chain(conflicts).collect();
    exceptions.sort_unstable();
    exceptions
}

/// Returns the faults of both, sorted.
fn both(one: Result<(), Vec<Fault>>, other: Result<(), Vec<Fault>>) -> Result<(), Vec<Fault>> {
    let faults = [one, other].into_iter().filter_map(Result::err);
    let mut faults: Vec<Fault> = faults.flatten().collect();
    faults.sort_unstable();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// Counts the devices of each entry.
fn entry_devices(entries: &Entries<'_>) -> Vec<EntryDevices> {
    let entries = entries.all.iter().map(|read| EntryDevices {
        service: read.entry.name.clone(),
        devices: read.devices.len(),
        expected: read
            .entry
            .devices
            .expect
            .and_then(|expected| usize::try_from(expected).ok()),
    });
    entries.collect()
}

fn preparation(contract: &Contract, term: &ResolvedTerm) -> Option<Timestamp> {
    let lead = lead_time(contract).ok()?;
    term.start.checked_sub(lead).ok()
}

/// The set of subscriptions of one accepted contract.
struct Subscriptions<'a> {
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
    fn new(
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

    fn fill(
        &self,
        segments: &SegmentsByDevice<'_>,
        (current, in_force): (usize, &[StageEntry<'_>]),
        resolved: &mut ResolvedContract,
    ) {
        for ((entry, device), segments) in segments {
            let is_left = segments.last().is_some_and(|last| last.has_ended(self.now));
            // Withdrawn by an amendment; what is over with the term stays as it was.
            if is_left && !self.dates.is_over(self.now) {
                continue;
            }
            let is_out = !segments.iter().any(|it| it.is_in_stage(current));
            if is_out && self.is_held(entry, device, in_force, &resolved.entries) {
                continue;
            }
            self.one(entry, device, segments, resolved);
        }
        self.surplus(in_force, resolved);
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
            let desired = desired(name, revisions.unwrap_or_else(kept), live.spec.restored);
            if desired.spec != live.spec {
                let handle = SubscriptionHandle::of(live);
                resolved.changes.update.push(SubscriptionUpdate {
                    handle,
                    desired: Arc::clone(&desired),
                });
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

    /// True if a service runs on a device that has left its entry, and its withdrawal is held back.
    fn is_held(
        &self,
        entry: &str,
        device: &str,
        in_force: &[StageEntry<'_>],
        counts: &[EntryDevices],
    ) -> bool {
        let name = format!("{}.{entry}.{device}", name_of(&self.world.contract));
        let live = self.existing.get(name.as_str());
        let runs =
            live.is_some_and(|live| promise::in_force(&live.spec.revisions, self.now).is_some());
        let mut entries = in_force.iter();
        let found = entries.find(|it| it.service.name == entry);
        runs && found.is_some_and(|found| is_pending(found, device, counts))
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
        let created = self.devices.get(device).map(|device| &device.created);
        let took_part = created.zip(self.dates.end.as_ref());
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
        let created = self.devices.get(device).map(|device| &device.created);
        let took_part = first.named || created.is_some_and(|created| *created < was_written);
        self.world.recreated.contains(name) || (unchanged && took_part)
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
        let created = self.devices.get(device).map(|device| &device.created);
        let took_part = first.named || created.is_some_and(|created| *created <= first.from);
        amended.was_accepted || !first.is_promised(&self.dates) || !took_part
    }

    /// Deletes subscriptions that are not wanted, or holds their withdrawal back.
    fn surplus(&self, in_force: &[StageEntry<'_>], resolved: &mut ResolvedContract) {
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

/// Interval between two looks while the clocks differ: the local one may be set at any time.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Returns the next instant at which the changes or the report differ by time alone; `None` if only
/// an event can make a difference. While clocks differ by `clock_skew` before the start, the local
/// one does not show the instant at which it comes by the other.
pub fn next_wake(
    resolved: &ResolvedContract,
    clock_skew: Option<SignedDuration>,
    now: Timestamp,
) -> Option<Timestamp> {
    let start = resolved.term.as_ref().map(|term| term.start);
    let lies_ahead = start.is_some_and(|start| start > earlier_clock(now, clock_skew));
    let again = clock_skew.filter(|_| lies_ahead);
    let again = again.and_then(|_| now.checked_add(LOOK_AGAIN).ok());
    let term = resolved
        .term
        .iter()
        .flat_map(|term| [Some(term.start), term.end]);
    let revisions = resolved
        .desired
        .iter()
        .flat_map(|desired| &desired.spec.revisions);
    let revisions = revisions.flat_map(|revision| [Some(revision.effective), revision.until]);
    term.chain(revisions)
        .chain([resolved.preparation, resolved.next_change])
        .flatten()
        .filter(|instant| *instant > now)
        .chain(again)
        .min()
}

/// Returns the next instant that matters to a contract by its own dates and those of its
/// subscriptions and amendments; none of them needs the catalogue, a device or the rest of a pass.
pub fn next_date<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    amendments: impl IntoIterator<Item = &'a ContractAmendment>,
    now: Timestamp,
) -> Option<Timestamp> {
    let status = contract.status.as_ref();
    let terms = [
        accepted_term(contract, now).ok(),
        // It holds while an edit is refused.
        status.and_then(|status| status.term.clone()),
    ];
    let of_terms = terms
        .iter()
        .flatten()
        .flat_map(|term| [preparation(contract, term), Some(term.start), term.end]);
    let own = subscriptions
        .into_iter()
        .filter(|found| is_own(contract, found));
    let revisions = own.flat_map(|found| &found.spec.revisions);
    let of_revisions = revisions.flat_map(|revision| [Some(revision.effective), revision.until]);
    let amendments = amendments.into_iter();
    let of_amendments = amendments.map(|amendment| effective_in(contract, amendment));
    let dates = of_terms.chain(of_revisions).chain(of_amendments).flatten();
    dates.filter(|instant| *instant > now).min()
}
