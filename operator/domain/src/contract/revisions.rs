//! The revisions of one subscription (api section "What is promised").
//!
//! Decides the instant at which an entry begins, whether it is promised, and which existing entries
//! are kept, changed or dropped. What has begun is append-only: only its end may move, and only
//! while that lies ahead (and its exclusions, by `exclusions`).

use std::sync::Arc;

use entente_crds::v1alpha1::{ResolvedTerm, Revision, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};

use super::terms::{EntryTerms, Wanted};
use crate::promise::{is_promised, is_settled};

/// The most entries that a subscription holds (its schema).
pub(super) const MOST_REVISIONS: usize = 4;

/// Dates of a contract, which are those of its entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates {
    /// The term's first instant.
    pub(super) start: Timestamp,
    /// The first instant after the term.
    pub(super) end: Option<Timestamp>,
    /// True if the start was known before it came.
    pub(super) promised: bool,
    /// True if `promisesFrom` is set, which decides existing entries anew.
    pub(super) declared: bool,
}

impl Dates {
    pub(super) fn new(term: &ResolvedTerm, promised_from: Timestamp, declared: bool) -> Self {
        Self {
            start: term.start,
            end: term.end,
            promised: is_promised(term.start, promised_from),
            declared,
        }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// Returns the entry of a subscription that takes part from the start of the term, whether that
/// lies ahead or was missed.
pub(super) fn from_start(wanted: Wanted, dates: &Dates, devices: usize) -> Vec<Arc<Revision>> {
    let entry = wanted.revision(dates.start, dates.end, dates.promised, devices);
    vec![Arc::new(entry)]
}

/// Returns the entry of a subscription that an edit or a label added: in force when first seen, and
/// not promised.
pub(super) fn from_now(
    wanted: Wanted,
    dates: &Dates,
    devices: usize,
    now: Timestamp,
) -> Vec<Arc<Revision>> {
    let entry = wanted.revision(instant(now), dates.end, false, devices);
    vec![Arc::new(entry)]
}

/// Returns the entries of an existing subscription; `None` if the list is full and no old entry can
/// be pruned yet.
pub(super) fn advance(
    subscription: &ServiceSubscription,
    terms: &EntryTerms,
    dates: &Dates,
    devices: usize,
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    let mut entries = subscription.spec.revisions.clone();
    entries.sort_by_key(|entry| entry.effective);
    let begun = entries.partition_point(|entry| entry.effective <= now);
    if begun == 0 {
        let last = entries.last()?;
        let wanted = terms.wanted_or_signed(&subscription.spec.device_ref.name, last);
        return Some(replaced(last, wanted, dates, devices));
    }
    // A future entry after one that has begun was appended in this same millisecond: drop it and
    // compute it again.
    entries.truncate(begun);
    if dates.declared && dates.promised {
        let at_start = |entry: &&mut Arc<Revision>| entry.effective == dates.start;
        for entry in entries.iter_mut().filter(at_start) {
            Arc::make_mut(entry).promised = true;
        }
    }
    let Some(last) = entries.last_mut() else {
        return Some(entries);
    };
    let ended = last.until.is_some_and(|until| until <= now);
    if dates.is_over(now) {
        if !ended {
            // The end was moved into the past: everything delivered until now stays delivered.
            let end = instant(now).max(last.effective);
            Arc::make_mut(last).until = Some(end);
        }
        return Some(entries);
    }
    let device = &subscription.spec.device_ref.name;
    let wanted = terms.wanted_or_signed(device, last);
    let differs = wanted.differs_from(last);
    if !ended && !differs {
        if last.until != dates.end {
            Arc::make_mut(last).until = dates.end;
        }
        return Some(entries);
    }
    // Entries are keyed by their instant, so two edits of one millisecond are one apart.
    let next = last
        .effective
        .saturating_add(SignedDuration::from_millis(1))
        .unwrap_or(now);
    let effective = instant(now).max(next);
    if !ended {
        Arc::make_mut(last).until = Some(effective);
    }
    entries.push(Arc::new(
        wanted.revision(effective, dates.end, false, devices),
    ));
    pruned(entries, subscription, now)
}

/// Replaces an entry that has not begun. Whether it is promised was decided when it was first
/// written; another start is decided anew.
fn replaced(
    before: &Revision,
    wanted: Wanted,
    dates: &Dates,
    devices: usize,
) -> Vec<Arc<Revision>> {
    let is_kept = before.effective == dates.start && !dates.declared;
    let promised = if is_kept {
        before.promised
    } else {
        dates.promised
    };
    let dates = Dates { promised, ..*dates };
    let mut entries = from_start(wanted, &dates, devices);
    for entry in entries.iter_mut().map(Arc::make_mut) {
        // What was excluded and has passed stays so, also if the start is moved before it.
        entry.exclusions.clone_from(&before.exclusions);
    }
    entries
}

/// Drops the oldest entries that have ended and whose promise is settled, until there are at most
/// [`MOST_REVISIONS`]; `None` if that does not suffice.
fn pruned(
    mut entries: Vec<Arc<Revision>>,
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    while entries.len() > MOST_REVISIONS {
        let older = entries.len() - 1;
        let oldest = entries[..older].iter().position(|entry| {
            entry.until.is_some_and(|until| until <= now) && is_settled(subscription, entry)
        });
        entries.remove(oldest?);
    }
    Some(entries)
}

/// Cuts `now` to whole milliseconds, as it is written; never later than `now`.
pub(super) fn instant(now: Timestamp) -> Timestamp {
    let whole = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    whole.min(now)
}
