//! Values of parameters and settings: from the quoted text of a spec to a typed value, and back.
//!
//! Decides whether a text is of a type and inside the allowed values. It must never guess: a value
//! that is not written as the type requires is refused, with a message that names the allowed
//! values. Called by `contract` for what a contract chooses, and by `delivery` for settings of
//! devices and servers.

use std::collections::BTreeSet;

use entente_crds::v1alpha1::{DeviceSetting, Parameter, ValueType};

use crate::{
    remote::Value,
    secret::{HIDDEN, SecretText},
};

/// The most characters of a found text that a message repeats.
const SHOWN: usize = 64;

/// Limits of a value, beside its type. A member that does not belong to the type is ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Constraints<'a> {
    /// Keyword and KeywordSet: the words that are allowed; empty: any word.
    pub allowed: &'a [String],
    /// Integer: the smallest number.
    pub minimum: Option<i64>,
    /// Integer: the largest number.
    pub maximum: Option<i64>,
    /// String: the most characters.
    pub max_length: Option<usize>,
}

impl<'a> Constraints<'a> {
    /// Returns no constraint but the type.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the constraints of a parameter of a SmartService.
    pub fn of_parameter(parameter: &'a Parameter) -> Self {
        Self {
            allowed: &parameter.allowed,
            minimum: parameter.minimum,
            maximum: parameter.maximum,
            max_length: None,
        }
    }

    /// Returns the constraints of a setting of a DeviceModel.
    pub fn of_setting(setting: &'a DeviceSetting) -> Self {
        Self {
            allowed: &setting.allowed,
            minimum: setting.minimum,
            maximum: setting.maximum,
            max_length: setting
                .max_length
                .and_then(|length| usize::try_from(length).ok()),
        }
    }
}

/// A value that is not of its type or not allowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name} is \"{found}\": must be {allowed}")]
pub struct ValueError {
    /// The parameter or setting.
    pub name: String,
    /// The text that was found, at most 64 characters of it.
    pub found: String,
    /// Description of the allowed values.
    pub allowed: String,
}

/// Reads the text of a parameter or setting as a value of its type.
///
/// Integers are decimal, booleans "true" or "false"; the words of a KeywordSet are separated by
/// commas, spaces around them mean nothing, and there is at least one. No text that is written in a
/// spec is of type Secret: such values come from a Secret ([`secret_value`]).
pub fn parse_value(
    name: &str,
    raw: &str,
    r#type: ValueType,
    constraints: &Constraints,
) -> Result<Value, ValueError> {
    typed(raw, r#type, constraints).ok_or_else(|| ValueError {
        name: name.to_owned(),
        found: shown(raw, r#type),
        allowed: allowed_text(r#type, constraints),
    })
}

/// Returns a secret text as a value of type Secret; the error does not repeat it.
pub fn secret_value(
    name: &str,
    text: SecretText,
    constraints: &Constraints,
) -> Result<Value, ValueError> {
    if is_short_enough(text.expose(), constraints) {
        return Ok(Value::Secret(text));
    }
    Err(ValueError {
        name: name.to_owned(),
        found: HIDDEN.to_owned(),
        allowed: allowed_text(ValueType::String, constraints),
    })
}

/// Returns the one text of a value, which [`parse_value`] reads back: `7` and not `007`, the words
/// of a set sorted and separated by a comma. Of a secret it is the digest, which nothing reads
/// back.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.digest().to_string(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(holds) => holds.to_string(),
        Value::Words(words) => words
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(","),
    }
}

fn typed(raw: &str, r#type: ValueType, constraints: &Constraints) -> Option<Value> {
    match r#type {
        ValueType::String => is_short_enough(raw, constraints).then(|| Value::Text(raw.to_owned())),
        ValueType::Secret => None,
        ValueType::Integer => integer(raw).filter(|number| inside(number, constraints)),
        ValueType::Boolean => match raw {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        ValueType::Keyword => {
            is_word(raw, constraints.allowed).then(|| Value::Text(raw.to_owned()))
        }
        ValueType::KeywordSet => {
            let words: BTreeSet<String> =
                raw.split(',').map(|word| word.trim().to_owned()).collect();
            words
                .iter()
                .all(|word| is_word(word, constraints.allowed))
                .then_some(Value::Words(words))
        }
    }
}

