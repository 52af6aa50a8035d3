//! Contract: which services on which devices from when, for whom and for what fee.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cause, Condition, DeletionPolicy, Fee, MAX_RECONCILE_AT, NameReference, Remedy,
    SecretParameter, Selector, ServiceLevel, SubscriptionCounts,
};
use crate::bounded::{Text, Token};
use crate::duration::Duration;
use crate::schema;

/// Agreement between a provider and a customer: services on devices, from a date.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "Contract",
    plural = "contracts",
    namespaced,
    shortname = "enct",
    category = "entente",
    status = "ContractStatus",
    derive = "PartialEq",
    doc = "What a provider promises a customer: named services work on named devices from a date.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    selectable = ".spec.customer.id",
    printcolumn(name = "CUSTOMER", type_ = "string", json_path = ".spec.customer.id"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "DELIVERED", type_ = "string", json_path = ".status.subscriptions.summary"),
    printcolumn(name = "START", type_ = "string", json_path = ".status.starts"),
    printcolumn(name = "NEXT", type_ = "string", json_path = ".status.next"),
    printcolumn(name = "OWED", type_ = "string", json_path = ".status.owed.summary"),
    printcolumn(name = "END", type_ = "string", json_path = ".status.ends", priority = 1),
    printcolumn(name = "INFORCE", type_ = "string", json_path = ".status.conditions[?(@.type==\"InForce\")].status", priority = 1),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.currency) || (has(self.currency) && self.currency == oldSelf.currency)").message("currency cannot be changed once it is set").field_path(".currency"),
    validation = Rule::new("has(self.currency) || !self.services.exists(s, has(s.fee))").message("currency is required where a service has a fee").field_path(".currency"),
    validation = Rule::new("self.services.map(s, (has(s.devices.names) ? size(s.devices.names) : 0) + (has(s.overrides) ? s.overrides.map(o, has(o.devices.names) ? size(o.devices.names) : 0).sum() : 0)).sum() <= 4000").message("all services and their overrides together may name at most 4,000 devices; use a selector").field_path(".services"),
    validation = Rule::new("!has(self.exclusions) || self.services.map(s, has(s.devices.names) ? size(s.devices.names) : 0).sum() + self.exclusions.map(e, has(e.devices) && has(e.devices.names) ? size(e.devices.names) : 0).sum() <= 4000").message("all services and exclusions together may name at most 4,000 devices; use a selector").field_path(".exclusions")
)]
pub struct ContractSpec {
    /// The customer, as named in the contract.
    pub customer: Customer,
    /// The currency (ISO 4217) of every fee in the contract, such as "EUR"; required where there is
    /// one. A fee has at most its digits: 12.50 EUR, and 12 JPY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::currency")]
    pub currency: Option<String>,
    /// The contract of the same customer that this one renews. From its start this one takes over
    /// each service of that contract on the same device, if it has the same SmartService or one of
    /// the same offering and Connection: the instance on the service server is kept, and only the
    /// difference is sent. It cannot be changed once it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<NameReference>,
    /// Start and end of the contract.
    pub term: Term,
    /// Work that may be done before the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<Preparation>,
    /// Number or share of the subscriptions that may be undelivered while the contract is still
    /// Ready, such as 3 or "2%"; absent: none. It changes neither promises nor money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
    /// The services on their devices.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub services: Vec<ContractService>,
    /// Causes whose delays count; absent: Device, Server and Provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub counted_causes: Option<Vec<Cause>>,
    /// Days that are agreed not to be owed, such as a holiday of the customer. The service is
    /// delivered in them as ever, and a late one is late; only the time that is owed for it is less.
    /// What has passed when the operator first sees an exclusion stays owed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub exclusions: Vec<Exclusion>,
    /// Local date from which the term's start counts as promised; absent: the creation of this
    /// object. It may lie before that as far as `bounds.promisesBefore` of each SmartService allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub promises_from: Option<String>,
    /// Effect on the services when the contract is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// True if the operator must not touch anything of this contract for now. The time still counts
    /// as delay, caused by the customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// The customer of a contract.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// The customer's id. It cannot be changed.
    #[schemars(schema_with = "schema::label_value")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("customer.id cannot be changed; make another contract"))]
    pub id: String,
    /// The customer's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub name: Option<String>,
}

