//! ContractNotice: what an outside contract system reports of a contract.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, NameReference};
use crate::schema;

/// Report that a contract has started or ended.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "ContractNotice",
    plural = "contractnotices",
    namespaced,
    shortname = "enntc",
    category = "entente",
    status = "ContractNoticeStatus",
    derive = "PartialEq",
    doc = "Report of an outside contract system that a contract has started or ended: one object for each event.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    selectable = ".spec.contractRef.name",
    printcolumn(
        name = "CONTRACT",
        type_ = "string",
        json_path = ".spec.contractRef.name"
    ),
    printcolumn(name = "TYPE", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "AT", type_ = "string", json_path = ".spec.at"),
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
        name = "SOURCE",
        type_ = "string",
        json_path = ".spec.source",
        priority = 1
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
    validation = Rule::new("self == oldSelf").message("a notice cannot be changed: it says what has happened; make another one")
)]
pub struct ContractNoticeSpec {
    /// The contract, in the same namespace. It need not exist yet.
    pub contract_ref: NameReference,
    /// The event.
    pub r#type: NoticeType,
    /// The instant of the event, such as "2027-04-01T01:12:00Z". A start counts from it if this object
    /// was created within 5 minutes of it, else from that creation; an end applies from it on, and
    /// never before that creation.
    #[schemars(schema_with = "schema::date_time")]
    pub at: String,
    /// The system that reports the event, such as "https://crm.example".
    #[schemars(schema_with = "schema::required_text")]
    pub source: String,
    /// The id of the event in that system.
    #[schemars(schema_with = "schema::required_text")]
    pub event_id: String,
}

/// Event that a notice reports.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum NoticeType {
    /// The contract has started; for contracts with `term.startOn`.
    #[default]
    Started,
    /// The contract has ended or will end, whatever started it.
    Ended,
}

/// Observed state of a ContractNotice.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractNoticeStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
