//! SupplyOrder: the record of one order of supplies, and what became of it.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Condition, MAX_ORDER_ID, MAX_PANEL_TEXT, MessageState, NameReference, Protocol, RecordCustomer,
    ShipTo,
};
use crate::bounded::{Text, Token};
use crate::condition::Reason;
use crate::schema::{self, MAX_MESSAGE};

/// The most characters of the path of an operation of an order server.
pub const MAX_OPERATION: usize = 512;
/// The most other ids of one order that are named.
pub const MAX_OTHER_IDS: usize = 8;

/// An order of supplies for a device: a frozen record, and what the order server says of it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "SupplyOrder",
    plural = "supplyorders",
    namespaced,
    shortname = "enord",
    category = "entente-all",
    status = "SupplyOrderStatus",
    derive = "PartialEq",
    doc = "An order of supplies for a device: what is ordered and why, what the order server says of it, and the message about it on the device. Made by the operator, or by a person with cause Manual; the record is never edited.",
    selectable = ".spec.record.device.name",
    selectable = ".spec.record.error.id",
    selectable = ".status.order.id",
    printcolumn(
        name = "DEVICE",
        type_ = "string",
        json_path = ".spec.record.device.name",
        priority = 1
    ),
    printcolumn(
        name = "SUPPLY",
        type_ = "string",
        json_path = ".spec.record.lines[0].supply"
    ),
    printcolumn(name = "ORDER ID", type_ = "string", json_path = ".status.order.id"),
    printcolumn(name = "STATE", type_ = "string", json_path = ".status.order.state"),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.message.state"
    ),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.cancelled) || (has(self.cancelled) && self.cancelled == oldSelf.cancelled)").message("an order is cancelled once, and stays so").field_path(".cancelled"),
    validation = Rule::new("!has(oldSelf.found) || (has(self.found) && self.found == oldSelf.found)").message("found is set once, and stays as it is").field_path(".found")
)]
pub struct SupplyOrderSpec {
    /// Frozen facts of the order. They cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("the record of an order cannot be changed: cancel it with spec.cancelled, and make another order"))]
    pub record: OrderRecord,
    /// Set by a person, once: the order is no longer wanted. One that was sent is cancelled at the order
    /// server, which may say that it is too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<CancelledOrder>,
    /// Set by a person, once, where no id is known and status.closed is absent, such as with
    /// status.outcome Unknown: the order as the order server has it. Of an order whose id is known, or
    /// that is closed, it changes nothing, and the message of Ordered says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundOrder>,
}

/// Frozen facts of an order: its cause, its device, its lines and its destination.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.cause == 'Error') == has(self.error)").message("error is required with cause Error, and only then"),
    validation = Rule::new("(self.cause == 'Compensation') == has(self.compensation)").message("compensation is required with cause Compensation, and only then"),
    validation = Rule::new("(self.cause == 'Manual') != has(self.reference)").message("reference is set by the operator: leave it out with cause Manual, where it follows from namespace and name")
)]
pub struct OrderRecord {
    /// Cause of the order.
    pub cause: OrderCause,
    /// The error of the device, with cause Error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OrderError>,
    /// The compensation that gives the supplies, with cause Compensation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<OrderCompensation>,
    /// The device that needs the supplies.
    pub device: OrderDevice,
    /// The subscription whose service provides supplies. The operator checks that contract, customer and
    /// device are those of it.
    pub subscription: OrderSubscription,
    /// The contract of that subscription.
    pub contract: NameReference,
    /// The customer of that contract.
    pub customer: RecordCustomer,
    /// Name of the provider of the service.
    #[schemars(schema_with = "schema::required_text")]
    pub provider: String,
    /// The Connection to the order server: that of the service (spec.orders of its SmartService).
    pub connection_ref: NameReference,
    /// Items that are ordered.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub lines: Vec<OrderLine>,
    /// Destination. Absent: the one that the provider has on file for the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<ShipTo>,
    /// The reference under which it is ordered, and the Idempotency-Key: sha256 of namespace, device,
    /// serial number, error and occurrence, and line. Absent with cause Manual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sha256")]
    pub reference: Option<String>,
}

/// Cause of an order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OrderCause {
    /// An error of the device, once for each occurrence.
    Error,
    /// A compensation of type Supplies.
    Compensation,
    /// A person.
    #[default]
    Manual,
}

/// One occurrence of an error of a device.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderError {
    /// Its id, such as lobby-mfp/TonerEmpty/black-toner/7: device, type of error, unit, and the number
    /// of the occurrence.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,
    /// Type of the error, as the DeviceModel names it.
    #[schemars(length(min = 1, max = 63))]
    pub r#type: String,
    /// The supply that it is about. Absent: the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub unit: Option<String>,
    /// The instant at which it was first seen.
    pub began: Timestamp,
    /// The device's own word for it, such as toner-empty-error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_PANEL_TEXT))]
    pub detail: Option<String>,
}

impl Default for OrderError {
    fn default() -> Self {
        Self {
            id: String::new(),
            r#type: String::new(),
            unit: None,
            began: Timestamp::UNIX_EPOCH,
            detail: None,
        }
    }
}

/// The compensation that gives supplies.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCompensation {
    /// Name of the Compensation.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The device of an order.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderDevice {
    /// Name of the Device.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// Its serial number.
    #[schemars(schema_with = "schema::serial_number")]
    pub serial_number: String,
    /// Name of its model for the order server: the product name that it reported, else that of its
    /// DeviceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub model: Option<String>,
    /// The id by which it is known at the gateway, if it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub printer_id: Option<String>,
}

