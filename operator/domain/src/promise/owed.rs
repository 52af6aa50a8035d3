//! The records that a promise owes, and when it is settled (D8; api section 10).
//!
//! Decides under one rule which records are to be made, which the finalizer of a subscription
//! waits for, and which a contract waits for before it drops a revision: a record that one of them
//! expects and another never makes would be waited for without end.

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    Compensation, Promise, PromiseState, Remedy, RemedyType, Revision, ServiceSubscription,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::names::{DebtFacts, compensation_name, issue_of, successor_name};
use super::{promise_of, revision_of};
use crate::condition::is_true;

/// A record that a missed promise owes.
#[derive(Clone, Debug, PartialEq)]
pub struct OwedRecord<'a> {
    /// The name of its first issue.
    pub name: String,
    /// The revision that was promised, whose terms the record freezes.
    pub revision: &'a Revision,
    /// The remedy by which it is owed.
    pub remedy: &'a Remedy,
}

/// Returns the records that a promise owes, whether they were made or not, in the order of the
/// revision's remedies: none unless it was missed, and none where its revision is gone.
pub fn owed_records<'a>(
    subscription: &'a ServiceSubscription,
    promise: &Promise,
) -> impl Iterator<Item = OwedRecord<'a>> + use<'a> {
    let missed = promise.state == PromiseState::Missed;
    let revision = revision_of(subscription, promise.effective).filter(|_| missed);
    let name = subscription.name_any();
    revision.into_iter().flat_map(move |revision| {
        let name = name.clone();
        let remedies = revision.remedies.iter();
        let owed = remedies.filter(|remedy| owes(remedy, revision));
        owed.map(move |remedy| OwedRecord {
            name: compensation_name(&name, revision.effective, &remedy.name),
            revision,
            remedy,
        })
    })
}

/// True if a remedy owes something once the promise of its revision is missed. A fee credit is a
/// part of a fee in a currency: without one of them there is nothing to take a part of.
fn owes(remedy: &Remedy, revision: &Revision) -> bool {
    match remedy.r#type {
        RemedyType::FeeCredit => {
            remedy.credit.is_some() && revision.fee.is_some() && revision.currency.is_some()
        }
    }
}

/// True if a remedy never owes anything, whatever is missed: a fee credit without its calculation.
pub fn is_without_credit(remedy: &Remedy) -> bool {
    let RemedyType::FeeCredit = remedy.r#type;
    remedy.credit.is_none()
}

/// Says of a remedy that [`is_without_credit`] what it needs.
pub const WITHOUT_CREDIT: &str = "is a FeeCredit: it must have the member credit";

/// The part of a Compensation on which its subscription depends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompensationRecord {
    /// Its name.
    pub name: String,
    /// The subscription it is about.
    pub subscription: String,
    /// The promised instant.
    pub promised: Timestamp,
    /// The name of its remedy.
    pub remedy: String,
    /// The key under which it is booked.
    pub booking_key: String,
    /// True if its amount is final.
    pub calculated: bool,
    /// True if a person declared it wrong.
    pub voided: bool,
    /// The record that has to follow it, because a person voided it and asked for another.
    pub successor: Option<String>,
}

impl From<&Compensation> for CompensationRecord {
    fn from(compensation: &Compensation) -> Self {
        let record = &compensation.spec.record;
        let status = compensation.status.as_ref();
        Self {
            name: compensation.name_any(),
            subscription: record.subscription.name.clone(),
            promised: record.promised,
            remedy: record.remedy.name.clone(),
            booking_key: record.booking_key.clone(),
            calculated: status
                .is_some_and(|status| is_true(&status.conditions, ConditionType::Calculated)),
            voided: compensation.spec.voided.is_some(),
            successor: successor_name(compensation),
        }
    }
}

