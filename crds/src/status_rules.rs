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

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{rules, v1alpha1};

/// Returns the schema of the status of a kind, by its plural; `None` for a kind that is not ours.
pub fn schema_of(plural: &str) -> Option<&'static Value> {
    Some(&rules::of_plural(plural)?.schema["properties"]["status"])
}

/// Returns every reason for which the API server would refuse a status, each with its path. None
/// for a kind that is not ours.
pub fn refusals(plural: &str, status: &Value) -> Vec<String> {
    schema_of(plural).map_or_else(Vec::new, |schema| {
        rules::refusals_of("status", schema, status)
    })
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
    "deviceenrollments.conditions[].reason",
    "deviceenrollments.conditions[].type",
    "devicemodels.conditions[].reason",
    "devicemodels.conditions[].type",
    "devices.conditions[].reason",
    "devices.conditions[].type",
    "devices.connections[].certificateSha256",
    "devices.connections[].name",
    "devices.drift[].name",
    "devices.errors[].key",
    "devices.errors[].order.name",
    "devices.errors[].order.service",
    "devices.errors[].order.subscription",
    "devices.errors[].reportedBy[]",
    "devices.errors[].type",
    "devices.errors[].unit",
    "devices.exclusive[].before[].holder",
    "devices.exclusive[].before[].service",
    "devices.exclusive[].group",
    "devices.exclusive[].holder",
    "devices.exclusive[].service",
    "devices.identity.certificateSha256",
    "devices.identity.connection",
    "devices.identity.serialNumber",
    "devices.localEnablement[].service",
    "devices.messages[].connection",
    "devices.messages[].id",
    "devices.messages[].language",
    "devices.subscriptions.summary",
    "devicetwins.credential.previousSha256",
    "devicetwins.credential.sha256",
    "devicetwins.local[].applicationId",
    "devicetwins.registration.enrollment",
    "devicetwins.registration.printerId",
    "devicetwins.registration.region",
    "messagetexts.conditions[].reason",
    "messagetexts.conditions[].type",
    "sites.conditions[].reason",
    "sites.conditions[].type",
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
    "supplyorders.conditions[].reason",
    "supplyorders.conditions[].type",
    "supplyorders.message.language",
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
        // A rule in CEL: a length of time, or a name.
        Some("string") if schema["x-kubernetes-validations"].is_array() => {
            let rule = schema["x-kubernetes-validations"][0]["rule"].as_str();
            let is_duration = rule.is_some_and(|rule| rule.contains("(ms|s|m|h)"));
            json!(if is_duration {
                "24h".to_owned()
            } else {
                "a".repeat(63)
            })
        }
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
        "messagetexts" => through::<v1alpha1::MessageTextStatus>(status),
        "sites" => through::<v1alpha1::SiteStatus>(status),
        "devices" => through::<v1alpha1::DeviceStatus>(status),
        "deviceenrollments" => through::<v1alpha1::DeviceEnrollmentStatus>(status),
        "devicetwins" => through::<v1alpha1::DeviceTwinStatus>(status),
        "contracts" => through::<v1alpha1::ContractStatus>(status),
        "contractamendments" => through::<v1alpha1::ContractAmendmentStatus>(status),
        "contractnotices" => through::<v1alpha1::ContractNoticeStatus>(status),
        "servicesubscriptions" => through::<v1alpha1::ServiceSubscriptionStatus>(status),
        "compensations" => through::<v1alpha1::CompensationStatus>(status),
        "supplyorders" => through::<v1alpha1::SupplyOrderStatus>(status),
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
    rules::plurals()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            (plural, json!({"step": 5}), "step: must be of type"),
            (plural, json!({"ended": "soon"}), "\"soon\" is not a"),
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
                "status.orphans[1]: a second entry",
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
                "numerator: \"01\" does not match",
            ),
        ] {
            let found = refusals(plural, &status);
            assert_eq!(found.is_empty(), refused.is_empty(), "{found:?}");
            let said = found.iter().any(|found| found.contains(refused));
            assert!(said || refused.is_empty(), "{found:?}");
        }
    }
}
