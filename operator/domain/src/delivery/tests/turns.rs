//! Tests of the switch of a change of provider: odd cases in which others were bitten by a holder that
//! is written in a status.

use std::sync::Arc;

use entente_crds::v1alpha1::{
    Device, DeviceStatus, ExclusiveHold, FormerHold, LeavingInstance, ServerInstance,
    ServiceSubscriptionStatus,
};
use jiff::{SignedDuration, Timestamp};

use super::pass_fixture::{now, snapshot, subscription};
use crate::delivery::{
    DeviceSnapshot,
    report::exclusive::switch,
    resolve::turns::{has_moved, set_aside_at},
};
use crate::names::SubscriptionName;

const GROUP: &str = "backups";
const OWN: &str = "banco-sul-2027.backup.lobby-mfp";
const OTHER: &str = "other.backup.lobby-mfp";

fn at(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn held(holder: &str, minutes: i64) -> ExclusiveHold {
    ExclusiveHold {
        group: GROUP.to_owned(),
        holder: holder.to_owned(),
        since: at(minutes),
        ..ExclusiveHold::default()
    }
}

/// Returns the entry that a switch writes at a minute: it counts ten seconds later.
fn switched(holder: &str, minutes: i64) -> ExclusiveHold {
    ExclusiveHold {
        since: at(minutes) + SignedDuration::from_secs(10),
        ..held(holder, minutes)
    }
}

fn with_hold(device: &Device, hold: Option<ExclusiveHold>) -> Device {
    let status = DeviceStatus {
        exclusive: hold.into_iter().collect(),
        ..device.status.clone().unwrap_or_default()
    };
    Device {
        status: Some(status),
        ..device.clone()
    }
}

fn leaving(minutes: i64) -> LeavingInstance {
    LeavingInstance {
        group: GROUP.to_owned(),
        since: at(minutes),
        effective: at(-60),
        ended: None,
        server: ServerInstance::default(),
    }
}

/// Returns a world whose subscription leaves an instance since minute 0.
fn world(hold: Option<ExclusiveHold>) -> DeviceSnapshot {
    let mut world = snapshot();
    let mut object = subscription();
    object.status = Some(ServiceSubscriptionStatus {
        leaving: Some(Box::new(leaving(0))),
        ..ServiceSubscriptionStatus::default()
    });
    world.subscriptions = vec![Arc::new(object)];
    let device = world.device.as_deref().expect("there is a device");
    world.device = Some(with_hold(device, hold).into());
    world
}

// shows C11 K5
#[test]
fn a_switch_is_written_over_the_holder_that_was_decided_on_and_over_no_other() {
    let name = SubscriptionName::from(OWN);
    for (what, decided, found, minute, expected) in [
        ("the first holder", None, None, 5, Some(switched(OWN, 5))),
        (
            "over its own former hold",
            Some(held(OWN, -30)),
            Some(held(OWN, -30)),
            5,
            Some(switched(OWN, 5)),
        ),
        (
            "over another subscription",
            Some(held(OTHER, -30)),
            Some(held(OTHER, -30)),
            5,
            Some(switched(OWN, 5)),
        ),
        (
            "another one came in between",
            Some(held(OWN, -30)),
            Some(held(OTHER, 4)),
            5,
            Some(held(OTHER, 4)),
        ),
        (
            "the holder was lost in between",
            Some(held(OWN, -30)),
            None,
            5,
            None,
        ),
        (
            "the answer to the same switch was lost",
            Some(held(OWN, -30)),
            Some(held(OWN, 4)),
            5,
            Some(held(OWN, 4)),
        ),
        (
            "the clock is behind the instant at which the old one was set aside",
            Some(held(OWN, -30)),
            Some(held(OWN, -30)),
            -5,
            Some(held(OWN, 0)),
        ),
    ] {
        let world = world(decided);
        let device = world.device.as_deref().expect("there is a device");
        let written = switch(
            &world,
            &with_hold(device, found),
            (GROUP, &name),
            at(minute),
        );
        let who = |hold: &ExclusiveHold| (hold.holder.clone(), hold.since);
        let written: Vec<_> = written.exclusive.iter().map(who).collect();
        let expected: Vec<_> = expected.iter().map(who).collect();
        assert_eq!(written, expected, "{what}");
    }
}

// shows C11 C16
#[test]
fn a_switch_keeps_who_acted_before_with_the_service_and_the_dates_of_each() {
    let name = SubscriptionName::from(OWN);
    let former = |service: &str, from: i64, until: i64| FormerHold {
        holder: OWN.to_owned(),
        service: service.to_owned(),
        since: at(from),
        until: at(until),
    };
    let earlier: Vec<FormerHold> = (0..4)
        .map(|number| former("earlier", -60 - number, -59 - number))
        .collect();
    for (what, service, earlier, expected) in [
        ("the first change", Some("first"), &[][..], "first"),
        (
            "as many as there may be",
            Some("fifth"),
            &earlier[..],
            "fifth",
        ),
        (
            "an entry of an operator before this one",
            None,
            &[],
            "data-backup",
        ),
    ] {
        let hold = ExclusiveHold {
            service: service.map(str::to_owned),
            before: earlier.to_vec(),
            ..held(OWN, -30)
        };
        let world = world(Some(hold.clone()));
        let device = world.device.as_deref().expect("there is a device");
        let device = with_hold(device, Some(hold));
        let written = switch(&world, &device, (GROUP, &name), at(5));
        let [hold] = &written.exclusive[..] else {
            panic!("{what}: {:?}", written.exclusive);
        };
        assert_eq!(hold.service.as_deref(), Some("data-backup"), "{what}");
        let kept = earlier.iter().take(3).cloned();
        let first = FormerHold {
            until: at(5) + SignedDuration::from_secs(10),
            ..former(expected, -30, 5)
        };
        let all: Vec<FormerHold> = std::iter::once(first).chain(kept).collect();
        assert_eq!(hold.before, all, "{what}");
    }
}

// shows C11 K5
#[test]
fn whose_turn_it_is_follows_from_the_holder_and_its_instant_alone() {
    let name = SubscriptionName::from(OWN);
    for (what, hold, ended, expected) in [
        (
            "nobody holds the group: the old one serves",
            None,
            None,
            false,
        ),
        ("held from before", Some(held(OWN, -30)), None, false),
        ("held by another one", Some(held(OTHER, 5)), None, false),
        (
            "held since it was set aside",
            Some(held(OWN, 0)),
            None,
            true,
        ),
        ("held since later", Some(held(OWN, 5)), None, true),
        (
            "its removal has begun, and the Device was made anew",
            None,
            Some(at(6)),
            true,
        ),
    ] {
        let left = LeavingInstance {
            ended,
            ..leaving(0)
        };
        assert_eq!(has_moved(&world(hold), &name, &left), expected, "{what}");
    }
}

// shows C11 K5
#[test]
fn an_instance_is_set_aside_after_every_switch_so_far_whatever_the_clock_says() {
    for (what, hold, expected) in [
        ("nobody", None, at(0)),
        ("before", Some(held(OWN, -30)), at(0)),
        (
            "the clock stepped back",
            Some(held(OWN, 30)),
            at(30) + SignedDuration::from_millis(1),
        ),
    ] {
        assert_eq!(set_aside_at(&world(hold), GROUP, at(0)), expected, "{what}");
    }
}
