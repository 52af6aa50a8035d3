//! The schema of a status as the API server applies it, for tests without one.
//!
//! Decides only whether a status would be accepted: types, lengths, enums, formats, required fields,
//! bounds of numbers and keys of lists. It applies no CEL rule, and drops no unknown field. Called
//! by the fake API server of the controllers, and by tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::manifest;

/// The schema of the status of each kind, by plural.
fn schemas() -> &'static BTreeMap<String, Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let schema = |crd| {
            let mut crd = serde_json::to_value(crd).expect("a definition is JSON");
            let plural = crd["spec"]["names"]["plural"].as_str().map(str::to_owned);
            let root = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            let status = root["properties"]["status"].take();
            (plural.expect("a definition has a plural"), status)
        };
        manifest::all().into_iter().map(schema).collect()
    })
}

/// Returns the schema of the status of a kind, by its plural; `None` for a kind that is not ours.
pub fn schema_of(plural: &str) -> Option<&'static Value> {
    schemas().get(plural)
}

/// Returns every reason for which the API server would refuse a status, each with its path. None
/// for a kind that is not ours.
pub fn refusals(plural: &str, status: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(schema) = schema_of(plural) {
        check("status", schema, status, &mut found);
    }
    found
}

fn check(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {
            if schema["nullable"] != true {
                found.push(format!("{path}: must not be null"));
            }
            return;
        }
        Value::String(text) => check_text(path, schema, text, found),
        Value::Number(number) => check_number(path, schema, number, found),
        Value::Array(items) => check_list(path, schema, items, found),
        Value::Object(_) => check_object(path, schema, value, found),
        Value::Bool(_) => {}
    }
    let kind = match value {
        Value::String(_) => "string",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "boolean",
    };
    if schema["type"] != kind {
        found.push(format!("{path}: must be {}, not {kind}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{path}: unsupported value {value}"));
    }
}

fn check_text(path: &str, schema: &Value, text: &str, found: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if schema["maxLength"]
        .as_u64()
        .is_some_and(|most| length > most)
    {
        found.push(format!("{path}: too long, {length} characters"));
    }
    if schema["minLength"]
        .as_u64()
        .is_some_and(|least| length < least)
    {
        found.push(format!("{path}: too short, {length} characters"));
    }
    let is_right = match schema["format"].as_str() {
        Some("date-time") => text.parse::<Timestamp>().is_ok(),
        Some("date") => text.parse::<jiff::civil::Date>().is_ok(),
        _ => true,
    };
    if !is_right {
        found.push(format!("{path}: not a {}: {text}", schema["format"]));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches_pattern(pattern, text)
    {
        found.push(format!("{path}: does not match {pattern}"));
    }
}

/// True if a text matches one of the few patterns that statuses have.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern {
        "^(0|[1-9][0-9]*)$" => {
            text == "0"
                || !text.is_empty()
                    && !text.starts_with('0')
                    && text.bytes().all(|found| found.is_ascii_digit())
        }
        unknown => panic!("{unknown} is a pattern that this check does not know yet"),
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
    if schema["minimum"]
        .as_f64()
        .is_some_and(|least| close < least)
        || schema["maximum"].as_f64().is_some_and(|most| close > most)
        || schema["format"] == "int32" && i32::try_from(number).is_err()
    {
        found.push(format!("{path}: {number} is out of bounds"));
    }
}

fn check_list(path: &str, schema: &Value, items: &[Value], found: &mut Vec<String>) {
    let count = items.len() as u64;
    if schema["maxItems"].as_u64().is_some_and(|most| count > most)
        || schema["minItems"]
            .as_u64()
            .is_some_and(|least| count < least)
    {
        found.push(format!("{path}: must not have {count} entries"));
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
        if !keys.is_empty() && !seen.insert(key) {
            found.push(format!("{path}[{index}]: duplicate value of {keys:?}"));
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
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_refused_for_each_rule_that_it_breaks() {
        let plural = "servicesubscriptions";
        let orphan = json!({"instanceId": "i", "serviceId": "s", "planId": "p",
                            "since": "2027-04-01T00:00:00Z", "reason": "r"});
        for (plural, status, refused) in [
            (plural, json!({}), ""),
            ("pods", json!({"step": 5}), ""),
            (
                plural,
                json!({"step": "Dancing"}),
                "status.step: unsupported",
            ),
            (
                plural,
                json!({"step": 5}),
                "status.step: must be \"string\"",
            ),
            (plural, json!({"ended": "soon"}), "status.ended: not a"),
            (
                plural,
                json!({"evidence": {"deviceUid": "u"}}),
                "targetDigest: required",
            ),
            (
                plural,
                json!({"items": [{"key": "", "state": "Unknown"}]}),
                "status.items[0].key: too short",
            ),
            (
                plural,
                json!({"items": [{"key": "é".repeat(129), "state": "Unknown"}]}),
                "status.items[0].key: too long, 129",
            ),
            (
                plural,
                json!({"items": [{"key": "k", "state": "Unknown", "attempts": -1}]}),
                "attempts: -1 is out of bounds",
            ),
            (
                "connections",
                json!({"orphans": [orphan, orphan]}),
                "status.orphans[1]: duplicate",
            ),
            (
                "connections",
                json!({"orphans": vec![orphan; 257]}),
                "status.orphans: must not have 257",
            ),
            (
                "compensations",
                json!({"explanation": {"message": "", "periods": [
                    {"from": "", "until": "", "share": "", "fee": "", "cap": "",
                     "credit": {"numerator": "01", "denominator": "0"}}]}}),
                "numerator: does not match",
            ),
        ] {
            let found = refusals(plural, &status);
            assert_eq!(found.is_empty(), refused.is_empty(), "{found:?}");
            let said = found.iter().any(|found| found.contains(refused));
            assert!(said || refused.is_empty(), "{found:?}");
        }
    }
}
