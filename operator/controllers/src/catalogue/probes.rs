//! The time of the next probe of a Connection, and what the last one found.
//!
//! Keeps the number of failures of each in memory; never reads a status, whose conditions are for
//! people. Called by the catalogue controller.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use entente_domain::{
    backoff::{RetryPolicy, wait},
    remote::Failure,
};
use jiff::Timestamp;

use super::PROBE;

/// The memory of probes, by Connection.
#[derive(Default)]
pub(super) struct Probes(Mutex<HashMap<String, Probed>>);

#[derive(Default)]
struct Probed {
    /// The failures in a row.
    failures: u32,
    /// Time of the next probe after a failure.
    due: Option<Timestamp>,
    /// The failure with which the broker asked for a wait, and its URL.
    asked: Option<(Failure, String)>,
    /// The odd entries of the last catalog.
    odd: Vec<String>,
    /// Instant until which the words of a failure stay as they are.
    words_kept_until: Option<Timestamp>,
}

impl Probes {
    /// Returns the time of the next probe of a Connection that could not be probed now, or whose
    /// probe failed. A probe before its time, because something else changed, does not count:
    /// applying a fleet makes many.
    pub(super) fn failed(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let mut held = self.held();
        let probed = held.entry(name.to_owned()).or_default();
        let due = probed.due.unwrap_or(now);
        if due > now {
            return Some(due);
        }
        probed.failures = probed.failures.saturating_add(1);
        probed.asked = None;
        let pause = wait(RetryPolicy::default(), probed.failures, 1.0);
        probed.due = Some(now.checked_add(pause).ok()?);
        probed.due
    }

    /// Returns the time of the next probe after this failure: not before the broker's Retry-After.
    pub(super) fn refused(
        &self,
        name: &str,
        failure: &Failure,
        url: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.forget_what_another_asked(name, url);
        let due = self.failed(name, now)?;
        let asked = failure.retry_after;
        let Some(until) = asked.and_then(|asked| now.checked_add(asked).ok()) else {
            return Some(due);
        };
        let mut held = self.held();
        let probed = held.entry(name.to_owned()).or_default();
        probed.due = Some(due.max(until));
        probed.asked = Some((failure.clone(), url.to_owned()));
        probed.due
    }

    /// Forgets the wait that the broker at a former URL asked for: this one did not.
    fn forget_what_another_asked(&self, name: &str, url: &str) {
        let mut held = self.held();
        if let Some(probed) = held.get_mut(name)
            && probed.asked.as_ref().is_some_and(|(_, of)| of != url)
        {
            *probed = Probed {
                odd: std::mem::take(&mut probed.odd),
                ..Probed::default()
            };
        }
    }

    /// Returns the failure with which the broker asked for a wait that is not over, and its end.
    /// Only an edit of the URL ends it before: another broker did not ask.
    pub(super) fn asked_to_wait(
        &self,
        name: &str,
        url: &str,
        now: Timestamp,
    ) -> Option<(Failure, Timestamp)> {
        let held = self.held();
        let probed = held.get(name)?;
        let due = probed.due.filter(|due| *due > now)?;
        let (failure, of) = probed.asked.as_ref()?;
        (of == url).then(|| (failure.clone(), due))
    }

    /// True if new words of a failure are not reported yet: once in each interval between probes.
    pub(super) fn keeps_words(&self, name: &str, now: Timestamp) -> bool {
        let mut held = self.held();
        let probed = held.entry(name.to_owned()).or_default();
        let keeps = probed.words_kept_until.is_some_and(|until| now < until);
        if !keeps {
            probed.words_kept_until = now.checked_add(PROBE).ok();
        }
        keeps
    }

    /// Returns the time of the next probe of a Connection of which a pass came to no end.
    pub(super) fn next(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let due = self.held().get(name).and_then(|probed| probed.due);
        let due = due.filter(|due| *due > now);
        due.or_else(|| now.checked_add(PROBE).ok())
    }

    /// Ends the failures of a Connection that answered. Returns true if its catalog has other odd
    /// entries than before.
    pub(super) fn answered(&self, name: &str, odd: &[String]) -> bool {
        let mut held = self.held();
        let probed = held.entry(name.to_owned()).or_default();
        let is_news = probed.odd != odd;
        *probed = Probed {
            odd: odd.to_vec(),
            ..Probed::default()
        };
        is_news
    }

    /// Drops the memory of a Connection that was removed.
    pub(super) fn forget(&self, name: &str) {
        self.held().remove(name);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Probed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use entente_domain::remote::FailureKind;
    use jiff::SignedDuration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_connection_that_fails_is_probed_more_and_more_seldom_until_it_answers() {
        let probes = Probes::default();
        for (now, next) in [(0, 1), (1, 3), (3, 7), (7, 15)] {
            assert_eq!(probes.failed("hq", at(now)), Some(at(next)));
            // A probe before its time does not prolong the wait.
            assert_eq!(probes.failed("hq", at(now)), Some(at(next)));
        }
        assert_eq!(probes.failed("other", at(7)), Some(at(8)));
        probes.answered("hq", &[]);
        assert_eq!(probes.failed("hq", at(15)), Some(at(16)));
        probes.forget("hq");
        assert_eq!(probes.failed("hq", at(16)), Some(at(17)));
    }

    // shows K5
    #[test]
    fn a_broker_that_asks_for_a_wait_is_not_probed_before_and_one_that_asks_for_none_backs_off() {
        let busy = |seconds| Failure {
            retry_after: Some(SignedDuration::from_secs(seconds)),
            ..Failure::new(FailureKind::Busy, "later")
        };
        let probes = Probes::default();
        let first = "https://broker.example";
        let refused = |failure: &Failure, now| probes.refused("hq", failure, first, at(now));
        assert_eq!(refused(&busy(60), 0), Some(at(60)));
        let asked = probes.asked_to_wait("hq", first, at(59));
        assert_eq!(asked, Some((busy(60), at(60))));
        assert_eq!(probes.asked_to_wait("hq", first, at(60)), None);
        // The Connection leads to another broker.
        let another = "https://another.example";
        assert_eq!(probes.asked_to_wait("hq", another, at(59)), None);
        // A wish for less than the wait that has grown counts for nothing.
        assert_eq!(refused(&busy(0), 60), Some(at(62)));
        assert_eq!(
            refused(&Failure::new(FailureKind::Busy, "later"), 62),
            Some(at(66))
        );
        assert_eq!(probes.asked_to_wait("hq", first, at(63)), None);
        assert_eq!(probes.asked_to_wait("other", first, at(0)), None);
        assert_eq!(refused(&busy(60), 66), Some(at(126)));
        probes.answered("hq", &[]);
        assert_eq!(probes.asked_to_wait("hq", first, at(67)), None);
        // What one asked for does not hold back the next probe of another, which failed.
        assert_eq!(refused(&busy(3600), 70), Some(at(3670)));
        let down = Failure::new(FailureKind::Unreachable, "no answer");
        assert_eq!(probes.refused("hq", &down, another, at(80)), Some(at(81)));
    }

    #[test]
    fn odd_entries_are_news_once() {
        let probes = Probes::default();
        let odd = ["the offering \"x\" has no id".to_owned()];
        assert!(!probes.answered("hq", &[]));
        assert!(probes.answered("hq", &odd));
        assert_eq!(probes.failed("hq", at(0)), Some(at(1)));
        assert!(!probes.answered("hq", &odd));
        assert!(probes.answered("hq", &[]));
    }
}
