//! Errors of a device (A1): what its events say of them, and what its twin says after that.
//!
//! Decides whether the data of such an event are well formed, and which errors a device has after a batch.
//! An event that is known, or older than the one that changed its error last, changes nothing, so that a
//! batch may be sent again. It must never order anything: the delivery controller reads the twin. Called
//! for each batch.

use entente_crds::bounded::Token;
use entente_crds::v1alpha1::{
    DeviceModel, DeviceTwin, DeviceTwinStatus, MAX_TWIN_ERRORS, TwinError, TwinErrorEvent,
    TwinErrorState, TwinErrorTime,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Batch, Event};
use crate::gateway::members::{FROM_ZERO, Faults, Members};
use crate::gateway::texts::{NAME, instant};

/// Kind of the events that tell of errors.
pub(super) const KIND: &str = "error";
/// Members of the data.
const MEMBERS: [&str; 5] = [
    "state",
    "reason",
    "orderRequested",
    "impressions",
    "replaced",
];
/// States of an error.
const STATES: [(&str, TwinErrorState); 2] = [
    ("Raised", TwinErrorState::Raised),
    ("Cleared", TwinErrorState::Cleared),
];

/// Data of an event that tells of an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ErrorData {
    state: TwinErrorState,
    reason: String,
    order_requested: bool,
    impressions: Option<i64>,
    replaced: bool,
}

/// Errors of a device after a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    /// The status of its twin; `None` if nothing changes.
    pub status: Option<DeviceTwinStatus>,
    /// The events for whose errors there is no room, by their places.
    pub refused: Vec<usize>,
}

/// True if errors of a device of this model are kept. Of a model that cannot be read nobody knows that it
/// lists none.
pub fn are_kept(model: Option<&DeviceModel>) -> bool {
    model.is_none_or(|model| !model.spec.errors.is_empty())
}

/// Reads the data of an event that tells of an error.
pub(super) fn read(data: Option<&Value>, at: &str, faults: &mut Faults) -> Option<ErrorData> {
    let Some(data) = data else {
        faults.note(at, "it is missing", "an object with state and reason");
        return None;
    };
    let members = Members::of(data, at, &MEMBERS, faults)?;
    let state = members.word("state", &STATES, faults);
    let reason = members.required("reason", NAME, faults);
    let order_requested = members.truth("orderRequested", faults);
    let impressions = members.number("impressions", FROM_ZERO, faults);
    let replaced = members.truth("replaced", faults);
    Some(ErrorData {
        state: state?,
        reason: reason?.to_owned(),
        order_requested: order_requested.unwrap_or_default(),
        impressions,
        replaced: replaced.unwrap_or_default(),
    })
}

impl Batch {
    /// True if an event tells of an error.
    pub fn has_errors(&self) -> bool {
        self.events.iter().any(|event| event.error.is_some())
    }

    /// Returns the errors of a device after this batch.
    pub fn errors(&self, twin: &DeviceTwin, now: Timestamp) -> Errors {
        let before = twin.status.as_ref();
        let registered = before.and_then(|status| Some(status.registration.as_ref()?.at));
        let registered = registered.unwrap_or(Timestamp::MIN);
        let mut errors = before.map_or_else(Vec::new, |status| status.errors.clone());
        let mut refused = Vec::new();
        for (place, event) in self.events.iter().enumerate() {
            let Some(data) = &event.error else { continue };
            let news = News::of(event, data, registered, now);
            if news.change(&mut errors).is_err() {
                refused.push(place);
            }
        }
        let status = before.filter(|status| status.errors != errors);
        Errors {
            status: status.map(|status| DeviceTwinStatus {
                errors,
                ..status.clone()
            }),
            refused,
        }
    }
}

/// An event about an error, with the instant that counts.
struct News<'a> {
    data: &'a ErrorData,
    key: String,
    subject: Option<&'a str>,
    event: TwinErrorEvent,
    at: Timestamp,
}

/// There is no room for one more error.
struct Full;

