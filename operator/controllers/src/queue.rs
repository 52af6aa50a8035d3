//! The work queue of a controller: the key that runs next, and the time at which a key runs again.
//!
//! It exists instead of `kube::runtime::Controller` because keys here need not be names of objects
//! (a Device that does not exist yet has work, too), and because no namespace may be served at the
//! cost of another. It knows nothing of what a pass does.
//!
//! - The same key never runs twice at once. A key that is added while it runs, runs again.
//! - Ready keys are taken in turn by namespace, and a namespace gets another slot only while it
//!   holds less than [`DYNAMIC_THRESHOLD`](entente_domain::turns) times the slots that are free (the dynamic threshold of
//!   shared buffers): so there is always room for the first key of a namespace whose turn has not
//!   come, however long the passes of others hang.
//! - A pass that has hung on a remote side for half a second gives its slot to others until it
//!   continues. So the passes that work at once have a bound, those that hang have another
//!   ([`Slots`]), and the same rule of namespaces holds for both.
//! - A time is either an instant of the wall clock, which is read again at least every 10 s, so
//!   that a clock that is set is noticed; or a length of time of the monotonic clock.
//! - A pass that fails, panics or took too long is retried with exponential backoff.
//!
//! One queue per controller; fed by changes of caches, run by the controller's task.

mod progress;
#[cfg(test)]
pub(crate) mod rest;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use entente_domain::backoff::{RetryPolicy, wait};
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tracing::error;

use crate::{
    cache::Key,
    clock::Clock,
    defect,
    metrics::{Metrics, Workqueue},
    shutdown::Shutdown,
};
use progress::noted;
use state::{Begun, State};

pub(crate) use progress::keeping_slot;
pub use state::Slots;

/// Longest time between two readings of the wall clock while an instant is waited for.
const WALL_CLOCK_READ: Duration = Duration::from_secs(10);
/// The waits of a key that fails.
const BACKOFF: RetryPolicy = RetryPolicy {
    initial: SignedDuration::from_secs(1),
    max: SignedDuration::from_mins(5),
};

/// Requirements of a queue on a key.
pub trait QueueKey: Clone + fmt::Debug + Eq + Hash + Ord + Send + Sync + 'static {
    /// Returns the namespace, among which slots are shared fairly.
    fn namespace(&self) -> &str;
}

impl QueueKey for Key {
    fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Time of the next run of a key, as its pass returned it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requeue {
    /// At this instant of the wall clock, or at once if it has passed.
    At(Timestamp),
    /// After this length of time, independently of the wall clock.
    After(Duration),
    /// After a failed pass: after the queue's own backoff for this key, and at this instant of the
    /// wall clock at the latest, as well as at the instant that was set before the pass began.
    Failed {
        /// The next instant that the pass found before it failed.
        at: Option<Timestamp>,
    },
    /// As after a failed pass; it panicked.
    Panicked {
        /// The next instant that matters to the key.
        at: Option<Timestamp>,
    },
    /// As after a failed pass; it took longer than it may.
    TimedOut {
        /// The next instant that matters to the key.
        at: Option<Timestamp>,
    },
}

impl Requeue {
    /// Returns the word for the end of the pass, a label of metrics.
    fn result(self) -> &'static str {
        match self {
            Self::At(_) | Self::After(_) => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Panicked { .. } => "panicked",
            Self::TimedOut { .. } => "timed_out",
        }
    }
}

/// End of a pass: the time of the next one, and how long it took.
type Ended = (Option<Requeue>, Duration);

/// A keyed work queue. Share it in an [`Arc`].
pub struct Queue<K> {
    controller: &'static str,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    series: Workqueue,
    state: Mutex<State<K>>,
    changed: Notify,
    /// Every key that was ever added.
    #[cfg(test)]
    seen: Mutex<std::collections::BTreeSet<K>>,
}

impl<K: QueueKey> Queue<K> {
    /// Returns an empty queue of this controller (the label of its metrics).
    pub fn new(controller: &'static str, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let series = metrics.workqueue(controller);
        let state = Mutex::new(State::default());
        Self {
            controller,
            clock,
            metrics,
            series,
            state,
            changed: Notify::new(),
            #[cfg(test)]
            seen: Mutex::default(),
        }
    }

    /// Runs a key as soon as there is a slot; once, however often it is added before that.
    pub fn add(&self, key: K) {
        #[cfg(test)]
        self.see(&key);
        if self.lock().add(key, Instant::now()) {
            self.series.added(1);
        }
        self.changed.notify_one();
    }

    /// Runs a key when the wall clock reaches `instant`, never before, unless an earlier instant is
    /// set already. A pass that begins clears it, and the instant that the pass returns counts
    /// then.
    pub fn add_at(&self, key: K, instant: Timestamp) {
        #[cfg(test)]
        self.see(&key);
        if self.lock().add_at(key, instant) {
            self.changed.notify_one();
        }
    }

