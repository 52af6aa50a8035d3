//! Check of a record before anything is sent for it.
//!
//! Decides whether a record is one that may be ordered: the reference of a record of the operator is
//! that of its facts, and an order by hand is for a subscription of its namespace, through the order
//! server of that service, and for supplies that the device takes (K4). It must never look at a record that was sent already: its order is
//! there, whatever became of the contract.

use std::sync::Arc;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    Device, DeviceModel, OrderCause, OrderRecord, Revision, ServiceSubscription, SmartService,
    SupplyOrder,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::record::reference_of;
use crate::condition::find;

/// Objects against which an order by hand is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckedAgainst<'a> {
    /// Its subscription.
    pub subscription: Option<&'a ServiceSubscription>,
    /// The SmartService of that.
    pub service: Option<&'a SmartService>,
    /// The Device.
    pub device: Option<&'a Device>,
    /// The instant of the check.
    pub now: Timestamp,
    /// Its DeviceModel; supplies of one that is gone are not checked.
    pub model: Option<&'a DeviceModel>,
}

/// Returns the name of the SmartService of a subscription: that of the revision in force, else of the
/// first one.
pub fn service_of(subscription: &ServiceSubscription, now: Timestamp) -> Option<&str> {
    let revisions = || subscription.spec.revisions.iter();
    let begun = revisions().filter(|revision| revision.effective <= now);
    let newest = begun.max_by_key(|revision| revision.effective);
    let found = newest.or_else(|| revisions().min_by_key(|revision| revision.effective))?;
    Some(&found.service_ref.name)
}

/// Returns the fault for which a record is not ordered; `None` where it may be, or was sent already.
pub fn fault_of(order: &SupplyOrder, against: CheckedAgainst<'_>) -> Option<(Reason, String)> {
    let status = order.status.as_ref();
    if status.is_some_and(|status| status.intent.is_some() || status.order.is_some()) {
        return None;
    }
    let record = &order.spec.record;
    let namespace = order.namespace().unwrap_or_default();
    let owed = reference_of(&namespace, &order.name_any(), record);
    if record.cause != OrderCause::Manual {
        return (owed != record.reference).then(|| other_reference(record, owed));
    }
    by_hand(record, against)
}

fn other_reference(record: &OrderRecord, owed: Option<String>) -> (Reason, String) {
    let found = record.reference.as_deref().unwrap_or("absent");
    let owed = owed.unwrap_or_else(|| "unknown, since the fact of its cause is missing".to_owned());
    let message = format!(
        "spec.record.reference is {found}, and that of its facts is {owed}: it is ordered under no other one"
    );
    (Reason::UnsupportedValue, message)
}

fn by_hand(record: &OrderRecord, against: CheckedAgainst<'_>) -> Option<(Reason, String)> {
    let named = &record.subscription.name;
    let Some(subscription) = against.subscription else {
        let message =
            format!("spec.record.subscription: the ServiceSubscription {named} does not exist");
        return Some((Reason::UnsupportedValue, message));
    };
    let spec = &subscription.spec;
    if let Some(message) = not_in_force(named, subscription, against.now) {
        return Some((Reason::UnsupportedValue, message));
    }
    let same = [
        ("device.name", &record.device.name, &spec.device_ref.name),
        ("contract.name", &record.contract.name, &spec.contract.name),
        ("customer.id", &record.customer.id, &spec.customer.id),
    ];
    let differs = |field: &str, found: &str, owed: &str| {
        let message =
            format!("spec.record.{field} is \"{found}\", and that of {named} is \"{owed}\"");
        Some((Reason::UnsupportedValue, message))
    };
    if let Some((field, found, owed)) = same.iter().find(|(_, found, owed)| found != owed) {
        return differs(field, found, owed);
    }
    let Some(service) = against.service else {
        let message = format!("the SmartService of the ServiceSubscription {named} does not exist");
        return Some((Reason::ServiceNotFound, message));
    };
    let Some(orders) = &service.spec.orders else {
        let message = format!(
            "the SmartService {} of {named} has no spec.orders: it orders nothing",
            service.name_any()
        );
        return Some((Reason::UnsupportedValue, message));
    };
    let (found, owed) = (&record.connection_ref.name, &orders.connection_ref.name);
    if found != owed {
        return differs("connectionRef.name", found, owed);
    }
    let (found, owed) = (&record.provider, &service.spec.provider);
    if found != owed {
        return differs("provider", found, owed);
    }
    of_device(record, against)
}

/// Returns the words for a service that nobody owes at an instant: its contract begins later, is over, or is
/// refused.
fn not_in_force(named: &str, subscription: &ServiceSubscription, now: Timestamp) -> Option<String> {
    let status = subscription.status.as_ref();
    let accepted = status.and_then(|it| find(&it.conditions, ConditionType::Accepted));
    if accepted.is_some_and(|it| it.status == "False") {
        return Some(format!("the ServiceSubscription {named} is not accepted"));
    }
    let revisions = &subscription.spec.revisions;
    let in_force =
        |it: &Arc<Revision>| it.effective <= now && it.until.is_none_or(|until| now < until);
    if revisions.iter().any(in_force) {
        return None;
    }
    let begins = revisions
        .iter()
        .map(|it| it.effective)
        .filter(|it| now < *it)
        .min();
    Some(match begins {
        Some(begins) => format!("the service of {named} begins at {begins:.0}"),
        None => format!("the service of {named} is over"),
    })
}

/// Checks serial number and supplies: the part of a line that names a supply is that of the supply.
fn of_device(record: &OrderRecord, against: CheckedAgainst<'_>) -> Option<(Reason, String)> {
    let refused = |message| Some((Reason::UnsupportedValue, message));
    let Some(device) = against.device else {
        let name = &record.device.name;
        // Its serial number would be anybody's.
        let message = format!("spec.record.device: the Device {name} does not exist");
        return refused(message);
    };
    let (found, owed) = (&record.device.serial_number, &device.spec.serial_number);
    if found != owed {
        return refused(format!(
            "spec.record.device.serialNumber is \"{found}\", and that of the Device is \"{owed}\""
        ));
    }
    let model = against.model?;
    let lines = record.lines.iter().enumerate();
    let of_supplies =
        lines.filter_map(|(number, line)| Some((number, line, line.supply.as_deref()?)));
    for (number, line, supply) in of_supplies {
        let at = format!("spec.record.lines[{number}]");
        let supplies = &model.spec.supplies;
        let Some(known) = supplies.iter().find(|it| it.name == supply) else {
            let names: Vec<&str> = supplies.iter().map(|it| &*it.name).collect();
            let names = names.join(", ");
            let model = model.name_any();
            return refused(format!(
                "{at}.supply is \"{supply}\", and the DeviceModel {model} has: {names}"
            ));
        };
        let (found, owed) = (&line.part_number, &known.part_number);
        if found != owed {
            return refused(format!(
                "{at}.partNumber is \"{found}\", and that of {supply} is \"{owed}\""
            ));
        }
    }
    None
}
