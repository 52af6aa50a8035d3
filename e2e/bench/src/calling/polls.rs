//! Answers that nothing has changed: how many in a second, at which cost, and of how many bytes.
//!
//! The gateway and a server that answers 304 to everything are asked the same in turn, by the same
//! client: over connections that stay open, and by a new connection for each request, as a device does
//! that calls once a day. Called by this bench.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use futures::stream::FuturesUnordered;

use super::bare::{Bare, BareServer};
use super::device::Reading;
use super::fleet::{AT_ONCE, Fleet};
use super::line::{Carried, Line, Server};
use super::problem;
use crate::figure::{Figure, count, mean};
use crate::{BenchError, say, usage};

/// One run against one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    answers: usize,
    seconds: f64,
    /// Processor time of the server.
    processor_seconds: f64,
}

impl Run {
    fn rate(&self) -> f64 {
        count(self.answers) / self.seconds
    }

    /// Returns the processor time for each answer in microseconds.
    fn each(&self) -> f64 {
        self.processor_seconds * 1e6 / count(self.answers)
    }
}

/// Connections of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As many as there are workers; each carries requests of many devices in turn.
    Open,
    /// A new one for each request.
    New,
}

pub(super) async fn measure(fleet: &Fleet<'_>, for_: Duration) -> Result<Vec<Figure>, BenchError> {
    let bare = Bare::start(BareServer::NotModified, fleet.gateway.tls_directory()).await?;
    let certificate = fleet.gateway.certificate();
    let readings = fleet.devices.iter().map(|it| it.reading(&fleet.server));
    let readings: Vec<Reading> = readings.collect::<Result<_, _>>()?;
    let mut figures = Vec::new();
    for manner in [Manner::Open, Manner::New] {
        // A drift of the machine meets both alike.
        let (mut ours, mut bares) = (Vec::new(), Vec::new());
        for of_gateway in [true, false, false, true] {
            let run = if of_gateway {
                let process = fleet.process_id();
                run(&fleet.server, process, &readings, manner, for_).await?
            } else {
                let server = Server::new(bare.address, &certificate)?;
                run(&server, bare.process_id(), &readings, manner, for_).await?
            };
            if of_gateway { &mut ours } else { &mut bares }.push(run);
        }
        figures.extend(compare(readings.len(), manner, &ours, &bares));
    }
    figures.push(bytes(&fleet.server, &readings[0], &certificate).await?);
    Ok(figures)
}

/// Asks a server for so long, in turn for each device.
async fn run(
    server: &Server,
    process: u32,
    readings: &[Reading],
    manner: Manner,
    for_: Duration,
) -> Result<Run, BenchError> {
    let before = usage::of(process)?.processor_seconds;
    let began = Instant::now();
    let parts = readings.chunks(readings.len().div_ceil(AT_ONCE));
    let workers: FuturesUnordered<_> = parts
        .map(|part| {
            let (server, part) = (server.clone(), part.to_vec());
            let task = tokio::spawn(work(server, part, manner, began + for_));
            async move { task.await.map_err(problem)? }
        })
        .collect();
    let answers: Vec<usize> = workers.try_collect().await?;
    let run = Run {
        answers: answers.into_iter().sum(),
        seconds: began.elapsed().as_secs_f64(),
        processor_seconds: usage::of(process)?.processor_seconds - before,
    };
    say(&format!(
        "  {manner:?} connections: {:.0} answers a second, {:.0} µs of processor each",
        run.rate(),
        run.each()
    ));
    Ok(run)
}

async fn work(
    server: Server,
    readings: Vec<Reading>,
    manner: Manner,
    until: Instant,
) -> Result<usize, BenchError> {
    let mut answers = 0;
    let mut line: Option<Line> = None;
    for reading in readings.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        let mut open = match line.take().filter(|_| manner == Manner::Open) {
            Some(line) => line,
            None => server.connect().await?,
        };
        let answer = open.send(reading.request()).await.map_err(problem)?;
        if answer.status != 304 {
            return Err(super::device::unexpected("a twin as before", &answer));
        }
        answers += 1;
        line = Some(open);
    }
    Ok(answers)
}

