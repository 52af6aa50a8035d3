//! Errors of a device: the last occurrence of each, the decision about an order, and the messages on the
//! panel.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Protocol;
use crate::{
    bounded::{Text, Token},
    condition::Reason,
    schema::{self, MAX_MESSAGE},
};

/// The most errors that a device keeps: each type of its model for each unit.
pub const MAX_ERRORS: usize = 256;
/// The most messages that the status of a device has.
pub const MAX_MESSAGES: usize = 16;
/// The longest key of an error: its type, '/' and the name of a supply.
pub const MAX_ERROR_KEY: usize = 104;
/// The longest text on a panel that is kept, in characters.
pub const MAX_PANEL_TEXT: usize = 512;
/// The longest order id that is kept.
pub const MAX_ORDER_ID: usize = 128;

/// An error of a device, with its last occurrence.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceError {
    /// The type and the unit such as "TonerEmpty/black-toner"; the type alone where the unit is the
    /// device.
    #[schemars(length(max = MAX_ERROR_KEY))]
    pub key: String,
    /// The type, by the DeviceModel.
    #[schemars(length(max = 40))]
    pub r#type: String,
    /// The supply that has it; absent: the device as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub unit: Option<String>,
    /// Number of the last occurrence. It grows by one with each; 0: none has begun yet.
    pub occurrence: i64,
    /// State of that occurrence.
    pub state: ErrorState,
    /// The instant at which it began.
    pub since: Timestamp,
    /// The instant at which it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Reason of that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ErrorEnd>,
    /// Names of the Connections by which the device reports it. One that is silent takes out itself only:
    /// the end begins when none is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub reported_by: Vec<String>,
    /// The instant since which it is reported, while settle.begin of the model runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Timestamp>,
    /// The instant since which it is reported no more, while settle.end of the model runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
    /// The device's own word for it, such as toner-empty-error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<MAX_PANEL_TEXT>>,
    /// Number of impressions that the device had made when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impressions: Option<i64>,
    /// Level of the supply in percent when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,
    /// The instant at which the supply was seen to be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// Order that is made for it: written here before it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<DeviceErrorOrder>,
    /// Reason for which nothing is ordered, while the occurrence is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ordered: Option<NotOrdered>,
}

/// State of an occurrence of an error.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum ErrorState {
    /// The device has the error.
    #[default]
    Open,
    /// The error is gone.
    Closed,
}

/// Reason of the end of an occurrence.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum ErrorEnd {
    /// The device did not report it for settle.end of the model.
    #[default]
    NotReported,
    /// The DeviceModel does not have this type of error any more.
    TypeRemoved,
    /// The Device does not have the Connection any more by which it was reported, and no other one reports it.
    ConnectionRemoved,
}

/// Order that is made for an occurrence.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceErrorOrder {
    /// Name of the SupplyOrder.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Name of the ServiceSubscription whose provider is asked: the one that acted when the occurrence
    /// began.
    #[schemars(length(max = 253))]
    pub subscription: String,
    /// Name of its SmartService.
    #[schemars(length(max = 63))]
    pub service: String,
    /// Id that the order server gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Token<MAX_ORDER_ID>>,
    /// True once the SupplyOrder was there. Until then it is made also for an occurrence that is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
}

impl DeviceErrorOrder {
    /// True if the SupplyOrder is known to have been made.
    pub fn is_recorded(&self) -> bool {
        self.recorded || self.id.is_some()
    }
}

/// Reason for which nothing is ordered for an occurrence.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotOrdered {
    /// The reason.
    pub reason: NotOrderedReason,
    /// The reason in a sentence.
    pub message: Text<MAX_MESSAGE>,
}

/// Reason for which nothing is ordered for an occurrence.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum NotOrderedReason {
    /// The model has no order for this error, or wants one only if the device requests it.
    #[default]
    NotRequested,
    /// More than one supply can be the one that has the error, or none is known.
    SupplyUnknown,
    /// An order for this supply is open.
    OpenOrderExists,
    /// No service that orders supplies was in force on the device when the error began.
    NoActiveService,
    /// A SupplyOrder that may be an open one for this supply cannot be read.
    OrderUnreadable,
    /// Three orders for this supply were recorded within 24 hours.
    TooManyOrders,
}

/// A message about an order on the panel of a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DisplayedMessage {
    /// Name of the SupplyOrder.
    #[schemars(length(max = 253))]
    pub id: String,
    /// Name of the Connection by which it is shown; absent while there is none that can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// Protocol of that Connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Protocol>,
    /// Language of the text (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35))]
    pub language: Option<String>,
    /// The text, as the panel gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<MAX_PANEL_TEXT>>,
    /// State of the message.
    pub state: MessageState,
    /// The instant since which it has this state.
    pub at: Timestamp,
    /// Reason for which it is not on the display, from the same list as the reasons of conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason_of_a_message")]
    pub reason: Option<Reason>,
    /// Obstacle to the message, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Text<MAX_MESSAGE>>,
}

/// State of a message on the panel of a device.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum MessageState {
    /// It was not sent yet, or the device did not take it yet.
    #[default]
    Pending,
    /// The device took it; nobody read it back.
    Sent,
    /// The display was read, and shows it.
    Shown,
    /// It was taken down at the end of the episode.
    Cleared,
    /// The device has no display that the operator reaches, or there is no text for it.
    Undeliverable,
}
