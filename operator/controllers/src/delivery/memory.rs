//! What is remembered of a device between passes: what is held back after failures.
//!
//! Lost at a restart, when everything is tried once. A change of a spec lets everything go.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use entente_domain::retry::Holds;

use crate::cache::Key;

#[derive(Default)]
pub(super) struct Memory {
    devices: Mutex<HashMap<Key, Remembered>>,
}

#[derive(Default)]
struct Remembered {
    holds: Holds,
    /// Something changed while a pass may be under way: its holds are not kept.
    let_go: bool,
}

impl Memory {
    /// The holds of a device as they are now.
    pub(super) fn holds(&self, key: &Key) -> Holds {
        let mut devices = self.lock();
        let remembered = devices.entry(key.clone()).or_default();
        if std::mem::take(&mut remembered.let_go) {
            remembered.holds.clear_all();
        }
        remembered.holds.clone()
    }

    /// Keeps the holds after a pass, unless something changed meanwhile.
    pub(super) fn keep(&self, key: &Key, holds: Holds) {
        if let Some(remembered) = self.lock().get_mut(key)
            && !remembered.let_go
        {
            remembered.holds = holds;
        }
    }

    /// Somebody changed what the device depends on: it is tried again at once.
    pub(super) fn let_go(&self, key: &Key) {
        if let Some(remembered) = self.lock().get_mut(key) {
            remembered.let_go = true;
        }
    }

    /// There is nothing left to do for a device.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
