//! Tests of a device whose status could not be written, so that its machine may be pinned nowhere.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{Device, DeviceIdentity, DeviceStatus},
};
use jiff::SignedDuration;

use super::pass_fixture::{Story, said};
use crate::{condition::find, delivery::UnwrittenStatus};

const FAILURE: &str = "the API server refuses to write Device acme/lobby-mfp: no room";

/// Returns the story of a device of which a status could not be written, with this edit of it.
fn unwritten(edit: impl FnOnce(&mut Device)) -> Story {
    let mut story = Story::new();
    story.snapshot.unwritten = Some(UnwrittenStatus::new(FAILURE.to_owned(), None));
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
        story.snapshot.unwritten = None;
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
    story.snapshot.unwritten = Some(UnwrittenStatus::new(FAILURE.to_owned(), None));
    let report = story.calm_pass(SignedDuration::from_secs(1));
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
}

/// Returns the story of a machine that was written to and of whose device no status could be written,
/// with what is remembered of it.
fn written_to(identity: &str) -> Story {
    let mut story = Story::new();
    story.remote.reading.identity = Some(identity.to_owned());
    story.calm_pass(SignedDuration::ZERO);
    let mut decided = None;
    story.edit_device(|device| decided = device.status.take());
    story.snapshot.unwritten = Some(UnwrittenStatus::new(FAILURE.to_owned(), decided));
    story
}

fn pinned(story: &Story) -> Option<String> {
    let device = story.snapshot.device.as_ref()?;
    let identity = device.status.as_ref()?.identity.as_ref()?;
    identity.id.as_ref().map(ToString::to_string)
}

// shows K4
#[test]
fn another_machine_than_the_one_that_is_remembered_is_another_one_and_is_never_pinned() {
    let mut story = written_to("urn:uuid:1");
    story.remote.reading.identity = Some("urn:uuid:2".to_owned());
    for after in [1, 2] {
        let report = story.calm_pass(SignedDuration::from_secs(after));
        let ready = said(&report, ConditionType::Ready);
        assert_eq!(ready, "False(IdentityMismatch)", "pass {after}");
        assert_eq!(pinned(&story).as_deref(), Some("urn:uuid:1"));
        assert_eq!(story.remote.count("WriteDevice"), 0);
        // The status is written now.
        story.snapshot.unwritten = None;
    }
    story.remote.reading.identity = Some("urn:uuid:1".to_owned());
    let report = story.calm_pass(SignedDuration::from_secs(3));
    assert_eq!(said(&report, ConditionType::Ready), "True(Delivered)");
}

// shows K1 K4
#[test]
fn a_device_that_means_another_machine_by_now_is_not_held_to_the_one_that_is_remembered() {
    let edits: [fn(&mut Device); 2] = [
        |device| device.spec.serial_number.push('9'),
        |device| device.spec.identity = Some("urn:uuid:2".to_owned()),
    ];
    for edit in edits {
        let mut story = written_to("urn:uuid:1");
        story.remote.reading.identity = Some("urn:uuid:2".to_owned());
        story.edit_device(edit);
        let report = story.calm_pass(SignedDuration::from_secs(1));
        let ready = said(&report, ConditionType::Ready);
        assert_eq!(ready, "True(Delivered)", "nothing differs");
        assert_eq!(pinned(&story).as_deref(), Some("urn:uuid:2"));
    }
}
