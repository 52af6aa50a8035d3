//! Recorded printers of public sources, as rows of a table: what each has told, and what is right about it.
//!
//! A row is `== manufacturer | model | source`, a sentence with the kind of model by which is decided, the
//! lines of the recording that are read, and what follows. A comma in the model has the state of the one
//! printer that a source has several recordings of.
//!
//! - `--` has the state, the impressions, the number of supplies, and the faults.
//! - `->` is the decision about what was recorded, and its reason; `QUESTION ->` the one about what was
//!   recorded with that more. `order X, today Y` is right and not yet reached: the program says Y.
//!
//! Sends nothing, and knows no protocol: the lines and the questions are those of a test. A source without
//! an address is a page of that name, whose address nobody has written down. Called from tests alone.

#![allow(clippy::panic, reason = "a test ends at what it did not expect")]

use std::collections::BTreeSet;

use entente_crds::example;
use entente_crds::v1alpha1::{DeviceModelSpec, NotOrderedReason, OrderWhen};
use entente_domain::errors::{OrderFacts, Provider, Sightings, decide, track};
use entente_domain::remote::StatusReport;

/// A row.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Manufacturer, model and source.
    pub title: &'a str,
    /// Kind of the model by which is decided.
    pub kind: &'a str,
    /// Lines of the recording.
    pub lines: Vec<&'a str>,
    /// The report, in the words of the rows.
    pub told: &'a str,
    /// The questions, each with its decision and the reason; the first one is empty.
    pub decisions: Vec<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    /// Returns the rows of a table.
    ///
    /// # Panics
    ///
    /// If a row lacks a part.
    pub fn of_table(table: &'a str) -> Vec<Self> {
        table.split("\n== ").skip(1).map(Self::of).collect()
    }

    fn of(row: &'a str) -> Self {
        let (title, rest) = row.split_once('\n').unwrap_or((row, ""));
        let mut lines: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
        let mut take = |is: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
            let (taken, left) = std::mem::take(&mut lines)
                .into_iter()
                .partition(|line| is(line));
            lines = left;
            taken
        };
        let by = take(&|line| line.starts_with("by ")).concat();
        let told = take(&|line| line.starts_with("-- "));
        let decisions = take(&|line| line.contains("-> "));
        let sentence = rest.strip_prefix("by ").and_then(|it| it.split_once(": "));
        let decisions: Vec<_> = decisions
            .iter()
            .filter_map(|line| line.split_once("-> "))
            .map(|(asked, rest)| (asked.trim(), rest))
            .collect();
        assert!(
            !by.is_empty() && told.len() == 1,
            "{title}: a part is missing"
        );
        assert_eq!(decisions.first().map(|it| it.0), Some(""), "{title}");
        Self {
            title,
            kind: sentence.map(|it| it.0).unwrap_or_default(),
            lines,
            told: told[0].trim_start_matches("-- "),
            decisions,
        }
    }

    /// Returns the name of the printer: manufacturer and model, without the state that it is in.
    fn printer(&self) -> (&'a str, &'a str) {
        let mut parts = self.title.split(" | ");
        let manufacturer = parts.next().unwrap_or_default();
        let model = parts.next().unwrap_or_default();
        (manufacturer, model.split(", ").next().unwrap_or(model))
    }
}

/// The judgement about rows.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    printers: BTreeSet<(String, String)>,
    decisions: usize,
    not_yet: usize,
    wrong: Vec<String>,
}

impl Judgement {
    /// Judges the report of one question of a row, the empty one first.
    ///
    /// # Panics
    ///
    /// If the row does not have the question, or its decision no reason.
    pub fn judge(&mut self, row: &Row<'_>, asked: &str, report: &StatusReport) {
        let (manufacturer, model) = row.printer();
        self.printers
            .insert((manufacturer.to_owned(), model.to_owned()));
        let found = told(report);
        if asked.is_empty() && found != row.told {
            self.wrong.push(format!("{}: {found}", row.title));
        }
        let decision = row
            .decisions
            .iter()
            .find(|(question, _)| *question == asked);
        let decision = decision.and_then(|(_, decision)| decision.split_once(": "));
        let Some((decision, _)) = decision else {
            panic!("{}: no decision and its reason for {asked:?}", row.title);
        };
        let parts = decision.split_once(", today ");
        let (right, today) = parts.unwrap_or((decision, decision));
        let found = decided(model_of(row.kind), report);
        if found != today {
            self.wrong.push(format!(
                "{}, {asked}: {found} in place of {right}",
                row.title
            ));
        }
        self.decisions += 1;
        self.not_yet += usize::from(right != today);
    }

    /// Ends it: says how many were judged.
    ///
    /// # Panics
    ///
    /// If a report or a decision was wrong, or if there were fewer printers or manufacturers.
    pub fn end(&self, printers: usize, manufacturers: usize) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        let makers: BTreeSet<&String> = self.printers.iter().map(|it| &it.0).collect();
        println!(
            "{} printers of {} manufacturers: {} decisions are judged, {} of them not reached yet",
            self.printers.len(),
            makers.len(),
            self.decisions,
            self.not_yet
        );
        assert!(
            self.printers.len() >= printers,
            "{} printers",
            self.printers.len()
        );
        assert!(makers.len() >= manufacturers, "{makers:?}");
    }
}

/// Returns a model of a kind: a device of one colour, of four, or of four inks.
fn model_of(kind: &str) -> DeviceModelSpec {
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

/// Returns the decision by a model that follows from a report, in the words of the rows. Every error counts at
/// once, and is ordered for.
pub fn decided(mut model: DeviceModelSpec, report: &StatusReport) -> String {
    for r#type in &mut model.errors {
        r#type.settle = None;
        if let Some(order) = &mut r#type.order {
            order.when = OrderWhen::Always;
        }
    }
    let look = Sightings {
        reports: vec![("hq", report)],
        sources: ["hq"].into(),
        caller: None,
        at: jiff::Timestamp::UNIX_EPOCH,
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
