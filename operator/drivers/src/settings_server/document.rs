//! The document of one device at a settings distribution server: what is wanted of it, and what it
//! reported.
//!
//! Pure. Decides what a report proves: nothing of a place where something was wanted after the device
//! had last looked, which the versions tell and no clock does. Never takes what is wanted for what is.
//! Called by the driver with a body that was read in full.

use std::collections::BTreeSet;

use entente_domain::protocol::Place;
use entente_domain::remote::{
    AskedState, AskedValue, DeviceReading, Failure, FailureKind, Scalar, Value,
};
use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;

use super::answer::Problem;
use crate::text::Gate;

/// The largest number of characters of a version.
const MOST_VERSION: usize = 128;

/// The document of a device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    serial_number: String,
    #[serde(default)]
    desired: Option<Desired>,
    #[serde(default)]
    operations: Vec<Operation>,
    #[serde(default)]
    reported: Option<Reported>,
}

/// Values that are wanted of the device, with their version.
#[derive(Debug, Deserialize)]
struct Desired {
    version: String,
    #[serde(default)]
    settings: Json,
}

/// A change of what is wanted that the server has accepted and not made.
#[derive(Debug, Deserialize)]
struct Operation {
    state: String,
    path: String,
    #[serde(default)]
    value: Json,
    #[serde(default)]
    problem: Option<Problem>,
}

/// The last report of the device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    version: String,
    #[serde(default)]
    serial_number: Option<String>,
    #[serde(default)]
    product_name: Option<String>,
    #[serde(default)]
    settings: Json,
    #[serde(default)]
    refused: Vec<Refused>,
    /// Everything else that it said, such as its UUID.
    #[serde(flatten)]
    others: serde_json::Map<String, Json>,
}

/// A wanted value that the device does not take.
#[derive(Debug, Deserialize)]
struct Refused {
    path: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    detail: Option<String>,
}

