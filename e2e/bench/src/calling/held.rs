//! The memory of the gateway for each request that it holds, with every device holding one.
//!
//! The gateway is started again before, so that its memory at rest is that of its caches and not what
//! earlier requests have left. Called by this bench.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::device::Reading;
use super::fleet::{AT_ONCE, Fleet};
use super::line::Server;
use super::problem;
use crate::figure::{Figure, count};
use crate::usage::{self, Usage, megabytes};
use crate::{BenchError, operator_failed, say};

/// Bytes that a request which is held may need: 30 KiB.
const FOR_EACH: f64 = 30.0 * 1024.0;
/// The longest time for which the gateway holds a request, in seconds.
const WAIT: u64 = 60;
/// Time until all are held: the first of them must not have ended.
const WITHIN: Duration = Duration::from_secs(50);
/// Interval between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Gauge of the gateway.
const HELD: &str = "entente_gateway_held_requests";

pub(super) async fn measure(fleet: &mut Fleet<'_>) -> Result<Figure, BenchError> {
    let restarted = fleet.gateway.restart().await;
    restarted.map_err(operator_failed)?;
    fleet.until_quiet().await?;
    let empty = usage::of(fleet.process_id())?;
    let mut requests = JoinSet::new();
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    for device in &fleet.devices {
        let reading = device.reading(&fleet.server)?.held(WAIT)?;
        requests.spawn(hold(fleet.server.clone(), reading, Arc::clone(&slots)));
    }
    let began = Instant::now();
    let all = fleet.devices.len();
    until_held(fleet, &mut requests, all).await?;
    let full = usage::of(fleet.process_id())?;
    say(&format!(
        "  {all} requests are held {:.1} s after the first",
        began.elapsed().as_secs_f64()
    ));
    requests.shutdown().await;
    // Nothing of them is left when their devices are gone.
    until_held(fleet, &mut requests, 0).await?;
    Ok(figure(all, empty, full))
}

/// Sends a request that is held; returns the status of its answer.
async fn hold(server: Server, reading: Reading, slots: Arc<Semaphore>) -> Result<u16, BenchError> {
    let slot = slots.acquire_owned().await.map_err(problem)?;
    let mut line = server.connect().await?;
    drop(slot);
    let answer = line.send(reading.request()).await.map_err(problem)?;
    Ok(answer.status)
}

/// Waits until the gateway holds so many requests.
async fn until_held(
    fleet: &Fleet<'_>,
    requests: &mut JoinSet<Result<u16, BenchError>>,
    wanted: usize,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + WITHIN;
    let view = fleet.gateway.view();
    let mut told = 0;
    loop {
        let metrics = view.get("/metrics").await.map_err(operator_failed)?;
        let held = gauge(&metrics);
        if held == Some(wanted) {
            return Ok(());
        }
        if let Some(ended) = requests.try_join_next() {
            let status = ended.map_err(problem)??;
            return Err(problem(format!(
                "a request that is held was answered {status}"
            )));
        }
        if Instant::now() >= deadline {
            return Err(BenchError::Late {
                what: format!("{wanted} requests are not held, but {held:?}"),
                within: WITHIN,
            });
        }
        let held = held.unwrap_or_default();
        if held / 2000 > told {
            told = held / 2000;
            say(&format!("  {held} requests are held"));
        }
        // The pause between two looks, until the deadline.
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads the number of requests that are held.
fn gauge(metrics: &str) -> Option<usize> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(HELD));
    value?.trim().parse().ok()
}

fn figure(devices: usize, empty: Usage, full: Usage) -> Figure {
    let each = |bytes: f64| bytes / count(devices);
    let grown = full.resident_bytes - empty.resident_bytes;
    let heap = full.anonymous_bytes - empty.anonymous_bytes;
    let title = format!("{devices} held requests: resident memory for each");
    let figure = Figure::new(title, each(grown), "B").at_most(FOR_EACH);
    figure.detail(format!(
        "TLS on, a connection each; how much VmRSS of the gateway is larger than after a new start, \
         {:.1} and {:.1} MB; heap and stacks alone {:.0} B each; buffers of the kernel are not in it",
        megabytes(empty.resident_bytes),
        megabytes(full.resident_bytes),
        each(heap)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_the_growth_for_each_and_the_goal_is_30_kibibytes() {
        let usage = |resident_bytes, anonymous_bytes| Usage {
            resident_bytes,
            anonymous_bytes,
            ..Usage::default()
        };
        let of = |full| figure(1000, usage(20e6, 10e6), usage(full, 35e6));
        let kept = of(50e6);
        assert!((kept.value - 30_000.0).abs() < 1e-6, "{kept:?}");
        assert_eq!(kept.verdict(), "kept");
        assert!(kept.detail.contains("alone 25000 B"), "{kept:?}");
        assert!(of(51e6).verdict().starts_with("missed"));
    }

    #[test]
    fn the_gauge_is_read_from_the_text_of_the_metrics() {
        let text = "# TYPE entente_gateway_held_requests gauge\nentente_gateway_held_requests 42\n";
        assert_eq!(gauge(text), Some(42));
        assert_eq!(gauge("# EOF\n"), None);
    }
}
