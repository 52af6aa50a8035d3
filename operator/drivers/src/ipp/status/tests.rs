//! Tests of every sign by which a device reports the result of a request.

use bytes::Bytes;
use ipp::attribute::{IppAttribute, IppAttributes};

use super::*;

const NOTHING: PrivateTexts<'static> = PrivateTexts {
    secrets: None,
    credentials: None,
    token: None,
    url: "",
};
const OURS: &str = "printer-location";

fn response(status: u16, unsupported: &[(&str, IppValue)], said: Option<&str>) -> Response {
    let mut attributes = IppAttributes::new();
    let mut add = |tag, name: &str, value| {
        attributes.add(tag, IppAttribute::with_name(name, value).unwrap());
    };
    if let Some(said) = said {
        let said = IppValue::new_text_without_language(said).unwrap();
        add(DelimiterTag::OperationAttributes, "status-message", said);
    }
    for (name, value) in unsupported {
        add(DelimiterTag::UnsupportedAttributes, name, value.clone());
    }
    Response { status, attributes }
}

fn tagged(tag: u8) -> IppValue {
    IppValue::Other {
        tag,
        data: Bytes::new(),
    }
}

fn written(status: u16, unsupported: &[(&str, IppValue)]) -> Option<FailureKind> {
    let response = response(status, unsupported, None);
    of_write(&response, &[OURS], NOTHING)
        .err()
        .map(|failure| failure.kind)
}

// shows B7
#[test]
fn success_is_no_success_where_our_attribute_is_named_as_unsupported() {
    let not_settable = tagged(TAG_NOT_SETTABLE);
    assert_eq!(written(0, &[]), None);
    assert_eq!(
        written(1, &[]),
        None,
        "what was ignored is seen by reading back"
    );
    assert_eq!(
        written(0, &[(OURS, not_settable.clone())]),
        Some(FailureKind::RejectedNotSettable)
    );
    assert_eq!(
        written(1, &[(OURS, tagged(TAG_UNSUPPORTED))]),
        Some(FailureKind::Unsupported)
    );
    assert_eq!(
        written(1, &[(OURS, IppValue::Integer(3))]),
        Some(FailureKind::RejectedValue)
    );
    assert_eq!(written(1, &[("another", not_settable)]), None);
}

#[test]
fn a_refusal_is_told_apart_by_the_tag() {
    const STATUS: u16 = ATTRIBUTES_OR_VALUES_NOT_SUPPORTED;
    assert_eq!(written(STATUS, &[]), Some(FailureKind::RejectedValue));
    assert_eq!(
        written(STATUS, &[(OURS, IppValue::Boolean(true))]),
        Some(FailureKind::RejectedValue)
    );
    let not_settable = (OURS, tagged(TAG_NOT_SETTABLE));
    assert_eq!(
        written(STATUS, &[not_settable]),
        Some(FailureKind::RejectedNotSettable)
    );
    let unsupported = (OURS, tagged(TAG_UNSUPPORTED));
    assert_eq!(
        written(STATUS, &[unsupported]),
        Some(FailureKind::Unsupported)
    );
}

#[test]
fn each_status_has_its_kind() {
    for (status, kind) in [
        (0x0400, FailureKind::ProtocolError),
        (0x0401, FailureKind::Unauthorized),
        (0x0402, FailureKind::Unauthorized),
        (0x0403, FailureKind::Unauthorized),
        (0x0406, FailureKind::ProtocolError),
        (0x0413, FailureKind::RejectedNotSettable),
        (0x0500, FailureKind::ProtocolError),
        (0x0501, FailureKind::Unsupported),
        (0x0503, FailureKind::ProtocolError),
        (0x0506, FailureKind::Busy),
        (0x0507, FailureKind::Busy),
        (0x7777, FailureKind::ProtocolError),
    ] {
        assert_eq!(written(status, &[]), Some(kind), "0x{status:04x}");
        let read = of_reading(&response(status, &[], None), NOTHING).unwrap_err();
        assert_eq!((read.kind, read.doubtful), (kind, false), "0x{status:04x}");
    }
    for success in 0..=2 {
        assert_eq!(of_reading(&response(success, &[], None), NOTHING), Ok(()));
    }
}

#[test]
fn an_error_in_the_middle_of_a_write_leaves_a_doubt() {
    let doubtful = |status| {
        of_write(&response(status, &[], None), &[OURS], NOTHING)
            .unwrap_err()
            .doubtful
    };
    assert!(doubtful(0x0500) && doubtful(0x0504));
    assert!(!doubtful(0x0501) && !doubtful(0x040B) && !doubtful(0x0507));
}

#[test]
fn the_message_has_the_status_the_attribute_and_the_devices_words() {
    let named = [(OURS, tagged(TAG_UNSUPPORTED))];
    let refused = response(0x040B, &named, Some("not\u{7} here\r\nplease"));
    assert_eq!(
        of_write(&refused, &[OURS], NOTHING).unwrap_err().message,
        "client-error-attributes-or-values-not-supported (printer-location): not here please"
    );
    let unknown = response(0x0799, &[], None);
    assert_eq!(
        of_reading(&unknown, NOTHING).unwrap_err().message,
        "status 0x0799"
    );
}
