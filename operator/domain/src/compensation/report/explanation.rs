//! The explanation of an amount, for people: a line for each period and one sentence.
//!
//! Decides no amount. Beside the texts each line has its share and its credit
//! as exact numbers, which `earlier` reads: a text may be worded anew without changing money.

use std::collections::BTreeMap;

use entente_crds::schema::MAX_TAKEN_BY;
use entente_crds::v1alpha1::{
    Cause, CountFrom, CreditBasis, FeeOf, Period, PeriodShare, Record, TakenCredit,
};
use jiff::SignedDuration;
use num_rational::BigRational;
use rust_decimal::Decimal;

use crate::compensation::exact::{exact, field_of, quotient, total, truncated};
use crate::compensation::fee_credit::{Credit, CreditTerms, sharing};
use crate::compensation::lateness::OwedTime;
use crate::money;
use crate::promise::counted_causes;
use crate::time::format_duration;

/// The most lines that an explanation has.
const MAX_LINES: usize = 64;

/// The most digits behind the point of a cap.
const CAP_DIGITS: u32 = 12;

/// Returns a line for each period that loses something.
pub(super) fn lines(terms: &CreditTerms<'_>, credit: &Credit) -> Vec<PeriodShare> {
    let fee = fee(terms);
    credit
        .periods
        .iter()
        .take(MAX_LINES)
        .map(|period| PeriodShare {
            from: period.first.to_string(),
            until: period.last.to_string(),
            share: share(period.share),
            exact_share: field_of(&quotient(period.share.0, period.share.1)),
            fee: fee.clone(),
            worth: field_of(&period.worth),
            taken_by: taken_by(&period.taken_by),
            cap: decimal(truncated(&period.cap, CAP_DIGITS), terms.currency),
            credit: field_of(&period.credit),
            given: field_of(&exact(period.given)),
        })
        .collect()
}

/// Returns the compensations that took of a period: of more than a line names the last one is the
/// sum of the others, without a name.
fn taken_by(taken: &BTreeMap<String, BigRational>) -> Vec<TakenCredit> {
    let named = if taken.len() > MAX_TAKEN_BY {
        MAX_TAKEN_BY - 1
    } else {
        taken.len()
    };
    let mut lines: Vec<_> = taken
        .iter()
        .take(named)
        .map(|(name, credit)| TakenCredit {
            name: Some(name.clone()),
            credit: field_of(credit),
        })
        .collect();
    if named < taken.len() {
        lines.push(TakenCredit {
            name: None,
            credit: field_of(&total(taken.values().skip(named))),
        });
    }
    lines
}

/// Writes the fee of a period for this device: `12.50`, or `1000.00/3000` where devices share it.
fn fee(terms: &CreditTerms<'_>) -> String {
    let whole = whole_fee(terms);
    match sharing(terms.fee, terms.share) {
        1 => whole,
        devices => format!("{whole}/{devices}"),
    }
}

/// Writes the fee of a period for all who share it.
fn whole_fee(terms: &CreditTerms<'_>) -> String {
    money::fee_amount(terms.fee).map_or_else(
        |_| terms.fee.amount.clone(),
        |amount| decimal(amount, terms.currency),
    )
}

/// Writes a share such as `6/31`.
fn share((numerator, denominator): (Decimal, Decimal)) -> String {
    format!("{}/{}", numerator.normalize(), denominator.normalize())
}

/// Writes a decimal with all its digits, and at least those of the currency.
fn decimal(amount: Decimal, currency: &str) -> String {
    let mut amount = amount.normalize();
    amount.rescale(amount.scale().max(money::currency_digits(currency)));
    amount.to_string()
}

/// Writes the explanation in one sentence.
pub(super) fn sentence(
    record: &Record,
    terms: &CreditTerms<'_>,
    owed: &OwedTime,
    credit: &Credit,
) -> String {
    let apart = uncounted(owed, counted_causes(&record.counted_causes));
    let allowed = &record.service_level.allowed;
    let amount = money::summary(credit.amount, terms.currency);
    if owed.owed.is_empty() {
        let counting = format_duration(owed.counting);
        return format!("{counting} of delay{apart} is within the allowance of {allowed}");
    }
    let counted = format_duration(owed.counted);
    let after = match record.service_level.count {
        CountFrom::AfterAllowance => format!(" after the first {allowed}"),
        CountFrom::FromPromise => String::new(),
    };
    if credit.periods.is_empty() {
        return format!("{counted} of delay{after}{apart} holds no full day");
    }
    let capped = if credit.capped {
        ", limited by the cap"
    } else {
        ""
    };
    format!(
        "{counted} of delay{after}{apart} is {} of the fee of {}, which gives {amount}{capped}",
        lost(terms, credit),
        fee_in_words(terms),
    )
}

/// Writes the time that does not count, as a part of the sentence.
fn uncounted(owed: &OwedTime, causes: &[Cause]) -> String {
    let mut parts: Vec<(Cause, SignedDuration)> = Vec::new();
    for total in owed
        .causes
        .iter()
        .filter(|total| !causes.contains(&total.cause))
    {
        match parts.last_mut() {
            Some((cause, sum)) if *cause == total.cause => *sum = sum.saturating_add(total.total),
            _ => parts.push((total.cause, total.total)),
        }
    }
    let excluded = Some(owed.excluded).filter(|excluded| !excluded.is_zero());
    let excluded = excluded.map(|sum| format!("{} that are excluded", format_duration(sum)));
    let by_cause = parts
        .iter()
        .map(|(cause, sum)| format!("{} by the {}", format_duration(*sum), who(*cause)));
    let parts: Vec<String> = excluded.into_iter().chain(by_cause).collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!(" (not counting {})", parts.join(" and ")),
    }
}

fn who(cause: Cause) -> &'static str {
    match cause {
        Cause::Device => "device",
        Cause::Server => "service server",
        Cause::Provider => "provider",
        Cause::Customer => "customer",
    }
}

/// Writes the lost share, such as "6/31 (started days)".
fn lost(terms: &CreditTerms<'_>, credit: &Credit) -> String {
    let basis = match terms.credit.basis {
        CreditBasis::ElapsedTime => "elapsed time",
        CreditBasis::StartedDays => "started days",
        CreditBasis::FullDays => "full days",
    };
    let shares: Vec<String> = credit
        .periods
        .iter()
        .map(|period| share(period.share))
        .collect();
    match shares.as_slice() {
        [first] => format!("{first} ({basis})"),
        [first, second] => format!("{first} and {second} ({basis})"),
        many => format!("a part in each of {} periods ({basis})", many.len()),
    }
}

fn fee_in_words(terms: &CreditTerms<'_>) -> String {
    let per = match terms.fee.per {
        Period::Month => "month",
        Period::Quarter => "quarter",
        Period::Year => "year",
    };
    let of = match terms.fee.of {
        FeeOf::EachDevice => String::new(),
        FeeOf::AllDevices => match sharing(terms.fee, terms.share) {
            1 => " for one device".to_owned(),
            devices => format!(" shared by {devices} devices"),
        },
    };
    let amount = whole_fee(terms);
    format!("{} {amount} a {per}{of}", terms.currency)
}