impl Document {
    /// Reads a body.
    ///
    /// # Errors
    /// It makes no sense, or is the document of another device.
    pub(super) fn read(body: &[u8], serial_number: &str) -> Result<Self, Failure> {
        let senseless = |why: String| {
            let message = format!(
                "the document of the device that the settings distribution server sent makes no \
                 sense: {why}"
            );
            Failure::new(FailureKind::ProtocolError, message)
        };
        let read: Result<Self, _> = serde_json::from_slice(body);
        // The words of the reader may quote a value.
        let document = read.map_err(|error| {
            senseless(format!(
                "it is not as docs/api/settings.yaml has it at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        if document.serial_number != serial_number {
            return Err(senseless(
                "its serial number is another than the one that was asked for".to_owned(),
            ));
        }
        let desired = document.desired.as_ref().map(|it| &it.version);
        let reported = document.reported.as_ref().map(|it| &it.version);
        for version in desired.into_iter().chain(reported) {
            let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
            if version.is_empty() || version.len() > MOST_VERSION || !version.chars().all(is_plain)
            {
                return Err(senseless(format!(
                    "a version must have 1 to {MOST_VERSION} seen characters of ASCII, and neither \
                     '\"' nor '\\'"
                )));
            }
        }
        Ok(document)
    }

    /// Returns the version of what is wanted. Nothing was wanted of a device that has none.
    pub(super) fn wanted_version(&self) -> &str {
        self.desired.as_ref().map_or("0", |it| it.version.as_str())
    }

    /// True if an operation that brings a value to a place is under way.
    pub(super) fn is_under_way(&self, path: &str, value: &Value) -> bool {
        let wanted = json_of(value);
        let mut running = self.operations.iter().filter(|it| it.state == "Running");
        running.any(|it| it.path == path && is_same(&it.value, &wanted))
    }

    /// Returns the reading of the device.
    ///
    /// # Errors
    /// The device has reported nothing yet.
    pub(super) fn reading(
        &self,
        uuid: &str,
        places: &BTreeSet<Place>,
        gate: &Gate<'_>,
    ) -> Result<DeviceReading, Failure> {
        let Some(reported) = &self.reported else {
            let message = "the device has not reported to the settings distribution server yet";
            return Err(Failure::new(FailureKind::NotHeardOf, message));
        };
        let mut reading = DeviceReading {
            product_name: reported.product_name.clone(),
            identity: reported.said_at(uuid).map(str::to_owned),
            serial_number: reported.serial_number.clone(),
            ..DeviceReading::default()
        };
        for place in places {
            let Some(path) = place.as_http() else {
                continue;
            };
            if let Some(values) = at(&reported.settings, path).and_then(scalars) {
                reading.values.insert(place.clone(), values);
            }
            if self.is_outdated(reported, path) {
                reading.outdated.insert(place.clone());
            }
            if let Some(asked) = self.asked(reported, path, gate) {
                reading.asked.insert(place.clone(), asked);
            }
        }
        Ok(reading)
    }

    /// True if something is wanted at a place that the device had not seen when it reported.
    fn is_outdated(&self, reported: &Reported, path: &str) -> bool {
        let desired = self.desired.as_ref();
        let is_wanted = desired.is_some_and(|it| at(&it.settings, path).is_some());
        let mut running = self.operations.iter().filter(|it| it.state == "Running");
        running.any(|it| it.path == path) || is_wanted && !self.has_seen(reported)
    }

    /// True if the device had seen all that is wanted now when it reported. A version that is older or
    /// newer, as after a restore of the server, says nothing of that.
    fn has_seen(&self, reported: &Reported) -> bool {
        let desired = self.desired.as_ref();
        desired.is_none_or(|desired| desired.version == reported.version)
    }

    /// Returns the value that the device is asked to take at a place: the one of the newest operation,
    /// else the one that is wanted.
    fn asked(&self, reported: &Reported, path: &str, gate: &Gate<'_>) -> Option<AskedValue> {
        let mut operations = self.operations.iter().rev();
        if let Some(operation) = operations.find(|it| it.path == path && it.is_open()) {
            let state = match &operation.problem {
                None => AskedState::Waiting,
                Some(problem) => AskedState::Refused(problem.failure("", gate)),
            };
            return Some(asked_value(&operation.value, state));
        }
        let wanted = at(&self.desired.as_ref()?.settings, path)?;
        let refused = reported.refused.iter().find(|it| it.path == path);
        let state = match refused {
            _ if !self.has_seen(reported) => AskedState::Waiting,
            Some(refused) => AskedState::Refused(refused.failure(gate)),
            None => AskedState::Taken,
        };
        Some(asked_value(wanted, state))
    }
}

impl Operation {
    /// True if it is under way, or ended without success.
    fn is_open(&self) -> bool {
        match self.state.as_str() {
            "Running" => self.problem.is_none(),
            "Failed" => self.problem.is_some(),
            _ => false,
        }
    }
}

impl Reported {
    /// Returns a text that it said beside its settings.
    fn said_at(&self, path: &str) -> Option<&str> {
        self.others.get(path.strip_prefix('/')?)?.as_str()
    }
}

impl Refused {
    fn failure(&self, gate: &Gate<'_>) -> Failure {
        let (kind, why) = match self.reason.as_str() {
            "ReadOnly" => (FailureKind::RejectedNotSettable, "cannot be set"),
            "Unsupported" => (FailureKind::Unsupported, "is not there"),
            "Busy" => (FailureKind::Busy, "cannot be set now"),
            _ => (FailureKind::RejectedValue, "does not take this value"),
        };
        let path = gate.quote(&self.path);
        Failure::new(
            kind,
            match &self.detail {
                Some(words) => format!(
                    "the device says that {path} {why}: \"{}\"",
                    gate.quote(words)
                ),
                None => format!("the device says that {path} {why}"),
            },
        )
    }
}

/// Returns the serial number in the URL of a device.
///
/// # Errors
/// There is none.
pub(super) fn serial_number(url: &Url) -> Result<String, Failure> {
    let last = url.path_segments().and_then(Iterator::last);
    let decoded = last.and_then(percent_decoded);
    decoded.ok_or_else(|| {
        let message = "the URL has no serial number of a device";
        Failure::new(FailureKind::Unreachable, message)
    })
}

/// Returns the text of a segment of a path.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = segment.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        octets.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(octets).ok()
}

/// Returns the value at a place whose first name is that of the settings; `None` where there is none.
fn at<'a>(settings: &'a Json, path: &str) -> Option<&'a Json> {
    let inside = path.strip_prefix("/settings")?;
    settings.pointer(inside).filter(|found| !found.is_null())
}

/// Returns a value as it is sent.
pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Secret(secret) => secret.expose().into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        Value::Words(words) => words.iter().map(String::as_str).collect(),
    }
}

/// True if two values are the same. The order of words means nothing.
fn is_same(one: &Json, other: &Json) -> bool {
    one == other || text_of(one).is_some() && text_of(one) == text_of(other)
}

/// Returns a value that was reported.
fn scalars(found: &Json) -> Option<Vec<Scalar>> {
    let scalar = |found: &Json| match found {
        Json::String(text) => Scalar::Text(text.clone()),
        Json::Bool(truth) => Scalar::Boolean(*truth),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Scalar::Other(number.to_string()), Scalar::Integer),
        other => Scalar::Other(other.to_string()),
    };
    match found {
        Json::Null => None,
        Json::Array(words) => Some(words.iter().map(scalar).collect()),
        other => Some(vec![scalar(other)]),
    }
}

/// Returns a value as a text, by which it is compared with one that is wanted; `None` for one that
/// nobody can want.
fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Array(words) => {
            let words: Option<BTreeSet<&str>> = words.iter().map(Json::as_str).collect();
            Some(words?.into_iter().collect::<Vec<_>>().join(","))
        }
        Json::Null | Json::Object(_) => None,
    }
}

fn asked_value(value: &Json, state: AskedState) -> AskedValue {
    AskedValue {
        text: text_of(value),
        digest: None,
        state,
    }
}

#[cfg(test)]
mod tests;
