//! Passes over a device that has notified us, and the devices that may be listened to.

use std::{collections::BTreeSet, sync::Arc};

use entente_crds::{condition::Reason, v1alpha1::Protocol};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    errors::{minutes, story},
    pass_fixture::{Story, now},
};
use crate::{
    delivery::{Blocked, Claimant, Pass, model::backoffs::BackoffKey},
    listening::Listened,
    remote::PrinterEvent,
};

const CONNECTION: &str = "hq-ipp";

/// Returns a device that was just asked for its status: the next report is due in an hour.
fn asked() -> Story {
    let mut story = story();
    hold(&mut story, BackoffKey::status(&CONNECTION.into()));
    story
}

/// Holds requests of a key back for an hour.
fn hold(story: &mut Story, key: BackoffKey) {
    let why = Blocked::new(Reason::Waiting, "a test".to_owned());
    story.backoffs.wait_to_look(key, why, now() + minutes(60));
}

fn notifies(story: &mut Story, event: PrinterEvent) {
    let events = BTreeSet::from([event]);
    story.snapshot.notified = [(CONNECTION.into(), events)].into();
}

/// Returns the number of requests of a pass for the status of the device, and for its settings.
fn looks(story: &mut Story) -> (usize, usize) {
    story.calm_pass(minutes(1));
    let remote = &story.remote;
    (remote.count("ReadStatus"), remote.count("ReadDevice"))
}

// shows A1
#[test]
fn a_device_that_has_notified_us_is_asked_before_its_next_report_is_due() {
    assert_eq!(looks(&mut asked()), (0, 0));
    for (event, expected) in [
        (PrinterEvent::StateChanged, (1, 0)),
        (PrinterEvent::ConfigChanged, (1, 1)),
    ] {
        let mut story = asked();
        notifies(&mut story, event);
        assert_eq!(looks(&mut story), expected, "{event:?}");
    }
}

// shows A1
#[test]
fn a_notification_shortens_no_wait_after_a_failure() {
    for event in PrinterEvent::ALL {
        let mut story = asked();
        hold(&mut story, BackoffKey::device(&CONNECTION.into()));
        notifies(&mut story, event);
        assert_eq!(looks(&mut story), (0, 0), "{event:?}");
    }
}

fn listened(story: &Story) -> Option<Listened> {
    let pass = Pass::new(story.snapshot.clone(), story.backoffs.clone(), now());
    pass.listened(now())
}

// shows A1
#[test]
fn a_device_is_listened_to_where_it_is_asked_for_its_status_by_ipp() {
    let expected = Listened {
        connection: CONNECTION.into(),
        period: SignedDuration::from_mins(5),
    };
    assert_eq!(listened(&asked()), Some(expected));

    let mut suspended = asked();
    suspended.edit_device(|device| device.spec.suspend = true);
    let mut deleted = asked();
    deleted.edit_device(|device| {
        device.metadata.deletion_timestamp = Some(Time(now()));
    });
    let mut without_errors = asked();
    let model = without_errors.snapshot.model.as_mut().expect("a model");
    Arc::make_mut(model).spec.errors.clear();
    let mut failing = asked();
    hold(&mut failing, BackoffKey::device(&CONNECTION.into()));
    let mut unseen = asked();
    unseen.edit_device(|device| device.status = None);
    let mut taken = asked();
    let claimant = Claimant::AnotherNamespace;
    taken.snapshot.claimed_by_another = [(CONNECTION.into(), claimant)].into();
    let mut by_snmp = asked();
    let connections = by_snmp.snapshot.connections.values_mut();
    for connection in connections {
        Arc::make_mut(connection).spec.protocol = Protocol::SNMP;
    }
    for (story, why) in [
        (suspended, "it is suspended"),
        (deleted, "it is being deleted"),
        (without_errors, "its model has no errors"),
        (failing, "it does not answer"),
        (unseen, "nobody knows whose machine it is"),
        (taken, "the machine is another Device's"),
        (by_snmp, "it is asked by SNMP"),
    ] {
        assert_eq!(listened(&story), None, "{why}");
    }
}
