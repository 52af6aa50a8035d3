//! The tokens that are held, one for each Connection, networks and login.
//!
//! Decides when one is fetched, and that one fetch serves everyone who waits for it, whether it
//! succeeds or fails. Never fetches by itself and never looks into a token. Called by `transport`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entente_crds::v1alpha1::ClientAuthentication;
use entente_domain::expiring::ExpiringMap;
use entente_domain::remote::Failure;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::token::{Client, Grant};
use crate::credentials::AccessToken;
use crate::profile::{ConnectionProfile, TrustProfile};

/// Time for which an unused token is kept.
const IDLE_TOKEN: Duration = Duration::from_mins(5);

/// Digest of the inputs of a fetch: another Secret, token endpoint, authority or set of networks
/// needs another token.
pub(super) type Key = [u8; 32];

/// Returns the digest of everything that a fetch depends on.
pub(super) fn key(profile: &ConnectionProfile, client: Client<'_>) -> Key {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    part(profile.name.as_bytes());
    let url = profile.token_url.as_ref();
    part(url.map(url::Url::as_str).unwrap_or_default().as_bytes());
    if let TrustProfile::Verify { ca_pem } = &profile.trust {
        part(ca_pem.as_deref().unwrap_or_default().as_bytes());
    }
    part(client.id.as_bytes());
    part(client.secret.as_bytes());
    part(client.scope.unwrap_or_default().as_bytes());
    part(match client.authentication {
        ClientAuthentication::Basic => b"basic",
        ClientAuthentication::Body => b"body",
    });
    for network in &profile.networks {
        part(network.to_string().as_bytes());
    }
    digest.finalize().into()
}

/// Bound of the map: more tokens than any fleet uses within [`IDLE_TOKEN`].
const MOST_TOKENS: usize = 16_384;

pub(super) struct Tokens {
    held: Mutex<ExpiringMap<Key, Arc<Entry>, Instant>>,
}

impl Default for Tokens {
    fn default() -> Self {
        // A request that waits for a permit to fetch keeps the entry: one fetch is still enough for
        // all.
        let in_use = |entry: &Arc<Entry>, _| Arc::strong_count(entry) > 1;
        Self {
            held: Mutex::new(ExpiringMap::new(MOST_TOKENS, in_use)),
        }
    }
}

#[derive(Default)]
struct Entry {
    /// Number of fetches that have ended: a request that waited during one does not begin another.
    ended: AtomicU64,
    /// Held during a fetch, and released when the fetch is dropped.
    latest: tokio::sync::Mutex<Latest>,
}

/// Result of the latest fetch.
#[derive(Default)]
struct Latest {
    token: Option<(AccessToken, Instant)>,
    failure: Option<Failure>,
}

impl Tokens {
    /// Returns the token under this key: the one that is held, unless it was `refused` or has
    /// expired, else the one that `fetch` returns.
    pub(super) async fn get(
        &self,
        key: Key,
        refused: Option<&AccessToken>,
        fetch: impl Future<Output = Result<Grant, Failure>>,
    ) -> Result<AccessToken, Failure> {
        let entry = self.entry(key);
        let ended = entry.ended.load(Ordering::SeqCst);
        let mut latest = entry.latest.lock().await;
        let asked = Instant::now();
        if let Some((token, until)) = &latest.token
            && *until > asked
            && refused != Some(token)
        {
            return Ok(token.clone());
        }
        if entry.ended.load(Ordering::SeqCst) != ended
            && let Some(failure) = &latest.failure
        {
            return Err(failure.clone());
        }
        latest.token = None;
        let fetched = fetch.await;
        entry.ended.fetch_add(1, Ordering::SeqCst);
        match fetched {
            Ok(grant) => {
                latest.failure = None;
                latest.token = Some((grant.token.clone(), asked + grant.usable));
                Ok(grant.token)
            }
            Err(failure) => {
                latest.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    fn entry(&self, key: Key) -> Arc<Entry> {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.get_or_insert_with(key, now, now + IDLE_TOKEN, Arc::default))
    }
}

#[cfg(test)]
mod tests {
    use entente_domain::remote::FailureKind;
    use futures::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    const KEY: Key = [1; 32];

    /// Returns a token that is valid for so many seconds; none if none is named.
    async fn slowly(token: &str, seconds: u64, begun: &AtomicU64) -> Result<Grant, Failure> {
        begun.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_secs(1)).await;
        if token.is_empty() {
            return Err(Failure::new(FailureKind::Unauthorized, "no"));
        }
        Ok(Grant {
            token: AccessToken::new(token.to_owned().into()),
            usable: Duration::from_secs(seconds),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_fetch_serves_all_who_wait_for_it_whether_it_ends_well_or_badly() {
        let (tokens, begun) = (Tokens::default(), AtomicU64::new(0));
        let all = join_all((0..50).map(|_| tokens.get(KEY, None, slowly("", 0, &begun)))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(begun.load(Ordering::SeqCst), 1, "a failure is shared");
        // A later request fetches again.
        let all = join_all((0..50).map(|_| tokens.get(KEY, None, slowly("a", 60, &begun)))).await;
        assert!(
            all.iter()
                .all(|token| token.as_ref().unwrap().as_str() == "a")
        );
        assert_eq!(begun.load(Ordering::SeqCst), 2, "a token is shared");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_fetched_again_when_its_time_is_over_or_it_was_refused() {
        let (tokens, begun) = (Tokens::default(), AtomicU64::new(0));
        let first = tokens.get(KEY, None, slowly("a", 60, &begun)).await;
        let first = first.unwrap();
        // All requests that were refused with the same token share the next one.
        let renewed =
            join_all((0..20).map(|_| tokens.get(KEY, Some(&first), slowly("b", 60, &begun)))).await;
        assert!(
            renewed
                .iter()
                .all(|token| token.as_ref().unwrap().as_str() == "b")
        );
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        advance(Duration::from_secs(58)).await;
        let held = tokens.get(KEY, None, slowly("c", 60, &begun)).await;
        assert_eq!(held.unwrap().as_str(), "b");
        advance(Duration::from_secs(2)).await;
        let next = tokens.get(KEY, None, slowly("c", 60, &begun)).await;
        assert_eq!(next.unwrap().as_str(), "c");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_while_fetching_leaves_the_fetch_to_the_next() {
        let (tokens, begun) = (Tokens::default(), AtomicU64::new(0));
        let gone = tokio::time::timeout(
            Duration::from_millis(10),
            tokens.get(KEY, None, slowly("a", 60, &begun)),
        );
        assert!(gone.await.is_err());
        let next = tokens.get(KEY, None, slowly("b", 60, &begun)).await;
        assert_eq!(next.unwrap().as_str(), "b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_forgotten() {
        let (tokens, begun) = (Tokens::default(), AtomicU64::new(0));
        let fetch = || slowly("a", 86_400, &begun);
        tokens.get(KEY, None, fetch()).await.unwrap();
        advance(IDLE_TOKEN + Duration::from_secs(1)).await;
        tokens.get([2; 32], None, fetch()).await.unwrap();
        assert_eq!(tokens.held.lock().unwrap().len(), 1);
    }
}
