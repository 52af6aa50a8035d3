//! Resolve: a contract as it is wanted, and the writes that lead there.
//!
//! Decides whether it is accepted, which of its stages is in force, and whether its subscriptions are
//! looked at. Nothing is written while the contract is not accepted; nothing but deletions while it is
//! being deleted.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Contract, ResolvedTerm};
use jiff::Timestamp;

use super::acceptance::faults;
use super::amendment::verdicts;
use super::exclusions::known_since;
use super::notice;
use super::notices::never_began;
use super::parsed::{Entries, Readings};
use super::references::{references, with_unreadable_amendments};
use super::revisions::Dates;
use super::segments::{segments, upcoming};
use super::subscriptions::Subscriptions;
use super::succession::{self, taken_over};
use super::timeline::timeline;
use super::wake::{next_of_written, preparation};
use super::{
    Changes, ContractWorld, EntryDevices, Exception, ExceptionCause, Fault, ResolvedContract,
    SubscriptionHandle, is_deleting, is_terminating,
};

/// The most changes that a status tells (its schema).
const MOST_UPCOMING: usize = 8;

/// Resolves a contract, and the writes that lead to its subscriptions.
///
/// The order of devices and subscriptions in the world makes no difference. After the changes are
/// made and the world is read again, none is left at the same `now`.
pub fn resolve(world: &ContractWorld, now: Timestamp) -> ResolvedContract {
    let contract = &world.contract;
    let readings = Readings::new(world, now);
    let before = accepted_before(contract).filter(|_| readings.noticed.is_err());
    let read = readings.term();
    let timeline = timeline(world, &readings, read.or(before), now);
    let current = timeline.current(now);
    let stages = timeline.stages.iter();
    let stages: Vec<Entries<'_>> = stages.map(|it| Entries::new(world, &it.entries)).collect();
    let mut resolved = before_writes(world, &readings, &stages[current], now);
    let changes = [timeline.next_change(now), next_of_written(world, now)];
    resolved.next_change = changes.into_iter().flatten().min();
    let mut ahead = Vec::new();
    resolved.notices = notice::verdicts(world, &readings, resolved.accepted.is_ok());
    // Entries that were planned for a date lie ahead of the notice that is awaited.
    let is_awaited = resolved.accepted.is_ok() && resolved.has_no_term();
    if is_deleting(contract) || is_awaited {
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
        resolved.start_is_unpromised =
            !dates.promised && term.start <= now && !was_promised(world, term.start);
        let known_since = known_since(contract, *promised_from, now);
        let segments = segments(&timeline.stages, &stages, current, dates.end);
        Subscriptions::new(world, dates, (exclusions, known_since), now).fill(
            &segments,
            (current, &timeline.stages[current].entries),
            &mut resolved,
        );
        succession::apply(world, &mut resolved, now);
        let taken_over = taken_over(&resolved.succeeded);
        let changes = upcoming(&timeline.stages, &segments, &taken_over, now);
        let told = changes.iter().take(MOST_UPCOMING);
        resolved.upcoming = told.map(|(_, change)| change.clone()).collect();
        let changes = changes.into_iter();
        let changes = changes.map(|(stage, change)| (change, entry_devices(&stages[stage])));
        ahead = changes.collect();
    }
    resolved.amendments = verdicts(world, &timeline, &resolved, &ahead, now);
    resolved
}

/// True if a subscription has the promise of a start: one that came back from a backup does.
fn was_promised(world: &ContractWorld, start: Timestamp) -> bool {
    let mut revisions = world.own().flat_map(|found| &found.spec.revisions);
    revisions.any(|it| it.promised && it.effective == start)
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
    let before = accepted_before(contract);
    let read = readings.term();
    let term = if faults.is_empty() {
        read
    } else {
        before.or(read)
    };
    ResolvedContract {
        preparation: term.and_then(|term| preparation(contract, term)),
        term: term.cloned(),
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
        start_is_unpromised: false,
        without_fee: entries
            .all
            .iter()
            .filter_map(|read| read.terms.as_ref()?.without_fee())
            .collect(),
        amendments: BTreeMap::new(),
        notices: BTreeMap::new(),
        awaited: readings.noticed.as_ref().ok().and_then(|it| it.awaited),
        never_began: term.is_some_and(|term| never_began(contract, term)),
        next_change: None,
        upcoming: Vec::new(),
        desired: Vec::new(),
        changes: Changes::default(),
        succeeded: BTreeMap::new(),
        done: is_deleting(contract) && world.own().next().is_none() && world.unreadable.is_empty(),
    }
}

/// Returns the term that was accepted last.
fn accepted_before(contract: &Contract) -> Option<&ResolvedTerm> {
    contract.status.as_ref()?.term.as_ref()
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
