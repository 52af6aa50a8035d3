//! Members of a body, read one by one, with every fault that they have.
//!
//! Decides which members there are; one that is not known is a fault, since a misspelt one would
//! otherwise be lost without a sign. Never quotes the value of a
//! setting. Called by the readers of bodies.

use entente_crds::bounded::cut;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    problem::{Content, Fault, MOST_FAULTS, Problem},
    texts::{INSTANT, Rule, instant},
};

/// The most characters of a pointer.
const MOST_POINTER: usize = 511;
/// The most characters of a quotation.
const MOST_QUOTED: usize = 64;
/// The largest whole number that every reader of JSON has exactly (RFC 8259 section 6).
const MOST_NUMBER: i64 = 9_007_199_254_740_991;

/// Whole numbers that are allowed, with the words for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) least: i64,
    pub(super) most: i64,
    pub(super) allowed: &'static str,
}

/// Whole numbers without a sign.
pub(super) const FROM_ZERO: Range = Range {
    least: 0,
    most: MOST_NUMBER,
    allowed: "a whole number from 0 on",
};

/// Faults of a body, with the reason of each.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Content, Fault)>);

impl Faults {
    /// Notes a fault of the form.
    pub(super) fn note(&mut self, pointer: &str, detail: impl Into<String>, allowed: &str) {
        self.note_as(Content::InvalidRequest, pointer, detail, allowed);
    }

    /// Notes a fault that has a reason of its own.
    pub(super) fn note_as(
        &mut self,
        content: Content,
        pointer: &str,
        detail: impl Into<String>,
        allowed: &str,
    ) {
        // One more than is told, so that a body of faults alone takes no memory.
        if self.0.len() <= MOST_FAULTS {
            let fault = Fault {
                pointer: cut(pointer.to_owned(), MOST_POINTER),
                detail: cut(detail.into(), MOST_POINTER),
                allowed: (!allowed.is_empty()).then(|| allowed.to_owned()),
            };
            self.0.push((content, fault));
        }
    }

    /// Returns the answer to the body, if it has a fault: faults of one reason have that reason.
    pub(super) fn problem(self) -> Option<Problem> {
        let mut contents = self.0.iter().map(|(content, _)| *content);
        let first = contents.next()?;
        let content = if contents.all(|content| content == first) {
            first
        } else {
            Content::InvalidRequest
        };
        let faults = self.0.into_iter().map(|(_, fault)| fault).collect();
        Some(Problem::Invalid(content, faults))
    }
}

/// Returns a text in quotation marks, as a person may read it.
pub(super) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(MOST_QUOTED + 1).collect();
    format!("\"{}\"", cut(start, MOST_QUOTED))
}

/// Returns the pointer of a member (RFC 6901).
pub(super) fn pointer(at: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("{at}/{name}")
}

/// The members of an object, and the place of it.
pub(super) struct Members<'a> {
    at: String,
    members: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    /// Reads an object whose members are known; notes one that is not. `None` if it is no object.
    pub(super) fn of(
        value: &'a Value,
        at: &str,
        known: &[&str],
        faults: &mut Faults,
    ) -> Option<Self> {
        let Some(members) = value.as_object() else {
            faults.note(at, format!("it is {}", kind(value)), "an object");
            return None;
        };
        for name in members.keys() {
            if !known.contains(&&**name) {
                let allowed = known.join(", ");
                faults.note(&pointer(at, name), "there is no such member", &allowed);
            }
        }
        Some(Self {
            at: at.to_owned(),
            members,
        })
    }

    /// Returns the pointer of a member.
    pub(super) fn pointer(&self, name: &str) -> String {
        pointer(&self.at, name)
    }

    /// Returns a member.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// Reads a text that may be absent.
    pub(super) fn text(&self, name: &str, rule: Rule, faults: &mut Faults) -> Option<&'a str> {
        let value = self.members.get(name)?;
        text(value, &self.pointer(name), rule, faults)
    }

    /// Reads a text that has to be there.
    pub(super) fn required(&self, name: &str, rule: Rule, faults: &mut Faults) -> Option<&'a str> {
        if self.is_there(name, rule.allowed, faults) {
            self.text(name, rule, faults)
        } else {
            None
        }
    }

    /// True if a member is there; notes that it is missing otherwise.
    pub(super) fn is_there(&self, name: &str, allowed: &str, faults: &mut Faults) -> bool {
        let is_there = self.members.contains_key(name);
        if !is_there {
            faults.note(&self.pointer(name), "it is missing", allowed);
        }
        is_there
    }

    /// Reads an instant that has to be there.
    pub(super) fn instant(&self, name: &str, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.required(name, INSTANT, faults)?;
        instant(text)
    }

    /// Reads a truth value that may be absent.
    pub(super) fn truth(&self, name: &str, faults: &mut Faults) -> Option<bool> {
        let value = self.members.get(name)?;
        let truth = value.as_bool();
        if truth.is_none() {
            let detail = format!("it is {}", kind(value));
            faults.note(&self.pointer(name), detail, "true or false");
        }
        truth
    }

    /// Reads a whole number that may be absent.
    pub(super) fn number(&self, name: &str, range: Range, faults: &mut Faults) -> Option<i64> {
        let value = self.members.get(name)?;
        let number = whole_number(value).filter(|it| (range.least..=range.most).contains(it));
        if number.is_none() {
            let detail = format!("it is {}", kind(value));
            faults.note(&self.pointer(name), detail, range.allowed);
        }
        number
    }

    /// Reads a list that may be absent, of at most so many items.
    pub(super) fn list(&self, name: &str, most: usize, faults: &mut Faults) -> Option<&'a [Value]> {
        list(self.members.get(name)?, &self.pointer(name), most, faults)
    }

    /// Reads one of several words that has to be there.
    pub(super) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
        faults: &mut Faults,
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let allowed = names.join(", ");
        if !self.is_there(name, &allowed, faults) {
            return None;
        }
        let value = self.members.get(name)?;
        let found = value.as_str().and_then(|text| {
            let mut words = words.iter();
            words.find(|(word, _)| *word == text).map(|(_, word)| *word)
        });
        if found.is_none() {
            let detail = match value.as_str() {
                Some(text) => format!("it is {}", quoted(text)),
                None => format!("it is {}", kind(value)),
            };
            faults.note(&self.pointer(name), detail, &allowed);
        }
        found
    }
}

