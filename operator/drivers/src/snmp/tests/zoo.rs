//! Recorded printers of public sources, read by SNMP; the form of their rows is told in `recorded`.
//!
//! - `supply D.I = colorant class type unit capacity level description` is a row of
//!   prtMarkerSuppliesTable of the device D, `-` where the recording has no value; other objects are
//!   `name = value`, names below 1.3.6.1.2.1. Values are those of the source, but for serial numbers,
//!   which are made up. A row of many like supplies has some of them.
//! - The questions: `bit` sets the bit for no toner; `alert N` is an alert that says that row N is empty;
//!   `full N` one that says that it is a box that is full.

use entente_domain::protocol::Place;

use super::super::SnmpDriver;
use super::super::message::Value;
use super::super::oid::Oid;
use super::super::printer::Printer;
use super::super::tree::Objects;
use super::agent::{self, Agent, proper};
use super::*;
use crate::recorded::{Judgement, Row};

const TABLES: [&str; 3] = [
    include_str!("zoo/brother-to-fujifilm.txt"),
    include_str!("zoo/hp-to-kyocera.txt"),
    include_str!("zoo/lexmark-to-xerox.txt"),
];
const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
const DETECTED_ERRORS: &str = "1.3.6.1.2.1.25.3.5.1.2.1";
/// The columns of prtMarkerSuppliesTable, in the order of the rows.
const COLUMNS: [u32; 7] = [3, 4, 5, 7, 8, 9, 6];

fn recorded() -> Vec<Row<'static>> {
    TABLES.into_iter().flat_map(Row::of_table).collect()
}

fn objects(row: &Row<'_>) -> Objects {
    let lines: Vec<String> = row.lines.iter().flat_map(|line| expanded(line)).collect();
    agent::objects(&lines.join("\n"))
}

/// Returns the objects of a line.
fn expanded(line: &str) -> Vec<String> {
    let Some((index, values)) = line
        .strip_prefix("supply ")
        .and_then(|it| it.split_once(" = "))
    else {
        return vec![line.to_owned()];
    };
    let values = COLUMNS.iter().zip(values.splitn(COLUMNS.len(), ' '));
    values
        .filter(|(_, value)| *value != "-")
        .map(|(column, value)| format!("43.11.1.1.{column}.{index} = {value}"))
        .collect()
}

/// Returns the objects of a row with what is asked.
fn asked(row: &Row<'_>, asked: &str) -> Objects {
    let mut objects = objects(row);
    if asked == "bit" {
        let oid = Oid::parse(DETECTED_ERRORS).unwrap();
        let octets = objects.get(&oid).and_then(Value::octets);
        let mut octets = octets.unwrap_or_default().to_vec();
        octets.resize(octets.len().max(1), 0);
        octets[0] |= 0x10;
        objects.insert(oid, Value::Octets(octets));
    } else if let Some((what, index)) = asked.split_once(' ') {
        let code = match (what, row.kind) {
            ("alert", "ink") => 1102,
            ("alert", _) => 1101,
            ("full", "ink") => 1110,
            ("full", _) => 1109,
            _ => panic!("{}: {asked} is no question", row.title),
        };
        let mut supplies = row.lines.iter().filter_map(|it| it.strip_prefix("supply "));
        let device = supplies.find_map(|it| it.split('.').next()).unwrap_or("1");
        let values = [(2, "3"), (4, "11"), (5, index), (7, &code.to_string())];
        let lines =
            values.map(|(column, value)| format!("43.18.1.1.{column}.{device}.9001 = {value}"));
        objects.extend(agent::objects(&lines.join("\n")));
    }
    objects
}

fn report(objects: &Objects) -> StatusReport {
    Printer::of(objects).report(&Redactions::new([]))
}

/// Reads a device with these objects over the wire; returns its report and the number of requests.
pub(super) async fn read_over_the_wire(objects: &Objects) -> (StatusReport, usize) {
    let own = objects.clone();
    let agent = Agent::start(move |request| vec![proper(&own, request)]).await;
    let driver = SnmpDriver::new(Arc::new(Transport::new()));
    let place = Place::Snmp {
        oid: SERIAL_NUMBER.to_owned(),
        r#type: SnmpType::OctetString,
    };
    let report = driver.status(&agent.target(), &place).await.unwrap();
    (report, agent.asked().len())
}

// shows A2 A10
#[test]
fn of_every_recorded_printer_is_read_what_it_has_and_decided_what_is_right() {
    let mut judgement = Judgement::default();
    for row in recorded() {
        for (question, _) in &row.decisions {
            judgement.judge(&row, question, &report(&asked(&row, question)));
        }
    }
    judgement.end(50, 15);
}

// shows A2 D1
#[tokio::test]
async fn every_recorded_printer_is_read_over_the_wire_as_it_was_recorded() {
    for row in recorded() {
        let own = objects(&row);
        let (found, _) = read_over_the_wire(&own).await;
        let has_serial = own.contains_key(&Oid::parse(SERIAL_NUMBER).unwrap());
        assert_eq!(found.identity.is_some(), has_serial, "{}", row.title);
        let whole = StatusReport {
            identity: found.identity.clone(),
            ..report(&own)
        };
        assert_eq!(found, whole, "{}", row.title);
    }
}
