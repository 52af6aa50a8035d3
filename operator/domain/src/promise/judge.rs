//! The only judge of promises: Kept, Missed or Closed, with the instants and the causes of delay
//! (D3, D4, D9; api section 10).
//!
//! Called by delivery's report in every pass. A decision once made is never made again.

use entente_crds::v1alpha1::{Cause, Promise, PromiseState, Revision, ServiceSubscription};
use jiff::Timestamp;

use super::delays::{not_observed, observe};
use super::owed::CompensationRecord;
use super::{deadline, end_of_service, promise_of, promises as judged, revision_of};

/// The most promises of a subscription, and records of a promise, that are kept (their schemas).
const MOST_PROMISES: usize = 16;
const MOST_EMITTED: usize = 64;

/// The observation of one pass, by which a promise is judged.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The instant at which the last required item was read back as wanted; `None` while one is
    /// not.
    pub completed_at: Option<Timestamp>,
    /// The instant of the first answer of a remote side in this pass; now, if there was none.
    pub heard_from: Timestamp,
    /// The cause and the reason of the item that blocks.
    pub blocking: (Cause, &'a str),
    /// The instant of the pass.
    pub now: Timestamp,
}

/// The state of the contract, the records and the clock, by which a promise is judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// `status.established` of the contract: its set of subscriptions was first complete.
    pub established: Option<Timestamp>,
    /// The deletionTimestamp of the contract. Its subscriptions are deleted later, one by one;
    /// nothing is promised after the contract's own deletion.
    pub contract_deleted: Option<Timestamp>,
    /// True if the local clock cannot be trusted, so that it judges nothing: a verdict is for ever.
    pub clock_skewed: bool,
    /// True if no contract of the subscription exists, so that nothing is judged: it was restored from a
    /// backup before its contract, which adopts it.
    pub contract_is_gone: bool,
    /// The records that exist; those of other subscriptions make no difference.
    pub records: &'a [CompensationRecord],
}

/// Returns the promises of a subscription as they stand now, in order.
pub fn judge(
    subscription: &ServiceSubscription,
    circumstances: &Circumstances<'_>,
    look: &Look<'_>,
) -> Vec<Promise> {
    let previous = judged(subscription);
    if circumstances.contract_is_gone {
        return previous.to_vec();
    }
    let entries: Vec<&Revision> = subscription
        .spec
        .revisions
        .iter()
        .filter(|revision| revision.promised)
        .map(AsRef::as_ref)
        .collect();
    // Promises whose entry was dropped from the spec are history and stay as they were, but for those
    // that were taken back before their instant.
    let is_history = |promise: &&Promise| {
        let has_entry = entries.iter().any(|it| it.effective == promise.effective);
        !has_entry && !never_began(promise)
    };
    let mut promises: Vec<Promise> = previous.iter().filter(is_history).cloned().collect();
    for revision in entries {
        let (established, effective) = (circumstances.established, revision.effective);
        let promise = known_or_new(subscription, established, effective);
        let closing = closing(subscription, circumstances, revision);
        promises.push(if circumstances.clock_skewed {
            promise
        } else {
            judge_one(promise, revision, closing, look)
        });
    }
    for promise in &mut promises {
        add_emitted(subscription, circumstances.records, promise);
    }
    promises.sort_by_key(|promise| promise.effective);
    forget_the_oldest(&mut promises, subscription);
    promises
}

/// True if a promise whose instant has come is not proved yet, and not closed either.
pub fn has_unproved(
    subscription: &ServiceSubscription,
    circumstances: &Circumstances<'_>,
    now: Timestamp,
) -> bool {
    let revisions = subscription.spec.revisions.iter();
    let mut begun = revisions.filter(|it| it.promised && it.effective <= now);
    begun.any(|revision| {
        let promise = known_or_new(subscription, circumstances.established, revision.effective);
        promise.closed.is_none()
    })
}

/// Returns the promise of an instant as it was judged last, or as it is at first sight. A status that was
/// restored is older than what has happened.
fn known_or_new(
    subscription: &ServiceSubscription,
    established: Option<Timestamp>,
    effective: Timestamp,
) -> Promise {
    let known = promise_of(subscription, effective).filter(|it| {
        it.state != PromiseState::Open || !was_lost(subscription, established, effective)
    });
    known
        .cloned()
        .unwrap_or_else(|| first_sight(subscription, established, effective))
}

/// True if a promise was never looked at since its instant: its amendment was withdrawn, or the start of
/// its contract moved, before that.
fn never_began(promise: &Promise) -> bool {
    promise.state == PromiseState::Open
        && promise.closed.is_none()
        && promise.delays.is_empty()
        && promise.emitted.is_empty()
}

/// Drops history beyond the number that a status may have: the oldest promises whose entry is gone, and
/// of these first the ones that are settled and were not missed, and last those that are not settled: a
/// status can always be written.
fn forget_the_oldest(promises: &mut Vec<Promise>, subscription: &ServiceSubscription) {
    while promises.len() > MOST_PROMISES {
        let is_gone = |promise: &Promise| revision_of(subscription, promise.effective).is_none();
        let is_settled = |promise: &Promise| is_gone(promise) && promise.closed.is_some();
        let position = promises
            .iter()
            .position(|it| is_settled(it) && it.state != PromiseState::Missed)
            .or_else(|| promises.iter().position(is_settled))
            .or_else(|| promises.iter().position(is_gone));
        let Some(position) = position else { return };
        promises.remove(position);
    }
}

