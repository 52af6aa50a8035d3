//! The tree of a contract: a heading, then service, device and item, each with READY, REASON and the
//! time since when, and what is wrong in words below it.

use entente_domain::views::{
    ContractTree, DeviceGroup, DeviceNode, Health, ItemNode, Moment, ServiceNode, age,
};
use jiff::Timestamp;

use super::text::{counted, few, plain, width, wrapped};
use crate::screen::{Screen, Tone};

/// The most names of a group that are shown, without `-o wide`.
const NAMES: usize = 4;

/// A node with everything below it.
struct Node {
    label: String,
    cells: [(String, Tone); 3],
    texts: Vec<(String, Tone)>,
    below: Vec<Node>,
}

/// Returns the text of a tree.
pub(crate) fn tree(view: &ContractTree, wide: bool, screen: &Screen, now: Timestamp) -> String {
    let mut text = heading(view, screen, now);
    let services = view.services.iter();
    let nodes: Vec<Node> = services.map(|it| service(it, wide, now)).collect();
    if nodes.iter().all(|node| node.below.is_empty()) {
        text += "\nNo service is set up on a device yet.\n";
        return text;
    }
    let root = Node {
        label: "SERVICE, DEVICE, ITEM".to_owned(),
        cells: ["READY", "REASON", "SINCE"].map(|it| (it.to_owned(), Tone::Bold)),
        texts: Vec::new(),
        below: nodes,
    };
    text.push('\n');
    text + &drawn(&root, screen)
}

fn heading(view: &ContractTree, screen: &Screen, now: Timestamp) -> String {
    let ready = &view.ready;
    let name = format!("Contract {}/{}", view.namespace, view.name);
    let state = ready.health.as_str();
    let since = ready.since.map_or_else(String::new, |since| {
        format!(" for {}", age(now.duration_since(since)))
    });
    let columns = width(&name) + width(state) + width(&ready.reason) + width(&since) + 4;
    let is_wider = screen.width.is_some_and(|screen| columns > screen);
    let gap = if is_wider { "\n  " } else { " " };
    let state = screen.paint(state, ready.health.into());
    let name = screen.paint(&name, Tone::Bold);
    let mut text = format!("{name}:{gap}{state}, {}{since}\n", ready.reason);
    let mut field = |name: &str, value: &str, tone: Tone| {
        super::text::field(&mut text, name, value, tone, screen);
    };
    if !ready.message.is_empty() {
        field("message", &ready.message, Tone::Plain);
    }
    if let Some(step) = ready.next_step {
        field("next step", step, Tone::Plain);
    }
    for warning in &view.warnings {
        field(
            "warning",
            &format!("{}: {}", warning.condition, warning.message),
            Tone::Bad,
        );
    }
    let customer = match &view.customer_name {
        Some(name) => format!("{} ({name})", view.customer),
        None => view.customer.clone(),
    };
    field("customer", &customer, Tone::Plain);
    field("term", &term(view), Tone::Plain);
    if let Some(delivered) = &view.delivered {
        field("delivered", delivered, Tone::Plain);
    }
    if let Some(next) = next(view) {
        field("next", &next, Tone::Plain);
    }
    if let Some(owed) = owed(view) {
        field("owed", &owed, Tone::Bad);
    }
    text
}

fn term(view: &ContractTree) -> String {
    // A day, or a local time with a `T` between day and time.
    let local = |text: &str| {
        let is_time = text.starts_with(|it: char| it.is_ascii_digit());
        if is_time {
            text.replace('T', " ")
        } else {
            text.to_owned()
        }
    };
    let start = view.starts.as_deref();
    let start = start.map_or_else(|| "not known yet".to_owned(), local);
    let end = match &view.ends {
        Some(end) => format!("to {}", local(end)),
        None => "until it is ended".to_owned(),
    };
    let began = |start: &Moment| match view.in_force.as_deref() {
        Some("True") => format!(", in force, began {}", start.relative),
        _ if start.relative.starts_with("in ") => format!(", begins {}", start.relative),
        _ => ", not in force".to_owned(),
    };
    let began = view.start.as_ref().map_or_else(String::new, began);
    format!("{start} {end}, {}{began}", view.time_zone)
}

fn next(view: &ContractTree) -> Option<String> {
    let at = view.next_at.as_ref();
    match (&view.next, at) {
        (Some(next), Some(at)) if next.contains(&at.local) => {
            Some(format!("{next} ({})", at.relative))
        }
        (Some(next), Some(at)) => Some(format!("{next} ({}, {})", at.local, at.relative)),
        (Some(next), None) => Some(next.clone()),
        (None, at) => at.map(Moment::in_full),
    }
}

fn owed(view: &ContractTree) -> Option<String> {
    let summary = view.owed.as_deref()?;
    let states = view.compensations.map_or_else(String::new, |(open, done)| {
        let parts = [(open, "still growing"), (done, "final")];
        let parts = parts.into_iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts
            .map(|(number, word)| format!("{number} {word}"))
            .collect();
        format!(" in {} ({})", plural(open + done), parts.join(", "))
    });
    Some(format!("{summary}{states}"))
}

fn plural(number: i32) -> String {
    counted(usize::try_from(number).unwrap_or_default(), "compensation")
}

fn service(view: &ServiceNode, wide: bool, now: Timestamp) -> Node {
    let counts = format!("{}/{}", view.delivered, view.total);
    let label = match &view.service_ref {
        Some(reference) if *reference != view.name => format!("{} ({reference})", view.name),
        Some(_) => view.name.clone(),
        None => format!("{} (no longer in the contract)", view.name),
    };
    let devices = view.devices.iter().map(|it| device(it, now));
    let groups = view.groups.iter().map(|it| group(it, wide, now));
    let tone = if view.delivered == view.total && view.total > 0 {
        Tone::Good
    } else {
        Tone::Plain
    };
    Node {
        label,
        cells: [
            (counts, tone),
            (String::new(), Tone::Plain),
            (String::new(), Tone::Plain),
        ],
        texts: Vec::new(),
        below: devices.chain(groups).collect(),
    }
}