impl CompensationRecord {
    /// True if it is about a promise of this subscription, and not of another one that had its
    /// name, as one for another customer: the key of a record that has our name says so.
    pub(super) fn is_about(&self, subscription: &ServiceSubscription, promise: &Promise) -> bool {
        let name = subscription.name_any();
        if self.subscription != name || self.promised != promise.effective {
            return false;
        }
        let first = compensation_name(&name, promise.effective, &self.remedy);
        let debt = DebtFacts::of_subscription(subscription, promise.effective, &self.remedy);
        let is_booked = |issue| debt.booking_key(issue) == self.booking_key;
        issue_of(&self.name, &first).is_none_or(is_booked)
    }
}

/// A Compensation that has the name of a record which is owed, and is about another debt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TakenName {
    /// The name of both.
    pub name: String,
    /// The key under which what is owed has to be booked.
    pub owed: String,
    /// The key of the Compensation that exists.
    pub found: String,
}

impl TakenName {
    /// Returns the sentence that names both and the way out.
    pub fn in_words(&self) -> String {
        let Self { name, owed, found } = self;
        format!(
            "What is owed cannot be recorded: the Compensation {name} is there already and has the \
             booking key {found} of another debt, not {owed}. It is left as it is: settle its debt, \
             then delete it."
        )
    }
}

/// Returns the first Compensation that keeps a record from being made, since it has its name and is
/// about another debt: that of another customer, or one that a person made.
pub fn taken_name(
    subscription: &ServiceSubscription,
    promises: &[Promise],
    records: &[CompensationRecord],
) -> Option<TakenName> {
    let owed = promises.iter().flat_map(|promise| {
        let owed = owed_records(subscription, promise);
        owed.map(|owed| (owed.name, owed.revision.effective, &owed.remedy.name))
    });
    let mut taken = owed.filter_map(|(name, promised, remedy)| {
        let mut records = records.iter();
        let found = records.find(|record| record.name == name)?;
        let key = DebtFacts::of_subscription(subscription, promised, remedy).booking_key(1);
        (found.booking_key != key).then(|| TakenName {
            name,
            owed: key,
            found: found.booking_key.clone(),
        })
    });
    taken.next()
}

/// True if everything that the promises owe is recorded and final (api section 10): each existing
/// record, and one for each remedy that owes. A record that was made and then deleted or voided by
/// a person is not waited for, but the record that replaces a voided one is.
pub fn is_recorded(
    subscription: &ServiceSubscription,
    promises: &[Promise],
    records: &[CompensationRecord],
) -> bool {
    let mut missed = promises
        .iter()
        .filter(|promise| promise.state == PromiseState::Missed);
    missed.all(|promise| {
        let records = || {
            records
                .iter()
                .filter(|record| record.is_about(subscription, promise))
        };
        let exists = |wanted: &String| {
            promise.emitted.contains(wanted) || records().any(|record| record.name == *wanted)
        };
        let settled = |record: &CompensationRecord| {
            if record.voided {
                record.successor.as_ref().is_none_or(exists)
            } else {
                record.calculated
            }
        };
        records().all(settled) && owed_records(subscription, promise).all(|owed| exists(&owed.name))
    })
}

/// True if nothing can be owed any more for a revision, so that it may go: it promised nothing, or
/// its promise is closed and every record that it owes was made.
pub fn is_settled(subscription: &ServiceSubscription, revision: &Revision) -> bool {
    let promise = promise_of(subscription, revision.effective);
    let is_open =
        |promise: &Promise| promise.state == PromiseState::Missed && promise.closed.is_none();
    is_frozen(subscription, revision) && !(revision.promised && promise.is_some_and(is_open))
}

/// True if no further record takes the terms of a revision: it promised nothing, or its promise is
/// decided and every record that it owes was made, whose facts are frozen.
pub fn is_frozen(subscription: &ServiceSubscription, revision: &Revision) -> bool {
    if !revision.promised {
        return true;
    }
    let Some(promise) = promise_of(subscription, revision.effective) else {
        return false;
    };
    match promise.state {
        PromiseState::Open => false,
        PromiseState::Kept | PromiseState::Closed => true,
        PromiseState::Missed => {
            owed_records(subscription, promise).all(|owed| promise.emitted.contains(&owed.name))
        }
    }
}

#[cfg(test)]
mod tests;
