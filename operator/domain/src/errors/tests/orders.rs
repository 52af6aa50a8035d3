//! Tests of orders: one for a supply, from whom, and under which name (A9, A10).

use proptest::prelude::*;

use super::*;

// shows A10
#[test]
fn an_open_order_for_the_part_of_a_supply_is_one_for_the_supply() {
    let model = example::mfp_520().spec;
    let part = |name: &str| {
        let supply = model.supplies.iter().find(|it| it.name == name);
        supply.unwrap().part_number.clone()
    };
    let black = part("black-toner");
    let table = [
        ("without a supply", None, &black, true),
        ("renamed in the model", Some("toner-k"), &black, true),
        ("of another part", None, &part("cyan-toner"), false),
        (
            "for one of the same part",
            Some("cyan-toner"),
            &black,
            false,
        ),
    ];
    for (name, supply, part, is_held) in table {
        let mut device = Device::new();
        device.orders = vec![KnownOrder {
            name: "spare".to_owned(),
            lines: vec![line(supply, part)],
            is_open: true,
            ..KnownOrder::default()
        }];
        let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
        device.look(&[&empty], begin());
        device.look(&[&empty], after(1));
        let error = device.error("TonerEmpty/black-toner");
        let reason = error.not_ordered.as_ref().map(|it| it.reason);
        let expected = is_held.then_some(NotOrderedReason::OpenOrderExists);
        assert_eq!(reason, expected, "{name}");
    }
}

// shows A10
#[test]
fn no_second_order_for_a_supply_while_one_is_open() {
    let mut device = Device::new();
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let shaken = reasons(&[], percents([0, 40, 40, 40]));
    let name = "lobby-mfp.toner-empty.black-toner.1";
    let order = |is_open| KnownOrder {
        name: name.to_owned(),
        lines: vec![line(Some("black-toner"), "TN-520K")],
        id: Some("PO-1".to_owned()),
        is_open,
        ..KnownOrder::default()
    };
    device.look(&[&empty], begin());
    device.orders = vec![order(true)];
    for minute in [1, 20] {
        device.look(&[&shaken], after(minute));
    }
    device.look(&[&empty], after(30));
    let error = device.error("TonerEmpty/black-toner");
    assert_eq!(error.occurrence, 2);
    let none = error.not_ordered.as_ref().unwrap();
    assert_eq!(none.reason, NotOrderedReason::OpenOrderExists);
    assert_eq!(
        none.message.as_str(),
        format!("the order {name} for black-toner is open")
    );
    assert_eq!(error.order.as_ref().unwrap().id.as_deref(), Some("PO-1"));
    // It is closed: the occurrence that is open gets its own.
    device.orders = vec![order(false)];
    device.look(&[&empty], after(31));
    assert_eq!(
        device.told(),
        ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.2"]
    );
}

// shows A5 A9
#[test]
fn an_order_that_was_decided_on_is_owed_until_it_is_made_also_when_the_error_is_over() {
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let shaken = reasons(&[], percents([10, 40, 40, 40]));
    let replaced = reasons(&[], percents([100, 40, 40, 40]));
    let key = "TonerEmpty/black-toner";
    for (name, report, is_made, is_owed_after_it) in [
        ("it was not made", &shaken, false, true),
        ("it was made, and the record is gone", &shaken, true, false),
        ("the supply was replaced", &replaced, false, false),
    ] {
        let mut device = Device::new();
        device.look(&[&empty], begin());
        assert!(is_owed(DEVICE, device.error(key)), "{name}");
        if is_made {
            device.record_orders();
        }
        device.look(&[report], after(1));
        device.orders = Vec::new();
        device.look(&[report], after(12));
        let error = device.error(key);
        assert_eq!(error.state, ErrorState::Closed, "{name}");
        assert_eq!(
            is_owed(DEVICE, error),
            is_owed_after_it,
            "{name}: {error:?}"
        );
        // It comes back: one that makes its order yet is the same, with the same order.
        device.look(&[&empty], after(20));
        let error = device.error(key);
        let expected = if is_owed_after_it {
            (1, begin())
        } else {
            (2, after(20))
        };
        assert_eq!((error.occurrence, error.since), expected, "{name}");
        assert!(is_owed(DEVICE, error), "{name}: {error:?}");
        assert_eq!((error.until, error.end), (None, None), "{name}");
    }
    assert!(
        !is_owed(DEVICE, &DeviceError::default()),
        "nothing was decided on"
    );
}

// shows A10
#[test]
fn an_order_that_is_owed_for_an_error_that_is_over_holds_back_another_for_the_supply() {
    let mut device = Device::new();
    let mut other = device.model.errors[0].clone();
    other.r#type = "TonerMissing".to_owned();
    other.words.state_reasons = vec!["toner-missing".to_owned()];
    other.words.alerts = Vec::new();
    other.words.detected_errors = Vec::new();
    device.model.errors.push(other);
    let levels = || percents([0, 40, 40, 40]);
    device.look(&[&reasons(&["toner-empty"], levels())], begin());
    for minute in [1, 12] {
        device.look(&[&reasons(&["toner-missing"], levels())], after(minute));
    }
    assert_eq!(device.told(), ["TonerMissing/black-toner OpenOrderExists"]);
    assert!(is_owed(DEVICE, device.error("TonerEmpty/black-toner")));
}

