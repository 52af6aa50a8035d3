//! Tests of status reports by IPP: levels, pairs, what is missing, and alerts as printers have them.

use super::*;

// shows A2
#[test]
fn a_level_is_read_by_the_numbers_of_the_printer_mib() {
    use SupplyLevel::{Percent, Some as Any, Unknown};
    for (reported, most, expected) in [
        (Some(0), Some(100), Percent(0)),
        (Some(0), Some(-2), Percent(0)),
        (Some(50), Some(100), Percent(50)),
        (Some(1), Some(20_000), Percent(1)),
        (Some(20_000), Some(20_000), Percent(100)),
        (Some(300), Some(100), Percent(100)),
        (Some(40), None, Percent(40)),
        (Some(40), Some(-2), Unknown),
        (Some(40), Some(0), Unknown),
        (Some(-3), Some(100), Any),
        (Some(-1), Some(100), Any),
        (Some(-2), Some(100), Unknown),
        (Some(-7), Some(100), Unknown),
        (None, Some(100), Unknown),
        (Some(i64::MAX), Some(i64::MAX), Percent(1)),
    ] {
        assert_eq!(level(reported, most), expected, "{reported:?} of {most:?}");
    }
}

#[test]
fn pairs_are_read_with_blanks_and_odd_cases_and_without_what_is_none() {
    let found = pairs(" Index = 1;type=toner; ;level;colorantName=black=k;");
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("colorantname", "black=k"),
        ("index", "1"),
        ("type", "toner"),
    ];
    assert_eq!(found, expected);
}

// shows A2
#[test]
fn a_colour_of_a_screen_is_the_colorant_that_it_shows_and_another_one_is_none() {
    for (spelled, name) in [
        ("#00FFFF", Some("cyan")),
        ("#ff00ff", Some("magenta")),
        ("#FFFF00", Some("yellow")),
        ("#000000", Some("black")),
        ("#00CFFF", None),
        ("#00FFFF#FF00FF#FFFF00", None),
        ("cyan", Some("cyan")),
        ("lightGray", Some("lightGray")),
    ] {
        assert_eq!(colorant(spelled).as_deref(), name, "{spelled}");
    }
}

/// Returns the report of an answer with these attributes: name, tag of the values, values.
fn report_of(attributes: &[(&str, u8, &[&str])]) -> StatusReport {
    let mut body = vec![2, 0, 0, 0, 0, 0, 0, 1, 0x04];
    for (name, tag, values) in attributes {
        let mut name = *name;
        for value in *values {
            body.push(*tag);
            // Further values of an attribute have no name.
            for text in [name, value] {
                body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
                body.extend(text.as_bytes());
            }
            name = "";
        }
    }
    body.push(0x03);
    let response = Response::read(body.into()).unwrap();
    let identity = Place::Snmp {
        oid: "1.3".to_owned(),
        r#type: entente_crds::v1alpha1::SnmpType::OctetString,
    };
    status_report(&response, 0x04, &identity, &Redactions::new([]))
}

/// Returns the report of an answer with these values of printer-state-reasons.
fn of_reasons(reasons: &[&str]) -> StatusReport {
    report_of(&[(REASONS, 0x44, reasons)])
}

// shows A9
#[test]
fn an_answer_without_reasons_or_with_more_than_are_taken_is_not_whole() {
    let names: Vec<String> = (0..=MOST_ROWS).map(|it| format!("reason-{it}")).collect();
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    for (reasons, faults, is_partial) in [
        (&["none"][..], 0, false),
        (&["toner-empty"], 1, false),
        (&[], 0, true),
        (&many[..MOST_ROWS], MOST_ROWS, false),
        (&many, MOST_ROWS, true),
    ] {
        let report = of_reasons(reasons);
        assert_eq!(report.faults.len(), faults, "{reasons:?}");
        assert_eq!(report.is_partial, is_partial, "{reasons:?}");
    }
}

