//! Batches one after the other, through the gateway and through nginx in turn: events a second, waits, and
//! processor time.
//!
//! The same devices send the same batches to the same inbox, each over a connection that stays open.
//! Called by this bench.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;

use super::super::fleet::{AT_ONCE, Fleet};
use super::super::line::Server;
use super::super::problem;
use super::Inbox;
use super::batch::{Sender, require_taken};
use super::proxy::Proxy;
use crate::figure::{Figure, count, mean, quantile};
use crate::{BenchError, say, usage};

/// Events of a batch: one, some, and the most there may be.
const SIZES: [usize; 3] = [1, 16, 256];
/// The least share of the events of nginx.
const SHARE: f64 = 0.5;

/// Figures, and the number of events that went through the gateway.
pub(super) struct Through {
    pub(super) figures: Vec<Figure>,
    pub(super) sent: usize,
}

/// One run through one server.
#[derive(Clone, Debug)]
struct Run {
    events: usize,
    seconds: f64,
    /// Processor time of the server.
    processor_seconds: f64,
    /// The wait for each answer in milliseconds.
    waits: Vec<f64>,
}

impl Run {
    fn rate(&self) -> f64 {
        count(self.events) / self.seconds
    }

    /// Returns the processor time for each event in microseconds.
    fn each(&self) -> f64 {
        self.processor_seconds * 1e6 / count(self.events.max(1))
    }
}

pub(super) async fn measure(
    fleet: &Fleet<'_>,
    inbox: &Inbox,
    nginx: &Path,
    quick: bool,
) -> Result<Through, BenchError> {
    let for_ = Duration::from_secs(if quick { 1 } else { 5 });
    let tls = fleet.gateway.tls_directory();
    let place = (tls, &*tls.join("nginx"));
    let proxy = Proxy::start(nginx, place, inbox.bare.address).await?;
    let mut through = Through {
        figures: Vec::new(),
        sent: 0,
    };
    let mut number = 0;
    for size in SIZES {
        // A drift of the machine meets both alike.
        let (mut ours, mut proxied) = (Vec::new(), Vec::new());
        for of_gateway in [true, false, false, true] {
            number += 1;
            let (server, process) = if of_gateway {
                (&fleet.server, fleet.process_id())
            } else {
                (&proxy.server, proxy.process_id())
            };
            let senders = senders(fleet, server, number)?;
            let taken = inbox.taken().await?;
            let run = run(server, process, senders, (size, for_)).await?;
            inbox.require(taken, run.waits.len()).await?;
            if of_gateway {
                through.sent += run.events;
                ours.push(run);
            } else {
                proxied.push(run);
            }
        }
        through.figures.extend(compare(size, &ours, &proxied));
    }
    proxy.stop().await?;
    Ok(through)
}

/// Returns the first devices, each with ids of this run.
fn senders(fleet: &Fleet<'_>, server: &Server, run: usize) -> Result<Vec<Sender>, BenchError> {
    let devices = fleet.devices.iter().take(AT_ONCE).enumerate();
    devices
        .map(|(number, device)| Sender::new(device, server, (number, run)))
        .collect()
}

async fn run(
    server: &Server,
    process: u32,
    senders: Vec<Sender>,
    (size, for_): (usize, Duration),
) -> Result<Run, BenchError> {
    let before = usage::processor_seconds_of_all(process)?;
    let began = Instant::now();
    let workers: FuturesUnordered<_> = senders
        .into_iter()
        .map(|sender| {
            let task = tokio::spawn(work(server.clone(), sender, size, began + for_));
            async move { task.await.map_err(problem)? }
        })
        .collect();
    let waits: Vec<Vec<f64>> = workers.try_collect().await?;
    let waits: Vec<f64> = waits.into_iter().flatten().collect();
    let run = Run {
        events: waits.len() * size,
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: usage::processor_seconds_of_all(process)? - before,
        waits,
    };
    say(&format!(
        "  batches of {size}: {:.0} events a second, {:.1} µs of processor each",
        run.rate(),
        run.each()
    ));
    Ok(run)
}

/// Sends batches of one device until an instant; returns the waits for their answers.
async fn work(
    server: Server,
    mut sender: Sender,
    size: usize,
    until: Instant,
) -> Result<Vec<f64>, BenchError> {
    let mut waits = Vec::new();
    let mut line = server.connect().await?;
    while Instant::now() < until {
        let request = sender.request(size);
        let began = Instant::now();
        let answer = line.send(request).await.map_err(problem)?;
        waits.push(began.elapsed().as_secs_f64() * 1000.0);
        require_taken(&answer, size)?;
    }
    Ok(waits)
}

/// Returns the figures of one size.
fn compare(size: usize, ours: &[Run], proxied: &[Run]) -> [Figure; 2] {
    // Of each the run that the rest of the machine disturbed least.
    let best = |runs: &[Run]| runs.iter().map(Run::rate).fold(0.0, f64::max);
    let processor = |runs: &[Run]| mean(&runs.iter().map(Run::each).collect::<Vec<_>>());
    let title = |what: &str| format!("batches of {size}: {what}");
    let share = best(ours) / best(proxied);
    [
        Figure::new(title("share of the events that nginx brings"), share, "")
            .at_least(SHARE)
            .detail(format!(
                "gateway {}; nginx {}; TLS on both sides, with devices and inbox on this machine",
                words(ours),
                words(proxied)
            )),
        Figure::new(
            title("processor time against nginx"),
            processor(ours) / processor(proxied),
            "",
        )
        .detail(format!(
            "gateway {:.1} µs for each event, nginx {:.1} µs: load of others matters less",
            processor(ours),
            processor(proxied)
        )),
    ]
}

/// Returns events and requests a second of each run, and the waits of all.
fn words(runs: &[Run]) -> String {
    let rates: Vec<String> = runs
        .iter()
        .map(|run| {
            let requests = count(run.waits.len()) / run.seconds;
            format!("{:.0} ({requests:.0} requests)", run.rate())
        })
        .collect();
    let waits: Vec<f64> = runs.iter().flat_map(|run| run.waits.clone()).collect();
    format!(
        "{} events a second, answered after p50 {:.1} ms, p99 {:.1} ms",
        rates.join(" and "),
        quantile(&waits, 0.5),
        quantile(&waits, 0.99)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_best_runs_and_half_of_nginx_is_the_goal() {
        let run = |events, seconds, processor_seconds| Run {
            events,
            seconds,
            processor_seconds,
            waits: vec![1.0, 3.0],
        };
        let ours = [run(1000, 1.0, 0.1), run(3000, 2.0, 0.6)];
        let proxied = [run(3000, 1.0, 0.15), run(1000, 1.0, 0.05)];
        let [share, processor] = compare(16, &ours, &proxied);
        assert!((share.value - 0.5).abs() < 1e-9, "{share:?}");
        assert_eq!(share.verdict(), "kept");
        let detail = "gateway 1000 (2 requests) and 1500 (1 requests) events a second";
        assert!(share.detail.starts_with(detail), "{share:?}");
        assert!(share.detail.contains("p50 1.0 ms, p99 3.0 ms"), "{share:?}");
        assert!((processor.value - 3.0).abs() < 1e-9, "{processor:?}");
        let [share, _] = compare(16, &ours[..1], &proxied);
        assert!(share.verdict().starts_with("missed"), "{share:?}");
    }
}
