//! The waits that brokers ask for, kept for all who ask a broker: 429 with a Retry-After speaks of
//! every request, that of another failure of what the request was about, the catalog or one instance.
//!
//! Decides which failure holds requests back, and for how long; never the next request. Nothing that
//! a person changes ends a wait: another URL is another broker, which did not ask. Kept in memory
//! only: after a restart the broker says it again. Called before and after every request to a broker,
//! for all devices, probes and orphans alike; the wait between two polls is that of the pass and of
//! the removal that began the operation.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    backoff::is_asked_still,
    names::ConnectionName,
    remote::{Failure, FailureKind},
};

/// Subject of a request to a broker.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum About {
    /// The catalog.
    Catalog,
    /// The instance of this id.
    Instance(String),
}

/// The waits of all Connections.
#[derive(Clone, Debug, Default)]
pub struct BrokerWaits(BTreeMap<Scope, Wait>);

/// The requests that a wait holds back.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Scope {
    connection: ConnectionName,
    /// The URL of the broker that asked: another one did not.
    url: String,
    /// `None`: every request.
    about: Option<About>,
}

#[derive(Clone, Debug)]
struct Wait {
    failure: Failure,
    until: Timestamp,
}

impl BrokerWaits {
    /// Returns the failure of a request that must not be sent now, in the broker's words, with the
    /// rest of the wait; `None` if it may be sent. It leaves no doubt: nothing was sent.
    pub fn pending(
        &self,
        connection: &str,
        url: &str,
        about: &About,
        now: Timestamp,
    ) -> Option<Failure> {
        let scopes = [None, Some(about)].map(|about| scope(connection, url, about.cloned()));
        let waits = scopes.iter().filter_map(|scope| self.0.get(scope));
        let wait = waits.max_by_key(|wait| wait.until)?;
        is_asked_still(wait.until, now).then(|| Failure {
            retry_after: Some(wait.until.duration_since(now)),
            ..Failure::new(FailureKind::Busy, wait.failure.message.clone())
        })
    }

    /// Records the failure of a request that was sent. A wait that is under way is never shortened.
    pub fn record(
        &mut self,
        connection: &str,
        url: &str,
        about: &About,
        failure: &Failure,
        now: Timestamp,
    ) {
        self.0.retain(|_, wait| is_asked_still(wait.until, now));
        let asked = failure.retry_after.filter(SignedDuration::is_positive);
        let Some(until) = asked.and_then(|asked| now.checked_add(asked).ok()) else {
            return;
        };
        let about = (failure.kind != FailureKind::Busy).then(|| about.clone());
        let scope = scope(connection, url, about);
        if self.0.get(&scope).is_none_or(|known| known.until < until) {
            let failure = failure.clone();
            self.0.insert(scope, Wait { failure, until });
        }
    }
}

fn scope(connection: &str, url: &str, about: Option<About>) -> Scope {
    Scope {
        connection: connection.into(),
        url: url.to_owned(),
        about,
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const URL: &str = "https://broker.example";
    const MOVED: &str = "https://moved.example";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    fn one() -> About {
        About::Instance("one".to_owned())
    }

    fn another() -> About {
        About::Instance("another".to_owned())
    }

    fn asking(kind: FailureKind, seconds: Option<i64>) -> Failure {
        Failure {
            retry_after: seconds.map(SignedDuration::from_secs),
            ..Failure::new(kind, "come again later")
        }
    }

    fn until(waits: &BrokerWaits, about: &About, now: i64) -> Option<i64> {
        let held = waits.pending("hq", URL, about, at(now))?;
        Some(now + held.retry_after?.as_secs())
    }

    // shows K5
    #[test]
    fn a_broker_that_asks_for_a_wait_is_asked_by_nobody_before_its_end() {
        let mut waits = BrokerWaits::default();
        let record = |waits: &mut BrokerWaits, url: &str, seconds, now| {
            let failure = asking(FailureKind::Busy, Some(seconds));
            waits.record("hq", url, &one(), &failure, at(now));
        };
        record(&mut waits, URL, 60, 0);
        for about in [one(), another(), About::Catalog] {
            assert_eq!(until(&waits, &about, 0), Some(60));
            assert_eq!(until(&waits, &about, 59), Some(60));
            assert_eq!(until(&waits, &about, 60), None);
        }
        let held = waits.pending("hq", URL, &one(), at(30));
        assert_eq!(held, Some(asking(FailureKind::Busy, Some(30))));
        assert_eq!(waits.pending("another", URL, &one(), at(30)), None);
        assert_eq!(waits.pending("hq", MOVED, &one(), at(30)), None);
        // An answer that was under way asks for less; then one for more.
        record(&mut waits, URL, 5, 10);
        assert_eq!(until(&waits, &one(), 10), Some(60));
        record(&mut waits, URL, 90, 10);
        assert_eq!(until(&waits, &one(), 10), Some(100));
        // The Connection leads to another broker for a while, which asks as well, and back again.
        record(&mut waits, MOVED, 5, 20);
        assert_eq!(until(&waits, &one(), 21), Some(100));
        let moved = waits.pending("hq", MOVED, &one(), at(21));
        assert_eq!(moved, Some(asking(FailureKind::Busy, Some(4))));
    }

    // shows K5
    #[test]
    fn a_wish_about_one_instance_or_the_catalog_holds_back_that_alone_and_leaves_no_doubt() {
        for kind in [
            FailureKind::Concurrent,
            FailureKind::ProtocolError,
            FailureKind::RejectedValue,
        ] {
            for (about, others) in [
                (one(), [another(), About::Catalog]),
                (About::Catalog, [one(), another()]),
            ] {
                let mut waits = BrokerWaits::default();
                let failure = Failure {
                    doubtful: true,
                    repeatable: false,
                    ..asking(kind, Some(60))
                };
                waits.record("hq", URL, &about, &failure, at(0));
                let held = waits.pending("hq", URL, &about, at(20));
                assert_eq!(held, Some(asking(FailureKind::Busy, Some(40))), "{kind:?}");
                for other in others {
                    assert_eq!(until(&waits, &other, 0), None, "{kind:?}");
                }
            }
        }
    }

    // shows K5
    #[test]
    fn a_wish_for_no_time_holds_nobody_back_and_what_is_over_is_forgotten() {
        let mut waits = BrokerWaits::default();
        for seconds in [None, Some(0), Some(-60)] {
            let failure = asking(FailureKind::Busy, seconds);
            waits.record("hq", URL, &one(), &failure, at(0));
            assert_eq!(until(&waits, &one(), 0), None, "{seconds:?}");
        }
        for second in 0..9 {
            let about = About::Instance(format!("instance {second}"));
            let failure = asking(FailureKind::ProtocolError, Some(2));
            waits.record("hq", URL, &about, &failure, at(second));
        }
        assert_eq!(waits.0.len(), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_by_a_year_silences_nobody() {
        let mut waits = BrokerWaits::default();
        let year = 31_536_000;
        let failure = asking(FailureKind::Busy, Some(60));
        waits.record("hq", URL, &one(), &failure, at(year));
        assert_eq!(until(&waits, &one(), year - 3600), Some(year + 60));
        assert_eq!(until(&waits, &one(), 0), None);
    }
}
