//! Tests of the memory of a machine: who is remembered through which connection, and until when.

use entente_crds::{
    condition::{ConditionType, Reason},
    example,
    v1alpha1::{
        Cause, Connection, Device, DeviceConnectionStatus, DeviceFault, DeviceIdentity,
        IdentitySource, IppIdentity, Step, StepType,
    },
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, now, said};
use crate::condition::find;
use crate::delivery::verify::identity::{
    forbids_use, pinned_certificate, pinned_identity, remembered, remembered_fault, witness,
};
use crate::delivery::{Action, Answer, SubscriptionReport, digest};
use crate::remote::{Failure, FailureKind};

/// Returns a device with the connections `first` and `second`, first seen through the second.
fn device() -> Device {
    let mut device = example::devices()[0].clone();
    let connection = device.spec.connections[0].clone();
    device.spec.connections = ["first", "second"]
        .map(|name| {
            let mut connection = connection.clone();
            connection.name = name.to_owned();
            connection
        })
        .into();
    let status = device.status.get_or_insert_default();
    status.identity = Some(DeviceIdentity {
        product_name: Some("Northwind MFP 500".into()),
        serial_number: device.spec.serial_number.clone(),
        connection: Some("second".to_owned()),
        id: Some("urn:uuid:2".into()),
        certificate_sha256: Some("c2".to_owned()),
        firmware: Vec::new(),
    });
    status.connections = vec![DeviceConnectionStatus {
        name: "first".to_owned(),
        identity: Some("urn:uuid:1".into()),
        certificate_sha256: Some("c1".to_owned()),
        fault: Some(DeviceFault {
            reason: Reason::Unreachable,
            message: "no route".into(),
        }),
        another_machine: None,
    }];
    device
}

fn pins(device: &Device, connection: &str) -> (Option<String>, Option<String>) {
    let identity = pinned_identity(device, connection);
    let certificate = pinned_certificate(device, connection);
    (
        identity.map(|pin| pin.to_string()),
        certificate.map(str::to_owned),
    )
}

fn pair(identity: &str, certificate: &str) -> (Option<String>, Option<String>) {
    (Some(identity.to_owned()), Some(certificate.to_owned()))
}

// shows K4
#[test]
fn each_connection_has_pins_of_its_own_and_the_witness_has_those_of_the_identity() {
    let device = device();
    assert_eq!(witness(&device), Some("second"));
    assert_eq!(pins(&device, "second"), pair("urn:uuid:2", "c2"));
    assert_eq!(pins(&device, "first"), pair("urn:uuid:1", "c1"));
    assert_eq!(pins(&device, "third"), (None, None));
}

// shows K4
#[test]
fn another_serial_number_is_another_machine_of_which_nothing_is_pinned() {
    let mut device = device();
    device.spec.serial_number.push('9');
    assert_eq!(witness(&device), Some("first"), "as for a new device");
    for connection in ["first", "second"] {
        assert_eq!(pins(&device, connection), (None, None), "{connection}");
    }
    let remembers = remembered(&device, "first").is_some();
    assert!(remembers, "its fault holds until it is used again");
}

// shows K4
#[test]
fn a_witness_that_was_taken_out_of_the_spec_hands_over_to_the_first_with_its_own_pins() {
    let mut device = device();
    device.spec.connections.truncate(1);
    assert_eq!(witness(&device), Some("first"));
    assert_eq!(pins(&device, "first"), pair("urn:uuid:2", "c2"));
    device.spec.connections.clear();
    assert_eq!(witness(&device), None);
}

// shows K4
#[test]
fn a_device_that_was_never_seen_has_its_first_connection_as_witness_and_no_pins() {
    let mut device = device();
    device.status = None;
    assert_eq!(witness(&device), Some("first"));
    assert_eq!(pins(&device, "first"), (None, None));
    assert_eq!(remembered_fault(&device, "first"), None);
}

