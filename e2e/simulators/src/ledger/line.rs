//! The lines of a ledger: the stored part of a request, and its form for people.
//!
//! Decides nothing. Called by the ledger; the simulators fill in a [`Record`], or a
//! [`Change`] where there was no request.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Longest value kept of a write, in bytes.
const VALUE_LIMIT: usize = 256;

/// Kind of simulator that wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerKind {
    /// A simulated IPP printer.
    Device,
    /// The Open Service Broker server.
    Broker,
}

/// Cause of the line.
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
    /// The value as text, cut to 256 bytes; absent for a name that was only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl AttributeValue {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(cut(value.into())),
        }
    }

    pub(crate) fn name_only(name: impl Into<String>) -> Self {
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
    /// Counts from 1 and is never used twice, not even after [`super::Ledger::clear`].
    pub sequence: u64,
    /// Instant at which the request was decided, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Kind of the peer.
    pub peer: PeerKind,
    /// Cause of the line.
    pub cause: Cause,
    /// Device name, or service instance id; `catalog` for the catalog.
    pub name: String,
    /// Operation, for example `Set-Printer-Attributes` or `provision`.
    pub operation: String,
    /// True if the operation asks for a change of configuration.
    pub write: bool,
    /// True if it only reads identity, state or catalog.
    pub probe: bool,
    /// printer-uuid of the machine, or service instance id.
    pub key: String,
    /// SHA-256 over operation and content, in hexadecimal. Request ids, charset, natural language,
    /// target URI and user name do not alter it.
    pub digest: String,
    /// `X-Broker-API-Originating-Identity` as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originating_identity: Option<String>,
    /// HTTP status; absent if the connection was closed without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// IPP status code; absent if no IPP answer was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipp_status: Option<u16>,
    /// True if the write took hold in the peer (at once, or as an accepted asynchronous operation).
    pub committed: bool,
    /// True if the values in effect differ from before.
    pub changed: bool,
    /// True if the write asked for anything that was not in effect already.
    pub needed: bool,
    /// Attribute names, and for writes their values.
    pub attributes: Vec<AttributeValue>,
}

impl Entry {
    /// Returns the instant at which the request was decided.
    ///
    /// # Panics
    /// Never for an entry that a ledger made.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.time_ms).expect("made from a timestamp")
    }

    /// Returns `X-Broker-API-Originating-Identity` in its parts: the platform and the decoded JSON
    /// (OSB 2.17, "Originating Identity"). `None` if it is absent or malformed.
    pub fn originating_user(&self) -> Option<(String, serde_json::Value)> {
        use base64::Engine as _;
        let (platform, encoded) = self.originating_identity.as_deref()?.split_once(' ')?;
        let json = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .ok()?;
        Some((platform.to_owned(), serde_json::from_slice(&json).ok()?))
    }

    /// Returns the value that this line has for an attribute.
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
pub(crate) struct Record {
    pub(crate) peer: PeerKind,
    pub(crate) cause: Cause,
    pub(crate) name: Arc<str>,
    pub(crate) operation: Cow<'static, str>,
    pub(crate) write: bool,
    pub(crate) probe: bool,
    pub(crate) key: Arc<str>,
    pub(crate) digest: [u8; 32],
    pub(crate) originating_identity: Option<Arc<str>>,
    pub(crate) http_status: Option<u16>,
    pub(crate) ipp_status: Option<u16>,
    pub(crate) committed: bool,
    pub(crate) changed: bool,
    pub(crate) needed: bool,
    pub(crate) attributes: Arc<[AttributeValue]>,
}

/// A change of a peer that no request made.
pub(crate) struct Change {
    pub(crate) peer: PeerKind,
    pub(crate) cause: Cause,
    pub(crate) name: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) operation: &'static str,
    /// False if everything was so before.
    pub(crate) changed: bool,
    pub(crate) attributes: Vec<AttributeValue>,
}

impl From<Change> for Record {
    fn from(change: Change) -> Self {
        let content = format!("{} {:?}", change.operation, change.attributes);
        Self {
            peer: change.peer,
            cause: change.cause,
            name: change.name,
            operation: change.operation.into(),
            write: true,
            probe: false,
            key: change.key,
            digest: Sha256::digest(content).into(),
            originating_identity: None,
            http_status: None,
            ipp_status: None,
            committed: true,
            changed: change.changed,
            needed: change.changed,
            attributes: change.attributes.into(),
        }
    }
}

/// A line as it is kept.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) time_ms: i64,
    pub(super) record: Record,
}

impl Line {
    /// Returns the line in the form for tests and the control interface.
    pub(super) fn entry(&self) -> Entry {
        let record = &self.record;
        Entry {
            sequence: self.sequence,
            time_ms: self.time_ms,
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
