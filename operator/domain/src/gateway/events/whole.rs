//! Batches without any fault, read in one go: nearly every batch is one.
//!
//! Decides nothing by itself. What it does not take is read again member by member, by the reader that
//! tells each fault with its place; it must never take a batch that this one refuses, nor read it in
//! another way. Called for each batch first.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Event, MOST_EVENTS, SPECVERSION, errors, source_of};
use crate::gateway::body::{LEVELS, MOST_BYTES};
use crate::gateway::members::Faults;
use crate::gateway::texts::{
    APPLICATION_ID, EVENT_ID, EVENT_TIME, EVENT_TYPE, EVENT_TYPES, JSON_TYPE, Rule, SCHEMA,
    SEQUENCE, TEXT,
};
use crate::strict_json;

/// Levels that are left for the data of an event, below the list and the event.
const LEVELS_OF_DATA: usize = LEVELS - 2;

/// Returns the events of a body of a device; `None` if it has a fault, or may have one.
pub(super) fn read(text: &[u8], printer_id: &str) -> Option<Vec<Event>> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let all: Vec<Whole<'_>> = serde_json::from_slice(text).ok()?;
    if all.len() > MOST_EVENTS {
        return None;
    }
    let own = source_of(printer_id);
    all.into_iter().map(|Whole(it)| it.event(&own)).collect()
}

/// A text that is copied only if it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Part<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    specversion: Part<'a>,
    #[serde(borrow)]
    id: Part<'a>,
    #[serde(borrow)]
    r#type: Part<'a>,
    #[serde(borrow, default)]
    source: Option<Part<'a>>,
    #[serde(borrow, default)]
    time: Option<Part<'a>>,
    #[serde(borrow, default)]
    subject: Option<Part<'a>>,
    #[serde(borrow, default)]
    applicationid: Option<Part<'a>>,
    #[serde(borrow, default)]
    sequence: Option<Part<'a>>,
    #[serde(borrow, default)]
    datacontenttype: Option<Part<'a>>,
    #[serde(borrow, default)]
    dataschema: Option<Part<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// An event that is an object: a list of its values would be taken for one otherwise.
struct Whole<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Whole<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                Members::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

impl Members<'_> {
    fn event(self, own: &str) -> Option<Event> {
        let mut source = self.source.iter();
        let is_own = source.all(|it| it.0.eq_ignore_ascii_case(own));
        let data = match self.data {
            Some(data) => {
                strict_json::judge_within(data.get().as_bytes(), LEVELS_OF_DATA).ok()?;
                Some(data.to_owned())
            }
            None => None,
        };
        if self.specversion.0 != SPECVERSION || !is_own {
            return None;
        }
        let kind = self.r#type.0.strip_prefix(EVENT_TYPES)?.to_owned();
        allowed(EVENT_TYPE, self.r#type)?;
        let error = if kind == errors::KIND {
            let data = serde_json::from_str(data.as_ref()?.get()).ok()?;
            let mut faults = Faults::default();
            let error = errors::read(Some(&data), "", &mut faults);
            Some(error.filter(|_| faults.problem().is_none())?)
        } else {
            None
        };
        Some(Event {
            id: allowed(EVENT_ID, self.id)?,
            kind,
            application_id: optional(APPLICATION_ID, self.applicationid).ok()?,
            time: optional(EVENT_TIME, self.time).ok()?,
            subject: optional(TEXT, self.subject).ok()?,
            sequence: optional(SEQUENCE, self.sequence).ok()?,
            content_type: optional(JSON_TYPE, self.datacontenttype).ok()?,
            schema: optional(SCHEMA, self.dataschema).ok()?,
            data,
            error,
        })
    }
}

/// Returns a text if it is allowed.
fn allowed(rule: Rule, Part(text): Part<'_>) -> Option<String> {
    (rule.is_allowed)(&text).then(|| text.into_owned())
}

