//! Tests of the entry in force, by dates alone.

use entente_crds::{
    digest::Digest,
    v1alpha1::{
        CurrentRevision, Revision, ServiceSubscription, ServiceSubscriptionSpec,
        ServiceSubscriptionStatus,
    },
};
use jiff::Timestamp;

use crate::delivery::{
    DeviceSnapshot,
    schedule::revision::{deciding_instant, is_in_force, wanted_revision},
};

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn subscription(entries: &[(i64, Option<i64>)]) -> ServiceSubscription {
    let revisions = entries.iter().map(|(from, until)| Revision {
        effective: hour(*from),
        until: until.map(hour),
        ..Revision::default()
    });
    let spec = ServiceSubscriptionSpec {
        revisions: revisions.map(Into::into).collect(),
        ..ServiceSubscriptionSpec::default()
    };
    ServiceSubscription::new("a.b.c", spec)
}

// shows B2
#[test]
fn an_entry_without_an_end_ends_where_the_next_one_begins() {
    let one = subscription(&[(1, None), (5, Some(8))]);
    let wanted = |now| wanted_revision(&one, hour(now)).map(|revision| revision.effective);
    let in_force = |now| is_in_force(&one, hour(now));
    assert_eq!((in_force(0), wanted(0)), (false, Some(hour(1))));
    assert_eq!((in_force(1), wanted(4)), (true, Some(hour(1))));
    assert_eq!((in_force(5), wanted(5)), (true, Some(hour(5))));
    assert_eq!((in_force(7), wanted(7)), (true, Some(hour(5))));
    assert_eq!((in_force(8), wanted(8)), (false, Some(hour(5))));
}

// shows K5
#[test]
fn what_has_begun_does_not_un_begin_and_nothing_begins_by_a_clock_that_cannot_be_trusted() {
    let mut one = subscription(&[(1, None), (5, None)]);
    let trusted = DeviceSnapshot::default();
    let skewed = DeviceSnapshot {
        clock_skew: Some(jiff::SignedDuration::from_hours(1)),
        ..DeviceSnapshot::default()
    };
    assert_eq!(deciding_instant(&trusted, &one, hour(6)), hour(6));
    assert!(deciding_instant(&skewed, &one, hour(6)) < hour(1));
    let revision = CurrentRevision {
        effective: hour(5),
        digest: Digest::default(),
    };
    let status = ServiceSubscriptionStatus {
        revision: Some(revision),
        ..ServiceSubscriptionStatus::default()
    };
    one.status = Some(status);
    assert_eq!(deciding_instant(&trusted, &one, hour(4)), hour(5));
    assert_eq!(deciding_instant(&trusted, &one, hour(6)), hour(6));
    assert_eq!(deciding_instant(&skewed, &one, hour(9)), hour(5));
}
