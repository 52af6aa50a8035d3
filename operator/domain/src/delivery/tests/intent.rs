//! Tests of the treatment of a subscription: by its dates, its deletion and what is suspended.

use std::sync::Arc;

use entente_crds::v1alpha1::{
    CurrentRevision, DeletionPolicy, Device, DeviceSpec, Revision, ServerInstance,
    ServiceSubscription, ServiceSubscriptionSpec, ServiceSubscriptionStatus,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use crate::delivery::{
    DeviceSnapshot, Intent,
    schedule::intent::{has_begun, intent, next_date, next_instant},
};

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).expect("a test's own hour")
}

/// Entries from an hour until another one, all promised, prepared two hours before.
fn subscription(entries: &[(i64, Option<i64>)]) -> ServiceSubscription {
    let revisions = entries.iter().map(|(from, until)| Revision {
        effective: hour(*from),
        until: until.map(hour),
        promised: true,
        ..Revision::default()
    });
    let spec = ServiceSubscriptionSpec {
        lead_time: "2h".into(),
        revisions: revisions.map(Arc::new).collect(),
        ..ServiceSubscriptionSpec::default()
    };
    ServiceSubscription::new("a.b.c", spec)
}

/// A subscription of which something was set up, from this hour on.
fn set_up(mut subscription: ServiceSubscription, from: i64) -> ServiceSubscription {
    subscription.status = Some(ServiceSubscriptionStatus {
        revision: Some(CurrentRevision {
            effective: hour(from),
            digest: entente_crds::digest::Digest::default(),
        }),
        server: Some(ServerInstance::default()),
        ..ServiceSubscriptionStatus::default()
    });
    subscription
}

fn at(subscription: &ServiceSubscription, now: i64) -> Intent {
    let begun = has_begun(subscription, hour(now));
    intent(&DeviceSnapshot::default(), subscription, begun, hour(now))
}

fn withdraw(since: i64, deleting: bool) -> Intent {
    Intent::Withdraw {
        since: hour(since),
        deleting,
    }
}

// shows B2
#[test]
fn a_service_is_scheduled_then_set_up_then_withdrawn_from_its_end_on() {
    let one = subscription(&[(10, Some(20))]);
    let scheduled = Intent::Scheduled {
        effective: hour(10),
        early_from: Some(hour(8)),
    };
    for (now, wanted) in [
        (0, scheduled.clone()),
        (9, scheduled),
        (10, Intent::SetUp),
        (19, Intent::SetUp),
        (20, withdraw(20, false)),
        (99, withdraw(20, false)),
    ] {
        assert_eq!(at(&one, now), wanted, "at {now}");
    }
}

// shows B2
#[test]
fn what_was_not_promised_prepares_nothing() {
    let mut one = subscription(&[(10, None)]);
    Arc::make_mut(&mut one.spec.revisions[0]).promised = false;
    let scheduled = Intent::Scheduled {
        effective: hour(10),
        early_from: None,
    };
    assert_eq!(at(&one, 9), scheduled);
}

// shows B2
#[test]
fn between_two_entries_what_stands_is_withdrawn_and_what_never_stood_waits() {
    let gap = subscription(&[(10, Some(20)), (30, None)]);
    let waits = Intent::Scheduled {
        effective: hour(30),
        early_from: Some(hour(28)),
    };
    assert_eq!(at(&gap, 25), waits);
    let stands = set_up(gap.clone(), 10);
    assert_eq!(at(&stands, 25), withdraw(20, false));
    assert_eq!(at(&stands, 30), Intent::SetUp);
    let mut removed = stands;
    removed.status.as_mut().expect("a status").server = None;
    assert_eq!(at(&removed, 25), waits);
}

// shows B2
#[test]
fn entries_that_follow_without_a_gap_are_never_withdrawn_in_between() {
    let one = set_up(subscription(&[(10, Some(20)), (20, Some(30))]), 10);
    for now in 10..30 {
        assert_eq!(at(&one, now), Intent::SetUp, "at {now}");
    }
    assert_eq!(at(&one, 30), withdraw(30, false));
}

// shows C10
#[test]
fn a_deletion_withdraws_what_began_and_detaches_what_did_not_or_is_to_be_kept() {
    for (policy, now, wanted) in [
        (DeletionPolicy::default(), 5, Intent::Detach),
        // Its preparation has begun, so that something may stand already.
        (DeletionPolicy::default(), 8, withdraw(4, true)),
        (DeletionPolicy::default(), 15, withdraw(4, true)),
        (DeletionPolicy::default(), 25, withdraw(4, true)),
        (DeletionPolicy::Keep, 5, Intent::Detach),
        (DeletionPolicy::Keep, 15, Intent::Detach),
    ] {
        let mut one = subscription(&[(10, Some(20))]);
        one.spec.contract.deletion_policy = policy;
        one.metadata.deletion_timestamp = Some(Time(hour(4)));
        assert_eq!(at(&one, now), wanted, "{policy:?} at {now}");
    }
}

