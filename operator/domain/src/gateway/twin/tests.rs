use entente_crds::v1alpha1::{DataEvent, DeviceTwinSpec, DeviceTwinStatus, TwinNext};

use super::*;

fn value(name: &str, value: &str) -> TwinSetting {
    TwinSetting {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        asked: 1,
        ..TwinSetting::default()
    }
}

fn secret(name: &str, digest: &str) -> TwinSetting {
    TwinSetting {
        name: name.to_owned(),
        secret_key_ref: Some(SecretKeyReference {
            name: "cloud".to_owned(),
            key: name.to_owned(),
        }),
        digest: digest.repeat(32).parse().ok(),
        asked: 1,
        ..TwinSetting::default()
    }
}

fn twin(settings: Vec<TwinSetting>, reported: Vec<ReportedSetting>) -> DeviceTwin {
    let spec = DeviceTwinSpec {
        settings,
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("mfp", spec);
    twin.metadata.generation = Some(13);
    twin.status = Some(DeviceTwinStatus {
        reported: Some(TwinReported {
            version: Some(12),
            settings: reported,
            ..TwinReported::default()
        }),
        ..DeviceTwinStatus::default()
    });
    twin
}

fn said(name: &str, value: &str, by: SetBy) -> ReportedSetting {
    ReportedSetting {
        name: name.into(),
        value: Some(value.into()),
        digest: None,
        by,
    }
}

fn read(twin: &DeviceTwin) -> Value {
    body(
        twin,
        |reference| (reference.key != "lost").then_some("hunter2"),
        "PT24H",
    )
}

// shows C7
#[test]
fn the_twin_has_what_is_wanted_what_is_reported_and_the_names_that_differ() {
    let wanted = vec![
        value("backup.weekdays", "wed"),
        value("backup.endpoint", "https://b"),
    ];
    let found = vec![
        said("backup.endpoint", "https://b", SetBy::Panel),
        said("other", "1", SetBy::Default),
    ];
    assert_eq!(
        read(&twin(wanted, found)),
        json!({
            "version": 13,
            "desired": {"settings": {"backup.weekdays": {"value": "wed"},
                                     "backup.endpoint": {"value": "https://b"}},
                        "dataTypes": [], "messages": []},
            "reported": {"version": 12, "settings": {
                "backup.endpoint": {"value": "https://b", "by": "Panel"},
                "other": {"value": "1", "by": "Default"}}},
            "delta": {"settings": ["backup.weekdays"], "dataTypes": {"add": [], "remove": []},
                      "messages": {"show": [], "clear": []}},
            "poll": {"next": "PT24H"},
        })
    );
}

// shows C7 C8
#[test]
fn the_kinds_of_data_are_there_and_those_that_begin_and_end() {
    let kind = |name: &str, period: &str| TwinDataType {
        name: name.to_owned(),
        on: vec![DataEvent::BelowThreshold],
        threshold: Some(20),
        period: period.into(),
        wanted_by: vec!["acme.toner.mfp".to_owned()],
    };
    let sent = |name: &str, period: Option<&str>| ReportedDataType {
        name: name.into(),
        period: period.map(Into::into),
    };
    let mut twin = twin(Vec::new(), Vec::new());
    twin.spec.data_types = vec![
        kind("counters", "24h"),
        kind("levels", "6h"),
        kind("parts", "1h"),
    ];
    let reported = twin.status.as_mut().unwrap().reported.as_mut().unwrap();
    reported.data_types = vec![
        sent("counters", Some("12h")),
        sent("levels", Some("7h")),
        sent("errors", None),
    ];
    let found = read(&twin);
    assert_eq!(
        found["desired"]["dataTypes"][1],
        json!({"name": "levels", "on": ["BelowThreshold"], "threshold": 20, "period": "PT6H"})
    );
    assert_eq!(
        found["delta"]["dataTypes"],
        json!({"add": ["levels", "parts"], "remove": ["errors"]})
    );
    assert_eq!(
        found["reported"]["dataTypes"],
        json!([{"name": "counters", "period": "PT12H"}, {"name": "levels", "period": "PT7H"},
               {"name": "errors"}])
    );
}

// shows C7 K4
#[test]
fn a_secret_is_handed_out_until_it_is_reported_and_one_that_cannot_be_read_is_left_out() {
    let wanted = || vec![secret("password", "a"), secret("lost", "b")];
    let held = |digest: &str, by| ReportedSetting {
        name: "password".into(),
        value: None,
        digest: digest.repeat(32).parse().ok(),
        by,
    };
    let handed = json!({"secret": true, "value": "hunter2"});
    for (reported, shown) in [
        (vec![], handed.clone()),
        (vec![held("a", SetBy::Server)], json!({"secret": true})),
        (vec![held("c", SetBy::Server)], handed.clone()),
        (vec![held("a", SetBy::Panel)], handed.clone()),
        (vec![held("", SetBy::Server)], handed),
    ] {
        let twin = twin(wanted(), reported);
        let document = read(&twin);
        assert_eq!(document["desired"]["settings"], json!({"password": shown}));
        let is_handed = shown.get("value").is_some();
        assert_eq!(
            document["delta"]["settings"] == json!(["password"]),
            is_handed
        );
        let asked: Vec<&str> = wanted_secrets(&twin).iter().map(|it| &*it.key).collect();
        let expected: &[&str] = if is_handed {
            &["password", "lost"]
        } else {
            &["lost"]
        };
        assert_eq!(asked, expected);
    }
}

// shows C9
#[test]
fn the_next_revision_is_there_with_its_instant_and_its_secrets() {
    let mut twin = twin(vec![value("a", "1")], vec![said("a", "1", SetBy::Server)]);
    twin.spec.next = Some(TwinNext {
        effective: "2027-03-31T15:00:00Z".parse().unwrap(),
        settings: vec![value("a", "2"), secret("password", "a")],
    });
    let document = read(&twin);
    assert_eq!(
        document["desired"]["next"],
        json!({"effective": "2027-03-31T15:00:00Z", "settings": {
            "a": {"value": "2"}, "password": {"secret": true, "value": "hunter2"}}})
    );
    assert_eq!(document["delta"]["settings"], json!([]));
    assert_eq!(wanted_secrets(&twin).len(), 1);
}

#[test]
fn a_wanted_value_that_a_status_cannot_have_is_compared_as_a_status_has_it() {
    let odd = "a\u{200b}b";
    let twin = twin(vec![value("a", odd)], vec![said("a", odd, SetBy::Server)]);
    assert_eq!(read(&twin)["delta"]["settings"], json!([]));
}

#[test]
fn a_twin_that_has_reported_nothing_is_read_too() {
    let mut twin = twin(vec![], vec![]);
    twin.status = None;
    let document = read(&twin);
    assert_eq!(document["reported"], json!({"settings": {}}));
    assert_eq!(etag(&twin), "\"13\"");
}

// shows C7 K4
#[test]
fn a_value_of_a_secret_is_noted_once_with_the_version_with_which_it_is_given() {
    let digest = |text: &str| text.repeat(32).parse::<Digest>().ok();
    let mut twin = twin(vec![secret("password", "a"), value("a", "1")], Vec::new());
    let give = |twin: &mut DeviceTwin, version: i64, text: &str| {
        let given = after_giving(twin, version, |_| digest(text));
        let is_written = given.is_some();
        twin.status = given.or_else(|| twin.status.take());
        let given = &twin.status.as_ref().unwrap().given;
        assert_eq!(given.len(), 1, "only secrets: {given:?}");
        (is_written, given[0].version, given[0].digest)
    };
    assert_eq!(after_giving(&twin, 13, |_| None), None, "it is left out");
    assert_eq!(give(&mut twin, 13, "b"), (true, 13, digest("b")));
    assert_eq!(give(&mut twin, 13, "b"), (false, 13, digest("b")));
    assert_eq!(give(&mut twin, 14, "b"), (true, 14, digest("b")));
    assert_eq!(
        give(&mut twin, 13, "a"),
        (false, 14, digest("b")),
        "it is late"
    );
    assert_eq!(
        give(&mut twin, 14, "a"),
        (true, 14, None),
        "it may have either"
    );
    assert_eq!(give(&mut twin, 14, "b"), (false, 14, None));
    twin.spec.settings.remove(0);
    let status = after_giving(&twin, 15, |_| digest("b")).unwrap();
    assert_eq!(status.given, [], "nobody wants it any more");
}
