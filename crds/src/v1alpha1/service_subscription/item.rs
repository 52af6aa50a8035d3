//! Items of a subscription: what has to be in effect, its last proved state, and the value from before.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::Proof;
use crate::{
    bounded::Text, condition::Reason, digest::Digest, item_key::ItemKey, schema,
    schema::MAX_MESSAGE,
};

/// One thing that has to be in effect.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Key of the item, such as "DeviceSetting/backup.weekdays".
    #[schemars(length(min = 1, max = 128))]
    pub key: ItemKey,
    /// Last proved state.
    pub state: ItemState,
    /// A digest of the wanted value, its place and the way to set it; it changes when one of them
    /// does. It differs from observedDigest even where the values are equal: see state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub desired_digest: Option<Digest>,
    /// A digest of the value that was read; it changes when another value is read. It differs from
    /// desiredDigest even where the values are equal: see state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub observed_digest: Option<Digest>,
    /// Number of times that the current wanted value was sent. It is written with the next change of
    /// the status; a restart of the operator loses those since the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub attempts: Option<i32>,
    /// The instant at which it was last sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent: Option<Timestamp>,
    /// The instant at which its state was last proved by reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<Timestamp>,
    /// Taken if it counts because it was accepted (writeOnly, or server.proof of the SmartService);
    /// absent if it was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// A setting of the device: true if the wanted value was in effect on this machine before, and is not
    /// known to be now. With driftPolicy Report it is not set again then, unless a promise needs it that
    /// is not proved yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_effective: bool,
    /// Problem of the last attempt; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Box<Problem>>,
    /// A setting of the device: the value that it had before the service first overwrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<Previous>>,
    /// A setting of the device whose service has ended: what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<ReleasedAs>,
}

/// The value that a setting of a device had before the service, as it was read.
///
/// It is written before the service overwrites the value, and put back when the service ends,
/// unless device.release of the SmartService is Keep.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// The value: one text, or the words of a set in their order. Absent: none is put back, see
    /// unsaved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub values: Vec<Text<MAX_PREVIOUS>>,
    /// The instant at which it was read.
    pub saved: Timestamp,
    /// Reason for which no value is kept: the setting stays as the service leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<Unsaved>,
    /// A digest of the serial number of the machine that had the value.
    #[schemars(length(max = 64))]
    pub machine: Digest,
    /// A digest of a value that was set by us before the wanted one, and that the device may still
    /// have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub own: Option<Digest>,
    /// The instant at which the device accepted it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Timestamp>,
}

/// The largest number of characters of a saved value, or of one word of it.
pub const MAX_PREVIOUS: usize = 1023;

/// Reason for which the value before the service is not kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Unsaved {
    /// The device had no value.
    Absent,
    /// The setting is of type Secret, or a secret or its mask was in the value.
    Secret,
    /// The device does not tell the value.
    WriteOnly,
    /// The value is none that the type of the setting can have, or not a plain text.
    Unreadable,
    /// The value, with the others of this service on the device, is longer than 16 KiB.
    TooLarge,
    /// Nothing was kept when the setting was set: by an earlier version, because device.release was
    /// Keep, or because the subscription was made again without its status.
    Unknown,
    /// It was that of another machine under the name of the device.
    AnotherMachine,
}

/// Fate of a setting of a device when its service ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ReleasedAs {
    /// It has the value from before the service.
    Restored,
    /// It stays as the service left it: device.release is Keep, or nothing was saved.
    Kept,
    /// The device had a value that is not ours, which was left alone.
    ChangedByOthers,
    /// Another service on the device has it now, with the value from before.
    TakenOver,
    /// Another machine is there under the name of the device, which was left alone.
    AnotherMachine,
    /// It could not be put back until the deadline of the withdrawal; see problem and previous.
    GivenUp,
}

/// Last proved state of an item. Only Effective counts.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum ItemState {
    /// It was never read, or the proof has another subject.
    #[default]
    Unknown,
    /// It waits for its step.
    Pending,
    /// It was read back as wanted.
    Effective,
    /// It was read back as something else.
    NotEffective,
    /// An operation of the remote side is under way, or the device has not reported yet that the
    /// service works.
    InProgress,
    /// It was accepted and takes effect after a restart.
    AwaitingRestart,
    /// It was withdrawn: read back as gone, or as it was before the service.
    Released,
}

/// Problem that the last attempt met.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Reason of the problem, from the same list as the reasons of conditions.
    #[schemars(schema_with = "schema::reason_of_an_attempt")]
    pub outcome: Reason,
    /// The instant since which the last attempts met this problem.
    pub since: Timestamp,
    /// One sentence with the remote side's own words, at most 256 bytes of them.
    pub message: Text<MAX_MESSAGE>,
}