/// A name, printer-alert, printer-alert-description, and the faults.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// Alerts and their descriptions, and what is taken of them.
const ALERTS: [Row; 16] = [
    // Printers, as public logs of IPP clients have them; the Xerox is one of gmuth/ipp-client-kotlin.
    (
        "Xerox B210, empty: labels, and no row of a supply",
        &[
            "printer-alert[0] = code=markerTonerEmpty;index=1;severity=critical;group=markerSupplies;\
             groupindex=-1;location=9200;training=trained;time=188491075",
        ],
        &["printer-alert-description[0] = '09-200 The Toner Cartridge is empty.'"],
        &["markerTonerEmpty: 09-200 The Toner Cartridge is empty."],
    ),
    (
        "Xerox B210, jammed",
        &[
            "printer-alert[0] = code=jam;index=1;severity=critical;group=mediaPath;groupindex=2;\
             location=8600;training=trained;time=126508",
        ],
        &[],
        &["jam"],
    ),
    (
        "HP ENVY 4520, idle: two alerts lack a part of a pair",
        &[
            "code=unknown;severity=otherother",
            "code=printerReadyToPrint;severity=other;group=generalPrinter",
            "code=unknown;severity=other;group=other",
            "code=unknown;severity=criticalother",
        ],
        &["supplyInkLevelChange", "ready", "inPowerSave", "trayOpen"],
        &[
            "unknown: supplyInkLevelChange",
            "printerReadyToPrint: ready",
            "unknown: inPowerSave",
            "unknown: trayOpen",
        ],
    ),
    (
        "HP PageWide MFP P57750, idle",
        &["code=unknown;severity=other;group=other"],
        &["Previously Used Genuine HP Cartridge Installed"],
        &["unknown: Previously Used Genuine HP Cartridge Installed"],
    ),
    ("EPSON WF-2630, idle", &["code=other"], &["idle"], &[]),
    (
        "EPSON XP-6000, idle",
        &["code=other"],
        &["feed roller needed soon"],
        &[],
    ),
    (
        "Kyocera ECOSYS M2040dn, asleep: no pair at all",
        &["other"],
        &["Sleeping... "],
        &[],
    ),
    // PWG 5100.9 section 4.1, and the severities of RFC 3805.
    (
        "critical",
        &["code=coverOpen;index=23;severity=critical;training=untrained;group=cover;groupindex=6"],
        &[],
        &["coverOpen"],
    ),
    (
        "a warning",
        &["code=markerTonerEmpty;severity=warning;group=markerSupplies;groupindex=2"],
        &["Cyan is empty"],
        &["markerTonerEmpty at 2: Cyan is empty"],
    ),
    (
        "its own index, and no row of a supply",
        &["code=markerTonerEmpty;index=2;severity=critical;group=markerSupplies"],
        &[],
        &["markerTonerEmpty"],
    ),
    ("of no severity", &["code=jam"], &[], &["jam"]),
    (
        "it has happened, and is over",
        &["code=coverOpen;severity=warningBinaryChangeEvent;group=cover"],
        &[],
        &[],
    ),
    (
        "in another case",
        &["code=coverOpen;severity=WarningBinaryChangeEvent"],
        &[],
        &[],
    ),
    (
        "it is about the table",
        &["code=alertRemovalOfBinaryChangeEntry;severity=other"],
        &[],
        &[],
    ),
    (
        "no code, and the severity of an error",
        &["code=other;severity=critical;group=other"],
        &["Call service"],
        &["other: Call service"],
    ),
    (
        "words go with their alert, also behind one that is left out",
        &[
            "code=coverOpen;severity=warningBinaryChangeEvent",
            "code=other;severity=other",
            "code=jam;severity=critical",
        ],
        &["Cover was opened", "Ready", "Paper jam"],
        &["jam: Paper jam"],
    ),
];

// shows A1 A2
#[test]
fn an_alert_is_an_error_by_its_severity_and_its_code() {
    for (name, alerts, words, expected) in ALERTS {
        let report = report_of(&[
            (REASONS, 0x44, &["none"]),
            (ALERT, 0x30, alerts),
            (ALERT_DESCRIPTION, 0x41, words),
        ]);
        let told = report.faults.iter().map(|fault| {
            let row = match &fault.supply {
                Some(FaultySupply::Row(row)) => format!(" at {row}"),
                _ => String::new(),
            };
            let words = fault.detail.as_ref();
            let words = words.map_or_else(String::new, |words| format!(": {words}"));
            format!("{}{row}{words}", fault.name)
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{name}");
        assert!(!report.is_partial, "{name}");
    }
}