/// Returns the figures of one manner.
fn compare(devices: usize, manner: Manner, ours: &[Run], bares: &[Run]) -> [Figure; 2] {
    // Of each the run that the rest of the machine disturbed least.
    let best = |runs: &[Run]| runs.iter().map(Run::rate).fold(0.0, f64::max);
    let rates = |runs: &[Run]| {
        let rates: Vec<String> = runs
            .iter()
            .map(|run| format!("{:.0}", run.rate()))
            .collect();
        rates.join(" and ")
    };
    let processor = |runs: &[Run]| mean(&runs.iter().map(Run::each).collect::<Vec<_>>());
    let words = match manner {
        Manner::Open => format!("over {} open connections", AT_ONCE.min(devices)),
        Manner::New => "by a new connection each".to_owned(),
    };
    let title = |what: &str| format!("{devices} devices, 304 {words}: {what}");
    let share = best(ours) / best(bares);
    [
        Figure::new(title("share of what a bare server answers"), share, "").detail(format!(
            "gateway {} a second, bare server {} a second; TLS with both, and with the client on this \
             machine",
            rates(ours),
            rates(bares)
        )),
        Figure::new(
            title("processor time against a bare server"),
            processor(ours) / processor(bares),
            "",
        )
        .detail(format!(
            "{:.0} µs for each, bare server {:.0} µs: load of others matters less",
            processor(ours),
            processor(bares)
        )),
    ]
}

/// Counts the bytes of one 304 over a connection that is open, and of the one that opens it.
async fn bytes(
    server: &Server,
    reading: &Reading,
    certificate: &Path,
) -> Result<Figure, BenchError> {
    let mut line = server.connect().await?;
    let mut carried = Vec::new();
    // The first answer comes with what the server sends once for a connection.
    for _ in 0..3 {
        let answer = line.send(reading.request()).await.map_err(problem)?;
        if answer.status != 304 {
            return Err(super::device::unexpected("a twin as before", &answer));
        }
        carried.push(line.carried());
    }
    let long = std::fs::metadata(certificate).map_err(problem)?.len();
    Ok(of_bytes(&carried, long))
}

fn of_bytes(carried: &[Carried], certificate: u64) -> Figure {
    let [first, second, third] = carried else {
        return Figure::new("bytes", f64::NAN, "B");
    };
    let one = third.since(*second);
    let opening = first.both() - one.both();
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of one request are far below 2⁵²"
    )]
    let value = one.both() as f64;
    Figure::new("bytes on the wire for each 304", value, "B").detail(format!(
        "request {} and answer {}, TLS included, TCP and IP not; a new connection needs {opening} \
         more, with a self-signed certificate of {certificate} bytes in PEM",
        one.sent, one.received
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(answers: usize, seconds: f64, processor_seconds: f64) -> Run {
        Run {
            answers,
            seconds,
            processor_seconds,
        }
    }

    #[test]
    fn the_share_is_of_the_best_runs_and_the_processor_time_a_mean() {
        let ours = [run(1000, 1.0, 0.1), run(3000, 2.0, 0.6)];
        let bares = [run(3000, 1.0, 0.15), run(1000, 1.0, 0.05)];
        let [share, processor] = compare(10_000, Manner::Open, &ours, &bares);
        assert!((share.value - 0.5).abs() < 1e-9, "{share:?}");
        assert!((processor.value - 3.0).abs() < 1e-9, "{processor:?}");
        assert!(share.what.contains("over 64 open connections"), "{share:?}");
        assert!(
            share.detail.starts_with("gateway 1000 and 1500 a second"),
            "{share:?}"
        );
        let [share, _] = compare(10, Manner::Open, &ours, &bares);
        assert!(share.what.contains("over 10 open"), "{share:?}");
    }

    #[test]
    fn the_bytes_of_an_answer_are_those_after_the_connection_was_opened() {
        let carried = |sent, received| Carried { sent, received };
        let all = [carried(900, 2000), carried(1100, 2250), carried(1300, 2400)];
        let figure = of_bytes(&all, 600);
        assert!((figure.value - 350.0).abs() < 1e-9, "{figure:?}");
        assert!(
            figure.detail.starts_with("request 200 and answer 150,"),
            "{figure:?}"
        );
        assert!(figure.detail.contains("needs 2550 more"), "{figure:?}");
    }
}