// shows K2
#[test]
fn a_fault_is_remembered_with_its_words_for_its_connection_alone() {
    let device = device();
    let fault = remembered_fault(&device, "first").expect("it is remembered");
    assert_eq!(
        (fault.reason, fault.message.as_str()),
        (Reason::Unreachable, "no route")
    );
    assert_eq!(fault.until, None);
    assert_eq!(remembered_fault(&device, "second"), None);
}

// shows K4
#[test]
fn who_is_not_the_expected_one_or_not_allowed_may_not_be_used_and_who_is_silent_may() {
    for (reason, forbids) in [
        (Reason::IdentityMismatch, true),
        (Reason::NotAllowed, true),
        (Reason::Unreachable, false),
        (Reason::Unauthorized, false),
        (Reason::CertificateChanged, false),
        (Reason::TimedOut, false),
    ] {
        let fault = DeviceFault {
            reason,
            message: "".into(),
        };
        assert_eq!(forbids_use(&fault), forbids, "{reason:?}");
    }
}

const UUID: &str = "4509a320-00a0-008f-00b6-00559a327d32";
const OTHER: &str = "4509a320-00a0-008f-00b6-00559a327d33";

// shows K4
#[test]
fn a_pin_of_another_spelling_is_the_same_and_one_of_zeros_is_none() {
    let pinned = |pin: &str| {
        let mut device = device();
        let status = device.status.as_mut().expect("it was seen");
        let identity = status.identity.as_mut().expect("it was seen");
        identity.id = Some(pin.into());
        pins(&device, "second").0
    };
    let spelled = Some(format!("urn:uuid:{UUID}"));
    assert_eq!(pinned(&UUID.to_uppercase()), spelled);
    assert_eq!(pinned(&format!("{{{UUID}}} ")), spelled);
    let zeros = "urn:uuid:00000000-0000-0000-0000-000000000000";
    assert_eq!(pinned(zeros), None, "it was pinned before zeros were known");
}

// shows K4
#[test]
fn an_identity_in_the_spec_overrides_the_pin_and_another_one_is_another_machine() {
    let mut device = device();
    device.spec.identity = Some("URN:UUID:2".to_owned());
    let other = Some("URN:UUID:2".to_owned());
    assert_eq!(witness(&device), Some("first"), "as for a new device");
    assert_eq!(pins(&device, "first"), (other, None));
    assert_eq!(pins(&device, "second"), (None, None));

    device.spec.identity = Some("urn:uuid:2".to_owned());
    assert_eq!(pins(&device, "second"), pair("urn:uuid:2", "c2"));
    assert_eq!(pins(&device, "first"), pair("urn:uuid:1", "c1"));
}

/// Returns the words about a machine that answers in place of the one that was seen.
fn words(edit: impl FnOnce(&mut Story)) -> String {
    let mut story = Story::new();
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    story.calm_pass(SignedDuration::ZERO);
    edit(&mut story);
    story.remote.reading.identity = Some(OTHER.to_uppercase());
    let report = story.calm_pass(SignedDuration::from_mins(1));
    assert_eq!(
        said(&report, ConditionType::Ready),
        "False(IdentityMismatch)"
    );
    let ready = find(&report.status.conditions, ConditionType::Ready);
    ready.expect("it is said").message.to_string()
}

// shows K2 K4
#[test]
fn the_words_about_another_machine_name_both_and_the_way_to_accept_it() {
    assert_eq!(
        words(|_| ()),
        format!(
            "The machine urn:uuid:{OTHER} answers in place of urn:uuid:{UUID}; if it is \
             meant set spec.identity of the Device lobby-mfp to urn:uuid:{OTHER}."
        )
    );
    let private = words(|story| {
        let model = story.snapshot.model.as_mut().expect("a model");
        std::sync::Arc::make_mut(model).spec.identity = Some(IdentitySource {
            ipp: Some(IppIdentity {
                attribute: "nw-serial".to_owned(),
            }),
            ..IdentitySource::default()
        });
    });
    for identity in [UUID, OTHER] {
        assert!(!private.contains(identity), "{private}");
    }
    let digest = digest(&format!("urn:uuid:{OTHER}"));
    assert!(private.contains(&digest.to_string()), "{private}");
}

