//! A map that forgets, now and then, what nobody needs any more.
//!
//! Decides when it is looked for; what is still needed is said by who holds the map: `clients`,
//! `limits` and `tokens`.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

pub(super) struct Swept<K, V> {
    entries: HashMap<K, V>,
    swept: Option<Instant>,
}

impl<K, V> Default for Swept<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            swept: None,
        }
    }
}

impl<K: Eq + Hash, V> Swept<K, V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, without those that are not `needed`, where these were last looked for at least
    /// `every` ago.
    pub(super) fn entries(
        &mut self,
        now: Instant,
        every: Duration,
        needed: impl Fn(&V) -> bool,
    ) -> &mut HashMap<K, V> {
        let due = |swept| now.duration_since(swept) >= every;
        if self.swept.is_none_or(due) {
            self.swept = Some(now);
            self.entries.retain(|_, entry| needed(entry));
        }
        &mut self.entries
    }
}
