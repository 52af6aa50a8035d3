//! A fleet that is as it should be: all applied again, the operator started again, and left alone.
//!
//! Nothing is to be written then, and no device asked before its sync is due.

use std::time::Duration;

use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace;
use entente_simulators::{Cause, Ledger};

use super::customer::{Customer, until_quiet};
use super::figure::{Figure, count};
use super::requests::{self, Requests};
use super::{BenchError, audit_failed, environment, operator_failed, say, usage};

const CONTRACT: &str = "fleet";
const QUIET: Duration = Duration::from_secs(7);
/// How long a fleet is watched doing nothing.
const IDLE: Duration = Duration::from_mins(1);

/// What happened in a while.
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

#[allow(
    clippy::too_many_lines,
    reason = "a list of figures in the order in which they are printed"
)]
pub(super) async fn run(quick: bool) -> Result<Vec<Figure>, BenchError> {
    let devices = if quick { 100 } else { 1000 };
    let mut environment = environment().await?;
    let plane = &environment.plane;
    let customer = Customer::new(plane, environment.operator.view(), "bench", devices, 0).await?;
    let ledger = customer.namespace.ledger();
    let process = environment.operator.process_id().unwrap_or_default();
    let empty = usage::of(process)?;
    customer.apply().await?;
    let names = customer.names();
    let contracts = [customer.contract(CONTRACT, namespace::now(), &names)];
    customer.apply_contracts(&contracts).await?;
    customer.until_delivered(CONTRACT, devices).await?;
    until_quiet(plane, &[ledger], QUIET).await?;

    say(&format!(
        "  {devices} devices are settled; all is applied again"
    ));
    let since = Since::now(plane, ledger).await?;
    customer.apply().await?;
    customer.apply_contracts(&contracts).await?;
    until_quiet(plane, &[ledger], QUIET).await?;
    let mut figures = nothing("applied again", &since.seen().await?);

    say("  the operator is started again");
    let since = Since::now(plane, ledger).await?;
    environment
        .operator
        .restart()
        .await
        .map_err(operator_failed)?;
    until_quiet(plane, &[ledger], QUIET).await?;
    let seen = since.seen().await?;
    figures.extend(nothing("operator started again", &seen));
    figures.push(
        Figure::new(
            "operator started again: API reads",
            count(seen.requests.read()),
            "",
        )
        .detail(requests::all(&seen.requests.reads)),
    );

    say("  the fleet is left alone for a minute");
    let since = Since::now(plane, ledger).await?;
    tokio::time::sleep(IDLE).await;
    let seen = since.seen().await?;
    let all = seen.requests.written() + seen.requests.read() + seen.requests.watches;
    let idle = Figure::new("idle: API requests in a minute", count(all), "");
    figures.push(idle.at_most(40.0).detail(format!(
        "{} watches, {} reads, {} writes; {} requests to devices and broker",
        seen.requests.watches,
        seen.requests.read(),
        seen.requests.written(),
        seen.calls + seen.probes,
    )));
    let process = environment.operator.process_id().unwrap_or_default();
    let memory = usage::of(process)?;
    figures.push(
        Figure::new(
            format!("idle: memory with {devices} devices"),
            memory.resident_mebibytes,
            "MiB",
        )
        .detail(format!(
            "VmRSS after the new start; VmHWM {:.1} MiB; {:.1} MiB without any device",
            memory.peak_mebibytes, empty.resident_mebibytes
        )),
    );
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(figures)
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
