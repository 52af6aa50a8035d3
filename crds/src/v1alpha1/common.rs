//! Types that several kinds share: references, selectors, money, causes, service levels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounded::Text;
use crate::duration::Duration;
use crate::schema::{self, MAX_MESSAGE};

/// A condition in the form that every Kubernetes tool reads (metav1.Condition), with bounds.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The instant at which the status last changed.
    #[schemars(schema_with = "schema::date_time")]
    pub last_transition_time: Time,
    /// One or more sentences for people.
    pub message: Text<MAX_MESSAGE>,
    /// The generation of the object that the condition speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Reason of the status, from the list of the condition.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// True, False or Unknown.
    #[schemars(schema_with = "schema::status_of_condition")]
    pub status: String,
    /// Type of the condition.
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
}

/// A reference by name: to an object of the catalogue, or of the same namespace.
#[derive(
    Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "camelCase")]
pub struct NameReference {
    /// The name of the object.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
}

/// A reference to a Secret or ConfigMap in the operator's own namespace.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// The name of the object.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// One key of a Secret in the namespace of the object that names it.
#[derive(
    Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The name of the Secret.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key in its data.
    #[schemars(schema_with = "schema::secret_key")]
    pub key: String,
}

/// A parameter of type Secret and the source of its value.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretParameter {
    /// The name of the parameter.
    #[schemars(schema_with = "schema::setting_name")]
    pub name: String,
    /// The Secret with the value, in the contract's namespace. The platform team has to let the
    /// operator read Secrets there (value tenantSecrets.namespaces of the chart).
    pub secret_key_ref: SecretKeyReference,
}

/// Selects objects by their labels. All requirements must hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that the object must have with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "match_labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels other than equality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_expressions: Vec<SelectorRequirement>,
}

fn match_labels(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63}
    })
}

/// One requirement of a selector.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? (has(self.values) && size(self.values) > 0) : (!has(self.values) || size(self.values) == 0)")
        .message("In and NotIn need values; Exists and DoesNotExist take none")
)]
pub struct SelectorRequirement {
    /// The key of the label.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// Comparison that the label must pass.
    pub operator: SelectorOperator,
    /// The values for comparison, for In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub values: Vec<String>,
}

/// Comparison that a label must pass.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum SelectorOperator {
    /// The value is one of those listed.
    #[default]
    In,
    /// The value is none of those listed, or the label is missing.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl Selector {
    /// True if there is no requirement; such a selector would match every object.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// True if an object with these labels meets all requirements.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }
}

impl SelectorRequirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let found = labels.get(&self.key);
        match self.operator {
            SelectorOperator::In => found.is_some_and(|value| self.values.contains(value)),
            SelectorOperator::NotIn => !found.is_some_and(|value| self.values.contains(value)),
            SelectorOperator::Exists => found.is_some(),
            SelectorOperator::DoesNotExist => found.is_none(),
        }
    }
}

/// The type of a parameter or of a device setting.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ValueType {
    /// Any text.
    #[default]
    String,
    /// A whole number, written in decimal.
    Integer,
    /// "true" or "false".
    Boolean,
    /// One of the allowed words.
    Keyword,
    /// Some of the allowed words, separated by commas; their order means nothing.
    KeywordSet,
    /// A text that is never shown: it comes from a Secret, and status keeps a keyed digest of it.
    Secret,
}

impl ValueType {
    /// Every type.
    pub const ALL: [Self; 6] = [
        Self::String,
        Self::Secret,
        Self::Keyword,
        Self::KeywordSet,
        Self::Integer,
        Self::Boolean,
    ];
}

/// The side that caused a delay.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum Cause {
    /// The device: unreachable, busy, refusing, not taking a value.
    Device,
    /// The service server: unreachable, erring, refusing, not verifiable.
    Server,
    /// The provider: catalogue, connections, secrets, rights, conflicts, our own time.
    Provider,
    /// The customer: suspended, switched off locally.
    Customer,
}

/// Effect on the services when their contract is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// Services are withdrawn on both sides, in reverse order.
    #[default]
    Withdraw,
    /// Everything is left as it is; the operator only detaches.
    Keep,
}

/// Treatment of a setting that was in effect, and that somebody has changed at the device since.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DriftPolicy {
    /// It is set again.
    #[default]
    Revert,
    /// It is left as it is, and told in status.drift of the Device. A setting that was not in effect yet,
    /// another wanted value, and everything that a promise needs which is not proved yet are set all the
    /// same.
    Report,
}

