//! The only judge of promises: Kept, Missed or Closed, with the instants and whose delay it was
//! (D3, D4, D9; api section 10).
//!
//! Called by report in every pass. What is decided once is never decided again.

use entente_crds::{
    condition::Reason,
    v1alpha1::{Cause, Delay, Promise, PromiseState, Revision, ServiceSubscription},
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{World, in_force::end_of_service};
use crate::time::parse_duration;

/// A first report this soon after the promised instant counts as having looked at the instant: what
/// the first pass met may have taken as long as the remote side was waited for.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(30);

/// The most delays that are kept (api section 11).
const MOST_DELAYS: usize = 32;

/// The most promises of a subscription, and records of a promise, that are kept (their schemas).
const MOST_PROMISES: usize = 16;
const MOST_EMITTED: usize = 64;

/// What the judge has to know of the pass that looks.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// When everything that is in force was read back as wanted; `None` while it is not.
    pub completed_at: Option<Timestamp>,
    /// When this pass heard the first answer of a remote side; now, where it heard none.
    pub heard_from: Timestamp,
    /// What blocks, and whose delay that is.
    pub blocking: (Cause, &'a str),
    /// Now.
    pub now: Timestamp,
}

/// The promises of a subscription as they stand now.
pub fn judge(world: &World, subscription: &ServiceSubscription, look: &Look<'_>) -> Vec<Promise> {
    let previous: &[Promise] = subscription
        .status
        .as_ref()
        .map(|status| status.promises.as_slice())
        .unwrap_or_default();
    let entries: Vec<&Revision> = subscription
        .spec
        .revisions
        .iter()
        .filter(|revision| revision.promised)
        .collect();
    // Promises whose entry was dropped from the spec are history and stay as they were.
    let mut promises: Vec<Promise> = previous
        .iter()
        .filter(|promise| {
            !entries
                .iter()
                .any(|entry| entry.effective == promise.effective)
        })
        .cloned()
        .collect();
    for revision in entries {
        let known = previous
            .iter()
            .find(|promise| promise.effective == revision.effective);
        let promise = known
            .cloned()
            .unwrap_or_else(|| first_sight(world, subscription, revision.effective));
        let closing = closing(world, subscription, revision);
        // A clock that cannot be trusted judges nothing: a verdict is for ever.
        promises.push(if world.clock_skewed {
            promise
        } else {
            judge_one(promise, revision, closing, look)
        });
    }
    for promise in &mut promises {
        add_emitted(world, subscription, promise);
    }
    promises.sort_by_key(|promise| promise.effective);
    forget_the_oldest(&mut promises, &subscription.spec.revisions);
    promises
}

/// Drops what is history where more is kept than a status may hold: the oldest promises that are
/// settled and whose entry is gone, those first that were not missed.
fn forget_the_oldest(promises: &mut Vec<Promise>, revisions: &[Revision]) {
    while promises.len() > MOST_PROMISES {
        let is_history = |promise: &Promise| {
            let mut entries = revisions.iter();
            promise.closed.is_some() && !entries.any(|it| it.effective == promise.effective)
        };
        let position = promises
            .iter()
            .position(|it| is_history(it) && it.state != PromiseState::Missed)
            .or_else(|| promises.iter().position(is_history));
        let Some(position) = position else { return };
        promises.remove(position);
    }
}

/// Whether promises were closed unjudged because the subscription was made again (api section 10).
pub(super) fn evidence_is_lost(world: &World, subscription: &ServiceSubscription) -> bool {
    subscription
        .spec
        .revisions
        .iter()
        .any(|revision| revision.promised && was_lost(world, subscription, revision.effective))
}

fn was_lost(world: &World, subscription: &ServiceSubscription, effective: Timestamp) -> bool {
    let created = subscription
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    let established = world.established.get(&subscription.spec.contract.uid);
    created
        .zip(established)
        .is_some_and(|(created, established)| created > *established && effective < created)
}

fn first_sight(world: &World, subscription: &ServiceSubscription, effective: Timestamp) -> Promise {
    let lost = was_lost(world, subscription, effective);
    Promise {
        effective,
        state: if lost {
            PromiseState::Closed
        } else {
            PromiseState::Open
        },
        completed: None,
        closed: lost.then_some(effective),
        delays: Vec::new(),
        emitted: Vec::new(),
    }
}

/// When a promise ends although nothing was completed: the next promise, or the service's end.
fn closing(
    world: &World,
    subscription: &ServiceSubscription,
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
    // The subscription of a contract that goes is deleted when somebody comes to it; nothing is
    // promised from the contract's own deletion on.
    let contract = world.deleted_contracts.get(&subscription.spec.contract.uid);
    [next_promise, ended, deleted, contract.copied()]
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
    let allowed = parse_duration(&revision.service_level.allowed).unwrap_or_default();
    let deadline = promise
        .effective
        .checked_add(allowed)
        .unwrap_or(Timestamp::MAX);
    // What an earlier pass found incomplete is complete at the earliest in the pass that proves it,
    // however old a proof is and whatever is not required any more (rule of money 1).
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
        // Nobody looked before it was over: that time is ours.
        promise.delays.push(not_observed(promise.effective, at));
    }
    if let Some(last) = promise.delays.last_mut() {
        last.until = Some(last.until.map_or(at, |until| until.min(at)));
    }
}

