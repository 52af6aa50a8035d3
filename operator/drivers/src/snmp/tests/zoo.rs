//! Recorded printers of public sources: what is read of each, and the right decisions about it.
//!
//! A row of `zoo/*.txt` is `== manufacturer | model | source`, a sentence with the kind of model by which
//! is decided, the objects of the recording that are read, and what follows:
//!
//! - `supply D.I = colorant class type unit capacity level description` is a row of
//!   prtMarkerSuppliesTable of the device D, `-` where the recording has no value; other objects are
//!   `name = value`, names below 1.3.6.1.2.1. Values are those of the source, but for serial numbers,
//!   which are made up. A row of many like supplies has some of them.
//! - `--` has the state, the impressions, the number of supplies, and the faults.
//! - `->` is the decision about what was recorded, and its reason; `bit ->` the one if the bit for no
//!   toner is set too; `alert N ->` the one if an alert says that row N is empty; `full N ->` that it is a
//!   box that is full. `order X, today Y` is right and not yet reached: the program says Y.
//!
//! A source without an address is a page of that name, whose address nobody has written down.

use std::collections::BTreeSet;

use entente_crds::example;
use entente_crds::v1alpha1::DeviceModelSpec;
use entente_domain::protocol::Place;

use super::super::SnmpDriver;
use super::super::message::Value;
use super::super::oid::Oid;
use super::super::printer::Printer;
use super::super::tree::Objects;
use super::agent::{self, Agent, proper};
use super::reports::decided;
use super::*;

const TABLES: [&str; 3] = [
    include_str!("zoo/brother-to-fujifilm.txt"),
    include_str!("zoo/hp-to-kyocera.txt"),
    include_str!("zoo/lexmark-to-zebra.txt"),
];
const SERIAL_NUMBER: &str = "1.3.6.1.2.1.43.5.1.1.17.1";
const DETECTED_ERRORS: &str = "1.3.6.1.2.1.25.3.5.1.2.1";
/// The columns of prtMarkerSuppliesTable, in the order of the rows.
const COLUMNS: [u32; 7] = [3, 4, 5, 7, 8, 9, 6];

/// A row.
struct Recorded<'a> {
    title: &'a str,
    manufacturer: &'a str,
    model: &'a str,
    /// The device of its supplies.
    device: &'a str,
    objects: Objects,
    told: &'a str,
    /// The questions, each with its decision and the reason.
    decisions: Vec<(&'a str, &'a str)>,
}

impl<'a> Recorded<'a> {
    fn of(row: &'a str) -> Self {
        let (title, rest) = row.split_once('\n').expect("a title");
        let lines: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
        let of = |prefix: &str| lines.iter().find_map(|line| line.strip_prefix(prefix));
        let told = of("-- ").unwrap_or_else(|| panic!("{title}: nothing is told"));
        let model = of("by ").and_then(|rest| rest.split_once(": "));
        let (model, _) = model.unwrap_or_else(|| panic!("{title}: no sentence"));
        let objects: Vec<String> = lines.iter().flat_map(|line| expanded(line)).collect();
        let decisions = lines.iter().filter_map(|line| line.split_once("-> "));
        Self {
            title,
            manufacturer: title.split(" | ").next().unwrap_or(title),
            model,
            device: of("supply ")
                .and_then(|it| it.split('.').next())
                .unwrap_or("1"),
            objects: agent::objects(&objects.join("\n")),
            told,
            decisions: decisions
                .map(|(asked, rest)| (asked.trim(), rest))
                .collect(),
        }
    }

    /// Returns its objects with what is asked.
    fn asked(&self, asked: &str) -> Objects {
        let mut objects = self.objects.clone();
        if asked == "bit" {
            let oid = Oid::parse(DETECTED_ERRORS).unwrap();
            let octets = objects.get(&oid).and_then(Value::octets);
            let mut octets = octets.unwrap_or_default().to_vec();
            octets.resize(octets.len().max(1), 0);
            octets[0] |= 0x10;
            objects.insert(oid, Value::Octets(octets));
        } else if let Some((what, row)) = asked.split_once(' ') {
            let code = match (what, self.model) {
                ("alert", "ink") => 1102,
                ("alert", _) => 1101,
                ("full", "ink") => 1110,
                ("full", _) => 1109,
                _ => panic!("{}: {asked} is no question", self.title),
            };
            let values = [(2, "3"), (4, "11"), (5, row), (7, &code.to_string())];
            let lines = values.map(|(column, value)| {
                format!("43.18.1.1.{column}.{}.9001 = {value}", self.device)
            });
            objects.extend(agent::objects(&lines.join("\n")));
        }
        objects
    }
}

