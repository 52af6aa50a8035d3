//! The nonces that are held for HTTP Digest, one for each remote side and login.
//!
//! Decides the number of a request under its nonce: none is used twice, since a server takes that
//! for a replay (RFC 7616 section 3.3). Never holds a password. Called by `transport`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::expiring::ExpiringMap;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use url::Url;

use super::digest::DigestChallenge;
use crate::profile::ConnectionProfile;

/// Time for which an unused nonce is kept: read, write and read back follow each other.
const IDLE_NONCE: Duration = Duration::from_mins(1);
/// Bound of the map: more devices than are worked on at once.
const MOST_NONCES: usize = 16_384;

/// Digest of the remote side and the login: another password needs another nonce, and no Connection
/// uses the nonce of another.
pub(super) type Key = [u8; 32];

/// Returns the key of a login at the host and port of a URL.
pub(super) fn key(profile: &ConnectionProfile, url: &Url, username: &str, password: &str) -> Key {
    let mut digest = Sha256::new();
    let port = url.port_or_known_default().unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    for part in [&profile.name, url.scheme(), host, username, password] {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.update(port.to_be_bytes());
    digest.finalize().into()
}

pub(super) struct Nonces {
    held: Mutex<Held>,
}

type Held = ExpiringMap<Key, (DigestChallenge, u32), Instant>;

impl Default for Nonces {
    fn default() -> Self {
        Self {
            held: Mutex::new(ExpiringMap::new(MOST_NONCES, |_, _| false)),
        }
    }
}

impl Nonces {
    /// Returns the challenge that is held and the number of its next request.
    pub(super) fn next(&self, key: Key) -> Option<(DigestChallenge, u32)> {
        let now = Instant::now();
        let mut held = self.held();
        held.get(&key, now)?;
        let (challenge, count) = held.get_mut(&key)?;
        *count = count.checked_add(1)?;
        Some((challenge.clone(), *count))
    }

    /// Keeps a new challenge; returns it with the number of its first request.
    pub(super) fn keep(&self, key: Key, challenge: DigestChallenge) -> (DigestChallenge, u32) {
        let now = Instant::now();
        let first = (challenge, 1);
        self.held()
            .insert(key, first.clone(), now, now + IDLE_NONCE);
        first
    }

    /// Drops a challenge whose login was refused.
    pub(super) fn forget(&self, key: Key) {
        self.held().remove(&key);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
