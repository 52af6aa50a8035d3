//! The schema of a status as the API server applies it, for tests without one.
//!
//! Decides only whether a status would be accepted: types, lengths, enums, formats, required fields,
//! bounds of numbers and keys of lists. It applies no CEL rule, and drops no unknown field. Called
//! by the fake API server of the controllers, and by tests.

#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a schema that this does not know is a defect that a test must show"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{manifest, v1alpha1};

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

/// Returns every reason for which the API server would refuse a value by its schema.
pub fn refusals_of(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(path, schema, value, &mut found);
    found
}

fn check(path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
    if schema["x-kubernetes-int-or-string"] == true && (value.is_i64() || value.is_string()) {
        return;
    }
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

/// True if a text matches one of the few patterns that schemas have.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern {
        "^(0|[1-9][0-9]*)$" => {
            text == "0"
                || !text.is_empty()
                    && !text.starts_with('0')
                    && text.bytes().all(|found| found.is_ascii_digit())
        }
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" => {
            let is_plain = |found: u8| found.is_ascii_lowercase() || found.is_ascii_digit();
            text.bytes().all(|found| is_plain(found) || found == b'-')
                && text.bytes().next().is_some_and(is_plain)
                && text.bytes().last().is_some_and(is_plain)
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
        } else if schema["additionalProperties"].is_object() {
            let schema = &schema["additionalProperties"];
            check(&format!("{path}.{name}"), schema, inner, found);
        }
    }
}

/// Size of the content that [`filled`] makes.
#[derive(Clone, Copy, Debug)]
pub enum Filling<'a> {
    /// Every text is this one, behind a number, and every list has two entries.
    Texts(&'a str),
    /// Every list is as long as its schema allows, with short texts.
    Lists,
}

/// Paths, without indexes, of the texts of statuses that are no types of their own, since whatever
/// writes them bounds them: words and counts of ours, names and ids that the API server has bounded
/// in another field, and ids of a broker, which its driver refuses when they are longer and which
/// have to be sent back whole.
pub const BOUNDED_BY_SOURCE: &[&str] = &[
    "compensations.amount.currency",
    "compensations.amount.value",
    "compensations.conditions[].reason",
    "compensations.conditions[].type",
    "compensations.explanation.periods[].cap",
    "compensations.explanation.periods[].fee",
    "compensations.explanation.periods[].from",
    "compensations.explanation.periods[].share",
    "compensations.explanation.periods[].takenBy[].name",
    "compensations.explanation.periods[].until",
    "compensations.lateness.causes[].counted",
    "compensations.lateness.causes[].reason",
    "compensations.lateness.counted",
    "compensations.lateness.excluded",
    "compensations.summary",
    "connections.conditions[].reason",
    "connections.conditions[].type",
    "connections.forgotten[]",
    "connections.orphans[].instanceId",
    "connections.orphans[].operation",
    "connections.orphans[].planId",
    "connections.orphans[].removal.operation",
    "connections.orphans[].serviceId",
    "connections.orphans[].subscription.name",
    "connections.orphans[].subscription.namespace",
    "contractamendments.conditions[].reason",
    "contractamendments.conditions[].type",
    "contractnotices.conditions[].reason",
    "contractnotices.conditions[].type",
    "contracts.conditions[].reason",
    "contracts.conditions[].type",
    "contracts.notReady[].device",
    "contracts.notReady[].reason",
    "contracts.notReady[].service",
    "contracts.owed.amounts[].currency",
    "contracts.owed.amounts[].value",
    "contracts.owed.summary",
    "contracts.promisesFrom",
    "contracts.subscriptions.summary",
    "contracts.succeeds",
    "devicemodels.conditions[].reason",
    "devicemodels.conditions[].type",
    "devices.conditions[].reason",
    "devices.conditions[].type",
    "devices.connections[].certificateSha256",
    "devices.connections[].name",
    "devices.exclusive[].group",
    "devices.exclusive[].holder",
    "devices.identity.certificateSha256",
    "devices.identity.connection",
    "devices.identity.serialNumber",
    "devices.subscriptions.summary",
    "servicesubscriptions.conditions[].reason",
    "servicesubscriptions.conditions[].type",
    "servicesubscriptions.evidence.deviceUid",
    "servicesubscriptions.items[].key",
    "servicesubscriptions.leaving.group",
    "servicesubscriptions.leaving.server.instanceId",
    "servicesubscriptions.leaving.server.offering",
    "servicesubscriptions.leaving.server.organization",
    "servicesubscriptions.leaving.server.operation.id",
    "servicesubscriptions.leaving.server.plan",
    "servicesubscriptions.leaving.server.operation.toPlan",
    "servicesubscriptions.leaving.server.planId",
    "servicesubscriptions.leaving.server.serviceId",
    "servicesubscriptions.promises[].delays[].reason",
    "servicesubscriptions.promises[].emitted[]",
    "servicesubscriptions.server.instanceId",
    "servicesubscriptions.server.offering",
    "servicesubscriptions.server.organization",
    "servicesubscriptions.server.operation.id",
    "servicesubscriptions.server.plan",
    "servicesubscriptions.server.operation.toPlan",
    "servicesubscriptions.server.planId",
    "servicesubscriptions.server.serviceId",
    "smartservices.conditions[].reason",
    "smartservices.conditions[].type",
];

