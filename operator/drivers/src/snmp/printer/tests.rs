use entente_domain::remote::SupplyLevel;

use super::*;
use crate::snmp::tests::agent::objects;

fn report(lines: &str) -> StatusReport {
    Printer::of(&objects(lines)).report(&Redactions::new([]))
}

const WHOLE: &str = r#"
    25.3.2.1.5.1 = 3
    25.3.5.1.1.1 = 3
    25.3.5.1.2.1 = 0x1000
    43.5.1.1.2.1 = 1
    43.5.1.1.10.1 = 2
    43.5.1.1.11.1 = 2
    43.5.1.1.12.1 = 16
    43.7.1.1.2.1.1 = "en"
    43.7.1.1.3.1.1 = "US"
    43.7.1.1.4.1.1 = 106
    43.7.1.1.2.1.2 = "JA"
    43.7.1.1.3.1.2 = "jp"
    43.7.1.1.4.1.2 = 17
    43.10.2.1.3.1.1 = 7
    43.10.2.1.4.1.1 = 12034
    43.11.1.1.3.1.1 = 1
    43.11.1.1.4.1.1 = 3
    43.11.1.1.5.1.1 = 21
    43.11.1.1.6.1.1 = "Black Cartridge"
    43.11.1.1.8.1.1 = 2400
    43.11.1.1.9.1.1 = 0
    43.11.1.1.3.1.2 = 0
    43.11.1.1.4.1.2 = 4
    43.11.1.1.5.1.2 = 4
    43.11.1.1.6.1.2 = "Waste Toner Box"
    43.11.1.1.8.1.2 = -2
    43.11.1.1.9.1.2 = -3
    43.12.1.1.4.1.1 = "Black"
    43.16.5.1.2.1.1 = 0x83678369815b
    43.16.5.1.2.1.2 = ""
    43.18.1.1.2.1.7 = 3
    43.18.1.1.4.1.7 = 11
    43.18.1.1.5.1.7 = 1
    43.18.1.1.7.1.7 = 1101
    43.18.1.1.8.1.7 = "Replace black"
"#;

// shows A2
#[test]
fn a_report_has_all_that_the_tables_say() {
    let report = report(WHOLE);
    assert_eq!(report.state, DeviceState::Idle);
    assert_eq!(report.impressions, Some(12_034));
    assert_eq!(
        report.language.as_deref(),
        Some("ja-JP"),
        "that of the panel"
    );
    let empty = ReportedFault {
        supply: Some(FaultySupply::Row(1)),
        detail: Some("Replace black".to_owned()),
        ..ReportedFault::named(FaultSource::Alert, "markerTonerEmpty")
    };
    let detected = ReportedFault::named(FaultSource::DetectedError, "noToner");
    assert_eq!(report.faults, [empty, detected]);
    let [black, waste] = &report.supplies[..] else {
        panic!("{:?}", report.supplies)
    };
    assert_eq!(black.kind, "tonerCartridge");
    assert_eq!(black.colorant.as_deref(), Some("black"));
    assert_eq!(black.level, SupplyLevel::Percent(0));
    assert!(!black.is_receptacle && waste.is_receptacle);
    assert_eq!(
        (waste.kind.as_str(), waste.colorant.as_ref()),
        ("wasteToner", None)
    );
    assert_eq!(waste.level, SupplyLevel::Some);
    let panel = Panel {
        columns: Some(16),
        lines: Some(2),
        is_ascii: false,
        shown: Some(vec!["トナー".to_owned(), String::new()]),
    };
    assert_eq!(report.panel, Some(panel));
}

// shows A2
#[test]
fn events_that_are_over_and_entries_about_the_table_are_no_faults() {
    for (change, faults) in [
        (("43.18.1.1.2.1.7 = 3", "43.18.1.1.2.1.7 = 5"), 1),
        (("43.18.1.1.7.1.7 = 1101", "43.18.1.1.7.1.7 = 1801"), 1),
        (("25.3.5.1.2.1 = 0x1000", "25.3.5.1.2.1 = 0x"), 1),
        (("43.18.1.1.2.1.7 = 3", ""), 2),
    ] {
        let report = report(&WHOLE.replace(change.0, change.1));
        assert_eq!(
            report.faults.len(),
            faults,
            "{change:?}: {:?}",
            report.faults
        );
    }
}

