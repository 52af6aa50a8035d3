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

// shows K5
#[test]
fn an_entry_of_no_length_or_less_leads_to_no_endless_search() {
    let hours = || (1..4).flat_map(|hour| [None, Some(1), Some(2), Some(3)].map(|end| (hour, end)));
    for (one, other) in hours().flat_map(|one| hours().map(move |other| (one, other))) {
        let mut found = ServiceSubscription::new("a.b.c", ServiceSubscriptionSpec::default());
        found.spec.revisions = vec![
            revision(one.0, one.1).into(),
            revision(other.0, other.1).into(),
        ];
        for entry in &found.spec.revisions {
            let end = end_of_service(&found, entry);
            let ends = [one.1, other.1, Some(one.0), Some(other.0)];
            let is_one = end.is_none_or(|end| ends.into_iter().flatten().any(|it| at(it) == end));
            assert!(is_one, "{one:?} {other:?} {end:?}");
        }
    }
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
