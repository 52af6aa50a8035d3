//! DeviceEnrollment: who may register in a namespace.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Condition, LocalReference, MAX_IDENTITY, NameReference};
use crate::{
    bounded::{Text, Token},
    schema,
};

/// Permission to register devices in this namespace by one token.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "DeviceEnrollment",
    plural = "deviceenrollments",
    namespaced,
    shortname = "enenr",
    category = "entente",
    status = "DeviceEnrollmentStatus",
    derive = "PartialEq",
    doc = "Permission to register: which devices may register in this namespace by which token, and whether Devices are made for them.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "MODE", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "REGISTERED", type_ = "integer", json_path = ".status.registered"),
    printcolumn(name = "PENDING", type_ = "integer", json_path = ".status.pendingCount"),
    printcolumn(name = "EXPIRES", type_ = "string", json_path = ".spec.expires"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.template) == (has(self.mode) && self.mode == 'Create')")
        .message("template is required with mode Create, and only then"),
    validation = Rule::new("!has(self.mode) || self.mode == 'BindOnly' || has(self.serialNumbers) || has(self.maxDevices)")
        .message("mode Create needs serialNumbers or maxDevices: else a token that is lost makes any number of Devices")
)]
pub struct DeviceEnrollmentSpec {
    /// The Connection of protocol Agent at whose gateway the devices register.
    pub connection_ref: NameReference,
    /// The Secret, in this namespace, whose key `token` has the text that a device shows: at least 20
    /// characters. The platform team has to let the operator read Secrets here (value
    /// tenantSecrets.namespaces of the chart). Another text in it takes effect within a minute.
    pub token_secret_ref: LocalReference,
    /// Effect of a registration on Devices.
    #[serde(default)]
    pub mode: EnrollmentMode,
    /// The serial numbers that may register. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_numbers: Option<SerialNumbers>,
    /// Necessity of the consent of the owner of a device.
    #[serde(default)]
    pub consent: ConsentRule,
    /// Template of the Devices that are made, with mode Create. A Device is made once and never written
    /// again: it is yours from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<DeviceTemplate>,
    /// The largest number of devices that may be registered by this enrolment at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_devices: Option<i32>,
    /// The last day on which a device may register, by UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub expires: Option<String>,
    /// True if nobody may register for now. Devices that are registered stay so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Effect of a registration on Devices.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum EnrollmentMode {
    /// A Device of that serial number and model must exist; until it does the registration is pending.
    #[default]
    BindOnly,
    /// A Device is made from the template, unless there is one of that serial number.
    Create,
}

/// Necessity of consent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ConsentRule {
    /// A registration without consent is refused.
    #[default]
    Required,
    /// A registration may have none; one that it has is recorded.
    NotNeeded,
}

/// The way by which consent is given, or a service is switched.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ConsentWay {
    /// A person at the panel of the device.
    #[default]
    Panel,
    /// A service technician.
    Technician,
    /// A command that was sent to the device.
    Command,
}

/// Serial numbers that may register. Exactly one member is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.pattern) != has(self.names)").message("exactly one of pattern and names must be set")
)]
pub struct SerialNumbers {
    /// A regular expression (RE2) that the whole serial number must match, such as "A1B2C[0-9]{1,6}".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub pattern: Option<String>,
    /// The serial numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
}

/// Template of Devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceTemplate {
    /// Beginning of the name; the serial number in lower case follows, with '-' for what a name cannot
    /// have.
    #[schemars(schema_with = "schema::name_prefix")]
    pub name_prefix: String,
    /// The labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// FromDevice for the time zone that the device reports, or a name of the time zone database. Absent:
    /// the Device has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: Option<String>,
}

fn labels(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63}
    })
}

/// Observed state of a DeviceEnrollment.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceEnrollmentStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, ResolvedRefs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of devices that are registered by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<i64>,
    /// Number of devices that wait for their Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_count: Option<i64>,
    /// The first of them, by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["serialNumber".into()]))]
    pub pending: Vec<PendingDevice>,
}

/// A device that has registered, and of which there is no Device yet.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingDevice {
    /// Its serial number.
    pub serial_number: Token<64>,
    /// Name of its product.
    pub product_name: Text<MAX_IDENTITY>,
    /// The instant at which it first called.
    pub since: Timestamp,
}
