//! The status of a compensation while it accrues, once it is final, and once it is voided (D4, D8,
//! D9).
//!
//! Decides conditions, amount and explanation. Once the amount is final the status never changes
//! again but for voiding. Called by the controller, which writes it when it differs.

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    Amount, Compensation, CompensationStatus, Explanation, Lateness, LatenessCause, Promise,
    PromiseState, Record, Reissue,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::earlier::earlier_credits;
use super::fee_credit::{Credit, CreditTerms, fee_credit};
use super::lateness::{OwedTime, owed_time};
use super::record::booking_key;
use crate::condition::{ConditionSet, Status, Summary, Work, is_true};
use crate::money::{self, AmountError};
use crate::promise::{TakenName, compensation_name, issue_of, next_issue};
use crate::time::{DurationError, UnknownZone, format_duration, zone};
use crate::unreadable::UnreadableObjects;

mod explanation;

/// A field of the record that the operator cannot use, so that no amount can be calculated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CalculationError {
    /// The zone is not in the time zone database.
    #[error("spec.record.timeZone: {source}")]
    Zone {
        /// The name that is unknown.
        source: UnknownZone,
    },
    /// An amount or a percentage is none.
    #[error("spec.record.{source}")]
    Amount {
        /// The field that is no amount.
        source: AmountError,
    },
    /// The allowance is no duration.
    #[error("spec.record.serviceLevel.allowed: {source}")]
    Allowance {
        /// The text that is no duration.
        source: DurationError,
    },
    /// The remedy is a fee credit without one of the fields that it needs.
    #[error("spec.record.{field} must be set for a fee credit")]
    Missing {
        /// The field of spec.record.
        field: &'static str,
    },
    /// The key is not that of the facts: the record is not one that the operator made.
    #[error(
        "spec.record.bookingKey is {found}, and what is owed by this record is booked under {owed}"
    )]
    BookingKey {
        /// The key in the record.
        found: String,
        /// The key that follows from its facts.
        owed: String,
    },
}

impl CalculationError {
    /// Returns the reason of the conditions.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Zone { .. } => Reason::UnknownZone,
            Self::Amount { .. }
            | Self::Allowance { .. }
            | Self::Missing { .. }
            | Self::BookingKey { .. } => Reason::UnsupportedValue,
        }
    }
}

/// Returns the instant up to which an open promise is reported: the second after the compensation's
/// creation, plus as many whole intervals as have passed. So a status that accrues changes once per
/// interval, however often it is calculated and even if the operator restarts. Without a creation,
/// or with an interval that is not positive, it is `now`.
///
/// It is the second after: a creationTimestamp has whole seconds, so it may lie before the end of
/// the allowance that the record is made for.
pub fn accrued_until(
    created: Option<Timestamp>,
    interval: SignedDuration,
    now: Timestamp,
) -> Timestamp {
    match first_accrual(created) {
        Some(first) if first <= now && interval > SignedDuration::ZERO => {
            let over = now.duration_since(first).as_nanos() % interval.as_nanos();
            now - SignedDuration::from_nanos_i128(over)
        }
        _ => now,
    }
}

/// Returns the instant of the first report of a promise that is still open: the second after the
/// compensation's creation. A report before it would change at it.
pub fn first_accrual(created: Option<Timestamp>) -> Option<Timestamp> {
    created?.checked_add(SignedDuration::from_secs(1)).ok()
}

/// Returns the time of the next calculation of a compensation that accrues: the next instant that
/// [`accrued_until`] will return. Always after `now`.
pub fn next_accrual(
    created: Option<Timestamp>,
    interval: SignedDuration,
    now: Timestamp,
) -> Timestamp {
    if let Some(first) = first_accrual(created).filter(|first| *first > now) {
        return first;
    }
    let interval = interval.max(SignedDuration::from_secs(1));
    accrued_until(created, interval, now)
        .saturating_add(interval)
        .unwrap_or(Timestamp::MAX)
}

