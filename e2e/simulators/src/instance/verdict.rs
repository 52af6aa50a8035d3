//! Requests to the instances of the simulated broker, and their results.
//!
//! Decides nothing. Called by the HTTP side and by the instances.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Way in which a write is carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    AtOnce,
    /// As an operation that ends after so many polls and so much time.
    Later {
        polls: u32,
        delay: Duration,
    },
}

/// The body of a provision or an update.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Ask {
    pub(crate) service_id: Option<String>,
    pub(crate) plan_id: Option<String>,
    pub(crate) organization_guid: Option<String>,
    pub(crate) space_guid: Option<String>,
    pub(crate) context: Option<Value>,
    pub(crate) parameters: Option<Map<String, Value>>,
}

/// Result of a request.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) committed: bool,
    pub(crate) changed: bool,
    pub(crate) needed: bool,
}

impl Verdict {
    pub(crate) fn of(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            committed: false,
            changed: false,
            needed: false,
        }
    }

    pub(crate) fn refused(status: u16, description: &str) -> Self {
        Self {
            needed: true,
            ..Self::of(status, json!({ "description": description }))
        }
    }

    pub(crate) fn concurrency() -> Self {
        Self::named("ConcurrencyError", "an operation is in progress")
    }

    pub(crate) fn outdated() -> Self {
        let description = "the plan has another version in the catalog";
        Self::named("MaintenanceInfoConflict", description)
    }

    fn named(error: &str, description: &str) -> Self {
        let body = json!({ "error": error, "description": description });
        Self {
            needed: true,
            ..Self::of(422, body)
        }
    }
}
