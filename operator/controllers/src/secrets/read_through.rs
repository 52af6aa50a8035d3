//! Objects read by name, kept for a few seconds, and read once for all who need them meanwhile.
//!
//! Knows nothing of the values that it keeps; a failure is kept like an answer. Called by
//! `secrets`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entente_domain::expiring::ExpiringMap;
use jiff::{SignedDuration, Timestamp};

/// Time for which a reading is used again.
const KEPT: SignedDuration = SignedDuration::from_secs(10);
/// Bound of the map: more objects than any fleet reads within [`KEPT`].
const MOST: usize = 16_384;

/// Readings, by namespace and name.
pub(super) struct ReadThrough<T, E>(Mutex<Entries<T, E>>);

type Entries<T, E> = ExpiringMap<(String, String), Entry<T, E>, Timestamp>;

/// Locked during a read, so that all others wait for it.
type Entry<T, E> = Arc<tokio::sync::Mutex<Option<Kept<T, E>>>>;

struct Kept<T, E> {
    until: Timestamp,
    read: Result<Arc<T>, E>,
}

impl<T, E> Default for ReadThrough<T, E> {
    fn default() -> Self {
        // An entry is in use while it is read or waited for.
        let in_use = |entry: &Entry<T, E>, _| Arc::strong_count(entry) > 1;
        Self(Mutex::new(ExpiringMap::new(MOST, in_use)))
    }
}

impl<T, E: Clone> ReadThrough<T, E> {
    /// Reads everything anew.
    pub(super) fn forget(&self) {
        self.entries().clear();
    }

    /// Reads everything of a namespace anew.
    pub(super) fn forget_namespace(&self, namespace: &str) {
        self.entries().remove_where(|(of, _)| of == namespace);
    }

    fn entries(&self) -> MutexGuard<'_, Entries<T, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reading of an object if it is younger than [`KEPT`], else reads it now.
    pub(super) async fn get(
        &self,
        namespace: &str,
        name: &str,
        now: Timestamp,
        read: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let until = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        let key = (namespace.to_owned(), name.to_owned());
        let entry = {
            let mut entries = self.entries();
            Arc::clone(entries.get_or_insert_with(key, now, until, Arc::default))
        };
        let mut entry = entry.lock().await;
        if let Some(kept) = entry.as_ref().filter(|kept| kept.until > now) {
            return kept.read.clone();
        }
        let read = read().await.map(Arc::new);
        *entry = Some(Kept {
            until,
            read: read.clone(),
        });
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_asks_for_any_more_is_dropped() {
        let secrets: ReadThrough<u8, u8> = ReadThrough::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (name, seconds) in [("one", 0), ("two", 0), ("two", 11)] {
            let read = secrets.get("acme", name, at(seconds), async || Ok(1)).await;
            assert_eq!(read.as_deref(), Ok(&1));
        }
        let held = |name: &str| {
            let key = ("acme".to_owned(), name.to_owned());
            secrets.entries().remove(&key).is_some()
        };
        assert_eq!((held("one"), held("two")), (false, true));
    }
}
