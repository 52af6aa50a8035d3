//! Events of an outside contract system (CloudEvents 1.0.2, structured mode) as objects (B2, K4;
//! api-contracts section 2).
//!
//! Decides which object an event becomes, its name, and the answer to an event that cannot become one
//! (RFC 9457). It must never decide what the object does: that is decided from the object, as if a
//! person had made it. Called by the events endpoint.

mod object;
mod problem;
mod refusal;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::strict_json;

pub use object::{EventObject, OBJECT_ANNOTATION, SENDER_ANNOTATION};
pub use problem::{Fault, Problem};
pub use refusal::Refusal;

/// The most bytes of a body that are read.
pub const MOST_BYTES: usize = 64 * 1024;
/// The media type of an event in structured mode.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// The attributes that are read.
const ATTRIBUTES: [&str; 7] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
];
/// The most characters of an id and of a source: those of the fields of a ContractNotice.
const MOST_CHARACTERS: usize = 253;

/// Type of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventType {
    /// The contract has started.
    Started,
    /// The contract has ended, or will end.
    Ended,
    /// A change of the contract was agreed.
    Changed,
    /// The contract was signed.
    Signed,
}

impl EventType {
    const ALL: [Self; 4] = [Self::Started, Self::Ended, Self::Changed, Self::Signed];

    /// Returns the word for it in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Changed => "changed",
            Self::Signed => "signed",
        }
    }

    /// Returns the plural of the kind of its object, as in URLs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Started | Self::Ended => "contractnotices",
            Self::Changed => "contractamendments",
            Self::Signed => "contracts",
        }
    }

    /// Returns the text of the attribute `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "dev.entente.contract.started.v1",
            Self::Ended => "dev.entente.contract.ended.v1",
            Self::Changed => "dev.entente.contract.changed.v1",
            Self::Signed => "dev.entente.contract.signed.v1",
        }
    }
}

/// An event whose attributes are valid.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractEvent {
    /// The id, unique within the source.
    pub id: String,
    /// The system that reports it.
    pub source: String,
    /// Its type.
    pub r#type: EventType,
    /// Name of the contract.
    pub contract: String,
    /// The instant of the event, as it was written.
    pub time: Option<String>,
    data: Map<String, Value>,
}

impl ContractEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// Returns the answer to a request that is no such event, with every fault that was found.
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, Problem> {
        if body.len() > MOST_BYTES {
            return Err(Problem::too_large());
        }
        let media_type = content_type.unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(Problem::media_type(media_type));
        }
        let event =
            strict_json::read(body).map_err(|error| Problem::no_json(&error.to_string()))?;
        let Value::Object(event) = event else {
            return Err(Problem::no_json("it is no object"));
        };
        Attributes::of(&event).event()
    }

    /// Returns the member of the data of this name, if it is there.
    fn datum(&self, name: &str) -> Option<&Value> {
        self.data.get(name).filter(|value| !value.is_null())
    }
}

