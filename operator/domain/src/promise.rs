//! Promises: the revisions that are promised, the judge, the records that are owed, and the
//! promises that are settled (D3, D4, D8, D9; api sections "What is promised" and "Whose delay").
//!
//! A promise is one instant, that of its revision: `effective` of the revision and of the promise
//! in status, `promised` of a record, and `from` of its lateness are the same one. Decides every
//! rule about it that more than one room needs, so that none is stated twice. It must never
//! calculate money, look at a device or read a clock. Called by `contract` (which entries are
//! promised and may go), `delivery` (the judge, the finalizer) and `compensation` (the records).

mod causes;
mod delays;
mod judge;
mod names;
mod owed;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use entente_crds::v1alpha1::{Contract, Promise, PromiseState, Revision, ServiceSubscription};
use jiff::Timestamp;

use crate::time::{DurationError, TermError, local_date, start_of_date, zone};

pub use causes::counted_causes;
pub use judge::{Circumstances, Look, evidence_is_lost, has_unproved, judge};
pub(crate) use names::{DebtFacts, issue_of, next_issue};
pub use names::{compensation_name, successor_name};
pub use owed::{
    CompensationRecord, OwedRecord, TakenName, WITHOUT_CREDIT, is_frozen, is_recorded, is_settled,
    is_without_credit, owed_records, taken_name,
};

/// Returns the instant from which on a contract promises its start: that of `promisesFrom`, else
/// its creation. A start that lies before it was not known before it came.
///
/// # Errors
/// `promisesFrom` is no date, or the zone is unknown.
pub fn promised_from(contract: &Contract, created: Timestamp) -> Result<Timestamp, TermError> {
    let spec = &contract.spec;
    let Some(date) = &spec.promises_from else {
        return Ok(created);
    };
    let date = local_date("promisesFrom", date)?;
    let zone = zone(&spec.term.time_zone).map_err(|source| TermError::Zone { source })?;
    Ok(start_of_date(date, &zone))
}

/// True if an instant was known before it came, so that a revision which begins then is promised.
pub fn is_promised(effective: Timestamp, promised_from: Timestamp) -> bool {
    effective >= promised_from
}

/// Returns the last instant at which the promise of a revision is kept; an allowance that leads
/// beyond all instants ends at the last one.
///
/// # Errors
/// The allowance is no duration. A contract refuses one before it writes a revision.
pub fn deadline(revision: &Revision) -> Result<Timestamp, DurationError> {
    let allowed = revision.service_level.allowed.length()?;
    let deadline = revision.effective.checked_add(allowed);
    Ok(deadline.unwrap_or(Timestamp::MAX))
}

/// Returns the promises that were judged so far.
pub fn promises(subscription: &ServiceSubscription) -> &[Promise] {
    let status = subscription.status.as_ref();
    status.map_or(&[], |status| &status.promises)
}

/// Returns the promise of an instant, as it was last judged.
pub fn promise_of(subscription: &ServiceSubscription, effective: Timestamp) -> Option<&Promise> {
    let mut promises = promises(subscription).iter();
    promises.find(|promise| promise.effective == effective)
}

/// Returns the revision that begins at an instant; `None` where it was pruned.
pub fn revision_of(subscription: &ServiceSubscription, effective: Timestamp) -> Option<&Revision> {
    let mut revisions = subscription.spec.revisions.iter();
    let found = revisions.find(|revision| revision.effective == effective);
    found.map(AsRef::as_ref)
}

/// True if any promise of a subscription was missed.
pub fn has_missed(subscription: &ServiceSubscription) -> bool {
    let mut promises = promises(subscription).iter();
    promises.any(|promise| promise.state == PromiseState::Missed)
}

/// Returns the instant at which a revision ends: at its own end, or where the next one begins.
pub fn end_of(subscription: &ServiceSubscription, revision: &Revision) -> Option<Timestamp> {
    end_among(&subscription.spec.revisions, revision)
}

/// Returns the same of one among all revisions of a subscription.
pub(crate) fn end_among(revisions: &[Arc<Revision>], revision: &Revision) -> Option<Timestamp> {
    let all = revisions.iter().map(|other| other.effective);
    let next = all
        .filter(|effective| *effective > revision.effective)
        .min();
    [revision.until, next].into_iter().flatten().min()
}

/// Returns the one of all revisions of a subscription that is in force at an instant.
pub fn in_force(revisions: &[Arc<Revision>], at: Timestamp) -> Option<&Revision> {
    let covers = |revision: &&Revision| {
        revision.effective <= at && end_among(revisions, revision).is_none_or(|end| end > at)
    };
    revisions.iter().map(Arc::as_ref).find(covers)
}

/// Returns the end of the service that a revision is a part of: revisions that follow each other
/// without a gap are one service. `None`: it has no end.
pub fn end_of_service(
    subscription: &ServiceSubscription,
    revision: &Revision,
) -> Option<Timestamp> {
    let mut end = end_of(subscription, revision)?;
    // At most as many as there are: one of no length begins where it ends, and leads to itself.
    for _ in &subscription.spec.revisions {
        let Some(next) = revision_of(subscription, end) else {
            break;
        };
        end = end_of(subscription, next)?;
    }
    Some(end)
}
