//! The words for a value that was read back as another one than is wanted.
//!
//! Decides only what is shown: never a secret, and never more than a beginning. Called by verify.

use crate::{
    bounded::cut,
    protocol::Place,
    remote::{Scalar, Value},
};

/// The largest number of characters of a value in a message.
const MOST_SHOWN: usize = 64;

/// Returns the violation of the rules in a reading, as a phrase, if there is one.
pub(in crate::delivery) fn malformed(place: &Place, found: Option<&[Scalar]>) -> Option<String> {
    found?.iter().find_map(|value| match value {
        Scalar::Malformed(how) => Some(format!("{place}: {how}")),
        _ => None,
    })
}

/// Returns the words for what is wanted and what was found at a place. `is_private`: what was found
/// has a secret in it. `None` where nothing may be shown.
pub(super) fn difference(
    place: &Place,
    wanted: &Value,
    found: Option<&[Scalar]>,
    is_private: bool,
) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("the device does not report {place}"));
    };
    let wanted = shown_wanted(wanted)?;
    if is_private {
        return Some(format!("wants {wanted}"));
    }
    Some(format!("wants {wanted}, has {}", shown_found(found)))
}

fn shown_wanted(value: &Value) -> Option<String> {
    Some(match value {
        Value::Secret(_) => return None,
        Value::Text(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Words(words) => joined(words.iter().map(|word| quoted(word))),
    })
}

fn shown_found(found: &[Scalar]) -> String {
    joined(found.iter().map(|value| match value {
        Scalar::Text(text) => quoted(text),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Boolean(truth) => truth.to_string(),
        Scalar::Digest(_) => "a secret".to_owned(),
        Scalar::Other(text) | Scalar::Malformed(text) => folded(text),
    }))
}

fn joined(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    if values.is_empty() {
        return "nothing".to_owned();
    }
    // One value with its quotation marks is shown whole.
    cut(values.join(", "), MOST_SHOWN + 2)
}

/// Returns a text in quotation marks, cut, and without anything that a terminal would act on.
fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(folded(text), MOST_SHOWN))
}

fn folded(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::IppOperation;

    use super::*;
    use crate::secret::{DigestKey, SecretText};

    fn place() -> Place {
        Place::ipp(IppOperation::SetPrinterAttributes, "printer-location")
    }

    // shows K2
    #[test]
    fn what_is_wanted_and_what_was_read_is_said_in_one_sentence_for_each_kind_of_value() {
        let text = |text: &str| Value::Text(text.to_owned());
        let read = |text: &str| Scalar::Text(text.to_owned());
        let words =
            |words: &[&str]| Value::Words(words.iter().map(|it| (*it).to_owned()).collect());
        let long = "x".repeat(200);
        for (wanted, found, said) in [
            (
                text("Lobby"),
                vec![read("Hall")],
                "wants \"Lobby\", has \"Hall\"",
            ),
            (text("Lobby"), vec![], "wants \"Lobby\", has nothing"),
            (
                Value::Integer(5),
                vec![Scalar::Integer(7)],
                "wants 5, has 7",
            ),
            (
                Value::Boolean(true),
                vec![Scalar::Boolean(false)],
                "wants true, has false",
            ),
            (
                words(&["mon", "sun"]),
                vec![read("sun")],
                "wants \"mon\", \"sun\", has \"sun\"",
            ),
            (
                text("Lobby"),
                vec![Scalar::Other("no-value".to_owned())],
                "wants \"Lobby\", has no-value",
            ),
            (
                text("a"),
                vec![read("b\n\u{1b}[31m")],
                "wants \"a\", has \"b  [31m\"",
            ),
            (
                text(&long),
                vec![read(&long)],
                &*format!("wants \"{0}…\", has \"{0}…", "x".repeat(63)),
            ),
        ] {
            let found = difference(&place(), &wanted, Some(&found), false).expect(said);
            assert!(found.starts_with(said), "{found}");
            assert!(found.chars().count() < 160, "{found}");
        }
    }

    // shows K2 K4
    #[test]
    fn a_secret_is_never_shown_and_what_is_not_reported_is_said() {
        let key = DigestKey::new(b"own".to_vec());
        let secret = Value::Secret(SecretText::new("open sesame".to_owned(), &key));
        let found = vec![Scalar::Text("open says me".to_owned())];
        assert_eq!(difference(&place(), &secret, Some(&found), false), None);
        let wanted = Value::Text("Lobby".to_owned());
        let said = difference(&place(), &wanted, Some(&found), true);
        assert_eq!(said.as_deref(), Some("wants \"Lobby\""));
        for wanted in [&wanted, &secret] {
            let said = difference(&place(), wanted, None, false);
            let missing = "the device does not report printer-location";
            assert_eq!(said.as_deref(), Some(missing));
        }
    }
}
