//! The catalog of the simulated service broker (OSB 2.17, "Catalog Management").
//!
//! Decides which offerings and plans exist. Called by the broker; tests make their own offerings.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A service offering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceOffering {
    /// Stable id.
    pub id: String,
    /// Name, unique in the catalog.
    pub name: String,
    /// Short description.
    pub description: String,
    /// True if bindings can be made; the simulator makes none.
    pub bindable: bool,
    /// True if an instance can be fetched.
    pub instances_retrievable: bool,
    /// True if the plan of an instance can be changed.
    pub plan_updateable: bool,
    /// Plans, at least one.
    pub plans: Vec<Plan>,
}

/// A plan of an offering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Stable id.
    pub id: String,
    /// Name, unique in the offering.
    pub name: String,
    /// Short description.
    pub description: String,
    /// True if the plan costs nothing.
    pub free: bool,
    /// Longest time in seconds that a platform polls an operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_polling_duration: Option<u32>,
    /// Its version; a request that names another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<MaintenanceInfo>,
    /// JSON schemas of the parameters; returned, never enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Value>,
}

/// The version of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceInfo {
    /// A semantic version.
    pub version: String,
}

impl ServiceOffering {
    /// Returns an offering with plans `standard` and `premium`; its ids are made from the name.
    pub fn named(name: &str, description: &str) -> Self {
        let plan = |plan: &str| Plan {
            id: format!("{name}-{plan}-id"),
            name: plan.to_owned(),
            description: format!("{description}, {plan}"),
            free: false,
            maximum_polling_duration: None,
            maintenance_info: None,
            schemas: None,
        };
        Self {
            id: format!("{name}-id"),
            name: name.to_owned(),
            description: description.to_owned(),
            bindable: false,
            instances_retrievable: true,
            plan_updateable: true,
            plans: vec![plan("standard"), plan("premium")],
        }
    }
}

/// Returns the example services with the plans `standard` and `premium`.
pub fn default_catalog() -> Vec<ServiceOffering> {
    vec![
        ServiceOffering::named("data-backup", "Backup of address book and settings"),
        ServiceOffering::named("parts-life", "Prediction of the life of parts"),
        ServiceOffering::named("consumables-delivery", "Consumables before they run out"),
        ServiceOffering::named("document-cloud", "Documents kept in the cloud"),
        ServiceOffering::named("failure-prediction", "Notice before a failure"),
        ServiceOffering::named("remote-maintenance", "Diagnosis and repair from afar"),
        ServiceOffering::named("usage-reports", "Reports of pages and supplies"),
    ]
}
