//! ServiceSubscription: one service on one device, with its dated revisions and its proof.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod instance;
mod item;
mod promise;

pub use instance::*;
pub use item::*;
pub use promise::*;

use super::{
    Cause, Condition, DeletionPolicy, Fee, MAX_RECONCILE_AT, NameReference, Remedy,
    SecretParameter, ServiceLevel, StepType, contract::parameters,
};
use crate::{bounded::Token, digest::Digest, duration::Duration, schema};

/// One service on one device: its dated revisions, the proof of delivery and the promises.
///
/// Made and changed by the contract controller only. It carries all that delivery and
/// compensation need, so that neither reads the Contract.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "ServiceSubscription",
    plural = "servicesubscriptions",
    namespaced,
    shortname = "ensub",
    category = "entente-all",
    status = "ServiceSubscriptionStatus",
    derive = "PartialEq",
    doc = "One service on one device: its dated revisions, the proof of delivery and the promises. Made by the operator.",
    selectable = ".spec.contract.name",
    selectable = ".spec.deviceRef.name",
    selectable = ".spec.serviceName",
    selectable = ".spec.customer.id",
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
        name = "SERVICE",
        type_ = "string",
        json_path = ".spec.serviceName",
        priority = 1
    ),
    printcolumn(
        name = "DEVICE",
        type_ = "string",
        json_path = ".spec.deviceRef.name",
        priority = 1
    ),
    printcolumn(
        name = "DELIVERED",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Delivered\")].status"
    ),
    printcolumn(name = "STEP", type_ = "string", json_path = ".status.step"),
    printcolumn(
        name = "ACTIVATION",
        type_ = "string",
        json_path = ".status.activation.state",
        priority = 1
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSubscriptionSpec {
    /// The contract that it belongs to.
    pub contract: SubscriptionContract,
    /// The customer of the contract.
    pub customer: SubscriptionCustomer,
    /// Name of the entry in the contract's services.
    #[schemars(schema_with = "schema::dns_label")]
    pub service_name: String,
    /// Name of the Device, which need not exist yet.
    pub device_ref: NameReference,
    /// The first subscription of a chain of contracts that succeed each other: its names make the id
    /// of the instance. Absent: this one. It stays as it is once this one has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Name of the contract that takes the service over where the last revision ends. Once that has come
    /// it stays, whatever becomes of that contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub succeeded_by: Option<String>,
    /// The contract's time zone.
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: String,
    /// Time before a promised instant from which early steps may run.
    #[schemars(schema_with = "schema::duration")]
    pub lead_time: Duration,
    /// Wanted states, each from an instant on: the one in force, the next, and those with an open
    /// promise. Entries that have begun are append-only.
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["effective".into()]))]
    pub revisions: Vec<Arc<Revision>>,
    /// The instant at which the operator made the subscription again although it had existed before.
    /// Earlier promises are closed, since it is not known any more whether they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Timestamp>,
}

/// Facts of the contract that a subscription needs.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionContract {
    /// The name of the contract.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The uid of the contract.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// The term's start: of two contracts the earlier one has precedence.
    pub start: Timestamp,
    /// Creation time of the contract: the older contract has precedence if starts are equal.
    pub created: Timestamp,
    /// True if the contract is suspended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Effect on the service when the contract is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl Default for SubscriptionContract {
    fn default() -> Self {
        Self {
            name: String::new(),
            uid: String::new(),
            start: Timestamp::UNIX_EPOCH,
            created: Timestamp::UNIX_EPOCH,
            suspend: false,
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

/// The first subscription of a chain, on the same device.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Name of its contract.
    #[schemars(schema_with = "schema::dns_label")]
    pub contract: String,
    /// Name of the entry in the services of that contract.
    #[schemars(schema_with = "schema::dns_label")]
    pub service_name: String,
    /// Start of that contract's term: a chain keeps the precedence of its first contract.
    pub start: Timestamp,
}

/// The customer of a subscription.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCustomer {
    /// The customer's id.
    #[schemars(schema_with = "schema::label_value")]
    pub id: String,
}