/// Returns a status with every field of its schema. Texts whose path is in [`BOUNDED_BY_SOURCE`]
/// have the greatest length of their schema.
pub fn filled(plural: &str, filling: Filling<'_>) -> Value {
    let schema = schema_of(plural).expect("a kind of ours");
    fill(plural, schema, filling, 0)
}

fn fill(path: &str, schema: &Value, filling: Filling<'_>, index: usize) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => {
            json!(format!(
                "2027-04-01T00:{:02}:{:02}Z",
                index / 60,
                index % 60
            ))
        }
        Some("string") if schema["pattern"].is_string() => json!("7"),
        // A rule in CEL: a name.
        Some("string") if schema["x-kubernetes-validations"].is_array() => json!("a".repeat(63)),
        Some("string") => {
            let most = schema["maxLength"]
                .as_u64()
                .and_then(|most| usize::try_from(most).ok());
            let text = match filling {
                Filling::Texts(text) => format!("{index}{text}"),
                Filling::Lists => index.to_string(),
            };
            let most = most.filter(|_| BOUNDED_BY_SOURCE.contains(&path));
            let text: String = text.chars().take(most.unwrap_or(usize::MAX)).collect();
            json!(text)
        }
        Some("array") => {
            let most = schema["maxItems"]
                .as_u64()
                .and_then(|most| usize::try_from(most).ok());
            let most = most.expect("every list is bounded");
            let count = match filling {
                Filling::Texts(_) => most.min(2),
                Filling::Lists => most,
            };
            let path = format!("{path}[]");
            let item = |index| fill(&path, &schema["items"], filling, index);
            (0..count).map(item).collect()
        }
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let property = |(name, schema): (&String, &Value)| {
                (
                    name.clone(),
                    fill(&format!("{path}.{name}"), schema, filling, index),
                )
            };
            properties.map(property).collect()
        }
        Some("integer") => json!(index),
        Some("boolean") => json!(true),
        unknown => panic!("{path}: {unknown:?}"),
    }
}

/// Returns a status as the operator would write it: read into its type and written again.
pub fn through_its_type(plural: &str, status: Value) -> Value {
    fn through<S: DeserializeOwned + Serialize>(status: Value) -> Value {
        let status: S = serde_json::from_value(status).expect("its fields are right");
        serde_json::to_value(status).expect("it is JSON")
    }
    match plural {
        "connections" => through::<v1alpha1::ConnectionStatus>(status),
        "devicemodels" => through::<v1alpha1::DeviceModelStatus>(status),
        "smartservices" => through::<v1alpha1::SmartServiceStatus>(status),
        "devices" => through::<v1alpha1::DeviceStatus>(status),
        "contracts" => through::<v1alpha1::ContractStatus>(status),
        "contractamendments" => through::<v1alpha1::ContractAmendmentStatus>(status),
        "contractnotices" => through::<v1alpha1::ContractNoticeStatus>(status),
        "servicesubscriptions" => through::<v1alpha1::ServiceSubscriptionStatus>(status),
        "compensations" => through::<v1alpha1::CompensationStatus>(status),
        unknown => panic!("{unknown} is no kind of ours"),
    }
}

/// Returns texts of 20 KiB that no field of a status was made for, each with its description.
pub fn odd_texts() -> [(&'static str, String); 4] {
    [
        ("letters", "x".repeat(20_480)),
        (
            "controls",
            "a\u{0}\u{1b}[31m\r\n\u{9b}\u{202e}\u{2066}\u{2028}".repeat(1_024),
        ),
        ("three bytes", "打".repeat(6_827)),
        ("four bytes", "🖨".repeat(5_120)),
    ]
}

/// Returns the plurals of all kinds.
pub fn plurals() -> impl Iterator<Item = &'static str> {
    schemas().keys().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a path without the indexes of lists, below the plural.
    fn without_indexes(plural: &str, refusal: &str) -> String {
        let path = refusal.split(':').next().unwrap_or_default();
        let mut parts = path.split('[');
        let head = parts.next().unwrap_or_default().to_owned();
        let path = parts.fold(head, |path, part| {
            let rest = part.split_once(']').map_or("", |(_, rest)| rest);
            format!("{path}[]{rest}")
        });
        path.replacen("status", plural, 1)
    }

    // shows K7
    #[test]
    fn a_status_full_of_odd_texts_or_of_entries_is_accepted() {
        for plural in plurals() {
            let texts = odd_texts();
            let texts = texts.iter().map(|(_, text)| Filling::Texts(text));
            for filling in texts.chain([Filling::Lists]) {
                let status = through_its_type(plural, filled(plural, filling));
                assert_eq!(refusals(plural, &status), Vec::<String>::new(), "{plural}");
            }
        }
    }

    #[test]
    fn a_text_whose_source_bounds_it_is_named_and_every_other_is_a_type() {
        let mut found = BTreeSet::new();
        for plural in plurals() {
            let schema = schema_of(plural).expect("a kind of ours");
            let text = "x".repeat(20_480);
            // Below another name no path is excepted.
            let status = fill("any", schema, Filling::Texts(&text), 0);
            let status = through_its_type(plural, status);
            let refused = refusals(plural, &status);
            found.extend(refused.iter().map(|it| without_indexes(plural, it)));
        }
        let named: BTreeSet<String> = BOUNDED_BY_SOURCE
            .iter()
            .map(|it| (*it).to_owned())
            .collect();
        assert_eq!(found, named);
    }

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