/// An order that cannot be read, with a line for a supply if that can be.
fn unreadable(name: &str, supply: Option<&str>, is_open: bool) -> KnownOrder {
    KnownOrder {
        name: name.to_owned(),
        lines: supply.map(|it| line(Some(it), "")).into_iter().collect(),
        is_open,
        is_unreadable: true,
        ..KnownOrder::default()
    }
}

// shows A9 A10 K7
#[test]
fn an_order_that_cannot_be_read_holds_back_what_it_may_be_for() {
    let name = "lobby-mfp.toner-empty.black-toner.1";
    for (what, order, expected) in [
        (
            "of this occurrence",
            unreadable(name, None, true),
            "OrderUnreadable",
        ),
        (
            "of another occurrence",
            unreadable("lobby-mfp.toner-empty.black-toner.7", None, true),
            "OrderUnreadable",
        ),
        (
            "of another error of the supply",
            unreadable("lobby-mfp.toner-missing.black-toner.7", None, true),
            "OrderUnreadable",
        ),
        (
            "by hand",
            unreadable("spare", None, true),
            "OrderUnreadable",
        ),
        (
            "by hand, whose lines can be read",
            unreadable("spare", Some("black-toner"), true),
            "OrderUnreadable",
        ),
        (
            "by hand, for another supply",
            unreadable("spare", Some("cyan-toner"), true),
            name,
        ),
        (
            "of another supply",
            unreadable("lobby-mfp.toner-empty.cyan-toner.1", None, true),
            name,
        ),
        (
            "of this occurrence, closed",
            unreadable(name, Some("black-toner"), false),
            "lobby-mfp.toner-empty.black-toner.2",
        ),
    ] {
        let mut device = Device::new();
        device.orders = vec![order];
        let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
        device.look(&[&empty], begin());
        device.look(&[&empty], after(1));
        let expected = format!("TonerEmpty/black-toner {expected}");
        assert_eq!(device.told(), [expected], "{what}");
    }
}

/// A stolen token, or a device that lies, reports a supply as empty and new again and again.
// shows A10 K4
#[test]
fn no_more_than_three_orders_for_a_supply_are_made_within_a_day() {
    let order = |number: i64, hours: i64| KnownOrder {
        name: format!("lobby-mfp.toner-empty.black-toner.{number}"),
        lines: vec![line(Some("black-toner"), "")],
        created: Some(begin() - SignedDuration::from_hours(hours)),
        ..KnownOrder::default()
    };
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    for (ages, is_ordered) in [
        ([1, 2, 3], false),
        ([1, 2, 24], true),
        ([23, 23, 23], false),
    ] {
        let mut device = Device::new();
        device.orders = (0..)
            .zip(ages)
            .map(|(number, age)| order(90 + number, age))
            .collect();
        device.look(&[&empty], begin());
        let error = device.error("TonerEmpty/black-toner").clone();
        assert_eq!(error.order.is_some(), is_ordered, "{ages:?}");
        let none = error.not_ordered.map(|it| it.reason);
        let expected = (!is_ordered).then_some(NotOrderedReason::TooManyOrders);
        assert_eq!(none, expected, "{ages:?}");
        // It is ordered for as soon as the first one is a day old.
        device.look(&[&empty], begin() + SignedDuration::from_hours(24));
        assert!(device.error("TonerEmpty/black-toner").order.is_some());
    }
}

// shows K2
#[test]
fn an_order_that_cannot_be_read_is_named() {
    let name = "lobby-mfp.toner-empty.black-toner.1";
    let mut device = Device::new();
    device.orders = vec![unreadable(name, None, true)];
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    device.look(&[&empty], begin());
    let none = device.error("TonerEmpty/black-toner").not_ordered.clone();
    assert_eq!(
        none.unwrap().message.as_str(),
        format!("the SupplyOrder {name} cannot be read, and may be open for black-toner")
    );
}

