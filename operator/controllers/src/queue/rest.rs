//! Queues as the test of missed wake-ups sees them, whatever their keys: whether they rest, the
//! instants they wait for, and one more run of everything. Only compiled for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Queue, QueueKey};

/// A queue of any keys.
pub(crate) trait AnyQueue: Send + Sync {
    /// True if nothing is ready and nothing runs.
    fn is_idle(&self) -> bool;
    /// Returns the next instant of the monotonic clock that is waited for.
    fn next_after(&self) -> Option<Instant>;
    /// Returns the instant of the wall clock that each key waits for.
    fn instants(&self) -> BTreeMap<String, Timestamp>;
    /// Runs every key that was ever added once more.
    fn run_all(&self);
}

/// The queues of the controllers that run.
#[derive(Clone, Default)]
pub(crate) struct Queues(Arc<Mutex<Vec<Arc<dyn AnyQueue>>>>);

impl<K: QueueKey> Queue<K> {
    pub(super) fn see(&self, key: &K) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(key) {
            seen.insert(key.clone());
        }
    }
}

impl<K: QueueKey> AnyQueue for Queue<K> {
    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn next_after(&self) -> Option<Instant> {
        self.lock().next_after()
    }

    fn instants(&self) -> BTreeMap<String, Timestamp> {
        let state = self.lock();
        let instants = state.instants();
        instants
            .map(|(instant, key)| (format!("{} {key:?}", self.controller), *instant))
            .collect()
    }

    fn run_all(&self) {
        let keys = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.clone()
        };
        for key in keys {
            self.add(key);
        }
    }
}

impl Queues {
    pub(crate) fn register(&self, queue: Arc<dyn AnyQueue>) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(queue);
    }

    /// Returns every queue.
    pub(crate) fn all(&self) -> Vec<Arc<dyn AnyQueue>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
