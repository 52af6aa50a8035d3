//! The revisions of one subscription (api section "What is promised").
//!
//! Decides the instant at which an entry begins, whether it is promised, and which existing entries
//! are kept, changed or dropped. What has begun is append-only: only its end may move, and only
//! while that lies ahead (and its exclusions, by `exclusions`). An entry ends where the service on
//! the device ends, not where the next entry begins, so that an amendment which comes or goes changes
//! no entry that has begun.

use std::sync::Arc;

use entente_crds::v1alpha1::{ResolvedTerm, Revision, ServiceSubscription};
use jiff::{SignedDuration, Timestamp};

use super::terms::EntryTerms;
use super::timeline::Amended;
use crate::promise::{end_of, is_promised, is_settled, revision_of};

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

/// Part of an entry of the contract that one device gets in one stage or in several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The first instant: that of the term's start or of an amendment.
    pub(super) from: Timestamp,
    /// The amendment that brings it; `None`: the contract itself.
    pub(super) amended: Option<Amended<'a>>,
    /// The end of the service on the device, over all segments that follow without a gap; `None`: it
    /// has no end.
    pub(super) until: Option<Timestamp>,
    pub(super) terms: &'a EntryTerms<'a>,
    /// The number of devices that the entry has.
    pub(super) devices: usize,
    /// True if the entry names the device, false if a label selects it.
    pub(super) named: bool,
    /// The numbers of the first and the last of its stages.
    pub(super) first_stage: usize,
    pub(super) last_stage: usize,
}

