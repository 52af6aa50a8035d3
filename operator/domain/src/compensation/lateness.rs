//! Owed time: the part of a delay that counts (D4, D9).
//!
//! Decides that from the delays that the delivery controller wrote, the times that the contract
//! excludes, the causes that count by it, and the allowance, in this order. Knows nothing of money.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Cause, CountFrom, Delay, ExcludedTime, Promise, Record, ServiceLevel,
};
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

/// The terms of a contract by which a part of a delay counts.
#[derive(Clone, Copy, Debug)]
pub struct LatenessTerms<'a> {
    /// The causes that count; none: those of [`counted_causes`].
    pub causes: &'a [Cause],
    /// The allowance.
    pub level: &'a ServiceLevel,
    /// Times that are not owed, in any order.
    pub exclusions: &'a [ExcludedTime],
}

impl<'a> From<&'a Record> for LatenessTerms<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            causes: &record.counted_causes,
            level: &record.service_level,
            exclusions: &record.exclusions,
        }
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
    /// The time that is excluded. It is of no cause.
    pub excluded: SignedDuration,
    /// The rest of the delay by cause and reason, in this order.
    pub causes: Vec<CauseTotal>,
}

/// Returns the owed time of a promise: the part of `[effective, closed)` that is not excluded and
/// whose cause counts, if that is longer than the allowance; with `AfterAllowance` the allowance is
/// taken off its front. While the promise is open it ends at `now`.
///
/// Exclusions are cut out before anything else: excluded time counts by no cause, and neither as a
/// part of the allowance (rule of money 4).
///
/// An instant counts if any of the delays that cover it counts. An instant that none covers
/// belongs to the last delay before it; before the first one it is the provider's (NotObserved).
pub fn owed_time(
    promise: &Promise,
    terms: &LatenessTerms<'_>,
    now: Timestamp,
) -> Result<OwedTime, DurationError> {
    let level = terms.level;
    let allowed = level.allowed.length()?;
    let causes = counted_causes(terms.causes);
    let until = [promise.closed, promise.completed]
        .into_iter()
        .flatten()
        .min();
    let end = until.unwrap_or(now);
    let (excluded, parts) = parts(promise, end, terms.exclusions);
    let slices = slices(promise, &parts, causes);
    let counts = |slice: &&Slice<'_>| causes.contains(&slice.cause);
    let counting = length(slices.iter().filter(counts).map(|slice| slice.interval));
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
    let counted = length(owed.iter().copied());
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
        excluded: length(excluded.into_iter()),
        causes,
    })
}

/// Adds up the lengths of intervals.
fn length(parts: impl Iterator<Item = Interval>) -> SignedDuration {
    parts.fold(SignedDuration::ZERO, |sum, part| {
        sum.saturating_add(part.length())
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

/// Cuts `[effective, end)` wherever a delay or an exclusion begins or ends; returns the parts that
/// are excluded and those that are not, each in order.
fn parts(
    promise: &Promise,
    end: Timestamp,
    exclusions: &[ExcludedTime],
) -> (Vec<Interval>, Vec<Interval>) {
    let inside = |instant: &Timestamp| (promise.effective..=end).contains(instant);
    let delays = promise.delays.iter();
    let delays = delays.flat_map(|delay| [Some(delay.from), delay.until]);
    let excluded = exclusions.iter().flat_map(|time| [time.from, time.until]);
    let mut cuts: Vec<Timestamp> = delays
        .flatten()
        .chain(excluded)
        .chain([promise.effective, end])
        .filter(inside)
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let cuts = cuts.windows(2).map(|cut| Interval {
        from: cut[0],
        until: cut[1],
    });
    cuts.partition(|part| {
        let mut exclusions = exclusions.iter();
        exclusions.any(|time| (time.from..time.until).contains(&part.from))
    })
}

/// Gives each part of a delay its cause.
fn slices<'a>(promise: &'a Promise, parts: &[Interval], causes: &[Cause]) -> Vec<Slice<'a>> {
    let slice = |interval: &Interval| {
        let (cause, reason) = blocked_by(&promise.delays, interval.from, causes);
        Slice {
            interval: *interval,
            cause,
            reason,
        }
    };
    parts.iter().map(slice).collect()
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
