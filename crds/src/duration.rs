//! Durations as the schema [`crate::schema::duration`] accepts them.
//!
//! Decides which texts are durations, for the fields of the kinds and for the operator's flags
//! alike. jiff reads each number with its unit; the rules that are narrower than jiff's format are
//! here.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A length of time in a spec: read once, with the object, and written back as it was written.
///
/// A text that is no duration does not prevent its object from being read: otherwise the object
/// would be in no cache and its status could not report the fault. The text is kept, and
/// [`Self::length`] is the only way to the value, so that nobody calculates with a value that does
/// not exist.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(from = "String", into = "String")]
pub struct Duration {
    text: String,
    length: Option<SignedDuration>,
}

impl Duration {
    /// Returns the length of time.
    ///
    /// # Errors
    /// Names the text that is no duration and what is allowed. The schema refuses such a text, so
    /// it can only have been stored before the schema, or past it.
    pub fn length(&self) -> Result<SignedDuration, DurationError> {
        self.length.ok_or_else(|| DurationError {
            found: self.text.clone(),
        })
    }
}

/// Zero length, written "0s".
impl Default for Duration {
    fn default() -> Self {
        "0s".into()
    }
}

impl From<String> for Duration {
    fn from(text: String) -> Self {
        let length = sum(&text);
        Self { text, length }
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text
    }
}

/// Writes the text as it was written.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The largest number of digits of one number.
const MAX_DIGITS: usize = 6;

/// The units that are allowed, of those that jiff knows.
const UNITS: [&str; 4] = ["ms", "s", "m", "h"];

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{found}\" must be a duration such as \"90s\", \"15m\" or \"336h\"")]
pub struct DurationError {
    /// The text that is no duration, as it was found.
    pub found: String,
}

/// Reads a duration such as `90s`, `15m`, `336h`, `1h30m` or `500ms`: numbers of at most 6 digits,
/// each with its unit.
///
/// # Errors
/// Names what was found and what is allowed.
pub fn parse_duration(text: &str) -> Result<SignedDuration, DurationError> {
    sum(text).ok_or_else(|| DurationError {
        found: text.to_owned(),
    })
}

/// Adds up the parts one by one: the schema allows a unit twice and in any order (`1m1m`), where
/// jiff wants the larger one first.
fn sum(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    loop {
        let digits = rest.find(|found: char| !found.is_ascii_digit())?;
        let unit = &rest[digits..];
        let unit = &unit[..unit
            .find(|found: char| found.is_ascii_digit())
            .unwrap_or(unit.len())];
        if !(1..=MAX_DIGITS).contains(&digits) || !UNITS.contains(&unit) {
            return None;
        }
        let (part, after) = rest.split_at(digits + unit.len());
        total = total.checked_add(part.parse().ok()?)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_schema_accepts_them() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("336h", 1_209_600_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1m1m", 120_000),
            ("0s", 0),
            ("999999h", 3_599_996_400_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(SignedDuration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_field_is_written_back_byte_for_byte_also_where_it_is_no_duration() {
        for (text, length) in [
            ("60m", Some(SignedDuration::from_hours(1))),
            ("007s", Some(SignedDuration::from_secs(7))),
            ("soon", None),
            ("", None),
        ] {
            let stored = serde_json::json!(text);
            let field: Duration = serde_json::from_value(stored.clone()).expect("it is a text");
            assert_eq!(field.length().ok(), length, "{text}");
            assert_eq!(field.to_string(), text);
            assert_eq!(serde_json::to_value(field).expect("it is a text"), stored);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_and_the_error_says_what_is_allowed() {
        for text in [
            "", "15", "m", "-15m", "15 m", "1.5h", "15d", "1234567s", "1h30", "1hm", "１s",
        ] {
            assert_eq!(
                parse_duration(text),
                Err(DurationError { found: text.into() }),
                "{text}"
            );
        }
        let said = parse_duration("15d").unwrap_err().to_string();
        assert_eq!(
            said,
            "\"15d\" must be a duration such as \"90s\", \"15m\" or \"336h\""
        );
    }
}