// shows K4
#[test]
fn what_the_words_say_is_the_way_to_accept_the_other_machine() {
    let mut story = Story::new();
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    story.calm_pass(SignedDuration::ZERO);
    story.remote.reading.identity = Some(format!("urn:uuid:{OTHER}"));
    let minute = SignedDuration::from_mins(1);
    story.calm_pass(minute);
    story.edit_device(|it| it.spec.identity = Some(OTHER.to_owned()));
    let report = story.calm_pass(minute * 2);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let device = story.snapshot.device.as_ref().expect("a device");
    let status = device.status.as_ref().expect("it was reported");
    let identity = status.identity.as_ref().expect("it was seen");
    assert_eq!(identity.id, Some(format!("urn:uuid:{OTHER}").into()));
    // The first machine is now the stranger.
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    let report = story.calm_pass(minute * 3);
    assert_eq!(
        said(&report, ConditionType::Stalled),
        "True(IdentityMismatch)"
    );
}

/// Returns a story of a service that is set up at its server alone, delivered once.
fn delivered_at_the_server_alone() -> Story {
    let mut story = Story::new();
    let services = story.snapshot.services.values_mut();
    for service in services {
        let service = &mut std::sync::Arc::make_mut(service).spec;
        service.steps = vec![Step {
            r#type: StepType::ServerSettings,
            early: false,
        }];
    }
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    let report = story.calm_pass(SignedDuration::ZERO);
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    let items = report.status.items.iter();
    assert!(items.count() > 0, "it asks for something of its server");
    story.full_looks = false;
    story
}

fn ready_and_delivered(report: &SubscriptionReport) -> [String; 2] {
    [ConditionType::Ready, ConditionType::Delivered].map(|it| said(report, it))
}

// shows K2 K4
#[test]
fn another_machine_undoes_a_service_that_is_set_up_at_its_server_alone_until_the_expected_one_answers()
 {
    let mut story = delivered_at_the_server_alone();
    let hour = SignedDuration::from_hours(1);
    let undone = ["False(IdentityMismatch)"; 2].map(str::to_owned);
    let off = |action: &Action| match action {
        Action::ReadDevice { .. } => Some(Answer::DeviceRead {
            result: Err(Failure::new(FailureKind::Unreachable, "no route")),
            claimed_by_another: None,
        }),
        _ => None,
    };
    // Another machine is found when the device is looked at, some day.
    story.remote.reading.identity = Some(format!("urn:uuid:{OTHER}"));
    story.full_looks = true;
    let report = story.calm_pass(hour);
    assert_eq!(ready_and_delivered(&report), undone);
    assert_eq!(
        said(&report, ConditionType::Stalled),
        "True(IdentityMismatch)"
    );
    assert_eq!(
        said(&report, ConditionType::DeviceConfigured),
        "True(NothingWanted)"
    );
    story.full_looks = false;
    // Nobody asks the device, and then it is off: the expected one has not answered since.
    let mut asleep = story.snapshot.clone();
    let device = std::sync::Arc::make_mut(asleep.device.as_mut().expect("a device"));
    device.spec.suspend = true;
    std::mem::swap(&mut story.snapshot, &mut asleep);
    let report = story.calm_pass(hour * 2);
    assert_eq!(said(&report, ConditionType::Delivered), "False(Suspended)");
    std::mem::swap(&mut story.snapshot, &mut asleep);
    for minutes in [1, 2] {
        let report = story.pass(hour * 2 + SignedDuration::from_mins(minutes), off);
        assert_eq!(ready_and_delivered(&report), undone, "off, {minutes}");
    }
    // A device that is switched off while it was the expected one undoes nothing.
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    let delivered = ["True(Delivered)"; 2].map(str::to_owned);
    let report = story.calm_pass(hour * 3);
    assert_eq!(ready_and_delivered(&report), delivered);
    let device = story.snapshot.device.as_ref().expect("a device");
    let status = device.status.as_ref().expect("it was reported");
    assert_eq!(status.connections, [], "nothing is remembered");
    story.full_looks = true;
    let report = story.pass(hour * 4, off);
    assert_eq!(ready_and_delivered(&report), delivered);
}