/// Start and end of a contract.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.startDate) ? 1 : 0) + (has(self.startTime) ? 1 : 0) + (has(self.startOn) ? 1 : 0) == 1").message("exactly one of startDate, startTime and startOn must be set"),
    validation = Rule::new("(has(self.endDate) ? 1 : 0) + (has(self.endTime) ? 1 : 0) + (has(self.duration) ? 1 : 0) <= 1").message("at most one of endDate, endTime and duration may be set"),
    validation = Rule::new("has(self.startOn) || !has(self.startBy)").message("startBy goes with startOn only: any other start has its date").field_path(".startBy"),
    validation = Rule::new("has(self.startOn) || !has(self.duration)").message("duration goes with startOn only: use endDate or endTime").field_path(".duration"),
    validation = Rule::new("!has(self.startBy) || !has(self.endDate) || self.endDate >= self.startBy").message("endDate must not be before startBy").field_path(".endDate"),
    validation = Rule::new("!has(self.startDate) || !has(self.endDate) || self.endDate >= self.startDate").message("endDate must not be before startDate"),
    validation = Rule::new("!has(self.startTime) || !has(self.endTime) || self.endTime > self.startTime").message("endTime must be after startTime")
)]
pub struct Term {
    /// The first day, which begins in the term's time zone, such as "2027-04-01".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub start_date: Option<String>,
    /// The first instant, such as "2027-04-01T09:00:00-03:00".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time")]
    pub start_time: Option<String>,
    /// The event that starts the contract, in place of a date. Nothing is set up before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_on: Option<StartOn>,
    /// The last day on which the contract is expected to start. If no ContractNotice has come by its
    /// end, Ready is False with the reason NeverStarted until one comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub start_by: Option<String>,
    /// The last day, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub end_date: Option<String>,
    /// The first instant that is no longer covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time")]
    pub end_time: Option<String>,
    /// Length of the term from its start on in whole years and months of the calendar, such as
    /// "P3Y": it ends at the same time of the same day of the month, or of the last day of a shorter
    /// month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::period")]
    pub duration: Option<String>,
    /// The time zone of the contract's dates and periods.
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: String,
}

/// Event that starts a contract.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StartOn {
    /// A ContractNotice of type Started that names the contract.
    #[default]
    Notice,
}

/// Work that may be done before the start.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preparation {
    /// Time before a promised instant from which early steps may run.
    #[serde(default = "Preparation::default_lead_time")]
    #[schemars(schema_with = "schema::duration")]
    pub lead_time: Duration,
}

impl Preparation {
    fn default_lead_time() -> Duration {
        "336h".into()
    }
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            lead_time: Self::default_lead_time(),
        }
    }
}

/// One service on some devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.secretParameters) || !has(self.parameters) || self.secretParameters.all(s, !(s.name in self.parameters))").message("a parameter must not be both in parameters and in secretParameters").field_path(".secretParameters"),
    validation = Rule::new("!has(self.secretParameters) || !has(self.overrides) || self.secretParameters.all(s, self.overrides.all(o, !(s.name in o.parameters)))").message("a parameter must not be both in overrides and in secretParameters, whose secrets are those of all devices").field_path(".overrides"),
    validation = Rule::new("!has(self.elect) || (has(self.remedies) && self.remedies.exists(r, r.name == self.elect))").message("elect must name one of the remedies").field_path(".elect")
)]
pub struct ContractService {
    /// The key of the entry. Renaming it withdraws the service and sets it up anew.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// Name of the SmartService.
    pub service_ref: NameReference,
    /// The devices that get the service.
    pub devices: Devices,
    /// Values that the contract chooses; all are quoted strings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "parameters")]
    pub parameters: BTreeMap<String, String>,
    /// Other values for some of the devices. A device that several of them have gets the values of
    /// each, so they must not set one parameter to different values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub overrides: Vec<Override>,
    /// Sources of the values of parameters of type Secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub secret_parameters: Vec<SecretParameter>,
    /// Price of the service; absent: nothing can be credited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// Delay that is allowed; absent: as in the SmartService, else 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
    /// Remedies for a missed promise: all of them are owed, unless elect names one. Absent: as in
    /// the SmartService.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub remedies: Vec<Remedy>,
    /// The one remedy that is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::dns_label")]
    pub elect: Option<String>,
}

