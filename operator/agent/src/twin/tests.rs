//! Tests of the device's side of the twin.

use super::*;

mod properties;

fn twin(text: &str) -> Twin {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn settings<const N: usize>(pairs: [(&str, &str); N]) -> Settings {
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.into_iter().collect()
}

fn wanted(version: u64, desired: &str) -> Twin {
    twin(&format!(
        r#"{{"version":{version},"desired":{desired},"reported":{{"settings":{{}}}},
            "delta":{{"settings":[]}},"poll":{{"next":"PT24H"}}}}"#
    ))
}

/// A device that has the settings of a file, took a twin, and applied it.
fn applied(file: &Settings, twin: &Twin, faults: &Faults) -> (Held, Settings) {
    let mut held = Held::default();
    held.notice(file);
    held.take(twin, Some("\"1\"".into()));
    let file = held.apply(faults);
    (held, file)
}

fn reported(held: &Held) -> Value {
    patch(&held.acknowledged, &held.report(&[], None)).unwrap_or(Value::Null)
}

// shows D1
#[test]
fn what_is_in_effect_is_reported_with_its_source() {
    let file = settings([("backup.unit", "A1"), ("backup.weekdays", "sun")]);
    let twin = wanted(
        13,
        r#"{"settings":{"backup.weekdays":{"value":"mon"},"backup.endpoint":{"value":"https://b/"}}}"#,
    );
    let (held, file) = applied(&file, &twin, &Faults::default());
    assert_eq!(file["backup.weekdays"], "mon");
    assert_eq!(
        reported(&held),
        json!({"desiredVersion": 13, "settings": {
            "backup.endpoint": {"value": "https://b/", "by": "Server"},
            "backup.unit": {"value": "A1", "by": "Default"},
            "backup.weekdays": {"value": "mon", "by": "Server"}}})
    );
}

#[test]
fn a_setting_that_is_ignored_is_reported_as_it_is_and_one_that_is_refused_is_named() {
    let twin = wanted(
        2,
        r#"{"settings":{"a":{"value":"new"},"b":{"value":"new"}}}"#,
    );
    let faults = Faults {
        refuse: ["a".to_owned()].into(),
        ignore: ["b".to_owned()].into(),
    };
    let file = settings([("a", "old"), ("b", "old")]);
    let (held, file) = applied(&file, &twin, &faults);
    assert_eq!((&*file["a"], &*file["b"]), ("old", "old"));
    let report = reported(&held);
    assert_eq!(report["desiredVersion"], 2);
    assert_eq!(
        report["settings"]["b"],
        json!({"value": "old", "by": "Default"})
    );
    assert_eq!(report["refused"][0]["key"], "a");
    assert_eq!(report["refused"].as_array().unwrap().len(), 1);
}

