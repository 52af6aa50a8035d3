//! The ledger: one line for every request that reached a simulator, and for every change that was
//! made at the device itself.
//!
//! Called by the device and the broker while they hold their own state, so that the order of the
//! ledger is the order of the commits. It never decides anything. Memory is bounded: the oldest
//! lines go first.

mod line;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;

use line::Line;
pub use line::{AttributeValue, Cause, Entry, PeerKind};
pub(super) use line::{Change, Record};

/// Default number of lines that a ledger keeps.
const DEFAULT_CAPACITY: usize = 1_000_000;
/// Distinct attribute lists that are kept once and shared between lines.
const SHARED_LIMIT: usize = 16_384;

#[derive(Debug, Default)]
struct Lines {
    ring: VecDeque<Line>,
    last: u64,
    shared: HashMap<[u8; 32], Arc<[AttributeValue]>>,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    lines: Mutex<Lines>,
    last: watch::Sender<u64>,
}

/// Every request that reached the simulators that share this ledger. Clones are the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

/// The awaited line did not appear in the ledger in time.
#[derive(Debug, thiserror::Error)]
#[error("not seen in the ledger within {waited:?}; its last lines:\n{dump}")]
pub struct LedgerTimeout {
    /// Time of the wait.
    pub waited: Duration,
    /// The last lines of the ledger.
    pub dump: String,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Returns a ledger of at most 1,000,000 lines.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// Returns a ledger of at most `capacity` lines; the oldest are dropped first.
    pub fn with_capacity(capacity: usize) -> Self {
        let shared = Shared {
            capacity: capacity.max(1),
            lines: Mutex::default(),
            last: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // A poisoned lock still has whole lines: each is pushed in one step.
        self.shared
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, record: impl Into<Record>) {
        let mut record = record.into();
        let mut lines = self.lines();
        if let Some(known) = lines.shared.get(&record.digest) {
            record.attributes = Arc::clone(known);
        } else if lines.shared.len() < SHARED_LIMIT {
            let attributes = Arc::clone(&record.attributes);
            lines.shared.insert(record.digest, attributes);
        }
        if lines.ring.len() >= self.shared.capacity {
            lines.ring.pop_front();
        }
        lines.last += 1;
        let sequence = lines.last;
        let time_ms = Timestamp::now().as_millisecond();
        lines.ring.push_back(Line {
            sequence,
            time_ms,
            record,
        });
        drop(lines);
        self.shared.last.send_replace(sequence);
    }

    fn select(&self, wanted: impl Fn(&Line) -> bool) -> Vec<Entry> {
        self.lines()
            .ring
            .iter()
            .filter(|line| wanted(line))
            .map(Line::entry)
            .collect()
    }

    /// Returns every line, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.select(|_| true)
    }

    /// Returns every line with a sequence number above `sequence`, oldest first.
    pub fn entries_since(&self, sequence: u64) -> Vec<Entry> {
        self.select(|line| line.sequence > sequence)
    }

    /// Sequence number of the newest line; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.lines().last
    }

    /// Number of lines kept.
    pub fn len(&self) -> usize {
        self.lines().ring.len()
    }

    /// True if no line is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the requests for a change of configuration, whatever their result.
    pub fn writes(&self) -> Vec<Entry> {
        self.select(is_write)
    }

    /// Writes that reached a peer before `instant`.
    pub fn writes_before(&self, instant: Timestamp) -> Vec<Entry> {
        let limit = instant.as_millisecond();
        self.select(|line| is_write(line) && line.time_ms < limit)
    }

    /// Requests about service instances (also reads) that reached the broker before `instant`.
    pub fn requests_for_instances_before(&self, instant: Timestamp) -> Vec<Entry> {
        let limit = instant.as_millisecond();
        self.select(|line| {
            line.record.peer == PeerKind::Broker
                && line.record.cause == Cause::Request
                && !line.record.probe
                && line.time_ms < limit
        })
    }

    /// Returns writes that a peer carried out although all their values were in effect already
    /// (B7).
    pub fn unneeded_writes(&self) -> Vec<Entry> {
        self.select(|line| is_write(line) && line.record.committed && !line.record.needed)
    }

    /// Writes that were committed a second time with no different change of that key in between.
    pub fn duplicates(&self) -> Vec<Entry> {
        let lines = self.lines();
        let mut latest: HashMap<&Arc<str>, Option<[u8; 32]>> = HashMap::new();
        let mut found = Vec::new();
        for line in &lines.ring {
            let record = &line.record;
            if record.cause != Cause::Request {
                latest.insert(&record.key, None);
            } else if record.write && record.committed {
                let before = latest.insert(&record.key, Some(record.digest));
                if before.flatten() == Some(record.digest) {
                    found.push(line.entry());
                }
            }
        }
        found
    }

    /// Forgets all lines. Sequence numbers go on.
    pub fn clear(&self) {
        let mut lines = self.lines();
        lines.ring.clear();
        lines.shared.clear();
    }

    /// Waits until `enough` is true of the lines, and returns them.
    ///
    /// # Errors
    /// [`LedgerTimeout`] with the last lines when `deadline` passes first.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        enough: impl Fn(&[Entry]) -> bool,
    ) -> Result<Vec<Entry>, LedgerTimeout> {
        let mut last = self.shared.last.subscribe();
        let seen = async {
            loop {
                last.mark_unchanged();
                let entries = self.entries();
                if enough(&entries) || last.changed().await.is_err() {
                    return entries;
                }
            }
        };
        let outcome = tokio::time::timeout(deadline, seen).await;
        outcome.map_err(|_| LedgerTimeout {
            waited: deadline,
            dump: self.dump(40),
        })
    }

    /// Returns the last `count` lines, one a line, for the message of a failing test.
    pub fn dump(&self, count: usize) -> String {
        let lines = self.lines();
        let skipped = lines.ring.len().saturating_sub(count);
        let mut text = String::new();
        for line in lines.ring.iter().skip(skipped) {
            let entry = line.entry();
            text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
            text.push('\n');
        }
        text
    }
}

fn is_write(line: &Line) -> bool {
    line.record.write && line.record.cause == Cause::Request
}
