//! When something that failed is tried again: exponential, full jitter, capped, Retry-After wins.
//!
//! Randomness comes in as a fraction, so that the arithmetic can be tested. Called by delivery
//! (plan reads the holds) and by the delivery controller (which records failures).

use std::collections::BTreeMap;

use entente_crds::condition::Reason;
use jiff::{SignedDuration, Timestamp};

/// What is held back after a failure.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum HoldKey {
    /// Everything that goes to the device.
    Device,
    /// One item of one subscription, as long as the same value is wanted.
    Item {
        /// The subscription.
        subscription: String,
        /// The item's key.
        item: String,
        /// The digest of the wanted value.
        digest: String,
    },
    /// Everything of one subscription that goes to its service server.
    Server {
        /// The subscription.
        subscription: String,
    },
    /// The catalogue of a service server.
    Catalogue {
        /// The Connection.
        connection: String,
    },
}

/// The waits of a connection (`spec.retry`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    /// The longest wait after the first failure.
    pub initial: SignedDuration,
    /// The longest wait of all.
    pub max: SignedDuration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: SignedDuration::from_secs(1),
            max: SignedDuration::from_mins(15),
        }
    }
}

/// What is held back until when. Kept in memory only: after a restart everything is tried once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holds {
    entries: BTreeMap<HoldKey, Hold>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Hold {
    failures: u32,
    until: Timestamp,
    why: Option<(Reason, String)>,
    /// Whether it was let go since it failed last.
    answered: bool,
}

impl Holds {
    /// Until when a key is held back; `None` when it may go.
    pub fn until(&self, key: &HoldKey, now: Timestamp) -> Option<Timestamp> {
        self.entries
            .get(key)
            .map(|hold| hold.until)
            .filter(|until| *until > now)
    }

    /// Holds a key back after a failure. `fraction` lies in 0..=1.
    pub fn fail(
        &mut self,
        key: HoldKey,
        policy: RetryPolicy,
        retry_after: Option<SignedDuration>,
        fraction: f64,
        now: Timestamp,
    ) {
        let failures = self
            .entries
            .get(&key)
            .map_or(0, |hold| hold.failures)
            .saturating_add(1);
        let wait = retry_after.unwrap_or_else(|| wait(policy, failures, fraction));
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        self.entries.insert(
            key,
            Hold {
                failures,
                until,
                why: None,
                answered: false,
            },
        );
    }

    /// Says why a key is held back, where that is more than an item's problem can say.
    pub fn because(&mut self, key: &HoldKey, reason: Reason, message: &str) {
        if let Some(hold) = self.entries.get_mut(key) {
            hold.why = Some((reason, message.to_owned()));
        }
    }

    /// Why a key is held back, where it was said.
    pub fn why(&self, key: &HoldKey) -> Option<&(Reason, String)> {
        self.entries.get(key)?.why.as_ref()
    }

    /// Holds a key back for a known time that is no failure, such as between two polls.
    pub fn wait_until(&mut self, key: HoldKey, until: Timestamp) {
        let failures = self.entries.get(&key).map_or(0, |hold| hold.failures);
        self.entries.insert(
            key,
            Hold {
                failures,
                until,
                why: None,
                answered: false,
            },
        );
    }

    /// Lets a key go after a success. Its failures are forgotten after the second success in a
    /// row: a device that answers every read and fails every write succeeds once between two
    /// failures, and its waits have to grow all the same.
    pub fn clear(&mut self, key: &HoldKey) {
        let Some(hold) = self.entries.get_mut(key) else {
            return;
        };
        if hold.answered || hold.failures == 0 {
            self.entries.remove(key);
            return;
        }
        hold.answered = true;
        hold.until = Timestamp::MIN;
        hold.why = None;
    }

    /// Lets everything go, for a person who asked for a reconcile now or changed something.
    pub fn clear_all(&mut self) {
        self.entries.clear();
    }

    /// How often in a row a key failed.
    pub fn failures(&self, key: &HoldKey) -> u32 {
        self.entries.get(key).map_or(0, |hold| hold.failures)
    }

    /// The next instant at which something may go again.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.entries
            .values()
            .map(|hold| hold.until)
            .filter(|until| *until > now)
            .min()
    }
}

/// The wait after this many failures in a row: anything up to the step, so that hosts do not come
/// back together, and never less than half the initial step, so that none is hammered.
pub fn wait(policy: RetryPolicy, failures: u32, fraction: f64) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(20);
    let step = policy
        .initial
        .checked_mul(1 << doublings)
        .unwrap_or(policy.max)
        .min(policy.max);
    step.mul_f64_saturating(fraction.clamp(0.0, 1.0))
        .max(policy.initial / 2)
        .min(policy.max)
}

trait Scale {
    fn mul_f64_saturating(self, factor: f64) -> SignedDuration;
}

impl Scale for SignedDuration {
    fn mul_f64_saturating(self, factor: f64) -> SignedDuration {
        SignedDuration::try_from_secs_f64(self.as_secs_f64() * factor).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    #[test]
    fn waits_double_up_to_the_cap_and_never_pass_it() {
        let policy = RetryPolicy::default();
        let longest: Vec<_> = (1..=12).map(|n| wait(policy, n, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }

    #[test]
    fn a_wait_is_never_nothing_so_a_failing_host_is_not_hammered() {
        assert_eq!(
            wait(RetryPolicy::default(), 1, 0.0),
            SignedDuration::from_millis(500)
        );
    }

    #[test]
    fn retry_after_wins_over_the_backoff() {
        let mut holds = Holds::default();
        let now = instant(1000);
        holds.fail(
            HoldKey::Device,
            RetryPolicy::default(),
            Some(SignedDuration::from_secs(120)),
            0.1,
            now,
        );
        assert_eq!(holds.until(&HoldKey::Device, now), Some(instant(1120)));
    }

    #[test]
    fn waits_grow_although_every_failed_write_comes_after_an_answered_read() {
        let mut holds = Holds::default();
        let waits: Vec<_> = (0..4)
            .map(|_| {
                holds.clear(&HoldKey::Device);
                holds.fail(
                    HoldKey::Device,
                    RetryPolicy::default(),
                    None,
                    1.0,
                    instant(0),
                );
                holds.until(&HoldKey::Device, instant(0))
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8].map(|second| Some(instant(second))));
    }

    #[test]
    fn a_success_lets_the_key_go_and_the_second_forgets_its_failures() {
        let mut holds = Holds::default();
        holds.fail(
            HoldKey::Device,
            RetryPolicy::default(),
            None,
            1.0,
            instant(0),
        );
        holds.clear(&HoldKey::Device);
        assert_eq!(holds.until(&HoldKey::Device, instant(0)), None);
        holds.clear(&HoldKey::Device);
        assert_eq!(holds, Holds::default());
    }
}
