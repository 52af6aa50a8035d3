//! Occurrences at the device, and which of them become events.
//!
//! Decides by the `on`, the threshold and the period of the wanted kinds. What is not asked for is not sent,
//! and the reason is said to whoever caused it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    COUNTERS, SUPPLIES,
    outbox::{MOST_EVENT, New, Outbox},
    wants::{Fate, Wants},
};
use crate::api::DataType;

/// Percent by which a supply falls when it is consumed.
const CONSUMED: u8 = 5;
/// Step back of the clock that means nothing.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// The most levels of lists and objects in data.
const LEVELS: usize = 16;
/// The most characters of a subject.
const LONGEST_SUBJECT: usize = 127;
/// The most characters of an application id.
const LONGEST_ID: usize = 191;

/// Occurrence that sends a kind of data besides its period.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum On {
    /// Something was used up, a part of it at least.
    Consumed,
    /// A level fell below the threshold of the kind.
    BelowThreshold,
    /// Something was replaced.
    Replaced,
    /// A state has begun.
    Raised,
    /// A state has ended.
    Cleared,
}

impl On {
    /// Name in a list of wanted occurrences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consumed => "Consumed",
            Self::BelowThreshold => "BelowThreshold",
            Self::Replaced => "Replaced",
            Self::Raised => "Raised",
            Self::Cleared => "Cleared",
        }
    }
}

/// Something that happens at the device.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    /// Kind of data.
    pub kind: String,
    /// Occurrence; none for a message as if the period were over.
    pub on: Option<On>,
    /// Data in place of what the device measures.
    pub data: Option<Value>,
    /// Part of the device that it is about.
    pub subject: Option<String>,
    /// Application id of the one service that it is for.
    pub application_id: Option<String>,
}

/// Reason for which something that happened becomes no event.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotSent {
    /// The kind is not sent.
    #[error("{kind:?} is no kind of data that this device sends; it sends: {sends}")]
    Kind {
        /// Kind.
        kind: String,
        /// Kinds that are sent.
        sends: String,
    },
    /// The occurrence is not asked for.
    #[error("{kind} is not asked for on {on}; it is sent: {asked}")]
    On {
        /// Kind.
        kind: String,
        /// Occurrence.
        on: &'static str,
        /// Occasions on which it is sent.
        asked: String,
    },
    /// The level is not below the threshold.
    #[error("{kind} is asked for below {threshold} %, and the level is {level} %")]
    Level {
        /// Kind.
        kind: String,
        /// Level in percent.
        level: f64,
        /// Threshold in percent.
        threshold: u8,
    },
    /// No service that is on wants it.
    #[error("no service {who}that is on wants {kind}")]
    Service {
        /// Kind.
        kind: String,
        /// The service, if it is for one.
        who: String,
    },
    /// The device has the error already, and nothing more is told of it.
    #[error("{error} is raised already")]
    Raised {
        /// The error.
        error: String,
    },
    /// The device does not have the error.
    #[error("{error} is not raised")]
    NotRaised {
        /// The error.
        error: String,
    },
    /// A text or the data cannot be sent.
    #[error("{field}: found {found}; allowed: {allowed}")]
    Form {
        /// Name of the argument.
        field: &'static str,
        /// Words about what was found.
        found: String,
        /// Words about what is allowed.
        allowed: &'static str,
    },
}

