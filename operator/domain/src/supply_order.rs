//! Orders of supplies: the record of each, the next request about it, and its status (A3, A4, A5, A9,
//! A10).
//!
//! Decides which record an error of a device is owed, how an order server is asked so that one error
//! makes one order, and what a status says. It must never decide that an error orders something (the
//! delivery pass does, and writes it into the Device), send anything, or take an order for not made
//! because no answer came. Called by the order controller; [`is_open`], [`known`] and [`unreadable`] also by delivery.

mod answer;
mod check;
mod exchange;
mod late;
mod message;
mod pass;
mod record;
mod remnant;
mod report;
mod terms;

#[cfg(test)]
mod tests;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{OrderCause, OrderEnd, SupplyOrder};
use kube::ResourceExt as _;

use crate::condition::find;
use crate::errors::{KnownLine, KnownOrder};

pub use check::{CheckedAgainst, fault_of, service_of};
pub use exchange::{OrderAnswer, OrderBody, OrderRequest, ServerOrder};
pub use message::message_of;
pub use pass::{Attempts, Next, OrderFacts, OrderPass};
pub use record::{
    RecordSources, at_server, error_id, record_for, reference_of, replaced_at, wanted_orders,
};
pub use remnant::{device_of, unreadable};
pub use terms::{EffectClass, ServerTerms};

/// True while an order counts as open, so that no second one is made for the same supply (A10):
/// until it was delivered, cancelled or rejected, or the device was seen with a new supply. One that
/// nobody knows to have been made counts as open, too.
pub fn is_open(order: &SupplyOrder) -> bool {
    let status = order.status.as_ref();
    status.is_none_or(|status| status.closed.is_none())
}

/// True for an order by hand that is not what it has to be: its record stays so, and keeps no other order
/// back. What only waits, such as for its Connection, is sent once that is there, and does.
fn is_held_back(order: &SupplyOrder) -> bool {
    let Some(status) = &order.status else {
        return false;
    };
    let was_sent = status.intent.is_some() || status.order.is_some();
    let says_why = status.outcome.is_some() || status.problem.is_some();
    let ready = find(&status.conditions, ConditionType::Ready);
    order.spec.record.cause == OrderCause::Manual
        && !was_sent
        && !says_why
        && ready.is_some_and(|ready| ready.reason == Reason::UnsupportedValue.as_str())
}

/// Returns an order as delivery knows it: its supplies, its id, and whether it is open.
pub fn known(order: &SupplyOrder) -> KnownOrder {
    let status = order.status.as_ref();
    let closed = status.and_then(|status| status.closed.as_ref());
    let placed = status.and_then(|status| status.order.as_ref());
    let lines = order.spec.record.lines.iter();
    KnownOrder {
        name: order.name_any(),
        lines: lines
            .map(|line| KnownLine {
                supply: line.supply.clone(),
                part_number: line.part_number.clone(),
            })
            .collect(),
        id: placed.map(|order| order.id.to_string()),
        created: order.metadata.creation_timestamp.as_ref().map(|it| it.0),
        is_open: is_open(order) && !is_held_back(order),
        is_unreadable: false,
        is_void: closed.is_some_and(|it| matches!(it.by, OrderEnd::Cancelled | OrderEnd::Rejected)),
    }
}
