//! What is asked of the instances of the simulated broker, and what a request came to.
//!
//! Decides nothing. Called by the HTTP side and by the instances.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How a write is carried out.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum Pace {
    AtOnce,
    /// As an operation that ends after so many polls and so much time.
    Later {
        polls: u32,
        delay: Duration,
    },
}

/// The body of a provision or an update.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::simulator) struct Ask {
    pub(in crate::simulator) service_id: Option<String>,
    pub(in crate::simulator) plan_id: Option<String>,
    pub(in crate::simulator) organization_guid: Option<String>,
    pub(in crate::simulator) space_guid: Option<String>,
    pub(in crate::simulator) context: Option<Value>,
    pub(in crate::simulator) parameters: Option<Map<String, Value>>,
}

/// What a request came to.
#[derive(Debug)]
pub(in crate::simulator) struct Verdict {
    pub(in crate::simulator) status: u16,
    pub(in crate::simulator) body: Value,
    pub(in crate::simulator) committed: bool,
    pub(in crate::simulator) changed: bool,
    pub(in crate::simulator) needed: bool,
}

impl Verdict {
    pub(in crate::simulator) fn of(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            committed: false,
            changed: false,
            needed: false,
        }
    }

    pub(in crate::simulator) fn refused(status: u16, description: &str) -> Self {
        Self {
            needed: true,
            ..Self::of(status, json!({ "description": description }))
        }
    }

    pub(in crate::simulator) fn concurrency() -> Self {
        let description = "an operation is in progress";
        let body = json!({ "error": "ConcurrencyError", "description": description });
        Self {
            needed: true,
            ..Self::of(422, body)
        }
    }
}
