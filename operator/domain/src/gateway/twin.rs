//! The twin of a device, as the device reads it (C7).
//!
//! Decides which settings it shows and which secrets it hands out: the value of a secret is there until
//! the device has reported it for what is wanted now. It must never show a secret that cannot be read as
//! one that the device has. Called when a device reads its twin.

use entente_crds::digest::Digest;
use entente_crds::duration::Duration;
use entente_crds::v1alpha1::{
    DeviceTwin, DeviceTwinStatus, GivenSecret, RefusedSetting, ReportedDataType, ReportedSetting,
    ReportedSoftware, SecretKeyReference, SetBy, TwinDataType, TwinReported, TwinSetting,
};
use serde_json::{Map, Value, json};

use super::{messages, poll::iso};
use crate::bounded::Token;

/// Returns the version of what a device should hold: it grows with each change.
pub fn version(twin: &DeviceTwin) -> i64 {
    twin.metadata.generation.unwrap_or_default()
}

/// Returns that version as an ETag, in quotes.
pub fn etag(twin: &DeviceTwin) -> String {
    format!("\"{}\"", version(twin))
}

fn reported(twin: &DeviceTwin) -> Option<&TwinReported> {
    twin.status.as_ref()?.reported.as_ref()
}

fn reported_setting<'a>(twin: &'a DeviceTwin, name: &str) -> Option<&'a ReportedSetting> {
    let mut settings = reported(twin)?.settings.iter();
    settings.find(|setting| setting.name == *name)
}

/// True if a device has reported what a setting should be.
fn is_in_effect(twin: &DeviceTwin, wanted: &TwinSetting) -> bool {
    let Some(found) = reported_setting(twin, &wanted.name) else {
        return false;
    };
    match &wanted.value {
        // In the spelling of a status: one that has unseen characters is a digest there.
        Some(value) => found.value.as_ref() == Some(&Token::from(&**value)),
        None => {
            found.by == SetBy::Server && found.digest.is_some() && found.digest == wanted.digest
        }
    }
}

/// Returns the secrets whose values the document has to have.
pub fn wanted_secrets(twin: &DeviceTwin) -> Vec<&SecretKeyReference> {
    let now = twin.spec.settings.iter();
    let now = now.filter(|wanted| !is_in_effect(twin, wanted));
    let next = twin.spec.next.iter().flat_map(|next| &next.settings);
    now.chain(next)
        .filter_map(|setting| setting.secret_key_ref.as_ref())
        .collect()
}

/// Returns the status of a twin whose device is given the values of secrets with these digests; `None`
/// if that is known already.
///
/// One version that was given with two values proves neither: an answer may have been lost.
pub fn after_giving(
    twin: &DeviceTwin,
    version: i64,
    digest_of: impl Fn(&SecretKeyReference) -> Option<Digest>,
) -> Option<DeviceTwinStatus> {
    let mut status = twin.status.clone().unwrap_or_default();
    status.given.retain(|it| {
        twin.spec
            .settings
            .iter()
            .any(|wanted| it.name == *wanted.name)
    });
    for wanted in twin
        .spec
        .settings
        .iter()
        .filter(|it| !is_in_effect(twin, it))
    {
        let digest = wanted.secret_key_ref.as_ref().and_then(&digest_of);
        let Some(digest) = digest else { continue };
        let given = |digest| GivenSecret {
            name: wanted.name.as_str().into(),
            version,
            digest,
        };
        match status.given.iter_mut().find(|it| it.name == *wanted.name) {
            Some(known) if known.version > version => {}
            Some(known) if known.version == version && known.digest != Some(digest) => {
                *known = given(None);
            }
            Some(known) => *known = given(Some(digest)),
            None => status.given.push(given(Some(digest))),
        }
    }
    (twin.status.as_ref() != Some(&status)).then_some(status)
}

/// Returns the digest of the secret that a device was given for a setting with the version that it has
/// read last; `None` if it was given none with that one, or several.
pub(super) fn given<'a>(twin: &'a DeviceTwin, name: &str, version: i64) -> Option<&'a GivenSecret> {
    let mut given = twin.status.as_ref()?.given.iter();
    given.find(|it| it.name == *name && it.version == version)
}

