//! Keys that are ready, that run, and that wait for a time. Pure: no clock, no task.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use entente_domain::turns::{Turns, may_take};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{QueueKey, progress::Progress};

/// Interval at which the passes that hold slots are counted again.
const LOOK: Duration = Duration::from_millis(250);

/// Interval at which the durations of passes are added up again.
const COUNT: Duration = Duration::from_secs(5);

/// Number of passes that may be under way at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slots {
    /// Passes that work.
    pub working: usize,
    /// All passes, with those that hang on a remote side and so hold no slot.
    pub running: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Ready,
    Running {
        again: bool,
    },
}

#[derive(Debug, Default)]
struct Entry {
    phase: Phase,
    at: Option<Timestamp>,
    after: Option<Instant>,
    /// The instant that was set before the running pass began; if the pass fails without another
    /// one it is set again.
    before: Option<Timestamp>,
    /// Instant at which it was added, until its pass begins.
    added: Option<Instant>,
    failures: u32,
}

/// A pass that begins.
pub(super) struct Begun<K> {
    pub(super) key: K,
    pub(super) progress: Arc<Progress>,
    /// Time since the key was added.
    pub(super) waited: Duration,
}

/// The passes of a namespace that run.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    running: usize,
    working: usize,
}

#[derive(Debug)]
struct Pass {
    progress: Arc<Progress>,
    working: bool,
}

#[derive(Debug)]
pub(super) struct State<K> {
    entries: HashMap<K, Entry>,
    at: BTreeSet<(Timestamp, K)>,
    after: BTreeSet<(Instant, K)>,
    /// Namespaces that have running passes.
    namespaces: HashMap<Arc<str>, Held>,
    /// Ready keys by namespace.
    turns: Turns<K>,
    ready: usize,
    running: HashMap<K, Pass>,
    working: usize,
    /// Instant of the last count of passes that hold slots.
    looked: Option<Instant>,
    /// Instant of the last sum of durations.
    counted: Option<Instant>,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            at: BTreeSet::new(),
            after: BTreeSet::new(),
            namespaces: HashMap::new(),
            turns: Turns::default(),
            ready: 0,
            running: HashMap::new(),
            working: 0,
            looked: None,
            counted: None,
        }
    }
}

