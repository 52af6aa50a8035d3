//! SmartService: one service of one provider, and its needs on both sides.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, NameReference, Period, Remedy, ServiceLevel, ValueType};
use crate::duration::Duration;
use crate::schema;

mod device_side;
mod server_side;
mod values;

pub use device_side::*;
pub use server_side::*;
pub use values::*;

/// One service of one provider, and its needs on the device and on the service server.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "SmartService",
    plural = "smartservices",
    shortname = "ensvc",
    category = "entente",
    status = "SmartServiceStatus",
    derive = "PartialEq",
    doc = "One service of one provider: its parameters, what it needs on the device and on the service server, and in which order. Written by the platform team.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    selectable = ".spec.server.connectionRef.name",
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "PROVIDER", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "USED BY", type_ = "integer", json_path = ".status.usedBy"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.acceptance) || !has(self.device) || !has(self.device.settings) || !self.device.settings.exists(i, i.name == self.acceptance.setting)").message("acceptance.setting must be a setting that the device sets by itself, and none of device.settings: what the service writes proves nothing"))]
#[x_kube(validation = Rule::new("!has(self.steps) || self.steps.size() == 0 || !has(self.device) || !has(self.device.models) || !self.device.models.exists(m, has(m.minimumFirmware)) || self.steps.exists(s, s.type == 'Firmware')").message("steps must have Firmware where device.models has minimumFirmware"))]
#[x_kube(validation = Rule::new("!has(self.activation) || self.activation != 'ByFirstData' || has(self.data)").message("activation: ByFirstData needs data: the first data of a device turns the service on"))]
#[x_kube(validation = Rule::new("!has(self.data) || has(self.device) && has(self.device.dataTypes) && self.device.dataTypes.size() > 0").message("data goes with device.dataTypes only: a device sends the kinds that are named there"))]
#[x_kube(validation = Rule::new("!has(self.steps) || self.steps.size() == 0 || !has(self.device) || !has(self.device.dataTypes) || self.device.dataTypes.size() == 0 || self.steps.exists(s, s.type == 'DataTypes')").message("steps must have DataTypes where device.dataTypes names a kind of data"))]
#[x_kube(validation = Rule::new("!has(self.steps) || self.steps.size() == 0 || !has(self.device) || !has(self.device.models) || !self.device.models.exists(m, has(m.applications) && m.applications.size() > 0) || self.steps.exists(s, s.type == 'Applications')").message("steps must have Applications where device.models has applications"))]
pub struct SmartServiceSpec {
    /// Name of the provider of the service.
    #[schemars(schema_with = "schema::required_text")]
    pub provider: String,
    /// Description of the service, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub description: Option<String>,
    /// Parameters that a contract can choose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub parameters: Vec<Parameter>,
    /// Needs of the service on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceSide>,
    /// Needs of the service on the service server; absent: no service instruction is ever sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerSide>,
    /// The one who turns the service on. Besides that, a contract has to be in force, the local switch of the
    /// device has to be on, and the device has to be able to do it.
    #[serde(default, skip_serializing_if = "ActivationMode::is_by_operator")]
    pub activation: ActivationMode,
    /// Destination of what the device sends for the service: the kinds in device.dataTypes. Absent: the
    /// gateway accepts none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ServiceData>,
    /// Destination of the orders of supplies that errors of devices lead to. Absent: this service orders
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<ServiceOrders>,
    /// The controlled order; absent: Firmware and Applications, both early, then DeviceSettings,
    /// ServerSettings, DataTypes and Activation. A step of which nothing is wanted is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new("self.all(i, self.exists_one(j, j.type == i.type))").message("each type of step may be named once"))]
    #[x_kube(validation = Rule::new("!self.exists(i, i.type == 'Activation') || self[size(self) - 1].type == 'Activation'").message("Activation must be the last step"))]
    pub steps: Vec<Step>,
    /// Time limit of a step, from its first request until all of it is Effective. A longer delay is
    /// recorded as StepTimedOut; nothing is given up.
    #[serde(default = "SmartServiceSpec::default_step_timeout")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub step_timeout: Duration,
    /// Check that the service works, read from the device after all steps are in effect; a promise
    /// completes with it. Absent: the service is usable as soon as everything was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
    /// Name of a group: two services of one group never act on one device at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::dns_label")]
    pub exclusive_group: Option<String>,
    /// Limits of what a contract may promise for this service; absent: no promise from before the
    /// contract was created, and any fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Delay that is allowed, unless the contract sets another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
    /// Remedies for a missed promise, unless the contract sets others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub remedies: Vec<Remedy>,
}

impl SmartServiceSpec {
    fn default_step_timeout() -> Duration {
        "1h".into()
    }

    /// Returns the names of the Connections that the service uses besides those of devices: that of its
    /// server, that of its data and that of its orders.
    pub fn connections(&self) -> impl Iterator<Item = &str> {
        let server = self.server.iter().map(|it| &it.connection_ref);
        let data = self.data.iter().map(|it| &it.connection_ref);
        let orders = self.orders.iter().map(|it| &it.connection_ref);
        server.chain(data).chain(orders).map(|it| it.name.as_str())
    }