#[test]
fn what_a_person_changes_is_theirs_until_a_later_version() {
    let first = wanted(1, r#"{"settings":{"a":{"value":"1"}}}"#);
    let (mut held, mut file) = applied(&settings([]), &first, &Faults::default());
    held.acknowledged = held.report(&[], None);
    file.insert("a".into(), "2".into());
    file.insert("mine".into(), "x".into());
    held.notice(&file);
    assert!(!held.is_to_apply());
    assert_eq!(
        reported(&held),
        json!({"settings": {"a": {"value": "2", "by": "Panel"}, "mine": {"value": "x", "by": "Panel"}}})
    );
    held.take(&wanted(2, r#"{"settings":{"a":{"value":"1"}}}"#), None);
    assert!(held.is_to_apply());
    let file = held.apply(&Faults::default());
    assert_eq!((&*file["a"], &*file["mine"]), ("1", "x"));
}

#[test]
fn a_new_registration_applies_its_document_unless_that_was_applied_already() {
    let old = wanted(2, r#"{"settings":{"a":{"value":"old"}}}"#);
    let (mut held, mut file) = applied(&Settings::new(), &old, &Faults::default());
    file.insert("a".into(), "mine".into());
    held.notice(&file);
    held.begin();
    assert!(held.etag.is_none() && !held.is_to_apply());
    held.take(&old, None);
    assert!(!held.is_to_apply());
    held.begin();
    held.take(&wanted(2, r#"{"settings":{"a":{"value":"new"}}}"#), None);
    assert!(held.is_to_apply());
    assert_eq!(held.apply(&Faults::default())["a"], "new");
}

#[test]
fn what_was_applied_before_a_crash_is_the_servers() {
    let mut held = Held::default();
    held.take(&wanted(1, r#"{"settings":{"a":{"value":"1"}}}"#), None);
    let before = held.clone();
    let file = held.apply(&Faults::default());
    // Only the file was written.
    let mut held = before;
    held.notice(&file);
    held.apply(&Faults::default());
    assert_eq!(
        reported(&held)["settings"]["a"],
        json!({"value": "1", "by": "Server"})
    );
}

#[test]
fn a_setting_that_a_person_removed_is_reported_as_removed() {
    let first = wanted(1, r#"{"settings":{"a":{"value":"1"}}}"#);
    let (mut held, _) = applied(&settings([]), &first, &Faults::default());
    held.acknowledged = held.report(&[], None);
    held.notice(&settings([]));
    assert_eq!(reported(&held), json!({"settings": {"a": null}}));
}

// shows C9
#[test]
fn the_next_revision_is_held_and_applied_at_its_instant() {
    let twin = wanted(
        7,
        r#"{"settings":{"a":{"value":"1"},"b":{"value":"1"}},
            "next":{"effective":"2027-04-01T00:00:00+09:00","settings":{"b":{"value":"2"}}}}"#,
    );
    let (mut held, file) = applied(&settings([]), &twin, &Faults::default());
    assert_eq!(&*file["b"], "1");
    let instant: Timestamp = "2027-03-31T15:00:00Z".parse().unwrap();
    assert!(!held.is_next_due(instant - std::time::Duration::from_secs(1)));
    assert!(held.is_next_due(instant));
    held.begin_next();
    assert!(held.is_to_apply());
    let file = held.apply(&Faults::default());
    assert_eq!((&*file["a"], &*file["b"]), ("1", "2"));
    assert!(held.next.is_none());
}

#[test]
fn a_secret_is_applied_and_never_reported() {
    let first = wanted(1, r#"{"settings":{"p":{"secret":true,"value":"canary"}}}"#);
    let (mut held, file) = applied(&settings([]), &first, &Faults::default());
    assert_eq!(&*file["p"], "canary");
    let report = reported(&held);
    assert_eq!(
        report["settings"]["p"],
        json!({"secret": true, "by": "Server"})
    );
    assert!(!report.to_string().contains("canary"));
    assert!(!format!("{:?}", held.desired).contains("canary"));
    // The gateway leaves the value out from then on.
    held.take(
        &wanted(2, r#"{"settings":{"p":{"secret":true}}}"#),
        Some("\"2\"".into()),
    );
    assert_eq!(&*held.apply(&Faults::default())["p"], "canary");
    assert_eq!(held.etag.as_deref(), Some("\"2\""));
}

#[test]
fn a_secret_that_was_lost_is_asked_for_again() {
    let twin = wanted(2, r#"{"settings":{"p":{"secret":true}}}"#);
    let mut held = Held::default();
    held.take(&twin, Some("\"2\"".into()));
    held.apply(&Faults::default());
    held.acknowledged
        .settings
        .insert("p".into(), json!({"secret": true, "by": "Server"}));
    assert_eq!(reported(&held)["settings"]["p"], Value::Null);
    // The document is the same: only a read without its tag gives the value.
    assert_eq!(held.etag, None);
}

#[test]
fn nothing_is_reported_twice() {
    let twin = wanted(3, r#"{"settings":{"a":{"value":"1"}}}"#);
    let (mut held, file) = applied(&settings([]), &twin, &Faults::default());
    held.acknowledged = held.report(&[], None);
    held.notice(&file);
    assert_eq!(patch(&held.acknowledged, &held.report(&[], None)), None);
}

#[test]
fn a_gateway_that_forgot_is_told_again() {
    let twin = wanted(3, r#"{"settings":{"a":{"value":"1"}}}"#);
    let (mut held, _) = applied(&settings([]), &twin, &Faults::default());
    held.acknowledged = held.report(&[], None);
    held.take(&twin, None);
    assert_eq!(reported(&held)["settings"]["a"]["value"], "1");
}

// Azure/iotedge issues 1899 and 2174: a twin whose desired part is empty was taken for a configuration.
#[test]
fn a_twin_without_its_desired_settings_is_no_twin() {
    for text in [
        "{}",
        r#"{"version":1,"poll":{"next":"PT1H"}}"#,
        r#"{"version":1,"desired":{},"poll":{"next":"PT1H"}}"#,
        r#"{"version":1,"desired":null,"poll":{"next":"PT1H"}}"#,
        r#"{"version":-1,"desired":{"settings":{}},"poll":{"next":"PT1H"}}"#,
        r#"{"version":1,"desired":{"settings":{}},"poll":{"next":"P1D"}}"#,
    ] {
        assert!(serde_json::from_str::<Twin>(text).is_err(), "{text}");
    }
    let text = r#"{"version":1,"desired":{"settings":{}},"poll":{"next":"PT1H"},"later":true}"#;
    assert!(serde_json::from_str::<Twin>(text).is_ok());
}

#[test]
fn what_cannot_be_reported_is_left_out() {
    let mut held = Held::default();
    let long = "x".repeat(1024);
    held.notice(&settings([
        ("fine", "1"),
        ("-odd", "1"),
        ("odd name", "1"),
        ("", "1"),
        ("long", &long),
    ]));
    let names: Vec<String> = held.report(&[], None).settings.into_keys().collect();
    assert_eq!(names, ["fine"]);
    let many = (0..200)
        .map(|at| (format!("n{at}"), String::new()))
        .collect();
    held.notice(&many);
    assert_eq!(held.report(&[], None).settings.len(), MOST);
}

#[test]
fn numbers_and_truth_values_of_a_file_are_texts() {
    let file = r#"{"a":1,"b":true,"c":"x","d":null,"e":{"f":1}}"#;
    let (read, odd) = settings_of(serde_json::from_str(file).unwrap());
    assert_eq!(read, settings([("a", "1"), ("b", "true"), ("c", "x")]));
    assert_eq!(odd, ["d", "e"]);
}

fn kind(name: &str, period: &str) -> Value {
    json!({"name": name, "on": ["Consumed"], "period": period})
}

/// A device that took a twin with these kinds of data, and sends those that it can.
fn sending(kinds: &Value, is_able: fn(&str) -> bool) -> Held {
    let desired = json!({"settings": {}, "dataTypes": kinds}).to_string();
    let (mut held, _) = applied(&settings([]), &wanted(2, &desired), &Faults::default());
    held.sends = to_send(&held.data_types, is_able, &Faults::default());
    held
}

// shows C7
#[test]
fn the_kinds_that_are_wanted_and_possible_are_sent_and_reported_and_no_others() {
    let kinds = json!([
        kind("supplies.level", "PT6H"),
        kind("counters.total", "PT24H")
    ]);
    let mut held = sending(&kinds, |_| true);
    assert_eq!(
        reported(&held)["dataTypes"],
        json!([{"name": "counters.total", "period": "PT24H"},
               {"name": "supplies.level", "period": "PT6H"}])
    );
    // They are reported once, in whatever order the gateway gives them back.
    held.acknowledged = held.report(&[], None);
    held.acknowledged.data_types.reverse();
    assert_eq!(reported(&held), Value::Null);
    held.sends = to_send(
        &held.data_types,
        |name| name != "counters.total",
        &Faults::default(),
    );
    let one = json!([{"name": "supplies.level", "period": "PT6H"}]);
    assert_eq!(reported(&held), json!({"dataTypes": one}));
    let ignore = ["supplies.level".to_owned(), "counters.total".to_owned()].into();
    let faults = Faults {
        ignore,
        ..Faults::default()
    };
    held.sends = to_send(&held.data_types, |_| true, &faults);
    assert_eq!(reported(&held), json!({"dataTypes": []}));
}

// shows C7
#[test]
fn a_shorter_period_is_reported_and_a_kind_that_nobody_wants_is_ended() {
    let mut held = sending(&json!([kind("supplies.level", "PT24H")]), |_| true);
    held.acknowledged = held.report(&[], None);
    let takes = |held: &mut Held, kinds: &Value| {
        let desired = json!({"settings": {}, "dataTypes": kinds}).to_string();
        let acknowledged = held.acknowledged.clone();
        held.take(&wanted(3, &desired), None);
        held.acknowledged = acknowledged;
        held.sends = to_send(&held.data_types, |_| true, &Faults::default());
    };
    takes(&mut held, &json!([kind("supplies.level", "PT6H")]));
    let shorter = json!([{"name": "supplies.level", "period": "PT6H"}]);
    assert_eq!(reported(&held), json!({"dataTypes": shorter}));
    takes(&mut held, &json!([]));
    assert_eq!(reported(&held)["dataTypes"], json!([]));
}

#[test]
fn a_document_without_kinds_of_data_changes_none_but_a_new_registration_begins_without() {
    let mut held = sending(&json!([kind("supplies.level", "PT24H")]), |_| true);
    held.take(&wanted(3, r#"{"settings":{}}"#), None);
    assert_eq!(held.data_types.len(), 1);
    held.begin();
    held.take(&wanted(3, r#"{"settings":{}}"#), None);
    assert_eq!(held.data_types, []);
}

#[test]
fn a_kind_that_is_wanted_twice_is_sent_once() {
    let kinds = json!([kind("a", "PT6H"), kind("b", "PT6H"), kind("a", "PT24H")]);
    let names: Vec<String> = sending(&kinds, |_| true)
        .sends
        .into_iter()
        .map(|kind| kind.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
}
