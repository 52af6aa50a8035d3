//! Promises of a subscription: whether each was kept, and what delayed it.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::{Cause, Proof};

/// One promise: that the service is usable at an instant.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Promise {
    /// The promised instant.
    pub effective: Timestamp,
    /// State of the promise.
    pub state: PromiseState,
    /// The instant at which the last required item was read back as Effective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// The weakest proof of its items then: Taken if one of them was accepted and could not be
    /// read; absent if all were read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The instant from which no more time can be owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// Parts of the delay, each with its cause. Beyond 32, neighbours are merged that both
    /// count or both do not; the longer one gives cause and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub delays: Vec<Delay>,
    /// The compensations that were made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub emitted: Vec<String>,
}

/// State of a promise.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PromiseState {
    /// It is not decided yet.
    #[default]
    Open,
    /// Every required item was Effective within the allowance.
    Kept,
    /// A required item was not Effective within the allowance.
    Missed,
    /// It ended before it could be decided: nothing is owed.
    Closed,
}

/// A part of a delay.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// First instant of this part.
    pub from: Timestamp,
    /// First instant after this part; absent: it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The side that caused it.
    pub cause: Cause,
    /// Reason of the item that was not in effect.
    #[schemars(length(max = 64))]
    pub reason: String,
}
