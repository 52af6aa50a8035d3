//! Whole recordings of one's own printers, as big as their trees are, each read over the wire. They are
//! no part of this repository, and nobody but their owner may have them: `ENTENTE_SNMP_RECORDINGS` names
//! a directory with files `*.snmprec`, lines `OID|type|value` in the form of snmpsim. The printers of
//! public recordings are rows of `zoo/`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use entente_crds::example;
use entente_domain::remote::SupplyLevel;

use super::super::message::Value;
use super::super::oid::Oid;
use super::super::printer::Printer;
use super::super::tree::Objects;
use super::agent;
use super::zoo::read_over_the_wire;
use super::*;
use crate::recorded::decided;

/// Reads a line of a recording; `None` for one that has no value.
fn object(line: &str) -> Option<(Oid, Value)> {
    let mut parts = line.splitn(3, '|');
    let oid = Oid::parse(parts.next()?.trim_start_matches('.'))?;
    let (kind, value) = (parts.next()?, parts.next()?);
    let value = match kind {
        "2" => Value::Integer(value.trim().parse().ok()?),
        "4x" | "4X" => Value::Octets(hex::decode(value).ok()?),
        "6" => Value::Name(Oid::parse(value)?),
        "64" => Value::Address(value.parse().ok()?),
        "65" | "70" => Value::Counter(value.parse().ok()?),
        "66" => Value::Gauge(value.parse().ok()?),
        "67" => Value::Ticks(value.parse().ok()?),
        "5" => Value::Null,
        _ => Value::Octets(value.into()),
    };
    Some((oid, value))
}

fn recordings() -> Vec<(String, Objects)> {
    let directory = std::env::var_os("ENTENTE_SNMP_RECORDINGS");
    let directory = PathBuf::from(directory.expect("ENTENTE_SNMP_RECORDINGS names a directory"));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "snmprec"))
        .collect();
    paths.sort();
    let named = paths.into_iter().map(|path| {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let name = path.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        (name, text.lines().filter_map(object).collect())
    });
    named.collect()
}

/// Returns the number of rows of the table of supplies, by a look of the test's own.
fn supplies(objects: &Objects) -> usize {
    let mut rows = BTreeSet::new();
    for column in [5, 9] {
        let column = Oid::parse(&format!("1.3.6.1.2.1.43.11.1.1.{column}")).unwrap();
        rows.extend(
            objects
                .keys()
                .filter_map(|oid| Some(oid.below(&column)?.to_vec())),
        );
    }
    rows.len()
}

// shows A2 D1
#[tokio::test]
#[ignore = "needs recordings: ENTENTE_SNMP_RECORDINGS"]
async fn every_recording_is_read_over_the_wire_as_it_was_recorded() {
    let (mut read, mut with_supplies, mut with_faults) = (0, 0, 0);
    for (name, objects) in recordings() {
        let (report, requests) = read_over_the_wire(&objects).await;
        let whole = Printer::of(&objects).report(&Redactions::new([]));
        assert_eq!(
            report.supplies, whole.supplies,
            "{name}: a part was lost on the wire"
        );
        assert_eq!(
            report.faults, whole.faults,
            "{name}: a part was lost on the wire"
        );
        let has = supplies(&objects);
        assert_eq!(report.supplies.len(), has, "{name}: a row was left out");
        read += 1;
        with_supplies += usize::from(!report.supplies.is_empty());
        with_faults += usize::from(!report.faults.is_empty());
        println!(
            "{name}: {:?}, {requests} requests, identity {}, language {:?}, panel {:?}",
            report.state,
            report.identity.is_some(),
            report.language,
            report.panel
        );
        for supply in &report.supplies {
            println!("  {supply:?}");
        }
        for fault in &report.faults {
            println!("  {fault:?}");
        }
    }
    println!("{read} recordings: {with_supplies} with supplies, {with_faults} with faults");
    assert!(read > 0, "no recording");
}

/// Returns the objects of a recording with these more.
fn with(recorded: &Objects, lines: &str) -> Objects {
    let mut objects = recorded.clone();
    objects.extend(agent::objects(lines));
    objects
}

/// Returns the report of a device with these objects.
fn report(objects: &Objects) -> StatusReport {
    Printer::of(objects).report(&Redactions::new([]))
}

// shows A2 A10
#[test]
#[ignore = "needs recordings: ENTENTE_SNMP_RECORDINGS"]
fn for_no_recorded_printer_another_supply_is_ordered_than_the_one_that_is_empty() {
    let (mut ordered, mut untold, mut nothing) = (0, 0, 0);
    for (name, recorded) in recordings() {
        let colours = ["black", "cyan", "magenta", "yellow"];
        for supply in report(&recorded).supplies {
            let row = supply.index;
            let is_waste = supply.kind == "wasteToner";
            let code = if is_waste { 1109 } else { 1101 };
            let alert = with(
                &recorded,
                &format!(
                    "43.18.1.1.2.1.1 = 3\n43.18.1.1.4.1.1 = 11\n43.18.1.1.5.1.1 = {row}\n\
                     43.18.1.1.7.1.1 = {code}"
                ),
            );
            let decision = decided(example::mfp_520().spec, &report(&alert));
            println!("{name}, row {row} ({:?}): {decision}", supply.description);
            match decision.strip_prefix("order ") {
                Some(unit) if is_waste => assert_eq!(unit, "waste-toner-box", "{name}"),
                Some(unit) => {
                    let colour = unit.split('-').next().unwrap_or_default();
                    let words = format!("{:?} {:?}", supply.colorant, supply.description);
                    let words = words.to_lowercase();
                    assert!(colours.contains(&colour), "{name}: {decision}");
                    assert!(words.contains(colour), "{name}: {unit} for {words}");
                    assert_eq!(supply.kind.replace("Cartridge", ""), "toner", "{name}");
                    ordered += 1;
                }
                None if decision == "cannot tell" => untold += 1,
                None => nothing += 1,
            }
        }
        // The bit alone names no supply: one is ordered only if its level says so.
        let bit = report(&with(&recorded, "25.3.5.1.2.1 = 0x10"));
        let decision = decided(example::mfp_520().spec, &bit);
        if decision.starts_with("order ") {
            let empty = bit.supplies.iter();
            let empty = empty
                .filter(|it| it.level == SupplyLevel::Percent(0))
                .count();
            let toners = bit
                .supplies
                .iter()
                .filter(|it| it.kind.starts_with("toner"));
            assert!(empty > 0 || toners.count() == 1, "{name}: {decision}");
        }
        println!("{name}, noToner alone: {decision}");
    }
    println!("{ordered} orders, {untold} times nobody can tell, {nothing} times nothing");
    assert!(ordered + untold + nothing > 0, "no recording");
}
