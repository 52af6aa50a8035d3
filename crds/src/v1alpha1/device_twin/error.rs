//! The errors that a device reported by itself.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounded::Token;
use crate::v1alpha1::MAX_IDENTITY;

/// The most errors of a device that are kept.
pub const MAX_TWIN_ERRORS: usize = 64;
/// The most characters of the key of an error: its reason, a slash and its subject.
pub const MAX_TWIN_ERROR_KEY: usize = 191;

/// One error of a device, as it reported it last.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinError {
    /// The reason, and after a slash the subject, if it has one.
    pub key: Token<MAX_TWIN_ERROR_KEY>,
    /// The device's own word for the error, such as toner-empty (RFC 8011 printer-state-reasons).
    pub reason: Token<64>,
    /// The supply of the DeviceModel that it is about; absent: the device itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Token<MAX_IDENTITY>>,
    /// Raised while the device has it.
    pub state: TwinErrorState,
    /// The instant at which it was last raised.
    pub since: Timestamp,
    /// The instant at which it was cleared; absent while it is raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// True if the device, or a person at it, has asked for an order since then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub order_requested: bool,
    /// Pages that the device had printed when it was raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub impressions: Option<i64>,
    /// The instant at which the device reported its supply replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Timestamp>,
    /// The time before, in which the device had it; absent while it had it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<TwinErrorTime>,
    /// The event that changed it last: an older one changes nothing.
    pub event: TwinErrorEvent,
}

/// A time in which a device had an error.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinErrorTime {
    /// The instant at which it was raised.
    pub since: Timestamp,
    /// The instant at which it was cleared.
    pub until: Timestamp,
}

/// State of an error of a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TwinErrorState {
    /// The device has it.
    #[default]
    Raised,
    /// The device has it no more.
    Cleared,
}

/// An event of a device, as far as later ones are compared with it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinErrorEvent {
    /// Its id.
    pub id: Token<128>,
    /// The instant of the occurrence; absent if the device told none, or one that cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Its place in the order of the device, if it told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Token<64>>,
}