/// Wanted state from an instant on.
#[derive(Clone, Debug, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// First instant of the revision.
    pub effective: Timestamp,
    /// First instant that is no longer covered; absent: until the next revision, or until ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// True if the instant was known before it came, so that it is promised.
    pub promised: bool,
    /// Name of the SmartService.
    pub service_ref: NameReference,
    /// Every parameter with its value, defaults included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "parameters")]
    pub parameters: BTreeMap<String, String>,
    /// The parameters whose value is the default that the catalogue had when this entry was
    /// written: a later default changes nothing. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub defaulted: Vec<String>,
    /// Sources of the values of parameters of type Secret. Sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub secret_parameters: Vec<SecretParameter>,
    /// Delay that is allowed.
    pub service_level: ServiceLevel,
    /// Price of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// The currency of the fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::currency")]
    pub currency: Option<String>,
    /// Remedies for a missed promise; all of them are owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub remedies: Vec<Remedy>,
    /// Causes whose delays count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub counted_causes: Vec<Cause>,
    /// Number of devices that share a fee for all devices, counted when this entry was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Times that are not owed, by the exclusions of the contract; in order, none touches the next.
    /// An edit of the contract changes those that lie ahead, and none that has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::MAX_EXCLUDED_TIMES))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub exclusions: Vec<ExcludedTime>,
}

impl Default for Revision {
    fn default() -> Self {
        Self {
            effective: Timestamp::UNIX_EPOCH,
            until: None,
            promised: false,
            service_ref: NameReference::default(),
            parameters: BTreeMap::new(),
            defaulted: Vec::new(),
            secret_parameters: Vec::new(),
            service_level: ServiceLevel::default(),
            fee: None,
            currency: None,
            remedies: Vec::new(),
            counted_causes: Vec::new(),
            share: None,
            exclusions: Vec::new(),
        }
    }
}

/// A time that is not owed.
#[derive(Clone, Debug, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedTime {
    /// First instant that is not owed.
    pub from: Timestamp,
    /// First instant that is owed again.
    pub until: Timestamp,
}

/// Number of devices that share a fee for all devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Number of devices.
    #[schemars(range(min = 1))]
    pub devices: i32,
}

/// Observed state of a subscription, reported by the delivery controller.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSubscriptionStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, ResolvedRefs, DeviceConfigured, DataTypesConfigured,
    /// ServerConfigured, Activated, Delivered, EvidenceLost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The revision that is delivered or under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<CurrentRevision>,
    /// Current step; absent when all are done, and before the start until an early step has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepType>,
    /// The instant at which that step began: its first request was sent. Its stepTimeout counts
    /// from here, whatever is sent again later. Acceptance begins when all before it is Effective, and
    /// has no stepTimeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_since: Option<Timestamp>,
    /// True if that step takes longer than stepTimeout of its SmartService.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub step_timed_out: bool,
    /// The instant at which the operator saw that the service has ended, and began to withdraw it;
    /// absent while the service goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// True if nothing is kept in effect at present: it is suspended, it has ended, or another
    /// contract wins. What the items say was proved before that, and may have been changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unattended: bool,
    /// Subject of the proof: with another device or address everything has to be read anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Last proved state of each item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub items: Vec<Item>,
    /// The instance on the service server; written before the first provision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInstance>,
    /// Activation of the service; absent before the service begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<SubscriptionActivation>,
    /// The instance of the service before, after an edit to another one of the same exclusiveGroup: it
    /// serves until the instance in `server` takes its place, and is removed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Box<LeavingInstance>>,
    /// Promises of the service, and whether each was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["effective".into()]))]
    pub promises: Vec<Promise>,
    /// Value of the annotation entente.dev/reconcile-at of its contract for which the device was last
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<Token<MAX_RECONCILE_AT>>,
}

/// Activation of a service.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionActivation {
    /// State of the service.
    pub state: ActivationState,
    /// The instant since which it is in that state.
    pub since: Timestamp,
}

/// State of the activation of a service.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ActivationState {
    /// It is off: something is missing, which the condition Activated names.
    #[default]
    Inactive,
    /// Everything is there but the answer of the service server.
    Pending,
    /// It is on: data of the device are accepted for it.
    Active,
}

/// The revision that is delivered or under way.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentRevision {
    /// First instant of the revision.
    pub effective: Timestamp,
    /// A digest of the wanted values.
    #[schemars(length(max = 64))]
    pub digest: Digest,
}

/// Subject of a proof.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The uid of the Device object.
    #[schemars(length(max = 64))]
    pub device_uid: String,
    /// A digest of the connection, the URL and the serial number.
    #[schemars(length(max = 64))]
    pub target_digest: Digest,
    /// A digest of the machine alone: the serial number, and the identity that the Device names. With
    /// another address it is the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub machine_digest: Option<Digest>,
}
