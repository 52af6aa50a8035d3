//! Tests of occurrences: when one begins, when it ends, and that it is one (A5, A9).

use super::*;

// shows A9
#[test]
fn one_occurrence_reported_fifty_times_by_two_paths_is_one_order() {
    let mut device = Device::new();
    let by_ipp = reasons(&["toner-empty-error"], percents([0, 40, 40, 40]));
    let by_snmp = StatusReport {
        faults: vec![alert("markerTonerEmpty", Some(1))],
        supplies: percents([0, 40, 40, 40]),
        ..StatusReport::default()
    };
    for minute in 0..50 {
        device.look(&[&by_ipp, &by_snmp], after(minute));
        let expected = ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1"];
        assert_eq!(device.told(), expected, "{minute}");
    }
    assert_eq!(device.errors.len(), 1);
}

// shows A9
#[test]
fn an_error_that_flaps_within_the_settle_time_is_one_occurrence() {
    let mut device = Device::new();
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let fine = reasons(&[], percents([40, 40, 40, 40]));
    for round in 0..20 {
        device.look(&[&empty], after(round * 12));
        device.record_orders();
        device.look(&[&fine], after(round * 12 + 3));
    }
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 1);
    // Absent for ten minutes: it has ended, at the instant at which it was first absent.
    device.look(&[&fine], after(19 * 12 + 13));
    let ended = device.error("TonerEmpty/black-toner");
    assert_eq!(
        (ended.state, ended.until),
        (ErrorState::Closed, Some(after(19 * 12 + 3)))
    );
    device.look(&[&empty], after(300));
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 2);
}

// shows A9
#[test]
fn an_error_that_has_to_stand_for_a_while_has_not_begun_before() {
    let mut device = Device::new();
    device.model = example::mfp_520().spec;
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let at = |seconds| begin() + SignedDuration::from_secs(seconds);
    device.look(&[&empty], at(0));
    assert_eq!(device.told(), Vec::<String>::new());
    assert_eq!(next_look(&device.errors, &device.model), Some(at(30)));
    device.look(&[&reasons(&[], Vec::new())], at(10));
    device.look(&[&empty], at(20));
    device.look(&[&empty], at(40));
    assert_eq!(device.told(), Vec::<String>::new(), "20 seconds");
    device.look(&[&empty], at(50));
    let error = device.error("TonerEmpty/black-toner");
    assert_eq!((error.occurrence, error.since), (1, at(20)));
    // A clock that went back ends nothing and begins nothing.
    device.look(&[&empty], at(-100));
    assert_eq!(device.error("TonerEmpty/black-toner").occurrence, 1);
}

// shows A10
#[test]
fn a_supply_is_replaced_when_its_level_is_that_of_a_new_one() {
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    for (level, is_replaced) in [(100, true), (50, true), (49, false), (0, false)] {
        let mut device = Device::new();
        device.look(&[&empty], begin());
        let after_it = reasons(&[], percents([level, 40, 40, 40]));
        device.look(&[&after_it], after(1));
        assert_eq!(device.error("TonerEmpty/black-toner").replaced, None);
        device.look(&[&after_it], after(11));
        let replaced = device.error("TonerEmpty/black-toner").replaced;
        assert_eq!(replaced, is_replaced.then(|| after(11)), "{level}");
    }
}

// shows A5 A9
#[test]
fn a_number_that_an_earlier_device_of_the_name_used_for_an_order_is_not_used_again() {
    let mut device = Device::new();
    let of_earlier = |number| KnownOrder {
        name: format!("lobby-mfp.toner-empty.black-toner.{number}"),
        lines: vec![line(Some("black-toner"), "TN-520K")],
        id: Some(format!("PO-{number}")),
        ..KnownOrder::default()
    };
    device.orders = vec![of_earlier(1), of_earlier(2)];
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    device.look(&[&empty], begin());
    device.look(&[&empty], after(1));
    let error = device.error("TonerEmpty/black-toner");
    let order = error.order.as_ref().unwrap();
    assert_eq!(error.occurrence, 3);
    assert_eq!(order.name, "lobby-mfp.toner-empty.black-toner.3");
    assert_eq!(order.id, None);
}
