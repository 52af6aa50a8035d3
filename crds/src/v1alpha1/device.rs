//! Device: one machine at a customer's site.

mod error;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::error::*;
use super::{
    Condition, ConsentWay, DriftPolicy, LocalReference, MaintenanceWindow, NameReference, ShipTo,
};
use crate::{
    bounded::{Text, Token},
    condition::Reason,
    digest::Digest,
    schema::{self, MAX_MESSAGE},
};

/// The most characters of what a device says of itself.
pub const MAX_IDENTITY: usize = 127;
/// The most characters of the last request for a reconcile.
pub const MAX_RECONCILE_AT: usize = 64;
/// The most settings that a device has: those of its model.
pub const MAX_DRIFT: usize = 128;

/// One device: its model, serial number, address and connections.
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
    printcolumn(name = "CONTACT", type_ = "string", json_path = ".status.conditions[?(@.type==\"Online\")].reason"),
    printcolumn(name = "FIRMWARE", type_ = "string", json_path = ".status.identity.firmware[?(@.name==\"main\")].version"),
    printcolumn(name = "SERVICES", type_ = "string", json_path = ".status.subscriptions.summary"),
    printcolumn(name = "SYNCED", type_ = "date", json_path = ".status.lastSync.at"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.siteRef) || has(self.connections) && self.connections.size() > 0").message("connections must have at least one entry, unless siteRef names a Site that has some").field_path(".connections"))]
pub struct DeviceSpec {
    /// The model of the device.
    pub model_ref: NameReference,
    /// The Site of the device, in this namespace: its fields count where this Device has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_ref: Option<NameReference>,
    /// The serial number. Another one is another machine in the same place.
    #[schemars(schema_with = "schema::serial_number")]
    pub serial_number: String,
    /// The host name or IP address, without scheme, port and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub address: Option<String>,
    /// Connections to the device; an item uses the first that can carry it. Absent or empty: those of
    /// its Site. Of a Device with any entry the list of the Site does not count at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub connections: Vec<DeviceConnection>,
    /// Fingerprint of its TLS certificate: SHA-256 in lower case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sha256")]
    pub certificate_sha256: Option<String>,
    /// Identity that the device must report (IPP printer-uuid), through the connection in
    /// `status.identity.connection` and every other one that reports the same attribute; default:
    /// the one that it reported when it was first seen.
    /// Another one is another machine in the same place, with the same serial number or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identity")]
    pub identity: Option<String>,
    /// The time zone of the device's site, for services that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: Option<String>,
    /// Times in which firmware and applications may be installed, in the time zone of the device, else
    /// in that of the contract; absent: at any time. Nothing else waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub maintenance_windows: Vec<MaintenanceWindow>,
    /// Treatment of settings that somebody changes at the device after they were in effect: Revert sets
    /// them again, Report leaves them and tells them in status.drift. Absent: that of the Site, else
    /// Revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_policy: Option<DriftPolicy>,
    /// The local switch as a command: the SmartServices that are off on this device. Their contracts go
    /// on, and everything but their activation is set up. A later word at the device counts instead;
    /// see status.localEnablement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub disabled_services: Vec<String>,
    /// Language of messages on its panel (BCP 47), unless the device reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::language")]
    pub language: Option<String>,
    /// Address to which its supplies are sent. Without one the order server decides by the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<ShipTo>,
    /// True if the operator must not touch the device for now.
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
    /// A Secret in this namespace with the credentials of this device, instead of those of the
    /// Connection and of the same type (if the Connection has none, Basic, or with protocol SNMP the
    /// type of its version). The platform team must let the operator read it (value
    /// tenantSecrets.namespaces of the chart).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<LocalReference>,
    /// Value of {port} in the Connection's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Value of {queue} in the Connection's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::queue")]
    pub queue: Option<String>,
    /// The printer-uri of requests, where the device expects another one than the Connection's URL:
    /// another host, port or scheme with the same path. It is never dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1023))]
    #[x_kube(validation = Rule::new(schema::url_rule("self", "ipps?")).message("must be a URI such as \"ipp://localhost/ipp/print\", with scheme ipp or ipps, without user, with a port from 1 to 65535 and an address that there is"))]
    pub printer_uri: Option<String>,
}