/// The attributes of an event, with the faults that were found so far.
struct Attributes<'a> {
    event: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Attributes<'a> {
    fn of(event: &'a Map<String, Value>) -> Self {
        Self {
            event,
            faults: Vec::new(),
        }
    }

    fn event(mut self) -> Result<ContractEvent, Problem> {
        let version = self.text("specversion", "\"1.0\"");
        if !version.is_empty() && version != "1.0" {
            self.fault("specversion", "must be \"1.0\"");
        }
        let id = self.text("id", "the id of the event in its source");
        let source = self.text(
            "source",
            "the system that reports the event, such as \"https://crm.example\"",
        );
        let contract = self.text("subject", "the name of the contract");
        if !contract.is_empty() && !is_label(&contract) {
            let message = "must be the name of a contract: lower case letters, digits and '-', at most 63 characters";
            self.fault("subject", message);
        }
        let r#type = self.r#type();
        let time = self.time();
        let data = self.data();
        self.others();
        match r#type {
            Some(r#type) if self.faults.is_empty() => Ok(ContractEvent {
                id,
                source,
                r#type,
                contract,
                time,
                data,
            }),
            _ => Err(Problem::invalid(self.faults)),
        }
    }

    fn fault(&mut self, attribute: &str, message: &str) {
        self.faults.push(Fault {
            pointer: format!("/{}", object::escaped(attribute)),
            detail: message.to_owned(),
        });
    }

    /// Returns a text that must be there; an empty one where it is not, with a fault.
    fn text(&mut self, attribute: &str, allowed: &str) -> String {
        let found = match self.event.get(attribute) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(_) => {
                self.fault(attribute, &format!("must be a text: {allowed}"));
                return String::new();
            }
        };
        if found.is_empty() {
            self.fault(attribute, &format!("must be set: {allowed}"));
        } else if found.chars().count() > MOST_CHARACTERS {
            self.fault(
                attribute,
                &format!("must have at most {MOST_CHARACTERS} characters"),
            );
        } else if found.chars().any(char::is_control) {
            self.fault(attribute, "must have no control characters");
        }
        found
    }

    fn r#type(&mut self) -> Option<EventType> {
        let known = EventType::ALL.map(EventType::as_str).join(", ");
        let found = self.text("type", &format!("one of {known}"));
        let mut all = EventType::ALL.into_iter();
        let r#type = all.find(|it| it.as_str() == found);
        if r#type.is_none() && !found.is_empty() {
            self.fault("type", &format!("is unknown: must be one of {known}"));
        }
        r#type
    }

    fn time(&mut self) -> Option<String> {
        let found = self.event.get("time").filter(|it| !it.is_null())?;
        let text = found.as_str().filter(|text| is_instant(text));
        if text.is_none() {
            self.fault("time", ALLOWED_INSTANT);
        }
        text.map(str::to_owned)
    }

    /// Finds members that are no attributes, such as a misspelt `data`, whose loss would change what
    /// the event says (CloudEvents, attribute naming convention and type system).
    fn others(&mut self) {
        let known = ["data", "data_base64"];
        let event = self.event;
        for (name, value) in event {
            let is_attribute = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
            if known.contains(&name.as_str()) {
                continue;
            }
            if !name.bytes().all(is_attribute) {
                let message = "is unknown: attributes have lower case letters and digits";
                self.fault(name, message);
            } else if name == "at" {
                self.fault(name, "must be within data");
            } else if value.is_array() || value.is_object() {
                let message = "must be a text, a number or a boolean: what is said of the contract is within data";
                if !ATTRIBUTES.contains(&name.as_str()) {
                    self.fault(name, message);
                }
            }
        }
    }

    fn data(&mut self) -> Map<String, Value> {
        if self.event.contains_key("data_base64") {
            self.fault("data_base64", "must not be set: the data is JSON, in data");
        }
        let format = self.event.get("datacontenttype").filter(|it| !it.is_null());
        let is_json = |it: &Value| {
            let text = it.as_str().unwrap_or_default();
            let text = text.split(';').next().unwrap_or_default().trim();
            text.eq_ignore_ascii_case("application/json")
        };
        if format.is_some_and(|it| !is_json(it)) {
            self.fault(
                "datacontenttype",
                "must be \"application/json\", or be left out",
            );
        }
        match self.event.get("data") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data.clone(),
            Some(_) => {
                self.fault("data", "must be an object");
                Map::new()
            }
        }
    }
}

const ALLOWED_INSTANT: &str = "must be an instant such as \"2027-04-01T01:12:00Z\"";

fn is_instant(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok()
}

/// True if a text is a DNS label (RFC 1123), as the name of a namespace or a contract.
pub fn is_label(text: &str) -> bool {
    let is_allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().last());
    text.len() <= 63
        && first.is_some_and(is_allowed)
        && last.is_some_and(is_allowed)
        && text.bytes().all(|it| is_allowed(it) || it == b'-')
}

#[cfg(test)]
mod tests;
