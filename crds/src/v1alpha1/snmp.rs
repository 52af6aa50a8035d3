//! The members of Connections and DeviceModels that SNMP has of its own.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ValueType;
use super::device_model::rule_of_type;
use crate::schema;

/// Endpoint of devices with an SNMP agent: the address of the Device, and this port.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnmpEndpoint {
    /// UDP port of the agents.
    #[serde(default = "SnmpEndpoint::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Version of the protocol. V3 reads and writes, always authenticated and encrypted. V2C has no
    /// login but a community, which anybody on the way reads: by it nothing is written.
    #[serde(default)]
    pub version: SnmpVersion,
}

impl SnmpEndpoint {
    fn default_port() -> i32 {
        161
    }
}

impl Default for SnmpEndpoint {
    fn default() -> Self {
        Self {
            port: Self::default_port(),
            version: SnmpVersion::default(),
        }
    }
}

/// Version of SNMP.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum SnmpVersion {
    /// SNMPv3 with authentication and privacy (RFC 3414, RFC 3826, RFC 7860).
    #[default]
    V3,
    /// SNMPv2c (RFC 1901): status and identity only.
    V2C,
}

/// Source of a device's identity by SNMP.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnmpIdentity {
    /// Name of the object as numbers; default: 1.3.6.1.2.1.43.5.1.1.17.1, prtGeneralSerialNumber of the
    /// first printer (RFC 3805).
    #[schemars(schema_with = "schema::oid")]
    pub oid: String,
}

/// Manner in which a setting is carried by SNMP, over a Connection with version V3.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnmpSetting {
    /// Name of the object as numbers, with its instance, such as 1.3.6.1.2.1.1.6.0 for sysLocation.
    #[schemars(schema_with = "schema::oid")]
    pub oid: String,
    /// The syntax of its value (RFC 2578).
    pub r#type: SnmpType,
}

/// The syntax of an SNMP value (RFC 2578; TruthValue of RFC 2579).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum SnmpType {
    /// OCTET STRING with a text in UTF-8, such as DisplayString.
    #[default]
    OctetString,
    /// IpAddress: an IPv4 address such as 10.20.3.4.
    IpAddress,
    /// INTEGER and Integer32, also one that stands for a word.
    Integer32,
    /// Gauge32 and Unsigned32.
    Gauge32,
    /// TimeTicks: hundredths of a second.
    TimeTicks,
    /// TruthValue: 1 for true and 2 for false.
    TruthValue,
}

impl SnmpType {
    /// Returns the syntaxes in which values of a type can be written.
    pub fn of_type(r#type: ValueType) -> &'static [Self] {
        match r#type {
            ValueType::String => &[Self::OctetString, Self::IpAddress],
            ValueType::Secret | ValueType::Keyword => &[Self::OctetString],
            ValueType::KeywordSet => &[],
            ValueType::Integer => &[Self::Integer32, Self::Gauge32, Self::TimeTicks],
            ValueType::Boolean => &[Self::TruthValue],
        }
    }

    /// Returns the rule that the syntax of a setting can carry values of its type.
    pub(super) fn rule() -> String {
        let can = |it: &&ValueType| !Self::of_type(**it).is_empty();
        let types = ValueType::ALL.iter().filter(can).map(|r#type| {
            let syntaxes = Self::of_type(*r#type).iter();
            let words: Vec<String> = syntaxes.map(|it| format!("'{it:?}'")).collect();
            rule_of_type(*r#type, "snmp.type", &words)
        });
        let types: Vec<String> = types.collect();
        format!("!has(self.via.snmp) || {}", types.join(" || "))
    }
}
