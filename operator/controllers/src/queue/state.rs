//! Which keys are ready, which run, and which wait for a time. Pure: no clock, no task.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::QueueKey;

/// A namespace gets another slot while it holds less than this many times the free slots; a
/// namespace that holds none gets one in any case. A namespace that is alone can so hold three
/// quarters of all slots; however many namespaces hold all they can get, some slots stay free.
pub const SHARE: usize = 3;

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
    /// The instant that the pass that runs had cleared: one that fails knows no better.
    before: Option<Timestamp>,
    failures: u32,
}

#[derive(Debug)]
struct Namespace<K> {
    ready: VecDeque<K>,
    running: usize,
}

#[derive(Debug)]
pub(super) struct State<K> {
    entries: HashMap<K, Entry>,
    at: BTreeSet<(Timestamp, K)>,
    after: BTreeSet<(Instant, K)>,
    namespaces: HashMap<Arc<str>, Namespace<K>>,
    /// Namespaces that have ready keys, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    ready: usize,
    running: usize,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            at: BTreeSet::new(),
            after: BTreeSet::new(),
            namespaces: HashMap::new(),
            turns: VecDeque::new(),
            ready: 0,
            running: 0,
        }
    }
}

impl<K: QueueKey> State<K> {
    pub(super) fn add(&mut self, key: K) {
        let entry = self.entries.entry(key.clone()).or_default();
        match entry.phase {
            Phase::Idle => {
                entry.phase = Phase::Ready;
                self.ready += 1;
                let name: Arc<str> = key.namespace().into();
                let namespace =
                    self.namespaces
                        .entry(Arc::clone(&name))
                        .or_insert_with(|| Namespace {
                            ready: VecDeque::new(),
                            running: 0,
                        });
                if namespace.ready.is_empty() {
                    self.turns.push_back(name);
                }
                namespace.ready.push_back(key);
            }
            Phase::Ready => {}
            Phase::Running { .. } => entry.phase = Phase::Running { again: true },
        }
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

    /// Makes every key ready whose time has come.
    pub(super) fn fire(&mut self, wall: Timestamp, now: Instant) {
        while self.at.first().is_some_and(|(due, _)| *due <= wall) {
            let Some((_, key)) = self.at.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.at = None;
            }
            self.add(key);
        }
        while self.after.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.after.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.after = None;
            }
            self.add(key);
        }
    }

    /// Takes the next key, if there is one and a slot for it. Its times are cleared.
    pub(super) fn begin(&mut self, concurrency: usize) -> Option<K> {
        let free = concurrency.saturating_sub(self.running);
        if free == 0 {
            return None;
        }
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let namespace = self.namespaces.get_mut(&name)?;
            if namespace.running > 0 && namespace.running >= SHARE * free {
                self.turns.push_back(name);
                continue;
            }
            let key = namespace.ready.pop_front()?;
            namespace.running += 1;
            if !namespace.ready.is_empty() {
                self.turns.push_back(name);
            }
            self.ready -= 1;
            self.running += 1;
            let entry = self.entries.entry(key.clone()).or_default();
            entry.phase = Phase::Running { again: false };
            entry.before = entry.at.take();
            if let Some(instant) = entry.before {
                self.at.remove(&(instant, key.clone()));
            }
            if let Some(due) = entry.after.take() {
                self.after.remove(&(due, key.clone()));
            }
            return Some(key);
        }
        None
    }

    /// A pass ended; how many have failed in a row is returned.
    pub(super) fn ended(&mut self, key: &K, failed: bool) -> u32 {
        self.running -= 1;
        if let Some(namespace) = self.namespaces.get_mut(key.namespace()) {
            namespace.running -= 1;
            if namespace.running == 0 && namespace.ready.is_empty() {
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
            self.add(key.clone());
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

    pub(super) fn next_instant(&self) -> Option<Timestamp> {
        self.at.first().map(|(instant, _)| *instant)
    }

    pub(super) fn next_after(&self) -> Option<Instant> {
        self.after.first().map(|(due, _)| *due)
    }

    pub(super) fn depth(&self) -> usize {
        self.ready
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }
}
