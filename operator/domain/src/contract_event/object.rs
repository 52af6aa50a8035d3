//! The object that an event becomes.
//!
//! Decides kind, name and content, and whether an object that exists is that of the same event. The
//! name follows from source and id, so that an event that comes again finds its object.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::problem::{Fault, Problem};
use super::{ALLOWED_INSTANT, ContractEvent, EventType, is_instant};

/// The annotation of every object that the endpoint makes: a digest of what the event says.
pub const OBJECT_ANNOTATION: &str = "entente.dev/event";
/// The annotation with the user name of who sent the event.
pub const SENDER_ANNOTATION: &str = "entente.dev/sent-by";
/// The most characters of the contract in the name of an object.
const MOST_OF_CONTRACT: usize = 50;
/// The most characters of a member's name that an answer has.
const MOST_OF_NAME: usize = 64;
/// The digits of the digest in the name of an object.
const DIGITS: usize = 12;

/// An object to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct EventObject {
    /// Its kind.
    pub kind: &'static str,
    /// The plural of its kind, as in URLs.
    pub plural: &'static str,
    /// Its name.
    pub name: String,
    /// The object itself.
    pub object: Value,
    /// True if its contract has to exist.
    pub needs_contract: bool,
    digest: String,
}

/// An object of that name that exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Existing {
    /// The same event made it.
    Same,
    /// Another event made it, or the event has changed.
    Another,
    /// No event made it.
    Foreign,
}

impl ContractEvent {
    /// Returns the object that the event becomes.
    ///
    /// # Errors
    /// Returns the answer to an event whose data has no such object.
    pub fn object(&self, namespace: &str, sender: &str) -> Result<EventObject, Problem> {
        let (kind, spec) = match self.r#type {
            EventType::Started => ("ContractNotice", self.notice("Started")?),
            EventType::Ended => ("ContractNotice", self.notice("Ended")?),
            EventType::Changed => ("ContractAmendment", self.amendment()?),
            EventType::Signed => ("Contract", Value::Object(self.data.clone())),
        };
        let name = match self.r#type {
            EventType::Signed => self.contract.clone(),
            _ => self.object_name(),
        };
        let digest = digest(&format!("{kind}\0{}", canonical(&spec)));
        let object = json!({
            "apiVersion": "entente.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "annotations": {OBJECT_ANNOTATION: digest, SENDER_ANNOTATION: sender},
            },
            "spec": spec,
        });
        Ok(EventObject {
            kind,
            plural: self.r#type.plural(),
            name,
            object,
            needs_contract: self.r#type != EventType::Signed,
            digest,
        })
    }

    fn object_name(&self) -> String {
        // A zero byte is in neither of them.
        let digest = digest(&format!("{}\0{}", self.source, self.id));
        let contract: String = self.contract.chars().take(MOST_OF_CONTRACT).collect();
        format!("{contract}-{}", &digest[..DIGITS])
    }

    fn notice(&self, r#type: &str) -> Result<Value, Problem> {
        let invalid = |pointer: &str, detail: &str| {
            Problem::invalid(vec![Fault {
                pointer: pointer.to_owned(),
                detail: detail.to_owned(),
            }])
        };
        let others = self.data.keys().find(|key| *key != "at");
        if let Some(other) = others {
            let pointer = format!("/data/{}", escaped(other));
            return Err(invalid(
                &pointer,
                "is unknown: the data may have \"at\" alone",
            ));
        }
        let at = match self.datum("at") {
            None => self.time.clone(),
            Some(at) => {
                let text = at.as_str().filter(|text| is_instant(text));
                let text = text.ok_or_else(|| invalid("/data/at", ALLOWED_INSTANT))?;
                Some(text.to_owned())
            }
        };
        let at = at.ok_or_else(|| invalid("/time", "must be set where data has no \"at\""))?;
        Ok(json!({
            "contractRef": {"name": self.contract},
            "type": r#type,
            "at": at,
            "source": self.source,
            "eventId": self.id,
        }))
    }

    fn amendment(&self) -> Result<Value, Problem> {
        let mut spec = self.data.clone();
        let own = json!({"name": self.contract});
        let named = spec.insert("contractRef".to_owned(), own.clone());
        if named.is_some_and(|named| named != own) {
            return Err(Problem::invalid(vec![Fault {
                pointer: "/data/contractRef".to_owned(),
                detail: "must be left out, or name the contract in subject".to_owned(),
            }]));
        }
        Ok(Value::Object(spec))
    }

    /// Returns the place in the event of a field of the object, such as `spec.services[0].fee`.
    pub fn pointer(&self, field: &str) -> String {
        let field = field.strip_prefix("spec").unwrap_or(field);
        let path = field
            .trim_start_matches('.')
            .replace(['.', '['], "/")
            .replace(']', "");
        let is_notice = matches!(self.r#type, EventType::Started | EventType::Ended);
        let contract = path == "metadata/name" || path.starts_with("contractRef");
        match path.as_str() {
            _ if contract => "/subject".to_owned(),
            "at" if is_notice && self.datum("at").is_none() => "/time".to_owned(),
            "source" if is_notice => "/source".to_owned(),
            "eventId" if is_notice => "/id".to_owned(),
            "type" if is_notice => "/type".to_owned(),
            "" => "/data".to_owned(),
            path => format!("/data/{path}"),
        }
    }
}

impl EventObject {
    /// Checks that an object of its name that exists is that of the same event.
    ///
    /// # Errors
    /// Returns the answer to an event whose object is another one.
    pub fn check(&self, existing: &Value) -> Result<(), Problem> {
        let is_contract = self.kind == "Contract";
        match self.compare(existing) {
            Existing::Same => Ok(()),
            Existing::Foreign if is_contract => Err(Problem::owned_elsewhere(&self.name)),
            Existing::Another if is_contract => Err(Problem::signed_otherwise(&self.name)),
            Existing::Another | Existing::Foreign => {
                Err(Problem::another_content(self.kind, &self.name))
            }
        }
    }

    /// Compares it with an object of its name that exists.
    pub(super) fn compare(&self, existing: &Value) -> Existing {
        let annotations = &existing["metadata"]["annotations"];
        match annotations[OBJECT_ANNOTATION].as_str() {
            None => Existing::Foreign,
            Some(digest) if digest == self.digest => Existing::Same,
            Some(_) => Existing::Another,
        }
    }
}

/// Returns a member's name as a part of a JSON pointer.
pub(super) fn escaped(name: &str) -> String {
    let name: String = name.chars().take(MOST_OF_NAME).collect();
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns a value whose members are in the order of their names.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            let sorted = sorted
                .into_iter()
                .map(|(name, value)| (name.clone(), canonical(value)));
            Value::Object(sorted.collect::<Map<String, Value>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
