//! The comparison of readings with wanted values.

use std::collections::BTreeSet;

use crate::remote::{Scalar, Value};

/// True if a device's attribute has the wanted value.
pub(in crate::delivery) fn is_equal(wanted: &Value, observed: &[Scalar]) -> bool {
    match wanted {
        Value::Text(text) => matches!(observed, [Scalar::Text(found)] if found == text),
        Value::Secret(secret) => {
            matches!(observed, [Scalar::Text(found)] if found == secret.expose())
                || matches!(observed, [Scalar::Digest(found)] if *found == secret.digest())
        }
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
