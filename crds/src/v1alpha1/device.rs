//! Device: one machine at a customer's site.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LocalReference, NameReference};
use crate::{condition::Reason, schema};

/// One device: its model, serial number, address and how it is reached.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "Device",
    plural = "devices",
    namespaced,
    shortname = "endev",
    category = "entente",
    status = "DeviceStatus",
    derive = "PartialEq",
    doc = "One device at a customer's site: its model, serial number, address and how it is reached.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    selectable = ".spec.modelRef.name",
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "MODEL", type_ = "string", json_path = ".spec.modelRef.name"),
    printcolumn(name = "ONLINE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Online\")].status"),
    printcolumn(name = "SERVICES", type_ = "string", json_path = ".status.subscriptions.summary"),
    printcolumn(name = "SYNCED", type_ = "date", json_path = ".status.lastSync.at"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct DeviceSpec {
    /// The model of the device.
    pub model_ref: NameReference,
    /// The serial number. Another one is another machine in the same place.
    #[schemars(length(min = 1, max = 64))]
    pub serial_number: String,
    /// The host name or IP address, without scheme, port and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub address: Option<String>,
    /// How the device is reached; an item goes through the first connection that can carry it.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub connections: Vec<DeviceConnection>,
    /// The fingerprint of its TLS certificate: SHA-256 in lower case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sha256")]
    pub certificate_sha256: Option<String>,
    /// The time zone at its place, for services that want to know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: Option<String>,
    /// Whether the operator leaves the device alone for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// One way to reach a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceConnection {
    /// The name of the Connection.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// A Secret in this namespace with what this device is logged in with, instead of that of the
    /// Connection and of the same type (Basic where the Connection has none). The platform team
    /// must let the operator read it (value tenantSecrets.namespaces of the chart).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<LocalReference>,
    /// What {port} of the Connection's URL is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// What {queue} of the Connection's URL is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::queue")]
    pub queue: Option<String>,
}

/// What the operator says of a Device.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted, ResolvedRefs, Online, SettingsApplied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Who the device said it is when it was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<DeviceIdentity>,
    /// What is remembered of its connections: those that failed when they were last used, and those
    /// beside the one that `identity` was seen through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub connections: Vec<DeviceConnectionStatus>,
    /// Since when this Device has its machine: who is older by it keeps the machine where two
    /// Devices have one address or one identity. It begins anew with another address, serial
    /// number or connection, and after the Connection refused the Device: then any other Device
    /// that has proved the machine meanwhile keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<DeviceClaim>,
    /// The services on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<SubscriptionCounts>,
    /// The last time that the device was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,
    /// The value of the annotation entente.dev/reconcile-at that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_handled_reconcile_at: Option<String>,
}

/// Who a device said it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceIdentity {
    /// The product name that it gave (IPP printer-make-and-model).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub product_name: Option<String>,
    /// The spec.serialNumber that this identity belongs to.
    #[schemars(length(max = 64))]
    pub serial_number: String,
    /// The connection through which it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// The identity that it gave (IPP printer-uuid), pinned when first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub id: Option<String>,
    /// The fingerprint of its certificate, pinned when first seen (trust FirstUse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub certificate_sha256: Option<String>,
}

/// What is remembered of one connection of a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceConnectionStatus {
    /// The name of the Connection.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The identity that the device gave through it, pinned when first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub identity: Option<String>,
    /// The fingerprint of the certificate there, pinned when first seen (trust FirstUse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub certificate_sha256: Option<String>,
    /// What was met when it was last used; absent when it answered as the device that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<DeviceFault>,
}

/// What was met when a device was last asked.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFault {
    /// What it was: the same word as the reason of the conditions.
    #[schemars(schema_with = "schema::reason_of_a_look")]
    pub reason: Reason,
    /// In one sentence.
    #[schemars(schema_with = "schema::message")]
    pub message: String,
}

/// Since when a Device has its machine.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClaim {
    /// A digest of connection, address, port, queue and serial number.
    #[schemars(length(max = 64))]
    pub endpoint_digest: String,
    /// Since when the Device names them.
    pub named: jiff::Timestamp,
    /// Since when the machine there is proved to be the one that is meant; absent until then, and
    /// while another Device has that machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// The identity that the machine gave, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub identity: Option<String>,
}

/// How many services, and how many of them are proven.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCounts {
    /// All of them.
    pub total: i32,
    /// Those with every required item Effective.
    pub delivered: i32,
    /// Those that do not progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<i32>,
    /// Delivered and total as "3/3", for tables.
    #[schemars(length(max = 32))]
    pub summary: String,
}

/// The last time that a device was read.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    /// When.
    pub at: jiff::Timestamp,
    /// What came of it.
    pub result: SyncResult,
}

/// What came of reading a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SyncResult {
    /// It answered.
    #[default]
    Answered,
    /// It did not.
    NoAnswer,
}
