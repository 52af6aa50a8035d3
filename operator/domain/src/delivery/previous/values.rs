//! A value of a device as the texts that are kept of it, and back.
//!
//! Decides which values can be kept: those that are written back exactly as they were read. It never
//! keeps a part of one. Called when a value is saved, compared and put back.

use std::collections::BTreeSet;

use entente_crds::{
    bounded::Text,
    v1alpha1::{MAX_PREVIOUS, Unsaved, ValueType},
};

use crate::remote::{Scalar, Value};

/// The largest number of words of a set that are kept.
const MOST_WORDS: usize = 64;

/// Characters by which devices and programs hide a secret that they have.
const MASKS: &[char] = &['*', '•', '●', '∗'];

/// The fewest characters of a mask: shorter texts may mean what they say.
const SHORTEST_MASK: usize = 3;

/// Returns the value of a setting that was read, with the type of the setting; `None` if it is none
/// of that type.
pub(in crate::delivery) fn value_of(r#type: ValueType, found: &[Scalar]) -> Option<Value> {
    match (r#type, found) {
        (ValueType::String | ValueType::Keyword, [Scalar::Text(text)]) => {
            Some(Value::Text(text.clone()))
        }
        (ValueType::Integer, [Scalar::Integer(number)]) => Some(Value::Integer(*number)),
        (ValueType::Boolean, [Scalar::Boolean(truth)]) => Some(Value::Boolean(*truth)),
        (ValueType::KeywordSet, [_, ..]) => {
            let words = found.iter().map(|word| match word {
                Scalar::Text(word) if !word.is_empty() => Some(word.clone()),
                _ => None,
            });
            words.collect::<Option<BTreeSet<_>>>().map(Value::Words)
        }
        _ => None,
    }
}

/// Returns the texts that are kept of a value, or the reason for which it cannot be kept.
pub(in crate::delivery) fn texts_of(
    r#type: ValueType,
    found: &[Scalar],
) -> Result<Vec<Text<MAX_PREVIOUS>>, Unsaved> {
    let value = value_of(r#type, found).ok_or(Unsaved::Unreadable)?;
    let texts: Vec<String> = match value {
        Value::Text(text) => vec![text],
        Value::Integer(number) => vec![number.to_string()],
        Value::Boolean(truth) => vec![truth.to_string()],
        Value::Words(words) => words.into_iter().collect(),
        Value::Secret(_) => return Err(Unsaved::Secret),
    };
    if texts.len() > MOST_WORDS {
        return Err(Unsaved::TooLarge);
    }
    texts.iter().map(|text| kept(text)).collect()
}

/// Returns a text that is kept whole.
fn kept(text: &str) -> Result<Text<MAX_PREVIOUS>, Unsaved> {
    if text.chars().nth(MAX_PREVIOUS).is_some() {
        return Err(Unsaved::TooLarge);
    }
    let is_mask = text.chars().all(|found| MASKS.contains(&found));
    if is_mask && text.chars().count() >= SHORTEST_MASK {
        return Err(Unsaved::Secret);
    }
    let kept = Text::from(text);
    if kept == *text {
        Ok(kept)
    } else {
        Err(Unsaved::Unreadable)
    }
}

/// Returns the value that kept texts stand for, with the type that the setting has now; `None` if it
/// has another one by now.
pub(in crate::delivery) fn value_from(
    r#type: ValueType,
    kept: &[Text<MAX_PREVIOUS>],
) -> Option<Value> {
    match (r#type, kept) {
        (ValueType::String | ValueType::Keyword, [text]) => Some(Value::Text(text.to_string())),
        (ValueType::Integer, [number]) => number.parse().ok().map(Value::Integer),
        (ValueType::Boolean, [truth]) => truth.parse().ok().map(Value::Boolean),
        (ValueType::KeywordSet, [_, ..]) => {
            let words = kept.iter().map(ToString::to_string);
            Some(Value::Words(words.collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    // shows C10 K4
    #[test]
    fn a_value_is_kept_whole_or_not_at_all() {
        use ValueType::{Boolean, Integer, Keyword, KeywordSet, Secret, String};
        let long = "é".repeat(MAX_PREVIOUS);
        for (r#type, found, kept) in [
            (String, vec![text("Lobby")], Ok("[\"Lobby\"]")),
            (String, vec![text("")], Ok("[\"\"]")),
            (
                String,
                vec![text(" two  blanks ")],
                Ok("[\" two  blanks \"]"),
            ),
            (Keyword, vec![text("auto")], Ok("[\"auto\"]")),
            (Integer, vec![Scalar::Integer(-7)], Ok("[\"-7\"]")),
            (Boolean, vec![Scalar::Boolean(false)], Ok("[\"false\"]")),
            (
                KeywordSet,
                vec![text("b"), text("a"), text("b")],
                Ok("[\"a\", \"b\"]"),
            ),
            // A mask is not the secret, and would replace it.
            (String, vec![text("********")], Err(Unsaved::Secret)),
            (String, vec![text("•••")], Err(Unsaved::Secret)),
            (String, vec![text("**")], Ok("[\"**\"]")),
            (Secret, vec![text("open sesame")], Err(Unsaved::Unreadable)),
            // A character that a reader cannot see would be lost.
            (String, vec![text("a\u{0}b")], Err(Unsaved::Unreadable)),
            (String, vec![text("a\nb")], Err(Unsaved::Unreadable)),
            (String, vec![text("a"), text("b")], Err(Unsaved::Unreadable)),
            (String, vec![Scalar::Integer(1)], Err(Unsaved::Unreadable)),
            (
                String,
                vec![Scalar::Other("no-value".to_owned())],
                Err(Unsaved::Unreadable),
            ),
            (
                Integer,
                vec![Scalar::Malformed("cut off".to_owned())],
                Err(Unsaved::Unreadable),
            ),
            (
                KeywordSet,
                vec![text("a"), Scalar::Integer(1)],
                Err(Unsaved::Unreadable),
            ),
            (KeywordSet, vec![text("")], Err(Unsaved::Unreadable)),
            (
                String,
                vec![text(&(long.clone() + "é"))],
                Err(Unsaved::TooLarge),
            ),
            (
                KeywordSet,
                (0..65).map(|it| text(&format!("w{it}"))).collect(),
                Err(Unsaved::TooLarge),
            ),
        ] {
            let found_text = texts_of(r#type, &found).map(|kept| format!("{kept:?}"));
            assert_eq!(found_text, kept.map(str::to_owned), "{type:?} {found:?}");
        }
        assert!(texts_of(ValueType::String, &[text(&long)]).is_ok());
    }

    proptest! {
        // shows C10
        #[test]
        fn what_is_kept_gives_the_value_back_that_was_read(
            r#type in prop::sample::select(vec![
                ValueType::String,
                ValueType::Keyword,
                ValueType::KeywordSet,
                ValueType::Integer,
                ValueType::Boolean,
            ]),
            texts in prop::collection::vec(".{0,12}", 1..4),
            number in any::<i64>(),
            truth in any::<bool>(),
        ) {
            let found: Vec<Scalar> = match r#type {
                ValueType::Integer => vec![Scalar::Integer(number)],
                ValueType::Boolean => vec![Scalar::Boolean(truth)],
                ValueType::KeywordSet => texts.into_iter().map(Scalar::Text).collect(),
                _ => texts.into_iter().take(1).map(Scalar::Text).collect(),
            };
            if let Ok(kept) = texts_of(r#type, &found) {
                prop_assert_eq!(value_from(r#type, &kept), value_of(r#type, &found));
            }
        }
    }
}
