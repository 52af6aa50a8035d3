//! ServiceSubscription: one service on one device, with its dated revisions and its proof.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cause, Condition, DeletionPolicy, Fee, NameReference, Proof, Remedy, SecretParameter,
    ServiceLevel, StepType, contract::parameters,
};
use crate::{
    bounded::Text,
    condition::Reason,
    digest::Digest,
    duration::Duration,
    item_key::ItemKey,
    schema::{self, MAX_MESSAGE},
};

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
    /// Ready, Reconciling, Stalled, ResolvedRefs, DeviceConfigured, ServerConfigured, Delivered,
    /// EvidenceLost.
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
    /// The instance of the service before, after an edit to another one of the same exclusiveGroup: it
    /// serves until the instance in `server` takes its place, and is removed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Box<LeavingInstance>>,
    /// Promises of the service, and whether each was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["effective".into()]))]
    pub promises: Vec<Promise>,
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
}

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
