//! Faults of objects, word by word, and the patterns that are known.

use serde_json::{Value, json};

use super::{RULES, by_schema::matches_pattern, of_kind};

fn contract(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = serde_json::to_value(crate::example::banco_sul_2027()).expect("it is JSON");
    change(&mut object);
    object
}

fn faults(object: &Value) -> Vec<String> {
    of_kind("Contract").expect("a kind of ours").faults(object)
}

#[test]
fn the_example_has_no_fault_and_no_unknown_field() {
    let example = contract(|_| {});
    assert_eq!(faults(&example), [""; 0]);
    let rules = of_kind("Contract").expect("a kind of ours");
    assert_eq!(rules.unknown_fields(&example), [""; 0]);
}

#[test]
fn a_fault_names_the_field_what_was_found_and_what_is_allowed() {
    type Change = fn(&mut Value);
    let rows: &[(Change, &str)] = &[
        (
            |it| it["spec"]["customer"]["id"] = json!(4711),
            "spec.customer.id: must be of type string, not integer: write it in quotation marks, \
             \"4711\"",
        ),
        (
            |it| it["spec"]["deletionPolicy"] = json!("Forget"),
            "spec.deletionPolicy: unsupported value \"Forget\": must be one of \"Withdraw\", \
             \"Keep\"",
        ),
        (
            |it| it["spec"]["term"]["startDate"] = json!("1 April"),
            "spec.term.startDate: \"1 April\" is not a date such as \"2027-04-01\"",
        ),
        (
            |it| it["spec"]["currency"] = json!("REAL"),
            "spec.currency: too long, 4 characters: at most 3 are allowed",
        ),
        (
            |it| it["spec"]["services"] = json!([]),
            "spec.services: must not have 0 entries: at least 1 are needed",
        ),
        (
            |it| it["spec"]["customer"] = json!({}),
            "spec.customer.id: required",
        ),
        (
            |it| it["spec"]["term"]["endDate"] = json!("2020-01-01"),
            "spec.term: endDate must not be before startDate",
        ),
    ];
    for (change, expected) in rows {
        assert_eq!(faults(&contract(change)), [*expected]);
    }
    assert_eq!(faults(&json!({"kind": "Contract"})), ["spec: required"]);
}

#[test]
fn a_rule_of_one_field_is_told_with_the_value_that_was_found() {
    let model = |version: Value, size: Value| {
        let mut object = serde_json::to_value(crate::example::mfp_510()).expect("it is JSON");
        object["spec"]["firmware"][1]["version"] = version;
        object["spec"]["firmware"][1]["artifact"]["size"] = size;
        of_kind("DeviceModel")
            .expect("a kind of ours")
            .faults(&object)
    };
    assert_eq!(model(json!("4.2.0"), json!(10_000_000_000_i64)), [""; 0]);
    for (version, size, expected) in [
        (
            json!("v4.2.0"),
            json!(1),
            "spec.firmware[1].version: \"v4.2.0\": must be a version of numbers with dots between them",
        ),
        (
            json!(4.2),
            json!(1),
            "spec.firmware[1].version: must be of type string, not number: write it in quotation marks",
        ),
        (
            json!("4.2.0"),
            json!(0),
            "spec.firmware[1].artifact.size: 0 is out of bounds: at least 1 is needed",
        ),
    ] {
        let found = model(version, size);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

// shows K4
#[test]
fn a_login_in_a_url_is_not_repeated() {
    let mut object = serde_json::to_value(crate::example::northwind_files()).expect("it is JSON");
    object["spec"]["http"]["url"] = json!("https://me:hunter-two@files.example/");
    let found = of_kind("Connection")
        .expect("a kind of ours")
        .faults(&object);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("spec.http.url: must be a URL"),
        "{found:?}"
    );
}

#[test]
fn a_field_that_the_kind_does_not_have_is_named() {
    let object = contract(|it| {
        it["spec"]["services"][0]["serviceLevl"] = json!({});
        it["sepc"] = json!(1);
    });
    let rules = of_kind("Contract").expect("a kind of ours");
    assert_eq!(
        rules.unknown_fields(&object),
        ["sepc", "spec.services[0].serviceLevl"]
    );
}

/// A pattern that is not known would be passed over in silence.
#[test]
fn every_pattern_of_a_schema_is_known() {
    fn walk(schema: &Value, seen: &mut usize) {
        if let Some(pattern) = schema["pattern"].as_str() {
            *seen += 1;
            assert!(matches_pattern(pattern, "a").is_some(), "{pattern}");
        }
        match schema {
            Value::Object(inner) => inner.values().for_each(|it| walk(it, seen)),
            Value::Array(inner) => inner.iter().for_each(|it| walk(it, seen)),
            _ => {}
        }
    }
    let mut seen = 0;
    for rules in RULES.values() {
        walk(&rules.schema, &mut seen);
    }
    assert!(seen > 0);
}
