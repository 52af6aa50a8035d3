//! The sum of the compensations of a contract (D8).
//!
//! Decides which of them still accrue and the sums by currency. A voided one counts for nothing.

use std::collections::BTreeMap;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Amount, Compensation, Owed};
use rust_decimal::Decimal;

use crate::condition::is_true;
use crate::money::{amount_owed, format_amount, summary};

/// The most characters of a summary (its schema).
const MAX_SUMMARY: usize = 64;
/// The greatest sum, 10^24, which fits its field with the digits of any currency. No fee leads
/// there; a status that a person wrote might.
const MAX_SUM: Decimal = Decimal::from_parts(0xA100_0000, 0x1BCE_CCED, 0xD3C2, false, 0);
/// The most currencies (its schema).
const MAX_AMOUNTS: usize = 8;

/// Adds up the compensations that are not voided; `None` if there are none. Also returns the number
/// of those that are not final or not delivered. `currency` is shown while nothing was calculated
/// yet.
pub(super) fn owed<'a>(
    compensations: impl Iterator<Item = &'a Compensation>,
    currency: Option<&str>,
) -> (Option<Owed>, i32) {
    let mut owed = Owed::default();
    let mut pending = 0;
    let mut sums: BTreeMap<&str, Decimal> = BTreeMap::new();
    let mut any = false;
    for compensation in compensations.filter(|found| found.spec.voided.is_none()) {
        any = true;
        let status = compensation.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let calculated = is_true(conditions, ConditionType::Calculated);
        let delivered = is_true(conditions, ConditionType::Delivered);
        owed.open += i32::from(!calculated);
        owed.calculated += i32::from(calculated);
        owed.delivered += i32::from(delivered);
        let amount = status.and_then(|status| status.amount.as_ref());
        let value = amount.and_then(amount_owed);
        let owes_nothing = calculated && value.is_some_and(|value| value.is_zero());
        pending += i32::from(!delivered && !owes_nothing);
        if let (Some(amount), Some(value)) = (amount, value) {
            let sum = sums.entry(&amount.currency).or_default();
            *sum = sum.checked_add(value).unwrap_or(MAX_SUM).min(MAX_SUM);
        }
    }
    if !any {
        return (None, 0);
    }
    if let Some(currency) = currency.filter(|_| sums.is_empty()) {
        sums.insert(currency, Decimal::ZERO);
    }
    owed.summary = sums_in_short(&sums);
    owed.amounts = sums
        .iter()
        .take(MAX_AMOUNTS)
        .map(|(currency, value)| Amount {
            currency: (*currency).to_owned(),
            value: format_amount(*value, currency),
        })
        .collect();
    (Some(owed), pending)
}

fn sums_in_short(sums: &BTreeMap<&str, Decimal>) -> String {
    let texts: Vec<String> = sums
        .iter()
        .map(|(currency, value)| summary(*value, currency))
        .collect();
    let all = texts.join(", ");
    if all.chars().count() <= MAX_SUMMARY {
        return all;
    }
    let more = texts.len().saturating_sub(1);
    let first = texts.first().map_or("", String::as_str);
    format!("{first} and {more} more")
}
