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
            | Self::Item { .. }
            | Self::Server { .. }
            | Self::Operation { .. }
            | Self::Catalog { .. } => None,
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
        backoffs.pending(&device(), None, instant(now))?.until
    }

    // shows K5
    #[test]
    fn one_request_of_a_person_drops_the_backoffs_once() {
        let mut backoffs = Backoffs::default();
        for (wish, held) in [("monday", false), ("monday", true), ("tuesday", false)] {
            backoffs.fail(device(), why(), LONGEST, instant(1000));
            backoffs.clear_for([OpenWish::of_device(wish)].into());
            assert_eq!(until(&backoffs, 1000).is_some(), held, "{wish}");
        }
    }

    // shows K5
    #[test]
    fn each_of_several_wishes_drops_the_backoffs_once_in_whatever_order_they_are_done() {
        let mut backoffs = Backoffs::default();
        for (open, held) in [
            (&["monday"][..], false),
            (&["monday", "tuesday"], false),
            (&["tuesday", "monday"], true),
            (&["tuesday"], true),
            (&["wednesday"], false),
        ] {
            backoffs.fail(device(), why(), LONGEST, instant(1000));
            let wishes = open.iter().map(|wish| OpenWish::of_device(wish));
            backoffs.clear_for(wishes.collect());
            assert_eq!(until(&backoffs, 1000).is_some(), held, "{open:?}");
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
        let pending = backoffs.pending(&device(), None, instant(1000));
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

    /// Returns the sides that may be behind a key.
    fn sides() -> [Digest; 2] {
        ["one", "another"].map(crate::delivery::digest)
    }

    /// Fails with a side's wish for a wait of so many seconds.
    fn asked_to_wait(backoffs: &mut Backoffs, key: &BackoffKey, seconds: i64) {
        let now = instant(1000);
        let retry_after = Some(SignedDuration::from_secs(seconds));
        let delay = Delay {
            retry_after,
            ..LONGEST
        };
        backoffs.fail(key.clone(), why(), delay, now);
        backoffs.ask(key.clone(), sides()[0], why(), instant(1000 + seconds), now);
    }

    // shows K5
    #[test]
    fn what_a_person_changes_ends_our_own_backoff_and_not_the_wait_that_was_asked_for() {
        let [one, another] = sides();
        for seconds in [120, 1, 0, -60] {
            let mut backoffs = Backoffs::default();
            asked_to_wait(&mut backoffs, &device(), seconds);
            backoffs.clear_all();
            for wish in ["monday", "tuesday"] {
                backoffs.clear_for([OpenWish::of_device(wish)].into());
            }
            let end = 1000 + seconds;
            let held = |side: Digest, now: i64| {
                let pending = backoffs.pending(&device(), Some(side), instant(now));
                pending.and_then(|it| it.until)
            };
            let asked = (seconds > 0).then(|| instant(end));
            assert_eq!(held(one, 1000), asked, "{seconds}");
            assert_eq!(held(one, end.max(1000)), None, "{seconds}");
            assert_eq!(held(another, 1000), None, "another server did not ask");
            assert_eq!(backoffs.next(instant(1000)), asked, "it wakes the device");
        }
    }

    // shows K5
    #[test]
    fn a_backoff_that_has_grown_falls_to_the_wait_that_was_asked_for_and_its_failures_are_forgotten()
     {
        let mut backoffs = Backoffs::default();
        for _ in 0..8 {
            asked_to_wait(&mut backoffs, &device(), 30);
        }
        let held = |backoffs: &Backoffs| {
            let asker = Some(sides()[0]);
            backoffs.pending(&device(), asker, instant(1000))
        };
        let grown = Blocked {
            until: Some(instant(1128)),
            ..why()
        };
        assert_eq!(held(&backoffs), Some(grown));
        backoffs.clear_all();
        let left = held(&backoffs).expect("it was asked for");
        assert_eq!(left.until, Some(instant(1030)));
        assert_eq!(
            left.message,
            "it is busy; it asked for no request before 1970-01-01T00:17:10Z"
        );
        assert_eq!(left.reason, Reason::Busy);
        backoffs.fail(device(), why(), LONGEST, instant(1030));
        assert_eq!(until(&backoffs, 1030), Some(instant(1031)), "the first");
    }

    // shows K5
    #[test]
    fn after_a_change_a_refused_value_waits_for_time_alone_and_needs_no_person() {
        let asker = sides()[0];
        let refused = Blocked::new(Reason::RejectedValue, "HTTP 400".to_owned());
        let mut backoffs = Backoffs::default();
        backoffs.ask(device(), asker, refused, instant(60), instant(0));
        let said = |backoffs: &Backoffs| {
            let pending = backoffs.pending(&device(), Some(asker), instant(0));
            pending.map(|it| (it.reason, it.message, it.until))
        };
        let until = Some(instant(60));
        let plain = "HTTP 400".to_owned();
        let expected = Some((Reason::RejectedValue, plain, until));
        assert_eq!(said(&backoffs), expected);
        backoffs.clear_all();
        let left = "HTTP 400; it asked for no request before 1970-01-01T00:01:00Z".to_owned();
        assert_eq!(said(&backoffs), Some((Reason::Busy, left, until)));
    }

    // shows K5
    #[test]
    fn a_wait_that_was_asked_for_is_not_shortened_by_less_nor_forgotten_while_others_answer() {
        let [one, another] = sides();
        let mut backoffs = Backoffs::default();
        let ask = |backoffs: &mut Backoffs, side, end, now| {
            backoffs.ask(device(), side, why(), instant(end), instant(now));
        };
        let held = |backoffs: &Backoffs, side, now| {
            let pending = backoffs.asked(&device(), Some(side), instant(now));
            pending.and_then(|it| it.until)
        };
        ask(&mut backoffs, one, 300, 0);
        ask(&mut backoffs, one, 60, 10);
        // The Connection leads elsewhere for a while, and then back again.
        ask(&mut backoffs, another, 40, 20);
        assert_eq!(held(&backoffs, another, 30), Some(instant(40)));
        assert_eq!(held(&backoffs, one, 30), Some(instant(300)));
        ask(&mut backoffs, one, 400, 50);
        assert_eq!(held(&backoffs, one, 50), Some(instant(400)));
        // A clock that is set back by days makes no wait of days.
        assert_eq!(held(&backoffs, one, -3600), Some(instant(400)));
        assert_eq!(held(&backoffs, one, -400_000), None);
        assert_eq!(backoffs.asked(&device(), None, instant(50)), None);
    }

    // shows K5
    #[test]
    fn a_wait_between_polls_holds_back_its_own_operation_alone() {
        let asker = Some(sides()[0]);
        let name = SubscriptionName::from("acme.backup.lobby");
        let key = |since| BackoffKey::operation(&name, instant(since));
        let running = || Blocked::new(Reason::OperationRunning, "it is under way".to_owned());
        let mut backoffs = Backoffs::default();
        backoffs.ask(key(0), sides()[0], running(), instant(60), instant(0));
        backoffs.wait_to_poll(&name, instant(0), running(), instant(60));
        let pending = |backoffs: &Backoffs, since| {
            let pending = backoffs.pending(&key(since), asker, instant(5));
            pending.and_then(|it| it.until)
        };
        assert_eq!(pending(&backoffs, 0), Some(instant(60)));
        assert_eq!(pending(&backoffs, 3), None, "another operation");
        let server = BackoffKey::server(&name);
        assert_eq!(backoffs.pending(&server, asker, instant(5)), None);
        // Our own interval between polls falls with an edit, the server's does not.
        backoffs.wait_to_poll(&name, instant(0), running(), instant(90));
        backoffs.clear_all();
        assert_eq!(pending(&backoffs, 0), Some(instant(60)));
        backoffs.end_operation(&name);
        assert_eq!(pending(&backoffs, 0), None);
        assert_eq!(backoffs, Backoffs::default());
    }
}
