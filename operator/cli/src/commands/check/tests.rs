//! Rights, clocks and Leases, without a cluster.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use super::{RIGHTS, State, clock, holder};

#[test]
fn the_right_to_ask_for_a_reconcile_is_checked_for_each_kind_that_takes_it() {
    let checked = RIGHTS.iter().filter(|right| right.verb == "patch");
    let checked: Vec<_> = checked
        .map(|right| (right.resource, right.cluster, right.commands))
        .collect();
    let expected = [
        ("contracts", false),
        ("devices", false),
        ("connections", true),
    ]
    .map(|(resource, cluster)| (resource, cluster, "reconcile"));
    assert_eq!(checked, expected);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

/// The date of an answer is cut to the second: one that is up to a second older than the request says
/// nothing about the clock.
#[test]
fn a_clock_is_judged_by_more_than_the_rounding_of_a_date() {
    for (date, sent, received, state, words) in [
        (100, 100, 100, State::Well, "agrees"),
        (100, 101, 101, State::Well, "agrees"),
        (100, 99, 101, State::Well, "agrees"),
        (100, 104, 104, State::Well, "4s ahead of"),
        (100, 96, 97, State::Well, "4s behind"),
        (
            100,
            107,
            107,
            State::Bad,
            "7s ahead of the API server: times",
        ),
        (100, 40, 41, State::Bad, "60s behind the API server: times"),
    ] {
        let found = clock(at(date), at(sent), at(received));
        assert_eq!(found.state, state, "{found:?}");
        assert!(found.message.contains(words), "{found:?}");
    }
}

#[test]
fn a_lease_counts_until_its_duration_has_passed() {
    let lease = |spec: serde_json::Value| -> Lease {
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a Lease")
    };
    let now: Timestamp = "2027-04-01T03:00:30Z".parse().expect("an instant");
    let renewed = |at: &str| {
        lease(json!({"holderIdentity": "entente-0", "leaseDurationSeconds": 15, "renewTime": at}))
    };
    let found = holder(&renewed("2027-04-01T03:00:20.000000Z"), now);
    assert_eq!(
        (found.state, &*found.message),
        (State::Well, "entente-0 leads, renewed 10s ago")
    );
    assert_eq!(
        holder(&renewed("2027-04-01T03:00:10.000000Z"), now).state,
        State::Bad
    );
    let released = lease(json!({"holderIdentity": ""}));
    assert_eq!(holder(&released, now).state, State::Bad);
}
