//! Terms of an order server: what can be relied on when an answer is lost.

use entente_crds::v1alpha1::{Connection, IdempotencyKey};
use jiff::SignedDuration;

use super::pass::QUIET;
use crate::backoff::RetryPolicy;

/// Terms of an order server, by its Connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerTerms {
    /// True if an order that is sent again under its key is not made again.
    pub honours_key: bool,
    /// The time for which it remembers a key.
    pub kept_for: SignedDuration,
    /// Waits after failures.
    pub retry: RetryPolicy,
}

/// Class of the effect that placing an order has: what can be done when the answer is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EffectClass {
    /// It is looked for by its reference, and sent again under its key.
    KeyedAndQueryable,
    /// It is sent again under its key, while that is kept.
    Keyed,
    /// It is looked for by its reference, and sent again if it is not there after a while.
    Queryable,
    /// Nothing: a person finds out.
    Blind,
}

impl ServerTerms {
    /// Returns the class of the effect at this server. `queryable`: whether it finds orders by their
    /// reference, where it was asked; one that was not counts as one that does.
    pub fn class(self, queryable: Option<bool>) -> EffectClass {
        match (self.honours_key, queryable != Some(false)) {
            (true, true) => EffectClass::KeyedAndQueryable,
            (true, false) => EffectClass::Keyed,
            (false, true) => EffectClass::Queryable,
            (false, false) => EffectClass::Blind,
        }
    }

    /// True if an order may be sent again under its key, so long after it was first sent: it arrives while
    /// the key is kept, also if it is [`QUIET`] on its way.
    pub fn may_repeat(self, age: SignedDuration) -> bool {
        self.honours_key && age < self.kept_for.saturating_sub(QUIET)
    }

    /// Returns the terms by a Connection.
    pub fn of(connection: &Connection) -> Self {
        let orders = connection.spec.orders.clone().unwrap_or_default();
        Self {
            honours_key: orders.idempotency_key == IdempotencyKey::Honoured,
            // A text that is no duration is refused when it is written; none is relied on.
            kept_for: orders.kept_for.length().unwrap_or_default(),
            retry: RetryPolicy::of(connection),
        }
    }
}