/// Observed state of a Device.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted, ResolvedRefs, Online, SettingsApplied; FirmwareCurrent
    /// and ApplicationsInstalled where a service needs software; Faulted while it reports an error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Identity that the device reported when it was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<DeviceIdentity>,
    /// Memory of its connections: those that failed at their last use, and those beside the one
    /// through which `identity` was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub connections: Vec<DeviceConnectionStatus>,
    /// Claim of this Device on its machine: if two Devices have one address or one identity, the
    /// older claim keeps the machine. The claim begins anew with another address, serial number or
    /// connection, and after the Connection refused the Device: then any other Device that has
    /// proved the machine meanwhile keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<DeviceClaim>,
    /// Number of services on the device, by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<SubscriptionCounts>,
    /// The subscription that acts for each exclusiveGroup of services on this device. When one takes
    /// the place of another, the change of its entry here is the switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["group".into()]))]
    pub exclusive: Vec<ExclusiveHold>,
    /// The local switch of each service that was ever switched: the newest word counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["service".into()]))]
    pub local_enablement: Vec<LocalEnablement>,
    /// Abilities that the device reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<DeviceCapabilities>,
    /// Errors that the device has reported, each with its last occurrence. An entry stays for ever: its
    /// number tells the next occurrence from all before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ERRORS))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub errors: Vec<DeviceError>,
    /// Messages about orders: those that stand on its panel, and those that were taken down last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_MESSAGES))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub messages: Vec<DisplayedMessage>,
    /// With driftPolicy Report: the settings that were in effect, that somebody has changed at the device
    /// since, and that are left as they are. An entry goes when the value is read back as wanted again, or
    /// when it is set after all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_DRIFT))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub drift: Vec<DriftedSetting>,
    /// A recent reading of the device. It is written when the result changes or when a person
    /// asked for it by entente.dev/reconcile-at, and otherwise at most twice in each sync.period of
    /// the Connection, so that the last reading may be up to half a period younger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,
    /// Value of the annotation entente.dev/reconcile-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<Token<MAX_RECONCILE_AT>>,
}

/// A setting that somebody has changed at a device, and that is left as it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftedSetting {
    /// Its name in the DeviceModel.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Digest of the wanted value, as in the item of the ServiceSubscription.
    #[schemars(length(max = 64))]
    pub desired_digest: Digest,
    /// Digest of the value that was read last; absent if the device reports none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub observed_digest: Option<Digest>,
    /// The instant since which another value than the wanted one is read.
    pub since: Timestamp,
}

/// Local switch of a service on a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalEnablement {
    /// Name of the SmartService.
    #[schemars(length(max = 63))]
    pub service: String,
    /// True if it is on.
    pub enabled: bool,
    /// The way by which it was switched: at the panel, by a technician, or by a command, that of the
    /// device or spec.disabledServices.
    pub by: ConsentWay,
    /// The instant of that: of a word of the device as the gateway heard it, of a change of
    /// spec.disabledServices as the operator saw it.
    pub at: Timestamp,
    /// The instant of the last word of the device that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// True if spec.disabledServices named the service when the operator last looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed: bool,
}

/// Abilities of a device, as it reported them. What is absent was not reported.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCapabilities {
    /// Kinds of data that it can send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub data_types: Option<Vec<Token<64>>>,
    /// Part numbers of the supplies that it can use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub supplies: Option<Vec<Token<64>>>,
    /// True if it installs firmware and applications by DDI. Only then is it offered any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ddi: bool,
    /// Size of its display for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<DeviceDisplay>,
}

