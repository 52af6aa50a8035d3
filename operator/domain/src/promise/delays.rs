//! The delays of a promise, each with its cause (D9).
//!
//! Decides whether the present blocker continues, ends or begins a delay, and which two delays are
//! merged if there are more than a status may hold. Called by the judge.

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{Cause, Delay, Promise, Revision};
use jiff::{SignedDuration, Timestamp};

use super::causes::counts;
use super::judge::Look;

/// Tolerance for a first report after the promised instant that counts as a look at that instant:
/// the first pass may have waited that long for a remote side.
const PUNCTUAL: SignedDuration = SignedDuration::from_secs(30);

/// The most delays that are kept (api section 11).
const MOST_DELAYS: usize = 32;

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
    let counted = &revision.counted_causes;
    if !counts(first.cause, counted) && counts(second.cause, counted) {
        first.cause = second.cause;
        first.reason = second.reason;
    }
    first.until = second.until;
}

#[cfg(test)]
mod tests;