impl<'a> News<'a> {
    /// Reads an event. An instant before the registration, or one that lies ahead, is of a clock that is
    /// wrong: the event counts as it comes.
    fn of(event: &'a Event, data: &'a ErrorData, registered: Timestamp, now: Timestamp) -> Self {
        let told = event.time.as_deref().and_then(instant);
        let time = told.filter(|told| (registered..=now).contains(told));
        let subject = event.subject.as_deref();
        Self {
            data,
            key: match subject {
                Some(subject) => format!("{}/{subject}", data.reason),
                None => data.reason.clone(),
            },
            subject,
            event: TwinErrorEvent {
                id: event.id.as_str().into(),
                time,
                sequence: event.sequence.as_deref().map(Into::into),
            },
            at: time.unwrap_or(now),
        }
    }

    /// Changes the errors of a device.
    fn change(self, errors: &mut Vec<TwinError>) -> Result<(), Full> {
        let key = Token::from(&*self.key);
        if let Some(known) = errors.iter_mut().find(|it| it.key == key) {
            if !is_known(&self.event, &known.event) {
                self.change_one(known);
            }
            return Ok(());
        }
        // An error that nobody heard of is over: that alone is no news.
        if self.data.state == TwinErrorState::Cleared && !self.data.replaced {
            return Ok(());
        }
        if errors.len() >= MAX_TWIN_ERRORS {
            let over = errors.iter().enumerate();
            let over = over.filter_map(|(place, it)| Some((it.until?, place)));
            let (_, oldest) = over.min().ok_or(Full)?;
            errors.remove(oldest);
        }
        let mut error = TwinError {
            key,
            reason: self.data.reason.as_str().into(),
            subject: self.subject.map(Into::into),
            state: TwinErrorState::Cleared,
            since: self.at,
            until: Some(self.at),
            ..TwinError::default()
        };
        self.change_one(&mut error);
        error.before = None;
        errors.push(error);
        errors.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(())
    }

    /// Changes one error. What is told again of an error that is there changes nothing, not even the event
    /// by which it is known, so that a device may repeat itself without a write.
    fn change_one(self, error: &mut TwinError) {
        let data = self.data;
        let before = error.clone();
        match (error.state, data.state) {
            (TwinErrorState::Cleared, TwinErrorState::Raised) => {
                let (since, until) = (error.since, error.until.take());
                error.before = until.map(|until| TwinErrorTime { since, until });
                error.state = TwinErrorState::Raised;
                error.since = self.at;
                error.replaced = None;
                error.order_requested = data.order_requested;
                error.impressions = data.impressions;
            }
            (TwinErrorState::Raised, TwinErrorState::Raised) => {
                error.order_requested |= data.order_requested;
                error.impressions = error.impressions.or(data.impressions);
            }
            (TwinErrorState::Raised, TwinErrorState::Cleared) => {
                error.state = TwinErrorState::Cleared;
                error.until = Some(self.at.max(error.since));
            }
            (TwinErrorState::Cleared, TwinErrorState::Cleared) => {}
        }
        if data.state == TwinErrorState::Cleared && data.replaced && error.replaced.is_none() {
            error.replaced = Some(self.at.max(error.since));
        }
        if *error != before {
            error.event = self.event;
        }
    }
}

/// True if an event is the one that changed an error last, or an older one. Neither a clock that was set
/// nor an order that begins anew makes it older by itself: it has to be older by both, as far as both are
/// told.
fn is_known(event: &TwinErrorEvent, last: &TwinErrorEvent) -> bool {
    if event.id == last.id {
        return true;
    }
    let times = event.time.zip(last.time);
    let sequences = event.sequence.as_ref().zip(last.sequence.as_ref());
    match (times, sequences) {
        (Some((time, last)), Some((place, latest))) => time <= last && place <= latest,
        // Two events of one instant are told in their order.
        (Some((time, last)), None) => time < last,
        (None, Some((place, latest))) => place <= latest,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests;
