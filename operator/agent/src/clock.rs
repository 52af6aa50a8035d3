//! The clock of the gateway, as the device knows it.
//!
//! An instant of a contract counts by the header `Date` of the gateway's answers, never by the clock of
//! the device, which may be a year off. Between two answers time is counted by a counter that no one can
//! set. After a restart, until the first answer, the difference that was kept is added to the device's
//! clock: that is the best that can be known then.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// A device's knowledge of the gateway's time.
#[derive(Clone, Debug)]
pub struct Clock {
    heard: Option<(Timestamp, Instant)>,
    ahead: SignedDuration,
}

impl Clock {
    /// Begins with the difference between the gateway's clock and that of the device, as it was kept.
    pub fn new(ahead: SignedDuration) -> Self {
        Self { heard: None, ahead }
    }

    /// Accepts the date of an answer that came at `at`, when the device's own clock showed `local`.
    pub fn hear(&mut self, date: Timestamp, local: Timestamp, at: Instant) {
        self.heard = Some((date, at));
        self.ahead = date.duration_since(local);
    }

    /// Difference to keep: the gateway's clock minus that of the device.
    pub fn ahead(&self) -> SignedDuration {
        self.ahead
    }

    /// True if an answer has been heard since the start.
    pub fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Instant by the gateway's clock at `at`, when the device's own clock shows `local`.
    pub fn now(&self, local: Timestamp, at: Instant) -> Timestamp {
        let now = match self.heard {
            Some((date, then)) => {
                let passed = SignedDuration::try_from(at.saturating_duration_since(then));
                date.checked_add(passed.unwrap_or(SignedDuration::ZERO))
            }
            None => local.checked_add(self.ahead),
        };
        now.unwrap_or(local)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_that_is_a_year_off_does_not_count() {
        let start = Instant::now();
        let mut clock = Clock::new(SignedDuration::ZERO);
        let local = instant("2026-03-31T22:00:00Z");
        clock.hear(instant("2027-03-31T22:00:00Z"), local, start);
        let later = start + Duration::from_hours(2);
        // Somebody set the device's clock meanwhile.
        let set = instant("2031-01-01T00:00:00Z");
        assert_eq!(clock.now(set, later), instant("2027-04-01T00:00:00Z"));
    }

    #[test]
    fn the_difference_that_was_kept_counts_until_the_first_answer() {
        let start = Instant::now();
        let mut before = Clock::new(SignedDuration::ZERO);
        let local = instant("2026-03-31T22:00:00Z");
        before.hear(instant("2027-03-31T22:00:00Z"), local, start);
        let after = Clock::new(before.ahead());
        let now = after.now(instant("2026-03-31T23:30:00Z"), start);
        assert_eq!(now, instant("2027-03-31T23:30:00Z"));
        assert!(!after.is_heard());
    }
}
