//! Limits of requests in flight and requests begun in a second, of one remote host and port and of
//! one Connection.
//!
//! A permit is held for one request and given back when it is answered or dropped, so none is held
//! during a backoff. The permit of the host comes first: a request that waits for a slow host holds
//! none that others need. Requests are served in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::expiring::ExpiringMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::profile::{ConnectionProfile, LimitValues};

/// The interval in which `per_second` is counted.
const SECOND: Duration = Duration::from_secs(1);
/// Time for which an unused count is kept.
const IDLE_COUNT: Duration = Duration::from_secs(10);
/// Bound of the map: more than any fleet has hosts with requests within [`IDLE_COUNT`].
const MOST_COUNTS: usize = 16_384;

/// The right to send one request.
pub(super) struct Permit {
    _host: OwnedSemaphorePermit,
    _total: OwnedSemaphorePermit,
}

/// Subject of a count: a whole Connection (`remote` is empty) or one host and port of it. Changed
/// limits begin a new count.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    connection: String,
    remote: String,
    values: LimitValues,
}

pub(super) struct Limits {
    held: Mutex<Held>,
}

type Held = ExpiringMap<Key, Arc<Count>, Instant>;

impl Default for Limits {
    fn default() -> Self {
        let in_use = |count: &Arc<Count>, now| Arc::strong_count(count) > 1 || count.is_needed(now);
        Self {
            held: Mutex::new(ExpiringMap::new(MOST_COUNTS, in_use)),
        }
    }
}

impl Limits {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.held().len()
    }

    /// Waits until one request may begin.
    pub(super) async fn permit(&self, profile: &ConnectionProfile, remote: &str) -> Permit {
        let host = self.count(&profile.name, remote, profile.per_host);
        let total = self.count(&profile.name, "", profile.total);

        let host_slot = host.slot().await;
        sleep_until(host.reserve()).await;
        let total_slot = total.slot().await;
        sleep_until(total.reserve()).await;
        host.began_late(Instant::now());
        Permit {
            _host: host_slot,
            _total: total_slot,
        }
    }

    fn count(&self, connection: &str, remote: &str, values: LimitValues) -> Arc<Count> {
        let now = Instant::now();
        let key = Key {
            connection: connection.to_owned(),
            remote: remote.to_owned(),
            values,
        };
        let mut held = self.held();
        let make = || Arc::new(Count::new(values));
        Arc::clone(held.get_or_insert_with(key, now, now + IDLE_COUNT, make))
    }
}

struct Count {
    slots: Arc<Semaphore>,
    in_flight: usize,
    per_second: usize,
    /// Instants at which the latest requests began or will begin: at most `per_second` of them.
    begun: Mutex<VecDeque<Instant>>,
}

impl Count {
    fn new(values: LimitValues) -> Self {
        let in_flight = values.in_flight.max(1) as usize;
        Self {
            slots: Arc::new(Semaphore::new(in_flight)),
            in_flight,
            per_second: values.per_second.max(1) as usize,
            begun: Mutex::default(),
        }
    }

    fn begun(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn slot(self: &Arc<Self>) -> OwnedSemaphorePermit {
        Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Returns the first instant at which one more request may begin, and reserves it.
    fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut begun = self.begun();
        while begun.front().is_some_and(|first| *first + SECOND <= now) {
            begun.pop_front();
        }
        let free = match begun.len().checked_sub(self.per_second) {
            // The request that is `per_second` places ahead must be a second old.
            Some(ahead) => (begun[ahead] + SECOND).max(now),
            None => now,
        };
        begun.push_back(free);
        free
    }

    /// Notes that the request reserved last began later than its instant.
    fn began_late(&self, at: Instant) {
        if let Some(last) = self.begun().back_mut().filter(|last| **last < at) {
            *last = at;
        }
    }

    /// True if a request is under way, or the last second is not over: another count would let
    /// more begin than is allowed.
    fn is_needed(&self, now: Instant) -> bool {
        let is_warm = self.begun().back().is_some_and(|last| *last + SECOND > now);
        is_warm || self.slots.available_permits() < self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(in_flight: u32, per_second: u32) -> LimitValues {
        LimitValues {
            in_flight,
            per_second,
        }
    }

    fn profile() -> ConnectionProfile {
        let spec = entente_crds::v1alpha1::ConnectionSpec::default();
        ConnectionProfile::from_spec("hq", &spec, Vec::new(), None, None).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_holds_more_beginnings_than_allowed() {
        let count = Arc::new(Count::new(values(100, 10)));
        let mut begun = Vec::new();
        for _ in 0..35 {
            let _slot = count.slot().await;
            sleep_until(count.reserve()).await;
            begun.push(Instant::now());
        }
        for window in begun.windows(11) {
            assert!(window[10] - window[0] >= SECOND, "{window:?}");
        }
        assert!(
            begun[34] - begun[0] <= Duration::from_millis(3100),
            "no slower than allowed"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn counts_of_hosts_that_nobody_asks_are_forgotten() {
        let limits = Limits::default();
        let profile = profile();
        for host in 0..1000 {
            drop(limits.permit(&profile, &format!("10.0.0.1/{host}")).await);
        }
        assert_eq!(limits.len(), 1001);
        tokio::time::advance(IDLE_COUNT + SECOND).await;
        drop(limits.permit(&profile, "10.0.0.1/1").await);
        assert_eq!(limits.len(), 2, "the Connection and the one host");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_whose_request_is_under_way_is_not_forgotten_however_long_it_takes() {
        let limits = Limits::default();
        let mut profile = profile();
        profile.per_host = values(1, 10);
        let slow = limits.permit(&profile, "10.0.0.1/631").await;
        tokio::time::advance(IDLE_COUNT * 2).await;
        drop(limits.permit(&profile, "10.0.0.2/631").await);
        let mut second = Box::pin(limits.permit(&profile, "10.0.0.1/631"));
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(slow);
        drop(second.await);
    }
}
