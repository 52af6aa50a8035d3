//! A fleet that is as it should be: all applied again, the operator started again, and left alone.
//!
//! At rest nothing is written, and no device is read before its sync is due.

use std::time::Duration;

use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace;
use entente_simulators::{Cause, Ledger};

use super::converge::memory_budget;
use super::customer::Customer;
use super::figure::{Figure, count};
use super::requests::{self, Requests};
use super::usage::{self, Usage, megabytes};
use super::{
    BenchError, BenchOptions, NAMESPACE, QUIET, audit_failed, environment, operator_failed, say,
};

/// Time for which an idle fleet is observed.
const IDLE: Duration = Duration::from_mins(1);

/// Requests in an interval.
struct Seen {
    requests: Requests,
    calls: usize,
    probes: usize,
}

/// From here on.
struct Since<'w> {
    plane: &'w ControlPlane,
    ledger: &'w Ledger,
    position: u64,
    sequence: u64,
}

impl<'w> Since<'w> {
    async fn now(plane: &'w ControlPlane, ledger: &'w Ledger) -> Result<Self, BenchError> {
        Ok(Self {
            plane,
            ledger,
            position: plane.audit_position().await.map_err(audit_failed)?,
            sequence: ledger.last_sequence(),
        })
    }

    async fn seen(self) -> Result<Seen, BenchError> {
        let events = self.plane.audit_events_since(self.position).await;
        let events = events.map_err(audit_failed)?;
        let mut entries = self.ledger.entries_since(self.sequence);
        entries.retain(|entry| entry.cause == Cause::Request);
        let probes = entries.iter().filter(|entry| entry.probe).count();
        Ok(Seen {
            requests: Requests::of(&events, |_| true),
            calls: entries.len() - probes,
            probes,
        })
    }
}

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for devices in options.sizes(&[1000]) {
        figures.extend(of_fleet(devices).await?);
    }
    Ok(figures)
}

async fn of_fleet(devices: usize) -> Result<Vec<Figure>, BenchError> {
    let mut environment = environment().await?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let customer = Customer::new(plane, view, NAMESPACE, devices, 0).await?;
    let ledger = customer.namespace.ledger();
    let process = environment.operator.process_id().unwrap_or_default();
    let empty = usage::of(process)?;
    customer.apply().await?;
    let contracts = customer.contracts(namespace::now());
    customer.apply_contracts(&contracts).await?;
    customer.until_delivered(&contracts, 0).await?;
    customer.until_quiet(QUIET).await?;

    say(&format!(
        "  {devices} devices are settled; all is applied again"
    ));
    let title = |what: &str| format!("{devices} devices, {what}");
    let since = Since::now(plane, ledger).await?;
    customer.apply().await?;
    customer.apply_contracts(&contracts).await?;
    customer.until_quiet(QUIET).await?;
    let mut figures = nothing(&title("applied again"), &since.seen().await?);

    say("  the operator is started again");
    let since = Since::now(plane, ledger).await?;
    let restarted = environment.operator.restart().await;
    restarted.map_err(operator_failed)?;
    customer.until_quiet(QUIET).await?;
    let seen = since.seen().await?;
    figures.extend(nothing(&title("operator started again"), &seen));
    let reads = Figure::new(
        title("operator started again: API reads"),
        count(seen.requests.read()),
        "",
    );
    figures.push(reads.detail(requests::all(&seen.requests.reads)));

    say("  the fleet is left alone for a minute");
    let since = Since::now(plane, ledger).await?;
    // It is a measurement: the requests in a minute without any work.
    tokio::time::sleep(IDLE).await;
    figures.push(idle(
        &title("idle: API requests in a minute"),
        &since.seen().await?,
    ));
    let process = environment.operator.process_id().unwrap_or_default();
    figures.extend(memory(devices, empty, usage::of(process)?));
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figures)
}

fn idle(title: &str, seen: &Seen) -> Figure {
    let requests = &seen.requests;
    let all = requests.written() + requests.read() + requests.watches + requests.renewals;
    let idle = Figure::new(title, count(all), "");
    idle.at_most(40.0).detail(format!(
        "{} watches, {} renewals of the Lease, {} reads, {} writes; {} requests to devices and broker",
        requests.watches,
        requests.renewals,
        requests.read(),
        requests.written(),
        seen.calls + seen.probes,
    ))
}

/// Bytes that a device with its subscription may need at rest: 9 KiB.
const AT_REST: f64 = 9216.0;

/// Returns the memory of the operator at rest, and the share of each device with its subscription.
fn memory(devices: usize, empty: Usage, now: Usage) -> [Figure; 2] {
    let resident = megabytes(now.resident_bytes);
    let title = format!("{devices} devices, idle: memory");
    let mut all = Figure::new(title, resident, "MB").detail(format!(
        "VmRSS after the new start; VmHWM {:.1} MB; {:.1} MB without any device",
        megabytes(now.peak_bytes),
        megabytes(empty.resident_bytes)
    ));
    all.budget = memory_budget(devices);
    let each = |bytes: f64| bytes / count(devices);
    let heap = now.anonymous_bytes - empty.anonymous_bytes;
    let grown = now.resident_bytes - empty.resident_bytes;
    let title = format!("{devices} devices, idle: bytes for each device");
    let share = Figure::new(title, each(heap), "B").detail(format!(
        "how much RssAnon (heap and stacks) is larger than without any device; VmRSS, the pages of \
         the program's file included, is larger by {:.0} B",
        each(grown)
    ));
    [all, share.at_most(AT_REST)]
}

fn nothing(what: &str, seen: &Seen) -> Vec<Figure> {
    let writes = Figure::new(
        format!("{what}: API writes"),
        count(seen.requests.written()),
        "",
    );
    let calls = Figure::new(
        format!("{what}: device and broker requests"),
        count(seen.calls),
        "",
    );
    vec![
        writes
            .at_most(0.0)
            .detail(requests::all(&seen.requests.writes)),
        calls
            .at_most(0.0)
            .detail(format!("probes apart: {}", seen.probes)),
    ]
}
