//! Data that the device sends for its services: the events, and where each of them is in its life
//! (requirements C8, C12 and C16).
//!
//! Decides which occurrence becomes an event, which events may be sent now, what an answer does with them,
//! and what is dropped. An event is never sent for a service that is not on, and never dropped without
//! being counted. It reads no clock and no file; what it keeps is in `outbox.json`. Used by the loop of
//! `run` and by the command `event`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod counts;
mod errors;
mod measures;
mod occurrence;
mod outbox;
mod wants;

pub use self::{
    counts::{Counts, Loss},
    errors::{ERROR, Named, Raised},
    measures::{Measures, Supply},
    occurrence::{Cause, NotSent, On, occur, period, readings},
    outbox::{Batch, Dropped, New, Outbox, Waiting},
    wants::{Fate, Wants},
};

/// Kind of data of the levels of supplies.
pub const SUPPLIES: &str = "supplies.level";
/// Kind of data of the page counter.
pub const COUNTERS: &str = "counters.total";
/// Beginning of the types of events; the name of a kind of data follows.
const TYPES: &str = "dev.entente.";

/// An event as the device keeps it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Id, which no other event of the device ever has.
    pub id: String,
    /// Kind of data.
    pub kind: String,
    /// Instant of the occurrence, by the gateway's clock.
    pub time: Timestamp,
    /// Part of the device that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Application id of the one service that it is for; none for all that want its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
    /// Place in the order of the device, by the order of characters.
    pub sequence: String,
    /// Data.
    pub data: Value,
}

impl Event {
    /// Returns the event in JSON (CloudEvents 1.0.2, JSON format), each time the same text.
    ///
    /// # Panics
    /// Never: texts and JSON are always written.
    pub fn text(&self, printer_id: &str) -> String {
        let sent = Sent {
            specversion: "1.0",
            id: &self.id,
            source: format!("urn:uuid:{printer_id}"),
            r#type: format!("{TYPES}{}", self.kind),
            time: self.time,
            subject: self.subject.as_deref(),
            applicationid: self.application_id.as_deref(),
            sequence: &self.sequence,
            datacontenttype: "application/json",
            data: &self.data,
        };
        serde_json::to_string(&sent).expect("texts and JSON are always written")
    }
}

/// An event as it is sent.
#[derive(Serialize)]
struct Sent<'a> {
    specversion: &'a str,
    id: &'a str,
    source: String,
    r#type: String,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applicationid: Option<&'a str>,
    sequence: &'a str,
    datacontenttype: &'a str,
    data: &'a Value,
}

#[cfg(test)]
mod tests;
