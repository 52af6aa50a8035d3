//! Reports of a device: a JSON Merge Patch of what it has in effect (C7, RFC 7396).
//!
//! Decides whether a report is well formed, and what the status of the twin is after it. What a device
//! calls done is not what counts: only values and versions are kept. The value of a secret is refused,
//! so that no status ever holds one. Called when a device reports.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::v1alpha1::{
    DeviceTwin, DeviceTwinStatus, MAX_TWIN_SETTINGS, RefusedBecause, RefusedSetting,
    ReportedDataType, ReportedSetting, ReportedSoftware, SetBy, TwinReported, TwinSetting,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    ddi::note_report,
    members::{FROM_ZERO, Faults, Members, list, object_of, pointer, text},
    messages,
    problem::{Fault, Problem},
    software,
    texts::{INSTANT, NAME, PERIOD, TEXT, VALUE, instant, is_name, period},
    twin,
};
use crate::time::format_duration;

/// The most kinds of data of one report.
const MOST_DATA_TYPES: usize = 64;

/// Sources of a value.
const SOURCES: [(&str, SetBy); 4] = [
    ("Server", SetBy::Server),
    ("Panel", SetBy::Panel),
    ("Technician", SetBy::Technician),
    ("Default", SetBy::Default),
];
/// Reasons to refuse a setting.
const REFUSALS: [(&str, RefusedBecause); 4] = [
    ("ReadOnly", RefusedBecause::ReadOnly),
    ("InvalidValue", RefusedBecause::InvalidValue),
    ("Unsupported", RefusedBecause::Unsupported),
    ("Busy", RefusedBecause::Busy),
];

/// A member of a merge patch.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Change<T> {
    Keep,
    Remove,
    Set(T),
}

/// Value of a setting, as a device reports it; none of a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Said {
    value: Option<String>,
    by: SetBy,
}

/// A report that is well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    desired_version: Option<i64>,
    settings: Change<BTreeMap<String, Option<Said>>>,
    refused: Change<Vec<RefusedSetting>>,
    data_types: Change<Vec<ReportedDataType>>,
    messages: Change<messages::Changes>,
    software: Change<Vec<ReportedSoftware>>,
    restarted: Change<Timestamp>,
}

impl Report {
    /// Reads a body.
    ///
    /// # Errors
    /// Returns the answer to a body that has faults, with all of them.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let report = read(body, &mut faults);
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        report.ok_or_else(|| Problem::BadRequest("it is no report".to_owned()))
    }

    /// Returns the version of the desired document that the device had read, if it names one.
    pub fn desired_version(&self) -> Option<i64> {
        self.desired_version
    }

    /// Returns the status of a twin after this report. `is_secret` is true for a setting whose value
    /// nobody may see.
    ///
    /// # Errors
    /// Returns the answer to a report of a version that there is not yet, of the value of a secret, or
    /// of more settings or messages than are kept.
    pub fn apply(
        &self,
        of: &DeviceTwin,
        is_secret: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<DeviceTwinStatus, Problem> {
        let mut status = of.status.clone().unwrap_or_default();
        let mut reported = status.reported.take().unwrap_or_default();
        self.judge_version(of)?;
        if let Some(version) = self.desired_version {
            reported.version = Some(version);
            status.observed_generation = Some(version);
        }
        match &self.settings {
            Change::Keep => {}
            Change::Remove => reported.settings = Vec::new(),
            Change::Set(changes) => merge(&mut reported, changes, of, is_secret)?,
        }
        match &self.refused {
            Change::Keep => {}
            Change::Remove => reported.refused = Vec::new(),
            Change::Set(refused) => reported.refused.clone_from(refused),
        }
        match &self.data_types {
            Change::Keep => {}
            Change::Remove => reported.data_types = Vec::new(),
            Change::Set(kinds) => reported.data_types.clone_from(kinds),
        }
        match &self.messages {
            Change::Keep => {}
            Change::Remove => reported.messages = Vec::new(),
            Change::Set(changes) => {
                let mut faults = Faults::default();
                reported.messages = messages::merged(&reported.messages, changes, &mut faults);
                faults.problem().map_or(Ok(()), Err)?;
            }
        }
        match &self.software {
            Change::Keep => {}
            Change::Remove => reported.software = Vec::new(),
            Change::Set(software) => {
                reported.software.clone_from(software);
                note_report(&mut status, now);
            }
        }
        match self.restarted {
            Change::Keep => {}
            Change::Remove => reported.restarted = None,
            Change::Set(restarted) => reported.restarted = Some(restarted),
        }
        status.reported = Some(reported);
        Ok(status)
    }

    fn judge_version(&self, of: &DeviceTwin) -> Result<(), Problem> {
        let newest = twin::version(of);
        match self.desired_version {
            Some(version) if version > newest => Err(Problem::fault(Fault {
                pointer: "/desiredVersion".to_owned(),
                detail: format!("it is {version}"),
                allowed: Some(format!(
                    "a version of the desired document, at most {newest}"
                )),
            })),
            _ => Ok(()),
        }
    }
}

