//! Limits of requests in flight and requests begun in a second, of one remote host and port and of
//! one Connection.
//!
//! A permit is held for one request and given back when it is answered or dropped, so none is held
//! during a backoff. The permit of the host comes first: a request that waits for a slow host holds
//! none that others need. Tenants are served in turn, and none takes so many slots that another
//! finds none (`turns` of the domain); the instant at which a request may begin is reserved with
//! its slot, so that nobody is before others only because he waits for the rate.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entente_domain::expiring::ExpiringMap;
use entente_domain::turns::{Turns, may_take};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use url::{Host, Url};

use crate::profile::{ConnectionProfile, LimitValues};

/// The interval in which `per_second` is counted.
const SECOND: Duration = Duration::from_secs(1);
/// Time for which an unused count is kept.
const IDLE_COUNT: Duration = Duration::from_secs(10);
/// Bound of the map: more than any fleet has hosts with requests within [`IDLE_COUNT`].
const MOST_COUNTS: usize = 16_384;

/// The right to send one request.
pub(super) struct Permit {
    _host: Slot,
    _total: Slot,
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

/// Returns host and port of a URL in the one spelling under which they are counted: a name without
/// final dots, an IPv4 address that is written as IPv6 as what it is. The URL has read all others
/// already: letters of either case, and IPv4 addresses as one number, octal or hexadecimal. Names
/// that lead to one address are counted apart.
pub(super) fn remote(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(name)) => format!("{}:{port}", name.trim_end_matches('.')),
        Some(Host::Ipv4(address)) => format!("{address}:{port}"),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => format!("{mapped}:{port}"),
            None => format!("[{address}]:{port}"),
        },
        None => format!(":{port}"),
    }
}

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

        let mut host = host.slot(&profile.tenant).await;
        let total = total.slot(&profile.tenant).await;
        host.begin(total.began);
        Permit {
            _host: host,
            _total: total,
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
    in_flight: usize,
    per_second: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Requests under way of each tenant that has some.
    held: BTreeMap<Arc<str>, usize>,
    under_way: usize,
    waiting: Turns<oneshot::Sender<Slot>>,
    /// Instants at which the latest requests began, the earliest first: at most `per_second`.
    begun: VecDeque<Instant>,
    /// True while a task waits for the instant at which the rate allows another one.
    timed: bool,
}

/// A request that may begin at one count, or is under way; its place is free again once this is
/// dropped, also where nobody took it.
struct Slot {
    count: Arc<Count>,
    tenant: Arc<str>,
    began: Instant,
}

impl Slot {
    /// Says that the request begins later than its slot was given.
    fn begin(&mut self, at: Instant) {
        let mut state = self.count.state();
        let begun = &mut state.begun;
        if let Ok(place) = begun.binary_search(&self.began) {
            begun.remove(place);
        }
        let place = begun.partition_point(|other| *other <= at);
        begun.insert(place, at);
        self.began = at;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.count.state().give_back(&self.tenant);
        self.count.grant();
    }
}

/// A tenant that waits for a slot; it leaves no trace if it is dropped.
struct Waiter<'a> {
    count: &'a Count,
    tenant: &'a str,
    granted: oneshot::Receiver<Slot>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.granted.close();
        let mut state = self.count.state();
        state
            .waiting
            .retain(self.tenant, |other| !other.is_closed());
    }
}

impl State {
    fn give_back(&mut self, tenant: &str) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(held) = self.held.get_mut(tenant) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(tenant);
            }
        }
    }

    /// Returns the first instant at which the rate allows one more request to begin.
    fn allowed_from(&mut self, per_second: usize, now: Instant) -> Instant {
        while self.begun.front().is_some_and(|it| *it + SECOND <= now) {
            self.begun.pop_front();
        }
        // The request that is `per_second` places ahead must be a second old.
        let ahead = self.begun.len().checked_sub(per_second);
        ahead.map_or(now, |ahead| (self.begun[ahead] + SECOND).max(now))
    }

    /// Takes the waiter whose turn it is, if there is a slot for one.
    fn next(&mut self, in_flight: usize) -> Option<(Arc<str>, oneshot::Sender<Slot>)> {
        let free = in_flight.saturating_sub(self.under_way);
        let held = &self.held;
        let may = |tenant: &str| may_take(held.get(tenant).copied().unwrap_or_default(), free);
        self.waiting.take(may)
    }
}

impl Count {
    fn new(values: LimitValues) -> Self {
        Self {
            in_flight: values.in_flight.max(1) as usize,
            per_second: values.per_second.max(1) as usize,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of this tenant may begin.
    async fn slot(self: &Arc<Self>, tenant: &str) -> Slot {
        let (grants, granted) = oneshot::channel();
        self.state().waiting.push(tenant, grants);
        let mut waiter = Waiter {
            count: self,
            tenant,
            granted,
        };
        self.grant();
        (&mut waiter.granted)
            .await
            .expect("a waiter is dropped by itself only")
    }

    /// Lets requests begin as far as slots and rate allow.
    fn grant(self: &Arc<Self>) {
        while let Some((slot, waiter)) = self.next() {
            // Of a waiter that is gone the slot comes back: it is dropped here, outside the lock.
            let _ = waiter.send(slot);
        }
    }

    fn next(self: &Arc<Self>) -> Option<(Slot, oneshot::Sender<Slot>)> {
        let mut state = self.state();
        if state.waiting.is_empty() || state.under_way >= self.in_flight {
            return None;
        }
        let now = Instant::now();
        let from = state.allowed_from(self.per_second, now);
        if from > now {
            if !state.timed {
                state.timed = self.grant_at(from);
            }
            return None;
        }
        let (tenant, waiter) = state.next(self.in_flight)?;
        *state.held.entry(Arc::clone(&tenant)).or_default() += 1;
        state.under_way += 1;
        state.begun.push_back(now);
        let slot = Slot {
            count: Arc::clone(self),
            tenant,
            began: now,
        };
        Some((slot, waiter))
    }

    /// True if a task will let requests begin at this instant; there is none while the process
    /// ends, and then nobody waits.
    fn grant_at(self: &Arc<Self>, at: Instant) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let count = Arc::downgrade(self);
        runtime.spawn(async move {
            sleep_until(at).await;
            if let Some(count) = count.upgrade() {
                count.state().timed = false;
                count.grant();
            }
        });
        true
    }

    /// True if a request is under way or waited for, or the last second is not over: another count
    /// would let more begin than is allowed.
    fn is_needed(&self, now: Instant) -> bool {
        let state = self.state();
        let is_warm = state.begun.back().is_some_and(|last| *last + SECOND > now);
        is_warm || state.under_way > 0 || !state.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests;