/// Lets something happen: what the device measures changes, and if that is asked for an event is added to
/// the outbox. Returns its id.
///
/// # Errors
/// Returns why there is no event.
pub fn occur(
    outbox: &mut Outbox,
    wants: &Wants<'_>,
    cause: &Cause,
    now: Timestamp,
) -> Result<String, NotSent> {
    judge(cause)?;
    let Some(kind) = wants.kind(&cause.kind) else {
        let sends = wants.sends.unwrap_or_default();
        let names: Vec<&str> = sends.iter().map(|kind| &*kind.name).collect();
        return Err(NotSent::Kind {
            kind: cause.kind.clone(),
            sends: words(&names),
        });
    };
    let subject = subject(outbox, cause);
    if kind.name == SUPPLIES && cause.data.is_none() {
        let name = subject.as_deref().unwrap_or_default();
        measure(outbox, kind, cause.on, name);
    }
    let name = said(kind, cause, outbox, subject.as_deref())?;
    let application_id = cause.application_id.as_deref();
    if wants.fate(&kind.name, application_id) != Fate::Send {
        let who = application_id.map_or_else(String::new, |id| format!("{id} "));
        let kind = kind.name.clone();
        return Err(NotSent::Service { kind, who });
    }
    let data = match &cause.data {
        Some(data) => data.clone(),
        None => measured(outbox, &kind.name, subject.as_deref(), name),
    };
    if cause.on.is_none() {
        outbox.last.insert(kind.name.clone(), now);
    }
    let new = New {
        kind: kind.name.clone(),
        subject,
        application_id: cause.application_id.clone(),
        data,
    };
    Ok(outbox.add(new, now))
}

/// Adds the events whose period is over, or which were never sent since their kind is wanted. Returns their
/// number.
pub fn period(outbox: &mut Outbox, wants: &Wants<'_>, now: Timestamp) -> usize {
    let mut added = 0;
    for kind in outbox.due(wants, now) {
        outbox.last.insert(kind.clone(), now);
        added += readings(outbox, &kind, now);
    }
    added
}

/// Adds the events of one reading of a kind: of supplies one for each. Returns their number.
pub fn readings(outbox: &mut Outbox, kind: &str, now: Timestamp) -> usize {
    let supplies = outbox.measures.supplies.iter();
    let subjects: Vec<Option<String>> = match kind {
        SUPPLIES => supplies.map(|it| Some(it.name.clone())).collect(),
        _ => vec![None],
    };
    for subject in &subjects {
        if let (SUPPLIES, Some(name)) = (kind, subject) {
            outbox.measures.consume(name, 1);
        }
        let data = measured(outbox, kind, subject.as_deref(), None);
        let new = New {
            kind: kind.to_owned(),
            subject: subject.clone(),
            application_id: None,
            data,
        };
        outbox.add(new, now);
    }
    subjects.len()
}

impl Outbox {
    /// Returns the kinds whose period is over. One whose last message lies ahead was sent by a clock that
    /// was wrong.
    pub fn due(&self, wants: &Wants<'_>, now: Timestamp) -> Vec<String> {
        let kinds = wants.sends.unwrap_or_default().iter();
        let due = kinds.filter(|kind| wants.fate(&kind.name, None) == Fate::Send);
        let due = due.filter(|kind| {
            let last = self.last.get(&kind.name);
            last.is_none_or(|last| is_over(now.duration_since(*last), kind.period.0))
        });
        due.map(|kind| kind.name.clone()).collect()
    }
}

/// True if a period is over, or its beginning lies so far ahead that a clock was wrong. The gateway's clock
/// has whole seconds, so that each of its answers may set the time back a little.
fn is_over(passed: SignedDuration, period: Duration) -> bool {
    let length = passed.unsigned_abs();
    if passed.is_negative() {
        length > period.max(STEP)
    } else {
        length >= period
    }
}

/// Judges what a person has typed.
fn judge(cause: &Cause) -> Result<(), NotSent> {
    let fault = |field, found: String, allowed| NotSent::Form {
        field,
        found,
        allowed,
    };
    if let Some(subject) = &cause.subject {
        judge_subject(subject)?;
    }
    if let Some(id) = &cause.application_id {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(is_inner) {
            let allowed = "an application id, as `status` shows it";
            return Err(fault("--application-id", format!("{id:?}"), allowed));
        }
    }
    if let Some(data) = &cause.data {
        let bytes = data.to_string().len();
        if bytes > MOST_EVENT {
            let found = format!("{bytes} bytes");
            return Err(fault("--data", found, "at most 32768 bytes of JSON"));
        }
        if levels(data) > LEVELS {
            let found = format!("{} levels", levels(data));
            return Err(fault("--data", found, "at most 16 levels"));
        }
    }
    Ok(())
}

