//! Backoffs of a device and its service servers after failures, with the failure that caused each.
//!
//! Kept in memory between passes: after a restart everything is tried once. A backoff is ours, and
//! falls when a person changes something; the wait that a remote side asked for is its own, and
//! stays. Filled by the pass; read by plan, which waits for the end of each.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{digest::Digest, item_key::ItemKey};
use jiff::{SignedDuration, Timestamp};

use crate::backoff::{RetryPolicy, wait};
use crate::delivery::{
    OpenWish,
    model::{asked_waits::AskedWaits, blocked::Blocked},
};
use crate::names::{ConnectionName, SubscriptionName};

/// Scope of a backoff after a failure.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum BackoffKey {
    /// Every request to the device through a connection.
    Device {
        /// The Connection.
        connection: ConnectionName,
    },
    /// The next status report of the device through a connection.
    Status {
        /// The Connection.
        connection: ConnectionName,
    },
    /// Every write of the twin of a device that calls: it is read meanwhile, which is no request.
    Twin {
        /// The Connection.
        connection: ConnectionName,
    },
    /// The looks for the next report of the device at the settings distribution server behind a
    /// connection: other requests may go on.
    Report {
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
    /// Every request of one subscription to its service server, while this operation is under way.
    Operation {
        /// The subscription.
        subscription: SubscriptionName,
        /// Start of the operation, which tells it from the next one.
        since: Timestamp,
    },
    /// The catalog of a service server.
    Catalog {
        /// The Connection.
        connection: ConnectionName,
    },
    /// The installation of one file on the device, for whichever subscriptions.
    Installation {
        /// The key of the piece of software.
        software: ItemKey,
        /// The SHA-256 of the file: another file is another attempt.
        sha256: String,
    },
}

impl BackoffKey {
    /// Returns the key for every request to the device through a connection.
    pub fn device(connection: &ConnectionName) -> Self {
        Self::Device {
            connection: connection.clone(),
        }
    }

    /// Returns the key for the next status report of the device through a connection.
    pub fn status(connection: &ConnectionName) -> Self {
        Self::Status {
            connection: connection.clone(),
        }
    }

    /// Returns the key for every write of the twin of a device that calls through a connection.
    pub fn twin(connection: &ConnectionName) -> Self {
        Self::Twin {
            connection: connection.clone(),
        }
    }

