//! What was read by name, kept for a few seconds, and read once for all who ask meanwhile.
//!
//! Knows nothing of what it keeps; a failure is kept like an answer. Called by `secrets`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// How long what was read is used again.
const KEPT: SignedDuration = SignedDuration::from_secs(10);

/// What was read, by namespace and name.
pub(super) struct Slots<T, E>(Mutex<Entries<T, E>>);

struct Entries<T, E> {
    slots: HashMap<(String, String), Slot<T, E>>,
    /// When what nobody uses any more was last dropped.
    swept: Timestamp,
}

/// Whoever reads holds it, and all others wait for it.
type Slot<T, E> = Arc<tokio::sync::Mutex<Option<Kept<T, E>>>>;

struct Kept<T, E> {
    until: Timestamp,
    read: Result<Arc<T>, E>,
}

impl<T, E> Default for Slots<T, E> {
    fn default() -> Self {
        Self(Mutex::new(Entries {
            slots: HashMap::new(),
            swept: Timestamp::MIN,
        }))
    }
}

impl<T, E: Clone> Slots<T, E> {
    /// Reads everything anew.
    pub(super) fn forget(&self) {
        self.entries().slots.clear();
    }

    fn entries(&self) -> MutexGuard<'_, Entries<T, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read of an object less than [`KEPT`] ago, else what it says now.
    pub(super) async fn get(
        &self,
        namespace: &str,
        name: &str,
        now: Timestamp,
        read: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = self.entries().slot(namespace, name, now);
        let mut slot = slot.lock().await;
        if let Some(kept) = slot.as_ref().filter(|kept| kept.until > now) {
            return kept.read.clone();
        }
        let read = read().await.map(Arc::new);
        let until = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        *slot = Some(Kept {
            until,
            read: read.clone(),
        });
        read
    }
}

impl<T, E> Entries<T, E> {
    fn slot(&mut self, namespace: &str, name: &str, now: Timestamp) -> Slot<T, E> {
        if self.swept.checked_add(KEPT).is_ok_and(|again| again <= now) {
            self.swept = now;
            self.slots.retain(|_, slot| is_used(slot, now));
        }
        let key = (namespace.to_owned(), name.to_owned());
        Arc::clone(self.slots.entry(key).or_default())
    }
}

/// True if somebody reads it just now, or what it has is still good.
fn is_used<T, E>(slot: &Slot<T, E>, now: Timestamp) -> bool {
    let kept = slot.try_lock();
    kept.map_or(true, |kept| {
        Arc::strong_count(slot) > 1 || kept.as_ref().is_some_and(|kept| kept.until > now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_asks_for_any_more_is_dropped() {
        let slots: Slots<u8, u8> = Slots::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (name, seconds) in [("one", 0), ("two", 0), ("two", 11)] {
            let read = slots.get("acme", name, at(seconds), async || Ok(1)).await;
            assert_eq!(read.as_deref(), Ok(&1));
        }
        let held: Vec<String> = slots
            .entries()
            .slots
            .keys()
            .map(|(_, name)| name.clone())
            .collect();
        assert_eq!(held, ["two"]);
    }
}