/// Judges the part of the device that something is about.
pub(super) fn judge_subject(subject: &str) -> Result<(), NotSent> {
    let is_long = (1..=LONGEST_SUBJECT).contains(&subject.chars().count());
    if is_long && !subject.chars().any(char::is_control) && subject.trim() == subject {
        return Ok(());
    }
    Err(NotSent::Form {
        field: "--subject",
        found: format!("{subject:?}"),
        allowed: "1 to 127 characters without control characters and without blanks at the ends",
    })
}

fn levels(data: &Value) -> usize {
    match data {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// Part of the device that an occurrence is about: the first supply if nobody says it.
fn subject(outbox: &Outbox, cause: &Cause) -> Option<String> {
    let first = outbox.measures.supplies.first();
    let first = first.filter(|_| cause.kind == SUPPLIES);
    cause
        .subject
        .clone()
        .or_else(|| first.map(|it| it.name.clone()))
}

/// Lets an occurrence change the level of a supply.
fn measure(outbox: &mut Outbox, kind: &DataType, on: Option<On>, name: &str) {
    match on {
        Some(On::Consumed) => outbox.measures.consume(name, CONSUMED),
        Some(On::Replaced) => outbox.measures.set(name, 100),
        Some(On::BelowThreshold) => {
            let below = kind.threshold.unwrap_or(1).saturating_sub(1);
            let level = outbox.measures.level(name).unwrap_or(100);
            outbox.measures.set(name, level.min(below));
        }
        Some(On::Raised | On::Cleared) | None => {}
    }
}

/// Returns the name of the occurrence that is asked for. Something that is consumed may fall below the
/// threshold by that.
fn said(
    kind: &DataType,
    cause: &Cause,
    outbox: &Outbox,
    subject: Option<&str>,
) -> Result<Option<&'static str>, NotSent> {
    let Some(on) = cause.on else {
        return Ok(None);
    };
    let asks = |on: On| kind.on.iter().any(|asked| asked == on.name());
    let given = cause.data.as_ref().and_then(|data| data["level"].as_f64());
    let level = given.or_else(|| {
        let level = subject.and_then(|name| outbox.measures.level(name));
        level.filter(|_| kind.name == SUPPLIES).map(f64::from)
    });
    let threshold = kind.threshold;
    let is_below = level
        .zip(threshold)
        .is_some_and(|(level, threshold)| level < f64::from(threshold));
    if on == On::Consumed && !asks(on) && asks(On::BelowThreshold) && is_below {
        return Ok(Some(On::BelowThreshold.name()));
    }
    if !asks(on) {
        let mut asked: Vec<String> = kind.on.iter().map(|on| format!("on {on}")).collect();
        asked.push(format!("each {}", kind.period));
        return Err(NotSent::On {
            kind: kind.name.clone(),
            on: on.name(),
            asked: asked.join(", "),
        });
    }
    if let (On::BelowThreshold, Some(level), Some(threshold), false) =
        (on, level, threshold, is_below)
    {
        return Err(NotSent::Level {
            kind: kind.name.clone(),
            level,
            threshold,
        });
    }
    Ok(Some(on.name()))
}

/// Returns the data that the device measures for a kind.
fn measured(outbox: &mut Outbox, kind: &str, subject: Option<&str>, on: Option<&str>) -> Value {
    match (kind, subject) {
        (SUPPLIES, Some(name)) => outbox.measures.supply(name, on),
        (COUNTERS, _) => outbox.measures.counter(),
        _ => json!({}),
    }
}

/// Names with commas; `none` if there is none.
fn words(names: &[&str]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}
