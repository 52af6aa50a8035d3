//! The waits that brokers ask for: 429 with a Retry-After speaks of all who use the broker, and not
//! of the one request that met it.
//!
//! Decides which failure holds a whole Connection back, and for how long; never the next request. A
//! wait is kept in memory only: after a restart the broker says it again. Called before and after
//! every request to a broker, for all devices, probes and orphans alike.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    names::ConnectionName,
    remote::{Failure, FailureKind},
};

/// The waits of all Connections.
#[derive(Clone, Debug, Default)]
pub struct BrokerWaits(BTreeMap<ConnectionName, Wait>);

#[derive(Clone, Debug)]
struct Wait {
    /// The URL of the broker that asked: another one did not.
    url: String,
    failure: Failure,
    until: Timestamp,
}

impl BrokerWaits {
    /// Returns the failure of a request that must not be sent now, as the broker put it, with the
    /// rest of the wait; `None` if it may be sent.
    pub fn pending(&self, connection: &str, url: &str, now: Timestamp) -> Option<Failure> {
        let wait = self.0.get(connection)?;
        if wait.url != url || wait.until <= now {
            return None;
        }
        Some(Failure {
            retry_after: Some(wait.until.duration_since(now)),
            ..wait.failure.clone()
        })
    }

    /// Records the failure of a request that was sent. A wait that is under way is never shortened.
    pub fn record(&mut self, connection: &str, url: &str, failure: &Failure, now: Timestamp) {
        if failure.kind != FailureKind::Busy {
            return;
        }
        let asked = failure.retry_after.filter(SignedDuration::is_positive);
        let Some(until) = asked.and_then(|asked| now.checked_add(asked).ok()) else {
            return;
        };
        let known = self.0.get(connection);
        if known.is_some_and(|known| known.url == url && known.until >= until) {
            return;
        }
        let (url, failure) = (url.to_owned(), failure.clone());
        let wait = Wait {
            url,
            failure,
            until,
        };
        self.0.insert(connection.into(), wait);
    }

    /// Ends the wait of a Connection that a person edited: it is tried at once.
    pub fn forget(&mut self, connection: &str) {
        self.0.remove(connection);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const URL: &str = "https://broker.example";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number of seconds")
    }

    fn asking(kind: FailureKind, seconds: Option<i64>) -> Failure {
        Failure {
            retry_after: seconds.map(SignedDuration::from_secs),
            ..Failure::new(kind, "HTTP 429")
        }
    }

    fn until(waits: &BrokerWaits, now: i64) -> Option<i64> {
        let held = waits.pending("hq", URL, at(now))?;
        Some(now + held.retry_after?.as_secs())
    }

    // shows K5
    #[test]
    fn a_broker_that_asks_for_a_wait_is_asked_by_nobody_before_its_end() {
        let mut waits = BrokerWaits::default();
        waits.record("hq", URL, &asking(FailureKind::Busy, Some(60)), at(0));
        assert_eq!(until(&waits, 0), Some(60));
        assert_eq!(until(&waits, 59), Some(60));
        assert_eq!(until(&waits, 60), None);
        let held = waits.pending("hq", URL, at(30));
        assert_eq!(held, Some(asking(FailureKind::Busy, Some(30))));
        assert_eq!(waits.pending("another", URL, at(30)), None);
        assert_eq!(waits.pending("hq", "https://moved.example", at(30)), None);
        // An answer that was under way asks for less; then one for more.
        waits.record("hq", URL, &asking(FailureKind::Busy, Some(5)), at(10));
        assert_eq!(until(&waits, 10), Some(60));
        waits.record("hq", URL, &asking(FailureKind::Busy, Some(90)), at(10));
        assert_eq!(until(&waits, 10), Some(100));
        waits.forget("hq");
        assert_eq!(until(&waits, 10), None);
    }

    // shows K5
    #[test]
    fn a_wish_about_one_request_or_for_no_time_holds_nobody_back() {
        for failure in [
            asking(FailureKind::Busy, None),
            asking(FailureKind::Busy, Some(0)),
            asking(FailureKind::Concurrent, Some(60)),
            asking(FailureKind::ProtocolError, Some(60)),
            asking(FailureKind::RejectedValue, Some(60)),
        ] {
            let mut waits = BrokerWaits::default();
            waits.record("hq", URL, &failure, at(0));
            assert_eq!(until(&waits, 0), None, "{failure:?}");
        }
    }
}