/// Returns the status of a compensation.
///
/// `promise` is that of the subscription, and `None` only if the API server answered that the
/// subscription or the promise is gone: the last report is then made final, and without a report
/// nothing can be calculated. So it is with a promise that was not missed: a record is made of one that
/// was, so its evidence was lost, as after a restore from a backup. `others` are the other compensations of the same contract and
/// service, from a fresh list, in any order; those that do not matter are left out here. `interval`
/// is the time between two reports of an amount that accrues.
pub fn report(
    compensation: &Compensation,
    promise: Option<&Promise>,
    others: &[Compensation],
    interval: SignedDuration,
    now: Timestamp,
) -> CompensationStatus {
    let previous = compensation.status.clone().unwrap_or_default();
    let promise = promise.filter(|promise| promise.state == PromiseState::Missed);
    if let Some(voided) = &compensation.spec.voided {
        let reissues = voided.reissue == Reissue::Same && !is_reissued(compensation, others);
        let outcome = match taken_name(compensation, others).filter(|_| reissues) {
            Some(taken) => Outcome::NameTaken(taken),
            None => Outcome::Voided(&voided.reason, debt(compensation, promise, others)),
        };
        return with_conditions(compensation, previous, &outcome, now);
    }
    if is_true(&previous.conditions, ConditionType::Calculated) {
        return previous;
    }
    let Some(promise) = promise else {
        let outcome = match previous.amount.as_ref().map(|amount| amount.value.as_str()) {
            None => Outcome::Lost,
            Some(value) => Outcome::of_amount(value.bytes().any(|digit| digit > b'0')),
        };
        return with_conditions(compensation, previous, &outcome, now);
    };
    let until = accrued_until(
        compensation.creation_timestamp().map(|at| at.0),
        interval,
        now,
    );
    match calculated(compensation, promise, others, until) {
        Err(error) => with_conditions(compensation, previous, &Outcome::Unusable(&error), now),
        Ok((status, owes)) => {
            let open = status
                .lateness
                .as_ref()
                .is_some_and(|late| late.until.is_none());
            let outcome = if open {
                Outcome::Accruing
            } else {
                Outcome::of_amount(owes)
            };
            let status = CompensationStatus {
                conditions: previous.conditions,
                ..status
            };
            let observed_generation = previous.observed_generation;
            let status = CompensationStatus {
                observed_generation,
                ..status
            };
            with_conditions(compensation, status, &outcome, now)
        }
    }
}

/// An object that cannot be read, and on which an amount depends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UnreadableSource {
    /// The subscription of this name, which has the promise.
    Subscription(String),
    /// Another Compensation of the same service of the contract, whose credit may count towards a
    /// cap.
    Compensation(String),
}

impl UnreadableSource {
    fn in_words(&self) -> String {
        let (kind, name) = match self {
            Self::Subscription(name) => ("ServiceSubscription", name),
            Self::Compensation(name) => ("Compensation", name),
        };
        let words = UnreadableObjects::CANNOT_BE_READ;
        format!("the {kind} {name} {words}; the amount is calculated then")
    }
}

/// Returns the status of a compensation whose amount cannot be calculated, because an object cannot
/// be read on which it depends. What was reported of it stays, and nothing becomes final or changes
/// once it is.
pub fn report_unread(
    compensation: &Compensation,
    unreadable: &UnreadableSource,
    now: Timestamp,
) -> CompensationStatus {
    let previous = compensation.status.clone().unwrap_or_default();
    if is_true(&previous.conditions, ConditionType::Calculated) {
        return previous;
    }
    with_conditions(compensation, previous, &Outcome::Unread(unreadable), now)
}

/// True if one of the others issues a record again.
fn is_reissued(record: &Compensation, others: &[Compensation]) -> bool {
    let name = record.name_any();
    let mut others = others.iter();
    others.any(|other| {
        let reissues = other.spec.record.reissues.as_ref();
        reissues.is_some_and(|reissues| reissues.name == name)
    })
}

