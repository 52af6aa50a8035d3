//! The messages that a device should show, and those that it shows.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bounded::{Text, Token},
    schema::MAX_MESSAGE,
};

/// The most messages that a device should show at once.
pub const MAX_TWIN_MESSAGES: usize = 16;
/// The most messages of a device of which a report is kept.
pub const MAX_REPORTED_MESSAGES: usize = 32;
/// The most characters of a message.
pub const MAX_TWIN_TEXT: usize = 1023;

/// One message that a device should show until it is no longer here.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinMessage {
    /// Name of the SupplyOrder that it is about.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,
    /// Language of the texts (BCP 47).
    #[schemars(length(min = 1, max = 35))]
    pub language: String,
    /// The message.
    #[schemars(length(min = 1, max = 1023))]
    pub text: String,
    /// The same for a display that is too small for it.
    #[schemars(length(min = 1, max = 1023))]
    pub short: String,
}

/// State of one message, as a device reported it last.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportedMessage {
    /// Id of the message.
    pub id: Token<253>,
    /// State of it.
    pub state: ReportedMessageState,
    /// The instant since which it has that state, by the clock of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The text that the device shows, if it tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Token<MAX_TWIN_TEXT>>,
    /// The device's own words, such as why it cannot show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<MAX_MESSAGE>>,
}

/// State of a message on a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ReportedMessageState {
    /// The device has it, and does not show it yet.
    #[default]
    Pending,
    /// A person can read it.
    Shown,
    /// It was shown, and is no more.
    Cleared,
    /// The device cannot show it.
    Undeliverable,
}