fn not_observed(from: Timestamp, until: Timestamp) -> Delay {
    Delay {
        from,
        until: Some(until),
        cause: Cause::Provider,
        reason: Reason::NotObserved.as_str().to_owned(),
    }
}

/// Notes what blocks now. Time between two observations belongs to the earlier one; before the
/// first one it is the provider's.
fn observe(promise: &mut Promise, revision: &Revision, look: &Look<'_>) {
    let (cause, reason) = look.blocking;
    // The clock may have been set back since the last look.
    let last = promise
        .delays
        .last()
        .map_or(promise.effective, |last| last.until.unwrap_or(last.from));
    let now = look.now.max(last);
    let from = match promise.delays.last_mut() {
        // Work that goes on is nobody's new delay.
        Some(last)
            if last.until.is_none()
                && (last.cause == cause && last.reason == reason
                    || reason == Reason::Progressing.as_str()) =>
        {
            return;
        }
        Some(last) => {
            last.until = Some(now);
            now
        }
        None if now.duration_since(promise.effective) <= PUNCTUAL => promise.effective,
        None => {
            promise.delays.push(not_observed(promise.effective, now));
            now
        }
    };
    promise.delays.push(Delay {
        from,
        until: None,
        cause,
        reason: reason.to_owned(),
    });
    promise
        .delays
        .retain(|delay| delay.until != Some(delay.from));
    while promise.delays.len() > MOST_DELAYS {
        merge_one(&mut promise.delays, revision);
    }
}

/// Merges the two oldest neighbours of one cause, else the two oldest, into the one that counts.
fn merge_one(delays: &mut Vec<Delay>, revision: &Revision) {
    let same = delays
        .windows(2)
        .position(|pair| pair[0].cause == pair[1].cause);
    let at = same.unwrap_or(0);
    let second = delays.remove(at + 1);
    let first = &mut delays[at];
    if !counts(first.cause, revision) && counts(second.cause, revision) {
        first.cause = second.cause;
        first.reason = second.reason;
    }
    first.until = second.until;
}

/// Whether a cause counts: those that the contract names, without any all but the customer's.
fn counts(cause: Cause, revision: &Revision) -> bool {
    match revision.counted_causes.as_slice() {
        [] => cause != Cause::Customer,
        counted => counted.contains(&cause),
    }
}

/// Adds the compensations that are seen; one that a person deleted stays listed for ever.
fn add_emitted(world: &World, subscription: &ServiceSubscription, promise: &mut Promise) {
    let name = subscription.name_any();
    let seen = world
        .compensations
        .iter()
        .filter(|record| record.subscription == name && record.promised == promise.effective);
    for record in seen {
        let room = promise.emitted.len() < MOST_EMITTED;
        if room && !promise.emitted.contains(&record.name) {
            promise.emitted.push(record.name.clone());
        }
    }
    promise.emitted.sort();
}
