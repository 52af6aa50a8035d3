//! Inventory: the gauges that describe the objects that exist, as sums over these objects.
//!
//! Decides which series of which gauge an object adds to, and by how much: conditions by kind, type,
//! status and reason, promises by state, sums owed by currency, Connections that answer. It must
//! never take a label from a text that is not bounded: types and reasons are those of the closed
//! lists, and of names only those of Connections appear, which are few. Called by the caches of
//! `controllers`, which keep the sums.

mod tally;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::LazyLock};

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{
        Compensation, Condition, Connection, OrderState, Promise, PromiseState, Protocol,
        ServiceSubscription, SupplyOrder,
    },
};
use iso_currency::Currency;
use kube::{Resource, ResourceExt as _};
use rust_decimal::prelude::ToPrimitive as _;

use crate::{
    condition::{Status, find, is_true},
    money::{amount_owed, currency_digits, round},
    promise::promises,
    supply_order::is_open,
};

pub use tally::Tally;

/// Label in place of a word that is in none of our lists: somebody else wrote the status.
pub const OTHER: &str = "Other";

/// One series of a gauge that describes objects.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Series {
    /// Objects that have a condition.
    Condition {
        /// Their kind.
        kind: String,
        /// Type of the condition, or [`OTHER`].
        condition: &'static str,
        /// Status of the condition.
        status: Status,
        /// Reason of the condition, or [`OTHER`].
        reason: &'static str,
    },
    /// Promises in a state.
    Promises(&'static str),
    /// Promises that were missed and whose service is not proven yet.
    Overdue,
    /// Money that is owed, in the smallest units of the currency.
    Owed {
        /// The currency (ISO 4217), or [`OTHER`].
        currency: String,
        /// True if the amount is final, false while it accrues.
        is_final: bool,
    },
    /// Orders of supplies that are open, in a state.
    OpenOrders(&'static str),
    /// 1 if the remote side of a Connection answered the last probe, else 0.
    Reachable {
        /// Name of the Connection.
        connection: String,
    },
}

/// A part of a series that one object adds.
pub type Part = (Series, i128);

/// Returns the parts of any object: one for each of its conditions.
pub fn of_conditions<K: Resource<DynamicType = ()>>(conditions: &[Condition]) -> Vec<Part> {
    let parts = conditions.iter().map(|found| {
        let series = Series::Condition {
            kind: K::kind(&()).into_owned(),
            condition: known(&TYPES, &found.type_),
            status: status_of(found),
            reason: known(&REASONS, &found.reason),
        };
        (series, 1)
    });
    parts.collect()
}

/// Returns the parts of a subscription: its conditions and its promises.
pub fn of_subscription(subscription: &ServiceSubscription) -> Vec<Part> {
    let status = subscription.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let mut parts = of_conditions::<ServiceSubscription>(conditions);
    for promise in promises(subscription) {
        parts.push((Series::Promises(state_of(promise.state)), 1));
        parts.push((Series::Overdue, i128::from(is_overdue(promise))));
    }
    parts
}

/// Returns the parts of a record: its conditions, and what is owed by it unless it is void.
pub fn of_compensation(compensation: &Compensation) -> Vec<Part> {
    let status = compensation.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let mut parts = of_conditions::<Compensation>(conditions);
    let amount = status.and_then(|status| status.amount.as_ref());
    let amount = amount.filter(|_| compensation.spec.voided.is_none());
    let value = amount.and_then(amount_owed);
    if let (Some(amount), Some(value)) = (amount, value) {
        let mut units = round(value, &amount.currency);
        units.rescale(currency_digits(&amount.currency));
        let currency = Currency::from_code(&amount.currency);
        let series = Series::Owed {
            currency: currency.map_or(OTHER, |known| known.code()).to_owned(),
            is_final: is_true(conditions, ConditionType::Calculated),
        };
        parts.push((series, units.mantissa()));
    }
    parts
}

/// Returns the parts of an order: its conditions, and its state while it is open.
pub fn of_order(order: &SupplyOrder) -> Vec<Part> {
    let status = order.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let mut parts = of_conditions::<SupplyOrder>(conditions);
    if is_open(order) {
        let state = status.and_then(|status| status.order.as_ref());
        let state = state.map_or("NotPlaced", |order| match order.state {
            OrderState::Accepted => "Accepted",
            OrderState::Shipped => "Shipped",
            OrderState::Delivered | OrderState::Cancelled | OrderState::Rejected => OTHER,
        });
        parts.push((Series::OpenOrders(state), 1));
    }
    parts
}

/// Labels of the states of open orders.
pub const OPEN_ORDER_STATES: [&str; 3] = ["NotPlaced", "Accepted", "Shipped"];

/// Returns the parts of a Connection: its conditions, and whether its server answers. The devices
/// behind one are reached one by one, so a Connection to devices has no such part.
pub fn of_connection(connection: &Connection) -> Vec<Part> {
    let status = connection.status.as_ref();
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    let mut parts = of_conditions::<Connection>(conditions);
    let reachable = find(conditions, ConditionType::Reachable)
        .filter(|_| connection.spec.protocol == Protocol::OSB);
    let answers = reachable.and_then(|found| match status_of(found) {
        Status::True => Some(1),
        Status::False => Some(0),
        Status::Unknown => None,
    });
    if let Some(answers) = answers {
        let connection = connection.name_any();
        parts.push((Series::Reachable { connection }, answers));
    }
    parts
}

/// Returns an amount in the units of its currency, for a gauge: `1.25` of 125 units of BRL.
pub fn in_currency(units: i128, currency: &str) -> f64 {
    let digits = i32::try_from(currency_digits(currency)).unwrap_or(2);
    units.to_f64().unwrap_or(f64::INFINITY) / 10f64.powi(digits)
}

/// Returns the label of a state of promises.
pub fn state_of(state: PromiseState) -> &'static str {
    match state {
        PromiseState::Open => "Open",
        PromiseState::Kept => "Kept",
        PromiseState::Missed => "Missed",
        PromiseState::Closed => "Closed",
    }
}

/// The labels of all states of promises.
pub const PROMISE_STATES: [&str; 4] = ["Open", "Kept", "Missed", "Closed"];

/// True if a promise was missed and its service is neither proven nor over.
fn is_overdue(promise: &Promise) -> bool {
    promise.state == PromiseState::Missed && promise.completed.is_none() && promise.closed.is_none()
}

fn status_of(condition: &Condition) -> Status {
    let all = [Status::True, Status::False];
    let known = all.into_iter().find(|it| it.as_str() == condition.status);
    known.unwrap_or(Status::Unknown)
}

/// Words of a closed list, to be found by their text: an object is counted at each of its changes.
type Words = LazyLock<BTreeSet<&'static str>>;

static TYPES: Words = LazyLock::new(|| {
    let all = ConditionType::ALL.iter();
    all.map(|known| known.as_str()).collect()
});

static REASONS: Words = LazyLock::new(|| {
    let all = Reason::ALL.iter();
    all.map(|known| known.as_str()).collect()
});

fn known(words: &Words, text: &str) -> &'static str {
    words.get(text).copied().unwrap_or(OTHER)
}
