//! Errors in twins after batches.

use entente_crds::v1alpha1::{DeviceTwinSpec, TwinRegistration};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const PRINTER: &str = "0d3c9c3e-7d55-5a35-8c6e-6f1b5f4c9a01";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Returns the twin of a device that registered at second 0.
fn twin() -> DeviceTwin {
    let mut twin = DeviceTwin::new("lobby", DeviceTwinSpec::default());
    twin.status = Some(DeviceTwinStatus {
        registration: Some(TwinRegistration {
            at: at(0),
            ..TwinRegistration::default()
        }),
        ..DeviceTwinStatus::default()
    });
    twin
}

/// Returns an event about the black toner, at a second by the clock of the device.
fn event(id: &str, second: i64, data: Value) -> Value {
    let mut data = data;
    let members = data.as_object_mut().unwrap();
    members.entry("reason").or_insert(json!("toner-empty"));
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.error", "subject": "black-toner",
           "time": at(second), "sequence": format!("{id:0>8}"), "data": data})
}

fn raised(id: &str, second: i64) -> Value {
    event(id, second, json!({"state": "Raised"}))
}

fn cleared(id: &str, second: i64) -> Value {
    event(id, second, json!({"state": "Cleared"}))
}

fn without(mut event: Value, members: &[&str]) -> Value {
    for member in members {
        event.as_object_mut().unwrap().remove(*member);
    }
    event
}

fn batch(events: &[Value]) -> Batch {
    Batch::read(json!(events).to_string().as_bytes(), PRINTER).unwrap()
}

/// Takes batches in turn, each at its second; returns the number of writes.
fn take(twin: &mut DeviceTwin, batches: &[(i64, &[Value])]) -> usize {
    let mut writes = 0;
    for (second, events) in batches {
        let errors = batch(events).errors(twin, at(*second));
        assert_eq!(errors.refused, [0_usize; 0]);
        if let Some(status) = errors.status {
            twin.status = Some(status);
            writes += 1;
        }
    }
    writes
}

fn errors(twin: &DeviceTwin) -> Vec<TwinError> {
    twin.status.as_ref().unwrap().errors.clone()
}

