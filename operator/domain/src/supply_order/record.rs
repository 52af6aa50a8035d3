//! Records of orders: their references and facts (A3, A5).
//!
//! Decides them from a Device and the objects that it refers to: neither a uid nor wall time is in a
//! reference, so that after a crash, a restore or a move to another cluster the same
//! occurrence finds its order again. It must never decide that an error orders something.

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    Device, DeviceError, DeviceModel, NameReference, OrderCause, OrderDevice, OrderError,
    OrderLine, OrderRecord, OrderSubscription, RecordCustomer, ServiceSubscription, SmartService,
    SupplyOrder, SupplyOrderSpec,
};
use entente_crds::{
    LABEL_CONTRACT, LABEL_CUSTOMER, LABEL_DEVICE, LABEL_ERROR_TYPE, LABEL_MANAGED_BY, MANAGED_BY,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use super::known;
use crate::errors::{KnownLine, is_owed};

/// Objects from which a record is made.
#[derive(Clone, Copy, Debug)]
pub struct RecordSources<'a> {
    /// The device.
    pub device: &'a Device,
    /// Its model.
    pub model: Option<&'a DeviceModel>,
    /// The subscription whose service provides the supply.
    pub subscription: Option<&'a ServiceSubscription>,
    /// SmartService of that subscription.
    pub service: Option<&'a SmartService>,
    /// The id of the device at the gateway.
    pub printer_id: Option<&'a str>,
}

/// Returns the errors of a device for which an order is decided on that has still to be made.
pub fn wanted_orders(device: &Device) -> impl Iterator<Item = &DeviceError> {
    let errors = device.status.iter().flat_map(|status| &status.errors);
    let name = device.name_any();
    errors.filter(move |error| is_owed(&name, error))
}

/// Returns the instant at which a device was seen with all supplies of an order new: after the error that
/// led to the order, or after any error once the order was there, as with one by hand or of an earlier
/// Device of this name.
pub fn replaced_at(
    device: &Device,
    model: Option<&DeviceModel>,
    order: &SupplyOrder,
) -> Option<Timestamp> {
    let errors = || device.status.iter().flat_map(|status| &status.errors);
    let name = order.name_any();
    let is_of = |error: &&DeviceError| error.order.as_ref().is_some_and(|it| it.name == name);
    if let Some(at) = errors().find(is_of).and_then(|error| error.replaced) {
        return Some(at);
    }
    let supplies = model.map_or(&[][..], |model| &model.spec.supplies);
    let made = order.creation_timestamp()?.0;
    let since = |line: KnownLine| {
        let is_for = |unit: &str| line.is_for(unit, supplies);
        let of_supply = errors().filter(|error| error.unit.as_deref().is_some_and(is_for));
        // The new supply is in the device since the error is gone; that it is one is known later.
        let replaced = of_supply.filter_map(|error| {
            let at = error.replaced?;
            (error.until.unwrap_or(at) >= made).then_some(at)
        });
        replaced.min()
    };
    let lines = known(order).lines.into_iter();
    let each: Option<Vec<Timestamp>> = lines.map(since).collect();
    each?.into_iter().max()
}

/// Returns the id of an occurrence, such as `lobby-mfp/TonerEmpty/black-toner/7` (A5).
pub fn error_id(device: &str, key: &str, occurrence: i64) -> String {
    format!("{device}/{key}/{occurrence}")
}

/// Returns the reference of an order: the SHA-256, in hexadecimal, of its facts in their order, each
/// followed by a line feed, which none of them can contain. `None` if the record lacks the fact of
/// its cause.
pub fn reference_of(namespace: &str, name: &str, record: &OrderRecord) -> Option<String> {
    let device = &record.device;
    let (cause, number) = match record.cause {
        OrderCause::Error => {
            let id = record.error.as_ref()?.id.strip_prefix(&*device.name)?;
            id.strip_prefix('/')?.rsplit_once('/')?
        }
        OrderCause::Compensation => {
            let compensation = &*record.compensation.as_ref()?.name;
            let line = name.strip_prefix(compensation)?.strip_prefix('.')?;
            (compensation, line)
        }
        OrderCause::Manual => ("Manual", name),
    };
    let mut digest = Sha256::new();
    for part in [
        namespace,
        &device.name,
        &device.serial_number,
        cause,
        number,
        "1",
    ] {
        digest.update(part.as_bytes());
        digest.update(b"\n");
    }
    Some(hex::encode(digest.finalize()))
}

/// Returns the names under which an order server knows an order: its reference, and its id where there is
/// one.
pub fn at_server(order: &SupplyOrder) -> impl Iterator<Item = String> {
    let record = &order.spec.record;
    let namespace = order.namespace().unwrap_or_default();
    let reference = record.reference.clone();
    let reference = reference.or_else(|| reference_of(&namespace, &order.name_any(), record));
    let placed = order.status.as_ref().and_then(|it| it.order.as_ref());
    let id = placed.map(|placed| placed.id.to_string());
    reference.into_iter().chain(id)
}

