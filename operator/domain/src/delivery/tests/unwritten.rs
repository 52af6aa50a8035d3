//! Tests of a device whose status could not be written, so that its machine may be pinned nowhere.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Device, DeviceIdentity, DeviceStatus},
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, said};
use crate::condition::find;

const FAILURE: &str = "the API server refuses to write Device acme/lobby-mfp: no room";

/// Returns the story of a device of which a status could not be written, with this edit of it.
fn unwritten(edit: impl FnOnce(&mut Device)) -> Story {
    let mut story = Story::new();
    story.snapshot.status_unwritten = Some(FAILURE.to_owned());
    story.edit_device(edit);
    story
}

fn seen(device: &mut Device, edit: impl FnOnce(&mut DeviceIdentity)) {
    let mut identity = DeviceIdentity {
        serial_number: device.spec.serial_number.clone(),
        ..DeviceIdentity::default()
    };
    edit(&mut identity);
    device.status = Some(DeviceStatus {
        identity: Some(identity),
        ..DeviceStatus::default()
    });
}

// shows K2 K4
#[test]
fn nothing_is_written_to_a_machine_without_a_pin_while_the_status_cannot_be_written() {
    let unpinned: [fn(&mut Device); 3] = [
        |_| (),
        |device| seen(device, |_| ()),
        |device| {
            seen(device, |it| it.id = Some("urn:uuid:1".into()));
            device.spec.serial_number.push('9');
        },
    ];
    for edit in unpinned {
        let mut story = unwritten(edit);
        let report = story.calm_pass(SignedDuration::ZERO);
        let asked = &story.remote.asked;
        assert_eq!(story.remote.count("ReadDevice"), 1, "{asked:?}");
        assert_eq!(story.remote.count("WriteDevice"), 0, "{asked:?}");
        assert_eq!(story.remote.count("Provision"), 0, "{asked:?}");
        for type_ in [ConditionType::Ready, ConditionType::DeviceConfigured] {
            assert_eq!(said(&report, type_), "False(InternalError)", "{type_:?}");
        }
        let ready = find(&report.status.conditions, ConditionType::Ready);
        let message = ready.expect("it is there").message.to_string();
        for part in ["status of the Device lobby-mfp", FAILURE] {
            assert!(message.contains(part), "{message}");
        }
        story.snapshot.status_unwritten = None;
        let report = story.calm_pass(SignedDuration::from_secs(1));
        assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    }
}

// shows D2 K4
#[test]
fn a_machine_with_a_pin_is_written_to_although_the_status_cannot_be_written() {
    let pinned: [fn(&mut Device); 3] = [
        |device| seen(device, |it| it.id = Some("urn:uuid:1".into())),
        |device| seen(device, |it| it.certificate_sha256 = Some("c1".to_owned())),
        |device| device.spec.identity = Some("urn:uuid:1".to_owned()),
    ];
    for edit in pinned {
        let report = unwritten(edit).calm_pass(SignedDuration::ZERO);
        assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
    }
}

// shows D2 K4
#[test]
fn what_is_set_already_is_delivered_although_the_status_cannot_be_written() {
    let mut story = Story::new();
    story.calm_pass(SignedDuration::ZERO);
    story.edit_device(|device| device.status = None);
    story.snapshot.status_unwritten = Some(FAILURE.to_owned());
    let report = story.calm_pass(SignedDuration::from_secs(1));
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
}