/// Returns the body of the answer. `secret` finds the value of a secret; a setting whose secret cannot
/// be read is left out, as one that nobody wants. `next` is the time after which to call again.
pub fn body<'s>(
    twin: &DeviceTwin,
    secret: impl Fn(&SecretKeyReference) -> Option<&'s str>,
    next: &str,
) -> Value {
    let shown =
        |setting: &TwinSetting, is_held: bool| match (&setting.value, &setting.secret_key_ref) {
            (Some(value), _) => Some(json!({"value": value})),
            (None, Some(_)) if is_held => Some(json!({"secret": true})),
            (None, Some(reference)) => {
                secret(reference).map(|value| json!({"secret": true, "value": value}))
            }
            (None, None) => None,
        };
    let mut settings = Map::new();
    let mut delta = Vec::new();
    for setting in &twin.spec.settings {
        let is_held = is_in_effect(twin, setting);
        if let Some(value) = shown(setting, is_held) {
            settings.insert(setting.name.clone(), value);
            if !is_held {
                delta.push(&setting.name);
            }
        }
    }
    delta.sort();
    let mut desired = json!({"settings": settings});
    let kinds: Vec<Value> = twin.spec.data_types.iter().map(kind_body).collect();
    desired["dataTypes"] = json!(kinds);
    desired["messages"] = messages::desired(twin);
    if let Some(next) = &twin.spec.next {
        let settings = next.settings.iter();
        let settings: Map<String, Value> = settings
            .filter_map(|setting| Some((setting.name.clone(), shown(setting, false)?)))
            .collect();
        desired["next"] = json!({"effective": next.effective, "settings": settings});
    }
    let nothing = TwinReported::default();
    json!({
        "version": version(twin),
        "desired": desired,
        "reported": reported_body(reported(twin).unwrap_or(&nothing)),
        "delta": {
            "settings": delta,
            "dataTypes": kinds_delta(twin),
            "messages": messages::delta(twin),
        },
        "poll": {"next": next},
    })
}

/// Returns a kind of data that a device should send.
fn kind_body(kind: &TwinDataType) -> Value {
    let mut body = json!({"name": kind.name, "on": kind.on, "period": period(&kind.period)});
    if let Some(threshold) = kind.threshold {
        body["threshold"] = json!(threshold);
    }
    body
}

/// Returns a period as ISO 8601 writes it. One that is none was written by nobody of ours.
fn period(period: &Duration) -> Option<String> {
    period.length().ok().map(iso)
}

/// Returns the names of the kinds of data that a device has to begin to send, or to send more often, and
/// of those that it has to end, ordered.
fn kinds_delta(twin: &DeviceTwin) -> Value {
    let sent = reported(twin).map_or(&[][..], |it| &it.data_types);
    let suffices = |wanted: &TwinDataType| {
        let found = sent.iter().find(|it| it.name == *wanted.name.as_str());
        let found = found.and_then(|it| it.period.as_ref()?.length().ok());
        let most = wanted.period.length().ok();
        found.zip(most).is_some_and(|(found, most)| found <= most)
    };
    let wanted = &twin.spec.data_types;
    let mut add: Vec<&str> = wanted
        .iter()
        .filter(|it| !suffices(it))
        .map(|it| it.name.as_str())
        .collect();
    let mut remove: Vec<&str> = sent
        .iter()
        .filter(|it| wanted.iter().all(|wanted| it.name != *wanted.name.as_str()))
        .map(|it| &*it.name)
        .collect();
    add.sort_unstable();
    remove.sort_unstable();
    json!({"add": add, "remove": remove})
}

/// Returns the document of what a device has reported.
pub(super) fn reported_body(reported: &TwinReported) -> Value {
    let settings = reported.settings.iter().map(|setting| {
        let said = match &setting.value {
            Some(value) => json!({"value": value, "by": setting.by}),
            None => json!({"secret": true, "by": setting.by}),
        };
        (setting.name.to_string(), said)
    });
    let mut body = json!({"settings": settings.collect::<Map<_, _>>()});
    if !reported.data_types.is_empty() {
        let described = |one: &ReportedDataType| match one.period.as_ref().and_then(period) {
            Some(period) => json!({"name": one.name, "period": period}),
            None => json!({"name": one.name}),
        };
        body["dataTypes"] = reported.data_types.iter().map(described).collect();
    }
    if !reported.messages.is_empty() {
        body["messages"] = messages::reported_body(&reported.messages);
    }
    if let Some(version) = reported.version {
        body["version"] = json!(version);
    }
    if !reported.refused.is_empty() {
        body["refused"] = reported.refused.iter().map(refused_body).collect();
    }
    if !reported.software.is_empty() {
        let described = |one: &ReportedSoftware| json!(one);
        body["software"] = reported.software.iter().map(described).collect();
    }
    if let Some(restarted) = reported.restarted {
        body["restarted"] = json!(restarted);
    }
    body
}

fn refused_body(refused: &RefusedSetting) -> Value {
    let mut body = json!({"key": refused.name, "reason": refused.reason});
    if let Some(message) = &refused.message {
        body["detail"] = json!(message);
    }
    body
}

#[cfg(test)]
mod tests;
