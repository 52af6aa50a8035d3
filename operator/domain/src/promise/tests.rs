//! The instants of a promise.

use entente_crds::v1alpha1::ServiceSubscriptionSpec;

use super::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).expect("the test's own hour")
}

fn revision(effective: i64, until: Option<i64>) -> Revision {
    Revision {
        effective: at(effective),
        until: until.map(at),
        ..Revision::default()
    }
}

// shows C10
#[test]
fn entries_that_follow_each_other_are_one_service_and_a_gap_ends_it() {
    let end = |first: Option<i64>, second: Option<i64>| {
        let mut one = ServiceSubscription::new("a.b.c", ServiceSubscriptionSpec::default());
        one.spec.revisions = vec![revision(1, first).into(), revision(5, second).into()];
        end_of_service(&one, &one.spec.revisions[0])
    };
    assert_eq!(end(Some(5), Some(8)), Some(at(8)), "joined");
    assert_eq!(end(Some(4), Some(8)), Some(at(4)), "a gap");
    assert_eq!(end(Some(5), None), None, "without an end");
}

// shows D4
#[test]
fn a_promise_is_kept_until_its_allowance_is_over() {
    let end = |allowed: &str| {
        let mut one = revision(1, None);
        one.service_level.allowed = allowed.into();
        deadline(&one)
    };
    assert_eq!(end("0s"), Ok(at(1)));
    assert_eq!(end("4h"), Ok(at(5)));
    assert_eq!(end(&"999999h".repeat(100)), Ok(Timestamp::MAX));
    assert!(end("soon").is_err());
}