fn since(since: Option<Timestamp>, now: Timestamp) -> (String, Tone) {
    let text = since.map(|since| age(now.duration_since(since)));
    (text.unwrap_or_default(), Tone::Plain)
}

fn group(view: &DeviceGroup, wide: bool, now: Timestamp) -> Node {
    let number = view.devices.len();
    let names = few(&view.devices, if wide { number } else { NAMES });
    let (label, texts) = match view.devices.as_slice() {
        [one] if !view.is_rest => (one.clone(), Vec::new()),
        _ => {
            let noun = if view.is_rest {
                "more device"
            } else {
                "device"
            };
            (counted(number, noun), vec![(names, Tone::Dim)])
        }
    };
    Node {
        label,
        cells: [
            (view.status.clone(), view.health.into()),
            (view.reason.clone(), Tone::Plain),
            since(view.since, now),
        ],
        texts,
        below: Vec::new(),
    }
}

fn device(view: &DeviceNode, now: Timestamp) -> Node {
    let ready = &view.ready;
    let mut texts = Vec::new();
    if !ready.message.is_empty() && ready.health != Health::Settled {
        texts.push((ready.message.clone(), Tone::Plain));
    }
    if let Some(step) = ready.next_step {
        texts.push((format!("next step: {step}"), Tone::Busy));
    }
    if view.promise.as_deref() == Some("Missed") {
        texts.push(("Its promise was missed.".to_owned(), Tone::Bad));
    }
    let told = view.ready.message.as_str();
    Node {
        label: view.device.clone(),
        cells: [
            (ready.status.clone(), ready.health.into()),
            (ready.reason.clone(), Tone::Plain),
            since(ready.since, now),
        ],
        texts,
        below: view.items.iter().map(|it| item(it, told, now)).collect(),
    }
}

/// Returns an item. A message that its subscription has already is not told twice.
fn item(view: &ItemNode, told: &str, now: Timestamp) -> Node {
    let mut texts = Vec::new();
    let message = view.message.as_deref().unwrap_or_default();
    let words = message.strip_prefix(view.key.as_str());
    let words = words
        .and_then(|it| it.strip_prefix(": "))
        .unwrap_or(message);
    if !told.contains(words) {
        texts.push((words.to_owned(), Tone::Plain));
    }
    if let Some(attempts) = view.attempts.filter(|it| *it > 1) {
        texts.push((format!("sent {attempts} times"), Tone::Dim));
    }
    let tone = match (view.state.as_str(), &view.problem) {
        ("Effective" | "Released", None) => Tone::Good,
        (_, Some(_)) => Tone::Bad,
        _ => Tone::Busy,
    };
    Node {
        label: view.key.clone(),
        cells: [
            (String::new(), Tone::Plain),
            (
                view.problem.clone().unwrap_or_else(|| view.state.clone()),
                tone,
            ),
            since(view.since, now),
        ],
        texts,
        below: Vec::new(),
    }
}

/// A line that is drawn: its node, and the branches before it and before its texts.
struct Line<'a> {
    node: &'a Node,
    before: String,
    behind: String,
}

fn drawn(root: &Node, screen: &Screen) -> String {
    let mut lines = Vec::new();
    collect(root, "", "", &mut lines);
    let labels = lines
        .iter()
        .map(|it| width(&it.before) + width(&plain(&it.node.label)));
    let first = labels.max().unwrap_or_default() + 2;
    let column = |index: usize| {
        let cells = lines.iter().map(|it| width(&it.node.cells[index].0));
        cells.max().unwrap_or_default() + 2
    };
    let columns = [column(0), column(1), column(2)];
    let mut text = String::new();
    for line in &lines {
        let tone = if line.before.is_empty() {
            Tone::Bold
        } else {
            Tone::Plain
        };
        let label = plain(&line.node.label);
        let mut shown = format!("{}{}", line.before, screen.paint(&label, tone));
        let mut missing = first.saturating_sub(width(&line.before) + width(&label));
        for ((cell, tone), columns) in line.node.cells.iter().zip(columns) {
            if !cell.is_empty() {
                shown += &" ".repeat(missing);
                shown += &screen.paint(cell, *tone);
                missing = 0;
            }
            missing += columns - width(cell);
        }
        text += &shown;
        text.push('\n');
        let columns = screen
            .width
            .map(|it| it.saturating_sub(width(&line.behind) + 2));
        for (words, tone) in &line.node.texts {
            for words in wrapped(words, columns) {
                text += &format!("{}  {}\n", line.behind, screen.paint(&words, *tone));
            }
        }
    }
    text
}

/// Collects a node and those below it. `before` is drawn before its label, `behind` before everything
/// that follows it.
fn collect<'a>(node: &'a Node, before: &str, behind: &str, lines: &mut Vec<Line<'a>>) {
    let stem = if node.below.is_empty() { " " } else { "│" };
    lines.push(Line {
        node,
        before: before.to_owned(),
        behind: format!("{behind}{stem}"),
    });
    let last = node.below.len().saturating_sub(1);
    for (index, below) in node.below.iter().enumerate() {
        let (branch, stem) = if index == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        collect(
            below,
            &format!("{behind}{branch}"),
            &format!("{behind}{stem}"),
            lines,
        );
    }
}
