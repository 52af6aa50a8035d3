//! The delays of a promise, each with its cause (D9).
//!
//! Decides whether the present blocker continues, ends or begins a delay, and which two delays are
//! merged if there are many. It must never turn time that does not count into time that counts
//! (rule of money 4). Called by the judge.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{Cause, Delay, Promise, Revision};
use jiff::{SignedDuration, Timestamp};

use super::causes::counts;
use super::judge::Look;

/// Tolerance for a first report after the promised instant that counts as a look at that instant:
/// the first pass may have waited that long for a remote side.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(30);

/// The most delays that are kept while neighbours can be merged (api section 11): as many as a
/// person reads.
const MOST_READ: usize = 32;

/// The most delays that are kept at all (their schema), where those that count and others alternate.
const MOST_DELAYS: usize = 256;

/// Returns a delay in which nobody looked, which is the provider's.
pub(super) fn not_observed(from: Timestamp, until: Timestamp) -> Delay {
    Delay {
        from,
        until: Some(until),
        cause: Cause::Provider,
        reason: Reason::NotObserved.as_str().to_owned(),
    }
}

/// Records the reason that blocks now. Time between two observations belongs to the earlier one;
/// before the first one it is the provider's.
pub(super) fn observe(promise: &mut Promise, revision: &Revision, look: &Look<'_>) {
    let (cause, reason) = look.blocking;
    // The clock may have been set back since the last look.
    let last = promise
        .delays
        .last()
        .map_or(promise.effective, |last| last.until.unwrap_or(last.from));
    let now = look.now.max(last);
    let from = match promise.delays.last_mut() {
        // A gap in which work goes on causes no new delay.
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
    bound(&mut promise.delays, &revision.counted_causes);
}

/// Brings delays down to the number that is kept, without a change of what counts.
///
/// Beyond the number that people read, the oldest neighbours of one cause are merged, else the
/// oldest that both count or both do not. The one that lasts keeps its name until it ends. Where
/// delays that count and others alternate, none of them is merged until there are as many as the
/// status may hold; then [`drop_shortest`] takes time away from what counts, and never adds to it.
fn bound(delays: &mut Vec<Delay>, counted: &[Cause]) {
    while delays.len() > MOST_READ {
        let ended = &delays[..delays.len() - 1];
        let position = |alike: &dyn Fn(&Delay, &Delay) -> bool| {
            ended.windows(2).position(|pair| alike(&pair[0], &pair[1]))
        };
        let alike = |a: &Delay, b: &Delay| counts(a.cause, counted) == counts(b.cause, counted);
        let found = position(&|a, b| a.cause == b.cause).or_else(|| position(&alike));
        if let Some(at) = found {
            merge(delays, at);
        } else if delays.len() > MOST_DELAYS {
            drop_shortest(delays, counted);
        } else {
            return;
        }
    }
}

/// Merges a delay and the next one; the longer one gives cause and reason.
fn merge(delays: &mut Vec<Delay>, at: usize) {
    let second = delays.remove(at + 1);
    let first = &mut delays[at];
    if length(&second) > length(first) {
        first.cause = second.cause;
        first.reason = second.reason;
    }
    first.until = second.until;
}

/// Puts the shortest delay that counts and has ended to the account of a neighbour that does not.
/// Every delay alternates with its neighbours here, so that one is within reach.
fn drop_shortest(delays: &mut [Delay], counted: &[Cause]) {
    let ended = delays.len() - 1;
    let counting = (0..ended).filter(|at| counts(delays[*at].cause, counted));
    let Some(at) = counting.min_by_key(|at| length(&delays[*at])) else {
        return;
    };
    let neighbour = if at == 0 { 1 } else { at - 1 };
    let (cause, reason) = (delays[neighbour].cause, delays[neighbour].reason.clone());
    delays[at].cause = cause;
    delays[at].reason = reason;
}

/// Returns the length of a delay that has ended.
fn length(delay: &Delay) -> SignedDuration {
    let until = delay.until.unwrap_or(delay.from);
    until.duration_since(delay.from)
}

#[cfg(test)]
mod tests;