// shows D3 K4
#[test]
fn a_promise_is_not_kept_by_what_was_proved_before_another_machine_came() {
    let mut story = delivered_at_the_server_alone();
    story.edit(|it| it.status.as_mut().expect("a status").promises.clear());
    story.remote.reading.identity = Some(format!("urn:uuid:{OTHER}"));
    story.full_looks = true;
    let report = story.calm_pass(SignedDuration::from_hours(1));
    let [promise] = &report.status.promises[..] else {
        panic!("one promise: {:?}", report.status.promises);
    };
    assert_eq!(promise.completed, None);
    let delay = promise.delays.last().expect("it is late");
    assert_eq!(
        (delay.cause, &*delay.reason),
        (Cause::Device, "IdentityMismatch")
    );
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    let back = SignedDuration::from_hours(2);
    let report = story.calm_pass(back);
    assert_eq!(report.status.promises[0].completed, Some(now() + back));
}

/// Returns Delivered of a subscription whose settings all go through the connection of the Device of
/// the examples, and the words of Stalled of that Device: its spec names the identity of the machine
/// that answers there, and a machine answers with `second` beside it.
fn said_beside(second: &str, edit: impl FnOnce(&mut Connection)) -> (String, Option<String>) {
    let mut story = Story::new();
    let mut connection = example::hq_ipp();
    connection.metadata.name = Some("beside".to_owned());
    edit(&mut connection);
    let known = &mut story.snapshot.connections;
    known.insert("beside".into(), connection.into());
    story.edit_device(|device| {
        device.spec.identity = Some(UUID.to_owned());
        let mut other = device.spec.connections[0].clone();
        "beside".clone_into(&mut other.name);
        device.spec.connections.push(other);
    });
    story.remote.reading.identity = Some(format!("urn:uuid:{UUID}"));
    let mut reading = story.remote.reading.clone();
    reading.identity = Some(second.to_owned());
    let report = story.pass(SignedDuration::ZERO, |action| match action {
        Action::ReadDevice { connection, .. } if **connection == *"beside" => {
            Some(Answer::DeviceRead {
                result: Ok(reading.clone()),
                claimed_by_another: None,
            })
        }
        _ => None,
    });
    let applied = said(&report, ConditionType::DeviceConfigured);
    assert_eq!(
        applied, "True(Succeeded)",
        "the settings go through the other connection"
    );
    let device = story.snapshot.device.as_ref().expect("a device");
    let status = device.status.as_ref().expect("it was reported");
    let stalled = find(&status.conditions, ConditionType::Stalled);
    (
        said(&report, ConditionType::Delivered),
        stalled.map(|it| format!("{}: {}", it.reason, it.message)),
    )
}

// shows K2 K4
#[test]
fn an_identity_in_the_spec_holds_for_every_connection_that_tells_the_same_of_a_machine() {
    let one_machine = ("True(Delivered)".to_owned(), None);
    assert_eq!(said_beside(&UUID.to_uppercase(), |_| ()), one_machine);
    let (delivered, other) = said_beside(OTHER, |_| ());
    // One of the two is not the machine that the Device names: whose services these are is in doubt.
    assert_eq!(delivered, "False(IdentityMismatch)");
    let other = other.expect("another machine answers");
    for part in ["IdentityMismatch", "Connection beside", UUID, OTHER] {
        assert!(other.contains(part), "{other}");
    }
    // The system of a host has an identity of its own.
    let system = |connection: &mut Connection| {
        let ipp = connection.spec.ipp.as_mut().expect("it is IPP");
        "ipp://{address}:631/ipp/system".clone_into(&mut ipp.url);
    };
    assert_eq!(said_beside(OTHER, system), one_machine);
}
