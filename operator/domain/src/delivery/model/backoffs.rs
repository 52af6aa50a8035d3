//! Backoffs of a device and its service servers after failures, with the failure that caused each.
//!
//! Kept in memory between passes: after a restart everything is tried once. Filled by the pass;
//! read by plan, which waits for the end of each backoff.

use std::collections::BTreeMap;

use entente_crds::{bounded::Token, digest::Digest, item_key::ItemKey, v1alpha1::MAX_RECONCILE_AT};
use jiff::{SignedDuration, Timestamp};

use crate::backoff::{RetryPolicy, wait};
use crate::delivery::model::blocked::Blocked;
use crate::names::{ConnectionName, SubscriptionName};

/// Scope of a backoff after a failure.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum BackoffKey {
    /// Every request to the device through a connection.
    Device {
        /// The Connection.
        connection: ConnectionName,
    },
    /// One item of one subscription, as long as the same value is wanted.
    Item {
        /// The subscription.
        subscription: SubscriptionName,
        /// The item's key.
        item: ItemKey,
        /// The digest of the wanted value.
        digest: Digest,
    },
    /// Every request of one subscription to its service server.
    Server {
        /// The subscription.
        subscription: SubscriptionName,
    },
    /// The catalog of a service server.
    Catalog {
        /// The Connection.
        connection: ConnectionName,
    },
}

impl BackoffKey {
    /// Returns the key for every request to the device through a connection.
    pub fn device(connection: &ConnectionName) -> Self {
        Self::Device {
            connection: connection.clone(),
        }
    }

    /// Returns the key of an item, as long as the value of this digest is wanted.
    pub fn item(subscription: &SubscriptionName, item: &ItemKey, digest: Digest) -> Self {
        Self::Item {
            subscription: subscription.clone(),
            item: item.clone(),
            digest,
        }
    }

    /// Returns the key of the instance of a subscription.
    pub fn server(subscription: &SubscriptionName) -> Self {
        Self::Server {
            subscription: subscription.clone(),
        }
    }

    /// Returns the key of the catalog behind a Connection.
    pub fn catalog(connection: &ConnectionName) -> Self {
        Self::Catalog {
            connection: connection.clone(),
        }
    }
}

/// Parameters of the length of a backoff.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// The waits of the Connection.
    pub policy: RetryPolicy,
    /// The remote side's Retry-After: no request is sent before, nor before the wait of the policy.
    pub retry_after: Option<SignedDuration>,
    /// Fraction in 0..=1 that spreads the waits.
    pub fraction: f64,
}

/// Backoffs, each until an instant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Backoffs {
    entries: BTreeMap<BackoffKey, Backoff>,
    /// The request of a person for which all were dropped.
    dropped_for: Option<Token<MAX_RECONCILE_AT>>,
    /// Instant until which the words of problems that are still the same stay as they are.
    words_kept_until: Option<Timestamp>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Backoff {
    failures: u32,
    until: Timestamp,
    why: Blocked,
    /// True if a request succeeded since the last failure.
    answered: bool,
}

impl Backoffs {
    /// Returns the obstacle of a key whose backoff is not over; `None` if requests may be sent.
    pub fn pending(&self, key: &BackoffKey, now: Timestamp) -> Option<Blocked> {
        let backoff = self.entries.get(key)?;
        (backoff.until > now).then(|| Blocked {
            until: Some(backoff.until),
            ..backoff.why.clone()
        })
    }

    /// True if the backoff of a key is not over.
    pub fn is_pending(&self, key: &BackoffKey, now: Timestamp) -> bool {
        self.entries.get(key).is_some_and(|it| it.until > now)
    }

    /// Starts the backoff of a key after a failure.
    pub fn fail(&mut self, key: BackoffKey, why: Blocked, delay: Delay, now: Timestamp) {
        let failures = self.failures(&key).saturating_add(1);
        let own = wait(delay.policy, failures, delay.fraction);
        let wait = delay.retry_after.map_or(own, |asked| asked.max(own));
        let backoff = Backoff {
            failures,
            until: now.checked_add(wait).unwrap_or(Timestamp::MAX),
            why,
            answered: false,
        };
        self.entries.insert(key, backoff);
    }

    /// Starts a wait of known length that is no failure, such as between two polls.
    pub fn wait(&mut self, key: BackoffKey, why: Blocked, until: Timestamp) {
        let backoff = Backoff {
            failures: self.failures(&key),
            until,
            why,
            answered: false,
        };
        self.entries.insert(key, backoff);
    }

