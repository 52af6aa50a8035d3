//! The live table: each device through its steps, its promise, its delay and its credit; and the
//! events, one line each.
//!
//! Everything comes from the objects on the API server. It decides which changes are worth a line.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, LineStyle, TableStyle};
use entente_crds::{
    item_key::ItemKind,
    v1alpha1::{Compensation, Item, ItemState, PromiseState, ServiceSubscription},
};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use jiff::{SignedDuration, Timestamp};

use super::device::DEVICES;
use super::{CONTRACT, SERVICE, Snapshot};

/// Shown in place of an amount before the first one is calculated.
const NOTHING_YET: &str = "nothing yet";

/// One device in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    device: &'static str,
    /// DeviceSettings, ServerSettings, Activation.
    steps: [String; 3],
    promise: String,
    /// Instant of completion, if there is one.
    completed: Option<Timestamp>,
    owed: String,
}

impl Row {
    /// Returns the lines for a pipe about a row that changed.
    fn differences(&self, before: Option<&Row>) -> Vec<String> {
        let mut texts = Vec::new();
        let said = self.steps.iter().any(|step| !step.is_empty());
        if said && before.is_none_or(|before| before.steps != self.steps) {
            let [device, server, activation] = &self.steps;
            texts.push(format!(
                "{:<12} device settings: {device}, server settings: {server}, activation: {activation}",
                self.device
            ));
        }
        if before.is_some_and(|before| before.owed != self.owed) {
            texts.push(format!("{:<12} owed: {}", self.device, self.owed));
        }
        texts
    }
}

/// Content of the screen.
pub(super) struct Table {
    start: Timestamp,
    rows: Vec<Row>,
    headline: String,
    said: BTreeSet<String>,
    /// Lines with whether they are for a pipe only.
    events: Vec<(String, bool)>,
}

impl Table {
    pub(super) fn new(start: Timestamp) -> Self {
        Self {
            start,
            rows: Vec::new(),
            headline: String::new(),
            said: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    /// Compares the objects on the API server with the last ones.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        if snapshot.now >= self.start {
            self.once(self.start, "the term begins");
        }
        let rows: Vec<Row> = DEVICES
            .iter()
            .map(|device| row(device.name, snapshot))
            .collect();
        let before = std::mem::replace(&mut self.rows, rows.clone());
        for row in &rows {
            let before = before.iter().find(|before| before.device == row.device);
            for text in row.differences(before) {
                self.event(snapshot.now, &text, true);
            }
        }
        self.contract(snapshot);
        for subscription in &snapshot.subscriptions {
            self.promise(snapshot.now, subscription);
        }
        for compensation in &snapshot.compensations {
            self.compensation(snapshot.now, compensation);
        }
    }

    fn contract(&mut self, snapshot: &Snapshot) {
        let Some(contract) = &snapshot.contract else {
            return;
        };
        let Some(ready) = contract.condition("Ready") else {
            return;
        };
        let delivered = contract
            .status
            .as_ref()
            .and_then(|status| status.subscriptions.as_ref())
            .map_or("0/0", |counts| counts.summary.as_str());
        let owed = contract
            .status
            .as_ref()
            .and_then(|status| status.owed.as_ref())
            .map_or("nothing", |owed| owed.summary.as_str());
        self.headline = format!(
            "contract {CONTRACT}: Ready={} {}, delivered {delivered}, owed {owed}",
            ready.status, ready.reason
        );
        if ready.status != "Unknown" {
            let text = format!("contract: Ready={} {}", ready.status, ready.reason);
            self.once(snapshot.now, &text);
        }
    }

    fn promise(&mut self, now: Timestamp, subscription: &ServiceSubscription) {
        let device = &subscription.spec.device_ref.name;
        for promise in subscription.promises() {
            let late = promise
                .completed
                .map(|completed| seconds(completed.duration_since(promise.effective)));
            match (promise.state, late) {
                (PromiseState::Kept, Some(late)) => {
                    self.once(
                        now,
                        &format!("{device} delivered {late} after the start: promise kept"),
                    );
                }
                (PromiseState::Missed, Some(late)) => {
                    self.once(now, &format!("{device} delivered {late} after the start"));
                }
                (PromiseState::Missed, None) => {
                    let reason = subscription.reason("Delivered");
                    self.once_of(
                        now,
                        &format!("missed {device}"),
                        &format!("{device} is past its allowance ({reason}): promise missed"),
                    );
                }
                _ => {}
            }
        }
    }

    fn compensation(&mut self, now: Timestamp, compensation: &Compensation) {
        let device = &compensation.spec.record.device.name;
        self.once(now, &format!("{device} gets a Compensation"));
        if compensation.is("Calculated") {
            let summary = summary(compensation);
            self.once(now, &format!("{device} is owed {summary}: final"));
        }
    }

    /// Adds a line about something that was done.
    pub(super) fn say(&mut self, now: Timestamp, text: &str) {
        self.event(now, text, false);
    }

    fn once(&mut self, now: Timestamp, text: &str) {
        self.once_of(now, text, text);
    }

    fn once_of(&mut self, now: Timestamp, key: &str, text: &str) {
        if self.said.insert(key.to_owned()) {
            self.event(now, text, false);
        }
    }

    fn event(&mut self, now: Timestamp, text: &str, pipe_only: bool) {
        let line = format!("{:>9}  {text}", self.clock(now));
        self.events.push((line, pipe_only));
    }

