//! JSON in which no object has a member twice, and which is not deeper than its reader allows.
//!
//! Decides nothing else. The API server refuses a member that is there twice, and would never see the
//! first of them if it were lost here. Called where a body of an event or of a device is read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of lists and objects that every body may have.
const DEEPEST: usize = 100;

/// Reads a value.
///
/// # Errors
/// Returns why the text is no JSON, or that a member is there twice.
pub(crate) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    read_within(text, DEEPEST)
}

/// Reads a value of at most so many levels of lists and objects.
///
/// # Errors
/// Returns why the text is no JSON, that a member is there twice, or that it is deeper.
pub(crate) fn read_within(text: &[u8], levels: usize) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Within(levels).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Judges a value as [`read_within`], and keeps nothing of it.
///
/// # Errors
/// Those of [`read_within`].
pub(crate) fn judge_within(text: &[u8], levels: usize) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Judged(Within(levels)).deserialize(&mut reader)?;
    reader.end()
}

/// The levels that are left.
#[derive(Clone, Copy)]
struct Within(usize);

impl Within {
    fn below<E: Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1).map(Self);
        left.ok_or_else(|| E::custom("it is too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Within {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.insert(name, members.next_value_seed(below)?).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

/// The levels that are left of a value that is not kept.
#[derive(Clone, Copy)]
struct Judged(Within);

/// Name of a member, copied only if it has escapes.
#[derive(Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Judged {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Judged {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = Self(self.0.below()?);
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = Self(self.0.below()?);
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            members.next_value_seed(below)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows K4
    #[test]
    fn a_member_that_is_there_twice_and_a_text_that_is_too_deep_are_refused() {
        let lists = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (text, refused) in [
            (r#"{"a":1,"b":[{"a":2}]}"#.to_owned(), None),
            (r#"{"a":1,"a":1}"#.to_owned(), Some("twice")),
            (r#"{"b":[{"a":1,"\u0061":1}]}"#.to_owned(), Some("twice")),
            (lists(32), None),
            (lists(33), Some("too deep")),
            (lists(100_000), Some("too deep")),
            (r#"{"a":"#.repeat(100_000), Some("too deep")),
            ("1 2".to_owned(), Some("trailing")),
            (String::new(), Some("EOF")),
        ] {
            let read = read_within(text.as_bytes(), 32);
            let error = read.err().map(|it| it.to_string()).unwrap_or_default();
            let judged = judge_within(text.as_bytes(), 32).err();
            assert_eq!(judged.is_some(), refused.is_some(), "{text:.40}");
            match refused {
                Some(part) => assert!(error.contains(part), "{error}"),
                None => assert_eq!(error, ""),
            }
        }
        assert!(read_within(b"\"\xff\"", 32).is_err(), "it is no UTF-8");
        assert!(judge_within(b"\"\xff\"", 32).is_err(), "it is no UTF-8");
    }
}
