//! Fee credit: the worth of owed time (D5).
//!
//! Decides which share of a fee is lost in each period of the calendar, what caps it, and the
//! amount, which is rounded once. Everything before that rounding is an exact fraction.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{CapOf, CreditBasis, Fee, FeeCredit, FeeOf, Share};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Zero as _;
use rust_decimal::Decimal;

use super::earlier::EarlierCredit;
use super::exact::{exact, quotient, rest, rounded, spread, total, truncated};
use super::lateness::Interval;
use crate::money::{self, AmountError};
use crate::time::{CalendarPeriod, dates_over, periods_over};

/// The terms from which a credit is calculated.
#[derive(Clone, Debug)]
pub struct CreditTerms<'a> {
    /// The fee that was in force at the promised instant.
    pub fee: &'a Fee,
    /// Basis, percentage and cap.
    pub credit: &'a FeeCredit,
    /// The currency (ISO 4217).
    pub currency: &'a str,
    /// The number of devices that share a fee for all; absent: this device alone.
    pub share: Option<&'a Share>,
    /// The zone of dates and periods.
    pub zone: &'a TimeZone,
}

/// The part of a credit that falls into one period of the fee.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeriodCredit {
    /// The first local date of the period.
    pub first: Date,
    /// The last local date of the period, inclusive.
    pub last: Date,
    /// The part of the fee that is lost, over the whole period also where the contract covers
    /// only a part of it: numerator and denominator as a person would write them.
    pub share: (Decimal, Decimal),
    /// The fee of the period for this device.
    pub fee: BigRational,
    /// The lost share of that fee, before any cap.
    pub worth: BigRational,
    /// The most that the period can give.
    pub cap: BigRational,
    /// The other compensations that already give in the period, by name, and how much.
    pub taken_by: BTreeMap<String, BigRational>,
    /// The credit of the period: its share of the fee, at most the cap.
    pub credit: BigRational,
    /// The whole minor units that the period gives: its part of the amount.
    pub given: Decimal,
}

/// The credit of a promise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credit {
    /// The sum over the periods, rounded once to the digits of the currency.
    pub amount: Decimal,
    /// The periods that lose something, in order.
    pub periods: Vec<PeriodCredit>,
    /// True if a cap took something away.
    pub capped: bool,
}

/// Calculates the credit for the owed time.
///
/// - ElapsedTime: real seconds owed over the real length of the period, so that a month with a
///   change of the clock has 743 or 745 hours. With `percent`, a day is 24 hours, and a part of a
///   day is that part of the percentage.
/// - StartedDays: local dates that owed time touches, each once; FullDays: local dates that lie
///   wholly inside one stretch of it. Over the dates of the period, or `percent` for each.
///
/// In a period a remedy gives at most its percentage of the fee, less what `earlier` credits of it
/// give in the period, and all remedies of a subscription at most the fee. Of a fee for all devices
/// each device has an equal part of its own, of which it gets whole minor units at most, rounded
/// down, so that all together never get more than the fee (ADR 0019). A cap of the promise is a
/// percentage of one period's fee for all its periods.
pub fn fee_credit(
    terms: &CreditTerms<'_>,
    owed: &[Interval],
    earlier: &[EarlierCredit],
) -> Result<Credit, AmountError> {
    let fee = exact(money::fee_amount(terms.fee)?);
    let fee = fee / BigInt::from(sharing(terms.fee, terms.share));
    let part = payable(&fee, terms);
    let percent = money::credit_percent(terms.credit)?;
    let cap = terms.credit.cap.as_ref();
    let limit = cap
        .map(money::cap_percent)
        .transpose()?
        .map(|percent| &fee * quotient(percent, Decimal::ONE_HUNDRED));
    let for_promise = cap.is_some_and(|cap| cap.of == CapOf::Promise);
    let (mut promise_left, period_limit) = if for_promise {
        (limit, None)
    } else {
        (None, limit)
    };
    let mut periods = Vec::new();
    let mut capped = false;
    for (period, share) in lost_shares(terms, percent, owed) {
        let mut cap = rest(&part, &given(earlier, &period, |_| true));
        if let Some(limit) = &period_limit {
            let of_remedy = given(earlier, &period, |credit| credit.of_remedy);
            cap = cap.min(rest(limit, &of_remedy));
        }
        if let Some(left) = &promise_left {
            cap = cap.min(left.clone());
        }
        let worth = &fee * quotient(share.0, share.1);
        let credit = worth.clone().min(cap.clone());
        // A part of a minor unit that no device gets is no cap.
        let is_rounding = credit == part && worth <= fee;
        capped |= credit < worth && !is_rounding;
        promise_left = promise_left.map(|left| rest(&left, &credit));
        periods.push(PeriodCredit {
            first: period.first,
            last: period.last,
            share,
            taken_by: taken_by(earlier, &period),
            fee: fee.clone(),
            worth,
            cap,
            credit,
            given: Decimal::ZERO,
        });
    }
    let amount = spread_over(&mut periods, money::currency_digits(terms.currency));
    Ok(Credit {
        amount,
        periods,
        capped,
    })
}

