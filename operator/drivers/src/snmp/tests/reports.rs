//! Status reports of printers as people have reported them, and what follows from them: one row of
//! `reports.txt` each.

use entente_crds::example;
use entente_crds::v1alpha1::{DeviceModelSpec, NotOrderedReason, OrderWhen};
use entente_domain::errors::{OrderFacts, Provider, Sightings, decide, track};
use entente_domain::remote::{FaultySupply, StatusReport};
use entente_domain::secret::Redactions;

use super::super::printer::Printer;
use super::agent::objects;

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

/// Returns the decision by a model that follows from a report, in the words of the rows.
pub(super) fn decided(mut model: DeviceModelSpec, report: &StatusReport) -> String {
    for r#type in &mut model.errors {
        r#type.settle = None;
        if let Some(order) = &mut r#type.order {
            order.when = OrderWhen::Always;
        }
    }
    let look = Sightings {
        reports: vec![("hq-snmp", report)],
        sources: ["hq-snmp"].into(),
        at: "2027-04-01T08:00:00Z".parse().unwrap(),
    };
    let provider = Provider {
        subscription: "acme-2027.toner.lobby-mfp".to_owned(),
        service: "toner-delivery".to_owned(),
        group: None,
    };
    let facts = OrderFacts {
        device: "lobby-mfp",
        model: &model,
        providers: &[provider],
        orders_supplies: &|_| true,
        holds: &[],
        orders: &[],
        now: look.at,
    };
    let entries = decide(&track(&[], &model, Some(&look), look.at), &facts);
    let of = |reason| {
        let mut entries = entries.iter();
        entries.any(|it| {
            it.not_ordered
                .as_ref()
                .is_some_and(|it| it.reason == reason)
        })
    };
    let ordered = entries.iter().filter(|it| it.order.is_some());
    let ordered: Vec<&str> = ordered.filter_map(|it| it.unit.as_deref()).collect();
    match &ordered[..] {
        [] if of(NotOrderedReason::SupplyUnknown) => "cannot tell".to_owned(),
        [] => "nothing".to_owned(),
        units => format!("order {}", units.join(", ")),
    }
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
