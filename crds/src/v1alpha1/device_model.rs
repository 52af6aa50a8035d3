//! DeviceModel: the capabilities of a model, and the drivers' own names for them.

mod error;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::error::*;
use super::{Application, Condition, Firmware, SnmpIdentity, SnmpSetting, SnmpType, ValueType};
use crate::{duration::Duration, schema};

/// Capabilities of a model of device, and the drivers' own names for them.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "DeviceModel",
    plural = "devicemodels",
    shortname = "endm",
    category = "entente",
    status = "DeviceModelStatus",
    derive = "PartialEq",
    doc = "What a model of device can do, and the drivers' own names for it. Written by the platform team.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "MANUFACTURER", type_ = "string", json_path = ".spec.manufacturer"),
    printcolumn(name = "USED BY", type_ = "integer", json_path = ".status.usedBy"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.errors) || (has(self.supplies) && self.supplies.size() > 0) || self.errors.all(error, !has(error.unit) || error.unit != 'Supply')").message("an error of unit Supply needs supplies: name in spec.supplies those that can have it, or let its unit be Device").field_path(".errors")
)]
pub struct DeviceModelSpec {
    /// Name of the manufacturer.
    #[schemars(schema_with = "schema::required_text")]
    pub manufacturer: String,
    /// The names by which such a device introduces itself (IPP printer-make-and-model; SNMP hrDeviceDescr,
    /// else sysDescr). A name that ends in `*` stands for all names that begin with what is before it. Blanks at the ends do not
    /// count.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 127)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(name, name.matches('^[^*]*[^* ][^*]*[*]?$'))").message("each name must have characters besides blanks, and may end in one '*'")
    )]
    pub product_names: Vec<String>,
    /// Source of the device's identity. Nothing is written before the identity matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySource>,
    /// Settings that the device has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<DeviceSetting>,
    /// Versions of its firmware that can be installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = Rule::new("self.all(i, self.exists_one(j, j.version == i.version && (has(j.name) ? j.name : 'main') == (has(i.name) ? i.name : 'main')))").message("each version of a firmware may be listed once")
    )]
    pub firmware: Vec<Firmware>,
    /// Versions of applications that can be installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into(), "version".into()]))]
    pub applications: Vec<Application>,
    /// Kinds of data that the device can send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub data_types: Vec<DataType>,
    /// Supplies that the device uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub supplies: Vec<Supply>,
    /// Errors that the device reports, and what is ordered for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub errors: Vec<ErrorType>,
}

/// One kind of data that a device can send: the events that send it and its longest period.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.threshold) || (has(self.sendOn) && 'BelowThreshold' in self.sendOn)").message("threshold goes with sendOn: BelowThreshold only"),
    validation = Rule::new("!has(self.sendOn) || !('BelowThreshold' in self.sendOn) || has(self.threshold)").message("sendOn: BelowThreshold needs a threshold")
)]
pub struct DataType {
    /// The name that services and the device use, such as supplies.level. An event of it has the type
    /// dev.entente.<name>.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Events that send it, besides the period.
    // YAML 1.1, and with it kubectl, takes a plain `on` for true.
    #[serde(default, rename = "sendOn", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub on: Vec<DataEvent>,
    /// Percentage at which BelowThreshold sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub threshold: Option<i32>,
    /// Longest time between two messages.
    #[schemars(schema_with = "schema::positive_duration")]
    pub period: Duration,
    /// Manner in which it is sent: one member for each protocol that can.
    pub via: DataVia,
}

/// Manner in which a kind of data is sent, by protocol.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataVia {
    /// It is sent by a device that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentData>,
}

/// Sent by a device that calls, under the name of the kind.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentData {}

/// Event that sends a kind of data.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum DataEvent {
    /// Some of it was used.
    #[default]
    Consumed,
    /// The level fell below the threshold.
    BelowThreshold,
    /// A supply was replaced.
    Replaced,
    /// An error was raised.
    Raised,
    /// An error was cleared.
    Cleared,
}

/// Source of a device's identity, for each protocol.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentitySource {
    /// Source of the identity by IPP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp: Option<IppIdentity>,
    /// Source of the identity by SNMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<SnmpIdentity>,
}

/// Source of a device's identity by IPP.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IppIdentity {
    /// Name of the attribute; default: printer-uuid (PWG 5100.13).
    #[schemars(schema_with = "schema::setting_name")]
    pub attribute: String,
}

