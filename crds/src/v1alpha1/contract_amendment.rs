//! ContractAmendment: what changes in a contract from a date on.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::contract::parameters;
use super::{
    Condition, Fee, NameReference, Override, Remedy, SecretParameter, Selector, ServiceLevel,
};
use crate::schema;

/// Change of a contract from a date on.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "ContractAmendment",
    plural = "contractamendments",
    namespaced,
    shortname = "enamd",
    category = "entente",
    status = "ContractAmendmentStatus",
    derive = "PartialEq",
    doc = "Change of a contract from a date on: one object for each agreement. Withdraw it by deleting it before its date.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    selectable = ".spec.contractRef.name",
    printcolumn(
        name = "CONTRACT",
        type_ = "string",
        json_path = ".spec.contractRef.name"
    ),
    printcolumn(
        name = "EFFECTIVE",
        type_ = "string",
        json_path = ".spec['effectiveDate','effectiveTime']"
    ),
    printcolumn(
        name = "ACCEPTED",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
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
    validation = Rule::new("has(self.effectiveDate) != has(self.effectiveTime)").message("exactly one of effectiveDate and effectiveTime must be set"),
    validation = Rule::new("self.services.map(s, (has(s.devices) ? (has(s.devices.names) ? size(s.devices.names) : 0) + (has(s.devices.add) ? size(s.devices.add) : 0) + (has(s.devices.remove) ? size(s.devices.remove) : 0) : 0) + (has(s.overrides) ? s.overrides.map(o, has(o.devices.names) ? size(o.devices.names) : 0).sum() : 0)).sum() <= 4000").message("all entries and their overrides together may name at most 4,000 devices; use a selector").field_path(".services"),
    validation = Rule::new("self == oldSelf").message("an amendment cannot be changed: before its date delete it and make another one; after it make another one")
)]
pub struct ContractAmendmentSpec {
    /// The contract that changes, in the same namespace.
    pub contract_ref: NameReference,
    /// The first day of the change, which begins in the time zone of the contract's term, such as
    /// "2027-07-01".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub effective_date: Option<String>,
    /// The first instant of the change, such as "2027-07-01T09:00:00-03:00".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time")]
    pub effective_time: Option<String>,
    /// Changes of entries, by the name of the entry in the contract's services. A name that the
    /// contract does not have is a new entry.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub services: Vec<AmendedService>,
}

/// Change of one entry. A field that is not set stays as it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.end) || has(self.serviceRef) || has(self.devices) || has(self.parameters) || has(self.unset) || has(self.overrides) || has(self.secretParameters) || has(self.fee) || has(self.serviceLevel) || has(self.remedies) || has(self.elect)").message("must change something of the entry, or end it"),
    validation = Rule::new("!has(self.end) || !self.end || !(has(self.serviceRef) || has(self.devices) || has(self.parameters) || has(self.unset) || has(self.overrides) || has(self.secretParameters) || has(self.fee) || has(self.serviceLevel) || has(self.remedies) || has(self.elect))").message("an entry that ends cannot change in another way").field_path(".end"),
    validation = Rule::new("!has(self.secretParameters) || !has(self.parameters) || self.secretParameters.all(s, !(s.name in self.parameters))").message("a parameter must not be both in parameters and in secretParameters").field_path(".secretParameters"),
    validation = Rule::new("!has(self.unset) || !has(self.parameters) || self.unset.all(u, !(u in self.parameters))").message("a parameter must not be both in parameters and in unset").field_path(".unset"),
    validation = Rule::new("!has(self.unset) || !has(self.secretParameters) || self.secretParameters.all(s, !(s.name in self.unset))").message("a parameter must not be both in secretParameters and in unset").field_path(".unset"),
    validation = Rule::new("!has(self.secretParameters) || !has(self.overrides) || self.secretParameters.all(s, self.overrides.all(o, !(s.name in o.parameters)))").message("a parameter must not be both in overrides and in secretParameters, whose secrets are those of all devices").field_path(".overrides"),
    validation = Rule::new("!has(self.elect) || !has(self.remedies) || self.remedies.exists(r, r.name == self.elect)").message("elect must name one of the remedies").field_path(".elect")
)]
pub struct AmendedService {
    /// Name of the entry.
    #[schemars(schema_with = "schema::dns_label")]
    pub name: String,
    /// Name of another SmartService. Parameters, secretParameters and overrides of the one before do
    /// not apply to it. A new entry must have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<NameReference>,
    /// Change of the devices. A new entry must have some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<AmendedDevices>,
    /// Values that change or are new; all are quoted strings. Those that are not named stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "parameters")]
    pub parameters: BTreeMap<String, String>,
    /// Parameters that the contract no longer chooses, be they in parameters or in secretParameters:
    /// from then on the SmartService's default applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::setting_names")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub unset: Vec<String>,
    /// Overrides that change or are new, each as a whole. Those that are not named stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub overrides: Vec<Override>,
    /// Sources of Secrets that change or are new. Those that are not named stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub secret_parameters: Vec<SecretParameter>,
    /// Another fee. What was promised before is owed by the fee that was promised with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// Another delay that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_level: Option<ServiceLevel>,
    /// Other remedies, in place of all of those before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub remedies: Vec<Remedy>,
    /// The one remedy that is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::dns_label")]
    pub elect: Option<String>,
    /// True if the entry ends at the effective instant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
}

/// Change of the devices of an entry. A device that is in `add` of an amendment is without the
/// service until then, even if a selector matches it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AmendedDevices {
    /// Another selector, in place of the one before. The empty selector is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(schema::REQUIRES_A_LABEL).message(schema::REQUIRES_A_LABEL_MESSAGE))]
    pub selector: Option<Selector>,
    /// Other devices by name, in place of those that were named before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<1000>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub names: Vec<String>,
    /// Devices that get the service; they need not exist yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<1000>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub add: Vec<String>,
    /// Devices that lose the service, even if a selector matches them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::device_names::<1000>")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub remove: Vec<String>,
    /// Another number of expected devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub expect: Option<i32>,
}

/// Observed state of a ContractAmendment.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractAmendmentStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The instant of the change, once it was accepted. When it has passed it stays, whatever a newer
    /// time zone database says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<jiff::Timestamp>,
}