// shows A2
#[test]
fn a_device_with_half_of_the_tables_reports_the_other_half() {
    for (lines, faults, supplies, state) in [
        ("", 0, 0, DeviceState::Unknown),
        ("25.3.5.1.1.1 = 4", 0, 0, DeviceState::Processing),
        (
            "25.3.2.1.5.1 = 5\n25.3.5.1.1.1 = 1",
            0,
            0,
            DeviceState::Stopped,
        ),
        (
            "25.3.2.1.5.1 = 2\n25.3.5.1.1.1 = 1",
            0,
            0,
            DeviceState::Idle,
        ),
        ("43.11.1.1.9.1.1 = 40", 0, 1, DeviceState::Unknown),
        ("43.18.1.1.7.1.3 = 8", 1, 0, DeviceState::Unknown),
        // The printer is the third device of its host.
        (
            "25.3.5.1.1.3 = 3\n43.11.1.1.5.3.1 = 3\n43.18.1.1.7.3.1 = 8",
            1,
            1,
            DeviceState::Idle,
        ),
        // Only the Printer MIB knows its index.
        (
            "43.5.1.1.2.2 = 1\n43.11.1.1.5.2.1 = 3",
            0,
            1,
            DeviceState::Unknown,
        ),
    ] {
        let report = report(lines);
        let found = (report.faults.len(), report.supplies.len(), report.state);
        assert_eq!(found, (faults, supplies, state), "{lines}");
        assert_eq!(report.panel, None, "{lines}");
    }
}

// shows A2
#[test]
fn tables_of_an_index_that_no_printer_has_are_those_of_the_printer() {
    for (lines, supplies, faults) in [
        // As Officejets have it.
        ("25.3.5.1.1.1 = 3\n43.11.1.1.9.0.1 = 40", 1, 0),
        ("43.11.1.1.9.0.1 = 40\n43.18.1.1.7.0.1 = 8", 1, 1),
        // Of its own and of a stray one, its own count.
        (
            "25.3.5.1.1.1 = 3\n43.11.1.1.9.0.1 = 40\n43.18.1.1.7.1.1 = 8",
            0,
            1,
        ),
        // The tables are of the second printer.
        (
            "25.3.5.1.1.1 = 3\n25.3.5.1.1.2 = 3\n43.11.1.1.9.2.1 = 40",
            0,
            0,
        ),
    ] {
        let report = report(lines);
        let found = (report.supplies.len(), report.faults.len());
        assert_eq!(found, (supplies, faults), "{lines}");
    }
}

// shows A2
#[test]
fn a_colour_that_is_not_told_is_not_guessed() {
    for (colorants, colour) in [
        ("43.12.1.1.4.1.1 = \"Cyan\"", Some("cyan")),
        ("43.12.1.1.4.1.1 = \"unknown\"", None),
        ("43.12.1.1.4.1.1 = \"\"", None),
        ("43.12.1.1.4.1.9 = \"cyan\"", None),
        ("", None),
    ] {
        let row = "43.11.1.1.3.1.1 = 1\n43.11.1.1.5.1.1 = 3\n43.11.1.1.6.1.1 = \"Cyan Toner\"\n";
        let report = report(&format!("{row}{colorants}"));
        assert_eq!(
            report.supplies[0].colorant.as_deref(),
            colour,
            "{colorants}"
        );
    }
}

#[test]
fn impressions_are_told_only_of_a_counter_of_impressions() {
    for (unit, count, told) in [
        ("43.10.2.1.3.1.1 = 7", "500", Some(500)),
        ("", "500", Some(500)),
        ("43.10.2.1.3.1.1 = 11", "500", None),
        ("43.10.2.1.3.1.1 = 7", "-1", None),
    ] {
        let report = report(&format!("{unit}\n43.10.2.1.4.1.1 = {count}"));
        assert_eq!(report.impressions, told, "{unit} {count}");
    }
}