/// One setting of a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'Integer' || (!has(self.minimum) && !has(self.maximum) && !has(self.unit))").message("minimum, maximum and unit go with type Integer only"),
    validation = Rule::new("self.type in ['Keyword', 'KeywordSet'] || !has(self.allowed)").message("allowed goes with type Keyword or KeywordSet only"),
    validation = Rule::new("!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum").message("minimum must not be above maximum"),
    validation = Rule::new("!has(self.writeOnly) || !self.writeOnly || !has(self.takesEffect) || self.takesEffect == 'Immediately'").message("writeOnly goes with takesEffect Immediately only: nothing could tell that the restart has been"),
    validation = Rule::new(IppSyntax::rule()).message("type String or Secret goes with via.ipp.syntax Text, Name, Keyword or Uri; Keyword with Keyword, Text, Name or Uri; KeywordSet with Keyword; Integer with Integer or Enum; Boolean with Boolean"),
    validation = Rule::new(SnmpType::rule()).message("type String goes with via.snmp.type OctetString or IpAddress; Secret and Keyword with OctetString; Integer with Integer32, Gauge32 or TimeTicks; Boolean with TruthValue; KeywordSet goes with no via.snmp")
)]
pub struct DeviceSetting {
    /// The name that services use.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The type of its values.
    pub r#type: ValueType,
    /// The longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1023))]
    pub max_length: Option<i32>,
    /// The smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
    /// The unit of the number, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub unit: Option<String>,
    /// Allowed words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allowed: Vec<String>,
    /// Manner in which it is carried: one member for each protocol that can.
    pub via: Via,
    /// Moment at which a value that was sent takes effect.
    #[serde(default)]
    pub takes_effect: TakesEffect,
    /// True if the device never returns the value. It is then in effect as soon as the device
    /// accepted it, and is sent again only if the wanted value differs from the one last sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub write_only: bool,
}

/// Manner in which a setting is carried, by protocol.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Via {
    /// Manner in which it is carried by IPP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp: Option<IppSetting>,
    /// Manner in which it is carried by a settings distribution server (docs/api/settings.yaml).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSetting>,
    /// Manner in which it is carried by a device that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSetting>,
    /// Manner in which it is carried by SNMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<SnmpSetting>,
}

/// Returns the part of a rule that lets a type go with these words of a member of `via`.
pub(super) fn rule_of_type(r#type: ValueType, member: &str, words: &[String]) -> String {
    format!(
        "(self.type == '{type:?}' && self.via.{member} in [{}])",
        words.join(", ")
    )
}

/// Manner in which a setting is carried by a settings distribution server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSetting {
    /// Place of the setting in what is wanted of the device and in what it reports: a JSON pointer
    /// (RFC 6901) such as /settings/backup/endpoint.
    #[schemars(schema_with = "schema::settings_pointer")]
    pub path: String,
}

/// Manner in which a setting is carried by a device that calls.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSetting {
    /// The device's own name of the setting.
    #[schemars(schema_with = "schema::setting_name")]
    pub key: String,
}

/// Manner in which a setting is carried by IPP.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IppSetting {
    /// The attribute, such as printer-location.
    #[schemars(schema_with = "schema::setting_name")]
    pub attribute: String,
    /// The syntax of its value (RFC 8011 section 5.1).
    pub syntax: IppSyntax,
    /// The operation that sets it on this model.
    #[serde(default)]
    pub operation: IppOperation,
}

/// The syntax of an IPP value (RFC 8011 section 5.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IppSyntax {
    /// textWithoutLanguage.
    #[default]
    Text,
    /// nameWithoutLanguage.
    Name,
    /// keyword; 1setOf keyword for a KeywordSet.
    Keyword,
    /// uri.
    Uri,
    /// integer.
    Integer,
    /// boolean.
    Boolean,
    /// enum.
    Enum,
}

impl IppSyntax {
    /// Returns the syntaxes in which values of a type can be written.
    pub fn of_type(r#type: ValueType) -> &'static [Self] {
        const TEXTS: &[IppSyntax] = &[
            IppSyntax::Text,
            IppSyntax::Name,
            IppSyntax::Keyword,
            IppSyntax::Uri,
        ];
        match r#type {
            ValueType::String | ValueType::Secret | ValueType::Keyword => TEXTS,
            ValueType::KeywordSet => &[Self::Keyword],
            ValueType::Integer => &[Self::Integer, Self::Enum],
            ValueType::Boolean => &[Self::Boolean],
        }
    }

    /// Returns the rule that the syntax of a setting can carry values of its type.
    fn rule() -> String {
        let of_type = |r#type: &ValueType| {
            let syntaxes = Self::of_type(*r#type).iter();
            let words: Vec<String> = syntaxes.map(|it| format!("'{it:?}'")).collect();
            rule_of_type(*r#type, "ipp.syntax", &words)
        };
        let types: Vec<String> = ValueType::ALL.iter().map(of_type).collect();
        format!("!has(self.via.ipp) || {}", types.join(" || "))
    }
}

/// The operation that sets an attribute.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum IppOperation {
    /// Set-Printer-Attributes (RFC 3380).
    #[default]
    SetPrinterAttributes,
    /// CUPS-Add-Modify-Printer (0x4003), for CUPS and systems that follow it.
    CupsAddModifyPrinter,
    /// Set-System-Attributes (PWG 5100.22), for attributes of the host's System Service such as
    /// system-location; read back by Get-System-Attributes at the path /ipp/system of the same host
    /// and port. All printers of a host share one System: for models where one host is one Device.
    SetSystemAttributes,
}

impl IppOperation {
    /// True if the operation sets an attribute of the host's System Service and not of one of its
    /// printers.
    pub fn is_of_system(self) -> bool {
        match self {
            Self::SetPrinterAttributes | Self::CupsAddModifyPrinter => false,
            Self::SetSystemAttributes => true,
        }
    }
}

/// Moment at which a value that was sent takes effect.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TakesEffect {
    /// At once.
    #[default]
    Immediately,
    /// After the device was restarted; until then the item is AwaitingRestart.
    AfterRestart,
}

/// Observed state of a DeviceModel.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceModelStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of Devices that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
}