/// True if promises were closed unjudged because the subscription was made again although it had
/// existed before (api section 10).
pub fn evidence_is_lost(
    subscription: &ServiceSubscription,
    established: Option<Timestamp>,
) -> bool {
    let mut revisions = subscription.spec.revisions.iter();
    revisions.any(|it| it.promised && was_lost(subscription, established, it.effective))
}

/// True if a subscription had existed when this instant came, and was made again or restored since, as
/// the contract has written into it. That of the start of the term had also, if the set of the
/// contract's subscriptions was complete, at `established`, before this one was made.
fn was_lost(
    subscription: &ServiceSubscription,
    established: Option<Timestamp>,
    effective: Timestamp,
) -> bool {
    let spec = &subscription.spec;
    let came_back = spec.restored.is_some_and(|restored| effective < restored);
    let created = subscription.metadata.creation_timestamp.as_ref();
    let created = created.map(|time| time.0).zip(established);
    let was_made_again =
        created.is_some_and(|(created, established)| created > established && effective < created);
    came_back || effective == spec.contract.start && was_made_again
}

fn first_sight(
    subscription: &ServiceSubscription,
    established: Option<Timestamp>,
    effective: Timestamp,
) -> Promise {
    let lost = was_lost(subscription, established, effective);
    Promise {
        effective,
        state: if lost {
            PromiseState::Closed
        } else {
            PromiseState::Open
        },
        completed: None,
        proof: None,
        closed: lost.then_some(effective),
        delays: Vec::new(),
        emitted: Vec::new(),
    }
}

/// Returns the instant at which a promise ends although nothing was completed: that of the next
/// promise, or the service's end.
fn closing(
    subscription: &ServiceSubscription,
    circumstances: &Circumstances<'_>,
    revision: &Revision,
) -> Option<Timestamp> {
    let next_promise = subscription
        .spec
        .revisions
        .iter()
        .filter(|other| other.promised && other.effective > revision.effective)
        .map(|other| other.effective)
        .min();
    let ended = end_of_service(subscription, revision);
    let deleted = subscription
        .metadata
        .deletion_timestamp
        .as_ref()
        .map(|time| time.0);
    [next_promise, ended, deleted, circumstances.contract_deleted]
        .into_iter()
        .flatten()
        .min()
}

fn judge_one(
    mut promise: Promise,
    revision: &Revision,
    closing: Option<Timestamp>,
    look: &Look<'_>,
) -> Promise {
    let decided = match promise.state {
        PromiseState::Kept | PromiseState::Closed => true,
        PromiseState::Missed => promise.closed.is_some(),
        PromiseState::Open => promise.effective > look.now,
    };
    if decided {
        return promise;
    }
    // Without a readable allowance the deadline is unknown, and a verdict is for ever.
    let Ok(deadline) = deadline(revision) else {
        return promise;
    };
    // An item that an earlier pass found incomplete is complete, at the earliest, in the pass that
    // proves it, however old the proof is and even if some items are no longer required (rule of
    // money 1).
    let earliest = if promise.delays.is_empty() {
        promise.effective
    } else {
        look.heard_from.max(promise.effective)
    };
    let completed = look.completed_at.map(|completed| completed.max(earliest));
    let closing = closing
        .filter(|closing| *closing <= look.now)
        .map(|c| c.max(promise.effective));
    if let Some(completed) = completed.filter(|at| closing.is_none_or(|closing| *at <= closing)) {
        promise.completed = Some(completed);
        close(&mut promise, completed, deadline, PromiseState::Kept);
    } else if let Some(closing) = closing {
        observe(&mut promise, revision, look);
        close(&mut promise, closing, deadline, PromiseState::Closed);
    } else {
        observe(&mut promise, revision, look);
        if look.now > deadline {
            promise.state = PromiseState::Missed;
        }
    }
    promise
}

/// Closes a promise at an instant: Missed where that is past the deadline, else as given.
fn close(promise: &mut Promise, at: Timestamp, deadline: Timestamp, in_time: PromiseState) {
    promise.closed = Some(at);
    if promise.state == PromiseState::Open && at <= deadline {
        promise.state = in_time;
        promise.delays = Vec::new();
        return;
    }
    promise.state = PromiseState::Missed;
    promise.delays.retain(|delay| delay.from < at);
    if promise.delays.is_empty() && at > promise.effective {
        // No pass ran before it was over: that time is ours.
        promise.delays.push(not_observed(promise.effective, at));
    }
    if let Some(last) = promise.delays.last_mut() {
        last.until = Some(last.until.map_or(at, |until| until.min(at)));
    }
}

/// Adds the compensations that exist; one that a person deleted stays listed for ever.
fn add_emitted(
    subscription: &ServiceSubscription,
    records: &[CompensationRecord],
    promise: &mut Promise,
) {
    let seen: Vec<&CompensationRecord> = records
        .iter()
        .filter(|record| record.is_about(subscription, promise))
        .collect();
    for record in seen {
        let room = promise.emitted.len() < MOST_EMITTED;
        if room && !promise.emitted.contains(&record.name) {
            promise.emitted.push(record.name.clone());
        }
    }
    promise.emitted.sort();
}

#[cfg(test)]
mod tests;