impl Segment<'_> {
    /// True if the instant was known before it came.
    pub(super) fn is_promised(&self, dates: &Dates) -> bool {
        self.amended.map_or(dates.promised, |amended| {
            is_promised(self.from, amended.known)
        })
    }

    /// True if the instant has come, and the amendment is first seen now although it was made before
    /// it: nobody has written what it changes.
    fn was_overslept(&self, now: Timestamp) -> bool {
        self.amended.is_some_and(|amended| {
            self.from <= now && !amended.was_accepted && is_promised(self.from, amended.known)
        })
    }

    pub(super) fn is_in_stage(&self, number: usize) -> bool {
        (self.first_stage..=self.last_stage).contains(&number)
    }

    /// True if a device gets other terms than in another segment.
    pub(super) fn differs_from(&self, other: &Self, device: &str) -> bool {
        self.first_stage != other.first_stage
            && self.terms.wanted(device, None) != other.terms.wanted(device, None)
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Returns the entries of a subscription that takes part from its first segment on, whether that
/// lies ahead or was missed; `None` while overrides are in conflict.
pub(super) fn from_start(
    device: &str,
    segments: &[Segment<'_>],
    dates: &Dates,
) -> Option<Vec<Arc<Revision>>> {
    let mut entries: Vec<Arc<Revision>> = Vec::new();
    for segment in segments {
        append(&mut entries, device, segment, segment.is_promised(dates))?;
    }
    Some(shortened(entries))
}

/// Returns the entries of a subscription that an edit or a label added: in force when first seen, and
/// not promised, and then what amendments change. `None` if nothing is in force or to come, or while
/// overrides are in conflict.
pub(super) fn from_now(
    device: &str,
    segments: &[Segment<'_>],
    dates: &Dates,
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    let mut entries = Vec::new();
    if let Some(current) = current(segments, now) {
        let first = Segment {
            from: instant(now),
            ..*current
        };
        append(&mut entries, device, &first, false)?;
    }
    for segment in segments.iter().filter(|segment| segment.from > now) {
        append(&mut entries, device, segment, segment.is_promised(dates))?;
    }
    (!entries.is_empty()).then(|| shortened(entries))
}

/// Returns the segment in force.
fn current<'s, 'a>(segments: &'s [Segment<'a>], now: Timestamp) -> Option<&'s Segment<'a>> {
    let last = segments.iter().rfind(|segment| segment.from <= now);
    last.filter(|segment| !segment.has_ended(now))
}

/// Appends the entry of a segment, unless the one before goes on with the same terms; `None` while
/// overrides are in conflict and nothing is signed.
fn append(
    entries: &mut Vec<Arc<Revision>>,
    device: &str,
    segment: &Segment<'_>,
    promised: bool,
) -> Option<()> {
    let before = entries.last().map(Arc::as_ref);
    let wanted = match before {
        Some(before) => segment.terms.wanted_or_signed(device, before),
        None => segment.terms.wanted(device, None).ok()?,
    };
    let goes_on = before.is_some_and(|before| {
        before.until.is_none_or(|until| until > segment.from) && !wanted.differs_from(before)
    });
    if !goes_on {
        // Two amendments of one instant make one entry.
        entries.pop_if(|last| last.effective == segment.from);
        let entry = wanted.revision(segment.from, segment.until, promised, segment.devices);
        entries.push(Arc::new(entry));
    }
    Some(())
}

/// Returns the entries of an existing subscription; `None` if the list is full and no old entry can
/// be pruned yet.
pub(super) fn advance(
    subscription: &ServiceSubscription,
    segments: &[Segment<'_>],
    dates: &Dates,
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    let mut written = subscription.spec.revisions.clone();
    written.sort_by_key(|entry| entry.effective);
    let ahead = written.split_off(written.partition_point(|entry| entry.effective <= now));
    let mut entries = written;
    if entries.is_empty() {
        let (before, first) = (ahead.first()?, segments.first()?);
        let moves_with_start = before.effective == subscription.spec.contract.start;
        let is_same = before.effective == first.from;
        entries = if first.from <= now && !moves_with_start && !is_same {
            // An edit or a label brings now, and without a promise, a device that an amendment brings later.
            from_now(&subscription.spec.device_ref.name, segments, dates, now)?
        } else {
            replaced(subscription, before, first, dates)
        };
    } else if begun(&mut entries, subscription, segments, dates, now) {
        return Some(entries);
    }
    let device = &subscription.spec.device_ref.name;
    let last = entries.last()?.effective;
    for segment in segments {
        if segment.from > now.max(last) {
            append(&mut entries, device, segment, segment.is_promised(dates))?;
        }
    }
    // An entry that is written again keeps its exclusions.
    for entry in entries.iter_mut().filter(|entry| entry.effective > now) {
        let mut ahead = ahead.iter();
        let before = ahead.find(|before| before.effective == entry.effective);
        if let Some(before) = before
            && entry.exclusions != before.exclusions
        {
            Arc::make_mut(entry)
                .exclusions
                .clone_from(&before.exclusions);
        }
    }
    pruned(entries, subscription, now)
}

/// Brings the entries that have begun up to now; true if the term is over, so that nothing follows.
fn begun(
    entries: &mut Vec<Arc<Revision>>,
    subscription: &ServiceSubscription,
    segments: &[Segment<'_>],
    dates: &Dates,
    now: Timestamp,
) -> bool {
    if dates.declared && dates.promised {
        let at_start = |entry: &&mut Arc<Revision>| entry.effective == dates.start;
        for entry in entries.iter_mut().filter(at_start) {
            Arc::make_mut(entry).promised = true;
        }
    }
    let device = &subscription.spec.device_ref.name;
    if !dates.is_over(now) {
        let written = entries.last().map(|last| last.effective);
        let overslept = segments.iter().filter(|segment| segment.was_overslept(now));
        for segment in overslept.filter(|it| written.is_none_or(|last| last < it.from)) {
            append(entries, device, segment, segment.is_promised(dates));
        }
    }
    let Some(last) = entries.last_mut() else {
        return true;
    };
    let ended = last.until.is_some_and(|until| until <= now);
    let current = current(segments, now).filter(|_| !dates.is_over(now));
    let Some(current) = current else {
        if !ended {
            // The end was moved into the past: everything delivered until now stays delivered.
            let end = instant(now).max(last.effective);
            Arc::make_mut(last).until = Some(end);
        }
        return dates.is_over(now);
    };
    let wanted = current.terms.wanted_or_signed(device, last);
    if !ended && !wanted.differs_from(last) {
        if last.until != current.until {
            Arc::make_mut(last).until = current.until;
        }
        return false;
    }
    // Entries are keyed by their instant, so two edits of one millisecond are one apart.
    let next = last
        .effective
        .saturating_add(SignedDuration::from_millis(1))
        .unwrap_or(now);
    let effective = instant(now).max(next);
    close(entries, effective);
    let entry = wanted.revision(effective, current.until, false, current.devices);
    entries.push(Arc::new(entry));
    false
}

/// Ends the last entry at an instant, unless it has ended before.
fn close(entries: &mut [Arc<Revision>], at: Timestamp) {
    if let Some(last) = entries.last_mut()
        && last.until.is_none_or(|until| until > at)
    {
        Arc::make_mut(last).until = Some(at);
    }
}

/// Replaces an entry that has not begun. Whether it is promised was decided when it was first
/// written; another instant is decided anew.
fn replaced(
    subscription: &ServiceSubscription,
    before: &Revision,
    segment: &Segment<'_>,
    dates: &Dates,
) -> Vec<Arc<Revision>> {
    let device = &subscription.spec.device_ref.name;
    let is_kept = before.effective == segment.from && !dates.declared;
    let promised = if is_kept {
        before.promised
    } else {
        segment.is_promised(dates)
    };
    let wanted = segment.terms.wanted_or_signed(device, before);
    let mut entry = wanted.revision(segment.from, segment.until, promised, segment.devices);
    // What was excluded and has passed stays so, also if the start is moved before it.
    entry.exclusions.clone_from(&before.exclusions);
    vec![Arc::new(entry)]
}

/// Drops entries that lie furthest ahead until there are at most [`MOST_REVISIONS`]: the next pass
/// after an instant has come finds room for them.
fn shortened(mut entries: Vec<Arc<Revision>>) -> Vec<Arc<Revision>> {
    entries.truncate(MOST_REVISIONS);
    entries
}

/// Drops the oldest entries that have ended before and whose promise is settled, and then those that
/// lie furthest ahead but for the next one, until there are at most [`MOST_REVISIONS`]; `None` if
/// that does not suffice. One that was in force until now has delivered what it says, and stays.
fn pruned(
    mut entries: Vec<Arc<Revision>>,
    subscription: &ServiceSubscription,
    now: Timestamp,
) -> Option<Vec<Arc<Revision>>> {
    let had_ended = |entry: &Revision| {
        let written = revision_of(subscription, entry.effective);
        let end = written.and_then(|written| end_of(subscription, written));
        end.is_some_and(|end| end <= now)
    };
    while entries.len() > MOST_REVISIONS {
        let ahead = entries.iter().filter(|entry| entry.effective > now).count();
        let mut all = entries.iter();
        let oldest = all.position(|entry| had_ended(entry) && is_settled(subscription, entry));
        match oldest {
            Some(oldest) => {
                entries.remove(oldest);
            }
            None if ahead > 1 => {
                entries.pop();
            }
            None => return None,
        }
    }
    Some(entries)
}

/// Cuts `now` to whole milliseconds, as it is written; never later than `now`.
pub(super) fn instant(now: Timestamp) -> Timestamp {
    let whole = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    whole.min(now)
}