/// Reads a list of at most so many items.
pub(super) fn list<'a>(
    value: &'a Value,
    at: &str,
    most: usize,
    faults: &mut Faults,
) -> Option<&'a [Value]> {
    let allowed = || format!("a list of at most {most}");
    let Some(items) = value.as_array() else {
        faults.note(at, format!("it is {}", kind(value)), &allowed());
        return None;
    };
    if items.len() > most {
        faults.note(at, format!("it has {} items", items.len()), &allowed());
        return None;
    }
    Some(items)
}

/// Reads a text.
pub(super) fn text<'a>(
    value: &'a Value,
    at: &str,
    rule: Rule,
    faults: &mut Faults,
) -> Option<&'a str> {
    let Some(text) = value.as_str() else {
        faults.note(at, format!("it is {}", kind(value)), rule.allowed);
        return None;
    };
    if !(rule.is_allowed)(text) {
        let detail = if rule.may_be_quoted {
            format!("it is {}", quoted(text))
        } else {
            format!("it has {} characters", text.chars().count())
        };
        faults.note(at, detail, rule.allowed);
        return None;
    }
    Some(text)
}

/// Returns the members of an object of so many at most, or notes the fault. Null, which
/// removes all of them, was taken before.
pub(super) fn object_of<'a>(
    value: &'a Value,
    most: usize,
    at: &str,
    faults: &mut Faults,
) -> Option<&'a Map<String, Value>> {
    let Some(members) = value.as_object() else {
        faults.note(at, format!("it is {}", kind(value)), "an object, or null");
        return None;
    };
    if members.len() > most {
        let detail = format!("it has {} members", members.len());
        faults.note(at, detail, &format!("{most} at most"));
        return None;
    }
    Some(members)
}

/// Returns a whole number; 7.0 is one, as JSON Schema has it (2020-12 validation, section 6.1.1). `None` of one
/// that a reader of JSON may not have exactly.
fn whole_number(value: &Value) -> Option<i64> {
    let whole = value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|it| it.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    });
    whole.filter(|it| (-MOST_NUMBER..=MOST_NUMBER).contains(it))
}

/// Returns the kind of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::texts::VALUE;

    #[test]
    fn a_number_is_whole_by_its_value_and_not_by_its_spelling() {
        for (text, whole) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("7e2", Some(700)),
            ("-0.0", Some(0)),
            ("9007199254740991", Some(MOST_NUMBER)),
            ("9007199254740992", None),
            ("9e300", None),
            ("7.5", None),
            ("\"7\"", None),
            ("null", None),
        ] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(whole_number(&value), whole, "{text}");
        }
    }

    // shows K4
    #[test]
    fn a_fault_is_bounded_has_an_escaped_pointer_and_never_the_value_of_a_setting() {
        let name = format!("a/b~c\r\n{}", "x".repeat(2000));
        let value = serde_json::json!({ name: "hunter2", "value": "hunter2".repeat(200) });
        let mut faults = Faults::default();
        let members = Members::of(&value, "", &["value"], &mut faults).unwrap();
        assert_eq!(members.text("value", VALUE, &mut faults), None);
        let problem = faults.problem().unwrap();
        let body = problem.body();
        let pointer = body["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/a~1b~0c  x"), "{pointer}");
        assert_eq!(pointer.chars().count(), 511);
        assert_eq!(body["errors"][1]["detail"], "it has 1400 characters");
        assert!(!body.to_string().contains("hunter2"), "{body}");
    }
}