fn one(twin: &DeviceTwin) -> TwinError {
    let errors = errors(twin);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

// shows A1
#[test]
fn an_error_is_kept_with_its_reason_its_supply_its_count_and_the_request() {
    let mut twin = twin();
    let data = json!({"state": "Raised", "orderRequested": true, "impressions": 48213});
    assert_eq!(take(&mut twin, &[(60, &[event("7", 50, data)])]), 1);
    let error = one(&twin);
    assert_eq!(error.key, "toner-empty/black-toner");
    assert_eq!(error.reason, "toner-empty");
    assert_eq!(error.subject.as_deref(), Some("black-toner"));
    assert_eq!((error.state, error.since), (TwinErrorState::Raised, at(50)));
    assert!(error.order_requested);
    assert_eq!((error.until, error.impressions), (None, Some(48213)));
    let of_device = without(
        event("8", 55, json!({"state": "Raised", "reason": "jam"})),
        &["subject"],
    );
    assert_eq!(take(&mut twin, &[(60, &[of_device])]), 1);
    let errors = errors(&twin);
    let keys: Vec<&str> = errors.iter().map(|it| &*it.key).collect();
    assert_eq!(keys, ["jam", "toner-empty/black-toner"]);
    assert_eq!(errors[0].subject, None);
}

// shows A1 A9
#[test]
fn a_batch_that_comes_again_writes_nothing() {
    let first = [raised("1", 10), cleared("2", 20), raised("3", 30)];
    let second = [cleared("4", 40), raised("5", 45), cleared("6", 50)];
    let mut twin = twin();
    assert_eq!(take(&mut twin, &[(60, &first), (61, &second)]), 2);
    let error = one(&twin);
    assert_eq!((error.since, error.until), (at(45), Some(at(50))));
    let again: &[(i64, &[Value])] = &[(90, &first), (91, &second), (92, &second[1..])];
    assert_eq!(take(&mut twin, again), 0);
    assert_eq!(one(&twin), error);
}

// shows A1 A9
#[test]
fn what_is_told_again_of_an_error_that_is_there_changes_nothing() {
    let mut twin = twin();
    assert_eq!(take(&mut twin, &[(10, &[raised("1", 10)])]), 1);
    let hourly: Vec<Value> = (2..20).map(|id| raised(&id.to_string(), 10 + id)).collect();
    assert_eq!(take(&mut twin, &[(60, &hourly)]), 0);
    // A person presses the button for an order while the error is there.
    let pressed = event("30", 50, json!({"state": "Raised", "orderRequested": true}));
    assert_eq!(take(&mut twin, &[(60, &[pressed])]), 1);
    let error = one(&twin);
    assert_eq!((error.since, error.order_requested), (at(10), true));
    assert_eq!(take(&mut twin, &[(70, &[raised("31", 65)])]), 0);
    assert!(one(&twin).order_requested, "a request is not taken back");
    // The next occurrence has a request of its own.
    let next = [cleared("32", 80), raised("33", 90)];
    assert_eq!(take(&mut twin, &[(95, &next)]), 1);
    assert!(!one(&twin).order_requested);
}

// shows A1
#[test]
fn flapping_within_a_batch_is_one_write() {
    let mut twin = twin();
    let events: Vec<Value> = (0..256)
        .map(|id| match id % 2 {
            0 => raised(&id.to_string(), id),
            _ => cleared(&id.to_string(), id),
        })
        .collect();
    assert_eq!(take(&mut twin, &[(300, &events)]), 1);
    let error = one(&twin);
    assert_eq!(error.state, TwinErrorState::Cleared);
    assert_eq!((error.since, error.until), (at(254), Some(at(255))));
    let before = error.before.unwrap();
    assert_eq!((before.since, before.until), (at(252), at(253)));
}

// shows A1 A10
#[test]
fn a_supply_that_was_replaced_is_known_by_its_instant() {
    let mut twin = twin();
    let replaced = |id, second| event(id, second, json!({"state": "Cleared", "replaced": true}));
    take(
        &mut twin,
        &[(10, &[raised("1", 10)]), (30, &[replaced("2", 20)])],
    );
    let error = one(&twin);
    assert_eq!((error.until, error.replaced), (Some(at(20)), Some(at(20))));
    // The next occurrence knows nothing of it.
    take(&mut twin, &[(40, &[raised("3", 35)])]);
    assert_eq!(one(&twin).replaced, None);
    // It may become known later than that the error is over.
    take(&mut twin, &[(50, &[cleared("4", 45)])]);
    assert_eq!(one(&twin).replaced, None);
    take(&mut twin, &[(60, &[replaced("5", 55)])]);
    let error = one(&twin);
    assert_eq!((error.until, error.replaced), (Some(at(45)), Some(at(55))));
}

// shows A1
#[test]
fn an_error_that_nobody_heard_of_and_that_is_over_is_no_news_unless_its_supply_was_replaced() {
    let mut twin = twin();
    assert_eq!(take(&mut twin, &[(10, &[cleared("1", 5)])]), 0);
    assert_eq!(errors(&twin), []);
    let replaced = event("2", 6, json!({"state": "Cleared", "replaced": true}));
    assert_eq!(take(&mut twin, &[(10, &[replaced])]), 1);
    let error = one(&twin);
    let expected = (TwinErrorState::Cleared, at(6), Some(at(6)), Some(at(6)));
    assert_eq!(
        (error.state, error.since, error.until, error.replaced),
        expected
    );
}

// shows A1 A9
#[test]
fn an_instant_that_cannot_be_counts_as_the_one_at_which_it_is_heard() {
    for (name, second) in [
        ("a year ago", -31_536_000),
        ("before the registration", -1),
        ("next year", 31_536_000),
        ("in five seconds", 65),
    ] {
        let mut twin = twin();
        take(&mut twin, &[(60, &[raised("1", second)])]);
        let error = one(&twin);
        assert_eq!((error.since, error.event.time), (at(60), None), "{name}");
        // The same batch comes again a minute later.
        let again = take(&mut twin, &[(120, &[raised("1", second)])]);
        assert_eq!(again, 0, "{name}");
        // Its clock was put right meanwhile.
        take(&mut twin, &[(130, &[cleared("2", 125)])]);
        assert_eq!(one(&twin).state, TwinErrorState::Cleared, "{name}");
    }
}

// shows A1 A9
#[test]
fn a_clock_that_was_put_back_and_an_order_that_began_anew_hide_no_error() {
    let sequence = |mut event: Value, place: &str| {
        event["sequence"] = json!(place);
        event
    };
    // The clock was five minutes ahead, and is right from then on.
    let mut twin = twin();
    let first = sequence(raised("1", 300), "1-1");
    let second = sequence(cleared("2", 60), "1-2");
    take(
        &mut twin,
        &[
            (30, std::slice::from_ref(&first)),
            (61, std::slice::from_ref(&second)),
        ],
    );
    assert_eq!(one(&twin).state, TwinErrorState::Cleared);
    // The double of the first one does not raise it again.
    assert_eq!(take(&mut twin, &[(62, std::slice::from_ref(&first))]), 0);
    // A reset of the device begins its order anew.
    let third = sequence(raised("3", 400), "0-1");
    take(&mut twin, &[(401, &[third])]);
    assert_eq!(one(&twin).state, TwinErrorState::Raised);
}

// shows A1
#[test]
fn events_without_a_time_or_without_an_order_are_taken_in_the_order_of_the_batch() {
    for members in [&["time"][..], &["sequence"], &["time", "sequence"]] {
        let mut twin = twin();
        let events =
            [raised("1", 10), cleared("2", 10), raised("3", 10)].map(|it| without(it, members));
        take(&mut twin, &[(60, &events)]);
        assert_eq!(one(&twin).state, TwinErrorState::Raised, "{members:?}");
        assert_eq!(take(&mut twin, &[(60, &events[2..])]), 0, "{members:?}");
    }
}

// shows A1 K5
#[test]
fn of_too_many_errors_those_that_are_over_go_first_and_one_for_which_there_is_no_room_is_told() {
    let of = |supply: i64, second: i64, state: &str| {
        let mut event = event(
            &format!("{supply}-{second}"),
            second,
            json!({"state": state}),
        );
        event["subject"] = json!(format!("supply-{supply}"));
        event
    };
    let mut twin = twin();
    let all: Vec<Value> = (0..64).map(|it| of(it, 10, "Raised")).collect();
    take(&mut twin, &[(60, &all)]);
    let full = batch(&[of(64, 20, "Raised"), of(3, 20, "Raised")]).errors(&twin, at(60));
    assert_eq!((full.refused, full.status), (vec![0], None));
    take(
        &mut twin,
        &[(60, &[of(9, 30, "Cleared"), of(5, 40, "Cleared")])],
    );
    take(&mut twin, &[(60, &[of(64, 50, "Raised")])]);
    let errors = errors(&twin);
    assert_eq!(errors.len(), 64);
    let has = |name: &str| errors.iter().any(|it| it.subject.as_deref() == Some(name));
    assert!(has("supply-64") && has("supply-5") && !has("supply-9"));
}

// shows A1 K4
#[test]
fn every_fault_of_the_data_is_told_with_its_place() {
    let with = |member: &str, value: Value| {
        let mut data = json!({"state": "Raised", "reason": "toner-empty"});
        if value.is_null() {
            data.as_object_mut().unwrap().remove(member);
        } else {
            data[member] = value;
        }
        json!({"specversion": "1.0", "id": "1", "type": "dev.entente.error", "data": data})
    };
    for (member, value) in [
        ("state", Value::Null),
        ("state", json!("raised")),
        ("reason", Value::Null),
        ("reason", json!("toner empty")),
        ("reason", json!("toner/empty")),
        ("reason", json!(7)),
        ("orderRequested", json!("yes")),
        ("impressions", json!(-1)),
        ("impressions", json!(1.5)),
        ("impressions", json!("48213")),
        ("replaced", json!(1)),
        ("orderRequsted", json!(true)),
    ] {
        let body = json!([raised("0", 0), with(member, value.clone())]);
        let problem = Batch::read(body.to_string().as_bytes(), PRINTER).unwrap_err();
        assert_eq!(problem.status(), 422, "{member} {value}");
        let body = problem.body();
        assert_eq!(
            body["errors"][0]["pointer"],
            format!("/1/data/{member}"),
            "{body}"
        );
        assert!(body["errors"][0]["allowed"].is_string(), "{body}");
    }
    for (data, pointer) in [
        (Value::Null, "/0/data"),
        (json!([]), "/0/data"),
        (json!("x"), "/0/data"),
    ] {
        let event =
            json!([{"specversion": "1.0", "id": "1", "type": "dev.entente.error", "data": data}]);
        let problem = Batch::read(event.to_string().as_bytes(), PRINTER).unwrap_err();
        assert_eq!(problem.body()["errors"][0]["pointer"], pointer);
    }
    // Of another kind any data are taken.
    let other =
        json!([{"specversion": "1.0", "id": "1", "type": "dev.entente.events.error", "data": 7}]);
    assert!(Batch::read(other.to_string().as_bytes(), PRINTER).is_ok());
}

proptest! {
    // shows A1 A9
    #[test]
    fn a_device_that_repeats_any_part_of_what_it_sent_gets_the_same_twin(
        states in prop::collection::vec(any::<bool>(), 1..20),
        cuts in prop::collection::vec((0..20_usize, 0..20_usize), 0..8),
    ) {
        let events: Vec<Value> = states
            .iter()
            .enumerate()
            .map(|(id, is_raised)| {
                let second = i64::try_from(id).unwrap();
                let id = second.to_string();
                if *is_raised { raised(&id, second) } else { cleared(&id, second) }
            })
            .collect();
        let mut whole = twin();
        take(&mut whole, &[(60, &events)]);
        // Each batch begins within what was sent, and goes on from there.
        let mut parts = twin();
        let mut sent = 0;
        for (begin, length) in cuts.into_iter().chain([(0, 0)]) {
            let begin = begin.min(sent);
            let end = (begin + length).max(sent).min(events.len());
            take(&mut parts, &[(60, &events[begin..end])]);
            sent = end;
        }
        take(&mut parts, &[(60, &events[sent.min(events.len())..])]);
        let of = |twin: &DeviceTwin| -> Vec<TwinError> {
            errors(twin)
        };
        prop_assert_eq!(of(&whole), of(&parts));
        prop_assert_eq!(take(&mut parts, &[(90, &events)]), 0);
    }
}