// shows A2, C11
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn the_order_is_for_the_provider_that_acted_when_the_error_began() {
    let empty = reasons(&["toner-empty"], percents([0, 40, 40, 40]));
    let hold = |since: i64| ExclusiveHold {
        group: "consumables".to_owned(),
        holder: "b.toner.lobby-mfp".to_owned(),
        service: Some("toner-b".to_owned()),
        since: after(since),
        before: vec![FormerHold {
            holder: "a.toner.lobby-mfp".to_owned(),
            service: "toner-a".to_owned(),
            since: after(-100),
            until: after(since),
        }],
    };
    for (name, holds, providers, expected) in [
        (
            "the one that holds the group now",
            vec![hold(-5)],
            vec![],
            Some("b.toner.lobby-mfp"),
        ),
        (
            "the one that held it then",
            vec![hold(5)],
            vec![],
            Some("a.toner.lobby-mfp"),
        ),
        (
            "nobody held it then",
            vec![ExclusiveHold {
                before: vec![],
                ..hold(5)
            }],
            vec![],
            Some("b.toner.lobby-mfp"),
        ),
        (
            "one without a group",
            vec![],
            vec![provider()],
            Some("acme-2027.toner.lobby-mfp"),
        ),
        ("nobody", vec![], vec![], None),
        (
            "one whose group another holds that orders nothing",
            vec![ExclusiveHold {
                service: Some("backup".to_owned()),
                before: vec![],
                ..hold(-5)
            }],
            vec![Provider {
                group: Some("consumables".to_owned()),
                ..provider()
            }],
            None,
        ),
    ] {
        let mut device = Device::new();
        device.holds = holds;
        device.providers = providers;
        device.look(&[&empty], begin());
        let error = device.error("TonerEmpty/black-toner");
        let found = error
            .order
            .as_ref()
            .map(|order| order.subscription.as_str());
        assert_eq!(found, expected, "{name}: {error:?}");
        let none = error.not_ordered.as_ref().map(|none| none.reason);
        let reason = expected
            .is_none()
            .then_some(NotOrderedReason::NoActiveService);
        assert_eq!(none, reason, "{name}");
    }
}

// shows A1
#[test]
fn an_order_on_request_follows_the_request_of_the_device() {
    let mut device = Device::new();
    for r#type in &mut device.model.errors {
        if let Some(order) = &mut r#type.order {
            order.when = OrderWhen::Requested;
        }
    }
    let event = |is_order_requested| StatusReport {
        faults: vec![ReportedFault {
            supply: Some(FaultySupply::Name("black-toner".to_owned())),
            is_order_requested,
            ..ReportedFault::state_reason("toner-empty")
        }],
        ..StatusReport::default()
    };
    device.look(&[&event(false)], begin());
    assert_eq!(device.told(), ["TonerEmpty/black-toner NotRequested"]);
    device.look(&[&event(true)], after(1));
    assert_eq!(
        device.told(),
        ["TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1"]
    );
}

#[test]
fn the_name_of_an_order_is_that_of_an_object_and_of_no_other_supply() {
    let name = |r#type: &str, unit: Option<&str>| {
        let error = DeviceError {
            r#type: r#type.to_owned(),
            unit: unit.map(str::to_owned),
            occurrence: 7,
            ..DeviceError::default()
        };
        order_name(DEVICE, &error)
    };
    assert_eq!(
        name("TonerEmpty", Some("black-toner")),
        "lobby-mfp.toner-empty.black-toner.7"
    );
    assert_eq!(name("Jam", None), "lobby-mfp.jam.7");
    let odd = [
        "Black",
        "black",
        "BLACK",
        "black_toner",
        "black.toner",
        "black-toner",
    ];
    let names: std::collections::BTreeSet<String> = odd
        .iter()
        .map(|unit| name("TonerEmpty", Some(unit)))
        .collect();
    assert_eq!(names.len(), odd.len(), "{names:?}");
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    assert!(
        names.iter().all(|name| name.chars().all(is_fine)),
        "{names:?}"
    );
}

proptest! {
    // shows A5, A9, A10
    #[test]
    fn orders_are_at_most_one_for_each_occurrence_and_one_open_for_each_supply(
        looks in prop::collection::vec((0u8..8, 0i64..40, any::<bool>()), 1..60),
    ) {
        let mut device = Device::new();
        let mut at = 0;
        let mut made = std::collections::BTreeSet::new();
        for (kind, minutes, delivers) in looks {
            at += minutes;
            let report = match kind {
                0 => reasons(&["toner-empty"], percents([0, 40, 40, 40])),
                1 => reasons(&["toner-empty"], Vec::new()),
                2 => reasons(&["toner-empty"], percents([0, 0, 40, 40])),
                3 => reasons(&["toner-low"], percents([0, 40, 40, 40])),
                4 => reasons(&[], percents([100, 40, 40, 40])),
                5 => reasons(&["media-jam"], percents([0, 40, 40, 40])),
                6 => StatusReport::default(),
                _ => reasons(&["toner-empty", "marker-waste-full"], percents([40, 0, 40, 40])),
            };
            let before = device.errors.clone();
            device.look(&[&report], after(at));
            let once = device.errors.clone();
            device.look(&[&report], after(at));
            prop_assert_eq!(&once, &device.errors, "the same look changes nothing");
            for error in &device.errors {
                let known = before.iter().find(|it| it.key == error.key);
                let number = known.map_or(0, |it| it.occurrence);
                prop_assert!(error.occurrence == number || error.occurrence == number + 1);
                let Some(order) = &error.order else { continue };
                if made.insert(order.name.clone()) {
                    let unit = error.unit.clone().unwrap();
                    let open = device.orders.iter().filter(|it| it.is_open && it.lines.contains(&line(Some(&unit), "")));
                    prop_assert_eq!(open.count(), 0, "{:?}", error);
                    device.orders.push(KnownOrder {
                        name: order.name.clone(),
                        lines: vec![line(Some(&unit), "")],
                        id: None,
                        is_open: true,
                        ..KnownOrder::default()
                    });
                }
            }
            if delivers {
                for order in &mut device.orders {
                    order.is_open = false;
                }
            }
        }
    }
}
