//! The kinds of data that the device sends (requirement C7).
//!
//! Decides which of the wanted kinds it sends: those that it can send, each once, and no others. What is
//! reported is what is sent.

use serde::{Deserialize, Serialize};

use super::Faults;
use crate::{api::DataType, period::Period};

/// Most kinds that a device sends: a gateway wants no more.
const MOST: usize = 64;

/// A kind of data in a report.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Sent {
    /// Name of the kind.
    pub name: String,
    /// Longest time between two messages; none where it is sent on events alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Period>,
}

impl From<&DataType> for Sent {
    fn from(kind: &DataType) -> Self {
        Self {
            name: kind.name.clone(),
            period: Some(kind.period),
        }
    }
}

/// Returns the kinds to send, ordered by name.
pub fn to_send(
    wanted: &[DataType],
    is_able: impl Fn(&str) -> bool,
    faults: &Faults,
) -> Vec<DataType> {
    let mut sends: Vec<DataType> = wanted
        .iter()
        .filter(|kind| is_able(&kind.name) && !faults.ignore.contains(&kind.name))
        .cloned()
        .collect();
    sends.sort_by(|one, other| one.name.cmp(&other.name));
    sends.dedup_by(|one, other| one.name == other.name);
    sends.truncate(MOST);
    sends
}
