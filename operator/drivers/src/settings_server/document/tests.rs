use std::collections::BTreeSet;

use entente_domain::remote::{AskedState, FailureKind};
use serde_json::json;

use super::*;
use crate::text::tests::NOTHING;

const ENDPOINT: &str = "/settings/backup/endpoint";
const DAYS: &str = "/settings/backup/days";

fn place(path: &str) -> Place {
    Place::Http {
        path: path.to_owned(),
    }
}

/// Returns a document in which the device has seen version 7, and has what was wanted then.
fn document() -> Json {
    json!({
        "serialNumber": "A1",
        "desired": {
            "version": "7",
            "settings": {"backup": {"endpoint": "https://b.example", "days": ["sun", "sat"]}},
        },
        "reported": {
            "version": "7", "at": "2027-03-01T00:00:00Z", "uuid": "urn:uuid:1",
            "productName": "NW MFP 500", "serialNumber": "A1",
            "settings": {"backup": {"endpoint": "https://b.example", "days": ["sat", "sun"]}},
        },
    })
}

fn changed(edit: impl FnOnce(&mut Json)) -> Json {
    let mut document = document();
    edit(&mut document);
    document
}

fn read(document: &Json) -> Result<Document, Failure> {
    Document::read(document.to_string().as_bytes(), "A1")
}

