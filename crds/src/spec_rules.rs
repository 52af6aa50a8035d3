//! The schema and the CEL rules of a whole object as the API server applies them, for tests without
//! one.
//!
//! Decides only whether an object would be refused, by `rules`. Called by the tests of the table of
//! cases, and by the test of the controllers that writes random specs.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a definition without a schema is a defect that a test must show"
)]

use kube::core::cel::ValidationError;
use serde_json::Value;

pub use crate::rules::ONLY_ON_A_SERVER;
use crate::rules::{KindRules, of_plural};

use crate::admission_cases::CaseKind;

fn rules(kind: CaseKind) -> &'static KindRules {
    of_plural(kind.plural()).expect("every kind is defined")
}

/// Returns the schema of a kind.
pub fn schema_of(kind: CaseKind) -> &'static Value {
    &rules(kind).schema
}

/// Returns an object with the defaults of its schema, as the API server stores it.
pub fn stored(kind: CaseKind, object: &Value) -> Value {
    rules(kind).stored(object)
}

/// Returns the faults that the CEL rules of a kind find in an object, or in its change.
pub fn complaints(kind: CaseKind, old: Option<&Value>, new: &Value) -> Vec<ValidationError> {
    rules(kind).complaints(old, new)
}

/// Returns every reason for which the API server would refuse a new object, each with its path.
/// The rules are evaluated only where the schema itself has no complaint, as a server does.
pub fn refusals(kind: CaseKind, object: &Value) -> Vec<String> {
    let found = rules(kind).faults(object);
    let is_evaluated = found
        .iter()
        .all(|fault| !fault.contains(": not evaluated: "));
    assert!(is_evaluated, "{found:?}");
    found
}