    /// Returns the key for the looks for the next report of the device through a connection.
    pub fn report(connection: &ConnectionName) -> Self {
        Self::Report {
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

    /// Returns the key of an operation on the instance of a subscription that began at an instant.
    pub fn operation(subscription: &SubscriptionName, since: Timestamp) -> Self {
        Self::Operation {
            subscription: subscription.clone(),
            since,
        }
    }

    /// Returns the key of the catalog behind a Connection.
    pub fn catalog(connection: &ConnectionName) -> Self {
        Self::Catalog {
            connection: connection.clone(),
        }
    }

    /// Returns the key of the installation of a file.
    pub fn installation(software: &ItemKey, sha256: &str) -> Self {
        Self::Installation {
            software: software.clone(),
            sha256: sha256.to_owned(),
        }
    }

    /// Returns the same key of another subscription; `None` if it is not one of `from`.
    pub(super) fn handed_over(
        &self,
        from: &SubscriptionName,
        to: &SubscriptionName,
    ) -> Option<Self> {
        match self {
            Self::Item {
                subscription,
                item,
                digest,
            } if subscription == from => Some(Self::item(to, item, *digest)),
            Self::Server { subscription } if subscription == from => Some(Self::server(to)),
            Self::Operation {
                subscription,
                since,
            } if subscription == from => Some(Self::operation(to, *since)),
            Self::Device { .. }
            | Self::Status { .. }
            | Self::Twin { .. }
            | Self::Report { .. }
            | Self::Item { .. }
            | Self::Server { .. }
            | Self::Operation { .. }
            | Self::Catalog { .. }
            | Self::Installation { .. } => None,
        }
    }

    /// True if it is the key of an operation on the instance of a subscription.
    pub(super) fn is_operation_of(&self, name: &SubscriptionName) -> bool {
        matches!(self, Self::Operation { subscription, .. } if subscription == name)
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
    /// The waits that a remote side asked for: no person shortens them.
    asked: AskedWaits,
    /// The open wishes of people for which all were dropped.
    dropped_for: BTreeSet<OpenWish>,
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
    /// Returns the obstacle of a key whose backoff is not over, or where the remote side asked for a
    /// wait that is not; `None` if requests may be sent. `side` is the one to which the key leads.
    pub fn pending(
        &self,
        key: &BackoffKey,
        side: Option<Digest>,
        now: Timestamp,
    ) -> Option<Blocked> {
        let own = self.entries.get(key).filter(|it| it.until > now);
        let own = own.map(|backoff| Blocked {
            until: Some(backoff.until),
            ..backoff.why.clone()
        });
        let asked = self.asked(key, side, now);
        match (own, asked) {
            (Some(own), Some(asked)) if own.until < asked.until => Some(asked),
            (own, asked) => own.or(asked),
        }
    }

    /// True if there is an obstacle to requests of a key.
    pub fn is_pending(&self, key: &BackoffKey, side: Option<Digest>, now: Timestamp) -> bool {
        self.pending(key, side, now).is_some()
    }

    /// Returns the obstacle of a key where the remote side asked for a wait that is not over.
    pub fn asked(&self, key: &BackoffKey, side: Option<Digest>, now: Timestamp) -> Option<Blocked> {
        self.asked.pending(key, side?, now)
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

    /// Starts the wait between two polls of an operation, which is no failure.
    pub fn wait_to_poll(
        &mut self,
        subscription: &SubscriptionName,
        since: Timestamp,
        why: Blocked,
        until: Timestamp,
    ) {
        self.entries
            .retain(|key, _| !key.is_operation_of(subscription));
        let backoff = Backoff {
            failures: 0,
            until,
            why,
            answered: false,
        };
        let key = BackoffKey::operation(subscription, since);
        self.entries.insert(key, backoff);
        // What was begun is no success yet.
        let server = BackoffKey::server(subscription);
        if let Some(backoff) = self.entries.get_mut(&server) {
            backoff.answered = false;
        }
    }

    /// Starts the wait of a key until it is looked at again, which is no failure.
    pub fn wait_to_look(&mut self, key: BackoffKey, why: Blocked, until: Timestamp) {
        let backoff = Backoff {
            failures: 0,
            until,
            why,
            answered: false,
        };
        self.entries.insert(key, backoff);
    }

    /// Ends the looks of a key for something that has come.
    pub fn end(&mut self, key: &BackoffKey) {
        self.entries.remove(key);
    }

    /// Ends the waits between the polls of an operation that is over.
    pub fn end_operation(&mut self, subscription: &SubscriptionName) {
        self.entries
            .retain(|key, _| !key.is_operation_of(subscription));
        self.asked.end_operations(subscription);
    }

    /// Moves the backoffs of a subscription to the one that has its instance by now.
    pub fn hand_over(&mut self, from: &SubscriptionName, to: &SubscriptionName) {
        let entries = std::mem::take(&mut self.entries).into_iter();
        self.entries = entries
            .map(|(key, backoff)| (key.handed_over(from, to).unwrap_or(key), backoff))
            .collect();
        self.asked.hand_over(from, to);
    }

    /// Exchanges the backoffs of a subscription and of the instance that it leaves.
    pub fn exchange(&mut self, subscription: &SubscriptionName) {
        let leaving = subscription.leaving();
        let between = leaving.leaving();
        self.hand_over(subscription, &between);
        self.hand_over(&leaving, subscription);
        self.hand_over(&between, &leaving);
    }

    /// Records that the remote side to which a key leads asked for no request before an instant.
    pub fn ask(
        &mut self,
        key: BackoffKey,
        asker: Digest,
        why: Blocked,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.asked.ask(key, asker, why, until, now);
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

    /// Drops every backoff, as [`Backoffs::clear_all`] does, once for each wish of a person to
    /// reconcile now. A wish is open until the device was looked at, which may never be.
    pub fn clear_for(&mut self, open: BTreeSet<OpenWish>) {
        if !open.is_subset(&self.dropped_for) {
            self.clear_all();
        }
        self.dropped_for = open;
    }

    /// Drops every backoff, for a person who changed something. What a remote side asked for stays:
    /// it said so of itself, and our change does not take that back.
    pub fn clear_all(&mut self) {
        self.entries.clear();
        self.asked.outlive_a_change();
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
        let own = self.entries.values().map(|backoff| backoff.until);
        let instants = own.chain(self.asked.ends());
        instants.filter(|until| *until > now).min()
    }

    fn failures(&self, key: &BackoffKey) -> u32 {
        self.entries.get(key).map_or(0, |backoff| backoff.failures)
    }
}

#[cfg(test)]
mod tests;