fn is_short_enough(text: &str, constraints: &Constraints) -> bool {
    let most = constraints.max_length.unwrap_or(usize::MAX);
    text.chars().count() <= most
}

fn integer(raw: &str) -> Option<Value> {
    // The standard library would also read "+5".
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    raw.parse().ok().map(Value::Integer)
}

fn inside(value: &Value, constraints: &Constraints) -> bool {
    let Value::Integer(number) = value else {
        return false;
    };
    constraints.minimum.is_none_or(|minimum| *number >= minimum)
        && constraints.maximum.is_none_or(|maximum| *number <= maximum)
}

fn is_word(word: &str, allowed: &[String]) -> bool {
    if allowed.is_empty() {
        return !word.is_empty()
            && !word.contains(|found: char| found == ',' || found.is_whitespace());
    }
    allowed.iter().any(|one| one == word)
}

fn allowed_text(r#type: ValueType, constraints: &Constraints) -> String {
    let words = || constraints.allowed.join(", ");
    match r#type {
        ValueType::String => match constraints.max_length {
            Some(most) => format!("a text of at most {most} characters"),
            None => "a text".to_owned(),
        },
        ValueType::Integer => match (constraints.minimum, constraints.maximum) {
            (Some(minimum), Some(maximum)) => format!("a whole number from {minimum} to {maximum}"),
            (Some(minimum), None) => format!("a whole number of at least {minimum}"),
            (None, Some(maximum)) => format!("a whole number of at most {maximum}"),
            (None, None) => "a whole number such as \"15\"".to_owned(),
        },
        ValueType::Boolean => "\"true\" or \"false\"".to_owned(),
        ValueType::Secret => "given in secretParameters, from a Secret".to_owned(),
        ValueType::Keyword if constraints.allowed.is_empty() => "one word".to_owned(),
        ValueType::Keyword => format!("one of {}", words()),
        ValueType::KeywordSet if constraints.allowed.is_empty() => {
            "words separated by commas".to_owned()
        }
        ValueType::KeywordSet => format!("one or more of {}, separated by commas", words()),
    }
}

