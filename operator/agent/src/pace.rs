//! The wait after a failure.
//!
//! `Retry-After` is obeyed; otherwise the wait doubles up to a bound, and a random half of it spreads
//! devices that failed at the same instant, at the bound, too. It reads no clock and no random source.
//! Used by the loop of `run`.

use std::time::Duration;

/// Bounds of waits.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Longest wait after the first failure.
    pub initial: Duration,
    /// Longest wait of all.
    pub most: Duration,
}

/// A longer wait than any gateway announces is a fault: a device does not sleep for a year.
const LONGEST: Duration = Duration::from_hours(24);

/// The longest wait after 429, unless a longer one is asked for: an allowance fills in seconds.
const MOST_THROTTLED: Duration = Duration::from_mins(1);

/// Returns the wait after `failures` failures in a row, at least one. `random` is from 0 to 1.
pub fn wait(bounds: Bounds, failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    if let Some(asked) = retry_after {
        // Never sooner than asked; a tenth more spreads those who were asked the same.
        return asked.min(LONGEST).mul_f64(1.0 + random / 10.0);
    }
    let doublings = failures.saturating_sub(1).min(20);
    let longest = bounds
        .initial
        .saturating_mul(1 << doublings)
        .min(bounds.most);
    longest.mul_f64(0.5 + random / 2.0)
}

/// Returns the wait after `failures` answers 429 in a row, of which the last one asked for this wait.
/// A poll is several requests, and an allowance that is used up has room for one after the wait that is
/// asked for: without a longer one each poll would stop at its second request.
pub fn throttled(failures: u32, asked: Duration, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let asked = asked.clamp(Duration::from_secs(1), LONGEST);
    let longest = asked
        .saturating_mul(1 << doublings)
        .min(MOST_THROTTLED.max(asked));
    longest.mul_f64(1.0 + random.clamp(0.0, 1.0) / 10.0)
}

/// Returns the time to the next poll: that which the gateway named, spread by up to a hundredth, and
/// never less than a second, so that a fault of the gateway makes no flood.
pub fn poll(named: Duration, random: f64) -> Duration {
    let spread = named.mul_f64(random.clamp(0.0, 1.0) / 100.0);
    named
        .saturating_sub(spread)
        .clamp(Duration::from_secs(1), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        initial: Duration::from_secs(1),
        most: Duration::from_mins(15),
    };

    // shows C9 K4
    #[test]
    fn a_device_that_has_used_up_its_allowance_comes_through_with_a_whole_poll() {
        // One request a second; a poll has four.
        for random in [0.0, 1.0] {
            let mut allowance = 0.0;
            let asked = Duration::from_secs(1);
            let came_through = (1..=6).find(|failures| {
                allowance += throttled(*failures, asked, random).as_secs_f64();
                let is_enough = allowance >= 4.0;
                // All that there is was spent on the first requests of the poll.
                allowance = 0.0;
                is_enough
            });
            assert!(came_through.is_some());
        }
        let long = Duration::from_mins(20);
        assert_eq!(throttled(9, long, 0.0), long, "never sooner than asked");
        assert_eq!(throttled(20, Duration::from_secs(1), 0.0).as_secs(), 60);
        assert_eq!(throttled(1, Duration::ZERO, 0.0).as_secs(), 1);
    }

    #[test]
    fn waits_double_up_to_their_bound() {
        let longest: Vec<u64> = (1..=13)
            .map(|failures| wait(BOUNDS, failures, None, 1.0).as_secs())
            .collect();
        assert_eq!(
            longest,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
        );
        assert_eq!(wait(BOUNDS, u32::MAX, None, 0.0), Duration::from_secs(450));
    }

    #[test]
    fn a_wait_that_was_asked_for_is_never_shortened() {
        for random in [0.0, 0.3, 1.0] {
            let asked = Duration::from_secs(30);
            let waited = wait(BOUNDS, 1, Some(asked), random);
            assert!(
                waited >= asked && waited <= asked.mul_f64(1.1),
                "{waited:?}"
            );
        }
    }

    #[test]
    fn a_poll_is_never_later_than_named_and_never_a_flood() {
        let named = Duration::from_mins(1372);
        for random in [0.0, 0.5, 1.0] {
            let next = poll(named, random);
            assert!(next <= named && next >= named.mul_f64(0.99), "{next:?}");
        }
        assert_eq!(poll(Duration::ZERO, 0.5), Duration::from_secs(1));
    }
}
