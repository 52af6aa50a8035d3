//! Tests of the inventory.

use entente_crds::{
    example,
    v1alpha1::{
        Amount, Contract, Device, Reissue, ServiceSubscriptionSpec, ServiceSubscriptionStatus,
        Voided,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;

fn condition(type_: &str, status: &str, reason: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        message: String::new().into(),
        observed_generation: None,
    }
}

fn shown(parts: &[Part]) -> Vec<String> {
    let text = |(series, amount): &Part| match series {
        Series::Condition {
            kind,
            condition,
            status,
            reason,
        } => format!("{kind} {condition} {} {reason} {amount}", status.as_str()),
        Series::Promises(state) => format!("promises {state} {amount}"),
        Series::Overdue => format!("overdue {amount}"),
        Series::Owed { currency, is_final } => format!("owed {currency} {is_final} {amount}"),
        Series::Reachable { connection } => format!("reachable {connection} {amount}"),
        Series::OpenOrders(state) => format!("open orders {state} {amount}"),
    };
    parts.iter().map(text).collect()
}

#[test]
fn each_condition_of_an_object_adds_one_to_the_series_of_its_words() {
    let conditions = [
        condition("Ready", "False", "Unreachable"),
        condition("Reconciling", "True", "ProgressingWithRetry"),
    ];
    let parts = of_conditions::<Device>(&conditions);
    assert_eq!(
        shown(&parts),
        [
            "Device Ready False Unreachable 1",
            "Device Reconciling True ProgressingWithRetry 1"
        ]
    );
    assert_eq!(of_conditions::<Device>(&[]), []);
}

#[test]
fn words_that_are_in_no_list_of_ours_make_one_series_and_not_many() {
    for number in 0..100 {
        let (type_, reason) = (format!("Type{number}"), format!("Reason{number}"));
        let parts = of_conditions::<Contract>(&[condition(&type_, "Perhaps", &reason)]);
        assert_eq!(shown(&parts), ["Contract Other Unknown Other 1"]);
    }
}

#[test]
fn every_reason_and_every_type_of_the_lists_keeps_its_word() {
    for type_ in ConditionType::ALL {
        for reason in type_.reasons() {
            let found = condition(type_.as_str(), "True", reason.as_str());
            let expected = format!("Contract {} True {} 1", type_.as_str(), reason.as_str());
            assert_eq!(shown(&of_conditions::<Contract>(&[found])), [expected]);
        }
    }
}

fn promise(state: PromiseState, completed: bool, closed: bool) -> Promise {
    let at = Timestamp::UNIX_EPOCH;
    Promise {
        effective: at,
        state,
        completed: completed.then_some(at),
        proof: None,
        closed: closed.then_some(at),
        delays: Vec::new(),
        emitted: Vec::new(),
    }
}

// shows D3
#[test]
fn a_missed_promise_is_overdue_until_its_service_is_proven_or_over() {
    let cases = [
        (PromiseState::Open, false, false, ("Open", 0)),
        (PromiseState::Kept, true, true, ("Kept", 0)),
        (PromiseState::Missed, false, false, ("Missed", 1)),
        (PromiseState::Missed, true, true, ("Missed", 0)),
        (PromiseState::Missed, false, true, ("Missed", 0)),
        (PromiseState::Closed, false, true, ("Closed", 0)),
    ];
    for (state, completed, closed, (word, overdue)) in cases {
        let mut subscription = ServiceSubscription::new("it", ServiceSubscriptionSpec::default());
        subscription.status = Some(ServiceSubscriptionStatus {
            promises: vec![promise(state, completed, closed)],
            ..ServiceSubscriptionStatus::default()
        });
        let expected = [format!("promises {word} 1"), format!("overdue {overdue}")];
        assert_eq!(shown(&of_subscription(&subscription)), expected);
        assert!(PROMISE_STATES.contains(&word));
    }
}

fn owed(currency: &str, value: &str, calculated: &str) -> Compensation {
    let mut compensation = example::compensation();
    let status = compensation.status.get_or_insert_default();
    status.conditions = vec![condition("Calculated", calculated, "AmountFinal")];
    status.amount = Some(Amount {
        currency: currency.to_owned(),
        value: value.to_owned(),
    });
    compensation
}

// shows D8
#[test]
fn what_is_owed_is_added_in_the_smallest_units_of_its_currency() {
    let cases = [
        ("BRL", "1.25", "True", "owed BRL true 125", 1.25),
        ("JPY", "300", "False", "owed JPY false 300", 300.0),
        ("KWD", "0.005", "True", "owed KWD true 5", 0.005),
        ("BRL", "0.00", "True", "owed BRL true 0", 0.0),
        ("B<R", "1.00", "True", "owed Other true 100", 1.0),
    ];
    for (currency, value, calculated, expected, shown_as) in cases {
        let parts = of_compensation(&owed(currency, value, calculated));
        assert_eq!(shown(&parts)[1..], [expected]);
        let gauge = in_currency(parts[1].1, currency);
        assert!((gauge - shown_as).abs() < 1e-9, "{gauge}");
    }
}

// shows D8
#[test]
fn a_record_that_is_void_or_has_no_amount_that_can_be_read_adds_nothing_to_what_is_owed() {
    let mut void = owed("BRL", "1.25", "True");
    void.spec.voided = Some(Voided {
        reason: "the clock was wrong".to_owned(),
        reissue: Reissue::None,
    });
    let mut empty = owed("BRL", "1.25", "True");
    empty.status.as_mut().unwrap().amount = None;
    for record in [
        void,
        empty,
        owed("BRL", "-3", "True"),
        owed("BRL", "x", "True"),
    ] {
        assert_eq!(of_compensation(&record).len(), 1);
    }
}

#[test]
fn the_connection_of_a_server_is_one_or_zero_and_that_of_devices_is_not_told() {
    let reachable = |mut connection: Connection, status: &str| {
        let conditions = vec![condition("Reachable", status, "Answered")];
        connection.status.get_or_insert_default().conditions = conditions;
        shown(&of_connection(&connection)).split_off(1)
    };
    let server = example::northwind_services;
    assert_eq!(
        reachable(server(), "True"),
        ["reachable northwind-services 1"]
    );
    assert_eq!(
        reachable(server(), "False"),
        ["reachable northwind-services 0"]
    );
    assert_eq!(reachable(server(), "Unknown"), [""; 0]);
    assert_eq!(reachable(example::hq_ipp(), "True"), [""; 0]);
}

#[test]
fn a_series_ends_with_its_last_object_even_if_its_sum_is_zero() {
    let zero = (Series::Overdue, 0);
    let mut tally = Tally::default();
    tally.change(&[], vec![zero.clone()]);
    tally.change(&[], vec![zero.clone()]);
    tally.change(std::slice::from_ref(&zero), Vec::new());
    assert_eq!(tally.series().collect::<Vec<_>>(), [(&Series::Overdue, 0)]);
    tally.change(&[zero], Vec::new());
    assert_eq!(tally.series().count(), 0);
}

fn a_part() -> impl Strategy<Value = Part> {
    let states = prop::sample::select(PROMISE_STATES.to_vec());
    let series = prop_oneof![
        Just(Series::Overdue),
        states.prop_map(Series::Promises),
        "[ab]".prop_map(|connection| Series::Reachable { connection }),
    ];
    (series, -3..4i128)
}

proptest! {
    #[test]
    fn whatever_changes_the_tally_is_the_sum_over_the_objects_that_are_left(
        changes in prop::collection::vec((0..5usize, prop::collection::vec(a_part(), 0..5)), 0..40),
    ) {
        let mut objects = vec![Vec::new(); 5];
        let mut tally = Tally::default();
        for (object, after) in changes {
            tally.change(&objects[object], after.clone());
            objects[object] = after;
        }
        let mut anew = Tally::default();
        for object in objects {
            anew.change(&[], object);
        }
        prop_assert_eq!(tally, anew);
    }
}
