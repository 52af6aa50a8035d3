//! Promises of an order server, which decide what may be sent again.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::schema;

/// Promises of an order server. One that neither honours the key nor finds orders by their reference
/// gets each order once at most: a person finds out what became of a lost answer.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderServer {
    /// Effect of Idempotency-Key.
    #[serde(default)]
    pub idempotency_key: IdempotencyKey,
    /// The time for which it remembers a key. An answer that is in doubt for longer is no more asked for
    /// by sending the order again.
    #[serde(default = "OrderServer::default_kept_for")]
    #[schemars(schema_with = "schema::positive_duration")]
    pub kept_for: Duration,
}

impl OrderServer {
    fn default_kept_for() -> Duration {
        "24h".into()
    }
}

impl Default for OrderServer {
    fn default() -> Self {
        Self {
            idempotency_key: IdempotencyKey::default(),
            kept_for: Self::default_kept_for(),
        }
    }
}

/// Effect of the header Idempotency-Key at an order server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum IdempotencyKey {
    /// An order that is sent again under its key is not made again.
    #[default]
    Honoured,
    /// It has none.
    Ignored,
}