/// Returns the other Compensation that has the name under which a voided record is to be issued
/// again, and that is about another debt.
fn taken_name(voided: &Compensation, others: &[Compensation]) -> Option<TakenName> {
    let (issue, name) = next_issue(voided)?;
    let mut others = others.iter();
    let found = others.find(|other| other.name_any() == name)?;
    let namespace = voided.namespace().unwrap_or_default();
    let owed = booking_key(&namespace, &voided.spec.record, issue);
    let found = found.spec.record.booking_key.clone();
    (found != owed).then_some(TakenName { name, owed, found })
}

/// Returns the fate of the debt of a voided record.
fn debt(voided: &Compensation, promise: Option<&Promise>, others: &[Compensation]) -> Debt {
    let reissue = voided.spec.voided.as_ref().map(|voided| voided.reissue);
    match reissue.unwrap_or_default() {
        Reissue::None => Debt::Cancelled,
        Reissue::Same if promise.is_some() || is_reissued(voided, others) => Debt::IssuedAgain,
        Reissue::Same => Debt::Lost,
    }
}

/// The debt of a voided record.
#[derive(Clone, Copy)]
enum Debt {
    Cancelled,
    IssuedAgain,
    /// It should be issued again, but the promise is gone from which it would be calculated.
    Lost,
}

impl Debt {
    fn in_words(self) -> &'static str {
        match self {
            Self::Cancelled => "nothing is owed for it any more",
            Self::IssuedAgain => "it is issued again under the next number",
            Self::Lost => {
                "it cannot be issued again, since its promise is gone: book what is owed by hand"
            }
        }
    }
}