/// Returns a text that may be absent.
///
/// # Errors
/// It is there, and not allowed.
fn optional(rule: Rule, text: Option<Part<'_>>) -> Result<Option<String>, ()> {
    match text {
        Some(text) => allowed(rule, text).map(Some).ok_or(()),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Batch;
    use super::*;

    const PRINTER: &str = "0d3c9c3e-7d55-5a35-8c6e-6f1b5f4c9a01";

    /// Returns the events of the reader that tells faults; `None` for a batch that it refuses.
    fn slowly(text: &[u8]) -> Option<String> {
        let read = Batch::read_by_members(text, PRINTER).ok()?;
        Some(format!("{:?}", read.events))
    }

    fn at_once(text: &[u8]) -> Option<String> {
        read(text, PRINTER).map(|events| format!("{events:?}"))
    }

    fn event() -> Value {
        json!({"specversion": "1.0", "id": "1", "source": format!("urn:uuid:{PRINTER}"),
               "type": "dev.entente.supplies.level", "time": "2027-03-20T01:02:03Z",
               "subject": "black \"toner\"", "applicationid": "acme.toner.lobby",
               "sequence": "0000012", "datacontenttype": "application/json",
               "dataschema": "https://schemas.example/a.json", "data": {"level": 18}})
    }

    // shows C8 K4
    #[test]
    fn a_batch_that_has_a_fault_is_never_taken_at_once() {
        let own = format!("urn:uuid:{PRINTER}");
        let values = format!(
            r#"[["1.0","1","dev.entente.error","{own}",null,null,null,null,null,null,null]]"#
        );
        let with_data = |data: &str| {
            format!(
                r#"[{{"specversion":"1.0","id":"1","type":"dev.entente.level","data":{data}}}]"#
            )
        };
        let error = |data: &str| with_data(data).replace("level", "error");
        let deep = |levels: usize| with_data(&("[".repeat(levels) + &"]".repeat(levels)));
        for (text, is_taken) in [
            (with_data("null"), true),
            (with_data(r#"{"a":1,"b":[{"a":2}]}"#), true),
            (deep(30), true),
            (deep(31), false),
            (with_data(r#"{"a":1,"a":2}"#), false),
            (with_data(r#"[{"a":1,"\u0061":2}]"#), false),
            (with_data("1e999"), false),
            (with_data(r#""\ud800""#), false),
            (error(r#"{"state":"Raised","reason":"jam"}"#), true),
            (
                error(r#"{"state":"Raised","reason":"jam","impressions":-1}"#),
                false,
            ),
            (
                error(r#"{"state":"Raised","reason":"jam","until":null}"#),
                false,
            ),
            (error(r#"{"state":"raised","reason":"jam"}"#), false),
            (error("null"), false),
            (values, false),
            ("[]".to_owned(), true),
            ("[null]".to_owned(), false),
            ("{}".to_owned(), false),
            ("[] []".to_owned(), false),
            (with_data("1") + " ", true),
            (
                with_data("1").replace("\"id\"", "\"id\":\"0\",\"id\""),
                false,
            ),
            (with_data(&"1".repeat(MOST_BYTES)), false),
        ] {
            let text = text.as_bytes();
            assert_eq!(at_once(text).is_some(), is_taken);
            assert_eq!(slowly(text).is_some(), is_taken);
            assert_eq!(at_once(text), slowly(text));
        }
        let many = |number| json!(vec![event(); number]).to_string();
        assert!(at_once(many(MOST_EVENTS).as_bytes()).is_some());
        assert!(at_once(many(MOST_EVENTS + 1).as_bytes()).is_none());
        let invalid = with_data("\"?\"").replace('?', "\u{1}").into_bytes();
        assert!(at_once(&invalid).is_none());
        let mut invalid = with_data("\"?\"").into_bytes();
        let place = invalid.iter().position(|byte| *byte == b'?').unwrap();
        invalid[place] = 0xff;
        assert!(at_once(&invalid).is_none());
    }

    fn odd_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(json!(1)),
            Just(json!("")),
            Just(json!("1.0")),
            Just(json!("dev.entente.error")),
            Just(json!(format!("URN:UUID:{PRINTER}"))),
            Just(json!({"state": "Cleared", "reason": "jam", "orderRequested": true})),
            Just(json!({"state": "Raised", "reason": "jam", "impressions": 1.5})),
            Just(json!({"a": [1.5, true, null, "é\n"]})),
            Just(json!("2027-03-20T01:02:03+09:00")),
            Just(json!("2027-03-20T01:02:03+0900")),
            Just(json!("2027-03-20 01:02:03Z")),
            Just(json!("2016-12-31T23:59:60Z")),
            "[ -~é\u{1}]{0,8}".prop_map(Value::from),
            "[a-z.-]{1,200}".prop_map(Value::from),
        ]
    }

    fn odd_event() -> impl Strategy<Value = Value> {
        let names = prop::sample::select(super::super::MEMBERS.to_vec());
        let name = prop_oneof![9 => names.prop_map(str::to_owned), 1 => "[a-z]{1,4}"];
        let change = (name, prop::option::of(odd_value()));
        prop::collection::vec(change, 0..3).prop_map(|changes| {
            let mut event = event();
            let members = event.as_object_mut().expect("an object");
            for (name, value) in changes {
                match value {
                    Some(value) => drop(members.insert(name, value)),
                    None => drop(members.remove(&name)),
                }
            }
            event
        })
    }

    proptest! {
        // shows C8 K4
        #[test]
        fn whatever_is_read_at_once_is_what_the_other_reader_finds(
            batch in prop::collection::vec(odd_event(), 0..4),
        ) {
            let text = json!(batch).to_string();
            if let Some(found) = at_once(text.as_bytes()) {
                prop_assert_eq!(Some(found), slowly(text.as_bytes()));
            }
            let whole = Batch::read(text.as_bytes(), PRINTER).ok();
            let whole = whole.map(|batch| format!("{:?}", batch.events));
            prop_assert_eq!(whole, slowly(text.as_bytes()));
        }
    }
}
