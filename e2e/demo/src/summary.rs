//! The end of the demo: promised, completed, delay and amount of each device, the facts in the
//! ledger, and the verdict on all of it.

use comfy_table::CellAlignment;
use entente_crds::v1alpha1::{Compensation, Promise, PromiseState};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::device::{Behaviour, DEVICES, DemoDevice};
use super::peers::LedgerFacts;
use super::table::{plain_table, seconds, summary};
use super::terminal::Terminal;
use super::{ALLOWED, CONTRACT, SERVICE, Snapshot};

/// The monthly fee that the contract names.
const FEE: f64 = 120_000.0;
/// Amounts are rounded to a hundredth.
const CENT: f64 = 0.011;

/// Prints the summary. Returns true if everything is as expected.
pub(super) fn tell(
    terminal: &Terminal,
    snapshot: &Snapshot,
    start: Timestamp,
    ledger: &LedgerFacts,
) -> bool {
    let mut table = plain_table();
    table.set_header([
        "DEVICE",
        "BEHAVIOUR",
        "PROMISED (UTC)",
        "COMPLETED (UTC)",
        "LATE",
        "PROMISE",
        "OWED",
    ]);
    let mut findings = Vec::new();
    for device in DEVICES {
        let name = format!("{CONTRACT}.{SERVICE}.{}", device.name);
        let promise = snapshot
            .subscriptions
            .iter()
            .find(|s| s.metadata.name.as_deref() == Some(&name))
            .and_then(|subscription| subscription.promises().first());
        let owed: Vec<&Compensation> = snapshot
            .compensations
            .iter()
            .filter(|c| c.spec.record.subscription.name == name)
            .collect();
        judge(device, promise, &owed, start, &mut findings);
        table.add_row(cells(device, promise, &owed));
    }
    for column in [4, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    judge_contract(snapshot, &mut findings);
    terminal.heading("What was promised and what came of it");
    terminal.lines(&table.to_string());
    terminal.heading(&format!("What was sent ({})", ledger.about));
    tell_ledger(terminal, ledger);
    if !ledger.is_clean() {
        findings.push("something was sent too early, in vain or twice".to_owned());
    }
    if findings.is_empty() {
        terminal.heading("All of this is as it has to be.");
    } else {
        terminal.heading("This is not as it has to be:");
        for finding in &findings {
            terminal.lines(&format!("  WRONG  {finding}"));
        }
    }
    findings.is_empty()
}

fn tell_ledger(terminal: &Terminal, ledger: &LedgerFacts) {
    let verdict = |count: usize| if count == 0 { "ok" } else { "WRONG" };
    let zero = |count: usize, what: &str| {
        terminal.lines(&format!("  {count:>4}  {what}: {}", verdict(count)));
    };
    zero(
        ledger.others_before,
        "requests on behalf of a subscription before the start",
    );
    match ledger.unneeded {
        Some(count) => zero(count, "writes of what was set already"),
        None => terminal.lines("     -  writes of what was set already: nobody counts them"),
    }
    zero(ledger.duplicates, "writes carried out twice");
    terminal.lines(&format!(
        "  {:>4}  probes before the start (who are you, how are you, what do you offer)",
        ledger.probes_before
    ));
    terminal.lines(&format!("  {:>4}  writes in all", ledger.writes));
}

fn cells(device: DemoDevice, promise: Option<&Promise>, owed: &[&Compensation]) -> [String; 7] {
    let clock = |at: Timestamp| at.strftime("%H:%M:%S%.3f").to_string();
    let completed = promise.and_then(|promise| promise.completed);
    let late = promise
        .zip(completed)
        .map(|(promise, at)| seconds(at.duration_since(promise.effective)));
    [
        device.name.to_owned(),
        match device.behaviour {
            Behaviour::Good => "good",
            Behaviour::Calls => "good, behind a firewall",
            Behaviour::NotEffective => "not taking a setting",
            Behaviour::Offline => "off",
        }
        .to_owned(),
        promise.map_or_else(String::new, |promise| clock(promise.effective)),
        completed.map_or_else(|| "not".to_owned(), clock),
        late.unwrap_or_default(),
        promise
            .map_or("none", |promise| match promise.state {
                PromiseState::Open => "open",
                PromiseState::Kept => "kept",
                PromiseState::Missed => "missed",
                PromiseState::Closed => "closed",
            })
            .to_owned(),
        owed.iter()
            .map(|compensation| summary(compensation))
            .collect::<Vec<_>>()
            .join(", "),
    ]
}

/// Adds the findings about one device that is not as expected.
fn judge(
    device: DemoDevice,
    promise: Option<&Promise>,
    owed: &[&Compensation],
    start: Timestamp,
    findings: &mut Vec<String>,
) {
    let DemoDevice {
        name: device,
        behaviour,
    } = device;
    let Some(promise) = promise else {
        findings.push(format!("{device} has no promise"));
        return;
    };
    if promise.effective != start {
        findings.push(format!("{device} was promised for {}", promise.effective));
    }
    let Some(completed) = promise.completed else {
        findings.push(format!("{device} was never completed"));
        return;
    };
    let late = completed.duration_since(promise.effective);
    let (state, records) = match behaviour {
        Behaviour::Good | Behaviour::Calls => (PromiseState::Kept, 0),
        Behaviour::NotEffective | Behaviour::Offline => (PromiseState::Missed, 1),
    };
    if promise.state != state {
        findings.push(format!("the promise of {device} is {:?}", promise.state));
    }
    let in_time = late <= SignedDuration::try_from(ALLOWED).unwrap_or_default();
    if in_time != behaviour.is_good() {
        findings.push(format!("{device} was late by {}", seconds(late)));
    }
    if owed.len() != records {
        findings.push(format!("{device} has {} compensations", owed.len()));
    }
    for compensation in owed {
        let wanted = credit(start, late);
        let amount = amount(compensation);
        if !compensation.is("Calculated") || (amount - wanted).abs() > CENT {
            findings.push(format!("{device} is owed {amount}, not {wanted:.2}"));
        }
    }
}

/// Adds the findings about a contract that is not as expected.
fn judge_contract(snapshot: &Snapshot, findings: &mut Vec<String>) {
    let sum: f64 = snapshot.compensations.iter().map(amount).sum();
    let owed = snapshot
        .contract
        .as_ref()
        .and_then(|contract| contract.status.as_ref()?.owed.as_ref())
        .and_then(|owed| owed.amounts.first()?.value.parse::<f64>().ok());
    if owed.is_none_or(|owed| (owed - sum).abs() > CENT) {
        findings.push(format!("the contract says {owed:?} is owed, not {sum:.2}"));
    }
    if !snapshot.is_final() {
        findings.push("the contract is not Ready, or an amount is not final".to_owned());
    }
}

fn amount(compensation: &Compensation) -> f64 {
    compensation
        .status
        .as_ref()
        .and_then(|status| status.amount.as_ref())
        .and_then(|amount| amount.value.parse().ok())
        .unwrap_or(f64::NAN)
}

/// Returns the credit for a delay, calculated apart from the operator: the monthly fee in
/// proportion to the local month in which the start lies.
fn credit(start: Timestamp, late: SignedDuration) -> f64 {
    let month = start
        .in_tz("America/Sao_Paulo")
        .ok()
        .and_then(|local| local.first_of_month().ok()?.start_of_day().ok())
        .and_then(|first| Some((first.checked_add(1.month()).ok()?, first)))
        .map_or(f64::NAN, |(next, first)| {
            next.timestamp()
                .duration_since(first.timestamp())
                .as_secs_f64()
        });
    FEE * late.as_secs_f64() / month
}
