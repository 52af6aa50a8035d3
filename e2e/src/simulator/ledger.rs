//! The ledger: one line for every request that reached a simulator, and for every change that
//! somebody made at the device itself.
//!
//! Called by the device and the broker while they hold their own state, so that the order of the
//! ledger is the order of the commits. It never decides anything. Memory is bounded: the oldest
//! lines go first.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Number of lines a ledger keeps when nothing else is said.
const DEFAULT_CAPACITY: usize = 1_000_000;
/// Longest value kept of a write, in bytes.
const VALUE_LIMIT: usize = 256;
/// Distinct attribute lists that are kept once and shared between lines.
const SHARED_LIMIT: usize = 16_384;

/// Which kind of simulator wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerKind {
    /// A simulated IPP printer.
    Device,
    /// The Open Service Broker server.
    Broker,
}

/// Who caused the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// A request over the network.
    Request,
    /// Somebody at the panel of the device, or an operator of the broker: drift.
    Panel,
    /// The device restarted.
    Reboot,
}

/// One attribute or parameter of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValue {
    /// Name of the attribute (IPP) or JSON pointer below the body (broker).
    pub name: String,
    /// The value as text, cut to 256 bytes; absent for a name that was only asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl AttributeValue {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(cut(value.into())),
        }
    }

    pub(super) fn name_only(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Entry {
    /// Counts from 1 and is never used twice, not even after [`Ledger::clear`].
    pub sequence: u64,
    /// When the request was decided, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Kind of the peer.
    pub peer: PeerKind,
    /// Who caused it.
    pub cause: Cause,
    /// Device name, or service instance id; `catalog` for the catalogue.
    pub name: String,
    /// Operation, for example `Set-Printer-Attributes` or `provision`.
    pub operation: String,
    /// Whether the operation asks for a change of configuration.
    pub write: bool,
    /// Whether it only asks who the peer is and how it is (identity, state, catalogue).
    pub probe: bool,
    /// printer-uuid of the machine, or service instance id.
    pub key: String,
    /// SHA-256 over operation and content, in hexadecimal. Request ids, charset, natural language,
    /// target URI and user name do not alter it.
    pub digest: String,
    /// `X-Broker-API-Originating-Identity` as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originating_identity: Option<String>,
    /// HTTP status; absent where the connection was closed without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// IPP status code; absent where no IPP answer was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp_status: Option<u16>,
    /// Whether the write took hold in the peer (at once, or as an accepted asynchronous operation).
    pub committed: bool,
    /// Whether what is in effect differs from before.
    pub changed: bool,
    /// Whether the write asked for anything that was not in effect already.
    pub needed: bool,
    /// Attribute names, and for writes their values.
    pub attributes: Vec<AttributeValue>,
}

impl Entry {
    /// When the request was decided.
    ///
    /// # Panics
    /// Never for an entry that a ledger made.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.time_ms).expect("made from a timestamp")
    }

    /// `X-Broker-API-Originating-Identity` taken apart: the platform and the decoded JSON (OSB 2.17,
    /// "Originating Identity"). `None` where it is absent or malformed.
    pub fn originating_user(&self) -> Option<(String, serde_json::Value)> {
        use base64::Engine as _;
        let (platform, encoded) = self.originating_identity.as_deref()?.split_once(' ')?;
        let json = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .ok()?;
        Some((platform.to_owned(), serde_json::from_slice(&json).ok()?))
    }

    /// The value that this line holds for an attribute.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|a| a.name == name)
            .and_then(|a| a.value.as_deref())
    }
}

/// The compact form of a line: names and attribute lists are shared.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Record {
    pub(super) peer: PeerKind,
    pub(super) cause: Cause,
    pub(super) name: Arc<str>,
    pub(super) operation: Cow<'static, str>,
    pub(super) write: bool,
    pub(super) probe: bool,
    pub(super) key: Arc<str>,
    pub(super) digest: [u8; 32],
    pub(super) originating_identity: Option<Arc<str>>,
    pub(super) http_status: Option<u16>,
    pub(super) ipp_status: Option<u16>,
    pub(super) committed: bool,
    pub(super) changed: bool,
    pub(super) needed: bool,
    pub(super) attributes: Arc<[AttributeValue]>,
}

#[derive(Debug)]
struct Line {
    sequence: u64,
    time_ms: i64,
    record: Record,
}

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

/// What was waited for did not appear in the ledger in time.
#[derive(Debug, thiserror::Error)]
#[error("not seen in the ledger within {waited:?}; its last lines:\n{dump}")]
pub struct LedgerTimeout {
    /// How long was waited.
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
    /// A ledger of at most 1,000,000 lines.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// A ledger of at most `capacity` lines; the oldest go first.
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
        // A poisoned lock still holds whole lines: each is pushed in one step.
        self.shared
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, mut record: Record) {
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
            .map(entry)
            .collect()
    }

    /// Every line, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.select(|_| true)
    }

    /// Every line with a sequence number above `sequence`, oldest first.
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

    /// Whether no line is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Requests that asked for a change of configuration, whatever became of them.
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

    /// Writes that a peer took hold of although all they asked for was in effect already (B7).
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
                    found.push(entry(line));
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

    /// Waits until `enough` holds for the lines, and returns them.
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

    /// The last `count` lines, one a line, for a failing test to print.
    pub fn dump(&self, count: usize) -> String {
        let lines = self.lines();
        let skipped = lines.ring.len().saturating_sub(count);
        let mut text = String::new();
        for line in lines.ring.iter().skip(skipped) {
            let entry = entry(line);
            text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
            text.push('\n');
        }
        text
    }
}

fn is_write(line: &Line) -> bool {
    line.record.write && line.record.cause == Cause::Request
}

fn entry(line: &Line) -> Entry {
    let record = &line.record;
    Entry {
        sequence: line.sequence,
        time_ms: line.time_ms,
        peer: record.peer,
        cause: record.cause,
        name: record.name.to_string(),
        operation: record.operation.to_string(),
        write: record.write,
        probe: record.probe,
        key: record.key.to_string(),
        digest: hexadecimal(&record.digest),
        originating_identity: record
            .originating_identity
            .as_ref()
            .map(ToString::to_string),
        http_status: record.http_status,
        ipp_status: record.ipp_status,
        committed: record.committed,
        changed: record.changed,
        needed: record.needed,
        attributes: record.attributes.to_vec(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all");
            text
        })
}

fn cut(mut value: String) -> String {
    value.truncate(value.floor_char_boundary(VALUE_LIMIT));
    value
}