/// The subscription of an order.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderSubscription {
    /// Name of the ServiceSubscription.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// One item of an order.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// Name of the supply in the DeviceModel, such as black-toner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::setting_name")]
    pub supply: Option<String>,
    /// Its part number.
    #[schemars(length(min = 1, max = 64))]
    pub part_number: String,
    /// Number of pieces.
    #[schemars(range(min = 1, max = 1000))]
    pub quantity: i32,
}

/// Reason for which an order is no longer wanted.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelledOrder {
    /// The reason, in a sentence. The order server gets it.
    #[schemars(schema_with = "schema::required_text")]
    pub reason: String,
}

/// An order as a person found it at the order server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundOrder {
    /// The id that the order server gave it.
    #[schemars(schema_with = "schema::order_id")]
    pub order_id: String,
}

/// Observed state of an order, reported by the order controller.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupplyOrderStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Ordered; Displayed where an error has a message on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The order, as the order server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<PlacedOrder>,
    /// Unknown: the order server may have the order or not, and nothing tells. A person finds it out,
    /// and sets spec.found or spec.cancelled. Nothing is sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OrderOutcome>,
    /// The instant from which on the order server may have the order although no answer says so: it is
    /// written before the request is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Timestamp>,
    /// The instant at which the order was sent a second time without a key that the server still has, since the
    /// first one was not found there. It is not sent a third time: then the outcome is Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Timestamp>,
    /// Set while the order server makes the order, or has accepted it and does not tell the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OrderOperation>,
    /// True if the order server lets orders be found by their reference; absent until it has been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queryable: Option<bool>,
    /// Cancellation at the order server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<OrderCancellation>,
    /// The last failure, until a request succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<OrderProblem>,
    /// The message on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<OrderMessage>,
    /// The instant at which the device was seen with a new supply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// The end of the order: from then on another one for the same supply may be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedOrder>,
}

/// An order, as the order server has it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedOrder {
    /// The id that the order server gave it.
    pub id: Token<MAX_ORDER_ID>,
    /// State of the order.
    pub state: OrderState,
    /// The instant at which the operator learned the id.
    pub at: Timestamp,
    /// The instant of the last answer that told something new about it. An answer that told nothing new is noted
    /// six hours after the one before. Absent: none yet, since a person found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// The instant or date at which it is expected, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Text<64>>,
    /// The number or place by which the shipment is traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Text<253>>,
    /// The server's reason for the state, such as that of a rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<253>>,
    /// True if it was there before: the operator has found it, and ordered nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Other ids that the order server has given for the same reference. The first one is kept, and
    /// the others are for a person to cancel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_OTHER_IDS))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub others: Vec<Token<MAX_ORDER_ID>>,
}

/// State of an order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    JsonSchema,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
pub enum OrderState {
    /// The order server has it.
    #[default]
    Accepted,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was cancelled.
    Cancelled,
    /// The order server will not fulfil it.
    Rejected,
}

/// Knowledge of whether an order was placed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OrderOutcome {
    /// The order server said so.
    #[default]
    Known,
    /// A person has to find out.
    Unknown,
}

/// The acceptance of a request by an order server that makes the order later.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderOperation {
    /// The path of its operation below the URL of the Connection. Absent: the server named none, or has it no
    /// more; the order is looked for by its reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Token<MAX_OPERATION>>,
    /// The instant at which the server accepted it.
    pub since: Timestamp,
}

/// Cancellation of an order at the order server.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancellation {
    /// State of the request.
    pub state: CancellationState,
    /// The instant of the answer.
    pub at: Timestamp,
    /// The server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<MAX_MESSAGE>>,
}

/// State of a cancellation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum CancellationState {
    /// The order server cancels it; the state of the order says when it has.
    Requested,
    /// It is too late, and the order is fulfilled.
    TooLate,
    /// The order server does not cancel orders.
    Refused,
}

/// Failure that an order met last.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderProblem {
    /// Reason, from the same list as the reasons of conditions.
    #[schemars(schema_with = "schema::reason_of_an_order")]
    pub reason: Reason,
    /// The failure in one sentence.
    pub message: Text<MAX_MESSAGE>,
    /// The instant of these words.
    pub at: Timestamp,
}

/// The message about an order on its device, as the Device reports it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderMessage {
    /// Language of the text (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35))]
    pub language: Option<String>,
    /// The text, as the panel gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<MAX_PANEL_TEXT>>,
    /// Protocol by which it is shown; absent while no connection leads to the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Protocol>,
    /// State of the message.
    pub state: MessageState,
    /// The instant at which it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Timestamp>,
    /// The instant at which it was read back from the display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Timestamp>,
    /// The instant at which it was taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Timestamp>,
    /// Reason for which it is not on the display, from the same list as the reasons of conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason_of_a_message")]
    pub reason: Option<Reason>,
    /// Obstacle to the message, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Text<MAX_MESSAGE>>,
}

/// End of an order.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedOrder {
    /// The instant at which the operator learned it.
    pub at: Timestamp,
    /// Fact that ended it.
    pub by: OrderEnd,
}

/// Fact that ends an order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OrderEnd {
    /// The order server said that it was delivered.
    Delivered,
    /// It was cancelled, at the order server or before it was sent.
    Cancelled,
    /// The order server said that it will not fulfil it.
    Rejected,
    /// The device was seen with a new supply.
    SupplyReplaced,
}
