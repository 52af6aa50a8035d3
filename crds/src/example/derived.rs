//! The objects that the operator makes of the example contract: a ServiceSubscription, a
//! Compensation and a SupplyOrder.
//!
//! For documents and tests only; nobody applies them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    DEVICES, NAMESPACE,
    customer::{backup_entry, banco_sul_2027, credit},
    reference,
};
use crate::v1alpha1::{
    Cause, Compensation, CompensationSpec, ObjectIdentity, OrderCause, OrderDevice, OrderError,
    OrderLine, OrderRecord, OrderSubscription, Record, RecordCustomer, RecordDevice, Revision,
    ServiceSubscription, ServiceSubscriptionSpec, ShipTo, SubscriptionContract,
    SubscriptionCustomer, SupplyOrder, SupplyOrderSpec,
};

/// The subscription that the contract controller makes of the entry `backup` for the device
/// `lobby-mfp`.
pub fn service_subscription() -> ServiceSubscription {
    let contract = banco_sul_2027();
    let entry = backup_entry();
    let mut subscription = ServiceSubscription::new(
        "banco-sul-2027.backup.lobby-mfp",
        ServiceSubscriptionSpec {
            contract: SubscriptionContract {
                name: contract.metadata.name.unwrap_or_default(),
                uid: "6b0a1a6e-8f3c-4d0a-9a57-0c4f8f9f2f11".to_owned(),
                start: promised(),
                created: instant("2027-02-03T09:12:44Z"),
                ..SubscriptionContract::default()
            },
            customer: SubscriptionCustomer {
                id: contract.spec.customer.id,
            },
            service_name: entry.name,
            device_ref: reference(DEVICES[0]),
            origin: None,
            succeeded_by: None,
            time_zone: contract.spec.term.time_zone,
            lead_time: "336h".into(),
            revisions: vec![Arc::new(Revision {
                effective: promised(),
                promised: true,
                service_ref: entry.service_ref,
                parameters: entry.parameters,
                service_level: entry.service_level.unwrap_or_default(),
                fee: entry.fee,
                currency: contract.spec.currency,
                remedies: entry.remedies,
                counted_causes: vec![Cause::Device, Cause::Server, Cause::Provider],
                ..Revision::default()
            })],
            restored: None,
        },
    );
    subscription.metadata.namespace = Some(NAMESPACE.to_owned());
    subscription
}

/// The record that the compensation controller makes when the promise of [`service_subscription`]
/// is missed.
pub fn compensation() -> Compensation {
    let entry = backup_entry();
    let mut compensation = Compensation::new(
        "banco-sul-2027.backup.lobby-mfp.20270401t030000z.credit",
        CompensationSpec {
            record: Record {
                contract: identity("banco-sul-2027", "6b0a1a6e-8f3c-4d0a-9a57-0c4f8f9f2f11"),
                contract_start: Some(promised()),
                subscription: identity(
                    "banco-sul-2027.backup.lobby-mfp",
                    "b1d3c7f2-4d5e-4a52-8a06-5a2a53b6f0de",
                ),
                device: RecordDevice {
                    name: DEVICES[0].to_owned(),
                    serial_number: Some("NW500-0001".to_owned()),
                },
                service_name: entry.name,
                customer: RecordCustomer {
                    id: "C-4711".to_owned(),
                },
                promised: promised(),
                time_zone: "America/Sao_Paulo".to_owned(),
                currency: Some("BRL".to_owned()),
                remedy: credit(),
                fee: entry.fee,
                service_level: entry.service_level.unwrap_or_default(),
                counted_causes: vec![Cause::Device, Cause::Server, Cause::Provider],
                share: None,
                exclusions: Vec::new(),
                booking_key: "b0e96bf90f935e05f5c59044c7b3eaecd507ef65b656b570055451adf21e1b53"
                    .to_owned(),
                reissues: None,
            },
            voided: None,
        },
    );
    compensation.metadata.namespace = Some(NAMESPACE.to_owned());
    compensation
}

/// The record that the order controller makes when the black toner of the device `lobby-mfp` is empty
/// for the seventh time.
pub fn supply_order() -> SupplyOrder {
    let mut order = SupplyOrder::new(
        "lobby-mfp.toner-empty.black-toner.7",
        SupplyOrderSpec {
            record: OrderRecord {
                cause: OrderCause::Error,
                error: Some(OrderError {
                    id: "lobby-mfp/TonerEmpty/black-toner/7".to_owned(),
                    r#type: "TonerEmpty".to_owned(),
                    unit: Some("black-toner".to_owned()),
                    began: instant("2027-05-12T09:14:03Z"),
                    detail: Some("toner-empty-error".to_owned()),
                }),
                device: OrderDevice {
                    name: DEVICES[0].to_owned(),
                    serial_number: "NW500-0001".to_owned(),
                    model: Some("Northwind MFP 500".to_owned()),
                    printer_id: None,
                },
                subscription: OrderSubscription {
                    name: "banco-sul-2027.supplies.lobby-mfp".to_owned(),
                },
                contract: reference("banco-sul-2027"),
                customer: RecordCustomer {
                    id: "C-4711".to_owned(),
                },
                provider: "Northwind".to_owned(),
                connection_ref: reference("northwind-orders"),
                lines: vec![OrderLine {
                    supply: Some("black-toner".to_owned()),
                    part_number: "TN-500K".to_owned(),
                    quantity: 1,
                }],
                ship_to: Some(ship_to()),
                reference: Some(
                    "083a145f50e22183bcd135e2f73cf7ccf1e64d2141b4bf9b300ea2e29fdb97f7".to_owned(),
                ),
                ..OrderRecord::default()
            },
            ..SupplyOrderSpec::default()
        },
    );
    order.metadata.namespace = Some(NAMESPACE.to_owned());
    order
}

fn ship_to() -> ShipTo {
    ShipTo {
        name: "Banco Sul, Agência Central".to_owned(),
        street: "Rua da Praia 100".to_owned(),
        postal_code: Some("90010-000".to_owned()),
        city: "Porto Alegre".to_owned(),
        country: "BR".to_owned(),
        ..ShipTo::default()
    }
}

fn identity(name: &str, uid: &str) -> ObjectIdentity {
    ObjectIdentity {
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

fn promised() -> Timestamp {
    instant("2027-04-01T03:00:00Z")
}

pub(super) fn instant(text: &str) -> Timestamp {
    text.parse().expect("the examples are written in RFC 3339")
}
