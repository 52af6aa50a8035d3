//! Refusals of a value by its schema alone, as the API server applies it before any CEL rule: types,
//! lengths, enums, formats, required fields, bounds of numbers and keys of lists.
//!
//! Decides what is wrong and says it in words: the field, the value that was found and the values that
//! are allowed. It passes over unknown fields. Called by `rules`, and by `status_rules` in tests.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

/// Returns every reason for which the API server would refuse a value by its schema, as `field: fault`.
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
        let kind = if value.is_f64() { "number" } else { kind };
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
/// a test of `rules` keeps out of the schemas.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> Option<bool> {
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
        let of_format = (schema["format"] == "int32").then_some((i32::MIN, i32::MAX));
        let least = least.or_else(|| of_format.map(|(least, _)| least.into()));
        let most = most.or_else(|| of_format.map(|(_, most)| most.into()));
        let allowed = match (least, most) {
            (Some(least), Some(most)) => format!("allowed are {least} to {most}"),
            (Some(least), None) => format!("at least {least} is needed"),
            (None, most) => format!("at most {} is allowed", most.unwrap_or_default()),
        };
        found.push(format!("{path}: {number} is out of bounds: {allowed}"));
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
