//! Instances on a broker that were left behind.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::bounded::Text;
use crate::v1alpha1::InstanceBroker;

/// An instance on a broker that was left behind.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The id of the instance (OSB `instance_id`).
    #[schemars(length(max = 64))]
    pub instance_id: String,
    /// The broker on which it was left, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<InstanceBroker>,
    /// The offering (OSB `service_id`).
    #[schemars(length(max = 1024))]
    pub service_id: String,
    /// The plan (OSB `plan_id`).
    #[schemars(length(max = 1024))]
    pub plan_id: String,
    /// The operation that was under way when it was left behind, as the broker named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub operation: Option<String>,
    /// The instant at which it became an orphan.
    pub since: jiff::Timestamp,
    /// Reason why it could not be removed.
    pub reason: Text<253>,
    /// The subscription that left it behind, which need not exist any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<OrphanedBy>,
    /// Result of the last attempt to remove it, or the reason for which none is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<253>>,
    /// Present while the operator may have a request to remove it under way. No subscription is set
    /// up under its id meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<OrphanRemoval>,
    /// The instant at which it was found gone, or a person forgot it: it is listed until the
    /// subscription that left it behind has taken note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<jiff::Timestamp>,
}

/// The subscription that left an instance behind.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedBy {
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// The attempts of the operator to remove an orphan.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanRemoval {
    /// The instant of the decision to send the first of them.
    pub since: jiff::Timestamp,
    /// The instant since which the broker has a removal under way, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way_since: Option<jiff::Timestamp>,
    /// The broker's own id of that removal (OSB `operation`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub operation: Option<String>,
}
