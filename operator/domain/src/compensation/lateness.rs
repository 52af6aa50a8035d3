//! Owed time: the part of a delay that counts (D4, D9).
//!
//! Decides that from the delays that the delivery controller wrote, the causes that count by the
//! contract, and the allowance. Knows nothing of money.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{Cause, CountFrom, Delay, Promise, ServiceLevel};
use jiff::{SignedDuration, Timestamp};

use crate::promise::counted_causes;
use crate::time::DurationError;

/// From an instant up to and without another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interval {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Interval {
    /// Returns its length.
    pub fn length(self) -> SignedDuration {
        self.until.duration_since(self.from)
    }
}

/// The delay of a promise by one cause and reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CauseTotal {
    /// The side that caused the delay.
    pub cause: Cause,
    /// The reason of the item that blocked.
    pub reason: String,
    /// All the time of it.
    pub total: SignedDuration,
    /// The owed time of it: zero if the cause does not count.
    pub counted: SignedDuration,
}

/// The delay of a promise, and the part of it that is owed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwedTime {
    /// The promised instant.
    pub from: Timestamp,
    /// The instant from which no more time is owed; absent while the promise is open.
    pub until: Option<Timestamp>,
    /// The owed time: ordered, disjoint, none of them empty or adjoining the next.
    pub owed: Vec<Interval>,
    /// The length of the owed time.
    pub counted: SignedDuration,
    /// The time whose cause counts, before the allowance is applied.
    pub counting: SignedDuration,
    /// The delay by cause and reason, in this order.
    pub causes: Vec<CauseTotal>,
}

/// Returns the owed time of a promise: the part of `[effective, closed)` whose cause counts, if
/// that is longer than the allowance; with `AfterAllowance` the allowance is taken off its front.
/// While the promise is open it ends at `now`.
///
/// An instant counts if any of the delays that cover it counts. An instant that none covers
/// belongs to the last delay before it; before the first one it is the provider's (NotObserved).
pub fn owed_time(
    promise: &Promise,
    causes: &[Cause],
    level: &ServiceLevel,
    now: Timestamp,
) -> Result<OwedTime, DurationError> {
    let allowed = level.allowed.length()?;
    let causes = counted_causes(causes);
    let until = [promise.closed, promise.completed]
        .into_iter()
        .flatten()
        .min();
    let slices = slices(promise, until.unwrap_or(now), causes);
    let counting = slices
        .iter()
        .filter(|slice| causes.contains(&slice.cause))
        .fold(SignedDuration::ZERO, |sum, slice| {
            sum.saturating_add(slice.interval.length())
        });
    let mut to_skip = match level.count {
        _ if counting <= allowed => SignedDuration::MAX,
        CountFrom::FromPromise => SignedDuration::ZERO,
        CountFrom::AfterAllowance => allowed,
    };
    let mut totals: BTreeMap<(Cause, &str), (SignedDuration, SignedDuration)> = BTreeMap::new();
    let mut owed: Vec<Interval> = Vec::new();
    for slice in &slices {
        let (total, counted) = totals.entry((slice.cause, slice.reason)).or_default();
        *total = total.saturating_add(slice.interval.length());
        if !causes.contains(&slice.cause) {
            continue;
        }
        let skipped = to_skip.min(slice.interval.length());
        to_skip -= skipped;
        let rest = Interval {
            from: slice.interval.from + skipped,
            ..slice.interval
        };
        *counted = counted.saturating_add(rest.length());
        append(&mut owed, rest);
    }
    let counted = owed.iter().fold(SignedDuration::ZERO, |sum, part| {
        sum.saturating_add(part.length())
    });
    let causes = totals
        .into_iter()
        .map(|((cause, reason), (total, counted))| CauseTotal {
            cause,
            reason: reason.to_owned(),
            total,
            counted,
        })
        .collect();
    Ok(OwedTime {
        from: promise.effective,
        until,
        owed,
        counted,
        counting,
        causes,
    })
}

/// Adds an interval to ordered ones, as a part of the last where they adjoin.
fn append(owed: &mut Vec<Interval>, next: Interval) {
    if next.from >= next.until {
        return;
    }
    match owed.last_mut() {
        Some(last) if last.until == next.from => last.until = next.until,
        _ => owed.push(next),
    }
}

/// A part of the delay with its cause.
struct Slice<'a> {
    interval: Interval,
    cause: Cause,
    reason: &'a str,
}

/// Cuts `[effective, end)` wherever a delay begins or ends, in order.
fn slices<'a>(promise: &'a Promise, end: Timestamp, causes: &[Cause]) -> Vec<Slice<'a>> {
    let inside = |instant: &Timestamp| (promise.effective..=end).contains(instant);
    let mut cuts: Vec<Timestamp> = promise
        .delays
        .iter()
        .flat_map(|delay| [Some(delay.from), delay.until])
        .flatten()
        .chain([promise.effective, end])
        .filter(inside)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2)
        .map(|cut| {
            let interval = Interval {
                from: cut[0],
                until: cut[1],
            };
            let (cause, reason) = blocked_by(&promise.delays, cut[0], causes);
            Slice {
                interval,
                cause,
                reason,
            }
        })
        .collect()
}

/// Returns the cause and the reason of an instant. Of several delays that count it is the first by
/// cause and reason, so that neither their order nor how they are cut into parts matters.
fn blocked_by<'a>(delays: &'a [Delay], at: Timestamp, causes: &[Cause]) -> (Cause, &'a str) {
    let begun = || delays.iter().filter(move |delay| delay.from <= at);
    let lasts = |delay: &&Delay| delay.until.is_none_or(|until| at < until);
    let rank = |delay: &&'a Delay| {
        let first = Reverse((delay.cause, delay.reason.as_str()));
        (causes.contains(&delay.cause), first)
    };
    begun()
        .filter(lasts)
        .max_by_key(rank)
        .or_else(|| begun().max_by_key(|delay| (delay.until, rank(delay))))
        .map_or((Cause::Provider, Reason::NotObserved.as_str()), |delay| {
            (delay.cause, delay.reason.as_str())
        })
}

#[cfg(test)]
mod tests;
