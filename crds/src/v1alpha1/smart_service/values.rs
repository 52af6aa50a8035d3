//! Sources of the values of settings, for both sides, and the condition under which a setting is made.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Source of a value. Exactly one of parameter, device and contract is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.parameter) ? 1 : 0) + (has(self.device) ? 1 : 0) + (has(self.contract) ? 1 : 0) == 1").message("exactly one of parameter, device and contract must be set"),
    validation = Rule::new("!has(self.map) || has(self.parameter)").message("map goes with parameter only")
)]
pub struct ValueSource {
    /// A parameter of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::setting_name")]
    pub parameter: Option<String>,
    /// A field of the Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceFact>,
    /// A field of the Contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractFact>,
    /// Translation of the parameter's values; a value that is not listed stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["from".into()]))]
    pub map: Vec<Mapping>,
}

/// Translation of one value.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// The parameter's value, quoted.
    #[schemars(schema_with = "schema::value")]
    pub from: String,
    /// Value that is sent for it, quoted.
    #[schemars(schema_with = "schema::value")]
    pub to: String,
}

/// A field of the Device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeviceFact {
    /// Its metadata.name.
    #[default]
    Name,
    /// Its spec.serialNumber.
    SerialNumber,
    /// The name of its model.
    Model,
    /// Its spec.timeZone, else the contract's.
    TimeZone,
}

/// A field of the Contract.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ContractFact {
    /// Its metadata.name.
    #[default]
    Name,
    /// Its spec.customer.id.
    CustomerID,
}

/// A condition on a parameter.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct When {
    /// Name of the parameter.
    #[schemars(schema_with = "schema::setting_name")]
    pub parameter: String,
    /// The values for which the condition holds, quoted.
    #[schemars(length(min = 1, max = 64), inner(length(max = 1023)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub r#in: Vec<String>,
}