/// Rounds the sum of the periods once, spreads it over them and returns it.
fn spread_over(periods: &mut [PeriodCredit], digits: u32) -> Decimal {
    let credits: Vec<_> = periods.iter().map(|period| period.credit.clone()).collect();
    let amount = rounded(&total(credits.iter()), digits);
    let given = spread(amount, &credits, digits);
    for (period, given) in periods.iter_mut().zip(given) {
        period.given = given;
    }
    amount
}

/// Returns the most that a device gets of its fee of a period: all of it, or the whole minor units
/// of its part of a fee that it shares.
fn payable(fee: &BigRational, terms: &CreditTerms<'_>) -> BigRational {
    match terms.fee.of {
        FeeOf::EachDevice => fee.clone(),
        FeeOf::AllDevices => exact(truncated(fee, money::currency_digits(terms.currency))),
    }
}

/// Returns the number of devices that share a fee.
pub(super) fn sharing(fee: &Fee, share: Option<&Share>) -> i32 {
    match (fee.of, share) {
        (FeeOf::AllDevices, Some(share)) => share.devices.max(1),
        _ => 1,
    }
}

/// Adds up the earlier credits that count in a period. A credit of another period counts if that
/// lies inside this one.
fn given(
    earlier: &[EarlierCredit],
    period: &CalendarPeriod,
    meant: fn(&EarlierCredit) -> bool,
) -> BigRational {
    let meant = inside(earlier, period).filter(|credit| meant(credit));
    total(meant.map(|credit| &credit.credit))
}

/// Returns the credit of each earlier compensation in a period, by name, without those that give
/// nothing.
fn taken_by(earlier: &[EarlierCredit], period: &CalendarPeriod) -> BTreeMap<String, BigRational> {
    let mut taken: BTreeMap<String, BigRational> = BTreeMap::new();
    for credit in inside(earlier, period).filter(|credit| !credit.credit.is_zero()) {
        *taken.entry(credit.name.clone()).or_default() += &credit.credit;
    }
    taken
}

fn inside<'a>(
    earlier: &'a [EarlierCredit],
    period: &CalendarPeriod,
) -> impl Iterator<Item = &'a EarlierCredit> + use<'a> {
    let (first, last) = (period.first, period.last);
    let earlier = earlier.iter();
    earlier.filter(move |credit| first <= credit.first && credit.last <= last)
}

/// Returns the share of the fee that is lost in each period, as numerator and denominator, in order
/// and without the periods that lose nothing.
fn lost_shares(
    terms: &CreditTerms<'_>,
    percent: Option<Decimal>,
    owed: &[Interval],
) -> Vec<(CalendarPeriod, (Decimal, Decimal))> {
    let (Some(first), Some(last)) = (owed.first(), owed.last()) else {
        return Vec::new();
    };
    let dates = lost_dates(terms.credit.basis, owed, terms.zone);
    periods_over(first.from, last.until, terms.fee.per, terms.zone)
        .filter_map(|period| {
            let (part, whole) = match terms.credit.basis {
                CreditBasis::ElapsedTime => (
                    seconds_in(owed, period.start, period.end),
                    percent.map_or_else(
                        || seconds(period.end.duration_since(period.start)),
                        |_| Decimal::from(86_400),
                    ),
                ),
                CreditBasis::StartedDays | CreditBasis::FullDays => (
                    Decimal::from(dates.range(period.first..=period.last).count()),
                    percent.map_or_else(|| dates_of(&period, terms.zone), |_| Decimal::ONE),
                ),
            };
            // So many days at so many percent each: 6 days at 5 percent are 30/100.
            let share = match percent {
                Some(percent) => (part * percent, whole * Decimal::ONE_HUNDRED),
                None => (part, whole),
            };
            (!part.is_zero()).then_some((period, share))
        })
        .collect()
}

/// Returns the local dates that are lost.
fn lost_dates(basis: CreditBasis, owed: &[Interval], zone: &TimeZone) -> BTreeSet<Date> {
    let touched = |interval: Interval| {
        dates_over(interval.from, interval.until, zone).filter(move |date| match basis {
            CreditBasis::ElapsedTime => false,
            CreditBasis::StartedDays => true,
            CreditBasis::FullDays => interval.from <= date.start && date.end <= interval.until,
        })
    };
    owed.iter()
        .flat_map(|interval| touched(*interval))
        .map(|date| date.date)
        .collect()
}

/// Counts the local dates of a period: a zone that skips a date has one less.
fn dates_of(period: &CalendarPeriod, zone: &TimeZone) -> Decimal {
    Decimal::from(dates_over(period.start, period.end, zone).count())
}

/// Returns the owed seconds between two instants.
fn seconds_in(owed: &[Interval], start: Timestamp, end: Timestamp) -> Decimal {
    owed.iter()
        .map(|interval| Interval {
            from: interval.from.max(start),
            until: interval.until.min(end),
        })
        .filter(|inside| inside.from < inside.until)
        .map(|inside| seconds(inside.length()))
        .sum()
}

/// Returns a duration in seconds, to the nanosecond.
fn seconds(duration: SignedDuration) -> Decimal {
    Decimal::from_i128_with_scale(duration.as_nanos(), 9).normalize()
}

#[cfg(test)]
mod tests;