/// Size of a display, in characters.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceDisplay {
    /// Characters of a line; a character of double width is two of them.
    #[schemars(range(min = 0, max = 512))]
    pub columns: i32,
    /// Number of lines.
    #[schemars(range(min = 0, max = 512))]
    pub lines: i32,
}

/// The subscription that acts for an exclusive group.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExclusiveHold {
    /// The exclusiveGroup of its SmartService.
    #[schemars(length(max = 63))]
    pub group: String,
    /// Name of the subscription.
    #[schemars(length(max = 253))]
    pub holder: String,
    /// Name of the SmartService with which it does. Absent: an operator before this field has written
    /// the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub service: Option<String>,
    /// The instant since which it does, with that service.
    pub since: Timestamp,
    /// Those that acted before, the last one first: an event or an order of the device belongs to the
    /// one that acted when it occurred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub before: Vec<FormerHold>,
}

/// A subscription that acted for an exclusive group until another one took its place.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerHold {
    /// Name of the subscription.
    #[schemars(length(max = 253))]
    pub holder: String,
    /// Name of the SmartService with which it did.
    #[schemars(length(max = 63))]
    pub service: String,
    /// The instant since which it did.
    pub since: Timestamp,
    /// The instant from which on it did no more.
    pub until: Timestamp,
}

/// Identity that a device reported.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceIdentity {
    /// Product name that it reported (IPP printer-make-and-model).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_name: Option<Text<MAX_IDENTITY>>,
    /// The spec.serialNumber that this identity belongs to.
    #[schemars(length(max = 64))]
    pub serial_number: String,
    /// The connection through which it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// Identity that it reported (IPP printer-uuid), pinned when first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Token<MAX_IDENTITY>>,
    /// The fingerprint of its certificate, pinned when first seen (trust FirstUse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub certificate_sha256: Option<String>,
    /// Firmware that it last reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub firmware: Vec<DeviceFirmware>,
}

/// Firmware that a device reported.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFirmware {
    /// Its name.
    pub name: Token<64>,
    /// Its version, as the device says it.
    pub version: Token<64>,
}

/// Memory of one connection of a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceConnectionStatus {
    /// The name of the Connection.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The identity that the device gave through it, pinned when first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Token<MAX_IDENTITY>>,
    /// The fingerprint of the certificate there, pinned when first seen (trust FirstUse).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub certificate_sha256: Option<String>,
    /// Fault at its last use; absent if it answered as the expected device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<DeviceFault>,
    /// Fault by which another machine answered there before `fault`, until the expected one
    /// answers; absent where `fault` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub another_machine: Option<DeviceFault>,
}

/// Fault at the last request to a device.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceFault {
    /// Reason of the fault, from the same list as the reasons of conditions.
    #[schemars(schema_with = "schema::reason_of_a_look")]
    pub reason: Reason,
    /// The fault in one sentence.
    pub message: Text<MAX_MESSAGE>,
}

/// Claim of a Device on its machine.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceClaim {
    /// A digest of connection, address, port, queue and serial number.
    #[schemars(length(max = 64))]
    pub endpoint_digest: Digest,
    /// The instant since which the Device names them.
    pub named: jiff::Timestamp,
    /// The instant since which the machine there is proved to be the expected one; absent until
    /// then, and while another Device has that machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// Identity that the machine reported, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Token<MAX_IDENTITY>>,
}

/// Number of services, and of those that are proven.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionCounts {
    /// Number of subscriptions.
    pub total: i32,
    /// Number of subscriptions with every required item Effective.
    pub delivered: i32,
    /// Number of subscriptions that are stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<i32>,
    /// Delivered and total as "3/3", for tables.
    #[schemars(length(max = 32))]
    pub summary: String,
}

/// A recent reading of a device.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    /// The instant of the reading.
    pub at: jiff::Timestamp,
    /// Result of the reading.
    pub result: SyncResult,
}

/// Result of reading a device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SyncResult {
    /// The device answered.
    #[default]
    Answered,
    /// The device did not answer, or may not be dialled; the condition Online says which.
    NoAnswer,
}