fn merge(
    reported: &mut TwinReported,
    changes: &BTreeMap<String, Option<Said>>,
    of: &DeviceTwin,
    is_secret: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let is_current = reported.version == Some(twin::version(of));
    let mut faults = Faults::default();
    let before = std::mem::take(&mut reported.settings).into_iter();
    let mut settings: BTreeMap<String, ReportedSetting> = before
        .map(|setting| (setting.name.to_string(), setting))
        .collect();
    for (name, said) in changes {
        let Some(said) = said else {
            settings.remove(name);
            continue;
        };
        if said.value.is_some() && is_secret(name) {
            let allowed = "\"secret\": true in place of the value";
            faults.note(&pointer("/settings", name), "it is a secret", allowed);
            continue;
        }
        let held = settings.get(name);
        let given = twin::given(of, name, twin::version(of));
        let digest = match said {
            Said {
                value: None,
                by: SetBy::Server,
            } if let Some(given) = given.filter(|_| is_current) => given.digest,
            // It was given none with this version, or reported for one before: the same secret as then
            // is in effect.
            Said {
                value: None,
                by: SetBy::Server,
            } => held.and_then(|it| it.digest),
            Said { .. } => None,
        };
        let setting = ReportedSetting {
            name: name.as_str().into(),
            value: said.value.as_deref().map(Into::into),
            digest,
            by: said.by,
        };
        settings.insert(name.clone(), setting);
    }
    if settings.len() > MAX_TWIN_SETTINGS {
        let detail = format!("there would be {} names", settings.len());
        faults.note(
            "/settings",
            detail,
            "128 names at most, those of former reports included",
        );
    }
    reported.settings = settings.into_values().collect();
    faults.problem().map_or(Ok(()), Err)
}

/// True if a twin wants a setting by reference to a Secret, now or next.
pub fn is_wanted_secret(of: &DeviceTwin, name: &str) -> bool {
    let next = of.spec.next.iter().flat_map(|next| &next.settings);
    let is_it = |setting: &TwinSetting| setting.name == name && setting.secret_key_ref.is_some();
    of.spec.settings.iter().chain(next).any(is_it)
}

const MEMBERS: [&str; 7] = [
    "desiredVersion",
    "settings",
    "dataTypes",
    "refused",
    "messages",
    "software",
    "restarted",
];

fn read(body: &Value, faults: &mut Faults) -> Option<Report> {
    let members = Members::of(body, "", &MEMBERS, faults)?;
    Some(Report {
        desired_version: members.number("desiredVersion", FROM_ZERO, faults),
        settings: change(members.get("settings"), |value| settings(value, faults)),
        refused: change(members.get("refused"), |value| refused(value, faults)),
        data_types: change(members.get("dataTypes"), |value| data_types(value, faults)),
        messages: change(members.get("messages"), |value| {
            messages::read(value, faults)
        }),
        software: change(members.get("software"), |value| {
            software::read(value, "/software", faults)
        }),
        restarted: change(members.get("restarted"), |value| {
            text(value, "/restarted", INSTANT, faults).and_then(instant)
        }),
    })
}

fn change<T>(member: Option<&Value>, read: impl FnOnce(&Value) -> Option<T>) -> Change<T> {
    match member {
        None => Change::Keep,
        Some(Value::Null) => Change::Remove,
        Some(value) => read(value).map_or(Change::Keep, Change::Set),
    }
}

fn settings(value: &Value, faults: &mut Faults) -> Option<BTreeMap<String, Option<Said>>> {
    let at = "/settings";
    let members = object_of(value, MAX_TWIN_SETTINGS, at, faults)?;
    let mut settings = BTreeMap::new();
    for (name, value) in members {
        let at = pointer(at, name);
        if !is_name(name) {
            faults.note(&at, "it is no name of a setting", NAME.allowed);
            continue;
        }
        if value.is_null() {
            settings.insert(name.clone(), None);
        } else if let Some(said) = said(value, &at, faults) {
            settings.insert(name.clone(), Some(said));
        }
    }
    Some(settings)
}

fn said(value: &Value, at: &str, faults: &mut Faults) -> Option<Said> {
    let members = Members::of(value, at, &["value", "secret", "by"], faults)?;
    let by = members.word("by", &SOURCES, faults);
    let found = members.text("value", VALUE, faults).map(str::to_owned);
    let is_secret = members.get("secret");
    match (members.get("value"), is_secret) {
        (Some(_), None) | (None, Some(Value::Bool(true))) => {}
        (None, Some(_)) => faults.note(&members.pointer("secret"), "it is not true", "true"),
        (None, None) | (Some(_), Some(_)) => {
            faults.note(at, "it has not exactly one of both", "value or secret");
        }
    }
    Some(Said {
        value: found,
        by: by?,
    })
}

fn refused(value: &Value, faults: &mut Faults) -> Option<Vec<RefusedSetting>> {
    let items = list(value, "/refused", MAX_TWIN_SETTINGS, faults)?;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = pointer("/refused", &index.to_string());
        let Some(members) = Members::of(item, &at, &["key", "reason", "detail"], faults) else {
            continue;
        };
        let key = members.required("key", NAME, faults);
        let reason = members.word("reason", &REFUSALS, faults);
        let detail = members.text("detail", TEXT, faults);
        let (Some(key), Some(reason)) = (key, reason) else {
            continue;
        };
        if !seen.insert(key) {
            faults.note(&members.pointer("key"), "it is there twice", "each once");
        }
        all.push(RefusedSetting {
            name: key.into(),
            reason,
            message: detail.map(Into::into),
        });
    }
    Some(all)
}

/// Reads the kinds of data that a device sends.
fn data_types(value: &Value, faults: &mut Faults) -> Option<Vec<ReportedDataType>> {
    let items = list(value, "/dataTypes", MOST_DATA_TYPES, faults)?;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = pointer("/dataTypes", &index.to_string());
        let Some(members) = Members::of(item, &at, &["name", "period"], faults) else {
            continue;
        };
        let name = members.required("name", NAME, faults);
        let period = members.text("period", PERIOD, faults).and_then(period);
        let Some(name) = name else { continue };
        if !seen.insert(name) {
            faults.note(&members.pointer("name"), "it is there twice", "each once");
        }
        all.push(ReportedDataType {
            name: name.into(),
            period: period.map(|it| format_duration(it).into()),
        });
    }
    Some(all)
}

#[cfg(test)]
mod tests;
