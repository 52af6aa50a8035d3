//! The serial numbers of an enrolment.
//!
//! Decides whether one is admitted: by name, or by a regular expression that has to match all of it. An
//! expression that cannot be read, or is too large, admits none. Called by `registration`.

use entente_crds::v1alpha1::SerialNumbers;
use regex_lite::{Regex, RegexBuilder};

/// The most bytes of a compiled expression.
const MOST_BYTES: usize = 256 * 1024;

/// True if a serial number is admitted.
pub(super) fn admit(admitted: Option<&SerialNumbers>, serial_number: &str) -> bool {
    let Some(admitted) = admitted else {
        return true;
    };
    match &admitted.pattern {
        Some(pattern) => matches_whole(pattern, serial_number),
        None => admitted.names.iter().any(|name| name == serial_number),
    }
}

/// Returns the reason for which an expression cannot be used.
pub fn pattern_fault(pattern: &str) -> Option<String> {
    let why = compiled(pattern).err()?.to_string();
    Some(if why.contains("size limit") {
        "it is too large once its repetitions are written out".to_owned()
    } else {
        why
    })
}

fn compiled(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(MOST_BYTES).build()
}

fn matches_whole(pattern: &str, serial_number: &str) -> bool {
    // Alone first: a parenthesis too many must not end ours.
    let whole = compiled(pattern).and_then(|_| compiled(&format!("\\A(?:{pattern})\\z")));
    whole.is_ok_and(|whole| whole.is_match(serial_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(pattern: &str, serial_number: &str) -> bool {
        let admitted = SerialNumbers {
            pattern: Some(pattern.to_owned()),
            ..SerialNumbers::default()
        };
        admit(Some(&admitted), serial_number)
    }

    // shows C2
    #[test]
    fn an_expression_has_to_match_all_of_a_serial_number() {
        for (pattern, serial_number, expected) in [
            ("A1B2C[0-9]{1,6}", "A1B2C3", true),
            ("^A1B2C[0-9]{1,6}$", "A1B2C3", true),
            ("A1B2C[0-9]{1,6}", "A1B2C3X", false),
            ("A1B2C[0-9]{1,6}", "XA1B2C3", false),
            ("A|AB", "AB", true),
            ("A$", "A\nB", false),
            ("(?m)^A$", "A\nB", false),
            ("", "A", false),
            (".*", "é", true),
            ("a)|(b", "b", false),
            ("(", "(", false),
            ("A #", "A #", true),
            ("(?x)A # all of it", "A", false),
            (r"(?:[a-z]{1000}){1000}", "a", false),
        ] {
            assert_eq!(admits(pattern, serial_number), expected, "{pattern}");
        }
    }

    // shows K2
    #[test]
    fn why_an_expression_cannot_be_used_is_said_in_plain_words() {
        for (pattern, expected) in [
            ("A1B2C[0-9]{1,6}", None),
            ("A[", Some("unclosed")),
            ("A(?=B)", Some("look-around is not supported")),
            (r"(?:[a-z]{1000}){1000}", Some("it is too large once")),
        ] {
            let fault = pattern_fault(pattern);
            let is_it = match (&fault, expected) {
                (Some(fault), Some(expected)) => fault.contains(expected),
                (fault, expected) => fault.is_none() && expected.is_none(),
            };
            assert!(is_it, "{pattern}: {fault:?}");
        }
    }

    #[test]
    fn names_are_compared_as_they_are() {
        let admitted = SerialNumbers {
            names: vec!["A1".to_owned()],
            ..SerialNumbers::default()
        };
        assert!(admit(Some(&admitted), "A1") && !admit(Some(&admitted), "a1"));
        assert!(admit(None, "anything"));
    }

    #[test]
    fn an_expression_with_many_repetitions_takes_no_long_time() {
        let evil = format!("({})+$", "(a|aa)*".repeat(20));
        assert!(!admits(&evil, &format!("{}b", "a".repeat(63))));
    }
}
