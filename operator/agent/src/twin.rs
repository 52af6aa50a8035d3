//! The settings of the device, and the kinds of data that it sends, against those that the gateway wants.
//!
//! Decides what is applied, when, and what is reported. It applies a new version of the desired
//! document once; a value that a person changes afterwards stays, is reported as theirs, and is
//! overwritten by a later version only. It reports what is in effect, never what was wanted, and
//! never the value of a secret. It reads no clock and no file. Used by the loop of `run`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    api::{DataType, DesiredSetting, Message, Next, Software, Twin},
    panel::States,
};

mod data_types;

pub use data_types::{Sent, to_send};

/// Settings as they are in `settings.json`: values by name.
pub type Settings = BTreeMap<String, String>;

/// Most settings that are reported.
const MOST: usize = 128;
/// Longest value, in characters.
const LONGEST: usize = 1023;

/// Source of a value.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Source {
    /// The gateway.
    Server,
    /// A person at the device, which here is whoever edits the file.
    Panel,
    /// The factory, which here is the file before the first run.
    Default,
}

/// A setting that is in effect.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InEffect {
    /// Its value.
    pub value: String,
    /// Source of the value.
    pub by: Source,
    /// True for a secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// A setting that the device does not accept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refused {
    /// Name of the setting.
    pub key: String,
    /// `ReadOnly`, `InvalidValue`, `Unsupported` or `Busy`.
    pub reason: String,
    /// Words of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The reported document.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reported {
    /// Version that was applied.
    #[serde(default)]
    pub version: Option<u64>,
    /// Settings in effect, each as it is sent.
    #[serde(default)]
    pub settings: BTreeMap<String, Value>,
    /// Kinds of data that are sent.
    #[serde(default, rename = "dataTypes")]
    pub data_types: Vec<Sent>,
    /// Messages, each as it is sent.
    #[serde(default)]
    pub messages: BTreeMap<String, Value>,
    /// Settings that were refused.
    #[serde(default)]
    pub refused: Vec<Refused>,
    /// Software that runs.
    #[serde(default)]
    pub software: Vec<Software>,
    /// Last restart.
    #[serde(default)]
    pub restarted: Option<Timestamp>,
}

/// Ways in which the device of a test does not do what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Settings that it refuses.
    pub refuse: BTreeSet<String>,
    /// Settings, kinds of data and messages that it accepts and does not apply.
    pub ignore: BTreeSet<String>,
}

/// The device's side of the twin, kept in `twin.json`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Held {
    /// Version of the desired document that is held; none before the first of a registration.
    pub version: Option<u64>,
    /// Its tag; none if the document has to be read anew.
    pub etag: Option<String>,
    /// Settings that are wanted.
    pub desired: BTreeMap<String, DesiredSetting>,
    /// Kinds of data that are wanted.
    #[serde(default)]
    pub data_types: Vec<DataType>,
    /// Kinds of data that the device sends.
    #[serde(default)]
    pub sends: Vec<DataType>,
    /// Messages that are wanted.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Messages that the device shows, has taken down, or cannot show.
    #[serde(default)]
    pub shown: States,
    /// Revision that lies ahead.
    pub next: Option<Next>,
    /// Settings that are in effect, as the device knows them.
    pub in_effect: BTreeMap<String, InEffect>,
    /// Settings that were refused.
    pub refused: Vec<Refused>,
    /// Version that was applied last.
    pub applied: Option<u64>,
    /// Document that the gateway has accepted.
    pub acknowledged: Reported,
}

impl Held {
    /// Begins with a new registration: neither tag nor version says anything about its document.
    pub fn begin(&mut self) {
        self.etag = None;
        self.version = None;
        self.data_types.clear();
        self.messages.clear();
    }

    /// Accepts the desired document of an answer, to be applied.
    pub fn take(&mut self, twin: &Twin, etag: Option<String>) {
        let mut complete = true;
        let desired = self.with_secrets(&twin.desired.settings, &mut complete);
        let next = twin.desired.next.as_ref().map(|next| Next {
            effective: next.effective,
            settings: self.with_secrets(&next.settings, &mut complete),
        });
        // Another document of a new registration may have the version of the one before.
        if self.version.is_none() && self.desired != desired {
            self.applied = None;
        }
        self.version = Some(twin.version);
        self.desired = desired;
        if let Some(kinds) = &twin.desired.data_types {
            self.data_types.clone_from(kinds);
        }
        if let Some(messages) = &twin.desired.messages {
            self.messages.clone_from(messages);
        }
        self.next = next;
        self.acknowledged = twin.reported.clone();
        self.etag = etag.filter(|_| complete);
    }

    /// Fills in secrets whose values are left out, from what the device has.
    fn with_secrets(
        &self,
        wanted: &BTreeMap<String, DesiredSetting>,
        complete: &mut bool,
    ) -> BTreeMap<String, DesiredSetting> {
        let mut filled = wanted.clone();
        for (name, setting) in &mut filled {
            if setting.value.is_none() {
                let held = self.desired.get(name).filter(|held| held.secret);
                setting.value = held.and_then(|held| held.value.clone());
                *complete &= setting.value.is_some();
            }
        }
        filled
    }

    /// True if the next revision is in force.
    pub fn is_next_due(&self, now: Timestamp) -> bool {
        self.next.as_ref().is_some_and(|next| next.effective <= now)
    }

    /// Makes the next revision the one that is wanted.
    pub fn begin_next(&mut self) {
        if let Some(next) = self.next.take() {
            self.desired.extend(next.settings);
            // The values that are wanted now are of no version that was applied.
            self.applied = None;
        }
    }

