//! Instances of a subscription on service servers, and the operations on them.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::NameReference;
use crate::{bounded::Text, digest::Digest};

/// The instance on the service server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInstance {
    /// The Connection of the service server.
    pub connection_ref: NameReference,
    /// The customer as the broker knows it (OSB `organization_guid`): a digest of namespace and
    /// customer id. Absent for an instance of an earlier version, which has the customer id itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub organization: Option<String>,
    /// The broker at which it was made. Nothing about the instance is sent to another one (reason
    /// BrokerChanged). Absent in the status of an earlier version: it is then the broker at which
    /// the instance is proved next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<InstanceBroker>,
    /// Set if the instance was there already and was taken over: under its id, which is made of
    /// names, it was made before a restore, by a contract of the same name, by the contract that
    /// this one succeeds, or by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adoption>,
    /// The id of the instance (OSB `instance_id`).
    #[schemars(length(max = 64))]
    pub instance_id: String,
    /// The offering (OSB `service_id`).
    #[schemars(length(max = 1024))]
    pub service_id: String,
    /// The plan that the instance has, as last proved (OSB `plan_id`).
    #[schemars(length(max = 1024))]
    pub plan_id: String,
    /// Name of the offering in the broker's catalog when the instance was made. If the catalog
    /// later has another id for this name, nothing is sent (reason OfferingChanged).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub offering: Option<String>,
    /// Name of the plan in the broker's catalog when the instance got it; its id, if the catalog
    /// has no such plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub plan: Option<String>,
    /// The operation that is under way or whose outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<ServerOperation>,
    /// A digest of the parameters that were last sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub sent_digest: Option<Digest>,
    /// Set when the deadline of withdrawal passed: the instance is left on the broker, and the
    /// Connection takes it over into its list of orphans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<Timestamp>,
}

/// An instance in whose place another one of the same exclusive group is set up.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeavingInstance {
    /// The exclusive group of both.
    #[schemars(length(max = 63))]
    pub group: String,
    /// The instant from which on a `since` in status.exclusive of the Device means the other one. Until
    /// it is there, this instance serves.
    pub since: Timestamp,
    /// First instant of the revision that it was made for.
    pub effective: Timestamp,
    /// The instant at which its removal began; absent while it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The instance.
    pub server: ServerInstance,
}

/// The broker at which an instance was made.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceBroker {
    /// Its host, for people.
    pub host: Text<253>,
    /// A digest of scheme, host, port and path of its URL.
    #[schemars(length(max = 64))]
    pub url_digest: Digest,
}

/// Discovery of an instance that was there already.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// The instant at which the broker said so, or at which the instance was handed over.
    pub since: Timestamp,
    /// Answer of the broker that said so, or that it was handed over.
    pub by: AdoptedBy,
}

/// Source of an instance that was there already.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AdoptedBy {
    /// A fetch found it before anything was sent.
    Fetch,
    /// The broker answered a provision that the identical instance exists (OSB: 200).
    Identical,
    /// The broker answered a provision that an instance with other values exists (OSB: 409).
    Conflict,
    /// No answer: it is the instance of a subscription that this one succeeds.
    Succession,
}

/// An operation on the service server.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerOperation {
    /// Request that started the operation.
    pub r#type: ServerOperationType,
    /// The broker's own id of the operation (OSB `operation`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10000))]
    pub id: Option<String>,
    /// Id of the plan that an update moves the instance to. Absent: it keeps its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub to_plan: Option<String>,
    /// The instant at which the operation was requested.
    pub since: Timestamp,
    /// State of the operation, as far as it is known.
    #[serde(default)]
    pub state: ServerOperationState,
    /// The instant until which a provision whose answer was lost may still make the instance,
    /// although it was removed: the instance is looked for once more then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_until: Option<Timestamp>,
}

/// State of an operation on the service server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServerOperationState {
    /// The broker reported that it is under way.
    #[default]
    UnderWay,
    /// Its outcome is not known, because the answer was lost or was an error (OSB section "Orphan
    /// Mitigation").
    InDoubt,
    /// It ended without success, and what it left behind is removed first.
    Failed,
}

/// Request to the service server that started an operation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ServerOperationType {
    /// The instance is being made.
    #[default]
    Provision,
    /// The instance is being changed.
    Update,
    /// The instance is being removed.
    Deprovision,
}