    /// Ends the backoff of a key after a success. Its failures are forgotten after the second
    /// success in a row: a device that answers every read and fails every write succeeds once
    /// between two failures, and its waits have to grow all the same.
    pub fn clear(&mut self, key: &BackoffKey) {
        let Some(backoff) = self.entries.get_mut(key) else {
            return;
        };
        if backoff.answered || backoff.failures == 0 {
            self.entries.remove(key);
            return;
        }
        backoff.answered = true;
        backoff.until = Timestamp::MIN;
    }

    /// Drops every backoff, once for each request of a person to reconcile now. The request stands
    /// until the device was looked at, which may never be.
    pub fn clear_for(&mut self, wish: Option<Token<MAX_RECONCILE_AT>>) {
        if self.dropped_for != wish {
            self.clear_all();
            self.dropped_for = wish;
        }
    }

    /// Drops every backoff, for a person who changed something.
    pub fn clear_all(&mut self) {
        self.entries.clear();
        self.words_kept_until = None;
    }

    /// Returns the instant until which the words of problems that are still the same stay as they
    /// are; `None` if new ones are due, which are kept for this long then.
    pub fn keep_words(&mut self, length: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        let kept = self.words_kept_until.filter(|until| *until > now);
        // Set back, a clock must not keep them for longer.
        let kept = kept.filter(|until| until.duration_since(now) <= length);
        if kept.is_none() {
            self.words_kept_until = now.checked_add(length).ok();
        }
        kept
    }

    /// Returns the next instant at which something may go again.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let instants = self.entries.values().map(|backoff| backoff.until);
        instants.filter(|until| *until > now).min()
    }

    fn failures(&self, key: &BackoffKey) -> u32 {
        self.entries.get(key).map_or(0, |backoff| backoff.failures)
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::condition::Reason;

    use super::*;

    const LONGEST: Delay = Delay {
        policy: RetryPolicy {
            initial: SignedDuration::from_secs(1),
            max: SignedDuration::from_mins(15),
        },
        retry_after: None,
        fraction: 1.0,
    };

    fn instant(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    fn why() -> Blocked {
        Blocked::new(Reason::Busy, "it is busy".to_owned())
    }

    fn device() -> BackoffKey {
        BackoffKey::device(&"hq".into())
    }

    fn until(backoffs: &Backoffs, now: i64) -> Option<Timestamp> {
        backoffs.pending(&device(), instant(now))?.until
    }

    // shows K5
    #[test]
    fn one_request_of_a_person_drops_the_backoffs_once() {
        let mut backoffs = Backoffs::default();
        for (wish, held) in [("monday", false), ("monday", true), ("tuesday", false)] {
            backoffs.fail(device(), why(), LONGEST, instant(1000));
            backoffs.clear_for(Some(wish.into()));
            assert_eq!(until(&backoffs, 1000).is_some(), held, "{wish}");
        }
    }

    #[test]
    fn the_longer_of_retry_after_and_the_backoff_holds_and_what_is_held_says_why() {
        let mut backoffs = Backoffs::default();
        let delay = Delay {
            retry_after: Some(SignedDuration::from_secs(120)),
            ..LONGEST
        };
        backoffs.fail(device(), why(), delay, instant(1000));
        let pending = backoffs.pending(&device(), instant(1000));
        let expected = Blocked {
            until: Some(instant(1120)),
            ..why()
        };
        assert_eq!(pending, Some(expected));
        assert_eq!(until(&backoffs, 1120), None);
        // A date that has passed, or none of it, is no leave to ask at once.
        for asked in [-60, 0] {
            let mut backoffs = Backoffs::default();
            let delay = Delay {
                retry_after: Some(SignedDuration::from_secs(asked)),
                ..LONGEST
            };
            backoffs.fail(device(), why(), delay, instant(1000));
            assert_eq!(until(&backoffs, 1000), Some(instant(1001)), "{asked}");
        }
    }

    #[test]
    fn waits_grow_although_every_failed_write_comes_after_an_answered_read() {
        let mut backoffs = Backoffs::default();
        let waits: Vec<_> = (0..4)
            .map(|_| {
                backoffs.clear(&device());
                backoffs.fail(device(), why(), LONGEST, instant(0));
                until(&backoffs, 0)
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8].map(|second| Some(instant(second))));
    }

    #[test]
    fn a_success_lets_the_key_go_and_the_second_forgets_its_failures() {
        let mut backoffs = Backoffs::default();
        backoffs.fail(device(), why(), LONGEST, instant(0));
        backoffs.clear(&device());
        assert_eq!(until(&backoffs, 0), None);
        backoffs.clear(&device());
        assert_eq!(backoffs, Backoffs::default());
    }
}
