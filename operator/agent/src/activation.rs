//! The word of the device on each of its services, and whether the gateway has to hear it (requirements
//! C5, C6 and C15).
//!
//! Decides when the gateway is told: that a person used the switch; that the device cannot do a service,
//! or can do it now; and, of a service that its device has to ask for, that it asks, once for each list
//! in which the service is in force and not on. A service that somebody else switched off is never asked
//! for: only a person at the device takes that back. It reads no clock. What was told is kept with the
//! service, so that a restart tells nothing twice and loses nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    answer::Failure,
    api::{Activation, Answered, By, Word},
    period::Period,
    services::Kept,
};

/// Leg of an activation: the switch is on.
const DISABLED: &str = "DisabledLocally";
/// Leg of an activation: the device can do it.
const UNSUPPORTED: &str = "UnsupportedByDevice";

/// Last word that the gateway has heard on a service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Application id under which it was said.
    pub application_id: String,
    /// Instant of the use of the switch that it told; none if nobody had used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Timestamp>,
    /// Abilities that the device did not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
    /// Tag of the list of services that the device knew then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Answer, for people.
    pub answer: String,
    /// Time after which to ask again, where the answer was that it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Period>,
}

/// A word that the gateway has to hear.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Service.
    pub service_id: String,
    /// Its application id.
    pub application_id: String,
    /// Instant of the use of the switch that it tells.
    pub switched: Option<Timestamp>,
    /// The word.
    pub word: Word,
}

/// Result of telling a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The gateway has heard it: its answer, for people, the state of the service if it named one, and
    /// the time after which to ask again if it is pending.
    Heard {
        /// Answer, for people.
        answer: String,
        /// State of the service.
        state: Option<String>,
        /// Time after which to ask again.
        next: Option<Period>,
    },
    /// There is no such service: the list that the device has is an old one.
    Gone,
}

/// True if a person used the switch of a service since the gateway was told of it, and it can be told.
pub fn is_switched(kept: &Kept) -> bool {
    let told = kept.told.as_ref().and_then(|told| told.switched);
    kept.application_id.is_some() && kept.at.is_some() && kept.at != told
}

/// Returns the word on a service that the gateway has to hear, if there is one. `lacks` is what the
/// device cannot do for it, `list` the tag of the newest list of services, and `way` that by which the
/// owner consented: the device asks by that way where nobody has used the switch.
pub fn due(kept: &Kept, lacks: &[String], list: Option<&str>, way: By) -> Option<Due> {
    let application_id = kept.application_id.clone()?;
    let told = kept.told.as_ref();
    let told = told.filter(|told| told.application_id == application_id);
    let known = told.map_or(&[][..], |told| &told.unsupported);
    let is_off_elsewhere = kept.enabled && has(kept, DISABLED);
    let is_news = known != lacks || asks(kept, lacks, told, list);
    if !is_switched(kept) && (is_off_elsewhere || !is_news) {
        return None;
    }
    Some(Due {
        service_id: kept.service_id.clone(),
        application_id,
        switched: kept.at,
        word: Word {
            active: kept.enabled,
            by: kept.by.unwrap_or(way),
            supported: lacks.is_empty(),
            unsupported: lacks.to_vec(),
        },
    })
}

/// True if the device has to ask for a service and has not, since the list is as it is.
fn asks(kept: &Kept, lacks: &[String], told: Option<&Told>, list: Option<&str>) -> bool {
    let is_off = ["Inactive", "Pending"].contains(&&*kept.state);
    // The gateway need not be told again what it says itself.
    let is_known = !lacks.is_empty() && has(kept, UNSUPPORTED);
    let has_asked = told.is_some_and(|told| list.is_some() && told.list.as_deref() == list);
    kept.activation == Activation::ByDevice && kept.enabled && is_off && !is_known && !has_asked
}

fn has(kept: &Kept, leg: &str) -> bool {
    kept.missing.iter().any(|missing| missing == leg)
}

/// Returns the result of a word by the state that the gateway answered.
pub fn heard(answered: Answered) -> Outcome {
    let state = answered.state;
    let answer = match &answered.reason {
        Some(reason) => format!("{state} ({reason})"),
        None => state.clone(),
    };
    Outcome::Heard {
        answer,
        next: answered.next.filter(|_| state == "Pending"),
        state: Some(state),
    }
}

/// Returns the result of a word that was refused; none for a failure after which it is told again.
pub fn refused(failure: &Failure) -> Option<Outcome> {
    let Failure::Refused {
        status,
        reason,
        detail,
    } = failure
    else {
        return None;
    };
    if *status == 404 {
        return Some(Outcome::Gone);
    }
    // The gateway keeps the word of a 409; nothing is gained by sending another refused one again.
    let answer = match *status {
        409 => reason.clone(),
        _ => format!("{status} {reason}: {detail}"),
    };
    Some(Outcome::Heard {
        answer,
        state: None,
        next: None,
    })
}

/// Keeps that the gateway has heard a word, and what it answered. A use of the switch meanwhile is still
/// to be told.
pub fn record(kept: &mut [Kept], due: &Due, list: Option<&str>, outcome: &Outcome) {
    let Outcome::Heard {
        answer,
        state,
        next,
    } = outcome
    else {
        return;
    };
    let known = kept.iter_mut().find(|it| it.service_id == due.service_id);
    let Some(known) = known else { return };
    known.told = Some(Told {
        application_id: due.application_id.clone(),
        switched: due.switched,
        unsupported: due.word.unsupported.clone(),
        list: list.map(String::from),
        answer: answer.clone(),
        next: *next,
    });
    if let Some(state) = state
        && known.application_id.as_ref() == Some(&due.application_id)
    {
        known.state.clone_from(state);
    }
}

/// Begins with a new registration, whose gateway may know nothing of before: a switch that is off is told
/// again, and a service is asked for again. A switch that is on is not told again, since somebody else
/// may have turned it off since.
pub fn begin(kept: &mut [Kept]) {
    for service in kept {
        if !service.enabled {
            service.told = None;
        }
        if let Some(told) = &mut service.told {
            told.list = None;
            told.next = None;
        }
    }
}

/// Returns the time after which to read the list again, while an answer is pending and the list has been
/// the same so many times: twice as long each time.
pub fn wait(kept: &[Kept], list: Option<&str>, unchanged: u32) -> Option<Duration> {
    let told = kept.iter().filter_map(|service| service.told.as_ref());
    let pending = told.filter(|told| told.list.as_deref() == list);
    let next = pending.filter_map(|told| told.next).map(|next| next.0);
    let next = next.min()?;
    Some(next.saturating_mul(1 << unchanged.min(20)))
}

#[cfg(test)]
mod tests;
