//! Site: the place of devices, whose fields they share.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{Condition, DeviceConnection, DriftPolicy, MaintenanceWindow, ShipTo};
use crate::schema;

/// Fields that devices of one place share. A field that a Device has itself counts there instead.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "entente.dev",
    version = "v1alpha1",
    kind = "Site",
    plural = "sites",
    namespaced,
    shortname = "ensite",
    category = "entente",
    status = "SiteStatus",
    derive = "PartialEq",
    doc = "A place of devices: connections, time zone, language, address for supplies, maintenance windows and drift policy of those that name it. A Device's own field counts instead.",
    validation = Rule::new("self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must be a DNS label: lower case letters, digits and '-', at most 63 characters"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "REASON", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "CITY", type_ = "string", json_path = ".spec.shipTo.city"),
    printcolumn(name = "TIME ZONE", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "LANGUAGE", type_ = "string", json_path = ".spec.language"),
    printcolumn(name = "USED BY", type_ = "integer", json_path = ".status.usedBy"),
    printcolumn(name = "MESSAGE", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct SiteSpec {
    /// Connections to the devices of the site; an item uses the first that can carry it. A Device with
    /// connections of its own has those alone. Each Secret that an entry names is one of this
    /// namespace, and is that of every device here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub connections: Vec<DeviceConnection>,
    /// The time zone of the site, for services that use it and for maintenance windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    pub time_zone: Option<String>,
    /// Language of messages on panels (BCP 47), for devices that report none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::language")]
    pub language: Option<String>,
    /// Address to which supplies are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<ShipTo>,
    /// Times in which firmware and applications may be installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub maintenance_windows: Vec<MaintenanceWindow>,
    /// Treatment of settings that somebody changes at a device after they were in effect: Revert sets
    /// them again, Report leaves them and tells them in status.drift of the Device. Absent: Revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_policy: Option<DriftPolicy>,
}

/// Observed state of a Site.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// The generation that the conditions speak of, once Ready or Stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Stalled, Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Number of Devices that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<i64>,
}
