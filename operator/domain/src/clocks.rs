//! The local clock and that of the API server: how far they may differ, and what is so by one of them.
//!
//! It must never read a clock. Called by everything that waits for an instant of a contract while the
//! two differ, by the controllers, which measure the difference, and by the plugin.

use jiff::{SignedDuration, Timestamp};

/// The largest difference up to which two clocks count as equal: the date of an answer has whole
/// seconds, and answers take their time.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// Returns the later of the instants that two clocks show: the local one, which shows `now`, and one
/// from which it differs by `skew` (positive: the local one is ahead). What a date begins has begun
/// by one of them from then on.
pub fn later_clock(now: Timestamp, skew: Option<SignedDuration>) -> Timestamp {
    let other = skew.map(|skew| now.saturating_sub(skew).unwrap_or(now));
    other.map_or(now, |other| other.max(now))
}

/// Returns the earlier of those.
pub fn earlier_clock(now: Timestamp, skew: Option<SignedDuration>) -> Timestamp {
    let other = skew.map(|skew| now.saturating_sub(skew).unwrap_or(now));
    other.map_or(now, |other| other.min(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K5
    #[test]
    fn of_two_clocks_that_differ_one_is_later_whichever_is_ahead() {
        let now: Timestamp = "2027-04-01T03:00:00Z".parse().expect("an instant");
        let hour = SignedDuration::from_hours(1);
        for (skew, earlier, later) in [
            (None, now, now),
            (Some(hour), now - hour, now),
            (Some(-hour), now, now + hour),
        ] {
            assert_eq!(earlier_clock(now, skew), earlier, "{skew:?}");
            assert_eq!(later_clock(now, skew), later, "{skew:?}");
        }
    }
}