impl<K: QueueKey> State<K> {
    /// True if the key was not to run already.
    pub(super) fn add(&mut self, key: K, now: Instant) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        let is_new = entry.added.is_none();
        entry.added.get_or_insert(now);
        match entry.phase {
            Phase::Idle => {
                entry.phase = Phase::Ready;
                self.ready += 1;
                let namespace = key.namespace().to_owned();
                self.turns.push(&namespace, key);
            }
            Phase::Ready => {}
            Phase::Running { .. } => entry.phase = Phase::Running { again: true },
        }
        is_new
    }

    /// True if the next time to wake up may have changed.
    pub(super) fn add_at(&mut self, key: K, instant: Timestamp) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.at.is_some_and(|set| set <= instant) {
            return false;
        }
        if let Some(later) = entry.at.replace(instant) {
            self.at.remove(&(later, key.clone()));
        }
        self.at.insert((instant, key));
        true
    }

    /// True if the next time to wake up may have changed.
    pub(super) fn add_after(&mut self, key: K, due: Instant) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.after.is_some_and(|set| set <= due) {
            return false;
        }
        if let Some(later) = entry.after.replace(due) {
            self.after.remove(&(later, key.clone()));
        }
        self.after.insert((due, key));
        true
    }

    /// Makes every key ready whose time has come. Returns how many were added.
    pub(super) fn fire(&mut self, wall: Timestamp, now: Instant) -> usize {
        let mut added = 0;
        while self.at.first().is_some_and(|(due, _)| *due <= wall) {
            let Some((_, key)) = self.at.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.at = None;
            }
            added += usize::from(self.add(key, now));
        }
        while self.after.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.after.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.after = None;
            }
            added += usize::from(self.add(key, now));
        }
        added
    }

    /// Takes the slots from the passes that hang, and gives them back to those that go on. Returns
    /// when to look again; none if no key waits for a slot.
    pub(super) fn look(&mut self, now: Instant) -> Option<Instant> {
        if self.ready == 0 || self.running.is_empty() {
            return None;
        }
        if let Some(looked) = self.looked
            && now < looked + LOOK
        {
            return Some(looked + LOOK);
        }
        self.looked = Some(now);
        for (key, pass) in &mut self.running {
            let working = !pass.progress.is_silent(now);
            let Some(namespace) = self.namespaces.get_mut(key.namespace()) else {
                continue;
            };
            match (pass.working, working) {
                (true, false) => {
                    namespace.working -= 1;
                    self.working -= 1;
                }
                (false, true) => {
                    namespace.working += 1;
                    self.working += 1;
                }
                _ => {}
            }
            pass.working = working;
        }
        Some(now + LOOK)
    }

    /// Takes the next key, if there is one and a slot for it. Its times are cleared.
    pub(super) fn begin(&mut self, slots: Slots, now: Instant) -> Option<Begun<K>> {
        let free = slots.working.saturating_sub(self.working);
        let left = slots.running.saturating_sub(self.running.len());
        let namespaces = &self.namespaces;
        let (name, key) = self.turns.take(|name| {
            let held = namespaces.get(name).copied().unwrap_or_default();
            may_take(held.working, free) && may_take(held.running, left)
        })?;
        let held = self.namespaces.entry(name).or_default();
        held.running += 1;
        held.working += 1;
        self.ready -= 1;
        self.working += 1;
        let progress = Arc::new(Progress::new(now));
        let pass = Pass {
            progress: Arc::clone(&progress),
            working: true,
        };
        self.running.insert(key.clone(), pass);
        let entry = self.entries.entry(key.clone()).or_default();
        entry.phase = Phase::Running { again: false };
        entry.before = entry.at.take();
        if let Some(instant) = entry.before {
            self.at.remove(&(instant, key.clone()));
        }
        if let Some(due) = entry.after.take() {
            self.after.remove(&(due, key.clone()));
        }
        let added = entry.added.take();
        Some(Begun {
            key,
            progress,
            waited: added.map_or(Duration::ZERO, |added| now.saturating_duration_since(added)),
        })
    }

    /// Ends a pass. Returns how many have failed in a row.
    pub(super) fn ended(&mut self, key: &K, failed: bool, now: Instant) -> u32 {
        let working = self.running.remove(key).is_some_and(|pass| pass.working);
        self.working -= usize::from(working);
        if let Some(namespace) = self.namespaces.get_mut(key.namespace()) {
            namespace.running -= 1;
            namespace.working -= usize::from(working);
            if namespace.running == 0 {
                self.namespaces.remove(key.namespace());
            }
        }
        let Some(entry) = self.entries.get_mut(key) else {
            return 0;
        };
        entry.failures = if failed {
            entry.failures.saturating_add(1)
        } else {
            0
        };
        let failures = entry.failures;
        let before = entry.before.take().filter(|_| failed);
        let again = entry.phase == Phase::Running { again: true };
        entry.phase = Phase::Idle;
        if let Some(instant) = before {
            self.add_at(key.clone(), instant);
        }
        if again {
            self.add(key.clone(), now);
        } else if let Some(entry) = self.entries.get(key)
            && failures == 0
            && entry.at.is_none()
            && entry.after.is_none()
        {
            // Keys that have nothing more to do take no memory.
            self.entries.remove(key);
        }
        failures
    }

    /// Returns the sum of the durations of passes that run, and the longest of them; `None` if they
    /// were returned just now.
    pub(super) fn unfinished(&mut self, now: Instant) -> Option<(Duration, Duration)> {
        if self.counted.is_some_and(|counted| now < counted + COUNT) && !self.running.is_empty() {
            return None;
        }
        self.counted = (!self.running.is_empty()).then_some(now);
        let ages = self.running.values().map(|pass| pass.progress.age(now));
        let longest = ages.clone().max().unwrap_or_default();
        Some((ages.sum(), longest))
    }

    /// Returns the instant of the next sum of durations.
    pub(super) fn next_count(&self) -> Option<Instant> {
        self.counted.map(|counted| counted + COUNT)
    }

    pub(super) fn next_instant(&self) -> Option<Timestamp> {
        self.at.first().map(|(instant, _)| *instant)
    }

    pub(super) fn next_after(&self) -> Option<Instant> {
        self.after.first().map(|(due, _)| *due)
    }

    /// Returns the keys that wait for an instant of the wall clock.
    #[cfg(test)]
    pub(super) fn instants(&self) -> impl Iterator<Item = &(Timestamp, K)> {
        self.at.iter()
    }

    pub(super) fn depth(&self) -> usize {
        self.ready
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }
}
