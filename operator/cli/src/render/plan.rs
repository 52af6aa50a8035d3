//! The plan of files: the objects, then each contract with its changes, dates and risks.

use entente_domain::views::{ChangeKind, ChangePlan, PlannedCalls, PlannedChange};

use super::text::{counted, few, field, wrapped};
use crate::commands::plan::{Applied, Plan};
use crate::screen::{Screen, Tone};

/// The most names of devices that are shown of one change.
const NAMES: usize = 4;

/// Returns the plan.
pub(crate) fn plan(plan: &Plan, screen: &Screen) -> String {
    let mut text = String::new();
    for object in &plan.objects {
        text += &format!("{}\n", applied(object));
        for detail in &object.details {
            field(&mut text, "", detail, Tone::Plain, screen);
        }
    }
    for fault in &plan.faults {
        field(&mut text, "risk", fault, Tone::Busy, screen);
    }
    for contract in plan.contracts.iter().chain(&plan.others) {
        text.push('\n');
        text += &one(contract, screen);
    }
    if plan.more > 0 {
        let more = counted(plan.more, "other contract");
        text += &format!("\nAnd {more}, for which something would be different.\n");
    }
    text += "\nNothing was written.\n";
    text
}

fn applied(object: &Applied) -> String {
    let name = &object.object;
    match (object.new, object.differs.as_slice()) {
        (true, _) => format!("{name}: new"),
        (false, []) => format!("{name}: as in the cluster"),
        (false, differs) => format!("{name}: other {}", differs.join(", ")),
    }
}

fn one(view: &ChangePlan, screen: &Screen) -> String {
    let name = format!("Contract {}/{}", view.namespace, view.name);
    let (word, tone) = if view.refused.is_empty() {
        ("would be accepted", Tone::Good)
    } else {
        ("would be refused", Tone::Bad)
    };
    let mut text = format!(
        "{}: {}\n",
        screen.paint(&name, Tone::Bold),
        screen.paint(word, tone)
    );
    objections(&mut text, view, screen);
    if let Some(start) = start(view) {
        let tone = if view.is_late { Tone::Bad } else { Tone::Plain };
        field(&mut text, "start", &start, tone, screen);
    }
    for amendment in &view.upcoming {
        let (at, it) = (amendment.effective.in_full(), amendment);
        let words = format!(
            "{} {at}: adds {}, removes {}, changes {}",
            it.amendment, it.adds, it.removes, it.changes
        );
        field(&mut text, "amendment", &words, Tone::Plain, screen);
    }
    for risk in &view.risks {
        field(&mut text, "risk", risk, Tone::Busy, screen);
    }
    for it in &view.changes {
        text += &change(it, screen);
    }
    for it in &view.calls {
        text += &calls(it, screen);
    }
    for words in &view.anew {
        field(&mut text, "anew", words, Tone::Busy, screen);
    }
    let unchanged = counted(view.unchanged, "subscription");
    if view.changes.is_empty() && !view.refused.is_empty() {
        text += "  No subscription changes while that is refused.\n";
    } else if view.changes.is_empty() && !view.missing.is_empty() {
        text += "  No subscription changes while that is missing.\n";
    } else if view.changes.is_empty() && !view.not_looked_at.is_empty() {
        text += "  Changes of subscriptions are not known without that.\n";
    } else if view.changes.is_empty() {
        text += &format!("  No subscription changes; {unchanged} as wanted.\n");
    } else if view.unchanged > 0 {
        text += &format!("  {unchanged} unchanged.\n");
    }
    text
}

/// Adds what is refused, missing or not known.
fn objections(text: &mut String, view: &ChangePlan, screen: &Screen) {
    for fault in &view.refused {
        field(text, "fault", fault, Tone::Bad, screen);
    }
    for part in &view.refused_parts {
        let fault = format!("would be refused: {part}");
        field(text, "fault", &fault, Tone::Bad, screen);
    }
    for part in &view.refused_before {
        let note = format!("refused already, changes nothing: {part}");
        field(text, "note", &note, Tone::Dim, screen);
    }
    for unknown in &view.not_looked_at {
        field(text, "unknown", unknown, Tone::Busy, screen);
    }
    for missing in &view.missing {
        field(text, "missing", missing, Tone::Busy, screen);
    }
}

fn start(view: &ChangePlan) -> Option<String> {
    let start = view.start.as_ref()?;
    let when = start.in_full();
    let rest = if view.is_late {
        ": late, it has passed before the contract was known and is not promised".to_owned()
    } else if start.relative.ends_with("ago") {
        String::new()
    } else {
        let prepared = view.prepared_from.as_ref();
        let prepared = prepared.map(|it| format!(", prepared from {}", it.in_full()));
        format!(": in time{}", prepared.unwrap_or_default())
    };
    Some(when + &rest)
}

/// Returns the requests to devices that call.
fn calls(view: &PlannedCalls, screen: &Screen) -> String {
    let names = few(&view.devices, NAMES);
    let devices = match view.devices.len() {
        1 => "1 device that calls".to_owned(),
        number => format!("{number} devices that call"),
    };
    let columns = screen.width.map(|it| it.saturating_sub(4));
    let mut text = String::new();
    let heading = format!("ask {devices}: {names}");
    for (index, line) in wrapped(&heading, columns).iter().enumerate() {
        let margin = if index == 0 { "  " } else { "    " };
        text += &format!("{margin}{line}\n");
    }
    for request in &view.requests {
        for line in wrapped(request, columns) {
            text += &format!("    {line}\n");
        }
    }
    text
}

fn change(view: &PlannedChange, screen: &Screen) -> String {
    let tone = match view.change {
        ChangeKind::Add => Tone::Good,
        ChangeKind::Change => Tone::Busy,
        ChangeKind::Withdraw => Tone::Bad,
    };
    let names = few(&view.devices, NAMES);
    let devices = counted(view.devices.len(), "device");
    let word = view.change.as_str();
    let heading = format!("{word} {} on {devices}: {names}", view.service);
    let columns = screen.width.map(|it| it.saturating_sub(4));
    let mut text = String::new();
    for (index, line) in wrapped(&heading, columns).iter().enumerate() {
        match line.strip_prefix(word).filter(|_| index == 0) {
            Some(rest) => text += &format!("  {}{rest}\n", screen.paint(word, tone)),
            None => text += &format!("    {line}\n"),
        }
    }
    for detail in &view.details {
        for line in wrapped(detail, columns) {
            text += &format!("    {line}\n");
        }
    }
    text
}
