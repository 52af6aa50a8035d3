//! The messages about events.

use serde::Deserialize;

use super::Poll;

/// Answer 202 to a batch.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct EventsTaken {
    /// Number of events that were taken.
    pub accepted: u64,
    /// The others.
    #[serde(default)]
    pub refused: Vec<RefusedEvent>,
    /// Services that these events have turned on.
    #[serde(default)]
    pub activations: Vec<Activated>,
    /// Time to come again.
    pub poll: Poll,
}

/// An event that was refused.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct RefusedEvent {
    /// Its id.
    pub id: String,
    /// Reason in one word.
    pub reason: String,
}

/// A service that events have turned on.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Activated {
    /// Its application id.
    pub application_id: String,
    /// State, `Active`.
    pub state: String,
}
