//! Messages of a twin: what is wanted, what is reported, and what differs.

use entente_crds::v1alpha1::{DeviceTwinSpec, DeviceTwinStatus, TwinReported};

use super::*;

fn wanted(id: &str) -> TwinMessage {
    TwinMessage {
        id: id.to_owned(),
        language: "ja".to_owned(),
        text: format!("黒トナーがなくなりました。注文番号 {id}"),
        short: format!("注文 {id}"),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is written in place")]
fn twin(messages: Vec<TwinMessage>, reported: Value) -> DeviceTwin {
    let mut faults = Faults::default();
    let changes = read(&reported, &mut faults).unwrap();
    let messages_reported = merged(&[], &changes, &mut faults);
    assert_eq!(faults.problem(), None);
    let spec = DeviceTwinSpec {
        messages,
        ..DeviceTwinSpec::default()
    };
    let mut twin = DeviceTwin::new("lobby", spec);
    twin.status = Some(DeviceTwinStatus {
        reported: Some(TwinReported {
            messages: messages_reported,
            ..TwinReported::default()
        }),
        ..DeviceTwinStatus::default()
    });
    twin
}

// shows A8
#[test]
fn a_message_is_to_be_shown_until_the_device_reports_it_with_one_of_its_texts() {
    for (said, is_open) in [
        (json!({}), true),
        (json!({"a": {"state": "Pending"}}), true),
        (json!({"a": {"state": "Cleared"}}), true),
        (json!({"a": {"state": "Shown"}}), false),
        (json!({"a": {"state": "Shown", "text": "注文 a"}}), false),
        (
            json!({"a": {"state": "Shown", "text": "黒トナーがなくなりました。注文番号 a"}}),
            false,
        ),
        // It shows the order before.
        (json!({"a": {"state": "Shown", "text": "注文 b"}}), true),
        (
            json!({"a": {"state": "Undeliverable", "detail": "there is no panel"}}),
            false,
        ),
    ] {
        let twin = twin(vec![wanted("a")], said.clone());
        let show = if is_open { json!(["a"]) } else { json!([]) };
        assert_eq!(delta(&twin), json!({"show": show, "clear": []}), "{said}");
    }
}

// shows A8
#[test]
fn a_message_that_nobody_wants_any_more_is_to_be_taken_down_until_the_device_says_that_it_is() {
    for (said, is_up) in [
        (
            json!({"z": {"state": "Shown"}, "b": {"state": "Shown"}}),
            true,
        ),
        (
            json!({"z": {"state": "Pending"}, "b": {"state": "Pending"}}),
            true,
        ),
        (
            json!({"z": {"state": "Cleared"}, "b": {"state": "Undeliverable"}}),
            false,
        ),
    ] {
        let twin = twin(Vec::new(), said.clone());
        let clear = if is_up { json!(["b", "z"]) } else { json!([]) };
        assert_eq!(delta(&twin), json!({"show": [], "clear": clear}), "{said}");
    }
}

// shows A8
#[test]
fn the_document_has_each_message_with_both_texts_and_what_was_reported() {
    let at = "2027-04-01T00:00:00Z";
    let said = json!({"a": {"state": "Shown", "at": at, "text": "注文 a"},
                      "b": {"state": "Undeliverable", "detail": "there is no panel"}});
    let twin = twin(vec![wanted("a")], said.clone());
    assert_eq!(
        desired(&twin),
        json!([{"id": "a", "language": "ja", "text": "黒トナーがなくなりました。注文番号 a",
                "short": "注文 a", "until": null}])
    );
    assert_eq!(reported_body(reported(&twin)), said);
    assert_eq!(
        report_of(&twin, &wanted("a")).unwrap().at,
        Some(at.parse().unwrap())
    );
    assert_eq!(report_of(&twin, &wanted("c")), None);
}

#[test]
fn a_report_replaces_one_message_null_removes_it_and_the_others_stay() {
    let mut faults = Faults::default();
    let before = twin(
        Vec::new(),
        json!({"a": {"state": "Shown"}, "b": {"state": "Shown"}}),
    );
    let patch = json!({"a": {"state": "Cleared"}, "b": null, "c": {"state": "Pending"}, "d": null});
    let changes = read(&patch, &mut faults).unwrap();
    let after = merged(reported(&before), &changes, &mut faults);
    assert_eq!(
        reported_body(&after),
        json!({"a": {"state": "Cleared"}, "c": {"state": "Pending"}})
    );
}

// shows K4
#[test]
fn every_fault_of_a_report_of_messages_is_told_with_its_place() {
    let many: Map<String, Value> = (0..33)
        .map(|id| (format!("m{id}"), json!({"state": "Shown"})))
        .collect();
    let one = |said: Value| json!({"a": said});
    for (report, place) in [
        (json!([]), "/messages"),
        (json!("Shown"), "/messages"),
        (Value::Object(many), "/messages"),
        (json!({"A b": {"state": "Shown"}}), "/messages/A b"),
        (json!({"": {"state": "Shown"}}), "/messages/"),
        (one(json!("Shown")), "/messages/a"),
        (one(json!({})), "/messages/a/state"),
        (one(json!({"state": "Sent"})), "/messages/a/state"),
        (
            one(json!({"state": "Shown", "at": "now"})),
            "/messages/a/at",
        ),
        (
            one(json!({"state": "Shown", "text": ""})),
            "/messages/a/text",
        ),
        (
            one(json!({"state": "Shown", "text": "x".repeat(1024)})),
            "/messages/a/text",
        ),
        (
            one(json!({"state": "Shown", "detail": 7})),
            "/messages/a/detail",
        ),
        (
            one(json!({"state": "Shown", "until": null})),
            "/messages/a/until",
        ),
    ] {
        let mut faults = Faults::default();
        read(&report, &mut faults);
        let body = faults.problem().expect(place).body();
        assert_eq!(body["errors"][0]["pointer"], place, "{report}");
        assert!(body["errors"][0]["allowed"].is_string(), "{body}");
    }
}

// shows K5
#[test]
fn of_too_many_messages_those_that_were_taken_down_longest_ago_are_forgotten() {
    let at = |second: i64| jiff::Timestamp::from_second(1_800_000_000 + second).unwrap();
    let of = |ids: std::ops::Range<i64>, state: &str| -> Changes {
        let all: Map<String, Value> = ids
            .map(|id| (format!("m{id:02}"), json!({"state": state, "at": at(id)})))
            .collect();
        read(&Value::Object(all), &mut Faults::default()).unwrap()
    };
    let mut faults = Faults::default();
    let old = merged(&[], &of(0..30, "Cleared"), &mut faults);
    let new = merged(&old, &of(30..40, "Shown"), &mut faults);
    assert_eq!(faults.problem(), None);
    assert_eq!(new.len(), 32);
    assert_eq!((&*new[0].id, &*new[31].id), ("m08", "m39"));
    let shown = merged(&[], &of(0..32, "Shown"), &mut Faults::default());
    let mut faults = Faults::default();
    merged(&shown, &of(32..33, "Shown"), &mut faults);
    let body = faults.problem().unwrap().body();
    assert_eq!(body["errors"][0]["pointer"], "/messages");
}