/// Parameter values by name: at most 64, quoted.
pub(crate) fn parameters(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1023}
    })
}

/// Other values of parameters for some devices of an entry.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.parameters) > 0").message("must set at least one parameter").field_path(".parameters")
)]
pub struct Override {
    /// The key of the override.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The devices that get these values; those that the entry does not have are passed over.
    pub devices: OverriddenDevices,
    /// Values in place of those of the entry; all are quoted strings. Parameters that are not named
    /// here stay as the entry says.
    #[schemars(schema_with = "parameters")]
    pub parameters: BTreeMap<String, String>,
}

/// Devices of an override: the union of those selected and those named.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.selector) || (has(self.names) && size(self.names) > 0)").message("selector or names must be set")
)]
pub struct OverriddenDevices {
    /// Devices of the entry by their labels. The empty selector is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(schema::REQUIRES_A_LABEL).message(schema::REQUIRES_A_LABEL_MESSAGE))]
    pub selector: Option<Selector>,
    /// Devices of the entry by name, at most 100; they need not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<100>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub names: Vec<String>,
}

/// Devices of an entry: the union of those selected and those named.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.selector) || (has(self.names) && size(self.names) > 0)").message("selector or names must be set")
)]
pub struct Devices {
    /// Devices of this namespace by their labels. The empty selector is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(schema::REQUIRES_A_LABEL).message(schema::REQUIRES_A_LABEL_MESSAGE))]
    pub selector: Option<Selector>,
    /// Devices of this namespace by name; they need not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<1000>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub names: Vec<String>,
    /// Expected number of devices; another number is reason DeviceCountMismatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub expect: Option<i32>,
}

/// Days that are agreed not to be owed.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.until > self.from").message("until must be after from: it is the first day that is owed again").field_path(".until")
)]
pub struct Exclusion {
    /// The key of the exclusion.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// The first day that is not owed; it begins in the term's time zone, such as "2027-12-24".
    #[schemars(schema_with = "schema::date")]
    pub from: String,
    /// The first day that is owed again, such as "2027-12-27": the last excluded day is the one
    /// before it.
    #[schemars(schema_with = "schema::date")]
    pub until: String,
    /// The devices for which the days are not owed; absent: all devices of the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<ExcludedDevices>,
    /// The agreement, in a sentence for people.
    #[schemars(schema_with = "schema::required_text")]
    pub reason: String,
}

/// Devices of an exclusion: the union of those selected and those named. Those that have no service
/// of the contract make no difference.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.selector) || (has(self.names) && size(self.names) > 0)").message("selector or names must be set; without devices an exclusion is for all of them")
)]
pub struct ExcludedDevices {
    /// Devices of this namespace by their labels. The empty selector is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(schema::REQUIRES_A_LABEL).message(schema::REQUIRES_A_LABEL_MESSAGE))]
    pub selector: Option<Selector>,
    /// Devices of this namespace by name; they need not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<1000>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub names: Vec<String>,
}

