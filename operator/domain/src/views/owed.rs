//! Owed: Compensations by customer, contract and currency, with their sums.
//!
//! Amounts are those of the objects, as they are written there; sums are exact decimals. It must never
//! calculate what is owed, nor use floating point. A voided record is shown, and counts for nothing.

#![deny(clippy::float_arithmetic, reason = "sums of money are exact")]

use std::collections::BTreeMap;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Amount, Compensation};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Serialize;

use super::moment::Moment;
use crate::condition::is_true;
use crate::money::{amount_owed, currency_digits};
use crate::time::zone;

/// State of an amount.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OwedState {
    /// It still grows, or was not calculated yet.
    Growing,
    /// It is final.
    Final,
    /// A person declared the record wrong: it counts for nothing.
    Voided,
}

impl OwedState {
    /// Returns the word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Final => "final",
            Self::Voided => "voided",
        }
    }
}

/// The Compensations that are asked for; an absent field asks for all.
#[derive(Clone, Debug, Default)]
pub struct OwedFilter {
    /// Id of the customer.
    pub customer: Option<String>,
    /// Name of the contract.
    pub contract: Option<String>,
    /// State of the amount.
    pub state: Option<OwedState>,
}

/// Debts and their sums.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwedView {
    /// One row for each Compensation, by namespace, customer, contract, service, device and instant.
    pub compensations: Vec<OwedRow>,
    /// The sums of those that are not voided, for each contract and currency.
    pub sums: Vec<OwedSum>,
    /// The sums over everything, one for each currency.
    pub totals: Vec<Amount>,
    /// Names of Compensations whose amount is no decimal: they are in no sum.
    pub unreadable: Vec<String>,
}

/// One debt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedRow {
    /// Namespace of the Compensation.
    pub namespace: String,
    /// Name of the Compensation.
    pub name: String,
    /// Id of the customer.
    pub customer: String,
    /// Name of the contract.
    pub contract: String,
    /// Name of the entry of the contract.
    pub service: String,
    /// Name of the Device.
    pub device: String,
    /// Name of the remedy.
    pub remedy: String,
    /// The promised instant.
    pub promised: Moment,
    /// The time that counts, such as `7h12m`.
    pub late: Option<String>,
    /// Causes of that time, the longest first, such as `Device (Unreachable)`.
    pub causes: Vec<String>,
    /// State of the amount.
    pub state: OwedState,
    /// The amount as it is in the object; absent before the first calculation.
    pub amount: Option<Amount>,
}

/// Sum of one contract in one currency.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedSum {
    /// Namespace of the contract.
    pub namespace: String,
    /// Id of the customer.
    pub customer: String,
    /// Name of the contract.
    pub contract: String,
    /// The currency (ISO 4217).
    pub currency: String,
    /// Sum of the final amounts.
    #[serde(rename = "final")]
    pub final_sum: String,
    /// Sum of the amounts that still grow, as they are now.
    pub growing: String,
    /// Sum of both.
    pub total: String,
}

/// Returns the debts that a filter lets through.
pub fn owed<'a>(
    compensations: impl IntoIterator<Item = &'a Compensation>,
    filter: &OwedFilter,
    now: Timestamp,
) -> OwedView {
    let rows = compensations.into_iter().map(|found| row(found, now));
    let mut rows: Vec<OwedRow> = rows.filter(|row| filter.lets_through(row)).collect();
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut sums = Sums::new();
    let mut unreadable = Vec::new();
    for row in rows.iter().filter(|row| row.state != OwedState::Voided) {
        let Some(amount) = &row.amount else { continue };
        let Some(value) = amount_owed(amount) else {
            unreadable.push(row.name.clone());
            continue;
        };
        let key = [
            &row.namespace,
            &row.customer,
            &row.contract,
            &amount.currency,
        ];
        let sum = sums.entry(key.map(String::as_str)).or_default();
        let sum = &mut sum[usize::from(row.state == OwedState::Growing)];
        *sum = sum.saturating_add(value);
    }
    OwedView {
        totals: totals(&sums),
        sums: sums.into_iter().map(sum).collect(),
        compensations: rows,
        unreadable,
    }
}

/// Final and growing amounts, by namespace, customer, contract and currency.
type Sums<'a> = BTreeMap<[&'a str; 4], [Decimal; 2]>;

/// Returns the sums over everything, one for each currency.
fn totals(sums: &Sums<'_>) -> Vec<Amount> {
    let mut totals: BTreeMap<&str, Decimal> = BTreeMap::new();
    for ([_, _, _, currency], [done, growing]) in sums {
        let total = totals.entry(currency).or_default();
        *total = total.saturating_add(*done).saturating_add(*growing);
    }
    let totals = totals.into_iter().map(|(currency, value)| Amount {
        currency: currency.to_owned(),
        value: written(value, currency),
    });
    totals.collect()
}

fn sum((key, [done, growing]): ([&str; 4], [Decimal; 2])) -> OwedSum {
    let [namespace, customer, contract, currency] = key.map(str::to_owned);
    OwedSum {
        final_sum: written(done, &currency),
        growing: written(growing, &currency),
        total: written(done.saturating_add(growing), &currency),
        namespace,
        customer,
        contract,
        currency,
    }
}

/// Writes a sum with the digits of its currency, or with more where an amount has more: a sum is never
/// rounded.
fn written(mut sum: Decimal, currency: &str) -> String {
    let digits = currency_digits(currency);
    if sum.scale() < digits {
        sum.rescale(digits);
    }
    sum.to_string()
}

impl OwedFilter {
    fn lets_through(&self, row: &OwedRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.customer, &row.customer)
            && is(&self.contract, &row.contract)
            && self.state.is_none_or(|state| state == row.state)
    }
}

fn order(row: &OwedRow) -> ([&str; 5], Timestamp, &str) {
    let names = [
        &row.namespace,
        &row.customer,
        &row.contract,
        &row.service,
        &row.device,
    ];
    (names.map(String::as_str), row.promised.at, &row.name)
}

fn row(found: &Compensation, now: Timestamp) -> OwedRow {
    let record = &found.spec.record;
    let status = found.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let lateness = status.and_then(|status| status.lateness.as_ref());
    let zone = zone(&record.time_zone).unwrap_or(TimeZone::UTC);
    let mut causes: Vec<_> = lateness.iter().flat_map(|it| &it.causes).collect();
    let length = |text: &str| {
        let length = entente_crds::duration::Duration::from(text).length();
        std::cmp::Reverse(length.unwrap_or_default())
    };
    causes.sort_by_key(|it| length(&it.counted));
    OwedRow {
        namespace: found.metadata.namespace.clone().unwrap_or_default(),
        name: found.metadata.name.clone().unwrap_or_default(),
        customer: record.customer.id.clone(),
        contract: record.contract.name.clone(),
        service: record.service_name.clone(),
        device: record.device.name.clone(),
        remedy: record.remedy.name.clone(),
        promised: Moment::new(record.promised, &zone, now),
        late: lateness.map(|it| it.counted.clone()),
        causes: causes
            .iter()
            .map(|it| format!("{:?} ({})", it.cause, it.reason))
            .collect(),
        state: if found.spec.voided.is_some() {
            OwedState::Voided
        } else if is_true(conditions, ConditionType::Calculated) {
            OwedState::Final
        } else {
            OwedState::Growing
        },
        amount: status.and_then(|status| status.amount.clone()),
    }
}