/// Delay that is allowed before compensation is owed.
#[derive(Clone, Debug, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLevel {
    /// The allowance after the promised instant, such as "15m" or "4h".
    #[serde(default = "ServiceLevel::default_allowed")]
    #[schemars(schema_with = "schema::duration")]
    pub allowed: Duration,
    /// Start of the owed time once the allowance is exceeded.
    #[serde(default)]
    pub count: CountFrom,
}

impl ServiceLevel {
    fn default_allowed() -> Duration {
        "15m".into()
    }
}

impl Default for ServiceLevel {
    fn default() -> Self {
        Self {
            allowed: Self::default_allowed(),
            count: CountFrom::default(),
        }
    }
}

/// Start of the owed time once the allowance is exceeded.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum CountFrom {
    /// The promised instant: all the time counts.
    #[default]
    FromPromise,
    /// The end of the allowance: only the time after it counts.
    AfterAllowance,
}

/// The fee of a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fee {
    /// The amount for one period, as a quoted decimal such as "12.50".
    #[schemars(schema_with = "schema::amount")]
    pub amount: String,
    /// The period: one of the calendar in the contract's zone.
    pub per: Period,
    /// Scope of the amount: each device, or all devices together.
    pub of: FeeOf,
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum Period {
    /// A month of the calendar.
    #[default]
    Month,
    /// Three months, beginning in January, April, July or October.
    Quarter,
    /// A year of the calendar.
    Year,
}

/// Scope of a fee: one device, or all devices of the entry.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum FeeOf {
    /// The amount is for each device.
    #[default]
    EachDevice,
    /// The amount is for all devices of the entry; a device's share is an equal part.
    AllDevices,
}

/// Compensation that is owed when a promise was missed.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type != 'FeeCredit' || has(self.credit)")
        .message("a remedy of type FeeCredit needs the member credit")
)]
pub struct Remedy {
    /// The name of the remedy; part of the name of its compensations.
    #[schemars(schema_with = "schema::remedy_name")]
    pub name: String,
    /// Kind of remedy. Exactly the member that goes with it is set.
    pub r#type: RemedyType,
    /// Calculation of a fee credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<FeeCredit>,
}

/// The kind of a remedy.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum RemedyType {
    /// A part of the fee is given back.
    #[default]
    FeeCredit,
}

/// Calculation of a fee credit.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeCredit {
    /// Basis of the lost share of a period.
    pub basis: CreditBasis,
    /// Percent of the period's fee for each day; absent: in proportion to the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::percent")]
    pub percent: Option<String>,
    /// The largest credit; absent: the fee of the period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<CreditCap>,
}

/// Basis of the share of a period that counts as lost.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum CreditBasis {
    /// The time itself, in proportion to the period.
    #[default]
    ElapsedTime,
    /// Every local date of which any part is owed time.
    StartedDays,
    /// Every local date that lies wholly inside owed time.
    FullDays,
}

/// The largest amount that a fee credit gives.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreditCap {
    /// Percent of a period's fee, as a quoted decimal such as "50".
    #[schemars(schema_with = "schema::percent")]
    pub percent: String,
    /// Scope of the cap: each period, or the promise as a whole.
    pub of: CapOf,
}

/// Scope of a cap.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
pub enum CapOf {
    /// Each period of the fee.
    #[default]
    Period,
    /// The whole promise, measured by the fee of the period in which it was promised.
    Promise,
}

/// An address to which supplies are sent.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShipTo {
    /// Name of the company or person.
    #[schemars(schema_with = "schema::required_text")]
    pub name: String,
    /// Street and number.
    #[schemars(schema_with = "schema::required_text")]
    pub street: String,
    /// The postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub postal_code: Option<String>,
    /// The city.
    #[schemars(schema_with = "schema::required_text")]
    pub city: String,
    /// State, province or prefecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::required_text")]
    pub subdivision: Option<String>,
    /// The country (ISO 3166-1 alpha-2).
    #[schemars(schema_with = "schema::country")]
    pub country: String,
    /// Name of the person who takes the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::required_text")]
    pub contact: Option<String>,
    /// Telephone number of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub phone: Option<String>,
}
