//! Tests of which supply an error is about, and of what is ordered for it (A2).

use super::*;

// shows A2
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_is_ordered_follows_from_the_words_and_the_table_and_from_no_level_alone() {
    use SupplyLevel::{Percent, Some as Any, Unknown};
    let black = "TonerEmpty/black-toner lobby-mfp.toner-empty.black-toner.1";
    let cyan = "TonerEmpty/cyan-toner lobby-mfp.toner-empty.cyan-toner.1";
    let unknown = "TonerEmpty SupplyUnknown";
    for (name, report, expected) in [
        (
            "nothing",
            reasons(&["none"], percents([0, 0, 0, 0])),
            vec![],
        ),
        (
            "a level of 0 alone",
            reasons(&[], percents([0, 40, 40, 40])),
            vec![],
        ),
        (
            "almost empty with a level of 0, as a real printer says it",
            reasons(
                &["toner-low-report", "marker-supply-low-report"],
                percents([0, 9, 9, 9]),
            ),
            vec![],
        ),
        (
            "a word and its row",
            reasons(&["toner-empty-error"], percents([0, 40, 40, 40])),
            vec![black],
        ),
        (
            "a word of any supply",
            reasons(&["marker-supply-empty-report"], percents([40, 0, 40, 40])),
            vec![cyan],
        ),
        (
            "a word alone",
            reasons(&["toner-empty-error"], Vec::new()),
            vec![unknown],
        ),
        (
            "no row is empty",
            reasons(&["toner-empty"], percents([5, 5, 40, 40])),
            vec![unknown],
        ),
        (
            "levels that are not known",
            reasons(&["toner-empty"], table([Unknown; 4])),
            vec![unknown],
        ),
        (
            "a level of 0 beside one that is not known",
            reasons(
                &["toner-empty"],
                table([Percent(0), Unknown, Percent(3), Any]),
            ),
            vec![unknown],
        ),
        (
            "a level of 0 beside some",
            reasons(&["toner-empty"], table([Percent(0), Any, Percent(3), Any])),
            vec![black],
        ),
        (
            "two are empty",
            reasons(&["toner-empty"], percents([0, 0, 40, 40])),
            vec![black, cyan],
        ),
        (
            "two levels of 0, of which one may be of a low one",
            reasons(&["toner-empty", "toner-low"], percents([0, 0, 40, 40])),
            vec![unknown],
        ),
        (
            "an alert with a row",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(2))],
                supplies: percents([0, 0, 0, 0]),
                ..StatusReport::default()
            },
            vec![cyan],
        ),
        (
            "an alert with a row, and a word without",
            StatusReport {
                faults: vec![
                    ReportedFault::state_reason("toner-empty"),
                    alert("markerTonerEmpty", Some(1)),
                ],
                supplies: table([Unknown; 4]),
                ..StatusReport::default()
            },
            vec![black],
        ),
        (
            "an alert of a row that there is not",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(9))],
                supplies: percents([40, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![unknown],
        ),
        (
            "an alert of a row that there is not, beside one level of 0",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(9))],
                supplies: percents([0, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![unknown],
        ),
        (
            "a word beside an alert of a row that there is not",
            StatusReport {
                faults: vec![
                    ReportedFault::state_reason("toner-empty"),
                    alert("markerTonerEmpty", Some(9)),
                ],
                supplies: percents([0, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![unknown],
        ),
        (
            "an alert with a row, of a device without a table",
            StatusReport {
                faults: vec![alert("markerTonerEmpty", Some(1))],
                ..StatusReport::default()
            },
            vec![unknown],
        ),
        (
            "a name that the model lacks, on the one supply of a kind",
            StatusReport {
                faults: vec![ReportedFault {
                    supply: Some(FaultySupply::Name("second-waste-box".to_owned())),
                    is_order_requested: true,
                    ..ReportedFault::state_reason("marker-waste-full")
                }],
                ..StatusReport::default()
            },
            vec!["WasteBoxFull SupplyUnknown"],
        ),
        (
            "an almost empty alert",
            StatusReport {
                faults: vec![alert("markerTonerAlmostEmpty", Some(1))],
                supplies: percents([0, 40, 40, 40]),
                ..StatusReport::default()
            },
            vec![],
        ),
        (
            "the bit of RFC 2790",
            StatusReport {
                faults: vec![ReportedFault::named(FaultSource::DetectedError, "noToner")],
                supplies: percents([40, 0, 40, 40]),
                ..StatusReport::default()
            },
            vec![cyan],
        ),
        (
            "a jam",
            reasons(&["media-jam-error"], percents([0, 0, 0, 0])),
            vec!["Jam NotRequested"],
        ),
        (
            "a full waste box, which is ordered on request only",
            reasons(&["marker-waste-full-warning"], percents([0, 40, 40, 40])),
            vec!["WasteBoxFull/waste-toner-box NotRequested"],
        ),
    ] {
        let mut device = Device::new();
        device.look(&[&report], begin());
        assert_eq!(device.told(), expected, "{name}: {:?}", device.errors);
    }
}

// shows A2
#[test]
fn the_status_names_the_supplies_that_come_into_question() {
    let mut device = Device::new();
    device.look(&[&reasons(&["toner-empty"], Vec::new())], begin());
    let none = device.error("TonerEmpty").not_ordered.clone().unwrap();
    assert_eq!(
        none.message.as_str(),
        "the device does not tell which supply it is; it may be black-toner, cyan-toner, magenta-toner, \
         yellow-toner"
    );
    // The table tells it later: the order follows then.
    device.look(
        &[&reasons(&["toner-empty"], percents([40, 0, 40, 40]))],
        after(1),
    );
    let ordered = device.error("TonerEmpty/cyan-toner");
    assert!(ordered.order.is_some(), "{ordered:?}");
    // The row is gone again, the words stand: it is the same error.
    device.look(&[&reasons(&["toner-empty"], Vec::new())], after(20));
    assert_eq!(device.error("TonerEmpty/cyan-toner").gone, None);
    assert_eq!(device.error("TonerEmpty").until, Some(after(1)));
}

// shows A2
#[test]
fn a_supply_that_the_model_lacks_is_named_and_no_other_is_ordered_for_it() {
    let mut device = Device::new();
    let mut supplies = percents([0, 40, 40, 40]);
    supplies.push(ReportedSupply {
        index: 5,
        colorant: Some("white".to_owned()),
        ..supplies[0].clone()
    });
    let of = |supply| StatusReport {
        faults: vec![ReportedFault {
            supply: Some(supply),
            ..ReportedFault::named(FaultSource::Alert, "markerTonerEmpty")
        }],
        supplies: supplies.clone(),
        ..StatusReport::default()
    };
    for (minute, supply, named) in [
        (0, FaultySupply::Row(5), "row 5 of its table of supplies"),
        (
            1,
            FaultySupply::Name("white".to_owned()),
            "the supply \"white\"",
        ),
    ] {
        device.look(&[&of(supply)], after(minute));
        assert_eq!(device.told(), ["TonerEmpty SupplyUnknown"]);
        let none = device.error("TonerEmpty").not_ordered.clone().unwrap();
        assert_eq!(
            none.message.as_str(),
            format!("the device names {named}, which is none of spec.supplies of the DeviceModel")
        );
    }
    // Another one is empty at the same time: that is ordered.
    device.look(
        &[&of(FaultySupply::Row(5)), &of(FaultySupply::Row(1))],
        after(2),
    );
    assert!(device.error("TonerEmpty/black-toner").order.is_some());
}

// shows A2
#[test]
fn the_second_of_two_rows_of_a_kind_is_the_supply_too() {
    let mut device = Device::new();
    let mut supplies = percents([40, 40, 40, 40]);
    supplies.push(ReportedSupply {
        index: 5,
        ..supplies[0].clone()
    });
    let report = StatusReport {
        faults: vec![alert("markerTonerEmpty", Some(5))],
        supplies,
        ..StatusReport::default()
    };
    device.look(&[&report], begin());
    assert!(device.error("TonerEmpty/black-toner").order.is_some());
}
