//! Recorded printers of public sources, read by IPP; the form of their rows is told in
//! `entente_drivers::recorded`.
//!
//! - A line is `attribute = value`; one more value of an attribute is one more line.
//!   `marker = colour type level name` has the values of marker-colors, marker-types, marker-levels and
//!   marker-names, `-` where the recording has none. Serial numbers are made up, and a row of many like
//!   values has some of them.
//! - What is told of a queue of CUPS is what it answers by IPP, or what its printers.conf has for that: without
//!   a Reason it answers none.
//! - The questions: `reason WORD` adds a word to printer-state-reasons; `alert N` is an alert that says that
//!   row N of the table of supplies is empty.

#![allow(clippy::panic, reason = "a test ends at what it did not expect")]

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{IppOperation, Protocol};
use entente_domain::protocol::Place;
use entente_domain::remote::StatusReport;
use entente_drivers::Drivers;
use entente_drivers::recorded::{Judgement, Row};

use super::ipp::{reply, target};
use super::server::Server;

const TABLES: [&str; 2] = [
    include_str!("recorded/brother-to-epson.txt"),
    include_str!("recorded/hp-to-xerox.txt"),
];
/// The tag of printer attributes (RFC 8010 section 3.5.1).
const PRINTER_GROUP: u8 = 0x04;
const REASONS: &str = "printer-state-reasons";
const ALERTS: &str = "printer-alert";

/// The values of each attribute, in their order.
type Attributes = BTreeMap<String, Vec<String>>;

fn attributes(row: &Row<'_>) -> Attributes {
    let mut found = Attributes::new();
    let mut add = |name: &str, value: &str| {
        let values = found.entry(name.to_owned()).or_default();
        values.push(value.to_owned());
    };
    for line in &row.lines {
        let (name, value) = line.split_once(" =").expect("an attribute and a value");
        let value = value.strip_prefix(' ').unwrap_or(value);
        if name != "marker" {
            add(name, value);
            continue;
        }
        let columns = [
            "marker-colors",
            "marker-types",
            "marker-levels",
            "marker-names",
        ];
        let values = columns.into_iter().zip(value.splitn(columns.len(), ' '));
        for (column, value) in values.filter(|(_, value)| *value != "-") {
            add(column, value);
        }
    }
    found
}

/// Returns the attributes of a row with what is asked.
fn asked(row: &Row<'_>, asked: &str) -> Attributes {
    let mut attributes = attributes(row);
    let Some((what, value)) = asked.split_once(' ') else {
        return attributes;
    };
    let code = if row.kind == "ink" {
        "markerInkEmpty"
    } else {
        "markerTonerEmpty"
    };
    let (name, added) = match what {
        "reason" => (REASONS, value.to_owned()),
        "alert" => {
            let place = format!("group=markerSupplies;groupindex={value}");
            (
                ALERTS,
                format!("code={code};index=9001;severity=critical;{place}"),
            )
        }
        _ => panic!("{}: {asked} is no question", row.title),
    };
    let values = attributes.entry(name.to_owned()).or_default();
    values.retain(|value| value != "none");
    values.push(added);
    attributes
}

/// Returns the tag of an attribute's values (RFC 8010 section 3.5.2), and whether they are numbers.
fn tag(name: &str) -> (u8, bool) {
    match name {
        "printer-state" => (0x23, true),
        "marker-levels" => (0x21, true),
        "printer-alert" | "printer-supply" => (0x30, false),
        "printer-alert-description" | "printer-supply-description" => (0x41, false),
        "marker-names" | "marker-colors" => (0x42, false),
        "natural-language-configured" => (0x48, false),
        "printer-state-reasons" | "identify-actions-supported" | "marker-types" => (0x44, false),
        other => panic!("{other} has no tag"),
    }
}

/// Returns the group of printer attributes as it is sent.
fn group(attributes: &Attributes) -> Vec<u8> {
    let mut octets = vec![PRINTER_GROUP];
    for (name, values) in attributes {
        let (tag, is_number) = tag(name);
        // Further values have no name.
        for (value, name) in values
            .iter()
            .zip([name.as_str()].into_iter().chain([""].into_iter().cycle()))
        {
            let number: Option<i32> = is_number.then(|| value.parse().unwrap());
            let value =
                number.map_or_else(|| value.as_bytes().to_vec(), |it| it.to_be_bytes().to_vec());
            octets.push(tag);
            for part in [name.as_bytes(), &value] {
                octets.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
                octets.extend(part);
            }
        }
    }
    octets
}

/// Reads a printer with these attributes by the real driver.
async fn read_over_the_wire(drivers: &Drivers, attributes: &Attributes) -> StatusReport {
    let group = group(attributes);
    let server = Server::start(move |arrived| reply(arrived, 0, &group)).await;
    let identity = Place::ipp(IppOperation::SetPrinterAttributes, "printer-uuid");
    let driver = drivers.device(Protocol::IPP).unwrap();
    driver.status(&target(&server), &identity).await.unwrap()
}

// shows A2 A10
#[tokio::test]
async fn of_every_recorded_printer_is_read_by_ipp_what_it_has_and_decided_what_is_right() {
    let drivers = Drivers::real();
    let mut judgement = Judgement::default();
    for row in TABLES.into_iter().flat_map(Row::of_table) {
        for (question, _) in &row.decisions {
            let report = read_over_the_wire(&drivers, &asked(&row, question)).await;
            judgement.judge(&row, question, &report);
        }
    }
    judgement.end(24, 11);
}
