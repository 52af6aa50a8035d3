//! The backoffs of a device, kept between passes.
//!
//! Lost at a restart, when everything is tried once. A change of a spec drops the backoffs, and
//! leaves the waits that remote sides asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use entente_domain::delivery::Backoffs;

use crate::cache::Key;

#[derive(Default)]
pub(super) struct DeviceBackoffs {
    devices: Mutex<HashMap<Key, Remembered>>,
}

#[derive(Default)]
struct Remembered {
    backoffs: Backoffs,
    /// True if something changed since the last pass began: the next one begins without backoffs.
    cleared: bool,
}

impl DeviceBackoffs {
    /// Returns the backoffs of a device as they are now.
    pub(super) fn of(&self, key: &Key) -> Backoffs {
        let mut devices = self.lock();
        let remembered = devices.entry(key.clone()).or_default();
        if std::mem::take(&mut remembered.cleared) {
            remembered.backoffs.clear_all();
        }
        remembered.backoffs.clone()
    }

    /// Keeps the backoffs after a pass. If something changed meanwhile the next pass drops them, but
    /// for the waits that remote sides asked for in this one.
    pub(super) fn keep(&self, key: &Key, backoffs: Backoffs) {
        if let Some(remembered) = self.lock().get_mut(key) {
            remembered.backoffs = backoffs;
        }
    }

    /// Drops the backoffs after a change of an object that the device depends on: it is tried again
    /// at once, unless a remote side asked for a wait.
    pub(super) fn clear(&self, key: &Key) {
        if let Some(remembered) = self.lock().get_mut(key) {
            remembered.cleared = true;
        }
    }

    /// Forgets a device without work.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
