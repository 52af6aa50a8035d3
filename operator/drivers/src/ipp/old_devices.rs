//! The devices that answer IPP 1.1 and not 2.0, as far as this process has learnt.
//!
//! Called by the driver. It never asks a device; what it forgets is learnt again.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of devices that are remembered; beyond it all are forgotten.
const MOST: usize = 100_000;

/// URLs of such devices.
#[derive(Debug, Default)]
pub(super) struct OldDevices {
    urls: Mutex<HashSet<String>>,
}

impl OldDevices {
    /// True if the device at a URL is one of them.
    pub(super) fn contains(&self, url: &str) -> bool {
        self.urls().contains(url)
    }

    /// Adds the device at a URL.
    pub(super) fn remember(&self, url: &str) {
        let mut urls = self.urls();
        if urls.len() >= MOST {
            urls.clear();
        }
        urls.insert(url.to_owned());
    }

    /// Removes the device at a URL.
    pub(super) fn forget(&self, url: &str) {
        self.urls().remove(url);
    }

    fn urls(&self) -> MutexGuard<'_, HashSet<String>> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
