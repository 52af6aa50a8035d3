//! Versions that a device reports by DDI, in today's form and in the former one.
//!
//! Decides which members are versions and what the status of the twin is after the report. Everything
//! else of the data is accepted and not kept. Called by the routes of DDI.

use std::collections::BTreeMap;

use entente_crds::{
    bounded::Token,
    v1alpha1::{DeviceTwin, DeviceTwinStatus, ReportedSoftware, SoftwarePart},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Controller, feedback::word, note_report};
use crate::gateway::{
    members::{Faults, kind, pointer, text},
    problem::Problem,
    texts::{VERSION, is_name},
};

/// The most members of the data.
const MOST_MEMBERS: usize = 64;
/// The most pieces of software that a status has.
const MOST_SOFTWARE: usize = 64;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Merge,
    Replace,
    Remove,
}

const MODES: [(&str, Mode); 3] = [
    ("merge", Mode::Merge),
    ("replace", Mode::Replace),
    ("remove", Mode::Remove),
];

type Key = (SoftwarePart, Token<64>);

/// Versions of a device, well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigData {
    mode: Mode,
    versions: BTreeMap<Key, Token<64>>,
}

impl ConfigData {
    /// Reads a body.
    ///
    /// # Errors
    /// Returns the answer to a body that has faults, with all of them.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let mode = match body.get("mode") {
            // The crate hawkbit writes null where it says nothing.
            None | Some(Value::Null) => Some(Mode::Merge),
            Some(_) => word(body, "", "mode", &MODES, &mut faults),
        };
        let versions = versions(body, &mut faults);
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        mode.zip(versions)
            .map(|(mode, versions)| Self { mode, versions })
            .ok_or_else(|| Problem::BadRequest("it has no versions".to_owned()))
    }

    /// Returns the status of a twin after this report.
    ///
    /// # Errors
    /// Returns the answer to more software than is kept.
    pub fn apply(
        &self,
        twin: &DeviceTwin,
        controller: Controller,
        now: Timestamp,
    ) -> Result<DeviceTwinStatus, Problem> {
        let mut status = twin.status.clone().unwrap_or_default();
        let mut reported = status.reported.take().unwrap_or_default();
        let before = std::mem::take(&mut reported.software).into_iter();
        let mut software: BTreeMap<Key, Token<64>> =
            before.map(|it| ((it.part, it.name), it.version)).collect();
        match self.mode {
            Mode::Merge => software.extend(self.versions.clone()),
            Mode::Replace => {
                software.retain(|(part, _), _| !controller.has(*part));
                software.extend(self.versions.clone());
            }
            Mode::Remove => software.retain(|key, _| !self.versions.contains_key(key)),
        }
        if software.len() > MOST_SOFTWARE {
            let mut faults = Faults::default();
            let detail = format!("there would be {} names", software.len());
            let allowed = "64 names at most, those of former reports included";
            faults.note("/data", detail, allowed);
            return Err(faults.problem().unwrap_or(Problem::NotFound));
        }
        let software = software.into_iter();
        reported.software = software
            .map(|((part, name), version)| ReportedSoftware {
                part,
                name,
                version,
            })
            .collect();
        status.reported = Some(reported);
        note_report(&mut status, now);
        Ok(status)
    }
}

fn versions(body: &Value, faults: &mut Faults) -> Option<BTreeMap<Key, Token<64>>> {
    let allowed = "an object of at most 64 members";
    let data = match body.as_object().map(|body| body.get("data")) {
        Some(Some(data)) => data,
        Some(None) => {
            faults.note("/data", "it is missing", allowed);
            return None;
        }
        None => {
            faults.note("", format!("it is {}", kind(body)), "an object");
            return None;
        }
    };
    let Some(members) = data.as_object().filter(|it| it.len() <= MOST_MEMBERS) else {
        let detail = match data.as_object() {
            Some(members) => format!("it has {} members", members.len()),
            None => format!("it is {}", kind(data)),
        };
        faults.note("/data", detail, allowed);
        return None;
    };
    let mut versions = BTreeMap::new();
    for (member, value) in members {
        let at = pointer("/data", member);
        let Some(key) = key(member) else {
            if !value.is_string() {
                faults.note(&at, format!("it is {}", kind(value)), "a text");
            }
            continue;
        };
        if let Some(version) = text(value, &at, VERSION, faults) {
            versions.insert(key, version.into());
        }
    }
    Some(versions)
}

/// Returns the piece of software that a member is about, if it is about one.
fn key(member: &str) -> Option<Key> {
    let (part, name) = member.split_once('.')?;
    let part = match part {
        "firmware" => SoftwarePart::Firmware,
        "application" => SoftwarePart::Application,
        _ => return None,
    };
    is_name(name).then(|| (part, name.into()))
}