// shows B2
#[test]
fn what_is_suspended_is_left_alone_until_it_ends_or_is_deleted() {
    let mut device = Device::new("lobby", DeviceSpec::default());
    device.spec.suspend = true;
    let of_the_device = DeviceSnapshot {
        device: Some(Arc::new(device)),
        ..DeviceSnapshot::default()
    };
    let mut of_the_contract = subscription(&[(10, Some(20))]);
    of_the_contract.spec.contract.suspend = true;
    let plain = subscription(&[(10, Some(20))]);
    let nothing = DeviceSnapshot::default();
    for (snapshot, mut one) in [(&nothing, of_the_contract), (&of_the_device, plain)] {
        for (now, wanted) in [
            (9, Intent::Suspended),
            (10, Intent::Suspended),
            (19, Intent::Suspended),
            (20, withdraw(20, false)),
        ] {
            let begun = has_begun(&one, hour(now));
            assert_eq!(intent(snapshot, &one, begun, hour(now)), wanted, "at {now}");
        }
        one.metadata.deletion_timestamp = Some(Time(hour(12)));
        let deleted = intent(snapshot, &one, true, hour(13));
        assert_eq!(deleted, withdraw(12, true));
    }
}

#[test]
fn a_lead_time_that_is_no_duration_prepares_nothing_before_the_entry_begins() {
    let mut one = subscription(&[(10, None)]);
    one.spec.lead_time = "soon".into();
    assert!(!has_begun(&one, hour(9)));
    assert!(has_begun(&one, hour(10)));
    assert_eq!(next_instant(&one, hour(0)), Some(hour(10)));
}

// shows K7
#[test]
fn the_next_date_is_when_it_changes_or_when_its_promise_is_missed() {
    let one = subscription(&[(10, Some(20))]);
    let allowed = one.spec.revisions[0]
        .service_level
        .allowed
        .length()
        .unwrap();
    let missed = hour(10) + allowed + SignedDuration::from_millis(1);
    assert_eq!(next_date(&one, hour(9)), Some(hour(10)));
    assert_eq!(next_date(&one, hour(10)), Some(missed).min(Some(hour(20))));
    assert_eq!(next_date(&one, hour(20)), None);
}

proptest! {
    /// Between two instants that are told nothing changes by time alone: a key that sleeps until the
    /// next one misses nothing.
    #[test]
    fn an_intent_changes_at_the_instants_that_are_told_and_at_no_other(
        first in 3_i64..20, length in 1_i64..9, gap in 0_i64..9, ends in any::<bool>(),
        stands in any::<bool>(), now in 0_i64..60,
    ) {
        let second = first + length + gap;
        let end = ends.then_some(second + 5);
        let mut one = subscription(&[(first, Some(first + length)), (second, end)]);
        // What stands was begun: nothing is decided at an instant before that.
        let now = if stands { now.max(first) } else { now };
        if stands {
            one = set_up(one, first);
        }
        let next = next_instant(&one, hour(now));
        prop_assert!(next.is_none_or(|next| next > hour(now)));
        let until = next.map_or(now + 20, |next| next.as_second() / 3600);
        for later in now..until {
            prop_assert_eq!(at(&one, later), at(&one, now), "{} {}", now, later);
            prop_assert_eq!(has_begun(&one, hour(later)), has_begun(&one, hour(now)));
        }
    }
}

// shows C10 K5
#[test]
fn what_the_garbage_collector_deletes_while_its_contract_comes_back_is_let_go() {
    let mut one = set_up(subscription(&[(10, None)]), 10);
    one.spec.contract.name = "bank".to_owned();
    one.spec.contract.uid = "old".to_owned();
    one.metadata.deletion_timestamp = Some(Time(hour(20)));
    let lives = |uid: &str, name: &str| DeviceSnapshot {
        live_contracts: [uid.to_owned()].into(),
        live_contract_names: [name.to_owned()].into(),
        ..DeviceSnapshot::default()
    };
    let is_ending = DeviceSnapshot {
        deleted_contracts: [("old".to_owned(), hour(20))].into(),
        ..lives("new", "bank")
    };
    let cases = [
        (lives("new", "bank"), Intent::Detach),
        (lives("old", "bank"), withdraw(20, true)),
        (lives("new", "shop"), withdraw(20, true)),
        (is_ending, withdraw(20, true)),
        (DeviceSnapshot::default(), withdraw(20, true)),
    ];
    for (snapshot, wanted) in cases {
        assert_eq!(intent(&snapshot, &one, true, hour(20)), wanted);
    }
}
