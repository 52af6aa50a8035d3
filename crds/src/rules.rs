//! The schema and the CEL rules of each kind as the API server applies them, without one.
//!
//! Decides only whether an object would be refused, and says of each fault the field, the value that
//! was found and the values that are allowed. The rules are evaluated by the CEL engine of kube, which
//! differs from that of a server in the one rule that it cannot evaluate. Called by `kubectl entente
//! validate`, and by tests through `spec_rules` and `status_rules`; the operator never asks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use jiff::Timestamp;
use kube::core::cel::{
    CompiledSchema, ErrorKind, ValidationError, ValidationErrors, Validator, apply_defaults,
    compile_schema,
};
use serde_json::Value;

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
    let of = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let names = crd.spec.names.clone();
        let is_namespaced = crd.spec.scope == "Namespaced";
        let mut crd = serde_json::to_value(crd).unwrap_or_default();
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        let rules = KindRules {
            kind: names.kind,
            is_namespaced,
            compiled: compile_schema(&schema),
            schema,
        };
        (names.plural, rules)
    };
    manifest::all().into_iter().map(of).collect()
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
        let mut found = Vec::new();
        if stored.get("spec").is_none() {
            return vec!["spec: required".to_owned()];
        }
        check("spec", spec, &stored["spec"], &mut found);
        if !found.is_empty() {
            return found;
        }
        let told = |error: ValidationError| match error.kind {
            ErrorKind::ValidationFailure => format!("{}: {}", error.field_path, error.message),
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

/// Returns every reason for which the API server would refuse a value by its schema: types, lengths,
/// enums, formats, required fields, bounds of numbers and keys of lists. It applies no CEL rule, and
/// passes over unknown fields.
pub fn refusals_of(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(path, schema, value, &mut found);
    found
}

fn check(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    if schema["x-kubernetes-int-or-string"] == true && (value.is_i64() || value.is_string()) {
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Bool(_) => "boolean",
    };
    if value.is_null() {
        if schema["nullable"] != true {
            found.push(format!("{path}: must not be null"));
        }
        return;
    }
    if schema["type"] != kind {
        let wanted = schema["type"].as_str().unwrap_or("something else");
        let quoted = if wanted == "string" && !value.is_object() && !value.is_array() {
            format!(": write it in quotation marks, \"{value}\"")
        } else {
            String::new()
        };
        found.push(format!(
            "{path}: must be of type {wanted}, not {kind}{quoted}"
        ));
        return;
    }
    match value {
        Value::String(text) => check_text(path, schema, text, found),
        Value::Number(number) => check_number(path, schema, number, found),
        Value::Array(items) => check_list(path, schema, items, found),
        Value::Object(_) => check_object(path, schema, value, found),
        Value::Bool(_) | Value::Null => {}
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let words = words.join(", ");
        found.push(format!(
            "{path}: unsupported value {value}: must be one of {words}"
        ));
    }
}

fn check_text(path: &str, schema: &Value, text: &str, found: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64()
        && length > most
    {
        found.push(format!(
            "{path}: too long, {length} characters: at most {most} are allowed"
        ));
    }
    if let Some(least) = schema["minLength"].as_u64()
        && length < least
    {
        found.push(format!(
            "{path}: too short, {length} characters: at least {least} are needed"
        ));
    }
    let wanted = match schema["format"].as_str() {
        Some("date-time") if text.parse::<Timestamp>().is_err() => {
            Some("a date-time such as \"2027-04-01T09:00:00-03:00\"")
        }
        Some("date") if text.parse::<jiff::civil::Date>().is_err() => {
            Some("a date such as \"2027-04-01\"")
        }
        _ => None,
    };
    if let Some(wanted) = wanted {
        found.push(format!("{path}: \"{text}\" is not {wanted}"));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && matches_pattern(pattern, text) == Some(false)
    {
        found.push(format!("{path}: \"{text}\" does not match {pattern}"));
    }
}

/// True if a text matches one of the few patterns that schemas have; `None` for another pattern, which
/// a test of this module keeps out of the schemas.
fn matches_pattern(pattern: &str, text: &str) -> Option<bool> {
    match pattern {
        "^(0|[1-9][0-9]*)$" => Some(
            text == "0"
                || !text.is_empty()
                    && !text.starts_with('0')
                    && text.bytes().all(|found| found.is_ascii_digit()),
        ),
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" => {
            let is_plain = |found: u8| found.is_ascii_lowercase() || found.is_ascii_digit();
            Some(
                text.bytes().all(|found| is_plain(found) || found == b'-')
                    && text.bytes().next().is_some_and(is_plain)
                    && text.bytes().last().is_some_and(is_plain),
            )
        }
        _ => None,
    }
}

fn check_number(path: &str, schema: &Value, number: &serde_json::Number, found: &mut Vec<String>) {
    let Some(number) = number.as_i64() else {
        found.push(format!("{path}: {number} is no integer of 64 bits"));
        return;
    };
    // The generator writes bounds as numbers with a fraction.
    #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
    let close = number as f64;
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    if least.is_some_and(|least| close < least)
        || most.is_some_and(|most| close > most)
        || schema["format"] == "int32" && i32::try_from(number).is_err()
    {
        found.push(format!(
            "{path}: {number} is out of bounds: allowed are {} to {}",
            least.unwrap_or_else(|| i32::MIN.into()),
            most.unwrap_or_else(|| i32::MAX.into()),
        ));
    }
}

fn check_list(path: &str, schema: &Value, items: &[Value], found: &mut Vec<String>) {
    let count = items.len() as u64;
    if let Some(most) = schema["maxItems"].as_u64()
        && count > most
    {
        found.push(format!(
            "{path}: must not have {count} entries: at most {most} are allowed"
        ));
    }
    if let Some(least) = schema["minItems"].as_u64()
        && count < least
    {
        found.push(format!(
            "{path}: must not have {count} entries: at least {least} are needed"
        ));
    }
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        check(&format!("{path}[{index}]"), &schema["items"], item, found);
        let key: Vec<String> = keys.iter().map(|key| item[*key].to_string()).collect();
        if !keys.is_empty() && !seen.insert(key.clone()) {
            let (keys, key) = (keys.join(", "), key.join(", "));
            found.push(format!(
                "{path}[{index}]: a second entry with the {keys} {key}"
            ));
        }
    }
}

fn check_object(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if value.get(name).is_none() {
            found.push(format!("{path}.{name}: required"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        if let Some(schema) = schema["properties"].get(name) {
            check(&format!("{path}.{name}"), schema, inner, found);
        } else if schema["additionalProperties"].is_object() {
            let schema = &schema["additionalProperties"];
            check(&format!("{path}.{name}"), schema, inner, found);
        }
    }
}

#[cfg(test)]
mod tests;
