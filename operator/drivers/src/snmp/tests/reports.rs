//! Status reports of printers as people have reported them, and what follows from them: one row of
//! `reports.txt` each.

use entente_crds::example;
use entente_domain::remote::{FaultySupply, StatusReport};
use entente_domain::secret::Redactions;

use super::super::printer::Printer;
use super::agent::objects;
use crate::recorded::decided;

/// Returns a report in the words of the rows.
fn told(report: &StatusReport) -> Vec<String> {
    let made = report
        .impressions
        .map(|made| format!(", {made} impressions"));
    let mut lines = vec![format!("{:?}{}", report.state, made.unwrap_or_default())];
    for supply in &report.supplies {
        let receptacle = if supply.is_receptacle {
            ", receptacle"
        } else {
            ""
        };
        lines.push(format!(
            "supply {}: {}, {}, {:?}{receptacle}",
            supply.index,
            supply.kind,
            supply.colorant.as_deref().unwrap_or("-"),
            supply.level
        ));
    }
    for fault in &report.faults {
        let row = match &fault.supply {
            Some(FaultySupply::Row(row)) => format!(" of row {row}"),
            _ => String::new(),
        };
        let words = fault.detail.as_ref().map(|words| format!(" ({words})"));
        let words = words.unwrap_or_default();
        lines.push(format!(
            "fault {:?} {}{row}{words}",
            fault.source, fault.name
        ));
    }
    lines
}

// shows A2
#[test]
fn a_printer_of_each_public_report_is_read_as_it_is_and_ordered_for_as_is_right() {
    let rows = include_str!("reports.txt").split("\n== ").skip(1);
    let mut count = 0;
    for row in rows {
        let mut lines = row.lines();
        let title = lines.next().unwrap();
        let sentence = lines.next().unwrap();
        let lines: Vec<&str> = lines.collect();
        let of = |prefix: &str| -> Vec<&str> {
            let found = lines.iter().filter_map(|line| line.strip_prefix(prefix));
            found.collect()
        };
        let own: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| line.contains(" = "))
            .collect();
        let objects = objects(&own.join("\n"));
        let report = Printer::of(&objects).report(&Redactions::new([]));
        assert_eq!(told(&report), of("-- "), "{title}: {sentence}");
        let decision = of("-> ").concat();
        let (decision, _) = decision
            .split_once(": ")
            .expect("a decision and its reason");
        assert_eq!(
            decided(example::mfp_520().spec, &report),
            decision,
            "{title}: {sentence}"
        );
        count += 1;
    }
    assert!(count >= 12, "{count} rows");
}
