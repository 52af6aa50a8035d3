//! Tests of every sign by which a device reports the result of a request.

use super::super::response::tests::{Octets, answer, group};
use super::*;
use crate::text::tests::{NOTHING, tenants_secret};

const OURS: &str = "printer-location";

/// Returns a response that names attributes as unsupported, each with a tag.
fn response(status: u16, unsupported: &[(&str, u8)], said: Option<&str>) -> Response {
    let said: Vec<Octets<'_>> = said
        .map(|said| (0x41, "status-message", said.as_bytes()))
        .into_iter()
        .collect();
    let unsupported: Vec<Octets<'_>> = unsupported
        .iter()
        .map(|(name, tag)| (*tag, *name, &[][..]))
        .collect();
    let groups = [
        group(OPERATION_GROUP, &said),
        group(UNSUPPORTED_GROUP, &unsupported),
    ];
    Response::read(answer(status, &groups.concat())).unwrap()
}

fn written(status: u16, unsupported: &[(&str, u8)]) -> Option<FailureKind> {
    let response = response(status, unsupported, None);
    of_write(&response, &[OURS], NOTHING)
        .err()
        .map(|failure| failure.kind)
}

// shows B7
#[test]
fn success_is_no_success_where_our_attribute_is_named_as_unsupported() {
    let not_settable = NOT_SETTABLE;
    assert_eq!(written(0, &[]), None);
    assert_eq!(
        written(1, &[]),
        None,
        "what was ignored is seen by reading back"
    );
    assert_eq!(
        written(0, &[(OURS, not_settable)]),
        Some(FailureKind::RejectedNotSettable)
    );
    assert_eq!(
        written(1, &[(OURS, UNSUPPORTED)]),
        Some(FailureKind::Unsupported)
    );
    assert_eq!(
        written(1, &[(OURS, 0x21)]),
        Some(FailureKind::RejectedValue)
    );
    assert_eq!(written(1, &[("another", not_settable)]), None);
}

// shows K4
#[test]
fn an_odd_answer_to_a_request_with_a_secret_is_not_quoted_in_any_spelling() {
    let secrets = tenants_secret("s3cr3t-token");
    let private = PrivateTexts {
        secrets: Some(&secrets),
        ..NOTHING
    };
    let said = |status, private| {
        let response = response(status, &[], Some("backwards: nekot-t3rc3s"));
        of_write(&response, &[OURS], private).unwrap_err().message
    };
    assert_eq!(
        said(0x0500, private),
        "server-error-internal-error; its words are not shown, since the request carried a secret"
    );
    let refused = ATTRIBUTES_OR_VALUES_NOT_SUPPORTED;
    assert!(
        said(refused, private).contains("nekot"),
        "a refusal says why"
    );
    assert!(
        said(0x0500, NOTHING).contains("nekot"),
        "there was no secret"
    );
}

#[test]
fn a_refusal_is_told_apart_by_the_tag() {
    const STATUS: u16 = ATTRIBUTES_OR_VALUES_NOT_SUPPORTED;
    assert_eq!(written(STATUS, &[]), Some(FailureKind::RejectedValue));
    assert_eq!(
        written(STATUS, &[(OURS, 0x22)]),
        Some(FailureKind::RejectedValue)
    );
    let not_settable = (OURS, NOT_SETTABLE);
    assert_eq!(
        written(STATUS, &[not_settable]),
        Some(FailureKind::RejectedNotSettable)
    );
    let unsupported = (OURS, UNSUPPORTED);
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
        (0x0502, FailureKind::Busy),
        (0x0503, FailureKind::ProtocolError),
        (0x0504, FailureKind::ProtocolError),
        (0x0505, FailureKind::Busy),
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
    assert!([0x0500, 0x0502, 0x0504, 0x0505].map(doubtful) == [true; 4]);
    assert!(!doubtful(0x0501) && !doubtful(0x040B) && !doubtful(0x0507));
}