/// Returns the objects of a line, none of one that has no object.
fn expanded(line: &str) -> Vec<String> {
    if !line.contains(" = ") || line.starts_with("by ") {
        return Vec::new();
    }
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

fn recorded() -> Vec<Recorded<'static>> {
    let rows = TABLES.iter().flat_map(|table| table.split("\n== ").skip(1));
    rows.map(Recorded::of).collect()
}

/// Returns a model of a kind: a device of one colour, of four, or of four inks.
fn model(kind: &str) -> DeviceModelSpec {
    let mut model = example::mfp_520().spec;
    match kind {
        "colour" => {}
        "mono" => model
            .supplies
            .retain(|it| ["black-toner", "waste-toner-box"].contains(&it.name.as_str())),
        "ink" => {
            let ink = |word: &mut String| {
                *word = word.replace("toner", "ink").replace("Toner", "Ink");
            };
            for supply in &mut model.supplies {
                ink(&mut supply.name);
                supply.row.iter_mut().for_each(|row| ink(&mut row.r#type));
            }
            let errors = model.errors.iter_mut();
            errors
                .flat_map(|error| &mut error.words.alerts)
                .for_each(ink);
        }
        other => panic!("{other} is no kind of model"),
    }
    model
}

fn report(objects: &Objects) -> StatusReport {
    Printer::of(objects).report(&Redactions::new([]))
}

/// Returns a report in the words of the rows.
fn told(report: &StatusReport) -> String {
    let mut told = vec![format!("{:?}", report.state)];
    told.extend(report.impressions.map(|made| format!("{made} impressions")));
    told.push(match report.supplies.len() {
        0 => "no supply".to_owned(),
        1 => "1 supply".to_owned(),
        more => format!("{more} supplies"),
    });
    told.extend(report.faults.iter().map(|fault| fault.name.clone()));
    if report.faults.is_empty() {
        told.push("no fault".to_owned());
    }
    told.join(", ")
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
    let rows = recorded();
    let (mut decisions, mut not_yet) = (0, 0);
    let mut wrong = Vec::new();
    for row in &rows {
        let found = told(&report(&row.objects));
        if found != row.told {
            wrong.push(format!("{}: {found}", row.title));
        }
        assert_eq!(
            row.decisions.first().map(|it| it.0),
            Some(""),
            "{}",
            row.title
        );
        for (asked, decision) in &row.decisions {
            let (decision, _) = decision
                .split_once(": ")
                .expect("a decision and its reason");
            let (right, today) = decision
                .split_once(", today ")
                .unwrap_or((decision, decision));
            let found = decided(model(row.model), &report(&row.asked(asked)));
            if found != today {
                wrong.push(format!(
                    "{}, {asked}: {found} in place of {right}",
                    row.title
                ));
            }
            decisions += 1;
            not_yet += usize::from(right != today);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let titles: BTreeSet<&str> = rows.iter().map(|row| row.title).collect();
    let manufacturers: BTreeSet<&str> = rows.iter().map(|row| row.manufacturer).collect();
    println!(
        "{} printers of {} manufacturers: {decisions} decisions are judged, {not_yet} of them not \
         reached yet",
        titles.len(),
        manufacturers.len()
    );
    assert!(titles.len() >= 37, "{} printers", titles.len());
    assert!(manufacturers.len() >= 8, "{manufacturers:?}");
}

// shows A2 D1
#[tokio::test]
async fn every_recorded_printer_is_read_over_the_wire_as_it_was_recorded() {
    for row in recorded() {
        let (found, _) = read_over_the_wire(&row.objects).await;
        let has_serial = row
            .objects
            .contains_key(&Oid::parse(SERIAL_NUMBER).unwrap());
        assert_eq!(found.identity.is_some(), has_serial, "{}", row.title);
        let whole = StatusReport {
            identity: found.identity.clone(),
            ..report(&row.objects)
        };
        assert_eq!(found, whole, "{}", row.title);
    }
}
