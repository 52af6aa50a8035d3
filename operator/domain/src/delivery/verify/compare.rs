//! When what was read is what is wanted.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::exchange::{Scalar, Value};

/// Whether a device's attribute has the wanted value.
pub(in crate::delivery) fn is_equal(wanted: &Value, observed: &[Scalar]) -> bool {
    match wanted {
        Value::Text(text) => matches!(observed, [Scalar::Text(found)] if found == text),
        Value::Integer(number) => matches!(observed, [Scalar::Integer(found)] if found == number),
        Value::Boolean(truth) => matches!(observed, [Scalar::Boolean(found)] if found == truth),
        Value::Words(words) => {
            let found: Option<BTreeSet<&String>> = observed
                .iter()
                .map(|scalar| match scalar {
                    Scalar::Text(word) => Some(word),
                    _ => None,
                })
                .collect();
            found.is_some_and(|found| found.into_iter().eq(words.iter()))
        }
    }
}

/// What stands at a JSON pointer (RFC 6901).
pub(in crate::delivery) fn at_pointer<'a>(
    parameters: &'a serde_json::Map<String, Json>,
    pointer: &str,
) -> Option<&'a Json> {
    let mut tokens = pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"));
    let first = parameters.get(&tokens.next()?)?;
    tokens.try_fold(first, |value, token| value.get(token))
}

/// JSON equality, with arrays as sets: lists of words have no order.
pub(in crate::delivery) fn is_same_json(wanted: &Json, found: &Json) -> bool {
    match (wanted, found) {
        (Json::Array(wanted), Json::Array(found)) => {
            let sorted = |values: &[Json]| {
                let mut texts: Vec<String> = values.iter().map(Json::to_string).collect();
                texts.sort();
                texts
            };
            sorted(wanted) == sorted(found)
        }
        (wanted, found) => wanted == found,
    }
}
