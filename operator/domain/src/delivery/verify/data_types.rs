//! Verify: kinds of data that a device sends (C7).
//!
//! A kind is in effect when the device reports that it sends it at least as often as is wanted; that it
//! fetched the wish proves nothing. Called by verify for each item of the step DataTypes.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, StepType},
};
use jiff::Timestamp;

use crate::delivery::{
    ResolvedItem, Wanted, WantedData, digest,
    verify::{Found, Round, VerifiedItem},
};
use crate::names::ConnectionName;
use crate::remote::DataReading;
use crate::time::format_duration;

/// Result of a look at one kind of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DataFound {
    /// The device sends it often enough.
    Sent,
    /// It was asked for and has yet to say.
    Waits,
    /// It has read what is wanted, and does not say that it sends it.
    Ignored,
    /// It was not asked for yet.
    Unasked,
}

fn found(reading: &DataReading, data: &WantedData) -> DataFound {
    let asked = reading.asked.get(&data.name);
    // The device stops to send anything of itself, unless it is asked for.
    if asked.is_none_or(|period| *period > data.period) {
        return DataFound::Unasked;
    }
    let often = |period: &Option<jiff::SignedDuration>| period.is_some_and(|it| it <= data.period);
    if reading.sent.get(&data.name).is_some_and(often) {
        DataFound::Sent
    } else if reading.has_taken_note {
        DataFound::Ignored
    } else {
        DataFound::Waits
    }
}

impl Round<'_> {
    /// Returns the proof of a kind of data by a reading that asked for it.
    pub(super) fn data_reading(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        (reading, data): (&DataReading, &WantedData),
    ) -> VerifiedItem {
        let sent = reading.sent.get(&data.name);
        let observed = sent.map(|period| digest(&(&data.name, period.map(|it| it.as_secs()))));
        match found(reading, data) {
            DataFound::Sent => self.read(step, item, at, observed, Found::Wanted),
            DataFound::Waits => self.read(step, item, at, observed, Found::Unknown),
            DataFound::Unasked => {
                let state = (ItemState::NotEffective, None);
                self.proved((step, item), at, observed, state)
            }
            DataFound::Ignored => {
                let message = format!(
                    "{}: the device has read what is wanted, and does not report that it sends this \
                     kind of data at least each {}",
                    item.key,
                    format_duration(data.period)
                );
                let problem = self.problem(item, Reason::AcceptedNotEffective, &message, at);
                let state = (ItemState::NotEffective, Some(problem));
                self.proved((step, item), at, observed, state)
            }
        }
    }
}

/// Returns the kind of data that an item wants, with its connection.
pub(in crate::delivery) fn data_of(wanted: &Wanted) -> Option<(&ConnectionName, &WantedData)> {
    match wanted {
        Wanted::DataType { connection, data } => Some((connection, data)),
        _ => None,
    }
}