    /// Runs a key after this length of time, unless an earlier time is set already.
    pub fn add_after(&self, key: K, delay: Duration) {
        #[cfg(test)]
        self.see(&key);
        if self.lock().add_after(key, Instant::now() + delay) {
            self.changed.notify_one();
        }
    }

    /// Returns the number of keys that are ready and wait for a slot.
    pub fn depth(&self) -> usize {
        self.lock().depth()
    }

    /// True if nothing is ready and nothing runs; times may be set.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.depth() == 0 && state.running() == 0
    }

    /// Runs keys, as many at once as there are slots, until the shutdown is requested; then waits
    /// for the passes that run. Dropping the future aborts them. Call it once.
    pub async fn run<W, F>(&self, slots: Slots, worker: W, shutdown: Shutdown)
    where
        W: Fn(K) -> F,
        F: Future<Output = Option<Requeue>> + Send + 'static,
    {
        let mut running: JoinSet<Ended> = JoinSet::new();
        let mut keys: HashMap<Id, K> = HashMap::new();
        loop {
            let (begun, wake) = self.next(slots);
            for Begun {
                key,
                progress,
                waited,
            } in begun
            {
                self.series.began_after(waited);
                let work = noted(progress, worker(key.clone()));
                let task = running.spawn(pass(key.clone(), work)).id();
                keys.insert(task, key);
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(ended) = running.join_next_with_id() => self.ended(&mut keys, ended),
                () = self.changed.notified() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            while let Some(ended) = running.try_join_next_with_id() {
                self.ended(&mut keys, ended);
            }
        }
        while let Some(ended) = running.join_next_with_id().await {
            self.ended(&mut keys, ended);
        }
    }

    /// Returns the keys that begin now, and the time of the next call if nothing else happens.
    fn next(&self, slots: Slots) -> (Vec<Begun<K>>, Option<Instant>) {
        let now = Instant::now();
        let wall = self.clock.now();
        let mut state = self.lock();
        self.series.added(state.fire(wall, now));
        let look = state.look(now);
        let begun = std::iter::from_fn(|| state.begin(slots, now)).collect();
        let by_wall = state.next_instant().map(|instant| {
            let left = Duration::try_from(instant.duration_since(wall)).unwrap_or_default();
            now + left.min(WALL_CLOCK_READ)
        });
        if let Some((sum, longest)) = state.unfinished(now) {
            self.series.unfinished(sum, longest);
        }
        let wake = [by_wall, state.next_after(), look, state.next_count()];
        let wake = wake.into_iter().flatten().min();
        let depth = state.depth();
        drop(state);
        self.series.depth(depth);
        (begun, wake)
    }

    fn ended(&self, keys: &mut HashMap<Id, K>, ended: Result<(Id, Ended), JoinError>) {
        let (task, (requeue, took)) = ended.unwrap_or_else(|error| {
            // Panics are caught within, but for one of what is dropped with the pass.
            error!(controller = self.controller, %error, "a pass was lost");
            let lost = Requeue::Panicked { at: None };
            (error.id(), (Some(lost), Duration::ZERO))
        });
        let Some(key) = keys.remove(&task) else {
            return;
        };
        let result = requeue.map_or("succeeded", Requeue::result);
        self.metrics.reconciled(self.controller, result, took);
        self.series.worked(took);
        let wall = self.clock.now();
        let mut state = self.lock();
        let failed = result != "succeeded";
        let failures = state.ended(&key, failed, Instant::now());
        match requeue {
            None => {}
            Some(Requeue::At(instant)) => _ = state.add_at(key, instant),
            Some(Requeue::After(delay)) => _ = state.add_after(key, Instant::now() + delay),
            Some(Requeue::Failed { at } | Requeue::Panicked { at } | Requeue::TimedOut { at }) => {
                self.series.retried();
                let due = Instant::now() + backoff(&key, failures);
                state.add_after(key.clone(), due);
                // An instant that has passed is no reason to leave the backoff out.
                if let Some(instant) = at.filter(|instant| *instant > wall) {
                    state.add_at(key, instant);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code under the lock can panic half way, except an allocation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a pass. The controllers catch panics themselves: one that reaches this is of their report.
async fn pass<K: QueueKey>(key: K, work: impl Future<Output = Option<Requeue>>) -> Ended {
    let began = Instant::now();
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    let requeue = ended.unwrap_or_else(|panic| {
        let message = defect::message(&*panic);
        error!(
            ?key,
            message, "a pass panicked; this is a defect of Entente"
        );
        Some(Requeue::Panicked { at: None })
    });
    (requeue, began.elapsed())
}

/// Returns the wait after so many failures of a key in a row: between half of the step and all of
/// it, by the key, so that keys that failed together do not come back together.
fn backoff<K: Hash>(key: &K, failures: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (key, failures).hash(&mut hasher);
    let spread = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    wait(BACKOFF, failures, 0.5 + f64::from(spread) / 2000.0).unsigned_abs()
}
