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

use super::{
    BoardFilter, BoardObjects, LatenessFilter, Moment, OwedFilter, age, board, late_devices,
    late_services, owed, starts,
};

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
}

// shows B2
#[test]
fn a_start_that_nobody_has_accepted_and_one_that_is_suspended_are_at_risk() {
    let now = at("2027-04-01T00:00:00Z");
    let found = |contract: &Contract| {
        let mut rows = starts([contract], SignedDuration::from_hours(24), now);
        rows.pop().map(|row| (row.at_risk, row.reason))
    };
    let says = |status: &str, reason: &str| {
        json!({"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": "m",
               "lastTransitionTime": "2027-03-01T00:00:00Z"}]})
    };
    let risk = |reason: &str| Some((true, reason.to_owned()));
    assert_eq!(
        found(&banco_sul_2027()),
        risk("Pending"),
        "nobody has seen it"
    );
    let refused = with_status(&banco_sul_2027(), says("False", "UnsupportedValue"));
    assert_eq!(found(&refused), risk("UnsupportedValue"));
    let mut accepted = with_status(&banco_sul_2027(), says("True", "Scheduled"));
    assert_eq!(found(&accepted), Some((false, "Scheduled".to_owned())));
    accepted.spec.suspend = true;
    let suspended = with_status(&accepted, says("True", "Suspended"));
    assert_eq!(found(&suspended), risk("Suspended"));
    let mut odd = banco_sul_2027();
    odd.spec.term.time_zone = "Mars/Olympus".to_owned();
    assert_eq!(found(&odd), None, "no start can be read from it");
}

/// A subscription whose promise of the first of April is in that state, with these fields more, on a
/// device.
fn promise_on(device: &str, state: &str, more: &Value) -> ServiceSubscription {
    let mut found = promised(state);
    found.spec.device_ref.name = device.to_owned();
    let mut status = serde_json::to_value(&found.status).expect("it is JSON");
    let promise = status["promises"][0].as_object_mut().expect("a promise");
    let more = more.as_object().expect("fields");
    promise.extend(
        more.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let items = json!([{"key": "DeviceSetting/backup.url", "state": "Pending", "problem": {
        "outcome": "Unreachable", "message": "the connection was refused",
        "since": "2027-04-01T03:00:00Z"}}]);
    status["items"] = items;
    with_status(&found, status)
}

// shows D1 D3
#[test]
fn a_service_is_late_from_its_promised_instant_until_it_is_complete_or_over() {
    let lasts = json!({"delays": [{"from": "2027-04-01T03:00:00Z", "cause": "Device",
                                   "reason": "Unreachable"}]});
    let with = |name: &str, at: &str| {
        let mut fields = lasts.clone();
        fields[name] = json!(at);
        fields
    };
    let (before, begun) = ("2027-04-01T02:59:59Z", "2027-04-01T03:00:00Z");
    let later = "2027-04-01T09:00:00Z";
    for (state, fields, now, expected) in [
        ("Open", &lasts, before, None),
        ("Open", &lasts, begun, Some((0, 1))),
        ("Missed", &lasts, later, Some((1, 0))),
        (
            "Missed",
            &with("completed", "2027-04-01T08:00:00Z"),
            later,
            None,
        ),
        (
            "Missed",
            &with("closed", "2027-04-01T08:00:00Z"),
            later,
            None,
        ),
        (
            "Missed",
            &with("closed", "2027-04-02T00:00:00Z"),
            later,
            Some((1, 0)),
        ),
        ("Kept", &lasts, later, None),
        ("Closed", &lasts, later, None),
    ] {
        let found = late_services([&promise_on("lobby-mfp", state, fields)], at(now));
        let found: Vec<_> = found.iter().map(|it| (it.missed, it.due)).collect();
        assert_eq!(found, Vec::from_iter(expected), "{state} {fields} at {now}");
    }
    let mut going = promise_on("lobby-mfp", "Missed", &lasts);
    going.metadata.deletion_timestamp = Some(Time(at(later)));
    assert_eq!(late_services([&going], at(later)), [], "it goes");
}

// shows D1 D3
#[test]
fn late_devices_of_one_entry_are_told_together_by_their_reason() {
    let lasts = |cause: &str| json!({"delays": [{"from": "2027-04-01T03:00:00Z", "cause": cause, "reason": "Unreachable"}]});
    let subscriptions = [
        promise_on("c-mfp", "Missed", &lasts("Device")),
        promise_on("a-mfp", "Open", &lasts("Device")),
        promise_on("b-mfp", "Missed", &lasts("Server")),
    ];
    let found = late_services(&subscriptions, at("2027-04-01T09:00:00Z"));
    let [late] = &found[..] else {
        panic!("one entry: {found:#?}")
    };
    assert_eq!((late.missed, late.due, &*late.late), (2, 1, "6h"));
    let told = late
        .reasons
        .iter()
        .map(|it| (it.cause, it.devices.join(" ")));
    let expected = [(Cause::Device, "a-mfp c-mfp"), (Cause::Server, "b-mfp")];
    let expected = expected.map(|(cause, devices)| (Some(cause), devices.to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let first = &late.reasons[0];
    assert_eq!(
        (&*first.reason, &*first.message),
        ("Unreachable", "the connection was refused")
    );
    assert!(
        first
            .next_step
            .is_some_and(|step| step.contains("switched on"))
    );
}

// shows B2 D8
#[test]
fn a_board_answers_for_the_namespace_and_the_customer_that_are_asked() {
    let debt = record("0.63");
    let (customer, namespace) = (&debt.spec.record.customer.id, &debt.metadata.namespace);
    let objects = BoardObjects {
        contracts: vec![Box::new(banco_sul_2027())],
        subscriptions: vec![Box::new(promised("Missed"))],
        compensations: vec![Box::new(debt.clone())],
    };
    let asks = |namespace: &Option<String>, customer: Option<&str>| {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let filter = BoardFilter {
            namespace: namespace.clone(),
            customer: customer.map(str::to_owned),
            within: days(7),
            back: days(90),
        };
        board(&objects, &filter, at("2027-04-02T00:00:00Z"))
    };
    let all = asks(&None, None);
    assert_eq!(
        (all.names.len(), all.late.len(), all.devices.len()),
        (1, 1, 1)
    );
    assert_eq!(all.owed.totals[0].value, "0.63");
    assert_eq!(asks(namespace, Some(customer)), all);
    for (namespace, customer) in [(&None, Some("C-0")), (&Some("elsewhere".to_owned()), None)] {
        let nothing = asks(namespace, customer);
        assert_eq!(
            (
                nothing.names.len(),
                nothing.late.len(),
                nothing.devices.len()
            ),
            (0, 0, 0)
        );
        assert_eq!(nothing.owed.totals, []);
        assert_eq!(
            nothing.customers, all.customers,
            "a person can choose another one"
        );
        assert_eq!(nothing.namespaces, all.namespaces);
    }
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