/// Returns the order of an occurrence for which one is decided on.
///
/// # Errors
/// The object or field that is missing, with its reason: the order is made once it is there.
pub fn record_for(
    error: &DeviceError,
    sources: RecordSources<'_>,
    namespace: &str,
) -> Result<SupplyOrder, (Reason, String)> {
    let order = error.order.as_ref().ok_or_else(|| {
        let message = format!("no order is decided on for {}", error.key);
        (Reason::Waiting, message)
    })?;
    let subscription = sources.subscription.ok_or_else(|| {
        let message = format!(
            "the ServiceSubscription {} does not exist",
            order.subscription
        );
        (Reason::ServiceNotFound, message)
    })?;
    let service = sources.service.ok_or_else(|| {
        let message = format!("the SmartService {} does not exist", order.service);
        (Reason::ServiceNotFound, message)
    })?;
    let orders = service.spec.orders.as_ref().ok_or_else(|| {
        let message = format!("the SmartService {} has no spec.orders", order.service);
        (Reason::UnsupportedValue, message)
    })?;
    let device = sources.device;
    let mut record = OrderRecord {
        cause: OrderCause::Error,
        error: Some(OrderError {
            id: error_id(&device.name_any(), &error.key, error.occurrence),
            r#type: error.r#type.clone(),
            unit: error.unit.clone(),
            began: error.since,
            detail: error.detail.as_ref().map(ToString::to_string),
        }),
        compensation: None,
        device: described(sources),
        subscription: OrderSubscription {
            name: subscription.name_any(),
        },
        contract: NameReference {
            name: subscription.spec.contract.name.clone(),
        },
        customer: RecordCustomer {
            id: subscription.spec.customer.id.clone(),
        },
        provider: service.spec.provider.clone(),
        connection_ref: orders.connection_ref.clone(),
        lines: vec![line(error, sources)?],
        ship_to: device.spec.ship_to.clone(),
        reference: None,
    };
    record.reference = reference_of(namespace, &order.name, &record);
    Ok(object(&order.name, namespace, record))
}

fn described(sources: RecordSources<'_>) -> OrderDevice {
    let device = sources.device;
    let identity = device.status.as_ref();
    let identity = identity.and_then(|status| status.identity.as_ref());
    let product = identity.and_then(|identity| identity.product_name.as_ref());
    let product = product.map(ToString::to_string);
    let product = product.filter(|product| !product.is_empty());
    OrderDevice {
        name: device.name_any(),
        serial_number: device.spec.serial_number.clone(),
        model: Some(product.unwrap_or_else(|| device.spec.model_ref.name.clone())),
        printer_id: sources.printer_id.map(str::to_owned),
    }
}

/// Returns the line for the supply of an error, by the model of the device.
fn line(error: &DeviceError, sources: RecordSources<'_>) -> Result<OrderLine, (Reason, String)> {
    let named = &sources.device.spec.model_ref.name;
    let model = sources.model.ok_or_else(|| {
        let message = format!("the DeviceModel {named} does not exist");
        (Reason::ModelNotFound, message)
    })?;
    let unit = error.unit.as_deref().unwrap_or_default();
    let mut supplies = model.spec.supplies.iter();
    let supply = supplies.find(|supply| supply.name == unit).ok_or_else(|| {
        let message =
            format!("the DeviceModel {named} has no supply named \"{unit}\" in spec.supplies");
        (Reason::UnsupportedValue, message)
    })?;
    let mut rules = model.spec.errors.iter();
    let rule = rules.find(|rule| rule.r#type == error.r#type);
    let quantity = rule
        .and_then(|rule| rule.order.as_ref())
        .map(|it| it.quantity);
    Ok(OrderLine {
        supply: Some(supply.name.clone()),
        part_number: supply.part_number.clone(),
        quantity: quantity.unwrap_or(1).max(1),
    })
}

/// Makes an object without an owner.
fn object(name: &str, namespace: &str, record: OrderRecord) -> SupplyOrder {
    let error = record.error.as_ref().map(|error| &*error.r#type);
    let labels = [
        (LABEL_MANAGED_BY, Some(MANAGED_BY)),
        (LABEL_DEVICE, Some(&*record.device.name)),
        (LABEL_CONTRACT, Some(&*record.contract.name)),
        (LABEL_CUSTOMER, Some(&*record.customer.id)),
        (LABEL_ERROR_TYPE, error),
    ];
    // All of them are label values by their own schemas; a label too long would refuse the record.
    let labels = labels.into_iter().filter_map(|(label, value)| {
        let value = value.filter(|value| value.len() <= 63)?;
        Some((label.to_owned(), value.to_owned()))
    });
    let labels: BTreeMap<String, String> = labels.collect();
    let spec = SupplyOrderSpec {
        record,
        ..SupplyOrderSpec::default()
    };
    let mut made = SupplyOrder::new(name, spec);
    made.metadata.namespace = Some(namespace.to_owned());
    made.metadata.labels = Some(labels);
    made
}
