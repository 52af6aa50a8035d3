use entente_crds::v1alpha1::{DeviceTwinSpec, SecretKeyReference};
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn twin() -> DeviceTwin {
    let spec = DeviceTwinSpec {
        settings: vec![TwinSetting {
            name: "password".to_owned(),
            secret_key_ref: Some(SecretKeyReference::default()),
            digest: "a".repeat(32).parse().ok(),
            ..TwinSetting::default()
        }],
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("mfp", spec);
    twin.metadata.generation = Some(13);
    twin
}

fn apply(twin: &mut DeviceTwin, body: &Value) -> Result<(), Problem> {
    let report = Report::read(body)?;
    let status = report.apply(
        twin,
        |name| is_wanted_secret(twin, name),
        Timestamp::UNIX_EPOCH,
    )?;
    twin.status = Some(status);
    Ok(())
}

// shows B6
#[test]
fn the_first_report_of_software_after_an_installation_is_noted() {
    let mut twin = twin();
    let deployment = entente_crds::v1alpha1::TwinDeploymentState {
        action: 12,
        state: entente_crds::v1alpha1::DeploymentState::Installed,
        message: None,
        at: Timestamp::UNIX_EPOCH,
        restarted: None,
        reported: None,
    };
    twin.status = Some(DeviceTwinStatus {
        deployment: Some(deployment),
        ..DeviceTwinStatus::default()
    });
    let noted = |twin: &DeviceTwin| {
        let status = twin.status.as_ref().unwrap();
        status.deployment.as_ref().unwrap().reported
    };
    apply(&mut twin, &json!({"settings": {}})).unwrap();
    assert_eq!(noted(&twin), None);
    let software = json!([{"part": "firmware", "name": "main", "version": "4.2.0"}]);
    apply(&mut twin, &json!({ "software": software })).unwrap();
    assert_eq!(noted(&twin), Some(Timestamp::UNIX_EPOCH));
}

// shows C7
#[test]
fn the_kinds_of_data_that_a_device_sends_are_replaced_as_a_whole_and_judged() {
    let mut twin = twin();
    let kinds = json!([{"name": "levels", "period": "PT6H"}, {"name": "errors"}]);
    apply(&mut twin, &json!({ "dataTypes": kinds })).unwrap();
    assert_eq!(shown(&twin)["dataTypes"], kinds);
    apply(&mut twin, &json!({"settings": {}})).unwrap();
    assert_eq!(shown(&twin)["dataTypes"], kinds, "what is absent stays");
    for (kinds, pointer) in [
        (json!({}), "/dataTypes"),
        (json!([{"period": "PT6H"}]), "/dataTypes/0/name"),
        (
            json!([{"name": "a", "period": "6h"}]),
            "/dataTypes/0/period",
        ),
        (
            json!([{"name": "a", "period": "PT0S"}]),
            "/dataTypes/0/period",
        ),
        (json!([{"name": "a"}, {"name": "a"}]), "/dataTypes/1/name"),
        (json!([{"name": "a", "on": []}]), "/dataTypes/0/on"),
        (json!(vec![json!({"name": "a"}); 65]), "/dataTypes"),
    ] {
        assert_eq!(refused(&twin, &json!({ "dataTypes": kinds }))[0], pointer);
    }
    apply(&mut twin, &json!({"dataTypes": null})).unwrap();
    assert_eq!(shown(&twin)["dataTypes"], Value::Null);
}

fn shown(twin: &DeviceTwin) -> Value {
    let reported = twin.status.as_ref().and_then(|it| it.reported.clone());
    twin::reported_body(&reported.unwrap_or_default())
}

fn refused(twin: &DeviceTwin, body: &Value) -> Vec<String> {
    let problem = apply(&mut twin.clone(), body).unwrap_err();
    let Problem::Invalid(_, faults) = &problem else {
        panic!("{problem:?}");
    };
    faults.iter().map(|it| it.pointer.clone()).collect()
}

// shows C7
#[test]
fn a_member_that_is_absent_stays_null_removes_it_and_a_list_is_replaced() {
    let mut twin = twin();
    let first = json!({
        "desiredVersion": 13,
        "settings": {"a": {"value": "1", "by": "Server"}, "b": {"value": "2", "by": "Panel"}},
        "refused": [{"key": "c", "reason": "ReadOnly", "detail": "not now"}],
        "software": [{"part": "firmware", "name": "main", "version": "4.2.0"}],
        "messages": {"m1": {"state": "Shown", "at": "2027-03-31T14:00:00Z"}, "m2": {"state": "Cleared"}},
        "restarted": "2027-03-31T14:00:00Z",
    });
    apply(&mut twin, &first).unwrap();
    let mut expected = first.clone();
    let members = expected.as_object_mut().unwrap();
    let version = members.remove("desiredVersion").unwrap();
    members.insert("version".to_owned(), version);
    assert_eq!(shown(&twin), expected);
    assert_eq!(twin.status.as_ref().unwrap().observed_generation, Some(13));
    let next = json!({"settings": {"a": null, "b": {"value": "3", "by": "Server"}}, "refused": [],
                      "messages": {"m2": null}, "restarted": null});
    apply(&mut twin, &next).unwrap();
    assert_eq!(
        shown(&twin),
        json!({"version": 13, "settings": {"b": {"value": "3", "by": "Server"}},
               "messages": {"m1": {"state": "Shown", "at": "2027-03-31T14:00:00Z"}},
               "software": [{"part": "firmware", "name": "main", "version": "4.2.0"}]})
    );
    let before = twin.clone();
    apply(&mut twin, &json!({})).unwrap();
    assert_eq!(twin, before);
    apply(
        &mut twin,
        &json!({"settings": null, "software": null, "messages": null}),
    )
    .unwrap();
    assert_eq!(shown(&twin), json!({"version": 13, "settings": {}}));
}

#[test]
fn a_version_is_a_whole_number_by_its_value_and_not_by_its_spelling() {
    for version in [json!(13), json!(13.0)] {
        let mut twin = twin();
        apply(&mut twin, &json!({"desiredVersion": version})).unwrap();
        assert_eq!(shown(&twin)["version"], 13, "{version}");
    }
}

// shows K4
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_fault_of_a_report_is_told_with_its_place() {
    let names: Map<String, Value> = (0..129)
        .map(|it| (format!("n{it}"), json!({"value": "1", "by": "Server"})))
        .collect();
    for (body, pointer) in [
        (json!([]), ""),
        (json!({"desiredVersion": 14}), "/desiredVersion"),
        (json!({"desiredVersion": -1}), "/desiredVersion"),
        (json!({"desiredVersion": null}), "/desiredVersion"),
        (json!({"desiredVersion": 1.5}), "/desiredVersion"),
        (json!({"errors": {}}), "/errors"),
        (json!({"messages": []}), "/messages"),
        (
            json!({"messages": {"a": {"state": "Sent"}}}),
            "/messages/a/state",
        ),
        (json!({"settings": []}), "/settings"),
        (json!({"settings": names}), "/settings"),
        (
            json!({"settings": {"a/b": {"value": "1", "by": "Server"}}}),
            "/settings/a~1b",
        ),
        (
            json!({"settings": {"a": {"value": 1, "by": "Server"}}}),
            "/settings/a/value",
        ),
        (json!({"settings": {"a": {"value": "1"}}}), "/settings/a/by"),
        (
            json!({"settings": {"a": {"value": "1", "by": "Me"}}}),
            "/settings/a/by",
        ),
        (json!({"settings": {"a": {"by": "Server"}}}), "/settings/a"),
        (
            json!({"settings": {"a": {"value": "1", "secret": true, "by": "Server"}}}),
            "/settings/a",
        ),
        (
            json!({"settings": {"a": {"secret": false, "by": "Server"}}}),
            "/settings/a/secret",
        ),
        (
            json!({"settings": {"a": {"value": "x".repeat(1024), "by": "Server"}}}),
            "/settings/a/value",
        ),
        (
            json!({"refused": [{"key": "a", "reason": "No"}]}),
            "/refused/0/reason",
        ),
        (
            json!({"refused": [{"key": "a", "reason": "Busy"}, {"key": "a", "reason": "Busy"}]}),
            "/refused/1/key",
        ),
        (
            json!({"software": [{"part": "engine", "name": "a", "version": "1"}]}),
            "/software/0/part",
        ),
        (json!({"restarted": "now"}), "/restarted"),
    ] {
        assert_eq!(refused(&twin(), &body), [pointer], "{body}");
    }
    // A name alone that is no object is one fault, and a member that is unknown another.
    assert_eq!(
        refused(&twin(), &json!({"settings": {"a": "1"}, "x": 1})).len(),
        2
    );
}

// shows C7
#[test]
fn names_of_former_reports_count_too() {
    let mut twin = twin();
    for number in 0..128 {
        let body = json!({"settings": {format!("n{number}"): {"value": "1", "by": "Default"}}});
        apply(&mut twin, &body).unwrap();
    }
    let one_more = json!({"settings": {"one": {"value": "1", "by": "Default"}}});
    assert_eq!(refused(&twin, &one_more), ["/settings"]);
    let in_place = json!({"settings": {"one": {"value": "1", "by": "Default"}, "n0": null}});
    apply(&mut twin, &in_place).unwrap();
}

fn digest(twin: &DeviceTwin) -> Option<String> {
    let reported = twin.status.as_ref()?.reported.as_ref()?;
    reported.settings[0].digest.map(|it| it.to_string())
}

/// The device is given the secret of this digest with the newest version.
fn give(twin: &mut DeviceTwin, digest: &str) {
    let digest = digest.repeat(32).parse().ok();
    let status = twin::after_giving(twin, twin::version(twin), |_| digest);
    twin.status = status.or_else(|| twin.status.take());
}

// shows C7 K4
#[test]
fn a_secret_is_kept_as_the_digest_of_what_was_given_and_its_value_is_refused() {
    let report = |version: i64| json!({"desiredVersion": version, "settings": {"password": {"secret": true, "by": "Server"}}});
    let mut twin = twin();
    apply(&mut twin, &report(12)).unwrap();
    assert_eq!(digest(&twin), None, "it is that of a version before");
    apply(&mut twin, &report(13)).unwrap();
    assert_eq!(digest(&twin), None, "it was given none");
    give(&mut twin, "c");
    apply(&mut twin, &report(13)).unwrap();
    assert_eq!(digest(&twin), Some("c".repeat(32)), "as it was given");
    give(&mut twin, "a");
    apply(&mut twin, &report(13)).unwrap();
    assert_eq!(digest(&twin), None, "it may have either");
    twin.metadata.generation = Some(14);
    give(&mut twin, "a");
    apply(&mut twin, &report(14)).unwrap();
    assert_eq!(digest(&twin), Some("a".repeat(32)));
    twin.metadata.generation = Some(15);
    twin.spec.settings[0].digest = "b".repeat(32).parse().ok();
    apply(&mut twin, &report(14)).unwrap();
    assert_eq!(digest(&twin), Some("a".repeat(32)), "not the new one");
    apply(&mut twin, &report(15)).unwrap();
    assert_eq!(
        digest(&twin),
        Some("a".repeat(32)),
        "the new one was left out"
    );
    let by_panel = json!({"settings": {"password": {"secret": true, "by": "Panel"}}});
    apply(&mut twin, &by_panel).unwrap();
    assert_eq!(digest(&twin), None, "another secret is in effect");

    let value = json!({"settings": {"password": {"value": "hunter2", "by": "Server"}}});
    assert_eq!(refused(&twin, &value), ["/settings/password"]);
    let problem = apply(&mut twin, &value).unwrap_err();
    assert!(!format!("{problem:?}").contains("hunter2"));
}

/// RFC 7396, where a setting is one value.
fn merged(target: &mut Map<String, Value>, patch: &Map<String, Value>, deep: bool) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(members) if deep => {
                let inner = target.entry(name.clone()).or_insert_with(|| json!({}));
                merged(inner.as_object_mut().unwrap(), members, false);
            }
            value => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

fn setting() -> impl Strategy<Value = Value> {
    let value = ("[a-z]{0,3}", prop_oneof![Just("Server"), Just("Panel")])
        .prop_map(|(value, by)| json!({"value": value, "by": by}));
    prop_oneof![
        Just(Value::Null),
        Just(json!({"secret": true, "by": "Technician"})),
        value
    ]
}

fn patch() -> impl Strategy<Value = Value> {
    let settings =
        proptest::collection::btree_map("[ab]", setting(), 0..3).prop_map(|it| json!(it));
    let settings = prop_oneof![3 => settings, 1 => Just(Value::Null)];
    let software = proptest::collection::vec("[1-3]", 0..2).prop_map(|versions| {
        let one = |(index, version): (usize, &String)| {
            json!({"part": "application", "name": format!("n{index}"), "version": version})
        };
        versions.iter().enumerate().map(one).collect::<Value>()
    });
    let software = prop_oneof![3 => software, 1 => Just(Value::Null)];
    let restarted = prop_oneof![Just(Value::Null), Just(json!("2027-03-31T14:00:00Z"))];
    let options = (
        proptest::option::of(settings),
        proptest::option::of(software),
        proptest::option::of(restarted),
    );
    options.prop_map(|(settings, software, restarted)| {
        let members = [
            ("settings", settings),
            ("software", software),
            ("restarted", restarted),
        ];
        let there = members
            .into_iter()
            .filter_map(|(name, it)| Some((name.to_owned(), it?)));
        Value::Object(there.collect())
    })
}

proptest! {
    // shows C7
    #[test]
    fn a_report_merges_as_rfc_7396_says(patches in proptest::collection::vec(patch(), 1..6)) {
        let mut twin = twin();
        let mut expected = Map::new();
        for patch in &patches {
            apply(&mut twin, patch).unwrap();
            merged(&mut expected, patch.as_object().unwrap(), true);
        }
        // An empty list, and no member, are both nothing.
        expected.retain(|_, value| *value != json!([]));
        expected.entry("settings").or_insert_with(|| json!({}));
        prop_assert_eq!(shown(&twin), Value::Object(expected));
        let before = twin.clone();
        apply(&mut twin, patches.last().unwrap()).unwrap();
        prop_assert_eq!(twin, before, "the last one again changes nothing");
    }
}
