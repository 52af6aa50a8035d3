//! Earlier credits: the amounts that other compensations already give in a period of the fee.
//!
//! Decides which of the other compensations come before one, and what each gives in which period,
//! read from the exact numbers of their status. Called by the report.

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Compensation, PeriodShare, Record};
use jiff::civil::Date;
use kube::ResourceExt;
use num_rational::BigRational;

use super::exact::{exact, read_field, rest, total};
use crate::condition::is_true;
use crate::money::amount_owed;
use crate::time::parse_date;

/// The credit of another compensation in one period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierCredit {
    /// The name of the other compensation.
    pub name: String,
    /// The first local date of the period.
    pub first: Date,
    /// The last local date of the period, inclusive.
    pub last: Date,
    /// True if it is by the same remedy.
    pub of_remedy: bool,
    /// The exact amount.
    pub credit: BigRational,
}

/// Returns the credits of the `others` that lower the cap of one compensation.
///
/// Counts those of the same contract, customer, subscription and currency that are not voided, and
/// whose amount is final, or whose promise is earlier (of one instant: whose name comes first). So
/// nothing that is final is ever counted twice or overlooked, in whatever order they become so. The
/// order of `others` does not matter, and another device takes nothing away.
pub fn earlier_credits(compensation: &Compensation, others: &[Compensation]) -> Vec<EarlierCredit> {
    let rank = |of: &Compensation| (of.spec.record.promised, of.name_any());
    let ours = rank(compensation);
    let remedy = &compensation.spec.record.remedy.name;
    others
        .iter()
        .filter(|other| concerns(compensation, other))
        .filter(|other| other.name_any() != ours.1)
        .filter(|other| is_final(other) || rank(other) < ours)
        .flat_map(|other| {
            let of_remedy = other.spec.record.remedy.name == *remedy;
            let credits = credits_of(other).into_iter();
            credits.map(move |(first, last, credit)| EarlierCredit {
                name: other.name_any(),
                first,
                last,
                of_remedy,
                credit,
            })
        })
        .collect()
}

fn concerns(compensation: &Compensation, other: &Compensation) -> bool {
    let (ours, theirs) = (&compensation.spec.record, &other.spec.record);
    other.spec.voided.is_none()
        && compensation.namespace() == other.namespace()
        && is_same_contract(ours, theirs)
        && ours.service_name == theirs.service_name
        && ours.subscription.name == theirs.subscription.name
        && ours.currency == theirs.currency
}

/// True if two records are of one contract: of one object, or of two with one name and customer
/// whose terms both have both promises, as after a restore. A contract that was deleted and applied
/// again with another term takes over no debt. A term that is not known has every promise.
fn is_same_contract(ours: &Record, theirs: &Record) -> bool {
    let has = |of: &Record, other: &Record| {
        of.contract_start
            .is_none_or(|start| start <= other.promised)
    };
    ours.contract.name == theirs.contract.name
        && ours.customer.id == theirs.customer.id
        && (ours.contract.uid == theirs.contract.uid || has(ours, theirs) && has(theirs, ours))
}

fn is_final(compensation: &Compensation) -> bool {
    let conditions = compensation
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    is_true(conditions.unwrap_or_default(), ConditionType::Calculated)
}

/// Returns the credit of a compensation in each period: the minor units of its lines. Where those have
/// none, as from before there was `given`, they give their exact credit, and the last one the
/// rest of the amount: the effect of rounding, and the part of lines without an exact credit.
/// Nothing is read from a text for people.
fn credits_of(compensation: &Compensation) -> Vec<(Date, Date, BigRational)> {
    let Some(status) = &compensation.status else {
        return Vec::new();
    };
    let periods = status.explanation.iter().flat_map(|it| &it.periods);
    let mut lines: Vec<_> = periods.filter_map(line).collect();
    let amount = status.amount.as_ref();
    let amount = amount.and_then(amount_owed);
    // Also where all lines have it, since there may be periods beyond the last line.
    if let (Some((last, before)), Some(amount)) = (lines.split_last_mut(), amount) {
        let given = total(before.iter().map(|(_, _, credit)| credit));
        last.2 = rest(&exact(amount), &given);
    }
    lines
}

/// Returns the period of a line and what it gives.
fn line(line: &PeriodShare) -> Option<(Date, Date, BigRational)> {
    let (first, last) = (parse_date(&line.from)?, parse_date(&line.until)?);
    let given = line.given.as_ref().or(line.credit.as_ref());
    let given = given.and_then(read_field);
    Some((first, last, given.unwrap_or_default()))
}
