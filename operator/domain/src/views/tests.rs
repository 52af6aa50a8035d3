//! Edges of the views: what counts twice, what counts not at all, and how times are written. Whole answers
//! are in the tests of the plugin's renderers.

use entente_crds::example::{banco_sul_2027, compensation, service_subscription};
use entente_crds::v1alpha1::{Cause, Compensation, Contract, ServiceSubscription, Voided};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{LatenessFilter, Moment, OwedFilter, age, late_devices, owed, starts};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn with_status<K: Serialize + DeserializeOwned>(object: &K, status: Value) -> K {
    let mut value = serde_json::to_value(object).expect("it is JSON");
    value["status"] = status;
    serde_json::from_value(value).expect("its fields are right")
}

/// A subscription with one promise of that state, and ten minutes of delay that ended.
fn promised(state: &str) -> ServiceSubscription {
    let mut found = service_subscription();
    found.metadata.uid = Some(compensation().spec.record.subscription.uid);
    let delays = json!([{"from": "2027-04-01T03:00:00Z", "until": "2027-04-01T03:10:00Z",
                         "cause": "Device", "reason": "Unreachable"}]);
    let promise = json!({"effective": "2027-04-01T03:00:00Z", "state": state, "delays": delays});
    with_status(&found, json!({"promises": [promise]}))
}

/// The record of that promise, which says eleven minutes.
fn record(amount: &str) -> Compensation {
    let causes = json!([{"cause": "Device", "reason": "Unreachable", "counted": "11m"}]);
    let lateness = json!({"from": "2027-04-01T03:00:00Z", "counted": "11m", "causes": causes});
    let amount = json!({"currency": "BRL", "value": amount});
    with_status(
        &compensation(),
        json!({"lateness": lateness, "amount": amount}),
    )
}

// shows D3 D4
#[test]
fn a_delay_counts_once_whether_its_subscription_is_there_or_gone() {
    let now = at("2027-04-02T00:00:00Z");
    let late = |subscriptions: &[ServiceSubscription], records: &[Compensation], filter| {
        let found = late_devices(subscriptions, records, &filter, now);
        let lines = found.into_iter().map(|it| (it.late, it.promises, it.lasts));
        lines.collect::<Vec<_>>()
    };
    let all = LatenessFilter::default;
    let once = |text: &str| vec![(text.to_owned(), 1, false)];
    let (missed, debt) = ([promised("Missed")], [record("0.63")]);
    assert_eq!(late(&missed, &debt, all()), once("10m"));
    assert_eq!(late(&[], &debt, all()), once("11m"), "it is gone");
    let mut voided = debt.clone();
    voided[0].spec.voided = Some(Voided::default());
    assert_eq!(
        late(&[], &voided, all()),
        [],
        "a voided record says nothing"
    );
    let both = [voided[0].clone(), debt[0].clone()];
    assert_eq!(late(&[], &both, all()), once("11m"), "it was issued again");
    for state in ["Kept", "Open", "Closed"] {
        assert_eq!(
            late(&[promised(state)], &[], all()),
            [],
            "{state} is not missed"
        );
    }
    let of_server = LatenessFilter {
        cause: Some(Cause::Server),
        ..all()
    };
    assert_eq!(late(&missed, &debt, of_server), []);
    let since = LatenessFilter {
        since: Some(at("2027-04-01T03:00:01Z")),
        ..all()
    };
    assert_eq!(late(&missed, &debt, since), []);
}

#[test]
fn a_delay_that_lasts_counts_until_now() {
    let mut found = promised("Missed");
    let status = found.status.as_mut().expect("it has a status");
    status.promises[0].delays[0].until = None;
    let now = at("2027-04-01T05:00:00Z");
    let late = late_devices(&[found], &[], &LatenessFilter::default(), now);
    assert_eq!((&*late[0].late, late[0].lasts), ("2h", true));
}

// shows D8
#[test]
fn a_sum_is_never_rounded_and_leaves_out_what_is_no_amount() {
    let now = at("2027-04-02T00:00:00Z");
    let sum = |amounts: &[&str]| {
        let records: Vec<Compensation> = amounts.iter().map(|it| record(it)).collect();
        let view = owed(&records, &OwedFilter::default(), now);
        let totals = view
            .totals
            .into_iter()
            .map(|it| it.value)
            .collect::<Vec<_>>();
        (totals, view.unreadable.len())
    };
    assert_eq!(sum(&["0.1", "0.2"]), (vec!["0.30".to_owned()], 0));
    assert_eq!(sum(&["0.105", "0.1"]), (vec!["0.205".to_owned()], 0));
    assert_eq!(sum(&["1", "-1", "much"]), (vec!["1.00".to_owned()], 2));
    assert_eq!(sum(&["much"]), (Vec::new(), 1));
}

// shows B2
#[test]
fn a_start_is_soon_from_the_next_instant_to_the_end_of_the_time() {
    let contract = |start: &str| -> Contract {
        with_status(&banco_sul_2027(), json!({"term": {"start": start}}))
    };
    let now = at("2027-04-01T00:00:00Z");
    let soon = |contract: &Contract| {
        let found = starts(
            std::slice::from_ref(contract),
            SignedDuration::from_hours(24),
            now,
        );
        !found.is_empty()
    };
    for (start, expected) in [
        ("2027-04-01T00:00:00Z", false),
        ("2027-04-01T00:00:00.001Z", true),
        ("2027-04-02T00:00:00Z", true),
        ("2027-04-02T00:00:00.001Z", false),
    ] {
        assert_eq!(soon(&contract(start)), expected, "{start}");
    }
    let mut going = contract("2027-04-01T12:00:00Z");
    going.metadata.deletion_timestamp = Some(Time(now));
    assert!(!soon(&going), "one that is deleted does not start");
    assert!(!soon(&banco_sul_2027()), "nobody has accepted it yet");
}

#[test]
fn times_are_written_as_people_read_them() {
    for (seconds, text) in [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7_199, "119m"),
        (7_200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
    ] {
        assert_eq!(age(SignedDuration::from_secs(seconds)), text, "{seconds}");
    }
    let zone = crate::time::zone("America/Sao_Paulo").unwrap_or(TimeZone::UTC);
    let now = at("2027-04-01T00:00:00Z");
    for (instant, local, relative) in [
        ("2027-04-01T03:00:00Z", "2027-04-01", "in 3h"),
        ("2027-03-31T17:30:00Z", "2027-03-31 14:30 -03", "6h ago"),
        ("2027-04-01T00:00:00Z", "2027-03-31 21:00 -03", "0s ago"),
    ] {
        let moment = Moment::new(at(instant), &zone, now);
        assert_eq!((&*moment.local, &*moment.relative), (local, relative));
    }
}
