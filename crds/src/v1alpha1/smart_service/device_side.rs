//! Needs of a service on the device: models, settings, kinds of data, supplies.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ValueSource, When};
use crate::duration::Duration;
use crate::schema;
use crate::v1alpha1::ServiceModel;

/// Needs of a service on the device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSide {
    /// The models that can do it, each with the software that it needs there; absent: every model that
    /// has the settings named below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub models: Vec<ServiceModel>,
    /// Settings to make on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<WantedSetting>,
    /// Kinds of data that the device sends for the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub data_types: Vec<WantedDataType>,
    /// Part numbers of the supplies that the service delivers: a device that cannot use one of them
    /// is never activated. They are compared with what the device said when it registered, else with
    /// supplies of the DeviceModel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub supplies: Vec<String>,
    /// Treatment of these settings when the service ends on a device.
    #[serde(default)]
    pub release: Release,
}

/// Kind of data that a service wants from the device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WantedDataType {
    /// The name of the kind in the DeviceModel.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// Longest time between two messages; absent: period of the DeviceModel. If two services want one
    /// kind, the shorter one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub period: Option<Duration>,
}

/// Treatment of the settings of a device when a service ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Release {
    /// Each gets the value back that it had before the service, unless somebody has changed it
    /// since or another service wants it.
    #[default]
    Restore,
    /// Each stays as the service leaves it.
    Keep,
}

/// A setting that a service wants on the device.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.value) != has(self.valueFrom)").message("exactly one of value and valueFrom must be set"),
    validation = Rule::new("!has(self.otherwise) || has(self.when)").message("otherwise goes with when only")
)]
pub struct WantedSetting {
    /// The name of the setting in the DeviceModel.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
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
}