    /// Returns the lines since the last time.
    pub(super) fn take_events(&mut self, pipe: bool) -> Vec<String> {
        let events = std::mem::take(&mut self.events);
        events
            .into_iter()
            .filter(|(_, pipe_only)| pipe || !pipe_only)
            .map(|(line, _)| line)
            .collect()
    }

    /// Time before and after the start.
    fn clock(&self, now: Timestamp) -> String {
        let since = now.duration_since(self.start).as_secs_f64();
        format!("T{since:+.1} s")
    }

    /// Returns the table as text.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let mut table = plain_table();
        table.set_header([
            "DEVICE",
            "DEVICE SETTINGS",
            "SERVER SETTINGS",
            "ACTIVE",
            "PROMISE",
            "LATE",
            "OWED",
        ]);
        for row in &self.rows {
            let [device, server, activation] = &row.steps;
            let late = match row.completed {
                Some(at) => seconds(at.duration_since(self.start)),
                None if now > self.start => seconds(now.duration_since(self.start)),
                None => String::new(),
            };
            table.add_row([
                row.device,
                device,
                server,
                activation,
                &row.promise,
                &late,
                &row.owed,
            ]);
        }
        for column in [5, 6] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("\n{}  {}\n{table}", self.clock(now), self.headline)
    }
}

fn row(device: &'static str, snapshot: &Snapshot) -> Row {
    let name = format!("{CONTRACT}.{SERVICE}.{device}");
    let mut row = Row {
        device,
        ..Row::default()
    };
    let found = snapshot
        .subscriptions
        .iter()
        .find(|found| found.metadata.name.as_deref() == Some(&name));
    let Some(subscription) = found else {
        return row;
    };
    let begun = subscription
        .promises()
        .iter()
        .any(|promise| promise.effective <= snapshot.now);
    row.steps = [
        ItemKind::DeviceSetting,
        ItemKind::ServerSetting,
        ItemKind::Activation,
    ]
    .map(|kind| step(subscription, kind, begun));
    if let Some(promise) = subscription.promises().first() {
        row.completed = promise.completed;
        row.promise = match promise.state {
            PromiseState::Open if promise.effective > snapshot.now => "ahead".to_owned(),
            PromiseState::Open => "due".to_owned(),
            PromiseState::Kept => "kept".to_owned(),
            PromiseState::Missed => "missed".to_owned(),
            PromiseState::Closed => "closed".to_owned(),
        };
    }
    row.owed = snapshot
        .compensations
        .iter()
        .find(|c| c.spec.record.subscription.name == name)
        .map(|compensation| owed(amount(compensation), compensation.is("Calculated")))
        .unwrap_or_default();
    row
}

/// Returns the debt of a Compensation in words; only an amount can grow or be final.
fn owed(amount: Option<&str>, is_final: bool) -> String {
    match (amount, is_final) {
        (None, _) => NOTHING_YET.to_owned(),
        (Some(amount), true) => format!("{amount} final"),
        (Some(amount), false) => format!("{amount} growing"),
    }
}

/// Returns the progress of a step, by its items.
fn step(subscription: &ServiceSubscription, kind: ItemKind, begun: bool) -> String {
    let items: Vec<&Item> = subscription
        .items()
        .iter()
        .filter(|item| item.key.kind() == Some(kind))
        .collect();
    if items.is_empty() || !begun {
        return if begun { "" } else { "waits" }.to_owned();
    }
    let done = items
        .iter()
        .filter(|item| item.state == ItemState::Effective)
        .count();
    if done == items.len() {
        return if kind == ItemKind::Activation {
            "active".to_owned()
        } else {
            format!("{done}/{} effective", items.len())
        };
    }
    let problem = items.iter().find_map(|item| item.problem.as_ref());
    match problem {
        Some(problem) => format!("{done}/{} {}", items.len(), problem.outcome),
        None if items.iter().any(|item| item.state == ItemState::InProgress) => {
            format!("{done}/{} in progress", items.len())
        }
        None => match subscription.condition("Delivered") {
            // What blocks the device blocks its items, which were not even tried.
            Some(delivered) if kind == ItemKind::DeviceSetting => {
                format!("{done}/{} {}", items.len(), delivered.reason)
            }
            _ => "waits".to_owned(),
        },
    }
}

/// Returns the amount in the form of the API server's columns, or words for none.
pub(super) fn summary(compensation: &Compensation) -> &str {
    amount(compensation).unwrap_or(NOTHING_YET)
}

fn amount(compensation: &Compensation) -> Option<&str> {
    let status = compensation.status.as_ref()?;
    status.summary.as_deref()
}

/// Returns a table with one line below its header.
pub(super) fn plain_table() -> comfy_table::Table {
    let rule = LineStyle::none().fill('─');
    let mut table = comfy_table::Table::new();
    table.load_style(TableStyle::new().header_separator(rule));
    table
}

/// Seconds with as many digits as matter.
pub(super) fn seconds(duration: SignedDuration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::owed;

    #[test]
    fn only_an_amount_is_said_to_grow_or_to_be_final() {
        assert_eq!(owed(None, false), "nothing yet");
        assert_eq!(owed(Some("BRL 0.28"), false), "BRL 0.28 growing");
        assert_eq!(owed(Some("BRL 0.28"), true), "BRL 0.28 final");
    }
}