/// The outcome of a calculation.
enum Outcome<'a> {
    Accruing,
    Final,
    NothingOwed,
    Voided(&'a str, Debt),
    /// It is to be issued again under a name that is taken.
    NameTaken(TakenName),
    /// The promise is gone and nothing was reported of it.
    Lost,
    Unusable(&'a CalculationError),
    Unread(&'a UnreadableSource),
}

impl Outcome<'_> {
    fn of_amount(owes: bool) -> Self {
        if owes { Self::Final } else { Self::NothingOwed }
    }
}

/// Refuses a record whose key is not that of its facts: it would be booked as another debt.
fn check_booking_key(compensation: &Compensation) -> Result<(), CalculationError> {
    let (record, name) = (&compensation.spec.record, compensation.name_any());
    let remedy = &record.remedy.name;
    let first = compensation_name(&record.subscription.name, record.promised, remedy);
    let issue = issue_of(&name, &first).unwrap_or(1);
    let namespace = compensation.namespace().unwrap_or_default();
    let owed = booking_key(&namespace, record, issue);
    if owed == record.booking_key {
        return Ok(());
    }
    let found = record.booking_key.clone();
    Err(CalculationError::BookingKey { found, owed })
}

/// Calculates a status without conditions; true if anything is owed.
fn calculated(
    compensation: &Compensation,
    promise: &Promise,
    others: &[Compensation],
    until: Timestamp,
) -> Result<(CompensationStatus, bool), CalculationError> {
    let record = &compensation.spec.record;
    check_booking_key(compensation)?;
    let owed = owed_time(promise, &record.into(), until)
        .map_err(|source| CalculationError::Allowance { source })?;
    let zone = zone(&record.time_zone).map_err(|source| CalculationError::Zone { source })?;
    let missing = |field| CalculationError::Missing { field };
    let terms = CreditTerms {
        fee: record.fee.as_ref().ok_or_else(|| missing("fee"))?,
        credit: record
            .remedy
            .credit
            .as_ref()
            .ok_or_else(|| missing("remedy.credit"))?,
        currency: record
            .currency
            .as_deref()
            .ok_or_else(|| missing("currency"))?,
        share: record.share.as_ref(),
        zone: &zone,
    };
    let credit = fee_credit(&terms, &owed.owed, &earlier_credits(compensation, others))
        .map_err(|source| CalculationError::Amount { source })?;
    let status = CompensationStatus {
        lateness: Some(lateness(&owed)),
        amount: Some(Amount {
            currency: terms.currency.to_owned(),
            value: money::format_amount(credit.amount, terms.currency),
        }),
        summary: Some(money::summary(credit.amount, terms.currency)),
        explanation: Some(explain(record, &terms, &owed, &credit)),
        ..CompensationStatus::default()
    };
    Ok((status, !credit.amount.is_zero()))
}

fn lateness(owed: &OwedTime) -> Lateness {
    let causes = owed.causes.iter().take(32).map(|total| LatenessCause {
        cause: total.cause,
        reason: total.reason.clone(),
        counted: format_duration(total.counted),
    });
    Lateness {
        from: owed.from,
        until: owed.until,
        counted: format_duration(owed.counted),
        excluded: (!owed.excluded.is_zero()).then(|| format_duration(owed.excluded)),
        causes: causes.collect(),
    }
}

fn explain(
    record: &Record,
    terms: &CreditTerms<'_>,
    owed: &OwedTime,
    credit: &Credit,
) -> Explanation {
    Explanation {
        periods: explanation::lines(terms, credit),
        message: explanation::sentence(record, terms, owed, credit).into(),
    }
}

/// The conditions of an outcome: the summary, and Calculated and Delivered, which have its message.
struct Saying {
    summary: Summary,
    calculated: (Status, Reason),
    delivered: (Status, Reason),
}

/// Message of an amount that nobody has to deliver.
const RECORD_ONLY: &str = "The amount is final and recorded, and nothing is to be delivered: Entente \
                           sends it to no booking system yet, so book it by hand.";

fn saying(outcome: &Outcome<'_>) -> Saying {
    let alike = |status, summary: Summary| Saying {
        calculated: (status, summary.reason()),
        delivered: (status, summary.reason()),
        summary,
    };
    let is_final = |reason, message: &str| alike(Status::True, Summary::done(reason, message));
    match outcome {
        Outcome::Accruing => alike(
            Status::False,
            Summary::open(
                Reason::Accruing,
                "The amount grows until the service is delivered.",
                Work::Progressing,
            ),
        ),
        Outcome::Final => Saying {
            calculated: (Status::True, Reason::AmountFinal),
            ..is_final(Reason::RecordOnly, RECORD_ONLY)
        },
        Outcome::NothingOwed => {
            is_final(Reason::NothingOwed, "Nothing is owed, and that is final.")
        }
        // Nothing is given for a voided record.
        Outcome::Voided(reason, debt) => Saying {
            delivered: (Status::False, Reason::Voided),
            ..is_final(
                Reason::Voided,
                &format!("voided ({reason}); {}", debt.in_words()),
            )
        },
        Outcome::NameTaken(taken) => {
            let summary = Summary::open(
                Reason::CompensationNameTaken,
                taken.in_words(),
                Work::Stalled,
            );
            alike(Status::False, summary)
        }
        Outcome::Lost => alike(
            Status::False,
            Summary::open(
                Reason::Pending,
                "The promise was gone before anything was calculated: void this compensation and \
                 book what is owed by hand.",
                Work::Unknown,
            ),
        ),
        Outcome::Unread(unreadable) => {
            let message = unreadable.in_words();
            let summary = Summary::open(Reason::Undecodable, message, Work::Stalled);
            alike(Status::False, summary)
        }
        Outcome::Unusable(error) => {
            let message = format!("{error}: void this compensation and book what is owed by hand");
            let summary = Summary::open(error.reason(), message, Work::Stalled);
            alike(Status::False, summary)
        }
    }
}

/// Adds the conditions of an outcome to a status.
fn with_conditions(
    compensation: &Compensation,
    mut status: CompensationStatus,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> CompensationStatus {
    let generation = compensation.metadata.generation;
    let Saying {
        summary,
        calculated,
        delivered,
    } = saying(outcome);
    let set = summary.state(ConditionSet::new(&status.conditions, generation, now));
    let stated = [
        (ConditionType::Calculated, calculated),
        (ConditionType::Delivered, delivered),
    ];
    let set = stated
        .into_iter()
        .fold(set, |set, (condition, (holds, reason))| {
            set.with(condition, holds, reason, summary.message())
        });
    status.conditions = set.finish();
    status.observed_generation =
        summary.observed_generation(generation, status.observed_generation);
    status
}

#[cfg(test)]
mod tests;