    /// True if the document that is held has not been applied.
    pub fn is_to_apply(&self) -> bool {
        self.version.is_some() && self.applied != self.version
    }

    /// Compares with the settings of the file: what somebody changed is theirs.
    pub fn notice(&mut self, file: &Settings) {
        let by = if self.in_effect.is_empty() && self.applied.is_none() {
            Source::Default
        } else {
            Source::Panel
        };
        self.in_effect.retain(|name, _| file.contains_key(name));
        for (name, value) in file {
            let known = self.in_effect.get(name);
            if known.is_none_or(|known| &known.value != value) {
                let secret = known.is_some_and(|known| known.secret)
                    || self.desired.get(name).is_some_and(|wanted| wanted.secret);
                // A crash between the writes of the two files leaves a value that the gateway set.
                let wanted = self.desired.get(name);
                let is_wanted = wanted.is_some_and(|wanted| wanted.value.as_ref() == Some(value));
                let by = if is_wanted { Source::Server } else { by };
                let value = value.clone();
                let found = InEffect { value, by, secret };
                self.in_effect.insert(name.clone(), found);
            }
        }
    }

    /// Applies what is wanted, and returns the settings for the file.
    pub fn apply(&mut self, faults: &Faults) -> Settings {
        self.refused.clear();
        for (name, wanted) in &self.desired {
            if faults.refuse.contains(name) {
                self.refused.push(Refused {
                    key: name.clone(),
                    reason: "ReadOnly".into(),
                    detail: Some("this device does not let it be set".into()),
                });
                continue;
            }
            let Some(value) = &wanted.value else { continue };
            let is_set = self
                .in_effect
                .get(name)
                .is_some_and(|set| &set.value == value && set.secret == wanted.secret);
            if is_set || faults.ignore.contains(name) {
                continue;
            }
            let set = InEffect {
                value: value.clone(),
                by: Source::Server,
                secret: wanted.secret,
            };
            self.in_effect.insert(name.clone(), set);
        }
        self.applied = self.version;
        let values = self.in_effect.iter();
        values
            .map(|(name, set)| (name.clone(), set.value.clone()))
            .collect()
    }

    /// Returns the document to report.
    pub fn report(&self, software: &[Software], restarted: Option<Timestamp>) -> Reported {
        let settings = self
            .in_effect
            .iter()
            .filter(|(name, set)| is_name(name) && set.value.chars().count() <= LONGEST);
        let settings = settings.take(MOST).map(|(name, set)| {
            let sent = if set.secret {
                json!({"secret": true, "by": set.by})
            } else {
                json!({"value": set.value, "by": set.by})
            };
            (name.clone(), sent)
        });
        Reported {
            // Before the first document is applied there is nothing to confirm.
            version: self.applied.or(self.acknowledged.version),
            settings: settings.collect(),
            data_types: self.sends.iter().map(Sent::from).collect(),
            messages: self
                .shown
                .iter()
                .map(|(id, shown)| (id.clone(), shown.report()))
                .collect(),
            refused: self.refused.clone(),
            software: software.to_vec(),
            restarted: restarted.or(self.acknowledged.restarted),
        }
    }
}

/// True for a name that the gateway accepts: letters, digits, `.`, `_` and `-`, at most 63 of them.
fn is_name(name: &str) -> bool {
    let is_outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() <= 63
        && is_outer(name.bytes().next())
        && is_outer(name.bytes().next_back())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Returns the merge patch (RFC 7396) from one document to the other; none if they are equal.
pub fn patch(from: &Reported, to: &Reported) -> Option<Value> {
    let mut patch = Map::new();
    if let Some(version) = to.version.filter(|_| to.version != from.version) {
        patch.insert("desiredVersion".into(), json!(version));
    }
    for (member, from, to) in [
        ("settings", &from.settings, &to.settings),
        ("messages", &from.messages, &to.messages),
    ] {
        let changes = changes(from, to);
        if !changes.is_empty() {
            patch.insert(member.into(), Value::Object(changes));
        }
    }
    if sorted(&from.data_types) != sorted(&to.data_types) {
        patch.insert("dataTypes".into(), json!(to.data_types));
    }
    if from.refused != to.refused {
        patch.insert("refused".into(), json!(to.refused));
    }
    if sorted(&from.software) != sorted(&to.software) {
        patch.insert("software".into(), json!(to.software));
    }
    if from.restarted != to.restarted {
        patch.insert("restarted".into(), json!(to.restarted));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Returns the members that differ: null for one that is gone.
fn changes(from: &BTreeMap<String, Value>, to: &BTreeMap<String, Value>) -> Map<String, Value> {
    let gone = from.keys().filter(|name| !to.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), Value::Null));
    let others = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(value));
    let others = others.map(|(name, value)| (name.clone(), value.clone()));
    gone.chain(others).collect()
}

fn sorted<T: Ord>(items: &[T]) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort();
    sorted
}

/// Reads the settings of a file that a person may have edited: numbers and truth values are texts.
/// Returns the names of members that are no values, too.
pub fn settings_of(file: Map<String, Value>) -> (Settings, Vec<String>) {
    let mut settings = Settings::new();
    let mut odd = Vec::new();
    for (name, value) in file {
        match value {
            Value::String(text) => drop(settings.insert(name, text)),
            Value::Number(number) => drop(settings.insert(name, number.to_string())),
            Value::Bool(value) => drop(settings.insert(name, value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => odd.push(name),
        }
    }
    (settings, odd)
}

#[cfg(test)]
mod tests;
