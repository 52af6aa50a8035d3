//! Requests to an order server and its answers, as values (docs/api/orders.yaml).
//!
//! Decides nothing. Made by the pass; the driver turns them into requests of HTTP, and answers into
//! these.

use entente_crds::v1alpha1::{OrderLine, OrderRecord, OrderState, ShipTo};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::remote::Failure;

/// One request to an order server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OrderRequest {
    /// Finds orders under a reference.
    FindByReference {
        /// The reference.
        reference: String,
    },
    /// Finds the open orders for a device.
    FindOpen {
        /// Serial number of the device.
        serial_number: String,
    },
    /// Places an order.
    Place(Box<OrderBody>),
    /// Reads an order.
    Read {
        /// The id that the server gave it.
        id: String,
    },
    /// Reads an operation by which the server makes an order.
    ReadOperation {
        /// Its path below the URL of the Connection, as the server gave it.
        path: String,
    },
    /// Cancels an order.
    Cancel {
        /// The id that the server gave it.
        id: String,
        /// The reference of the order.
        reference: String,
        /// The reason of the person.
        reason: String,
    },
}

impl OrderRequest {
    /// True if the server is to change something.
    pub fn writes(&self) -> bool {
        matches!(self, Self::Place(_) | Self::Cancel { .. })
    }
}

/// Body of the request that places an order: the same for ever under one reference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderBody {
    /// The reference, which is the Idempotency-Key as well.
    pub reference: String,
    /// Id of the customer.
    pub customer_id: String,
    /// Name of the contract.
    pub contract: String,
    /// The device.
    pub device: OrderedFor,
    /// The error that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<OrderedAfter>,
    /// The items.
    pub lines: Vec<OrderLine>,
    /// Destination, if it is not the one on file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<ShipTo>,
}

/// The device of an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedFor {
    /// Serial number.
    pub serial_number: String,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Name.
    pub name: String,
    /// Id at the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer_id: Option<String>,
}

/// The error of an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedAfter {
    /// Id of the occurrence.
    pub id: String,
    /// Type of the error.
    pub r#type: String,
    /// Supply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The device's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The instant at which it was first seen.
    pub began: Timestamp,
}

impl OrderBody {
    /// Returns the body of a record under a reference.
    pub fn of(record: &OrderRecord, reference: &str) -> Self {
        let error = record.error.as_ref().map(|error| OrderedAfter {
            id: error.id.clone(),
            r#type: error.r#type.clone(),
            unit: error.unit.clone(),
            detail: error.detail.clone(),
            began: error.began,
        });
        Self {
            reference: reference.to_owned(),
            customer_id: record.customer.id.clone(),
            contract: record.contract.name.clone(),
            device: OrderedFor {
                serial_number: record.device.serial_number.clone(),
                model: record.device.model.clone(),
                name: record.device.name.clone(),
                printer_id: record.device.printer_id.clone(),
            },
            error,
            lines: record.lines.clone(),
            ship_to: record.ship_to.clone(),
        }
    }
}

/// An order, as a server describes it. Its id fits the field of the status; its texts are as they came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerOrder {
    /// The id.
    pub id: String,
    /// The reference under which it was placed.
    pub reference: Option<String>,
    /// State; `None` for a word that the API does not have.
    pub state: Option<OrderState>,
    /// Serial number of the device.
    pub serial_number: Option<String>,
    /// Id of the customer, where the server tells it.
    pub customer_id: Option<String>,
    /// Part numbers of its lines.
    pub part_numbers: Vec<String>,
    /// The instant at which the server made it.
    pub placed: Option<Timestamp>,
    /// The instant or date at which it is expected.
    pub expected: Option<String>,
    /// Number or place by which the shipment is traced.
    pub tracking: Option<String>,
    /// Reason for the state.
    pub reason: Option<String>,
}

/// Answer of an order server. Messages are sentences without secrets, with the server's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OrderAnswer {
    /// The orders of a search, in the server's order.
    Orders(Vec<ServerOrder>),
    /// The server has no such search (404, 405, 501, or a refusal of the parameter).
    NotSearchable,
    /// One order.
    Order(Box<ServerOrder>),
    /// There is no such order or operation.
    Missing,
    /// The server makes the order, or cancels it (202).
    UnderWay {
        /// Path of the operation, below the URL of the Connection.
        path: Option<String>,
        /// Wait that the server asks for.
        retry_after: Option<SignedDuration>,
    },
    /// A request with this key is still worked on (409).
    InFlight {
        /// Wait that the server asks for.
        retry_after: Option<SignedDuration>,
    },
    /// The server has another order under this key (422).
    OtherContent(String),
    /// The server does not know the part number (422).
    ItemUnknown(String),
    /// The server refuses the order.
    Refused(String),
    /// It is too late for a cancellation (409).
    TooLate(String),
    /// The server does not cancel orders.
    NotCancellable(String),
    /// The request failed.
    Failed(Failure),
}
