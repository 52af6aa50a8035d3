//! Numbers of the events that are over, by kind and reason: for people, and bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most kinds of data that are counted one by one.
pub(super) const MOST_KINDS: usize = 128;
/// Name under which all further kinds are counted.
pub(super) const OTHERS: &str = "(others)";

/// Numbers of events of a kind that are over.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Counts {
    /// Events that the gateway has taken.
    pub taken: u64,
    /// Events that were refused, by the reason of the gateway.
    pub refused: BTreeMap<String, u64>,
    /// Events that were dropped here, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// Reason for which an event is dropped at the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// The outbox was full, and it was the oldest.
    Full,
    /// Nobody wants its kind any more.
    NotWanted,
    /// The service that wants it was switched off at the device.
    SwitchedOff,
    /// Consent was withdrawn.
    ConsentWithdrawn,
    /// The device belongs to another registration now.
    RegisteredAnew,
    /// The gateway does not take it by itself either: it is too large.
    TooLarge,
    /// The gateway finds a fault in it.
    Invalid,
}

impl Loss {
    /// The reason in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::NotWanted => "NotWanted",
            Self::SwitchedOff => "SwitchedOff",
            Self::ConsentWithdrawn => "ConsentWithdrawn",
            Self::RegisteredAnew => "RegisteredAnew",
            Self::TooLarge => "TooLarge",
            Self::Invalid => "Invalid",
        }
    }
}

impl Counts {
    /// Counts an event that was answered: taken, or refused with a reason.
    pub(super) fn answered(&mut self, refused: Option<&str>) {
        match refused {
            Some(reason) => *self.refused.entry(word(reason)).or_default() += 1,
            None => self.taken += 1,
        }
    }

    /// Counts an event that was dropped here.
    pub(super) fn lost(&mut self, loss: Loss) {
        *self.dropped.entry(loss.name().to_owned()).or_default() += 1;
    }
}

/// Reason of a gateway as it is counted: there are few, and they are short.
fn word(reason: &str) -> String {
    match reason {
        "NotRequested" | "RefusedByProvider" | "TooManyErrors" => reason.to_owned(),
        _ => "Other".to_owned(),
    }
}
