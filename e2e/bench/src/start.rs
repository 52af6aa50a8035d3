//! The delay from the start instant of contracts to the first request to their devices, and the
//! requests before it.
//!
//! One contract has one device; each number of contracts has a control plane of its own. The times are those of the ledger of the simulated devices, on the
//! clock that the operator reads, too.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use entente_e2e::namespace;
use entente_simulators::{Cause, Entry, PeerKind};
use jiff::{SignedDuration, Timestamp};

use super::customer::Customer;
use super::figure::{Budget, Figure, count};
use super::{BenchError, BenchOptions, NAMESPACE, environment, operator_failed, say, within};

/// The instants at which one contract alone begins, a second apart.
const SINGLE: usize = 10;
/// The longest time to the first request, p99, in milliseconds: for one contract at an instant, and
/// for so many at most.
const ONE: f64 = 50.0;
const MANY: [(usize, f64); 2] = [(1000, 500.0), (10_000, 1500.0)];
const QUIET: Duration = Duration::from_secs(2);
/// For the first request after the start instant.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn run(options: &BenchOptions) -> Result<Vec<Figure>, BenchError> {
    let single = Duration::from_secs(10);
    let alone = fleet(SINGLE, single, SignedDuration::from_secs(1)).await?;
    let mut figures = vec![first("1 contract at an instant", &alone, Some(ONE))];
    let (mut early, mut probes) = (alone.early, alone.probes);
    for many in options.sizes(&[1000]) {
        // So long before the start they are applied that all are known by then.
        let ahead = Duration::from_secs(15)
            + Duration::from_millis(45) * u32::try_from(many).unwrap_or(u32::MAX);
        let together = fleet(many, ahead, SignedDuration::ZERO).await?;
        let most = MANY.iter().find(|(size, _)| many <= *size);
        let title = format!("{many} contracts at one instant");
        figures.push(first(&title, &together, most.map(|(_, most)| *most)));
        early += together.early;
        probes += together.probes;
    }
    let before = Figure::new("requests before the instant", count(early), "");
    figures.push(
        before
            .at_most(0.0)
            .detail(format!("probes apart: {probes}")),
    );
    Ok(figures)
}

/// Measures contracts of so many devices on a control plane of their own.
async fn fleet(
    devices: usize,
    ahead: Duration,
    gap: SignedDuration,
) -> Result<Lateness, BenchError> {
    let mut environment = environment().await?;
    let (plane, view) = (&environment.plane, environment.operator.view());
    let customer = Customer::new(plane, view, NAMESPACE, devices, 0).await?;
    let seen = lateness(&customer, ahead, gap).await?;
    drop(customer);
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;
    Ok(seen)
}

/// Facts in the ledger about the contracts of one customer.
struct Lateness {
    milliseconds: Vec<f64>,
    early: usize,
    probes: usize,
}

fn first(what: &str, seen: &Lateness, most: Option<f64>) -> Figure {
    let title = format!("{what}: first device request, p99");
    let mut figure = Figure::p99(title, &seen.milliseconds);
    figure.budget = most.map(Budget::Most);
    figure
}

/// Applies contracts that begin so far ahead, one after the other with these gaps, and waits until
/// each has sent its first request.
async fn lateness(
    customer: &Customer<'_>,
    ahead: Duration,
    gap: SignedDuration,
) -> Result<Lateness, BenchError> {
    customer.apply().await?;
    customer.until_quiet(QUIET).await?;
    let names = customer.names();
    let mut start = namespace::starting_in(ahead);
    let first_start = start;
    let mut starts: HashMap<String, Timestamp> = HashMap::new();
    let mut contracts = Vec::new();
    for name in &names {
        contracts.push(customer.contract(&format!("c-{name}"), start, &[name]));
        starts.insert((*name).to_owned(), start);
        start += gap;
    }
    customer.apply_contracts(&contracts).await?;
    customer.until_quiet(QUIET).await?;
    let left = first_start.duration_since(Timestamp::now());
    say(&format!(
        "  {} contracts are known {:.1} s before the start",
        contracts.len(),
        left.as_secs_f64()
    ));
    if left.is_negative() {
        return Err(BenchError::Late {
            what: "the contracts were not known before their start".to_owned(),
            within: ahead,
        });
    }
    // Until the instant at which the contracts begin.
    tokio::time::sleep(left.unsigned_abs()).await;
    let entries = until_all_began(customer, &starts).await?;
    customer.until_quiet(QUIET).await?;
    Ok(judge(&starts, first_start, &entries))
}

/// Waits until each device was written to; returns every request so far.
async fn until_all_began(
    customer: &Customer<'_>,
    starts: &HashMap<String, Timestamp>,
) -> Result<Vec<Entry>, BenchError> {
    let ledger = customer.namespace.ledger();
    let within = within(starts.len());
    let deadline = Instant::now() + within;
    let (mut began, mut position) = (HashSet::new(), 0);
    while Instant::now() < deadline {
        // Entries already read are not read again: reading must not slow the measured work.
        let entries = ledger.entries_since(position);
        position = entries.last().map_or(position, |entry| entry.sequence);
        let written = entries
            .into_iter()
            .filter(|entry| entry.write && entry.peer == PeerKind::Device);
        began.extend(written.map(|entry| entry.name));
        if began.len() == starts.len() {
            return Ok(ledger.entries());
        }
        // The pause between two looks, until the deadline.
        tokio::time::sleep(LOOK).await;
    }
    Err(BenchError::Late {
        what: "not every device was asked".to_owned(),
        within,
    })
}

fn judge(starts: &HashMap<String, Timestamp>, first: Timestamp, entries: &[Entry]) -> Lateness {
    let mut begun: HashMap<&str, f64> = HashMap::new();
    let (mut early, mut probes) = (0, 0);
    let requests = entries.iter().filter(|entry| entry.cause == Cause::Request);
    for entry in requests {
        // An instance of the broker has no name of ours: no request for any before the first.
        let start = starts.get(&entry.name).copied().unwrap_or(first);
        let late = entry.time().duration_since(start);
        match (entry.probe, late.is_negative()) {
            (true, true) => probes += 1,
            (false, true) => early += 1,
            (false, false) if entry.peer == PeerKind::Device => {
                begun
                    .entry(&entry.name)
                    .or_insert(late.as_secs_f64() * 1000.0);
            }
            _ => {}
        }
    }
    Lateness {
        milliseconds: begun.into_values().collect(),
        early,
        probes,
    }
}
