//! Events of a device: a batch of CloudEvents, and the providers that get them (C8, C16).
//!
//! Decides whether a batch is well formed, which event goes to which provider, which events nobody asked
//! for, and what the answer of a provider means. It must never keep an event nor show one: what is not
//! forwarded is refused, and what is refused is forgotten; of errors alone the twin keeps what they say.
//! Called when a device sends events.

mod errors;
mod recent;
mod recipients;
mod routing;
mod whole;

use entente_crds::v1alpha1::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use url::Url;

use self::errors::ErrorData;
pub use self::{
    errors::{Errors, are_kept},
    recent::{Fingerprint, Recent},
    recipients::{Inbox, Knowledge, Recipient, Recipients},
    routing::{Delivery, Outgoing, Routing},
};
use super::{
    body,
    members::{Faults, Members, list},
    problem::Problem,
    texts::{
        APPLICATION_ID, EVENT_ID, EVENT_TIME, EVENT_TYPE, EVENT_TYPES, JSON_TYPE, SCHEMA, SEQUENCE,
        TEXT,
    },
};

/// The most events of a batch.
pub const MOST_EVENTS: usize = 256;
/// Version of CloudEvents.
const SPECVERSION: &str = "1.0";
/// Members of an event.
const MEMBERS: [&str; 11] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "applicationid",
    "sequence",
    "datacontenttype",
    "dataschema",
    "data",
];

/// A batch that is well formed, in the order of the device.
#[derive(Clone, Debug)]
pub struct Batch {
    events: Vec<Event>,
}

/// One event. Its texts are those of the device, and so are the bytes of its data.
#[derive(Clone, Debug)]
struct Event {
    id: String,
    kind: String,
    application_id: Option<String>,
    time: Option<String>,
    subject: Option<String>,
    sequence: Option<String>,
    content_type: Option<String>,
    schema: Option<String>,
    data: Option<Box<RawValue>>,
    /// Data of an event that tells of an error.
    error: Option<ErrorData>,
}

/// The part of an event that is passed on as it is: numbers would change if they were read.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reason for which an event is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Refusal {
    /// No active service of the device wants its kind.
    NotRequested,
    /// A provider has refused its content.
    RefusedByProvider,
    /// The device has so many errors that there is no room for this one.
    TooManyErrors,
}

impl Batch {
    /// Reads the body of a device with this id.
    ///
    /// # Errors
    /// Returns the answer to a body that is no JSON, or has faults, with all of them.
    pub fn read(text: &[u8], printer_id: &str) -> Result<Self, Problem> {
        match whole::read(text, printer_id) {
            Some(events) => Ok(Self { events }),
            None => Self::read_by_members(text, printer_id),
        }
    }

    /// Reads a body that may have faults.
    fn read_by_members(text: &[u8], printer_id: &str) -> Result<Self, Problem> {
        let mut body = body::read(text)?;
        without_nulls(&mut body);
        let mut faults = Faults::default();
        let items = list(&body, "", MOST_EVENTS, &mut faults).unwrap_or_default();
        let read = |(index, item)| event(item, &format!("/{index}"), printer_id, &mut faults);
        let events: Vec<Option<Event>> = items.iter().enumerate().map(read).collect();
        if let Some(problem) = faults.problem() {
            return Err(problem);
        }
        // It was read once already.
        let raw: Vec<Raw<'_>> = serde_json::from_slice(text)
            .map_err(|_| Problem::BadRequest("it is no batch of events".to_owned()))?;
        let events = events.into_iter().flatten().zip(raw);
        let events = events.map(|(event, raw)| Event {
            data: raw.data.map(ToOwned::to_owned),
            ..event
        });
        Ok(Self {
            events: events.collect(),
        })
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the body of the answer. `refused` has the places of events in the batch, each with the
    /// reason; an event that is there twice has the first one. `next` is the time after which to call
    /// again.
    pub fn answer(&self, refused: &[(usize, Refusal)], activated: &[String], next: &str) -> Value {
        let reason = |place: usize| {
            let mut refused = refused.iter();
            refused.find(|it| it.0 == place).map(|it| it.1)
        };
        let events = self.events.iter().enumerate();
        let refused: Vec<Value> = events
            .filter_map(|(place, event)| Some(json!({"id": event.id, "reason": reason(place)?})))
            .collect();
        let activations = activated.iter();
        let activations: Vec<Value> = activations
            .map(|id| json!({"applicationId": id, "state": "Active"}))
            .collect();
        json!({
            "accepted": self.len() - refused.len(),
            "refused": refused,
            "activations": activations,
            "poll": {"next": next},
        })
    }
}

/// Removes members that are null, which is how CloudEvents writes one that is absent (JSON format,
/// section 2.2).
fn without_nulls(body: &mut Value) {
    for event in body.as_array_mut().into_iter().flatten() {
        if let Some(members) = event.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
    }
}

fn event(item: &Value, at: &str, printer_id: &str, faults: &mut Faults) -> Option<Event> {
    let members = Members::of(item, at, &MEMBERS, faults)?;
    members.word("specversion", &[(SPECVERSION, ())], faults);
    let id = members.required("id", EVENT_ID, faults);
    let r#type = members.required("type", EVENT_TYPE, faults);
    if let Some(source) = members.text("source", TEXT, faults) {
        let own = source_of(printer_id);
        if !source.eq_ignore_ascii_case(&own) {
            let detail = "it is that of another device";
            faults.note(&members.pointer("source"), detail, &own);
        }
    }
    let error = if r#type.and_then(|it| it.strip_prefix(EVENT_TYPES)) == Some(errors::KIND) {
        errors::read(members.get("data"), &members.pointer("data"), faults)
    } else {
        None
    };
    let mut text = |name: &str, rule| members.text(name, rule, faults).map(str::to_owned);
    Some(Event {
        application_id: text("applicationid", APPLICATION_ID),
        time: text("time", EVENT_TIME),
        subject: text("subject", TEXT),
        sequence: text("sequence", SEQUENCE),
        content_type: text("datacontenttype", JSON_TYPE),
        schema: text("dataschema", SCHEMA),
        kind: r#type?.strip_prefix(EVENT_TYPES)?.to_owned(),
        id: id?.to_owned(),
        data: None,
        error,
    })
}

/// Returns the source of the events of a device.
fn source_of(printer_id: &str) -> String {
    format!("urn:uuid:{printer_id}")
}

/// Returns the URL to which batches are posted through a Connection of protocol HTTP; `None` if there is
/// none.
pub fn url_of(connection: &Connection, path: &str) -> Option<Url> {
    let base = Url::parse(&connection.spec.http.as_ref()?.url).ok()?;
    let whole = format!("{}{path}", base.path().trim_end_matches('/'));
    let mut url = base.clone();
    url.set_path(&whole);
    // A path that leads out of that of the Connection was written before its rule.
    (url.path() == whole).then_some(url)
}

/// Meaning of the answer of a provider to a batch, by its status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It has taken the events.
    Taken,
    /// It refuses their content, and would do so again.
    Refused,
    /// It may take them later: nothing is known of their content.
    Later,
}

/// Returns the meaning of a status. A refusal costs an event, so that it has to be about the content and
/// about nothing else: a wrong path, a wrong method or a wrong login is none.
pub fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        400 | 409 | 413 | 422 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

#[cfg(test)]
mod tests;