/// Observed state of a Contract.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted, ResolvedRefs, InForce, Delivered, StartAtRisk,
    /// PromiseMissed, DevicesFailing, CompensationPending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The term, resolved to instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<ResolvedTerm>,
    /// Number of subscriptions in force, by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<SubscriptionCounts>,
    /// Subscriptions that are not delivered although in force: at most 10, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub not_ready: Vec<NotReady>,
    /// Sums that the customer is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// Changes that accepted amendments bring next: at most 8, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub upcoming: Vec<UpcomingChange>,
    /// The first day of the term in its time zone, such as "2027-04-01"; with the time of day, such as
    /// "2027-04-12T14:30", if it does not begin with the day. While that is not known it is the start
    /// as the spec says it, such as "Notice".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Text<64>>,
    /// The last day of the term in its time zone; with the time of day at which it ends, if it does not
    /// end with the day. While that is not known it is the end as the spec says it, such as "P3Y".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Text<64>>,
    /// The next change in words, such as "Amended 2027-07-01": the state that the contract changes to,
    /// and its first day; of Ended and StartExpected the last day before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Text<64>>,
    /// The next instant at which something begins, changes or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<jiff::Timestamp>,
    /// State that the contract changes to then; of several the one that says most: Succeeded, Ended,
    /// Amended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_transition_to: Option<TransitionTo>,
    /// Name of the contract that it was accepted to succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub succeeds: Option<String>,
    /// The instant at which the set of subscriptions was first complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub established: Option<jiff::Timestamp>,
    /// The `promisesFrom` that was accepted last: it stays accepted, also when this object was
    /// restored from a backup and so was created anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub promises_from: Option<String>,
    /// The last 5 changes of the contract: it came in force, was amended, was succeeded by another one,
    /// or ended; newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<Transition>,
    /// Value of the annotation entente.dev/reconcile-at with which the contract was decided last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<Token<MAX_RECONCILE_AT>>,
}

/// A change that an amendment brings.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpcomingChange {
    /// Name of the ContractAmendment.
    pub amendment: Text<253>,
    /// The instant of the change.
    pub effective: jiff::Timestamp,
    /// Number of subscriptions that begin.
    pub adds: i32,
    /// Number of subscriptions that end.
    pub removes: i32,
    /// Number of subscriptions that go on with other terms.
    pub changes: i32,
}

/// A term, resolved to instants.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedTerm {
    /// The first instant.
    pub start: jiff::Timestamp,
    /// The first instant that is no longer covered; absent: until ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<jiff::Timestamp>,
    /// The term of the spec from which the instants were read, such as
    /// "2027-04-01 to 2030-03-31 in America/Sao_Paulo". While the spec says the same, an instant that
    /// has passed stays, whatever a newer time zone database says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Text<256>>,
    /// Name of the ContractNotice that started the contract. From then on the start stays, also when
    /// the notice is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Text<253>>,
    /// Name of the ContractNotice that ends the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Text<253>>,
    /// Version of the time zone database by which the instants that lie ahead are read, such as
    /// "2026e".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_database: Option<Text<16>>,
}

/// A subscription that is not delivered.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotReady {
    /// Name of the Device.
    #[schemars(length(max = 63))]
    pub device: String,
    /// Name of the entry in services.
    #[schemars(length(max = 63))]
    pub service: String,
    /// The reason of its condition Ready.
    #[schemars(length(max = 64))]
    pub reason: String,
}

/// Sums that the customer is owed.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owed {
    /// The sum so far, such as "BRL 1250.00", for tables.
    #[schemars(length(max = 64))]
    pub summary: String,
    /// Compensations that still accrue.
    pub open: i32,
    /// Compensations whose amount is final.
    pub calculated: i32,
    /// Compensations that are final and of which nothing is left to be delivered. Their amounts are
    /// recorded, and sent nowhere yet.
    pub delivered: i32,
    /// The sums, one per currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["currency".into()]))]
    pub amounts: Vec<Amount>,
}

/// An amount of money.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// The currency (ISO 4217).
    #[schemars(length(max = 3))]
    pub currency: String,
    /// The amount as a decimal string with the currency's digits.
    #[schemars(length(max = 32))]
    pub value: String,
}

/// A change of a contract.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The instant of the transition.
    pub at: jiff::Timestamp,
    /// State that the contract changed to.
    pub to: TransitionTo,
    /// Name of the ContractAmendment that changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amendment: Option<Text<253>>,
    /// Name of the Contract that took services over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Text<63>>,
}

/// State that a contract changed to, or changes to next.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TransitionTo {
    /// Now lies inside the term.
    #[default]
    InForce,
    /// An amendment came in force.
    Amended,
    /// Another contract took services over, by its `succeeds`.
    Succeeded,
    /// The term is over.
    Ended,
    /// The last moment at which a notice was expected to start the contract (`term.startBy`). It is never
    /// in the history.
    StartExpected,
}
