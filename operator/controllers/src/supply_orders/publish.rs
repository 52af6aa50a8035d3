//! Events and metrics of orders: each change is told once, when it is written.
//!
//! Decides which change of a status is worth an event; a restart tells nothing anew. Called at the
//! end of a pass.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Device, OrderCause, OrderEnd, OrderOutcome, SupplyOrder, SupplyOrderStatus},
};
use entente_domain::condition::find;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Resource as _, ResourceExt as _};

use super::SupplyOrders;
use crate::cache::Key;
use crate::events::EventReason;

impl SupplyOrders {
    /// Publishes that a record was made.
    pub(super) fn tell_made(&self, made: &SupplyOrder, device: &Device) {
        self.count(made, "recorded");
        let note = format!("An order of supplies is recorded as {}.", made.name_any());
        let (regarding, related) = (device.object_ref(&()), made.object_ref(&()));
        let reason = EventReason::SupplyOrderRecorded;
        self.context
            .events
            .publish(&regarding, reason, note, Some(related));
    }

    /// Publishes why a record cannot be made yet. There is no order whose status could say so.
    pub(super) fn tell_not_made(&self, key: &Key, device: &Device, problem: &str) {
        let note = format!("The order {} cannot be recorded yet: {problem}.", key.name);
        let reason = EventReason::SupplyOrderNotRecorded;
        self.context
            .events
            .publish(&device.object_ref(&()), reason, note, None);
    }

    /// Publishes the changes that a pass made.
    pub(super) fn tell(&self, before: &SupplyOrder, after: &SupplyOrder) {
        let status = |order: &SupplyOrder| order.status.clone().unwrap_or_default();
        let (before, now) = (status(before), status(after));
        for (result, reason) in changes(&before, &now) {
            self.count(after, result);
            let ready = find(&now.conditions, ConditionType::Ready);
            let note = ready.map_or_else(String::new, |ready| ready.message.to_string());
            let regarding = after.object_ref(&());
            let related = device_of(after);
            self.context
                .events
                .publish(&regarding, reason, note, Some(related));
        }
    }

    fn count(&self, order: &SupplyOrder, result: &'static str) {
        let cause = cause(order.spec.record.cause);
        self.context.metrics.supply_order(cause, result);
    }
}

/// Returns the label of a cause.
fn cause(cause: OrderCause) -> &'static str {
    match cause {
        OrderCause::Error => "Error",
        OrderCause::Compensation => "Compensation",
        OrderCause::Manual => "Manual",
    }
}

/// Returns the changes between two statuses, each with its label in the metrics.
fn changes(
    before: &SupplyOrderStatus,
    now: &SupplyOrderStatus,
) -> Vec<(&'static str, EventReason)> {
    let mut changes = Vec::new();
    if before.order.is_none() && now.order.is_some() {
        changes.push(("placed", EventReason::SuppliesOrdered));
    }
    let refused = |status: &SupplyOrderStatus| {
        let problem = status.problem.as_ref().map(|problem| problem.reason);
        problem.filter(|it| [Reason::OrderRejected, Reason::ItemUnknown].contains(it))
    };
    if refused(now).is_some() && refused(now) != refused(before) {
        changes.push(("refused", EventReason::SupplyOrderRefused));
    }
    let is_unknown = |status: &SupplyOrderStatus| status.outcome == Some(OrderOutcome::Unknown);
    if is_unknown(now) && !is_unknown(before) {
        changes.push(("unknown", EventReason::SupplyOrderUnknown));
    }
    let end = now.closed.as_ref().filter(|_| before.closed.is_none());
    changes.extend(end.map(|end| match end.by {
        OrderEnd::Delivered => ("delivered", EventReason::SuppliesDelivered),
        OrderEnd::Cancelled => ("cancelled", EventReason::SupplyOrderCancelled),
        OrderEnd::Rejected => ("rejected", EventReason::SupplyOrderRefused),
        OrderEnd::SupplyReplaced => ("replaced", EventReason::SupplyReplaced),
    }));
    changes
}

fn device_of(order: &SupplyOrder) -> ObjectReference {
    ObjectReference {
        api_version: Some(Device::api_version(&()).into_owned()),
        kind: Some(Device::kind(&()).into_owned()),
        namespace: order.namespace(),
        name: Some(order.spec.record.device.name.clone()),
        ..ObjectReference::default()
    }
}