#[test]
fn words_in_another_encoding_are_quoted_as_far_as_they_can_be() {
    let words = group(OPERATION_GROUP, &[(0x41, "status-message", b"st\xf6rung")]);
    let refused = Response::read(answer(0x0400, &words)).unwrap();
    assert_eq!(
        of_reading(&refused, NOTHING).unwrap_err().message,
        "client-error-bad-request: st\u{fffd}rung"
    );
}

#[test]
fn the_message_has_the_status_the_attribute_and_the_devices_words() {
    let named = [(OURS, UNSUPPORTED)];
    let refused = response(0x040B, &named, Some("not\u{7} here\r\nplease"));
    assert_eq!(
        of_write(&refused, &[OURS], NOTHING).unwrap_err().message,
        "client-error-attributes-or-values-not-supported (printer-location): not here please"
    );
    let nowhere = response(0x0406, &[], Some("gone"));
    assert_eq!(
        of_reading(&nowhere, NOTHING).unwrap_err().message,
        "no printer is at the path of the URL: client-error-not-found: gone"
    );
    let unknown = response(0x0799, &[], None);
    assert_eq!(
        of_reading(&unknown, NOTHING).unwrap_err().message,
        "status 0x0799"
    );
}

const READ: Purpose<'static> = Purpose::Read { group: Some(4) };
const WRITE: Purpose<'static> = Purpose::Write { attribute: OURS };

/// Returns the ending of an answer to the request 7: its kind, and whether it leaves a doubt.
fn ended(octets: &[u8], purpose: Purpose<'_>) -> (&'static str, bool) {
    let response = Response::read(octets.to_vec().into());
    match ending(response, 7, purpose, NOTHING) {
        Ending::Success(_) => ("success", false),
        Ending::Refusal(failure) => ("refusal", failure.doubtful),
        Ending::Unclear(failure) => ("unclear", failure.doubtful),
    }
}

#[test]
fn only_a_success_with_our_id_and_what_we_need_is_one() {
    let with_group = [&answer(0, &[4])[..], &[3]].concat();
    assert_eq!(ended(&with_group, READ), ("success", false));
    assert_eq!(ended(&answer(0, &[3]), READ), ("unclear", false));
    let anything = Purpose::Read { group: None };
    assert_eq!(ended(&answer(0, &[3]), anything), ("success", false));
    assert_eq!(ended(&answer(0, &[3]), WRITE), ("success", false));
    for foreign in [
        &[2, 0, 0, 0, 0, 0, 0, 0, 4, 3][..],
        &[0, 0, 0, 0, 0, 0, 0, 7, 4, 3],
        &[2, 0, 4, 0xB, 0, 0, 0, 8, 3],
        b"<html></html>",
        b"",
    ] {
        assert_eq!(ended(foreign, READ), ("unclear", false), "{foreign:?}");
        assert_eq!(ended(foreign, WRITE), ("refusal", true), "{foreign:?}");
    }
}

#[test]
fn a_version_may_be_refused_in_any_shape_and_a_write_by_its_own_status_alone() {
    for header in [[2, 0, 7], [1, 1, 7], [1, 0, 0], [0, 0, 0], [2, 0, 99]] {
        let refused = |status: u16| {
            let [high, low] = status.to_be_bytes();
            let [major, minor, id] = header;
            [major, minor, high, low, 0, 0, 0, id]
        };
        assert_eq!(ended(&refused(0x0503), READ), ("unclear", false));
        assert_eq!(ended(&refused(0x0503), WRITE), ("unclear", false));
        assert_eq!(ended(&refused(0x0400), READ), ("unclear", false));
        assert_eq!(ended(&refused(0x0400), WRITE), ("refusal", false));
    }
    assert_eq!(ended(&answer(0x0501, &[3]), READ), ("refusal", false));
    assert_eq!(ended(&answer(0x040B, &[3]), WRITE), ("refusal", false));
}
