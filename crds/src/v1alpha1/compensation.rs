//! Compensation: a record of what is owed for one missed promise by one remedy.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, Cause, Condition, Customer, Fee, Remedy, ServiceLevel, Share};
use crate::schema;

/// What is owed for one missed promise by one remedy: a frozen record and what came of it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "Compensation",
    plural = "compensations",
    namespaced,
    shortname = "encmp",
    category = "entente-all",
    status = "CompensationStatus",
    derive = "PartialEq",
    doc = "What is owed for one missed promise by one remedy. Made by the operator, never edited: a wrong one is voided.",
    selectable = ".spec.record.contract.name",
    selectable = ".spec.record.device.name",
    selectable = ".spec.record.serviceName",
    selectable = ".spec.record.customer.id",
    printcolumn(
        name = "CUSTOMER",
        type_ = "string",
        json_path = ".spec.record.customer.id"
    ),
    printcolumn(
        name = "CONTRACT",
        type_ = "string",
        json_path = ".spec.record.contract.name"
    ),
    printcolumn(
        name = "REMEDY",
        type_ = "string",
        json_path = ".spec.record.remedy.name"
    ),
    printcolumn(
        name = "LATE",
        type_ = "string",
        json_path = ".status.lateness.counted"
    ),
    printcolumn(name = "AMOUNT", type_ = "string", json_path = ".status.summary"),
    printcolumn(
        name = "DELIVERED",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Delivered\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.explanation.message",
        priority = 1
    ),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.voided) || (has(self.voided) && self.voided == oldSelf.voided)").message("a compensation is voided once, and stays so").field_path(".voided")
)]
pub struct CompensationSpec {
    /// What was promised and what is owed for it. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a record cannot be changed: void it with spec.voided, and with reissue Same it is issued again"))]
    pub record: Record,
    /// Set by a person, once: the record is wrong. Without reissue the debt is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<Voided>,
}

/// What was promised and what is owed for it.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The contract.
    pub contract: ObjectIdentity,
    /// The subscription.
    pub subscription: ObjectIdentity,
    /// The device.
    pub device: RecordDevice,
    /// The entry of the contract's services.
    #[schemars(length(max = 63))]
    pub service_name: String,
    /// The customer.
    pub customer: RecordCustomer,
    /// The promised instant.
    pub promised: Timestamp,
    /// The zone in which days and periods are meant.
    #[schemars(length(max = 64))]
    pub time_zone: String,
    /// The currency (ISO 4217).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub currency: Option<String>,
    /// The remedy.
    pub remedy: Remedy,
    /// The fee that was in force at the promised instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// How late the service was allowed to be.
    pub service_level: ServiceLevel,
    /// Whose delays count.
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub counted_causes: Vec<Cause>,
    /// Of how many devices a fee for all is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The key under which it is booked: sha256 of namespace, contract, customer id, service,
    /// device, instant, remedy name and reissue number.
    #[schemars(length(max = 64))]
    pub booking_key: String,
    /// The compensation that this one issues again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reissues: Option<ReissueReference>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            contract: ObjectIdentity::default(),
            subscription: ObjectIdentity::default(),
            device: RecordDevice::default(),
            service_name: String::new(),
            customer: RecordCustomer::default(),
            promised: Timestamp::UNIX_EPOCH,
            time_zone: String::new(),
            currency: None,
            remedy: Remedy::default(),
            fee: None,
            service_level: ServiceLevel::default(),
            counted_causes: Vec::new(),
            share: None,
            booking_key: String::new(),
            reissues: None,
        }
    }
}

/// Which object, for ever.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectIdentity {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// The device of a record.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordDevice {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its serial number, where the Device existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial_number: Option<String>,
}

/// The customer of a record.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordCustomer {
    /// The customer's id.
    #[schemars(length(max = 63))]
    pub id: String,
}

impl From<&Customer> for RecordCustomer {
    fn from(customer: &Customer) -> Self {
        Self {
            id: customer.id.clone(),
        }
    }
}

/// The compensation that is issued again.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReissueReference {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Why a record is wrong.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voided {
    /// Why, in a sentence.
    #[schemars(schema_with = "schema::required_text")]
    pub reason: String,
    /// What becomes of the debt: None, the default, cancels it; Same makes a new record of the same
    /// promise that is calculated anew.
    #[serde(default)]
    pub reissue: Reissue,
}

/// What becomes of the debt of a voided record.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Reissue {
    /// Nothing is owed any more.
    #[default]
    None,
    /// The same promise is recorded again, under the next number, and calculated anew.
    Same,
}

/// What the compensation controller says of a record.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompensationStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Calculated, Delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How late it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Lateness>,
    /// What is owed; so far, while it accrues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The amount such as "BRL 0.63", for tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub summary: Option<String>,
    /// How the amount came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// How late a promise was.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lateness {
    /// The promised instant.
    pub from: Timestamp,
    /// When no more time could be owed; absent while it accrues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The time that counts, such as "7h12m".
    #[schemars(length(max = 32))]
    pub counted: String,
    /// Who caused how much of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub causes: Vec<LatenessCause>,
}

/// Who caused how much of a lateness.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatenessCause {
    /// Who.
    pub cause: Cause,
    /// The reason of the item that blocked.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// How much, such as "7h12m".
    #[schemars(length(max = 32))]
    pub counted: String,
}

/// How an amount came about.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// One line for each period of the fee.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub periods: Vec<PeriodShare>,
    /// The whole in one sentence.
    #[schemars(schema_with = "schema::message")]
    pub message: String,
}

/// What one period of the fee contributes.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeriodShare {
    /// The first local date of the period, such as "2027-04-01".
    #[schemars(length(max = 10))]
    pub from: String,
    /// The last local date of the period, inclusive.
    #[schemars(length(max = 10))]
    pub until: String,
    /// What part of the fee is lost, such as "6/31", for people.
    #[schemars(length(max = 64))]
    pub share: String,
    /// What part of the fee is lost, as a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_share: Option<ExactNumber>,
    /// The fee of the period for this device.
    #[schemars(length(max = 32))]
    pub fee: String,
    /// The most that this period can give.
    #[schemars(length(max = 32))]
    pub cap: String,
    /// What this period gives, before the sum of all periods is rounded: what later compensations
    /// find given when they look at their caps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<ExactNumber>,
}

/// A number that need not have a decimal: a third of a fee, three of which are the fee again. In
/// lowest terms.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactNumber {
    /// The numerator, in digits.
    #[schemars(schema_with = "schema::whole_number")]
    pub numerator: String,
    /// The denominator, in digits; never zero.
    #[schemars(schema_with = "schema::whole_number")]
    pub denominator: String,
}
