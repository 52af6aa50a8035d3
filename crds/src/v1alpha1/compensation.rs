//! Compensation: the record of a debt for one missed promise by one remedy.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, Cause, Condition, Customer, ExcludedTime, Fee, Remedy, ServiceLevel, Share};
use crate::bounded::Text;
use crate::schema::{self, MAX_MESSAGE};

/// Compensation owed for one missed promise by one remedy: a frozen record and its settlement.
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
        json_path = ".spec.record.customer.id",
        priority = 1
    ),
    printcolumn(
        name = "CONTRACT",
        type_ = "string",
        json_path = ".spec.record.contract.name",
        priority = 1
    ),
    printcolumn(
        name = "REMEDY",
        type_ = "string",
        json_path = ".spec.record.remedy.name",
        priority = 1
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
    /// Frozen facts of the promise and of the remedy. They cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a record cannot be changed: void it with spec.voided, and with reissue Same it is issued again"))]
    pub record: Record,
    /// Set by a person, once: the record is wrong. Without reissue the debt is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<Voided>,
}

/// Frozen facts: the promise that was missed and the remedy that it gives.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The contract of the promise.
    pub contract: ObjectIdentity,
    /// Start of the contract's term: it tells the record of a contract from one of a contract that
    /// has the same name and another term. Absent in records that were made without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_start: Option<Timestamp>,
    /// The subscription of the promise.
    pub subscription: ObjectIdentity,
    /// The device of the promise.
    pub device: RecordDevice,
    /// Name of the entry in the contract's services.
    #[schemars(length(max = 63))]
    pub service_name: String,
    /// The customer that is owed.
    pub customer: RecordCustomer,
    /// The instant for which the service was promised.
    pub promised: Timestamp,
    /// The time zone of days and periods, from the time zone database.
    #[schemars(length(max = 64))]
    pub time_zone: String,
    /// The currency of fee and credit (ISO 4217).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub currency: Option<String>,
    /// The remedy that is applied.
    pub remedy: Remedy,
    /// The fee that was in force at the promised instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// Delay that was allowed.
    pub service_level: ServiceLevel,
    /// Causes whose delays count towards the compensation.
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub counted_causes: Vec<Cause>,
    /// Number of devices that share a fee for all devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Times that are not owed, as they were agreed when this record was made; in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::MAX_EXCLUDED_TIMES))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub exclusions: Vec<ExcludedTime>,
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
            contract_start: None,
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
            exclusions: Vec::new(),
            booking_key: String::new(),
            reissues: None,
        }
    }
}

/// Identity of an object, unique for ever: a later object of the same name has another uid.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectIdentity {
    /// Name of the object.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The uid that the API server gave it.
    #[schemars(length(max = 64))]
    pub uid: String,
}

/// The device of a record.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordDevice {
    /// Name of the Device.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Serial number, if the Device existed.
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
    /// Name of the compensation.
    #[schemars(length(max = 253))]
    pub name: String,
}

/// Reason for which a record is void, and whether another replaces it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Voided {
    /// The fault of the record, in a sentence.
    #[schemars(schema_with = "schema::required_text")]
    pub reason: String,
    /// Effect on the debt: None, the default, cancels it; Same makes a new record of the same
    /// promise, with a new calculation.
    #[serde(default)]
    pub reissue: Reissue,
}

/// Effect on the debt of a voided record.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Reissue {
    /// Nothing is owed any more.
    #[default]
    None,
    /// The same promise is recorded again, under the next number, and calculated anew.
    Same,
}

/// Observed state of a record, reported by the compensation controller.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompensationStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Delivered, Calculated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Delay of the service, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Lateness>,
    /// Amount that is owed; grows while lateness accrues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The amount such as "BRL 0.63", for tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub summary: Option<String>,
    /// Calculation of the amount, period by period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// Delay of a promise, by cause.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lateness {
    /// The promised instant.
    pub from: Timestamp,
    /// The instant from which no more time can be owed; absent while it accrues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The time that counts, such as "7h12m".
    #[schemars(length(max = 32))]
    pub counted: String,
    /// Time of the delay that is not owed by an exclusion of the contract, such as "24h"; it is in
    /// no cause. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub excluded: Option<String>,
    /// Time of each cause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub causes: Vec<LatenessCause>,
}

/// Time that one cause contributed to a lateness.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatenessCause {
    /// The side that caused the time.
    pub cause: Cause,
    /// Reason of the item that was not in effect.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// Time of this cause that counts, such as "7h12m".
    #[schemars(length(max = 32))]
    pub counted: String,
}

/// Calculation of an amount, period by period.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// One line for each period of the fee.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub periods: Vec<PeriodShare>,
    /// The whole calculation in one sentence.
    pub message: Text<MAX_MESSAGE>,
}

/// Contribution of one period of the fee.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeriodShare {
    /// The first local date of the period, such as "2027-04-01".
    #[schemars(length(max = 10))]
    pub from: String,
    /// The last local date of the period, inclusive.
    #[schemars(length(max = 10))]
    pub until: String,
    /// Lost share of the period's fee, such as "6/31", for people.
    #[schemars(length(max = 64))]
    pub share: String,
    /// Lost share of the period's fee, as an exact number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_share: Option<ExactNumber>,
    /// The fee of the period for this device.
    #[schemars(length(max = 32))]
    pub fee: String,
    /// Worth of the lost share, before any cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<ExactNumber>,
    /// Compensations that already give in this period, and how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = schema::MAX_TAKEN_BY))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub taken_by: Vec<TakenCredit>,
    /// The largest credit of this period.
    #[schemars(length(max = 32))]
    pub cap: String,
    /// Credit of this period, before the sum of all periods is rounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<ExactNumber>,
    /// Part of the amount that this period gives, in whole minor units of the currency: the rounded
    /// sum is spread over the periods by largest remainder. Later compensations count it as already
    /// given when they check their caps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<ExactNumber>,
}

/// Credit that another compensation gives in the same period.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenCredit {
    /// Name of the compensation; absent: the sum of all that are not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Credit that it gives; absent where it has more digits than a field holds.
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