fn shown(raw: &str, r#type: ValueType) -> String {
    if r#type == ValueType::Secret {
        return HIDDEN.to_owned();
    }
    if raw.chars().nth(SHOWN).is_none() {
        return raw.to_owned();
    }
    raw.chars()
        .take(SHOWN - 1)
        .chain(std::iter::once('…'))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn check(r#type: ValueType, constraints: Constraints, raw: &str, expected: Result<&str, &str>) {
        let found = parse_value("x", raw, r#type, &constraints);
        let found = found
            .as_ref()
            .map(canonical)
            .map_err(|error| error.allowed.clone());
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{raw}"
        );
    }

    #[test]
    fn words_are_those_allowed_and_a_set_of_them_has_no_order() {
        use ValueType::{Keyword, KeywordSet};
        let days = words(&["Mon", "Sun", "Wed"]);
        let days = Constraints {
            allowed: &days,
            ..Constraints::none()
        };
        let some = "one or more of Mon, Sun, Wed, separated by commas";
        check(KeywordSet, days, " Wed ,Sun", Ok("Sun,Wed"));
        check(KeywordSet, days, "Sun,Sun", Ok("Sun"));
        check(KeywordSet, days, "", Err(some));
        check(KeywordSet, days, "Sun,", Err(some));
        check(
            KeywordSet,
            Constraints::none(),
            "a,b c",
            Err("words separated by commas"),
        );
        check(Keyword, days, "Mon", Ok("Mon"));
        check(Keyword, days, "mon", Err("one of Mon, Sun, Wed"));
        check(Keyword, Constraints::none(), "", Err("one word"));
    }

    #[test]
    fn numbers_truth_values_and_texts_are_read_as_written() {
        use ValueType::{Boolean, Integer, String};
        let free = Constraints::none();
        let percent = Constraints {
            minimum: Some(1),
            maximum: Some(100),
            ..free
        };
        let short = Constraints {
            max_length: Some(3),
            ..free
        };
        let (within, number) = (
            "a whole number from 1 to 100",
            "a whole number such as \"15\"",
        );
        check(Integer, percent, "007", Ok("7"));
        check(Integer, percent, "100", Ok("100"));
        check(Integer, percent, "0", Err(within));
        check(Integer, percent, "101", Err(within));
        check(Integer, percent, "+5", Err(within));
        check(Integer, free, "-", Err(number));
        check(Integer, free, "99999999999999999999", Err(number));
        check(Boolean, free, "true", Ok("true"));
        check(Boolean, free, "yes", Err("\"true\" or \"false\""));
        check(String, short, "één", Ok("één"));
        check(String, short, "four", Err("a text of at most 3 characters"));
    }

    #[test]
    fn what_is_allowed_is_said_by_the_bounds_that_there_are() {
        use ValueType::{Integer, KeywordSet, Secret, String};
        let free = Constraints::none();
        let least = Constraints {
            minimum: Some(5),
            ..free
        };
        let most = Constraints {
            maximum: Some(5),
            ..free
        };
        check(Integer, least, "5", Ok("5"));
        check(Integer, least, "4", Err("a whole number of at least 5"));
        check(Integer, most, "-7", Ok("-7"));
        check(Integer, most, "6", Err("a whole number of at most 5"));
        check(Integer, free, "", Err("a whole number such as \"15\""));
        check(Integer, free, "1 ", Err("a whole number such as \"15\""));
        check(KeywordSet, free, "b,a,b", Ok("a,b"));
        check(KeywordSet, free, ",", Err("words separated by commas"));
        check(String, free, "", Ok(""));
        let secret = "given in secretParameters, from a Secret";
        check(Secret, free, "hunter", Err(secret));
    }

    // shows K4
    #[test]
    fn a_secret_is_repeated_in_no_error_whatever_is_wrong_with_it() {
        let key = crate::secret::DigestKey::new(vec![7; 32]);
        let text = || SecretText::new("hunter-two".to_owned(), &key);
        let short = Constraints {
            max_length: Some(9),
            ..Constraints::none()
        };
        let refused = secret_value("login", text(), &short).map_err(|error| error.to_string());
        let message = refused.expect_err("it is too long");
        assert!(!message.contains("hunter"), "{message}");
        assert!(message.contains("at most 9 characters"), "{message}");
        let fits = Constraints {
            max_length: Some(10),
            ..Constraints::none()
        };
        let taken = secret_value("login", text(), &fits).expect("it fits");
        assert_eq!(canonical(&taken), text().digest().to_string());
        let written = parse_value("login", "hunter-two", ValueType::Secret, &fits);
        let message = written.expect_err("it is no secret then").to_string();
        assert!(!message.contains("hunter"), "{message}");
    }

    // shows K2
    #[test]
    fn a_refused_value_is_named_with_what_was_found_and_what_is_allowed() {
        let error = parse_value("mode", "fast", ValueType::Boolean, &Constraints::none());
        let text = error.map_err(|error| error.to_string());
        assert_eq!(
            text,
            Err("mode is \"fast\": must be \"true\" or \"false\"".to_owned())
        );
        let long = parse_value(
            "mode",
            &"é".repeat(80),
            ValueType::Boolean,
            &Constraints::none(),
        );
        assert!(long.is_err_and(|error| error.found.chars().count() == SHOWN));
    }

    proptest! {
        #[test]
        fn the_canonical_text_reads_back_as_the_same_value(
            raw in "[ab ,0-9-]{0,8}|true|false|-?[0-9]{1,20}",
            r#type in prop::sample::select(vec![
                ValueType::String, ValueType::Integer, ValueType::Boolean, ValueType::Keyword,
                ValueType::KeywordSet,
            ]),
        ) {
            let free = Constraints::none();
            if let Ok(value) = parse_value("x", &raw, r#type, &free) {
                let again = parse_value("x", &canonical(&value), r#type, &free);
                prop_assert_eq!(again, Ok(value));
            }
        }
    }
}
