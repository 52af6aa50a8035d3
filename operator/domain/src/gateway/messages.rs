//! Messages on the panel of a device (A8): those that it should show, and what it says of them.
//!
//! Decides what differs between both, and whether a report of messages is well formed. A message is shown
//! when the device reports it, with one of its texts if it tells one; that the device fetched it is no
//! proof. Called with the twin of a device, and by delivery.

use std::collections::BTreeMap;

use entente_crds::bounded::Token;
use entente_crds::v1alpha1::{
    DeviceTwin, MAX_REPORTED_MESSAGES, ReportedMessage, ReportedMessageState, TwinMessage,
};
use serde_json::{Map, Value, json};

use super::{
    members::{Faults, Members, object_of, pointer},
    texts::{INSTANT, MESSAGE_ID, SHOWN, TEXT, instant},
};

/// States of a message.
const STATES: [(&str, ReportedMessageState); 4] = [
    ("Pending", ReportedMessageState::Pending),
    ("Shown", ReportedMessageState::Shown),
    ("Cleared", ReportedMessageState::Cleared),
    ("Undeliverable", ReportedMessageState::Undeliverable),
];

/// Changes of the reports of messages, by their ids: `None` removes one.
pub(super) type Changes = BTreeMap<String, Option<ReportedMessage>>;

/// Returns the report of a device about a message that it should show; `None` if there is none, or it is about
/// another text.
pub fn report_of<'a>(twin: &'a DeviceTwin, wanted: &TwinMessage) -> Option<&'a ReportedMessage> {
    let mut reported = reported(twin).iter();
    let found = reported.find(|it| it.id == *wanted.id)?;
    let is_of_it = |text: &Token<_>| {
        [&wanted.text, &wanted.short]
            .map(|it| Token::from(&**it))
            .contains(text)
    };
    found.text.as_ref().is_none_or(is_of_it).then_some(found)
}

fn reported(twin: &DeviceTwin) -> &[ReportedMessage] {
    let reported = twin.status.as_ref().and_then(|it| it.reported.as_ref());
    reported.map_or(&[], |it| &it.messages)
}

/// Returns the messages that a device should show.
pub(super) fn desired(twin: &DeviceTwin) -> Value {
    let messages = twin.spec.messages.iter();
    let shown = messages.map(|it| {
        json!({"id": it.id, "language": it.language, "text": it.text, "short": it.short,
               "until": null})
    });
    shown.collect()
}

/// Returns the ids of the messages that a device has to show, and of those that it has to take down,
/// ordered.
pub(super) fn delta(twin: &DeviceTwin) -> Value {
    let wanted = &twin.spec.messages;
    let is_open = |wanted: &TwinMessage| {
        let state = report_of(twin, wanted).map(|it| it.state);
        !matches!(
            state,
            Some(ReportedMessageState::Shown | ReportedMessageState::Undeliverable)
        )
    };
    let show = wanted.iter().filter(|it| is_open(it)).map(|it| &*it.id);
    let mut show: Vec<&str> = show.collect();
    let is_up = |state| {
        matches!(
            state,
            ReportedMessageState::Shown | ReportedMessageState::Pending
        )
    };
    let up = reported(twin).iter().filter(|it| is_up(it.state));
    let clear = up.filter(|it| wanted.iter().all(|wanted| it.id != *wanted.id));
    let mut clear: Vec<&str> = clear.map(|it| &*it.id).collect();
    show.sort_unstable();
    clear.sort_unstable();
    json!({"show": show, "clear": clear})
}

/// Returns the document of what a device has reported of messages.
pub(super) fn reported_body(messages: &[ReportedMessage]) -> Value {
    let messages = messages.iter().map(|it| {
        let mut said = json!({"state": it.state});
        if let Some(at) = it.at {
            said["at"] = json!(at);
        }
        if let Some(text) = &it.text {
            said["text"] = json!(text);
        }
        if let Some(detail) = &it.detail {
            said["detail"] = json!(detail);
        }
        (it.id.to_string(), said)
    });
    Value::Object(messages.collect::<Map<_, _>>())
}

/// Reads a report of messages.
pub(super) fn read(value: &Value, faults: &mut Faults) -> Option<Changes> {
    let at = "/messages";
    let members = object_of(value, MAX_REPORTED_MESSAGES, at, faults)?;
    let mut changes = Changes::new();
    for (id, value) in members {
        let at = pointer(at, id);
        if !(MESSAGE_ID.is_allowed)(id) {
            faults.note(&at, "it is no id of a message", MESSAGE_ID.allowed);
        } else if value.is_null() {
            changes.insert(id.clone(), None);
        } else if let Some(said) = said(id, value, &at, faults) {
            changes.insert(id.clone(), Some(said));
        }
    }
    Some(changes)
}

fn said(id: &str, value: &Value, at: &str, faults: &mut Faults) -> Option<ReportedMessage> {
    let members = Members::of(value, at, &["state", "at", "text", "detail"], faults)?;
    let state = members.word("state", &STATES, faults);
    let at = members.text("at", INSTANT, faults).and_then(instant);
    let text = members.text("text", SHOWN, faults);
    let detail = members.text("detail", TEXT, faults);
    Some(ReportedMessage {
        id: id.into(),
        state: state?,
        at,
        text: text.map(Into::into),
        detail: detail.map(Into::into),
    })
}

/// Returns the reports of messages after a change. Of more than are kept, those that were taken down longest
/// ago go first.
pub(super) fn merged(
    before: &[ReportedMessage],
    changes: &Changes,
    faults: &mut Faults,
) -> Vec<ReportedMessage> {
    let mut messages: BTreeMap<&str, &ReportedMessage> =
        before.iter().map(|it| (&*it.id, it)).collect();
    for (id, said) in changes {
        match said {
            Some(said) => _ = messages.insert(id, said),
            None => _ = messages.remove(&**id),
        }
    }
    while messages.len() > MAX_REPORTED_MESSAGES {
        let over = messages.values();
        let over = over.filter(|it| it.state == ReportedMessageState::Cleared);
        let Some(oldest) = over.min_by_key(|it| (it.at, &it.id)) else {
            let detail = format!("there would be {} ids", messages.len());
            let allowed = "32 ids at most, those of former reports included";
            faults.note("/messages", detail, allowed);
            break;
        };
        let oldest = &*oldest.id;
        messages.remove(oldest);
    }
    messages.into_values().cloned().collect()
}

#[cfg(test)]
mod tests;
