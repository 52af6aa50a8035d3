//! The schema and the CEL rules of each kind as the API server applies them, without one.
//!
//! Decides only whether an object would be refused, and says of each fault the field, the value that
//! was found and the values that are allowed. The rules are evaluated by the CEL engine of kube, which
//! differs from that of a server in the one rule that it cannot evaluate. Called by `kubectl entente
//! validate`, and by tests through `spec_rules` and `status_rules`; the operator never asks it.

mod by_schema;

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::{
    CompiledSchema, ErrorKind, ValidationError, ValidationErrors, Validator, apply_defaults,
    compile_schema,
};
use serde_json::Value;

pub use by_schema::refusals_of;

use crate::manifest;

/// The engine has no `type()`, so the one rule that needs it is applied by a server only.
pub const ONLY_ON_A_SERVER: &str = "type(self) == int";

/// The schema of a kind, as it is and compiled.
#[derive(Debug)]
pub struct KindRules {
    /// The kind, such as `Contract`.
    pub kind: String,
    /// True if objects of the kind live in a namespace.
    pub is_namespaced: bool,
    /// The schema of the whole object.
    pub schema: Value,
    compiled: CompiledSchema,
}

/// The rules of each kind, by plural.
static RULES: LazyLock<BTreeMap<String, KindRules>> = LazyLock::new(|| {
    let definitions = manifest::all().into_iter();
    definitions
        .map(|crd| (crd.spec.names.plural.clone(), KindRules::of(crd)))
        .collect()
});

/// Returns the rules of a kind by its plural, such as `contracts`.
pub fn of_plural(plural: &str) -> Option<&'static KindRules> {
    RULES.get(plural)
}

/// Returns the rules of a kind, such as `Contract`.
pub fn of_kind(kind: &str) -> Option<&'static KindRules> {
    RULES.values().find(|rules| rules.kind == kind)
}

/// Returns the plurals of all kinds, sorted.
pub fn plurals() -> impl Iterator<Item = &'static str> {
    RULES.keys().map(String::as_str)
}

/// Returns the names of all kinds, sorted.
pub fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = RULES.values().map(|rules| rules.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds
}

impl KindRules {
    fn of(crd: CustomResourceDefinition) -> Self {
        let kind = crd.spec.names.kind.clone();
        let is_namespaced = crd.spec.scope == "Namespaced";
        let mut crd = serde_json::to_value(crd).unwrap_or_default();
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        Self {
            kind,
            is_namespaced,
            compiled: compile_schema(&schema),
            schema,
        }
    }

    /// Returns an object with the defaults of its schema, as the API server stores it.
    pub fn stored(&self, object: &Value) -> Value {
        apply_defaults(&self.schema, object)
    }

    /// Returns the faults that the CEL rules find in an object, or in its change.
    pub fn complaints(&self, old: Option<&Value>, new: &Value) -> Vec<ValidationError> {
        let new = self.stored(new);
        let old = old.map(|old| self.stored(old));
        let answer = Validator::new().validate_compiled(&self.compiled, &new, old.as_ref());
        let mut errors = answer
            .err()
            .map(ValidationErrors::into_vec)
            .unwrap_or_default();
        errors.retain(|error| !error.rule.starts_with(ONLY_ON_A_SERVER));
        errors
    }

    /// Returns every fault of a new object, as `field: fault`. The rules are evaluated only where the
    /// schema itself has no complaint, as a server does; a rule that cannot be evaluated is a fault of
    /// its own, since nobody knows then whether a server accepts the object.
    pub fn faults(&self, object: &Value) -> Vec<String> {
        let spec = &self.schema["properties"]["spec"];
        let stored = self.stored(object);
        if stored.get("spec").is_none() {
            return vec!["spec: required".to_owned()];
        }
        let found = refusals_of("spec", spec, &stored["spec"]);
        if !found.is_empty() {
            return found;
        }
        let told = |error: ValidationError| match error.kind {
            ErrorKind::ValidationFailure => {
                let (path, message) = (&error.field_path, &error.message);
                // A rule of one field says what is allowed there, and cannot say what it found. A URL
                // with a login stays where it is.
                let found = value_at(&stored, path).filter(|it| match it {
                    Value::Object(_) | Value::Array(_) => false,
                    Value::String(text) => !text.contains('@'),
                    _ => true,
                });
                match found.filter(|_| message.starts_with("must ")) {
                    Some(found) => format!("{path}: {found}: {message}"),
                    None => format!("{path}: {message}"),
                }
            }
            _ => format!("{}: not evaluated: {}", error.field_path, error.message),
        };
        self.complaints(None, object)
            .into_iter()
            .map(told)
            .collect()
    }

    /// Returns the fields of an object that its kind does not have, as paths. A server drops them, or
    /// refuses them with strict validation, as kubectl asks for by default.
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        for name in object.as_object().into_iter().flat_map(|it| it.keys()) {
            if !known.contains(&name.as_str()) {
                found.push(name.clone());
            }
        }
        unknown(
            "spec",
            &self.schema["properties"]["spec"],
            &object["spec"],
            &mut found,
        );
        found
    }
}

/// Returns the value at a path such as `spec.firmware[1].version`.
fn value_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, part| {
        let mut steps = part.split('[');
        let value = value.get(steps.next()?)?;
        steps.try_fold(value, |value, index| {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            value.get(index)
        })
    })
}

fn unknown(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let further = &schema["additionalProperties"];
            for (name, inner) in fields {
                let path = format!("{path}.{name}");
                if let Some(schema) = schema["properties"].get(name) {
                    unknown(&path, schema, inner, found);
                } else if further.is_object() {
                    unknown(&path, further, inner, found);
                } else if schema["properties"].is_object() {
                    found.push(path);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unknown(&format!("{path}[{index}]"), &schema["items"], item, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