    /// Returns the steps that the service orders, or the six in their usual order. Acceptance is none
    /// of them.
    pub fn ordered_steps(&self) -> Vec<Step> {
        if !self.steps.is_empty() {
            return self.steps.clone();
        }
        [
            (StepType::Firmware, true),
            (StepType::Applications, true),
            (StepType::DeviceSettings, false),
            (StepType::ServerSettings, false),
            (StepType::DataTypes, false),
            (StepType::Activation, false),
        ]
        .map(|(r#type, early)| Step { r#type, early })
        .to_vec()
    }
}

impl Default for SmartServiceSpec {
    fn default() -> Self {
        Self {
            provider: String::new(),
            description: None,
            parameters: Vec::new(),
            device: None,
            server: None,
            activation: ActivationMode::default(),
            data: None,
            orders: None,
            steps: Vec::new(),
            step_timeout: Self::default_step_timeout(),
            acceptance: None,
            exclusive_group: None,
            bounds: None,
            service_level: None,
            remedies: Vec::new(),
        }
    }
}

/// The one who turns a service on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ActivationMode {
    /// The operator, at the instant at which the service begins.
    #[default]
    ByOperator,
    /// The device, when it asks for it: a person at its panel, or the device by itself. For devices
    /// that call.
    ByDevice,
    /// The device, by the first data that it sends for the service, without asking before. For devices
    /// that call.
    ByFirstData,
}

impl ActivationMode {
    /// True of the default, which is not written.
    pub fn is_by_operator(&self) -> bool {
        *self == Self::ByOperator
    }
}

/// Destination of the data that devices send for a service: batches of CloudEvents (JSON), each event at
/// least once, in the order of the device. A provider recognises a repeated one by its source and id.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceData {
    /// The Connection to the provider, of protocol HTTP. It has to allow the namespaces of the
    /// contracts.
    pub connection_ref: NameReference,
    /// Path to which the batches are posted, after the url of the Connection, such as "/v1/events".
    #[schemars(schema_with = "schema::url_path")]
    pub path: String,
}

/// Destination of the orders of a service: an order server.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOrders {
    /// The Connection to the order server, of protocol HTTP. It has to allow the namespaces of the
    /// contracts.
    pub connection_ref: NameReference,
}

/// Check that a service works: a setting of the device that is only read, and never written.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acceptance {
    /// The name of the setting in the DeviceModel. Its value must come from the service at work: one
    /// that was there before the service was turned on passes as well.
    #[schemars(schema_with = "schema::setting_name")]
    pub setting: String,
    /// The value that it has when the service works, quoted.
    #[schemars(schema_with = "schema::present_value")]
    pub equals: String,
    /// Time after the last step in which another value is no failure. A later one is reported as
    /// AcceptanceFailed, and the setting is read again all the same.
    #[serde(default = "Acceptance::default_within")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub within: Duration,
}

impl Acceptance {
    fn default_within() -> Duration {
        "10m".into()
    }
}

impl Default for Acceptance {
    fn default() -> Self {
        Self {
            setting: String::new(),
            equals: String::new(),
            within: Self::default_within(),
        }
    }
}

/// Limits of what contracts may promise for a service. What was accepted once is not refused later.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bounds {
    /// Time before the creation of a contract to which its `promisesFrom` may go back; 0s: to the
    /// local day on which it was created.
    #[serde(default)]
    #[schemars(schema_with = "schema::duration")]
    pub promises_before: Duration,
    /// The largest fee in each currency; absent: none. A currency that is not listed is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["currency".into()]))]
    pub fee_ceiling: Vec<FeeCeiling>,
}

/// The largest fee of a service in one currency, for each device or for all devices together as the
/// fee is.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeCeiling {
    /// The currency (ISO 4217).
    #[schemars(schema_with = "schema::currency")]
    pub currency: String,
    /// The largest amount for one period, as a quoted decimal such as "100000".
    #[schemars(schema_with = "schema::amount")]
    pub amount: String,
    /// The period: fees for another one are compared by their months.
    pub per: Period,
}

/// A value that a contract can choose.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type in ['Keyword', 'KeywordSet'] || !has(self.allowed)").message("allowed goes with type Keyword or KeywordSet only"),
    validation = Rule::new("self.type == 'Integer' || (!has(self.minimum) && !has(self.maximum))").message("minimum and maximum go with type Integer only"),
    validation = Rule::new("self.type != 'Secret' || !has(self.default)").message("a parameter of type Secret has no default: contracts give it in secretParameters"),
    validation = Rule::new("self.type != 'Keyword' || !has(self.default) || !has(self.allowed) || self.default in self.allowed").message("default must be one of allowed")
)]
pub struct Parameter {
    /// The name of the parameter.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The type of its values.
    pub r#type: ValueType,
    /// Allowed words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allowed: Vec<String>,
    /// The smallest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// The largest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
    /// The default, quoted; absent: the contract must choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::value")]
    pub default: Option<String>,
}

/// A step of the controlled order.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type != 'Activation' || !has(self.early) || !self.early").message("Activation is never early"),
    validation = Rule::new("self.type != 'Acceptance'").message("Acceptance has no place in steps: it follows all of them if spec.acceptance names a check; must be Firmware, Applications, DeviceSettings, ServerSettings, DataTypes or Activation")
)]
pub struct Step {
    /// Part of the service that the step sets up.
    pub r#type: StepType,
    /// True if the step may run before the promised instant, at most preparation.leadTime before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
}

/// Part of the service that a step sets up.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum StepType {
    /// Settings of the device.
    #[default]
    DeviceSettings,
    /// Settings on the service server.
    ServerSettings,
    /// Turning the service on.
    Activation,
    /// Firmware of the device.
    Firmware,
    /// Applications on the device.
    Applications,
    /// Kinds of data that the device sends.
    DataTypes,
    /// Reading from the device that the service works. It follows all other steps, and is never
    /// named among them.
    Acceptance,
}

/// Observed state of a SmartService.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SmartServiceStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted, ResolvedRefs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of subscriptions that use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
}
