//! The instants at which a contract is looked at again although nothing happens.
//!
//! Decides only when: a pass that comes too early changes nothing, and one that does not come leaves a
//! status or a subscription as it was. Called by the contract controller after each pass, and by resolve.

use entente_crds::v1alpha1::{
    Contract, ContractAmendment, ContractNotice, ResolvedTerm, ServiceSubscription,
    ServiceSubscriptionSpec,
};
use jiff::{SignedDuration, Timestamp};

use super::notices::noticed;
use super::parsed::lead_time;
use super::subscriptions::kept_until;
use super::timeline::effective_in;
use super::{Awaited, ContractWorld, ResolvedContract, is_own};
use crate::clocks::earlier_clock;

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
    let specs = resolved.desired.iter().map(|desired| &desired.spec);
    term.chain(specs.flat_map(ends_of_revisions))
        .chain([resolved.preparation, resolved.next_change])
        .flatten()
        .chain(resolved.awaited.iter().flat_map(Awaited::dates))
        .filter(|instant| *instant > now)
        .chain(again)
        .min()
}

/// Returns the next instant that matters to a contract by its own dates and those of its
/// subscriptions, amendments and notices; none of them needs the catalogue, a device or the rest of a pass.
pub fn next_date<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    amendments: impl IntoIterator<Item = &'a ContractAmendment>,
    notices: impl IntoIterator<Item = &'a ContractNotice>,
    now: Timestamp,
) -> Option<Timestamp> {
    let status = contract.status.as_ref();
    let own = subscriptions.into_iter();
    let own: Vec<_> = own.filter(|found| is_own(contract, found)).collect();
    let by_notices = noticed(contract, own.iter().copied(), notices, now).unwrap_or_default();
    let awaited = by_notices.awaited.iter().flat_map(Awaited::dates);
    let terms = [
        by_notices.term,
        // It holds while an edit is refused.
        status.and_then(|status| status.term.clone()),
    ];
    let of_terms = terms
        .iter()
        .flatten()
        .flat_map(|term| [preparation(contract, term), Some(term.start), term.end]);
    let of_revisions = own
        .iter()
        .flat_map(|found| ends_of_revisions(&found.spec).chain([kept_until(contract, found)]));
    let amendments = amendments.into_iter();
    let of_amendments = amendments.map(|amendment| effective_in(contract, amendment));
    let dates = of_terms.chain(of_revisions).chain(of_amendments).flatten();
    dates.chain(awaited).filter(|instant| *instant > now).min()
}

/// Returns the next instant of the subscriptions as they are written, of the changes that the status
/// tells, and of the amendments that were accepted: while the contract is refused, waits for its start or
/// misses a service, these count.
pub(super) fn next_of_written(world: &ContractWorld, now: Timestamp) -> Option<Timestamp> {
    let of_revisions = world.own().flat_map(|found| ends_of_revisions(&found.spec));
    let told = world.contract.status.iter().flat_map(|it| &it.upcoming);
    let told = told.map(|change| Some(change.effective));
    let amendments = world.amendments.iter();
    let accepted = amendments.map(|it| it.status.as_ref()?.effective);
    let dates = of_revisions.chain(told).chain(accepted).flatten();
    dates.filter(|instant| *instant > now).min()
}

/// Returns the instants at which the revisions of a subscription begin and end.
fn ends_of_revisions(
    spec: &ServiceSubscriptionSpec,
) -> impl Iterator<Item = Option<Timestamp>> + use<'_> {
    let revisions = spec.revisions.iter();
    revisions.flat_map(|revision| [Some(revision.effective), revision.until])
}

/// Returns the instant from which the start of a term is prepared.
pub(super) fn preparation(contract: &Contract, term: &ResolvedTerm) -> Option<Timestamp> {
    let lead = lead_time(contract).ok()?;
    term.start.checked_sub(lead).ok()
}
