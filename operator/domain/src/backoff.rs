//! Wait after a failure: exponential, full jitter, capped.
//!
//! Randomness comes in as a fraction, so that the arithmetic can be tested. Called by everything
//! that tries again.

use entente_crds::v1alpha1::Connection;
use jiff::{SignedDuration, Timestamp};

/// The longest wait that a remote side is left alone for because it asked: a broken clock, theirs or
/// ours that was set back, must not silence us for years. Cloud Foundry cuts at the same length.
pub const LONGEST_ASKED: SignedDuration = SignedDuration::from_hours(24);

/// True if a wait that was asked for is not over.
pub(crate) fn is_asked_still(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.duration_since(now) <= LONGEST_ASKED
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

impl RetryPolicy {
    /// Returns the waits of a Connection.
    pub fn of(connection: &Connection) -> Self {
        let default = Self::default();
        let Some(retry) = &connection.spec.retry else {
            return default;
        };
        Self {
            // A text that is no duration makes the Connection unusable, which its status reports.
            initial: retry.initial.length().unwrap_or(default.initial),
            max: retry.max.length().unwrap_or(default.max),
        }
    }
}

/// The shortest wait. Zero is refused when it is written; one that is stored must hammer nobody.
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_millis(100);

/// Returns the wait after this many failures in a row: anything up to the step, so that hosts do not come
/// back together, and never less than half the initial step, so that none is hammered.
pub fn wait(policy: RetryPolicy, failures: u32, fraction: f64) -> SignedDuration {
    let doublings = failures.saturating_sub(1).min(20);
    let step = policy
        .initial
        .checked_mul(1 << doublings)
        .unwrap_or(policy.max)
        .min(policy.max);
    let part = step.as_secs_f64() * fraction.clamp(0.0, 1.0);
    SignedDuration::try_from_secs_f64(part)
        .unwrap_or(step)
        .max(policy.initial / 2)
        .min(policy.max)
        .max(SHORTEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K2
    #[test]
    fn a_stored_policy_of_zero_still_waits() {
        let zero = RetryPolicy {
            initial: SignedDuration::ZERO,
            max: SignedDuration::ZERO,
        };
        assert_eq!(wait(zero, 9, 0.5), SHORTEST_WAIT);
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

    proptest::proptest! {
        #[test]
        fn every_wait_lies_between_half_the_first_step_and_the_cap(
            initial in 1_i64..100_000, times in 1_i64..1_000, failures in 0_u32..2_000,
            fraction in -1.0..2.0_f64,
        ) {
            let policy = RetryPolicy {
                initial: SignedDuration::from_millis(initial),
                max: SignedDuration::from_millis(initial * times),
            };
            let waited = wait(policy, failures, fraction);
            proptest::prop_assert!(waited >= policy.initial / 2);
            proptest::prop_assert!(waited <= policy.max);
            // More failures never make it come sooner, and a greater fraction does not either.
            proptest::prop_assert!(wait(policy, failures + 1, fraction) >= waited);
            proptest::prop_assert!(wait(policy, failures, fraction + 0.1) >= waited);
        }
    }

    #[test]
    fn a_policy_beyond_all_lengths_ends_at_its_cap() {
        let policy = RetryPolicy {
            initial: SignedDuration::MAX,
            max: SignedDuration::MAX,
        };
        let longest = wait(policy, u32::MAX, 1.0);
        assert!(
            longest >= SignedDuration::MAX - SignedDuration::from_secs(1),
            "{longest:?}"
        );
    }
}
