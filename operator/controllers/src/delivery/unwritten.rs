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

use entente_crds::v1alpha1::DeviceStatus;
use entente_domain::delivery::UnwrittenStatus;

use crate::cache::Key;

/// The last status of each Device, for as long as none was written since.
#[derive(Debug, Default)]
pub(super) struct UnwrittenStatuses {
    devices: Mutex<HashMap<Key, UnwrittenStatus>>,
}

impl UnwrittenStatuses {
    /// Returns the last status of a Device that could not be written.
    pub(super) fn of(&self, device: &Key) -> Option<UnwrittenStatus> {
        self.lock().get(device).cloned()
    }

    /// Keeps a status of a Device that could not be written, `None` if none was decided. The words of
    /// the first failure stay: they are told in statuses, and a failure that lasts is no news.
    pub(super) fn failed(&self, device: &Key, failure: String, status: Option<DeviceStatus>) {
        let mut devices = self.lock();
        let before = devices.remove(device);
        let failure = match &before {
            Some(before) => before.failure.clone(),
            None => failure,
        };
        let kept = match (status, before) {
            (None, Some(before)) => before,
            (status, _) => UnwrittenStatus::new(failure, status),
        };
        devices.insert(device.clone(), kept);
    }

    /// Forgets the status of a Device that was written, or that is no more. Returns true if there was
    /// one.
    pub(super) fn written(&self, device: &Key) -> bool {
        self.lock().remove(device).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, UnwrittenStatus>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::DeviceIdentity;

    use super::*;

    fn status(id: &str) -> DeviceStatus {
        DeviceStatus {
            identity: Some(DeviceIdentity {
                id: Some(id.into()),
                ..DeviceIdentity::default()
            }),
            ..DeviceStatus::default()
        }
    }

    // shows K4
    #[test]
    fn a_failure_keeps_its_first_words_and_the_last_status_until_one_is_written() {
        let unwritten = UnwrittenStatuses::default();
        let (lobby, other) = (Key::new("acme", "lobby"), Key::new("acme", "other"));
        assert_eq!(unwritten.of(&lobby), None);
        for decided in [None, Some(status("1")), Some(status("2")), None] {
            unwritten.failed(&lobby, format!("{decided:?}"), decided);
        }
        let expected = UnwrittenStatus::new("None".to_owned(), Some(status("2")));
        assert_eq!(unwritten.of(&lobby), Some(expected));
        assert_eq!(unwritten.of(&other), None, "of another Device");
        assert!(unwritten.written(&lobby));
        assert_eq!(unwritten.of(&lobby), None);
        assert!(!unwritten.written(&lobby), "it is known already");
    }
}
