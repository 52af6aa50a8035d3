//! Attempts at items that no status says yet, by Device.
//!
//! In memory alone: their number is written with the next change of a status, and a restart loses
//! it. Never decides what counts as an attempt: the domain does. Filled by report, read by observe.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use entente_domain::delivery::UnsaidAttempts;

use crate::cache::Key;

/// The attempts of each Device of which there are some.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Key, UnsaidAttempts>>);

impl Attempts {
    /// Returns those of a Device.
    pub(super) fn of(&self, device: &Key) -> UnsaidAttempts {
        let devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        devices.get(device).cloned().unwrap_or_default()
    }

    /// Keeps those of a Device in place of the former ones.
    pub(super) fn keep(&self, device: &Key, unsaid: UnsaidAttempts) {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unsaid.is_empty() {
            devices.remove(device);
        } else {
            devices.insert(device.clone(), unsaid);
        }
    }
}