fn reading(document: &Json) -> DeviceReading {
    let places = BTreeSet::from([ENDPOINT, DAYS].map(place));
    let document = read(document).expect("a document");
    document
        .reading("/uuid", &places, &NOTHING.gate())
        .expect("a reading")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn days() -> Value {
    Value::Words(["sat", "sun"].map(str::to_owned).into())
}

// shows B3
#[test]
fn a_reading_is_what_the_device_reported_and_never_the_copy_of_the_server() {
    let document = changed(|it| {
        it["desired"]["settings"]["backup"]["endpoint"] = "https://new.example".into();
        it["desired"]["version"] = "8".into();
    });
    let reading = reading(&document);
    let old = [Scalar::Text("https://b.example".to_owned())];
    assert_eq!(reading.values[&place(ENDPOINT)], old);
    assert_eq!(reading.identity.as_deref(), Some("urn:uuid:1"));
    assert_eq!(reading.product_name.as_deref(), Some("NW MFP 500"));
    assert_eq!(reading.serial_number.as_deref(), Some("A1"));
    let asked = reading.asked_for(&place(ENDPOINT), &text("https://new.example"));
    assert_eq!(asked, Some(&AskedState::Waiting));
}

// shows B3 D1
#[test]
fn a_report_proves_what_is_there_only_if_the_device_had_seen_the_version_that_is_wanted() {
    for (reported, wanted, is_proof) in [
        ("7", "7", true),
        ("6", "7", false),
        // The server was restored, and has another 7 than the device has seen, or will have.
        ("9", "7", false),
        ("2027-a", "2027-b", false),
    ] {
        let document = changed(|it| {
            it["reported"]["version"] = reported.into();
            it["desired"]["version"] = wanted.into();
        });
        let reading = reading(&document);
        let seen = reading.proof(&place(DAYS)).is_some();
        assert_eq!(seen, is_proof, "{reported} {wanted}");
        let state = if is_proof {
            AskedState::Taken
        } else {
            AskedState::Waiting
        };
        let asked = reading.asked_for(&place(DAYS), &days());
        assert_eq!(asked, Some(&state), "{reported} {wanted}");
    }
}

// shows D1
#[test]
fn a_report_proves_what_nobody_asked_the_device_for() {
    let document = changed(|it| {
        it["desired"] = json!({"version": "8", "settings": {"other": 1}});
    });
    let found = reading(&document);
    assert!(found.proof(&place(DAYS)).is_some());
    assert!(found.asked.is_empty(), "{:?}", found.asked);
    let nothing_wanted = changed(|it| it["desired"] = Json::Null);
    assert!(reading(&nothing_wanted).proof(&place(DAYS)).is_some());
}

#[test]
fn a_value_that_the_device_refuses_is_told_in_its_words_once_it_has_seen_it() {
    for (reason, kind) in [
        ("InvalidValue", FailureKind::RejectedValue),
        ("ReadOnly", FailureKind::RejectedNotSettable),
        ("Unsupported", FailureKind::Unsupported),
        ("Busy", FailureKind::Busy),
        ("Whatever", FailureKind::RejectedValue),
    ] {
        let refused = changed(|it| {
            it["reported"]["refused"] =
                json!([{"path": ENDPOINT, "reason": reason, "detail": "no such host"}]);
        });
        let found = reading(&refused);
        let asked = found.asked_for(&place(ENDPOINT), &text("https://b.example"));
        let Some(AskedState::Refused(failure)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(failure.kind, kind);
        assert!(failure.message.contains("no such host"), "{failure:?}");

        let mut before = refused;
        before["desired"]["version"] = "8".into();
        let found = reading(&before);
        let asked = found.asked_for(&place(ENDPOINT), &text("https://b.example"));
        assert_eq!(
            asked,
            Some(&AskedState::Waiting),
            "it is about an older value"
        );
    }
}

#[test]
fn an_operation_of_the_server_is_waited_for_and_one_that_failed_is_told() {
    let running = changed(|it| {
        it["operations"] = json!([{"id": "9", "state": "Running", "path": DAYS, "value": ["mon"]}]);
    });
    let found = reading(&running);
    let monday = Value::Words(["mon".to_owned()].into());
    let asked = found.asked_for(&place(DAYS), &monday);
    assert_eq!(asked, Some(&AskedState::Waiting));
    assert!(found.proof(&place(DAYS)).is_none());
    assert!(found.proof(&place(ENDPOINT)).is_some());
    let document = read(&running).expect("a document");
    assert!(document.is_under_way(DAYS, &monday));
    assert!(!document.is_under_way(DAYS, &days()));
    assert!(!document.is_under_way(ENDPOINT, &monday));

    let failed = changed(|it| {
        it["operations"] = json!([{"id": "9", "state": "Failed", "path": DAYS, "value": ["mon"],
            "problem": {"reason": "InvalidValue", "detail": "not on Mondays"}}]);
    });
    let found = reading(&failed);
    let Some(AskedState::Refused(failure)) = found.asked_for(&place(DAYS), &monday) else {
        panic!("{found:?}");
    };
    assert_eq!(failure.message, "not on Mondays");
    assert!(found.proof(&place(DAYS)).is_some());
}

#[test]
fn values_are_read_by_their_type_in_json() {
    for (json, wanted) in [
        (json!("a"), Some(vec![Scalar::Text("a".to_owned())])),
        (json!(7), Some(vec![Scalar::Integer(7)])),
        (json!(true), Some(vec![Scalar::Boolean(true)])),
        (json!([]), Some(vec![])),
        (json!(7.5), Some(vec![Scalar::Other("7.5".to_owned())])),
        (json!({}), Some(vec![Scalar::Other("{}".to_owned())])),
        (json!(null), None),
    ] {
        let document = changed(|it| it["reported"]["settings"]["backup"]["days"] = json.clone());
        let found = reading(&document).values.remove(&place(DAYS));
        assert_eq!(found, wanted, "{json}");
    }
}

// shows K7
#[test]
fn a_document_that_makes_no_sense_is_refused_without_a_quotation() {
    let odd = [
        changed(|it| it["serialNumber"] = "B2".into()),
        changed(|it| it["serialNumber"] = Json::Null),
        changed(|it| it["reported"]["version"] = json!(7)),
        changed(|it| it["reported"]["version"] = "".into()),
        changed(|it| it["desired"]["version"] = "a\"b".into()),
        changed(|it| it["desired"]["version"] = "x\r\ny".into()),
        changed(|it| it["operations"] = json!({"s3cr3t": 1})),
        json!(["s3cr3t"]),
        json!("s3cr3t"),
    ];
    for document in odd {
        let failure = read(&document).expect_err("it makes no sense");
        assert_eq!(failure.kind, FailureKind::ProtocolError, "{document}");
        assert!(!failure.message.contains("s3cr3t"), "{failure:?}");
    }
    let silent = read(&changed(|it| it["reported"] = Json::Null)).expect("a document");
    let places = BTreeSet::new();
    let failure = silent.reading("/uuid", &places, &NOTHING.gate());
    let failure = failure.expect_err("nothing was reported");
    assert_eq!(failure.kind, FailureKind::NotHeardOf);
}

#[test]
fn the_serial_number_is_read_from_the_url_as_it_was_written_there() {
    let of = |url: &str| serial_number(&url.parse().expect("a URL")).ok();
    let base = "https://s.example/v1/devices";
    assert_eq!(of(&format!("{base}/A1")), Some("A1".to_owned()));
    assert_eq!(
        of(&format!("{base}/a%20b%2Fc%C3%A9")),
        Some("a b/cé".to_owned())
    );
    assert_eq!(of(&format!("{base}/%FF")), None);
}
