//! The schema and the CEL rules of a whole object as the API server applies them, for tests without
//! one.
//!
//! Decides only whether an object would be refused. Called by the tests of the table of cases, and by
//! the test of the controllers that writes random specs. Bounds and types are those of `status_rules`;
//! the rules are evaluated by the CEL engine of kube, which differs from that of a server in the one
//! rule that it cannot evaluate.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a definition without a schema is a defect that a test must show"
)]

use std::{collections::BTreeMap, sync::LazyLock};

use kube::core::cel::{
    CompiledSchema, ErrorKind, ValidationError, ValidationErrors, Validator, apply_defaults,
    compile_schema,
};
use serde_json::Value;

use crate::{admission_cases::CaseKind, manifest, status_rules};

/// The schema of each kind, as it is and compiled.
static SCHEMAS: LazyLock<BTreeMap<CaseKind, (Value, CompiledSchema)>> = LazyLock::new(|| {
    let mut known: BTreeMap<String, Value> = manifest::all()
        .into_iter()
        .map(|crd| {
            let plural = crd.spec.names.plural.clone();
            let mut crd = serde_json::to_value(crd).expect("a definition is JSON");
            let root = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            (plural, root.take())
        })
        .collect();
    let mut schema = |kind: CaseKind| {
        let schema = known.remove(kind.plural()).expect("every kind is defined");
        let compiled = compile_schema(&schema);
        (kind, (schema, compiled))
    };
    CaseKind::ALL.iter().copied().map(&mut schema).collect()
});

/// The engine has no `type()`, so the one rule that needs it is proved on a real server only.
pub const ONLY_ON_A_SERVER: &str = "type(self) == int";

/// Returns the schema of a kind.
pub fn schema_of(kind: CaseKind) -> &'static Value {
    &SCHEMAS[&kind].0
}

/// Returns an object with the defaults of its schema, as the API server stores it.
pub fn stored(kind: CaseKind, object: &Value) -> Value {
    apply_defaults(schema_of(kind), object)
}

/// Returns the faults that the CEL rules of a kind find in an object, or in its change.
pub fn complaints(kind: CaseKind, old: Option<&Value>, new: &Value) -> Vec<ValidationError> {
    let (schema, compiled) = &SCHEMAS[&kind];
    let new = apply_defaults(schema, new);
    let old = old.map(|old| apply_defaults(schema, old));
    let answer = Validator::new().validate_compiled(compiled, &new, old.as_ref());
    let mut errors = answer
        .err()
        .map(ValidationErrors::into_vec)
        .unwrap_or_default();
    errors.retain(|error| !error.rule.starts_with(ONLY_ON_A_SERVER));
    errors
}

/// Returns every reason for which the API server would refuse a new object, each with its path.
/// The rules are evaluated only where the schema itself has no complaint, as a server does.
pub fn refusals(kind: CaseKind, object: &Value) -> Vec<String> {
    let spec = &schema_of(kind)["properties"]["spec"];
    let stored = stored(kind, object);
    let found = status_rules::refusals_of("spec", spec, &stored["spec"]);
    if !found.is_empty() {
        return found;
    }
    let told = |error: ValidationError| {
        let is_evaluated = error.kind == ErrorKind::ValidationFailure;
        assert!(is_evaluated, "not evaluated: {error:?}");
        format!("{}: {}", error.field_path, error.message)
    };
    complaints(kind, None, object)
        .into_iter()
        .map(told)
        .collect()
}
