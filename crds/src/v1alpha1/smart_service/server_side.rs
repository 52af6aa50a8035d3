//! Needs of a service on the service server: offering, plan, settings, activation.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ValueSource, When};
use crate::schema;
use crate::v1alpha1::{NameReference, ValueType};

/// Needs of a service on the service server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSide {
    /// The Connection of the service server.
    pub connection_ref: NameReference,
    /// The offering, by its name in the broker's catalog.
    #[schemars(length(min = 1, max = 127))]
    pub offering: String,
    /// The plan, by its name in the broker's catalog.
    #[schemars(length(min = 1, max = 127))]
    pub plan: String,
    /// Content of an update.
    #[serde(default)]
    pub updates: Updates,
    /// Proof that counts for an instance that cannot be fetched from the broker.
    #[serde(default)]
    pub proof: Proof,
    /// Settings to make on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<ServerSetting>,
    /// Setting that the Activation step turns on; sent inactive with the provision. Absent: the
    /// service is active as soon as all before it is Effective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
}

/// Proof that something is in effect.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Proof {
    /// It was read back as wanted. What cannot be fetched is never proved (reason NotVerifiable).
    #[default]
    Read,
    /// It was accepted, and the broker does not let it be fetched, or it can only be written. What
    /// can be fetched has to be read back all the same.
    Taken,
}

/// Content of an update.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Updates {
    /// The full set, if anything differs.
    #[default]
    Replace,
    /// Only the parameters that differ.
    Merge,
}

/// A setting on the service server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.value) != has(self.valueFrom)").message("exactly one of value and valueFrom must be set"),
    validation = Rule::new("!has(self.otherwise) || has(self.when)").message("otherwise goes with when only")
)]
pub struct ServerSetting {
    /// Name of the setting; the key in the parameters if there is no pointer.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Place in the parameters as a JSON pointer (RFC 6901), such as "/schedule/weekday".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^(/[^/]+)+$')").message("must be a JSON pointer such as \"/schedule/weekday\""))]
    pub pointer: Option<String>,
    /// The type of the value in JSON; absent: that of the parameter, else String.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<ValueType>,
    /// The value itself, quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::value")]
    pub value: Option<String>,
    /// Source of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
    /// Condition for the setting; absent: always set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// The value if the condition fails, quoted; absent: the setting is not controlled then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::value")]
    pub otherwise: Option<String>,
    /// True if the server never returns the value. It is then in effect as soon as the server
    /// accepted it for an existing instance, and is sent again only if the wanted value differs
    /// from the one last sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub write_only: bool,
}

/// Setting that the Activation step turns on at the service server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.active != self.inactive").message("active and inactive must differ"))]
pub struct Activation {
    /// The key in the parameters.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Its value while the service is on, quoted: "true" and "false" are sent as JSON booleans.
    #[schemars(schema_with = "schema::value")]
    pub active: String,
    /// Its value before and after, quoted.
    #[schemars(schema_with = "schema::value")]
    pub inactive: String,
}
