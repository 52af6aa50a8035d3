//! The engines of devices that were met before, with the keys that were made for them: making keys
//! takes longer than a request, and finding out an engine is a request of its own.
//!
//! Keeps nothing but memory, and no more than its bound. Never decides whether an engine is still the
//! right one: the next answer shows it. Called by `exchange`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::expiring::ExpiringMap;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::usm::Engine;
use crate::credentials::SnmpUser;

/// Time for which an engine is kept that nobody asks: longer than devices are looked at.
const KEPT: Duration = Duration::from_hours(26);
/// Bound of the map: more than a large fleet has devices.
const MOST: usize = 65_536;

/// Digest of a device's URL and of a login.
pub(super) type Key = [u8; 32];

/// The engines that are known.
pub(super) struct Engines {
    known: Mutex<ExpiringMap<Key, Engine, Instant>>,
}

impl Default for Engines {
    fn default() -> Self {
        Self {
            known: Mutex::new(ExpiringMap::new(MOST, |_, _| false)),
        }
    }
}

impl Engines {
    /// Returns the key of a device for a user; another password is another key.
    pub(super) fn key(url: &str, user: &SnmpUser) -> Key {
        let protocols = format!("{:?} {:?}", user.authentication, user.privacy);
        let mut digest = Sha256::new();
        for part in [
            url,
            &user.username,
            &protocols,
            &user.authentication_password,
            &user.privacy_password,
        ] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn known(&self) -> MutexGuard<'_, ExpiringMap<Key, Engine, Instant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the engine that is known under a key.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Engine> {
        self.known().get(key, now).cloned()
    }

    /// Keeps an engine.
    pub(super) fn keep(&self, key: Key, engine: Engine, now: Instant) {
        self.known().insert(key, engine, now, now + KEPT);
    }
}
