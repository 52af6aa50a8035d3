//! From the start instant of contracts to the first request to their devices, and what was sent
//! before it.
//!
//! One contract has one device. The times are those of the ledger of the simulated devices, on the
//! clock that the operator reads, too.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use entente_e2e::namespace;
use entente_simulators::{Cause, Entry, PeerKind};
use jiff::{SignedDuration, Timestamp};

use super::customer::{Customer, until_quiet};
use super::figure::{Figure, count, quantile};
use super::{BenchError, WITHIN, environment, operator_failed, say};

/// The instants at which one contract alone begins, a second apart.
const SINGLE: usize = 10;
const QUIET: Duration = Duration::from_secs(2);

pub(super) async fn run(quick: bool) -> Result<Vec<Figure>, BenchError> {
    let (many, ahead) = if quick { (100, 15) } else { (1000, 60) };
    let mut environment = environment().await?;
    let singles = Customer::new(
        &environment.plane,
        environment.operator.view(),
        "bench-one",
        SINGLE,
        0,
    )
    .await?;
    let alone = lateness(
        &singles,
        Duration::from_secs(10),
        SignedDuration::from_secs(1),
    )
    .await?;
    let fleet = Customer::new(
        &environment.plane,
        environment.operator.view(),
        "bench-many",
        many,
        SINGLE,
    )
    .await?;
    let together = lateness(&fleet, Duration::from_secs(ahead), SignedDuration::ZERO).await?;
    drop((singles, fleet));
    environment.operator.stop().await.map_err(operator_failed)?;
    environment.plane.stop().await;

    let early = alone.early + together.early;
    let probes = alone.probes + together.probes;
    Ok(vec![
        first("1 contract at an instant", &alone, 50.0),
        first(
            &format!("{many} contracts at one instant"),
            &together,
            1000.0,
        ),
        Figure::new("requests before the instant", count(early), "")
            .at_most(0.0)
            .detail(format!("probes apart: {probes}")),
    ])
}

/// What the ledger says of the contracts of one customer.
struct Lateness {
    milliseconds: Vec<f64>,
    early: usize,
    probes: usize,
}

fn first(what: &str, seen: &Lateness, most: f64) -> Figure {
    let at = |share: f64| quantile(&seen.milliseconds, share);
    Figure::new(format!("{what}: first device request, p99"), at(0.99), "ms")
        .at_most(most)
        .detail(format!(
            "p50 {:.0} ms, last {:.0} ms, of {}",
            at(0.5),
            at(1.0),
            seen.milliseconds.len()
        ))
}

/// Applies contracts that begin so far ahead, one after the other with these gaps, and waits until
/// each has sent its first request.
async fn lateness(
    customer: &Customer<'_>,
    ahead: Duration,
    gap: SignedDuration,
) -> Result<Lateness, BenchError> {
    let namespace = &customer.namespace;
    customer.apply().await?;
    until_quiet(namespace.plane(), &[namespace.ledger()], QUIET).await?;
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
    until_quiet(namespace.plane(), &[namespace.ledger()], QUIET).await?;
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
    let entries = until_all_began(customer, &starts).await?;
    until_quiet(namespace.plane(), &[namespace.ledger()], QUIET).await?;
    Ok(judge(&starts, first_start, &entries))
}

async fn until_all_began(
    customer: &Customer<'_>,
    starts: &HashMap<String, Timestamp>,
) -> Result<Vec<Entry>, BenchError> {
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        let entries = customer.namespace.ledger().entries();
        let began: std::collections::HashSet<&str> = entries
            .iter()
            .filter(|entry| entry.write && entry.peer == PeerKind::Device)
            .map(|entry| entry.name.as_str())
            .collect();
        if began.len() == starts.len() {
            return Ok(entries);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(BenchError::Late {
        what: "not every device was asked".to_owned(),
        within: WITHIN,
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
