//! The Devices whose last status could not be written, so that the identity of their machines may be
//! pinned nowhere.
//!
//! Kept in memory from the pass that could not write it until one does: after a restart the first
//! pass knows of no failure. Never decides what follows from it: the domain does. Filled by report,
//! read by observe.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::cache::Key;

/// The words of the first failure of each Device, for as long as its status was not written since:
/// they are told in statuses, and a failure that lasts is no news.
#[derive(Debug, Default)]
pub(super) struct UnwrittenStatuses {
    failures: Mutex<HashMap<Key, String>>,
}

impl UnwrittenStatuses {
    /// Returns the failure because of which the last status of a Device was not written.
    pub(super) fn of(&self, device: &Key) -> Option<String> {
        self.lock().get(device).cloned()
    }

    /// Keeps a failure to write the status of a Device.
    pub(super) fn failed(&self, device: &Key, failure: &str) {
        let mut failures = self.lock();
        if !failures.contains_key(device) {
            failures.insert(device.clone(), failure.to_owned());
        }
    }

    /// Forgets the failure of a Device whose status is written, or that is no more. Returns true if
    /// there was one.
    pub(super) fn written(&self, device: &Key) -> bool {
        self.lock().remove(device).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn a_failure_keeps_its_first_words_until_a_status_is_written() {
        let unwritten = UnwrittenStatuses::default();
        let (lobby, other) = (Key::new("acme", "lobby"), Key::new("acme", "other"));
        assert_eq!(unwritten.of(&lobby), None);
        unwritten.failed(&lobby, "the first");
        unwritten.failed(&lobby, "the second");
        assert_eq!(unwritten.of(&lobby).as_deref(), Some("the first"));
        assert_eq!(unwritten.of(&other), None, "of another Device");
        assert!(unwritten.written(&lobby));
        assert_eq!(unwritten.of(&lobby), None);
        assert!(!unwritten.written(&lobby), "it is known already");
    }
}
