//! MessageText: the text on the panel for one type of error, in several languages.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::schema;

/// Text that devices show when an order was made for an error of one type.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "MessageText",
    plural = "messagetexts",
    shortname = "enmsg",
    category = "entente",
    status = "MessageTextStatus",
    derive = "PartialEq",
    doc = "Text that devices show on their panels when an order was made for an error of one type, in several languages. Written by the platform team.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "ERROR TYPE", type_ = "string", json_path = ".spec.errorType"),
    printcolumn(name = "FALLBACK", type_ = "string", json_path = ".spec.fallback"),
    printcolumn(name = "USED BY", type_ = "integer", json_path = ".status.usedBy"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.texts.exists(text, text.language == self.fallback)").message("fallback must be the language of one of texts").field_path(".fallback")
)]
pub struct MessageTextSpec {
    /// The type of error, as DeviceModels name it. If two MessageTexts name one type, the older one
    /// counts.
    #[schemars(schema_with = "schema::type_name")]
    pub error_type: String,
    /// The text in each language.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["language".into()]))]
    pub texts: Vec<PanelText>,
    /// Language for devices whose own is not among texts.
    #[schemars(schema_with = "schema::language")]
    pub fallback: String,
}

/// A text for panels in one language.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PanelText {
    /// The language (BCP 47).
    #[schemars(schema_with = "schema::language")]
    pub language: String,
    /// The text, with {orderId} and, if wanted, {supply} and {device} at their places.
    #[schemars(schema_with = "schema::panel_text")]
    pub text: String,
    /// The text for panels on which the other one has no room, with the same places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::panel_text")]
    pub short: Option<String>,
}

/// Observed state of a MessageText.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageTextStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Stalled, Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of DeviceModels that have an error of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
}
