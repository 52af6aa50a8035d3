//! The benches: the costs of Entente, measured from outside on this machine.
//!
//! A figure is a ratio within one run, or a count from the API server's audit log or from the
//! ledger of the simulated peers; no assertion depends on time. Each comparison is with a dumb
//! client that sends the operator's requests for one device, without any logic. Each figure is
//! shown beside its budget; a budget that is missed is shown, and fails nothing. Called by the
//! program `bench`.

mod calling;
mod converge;
mod customer;
mod dumb;
mod fair;
mod figure;
mod hung;
mod meter;
mod open_files;
mod orders;
mod report;
mod requests;
mod sample;
mod settled;
mod start;
mod usage;

pub use calling::{BareServer, serve_as_bare_server};
pub use dumb::serve as serve_as_dumb_client;

use std::time::Duration;

use entente_e2e::control_plane::{AuditError, StartError};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::NamespaceError;
use entente_e2e::operator::{OperatorError, OperatorOptions};
use entente_simulators::SimulatorError;
use figure::Figure;

/// Default number of devices of the largest fleet.
pub const DEVICES: usize = 10_000;
/// Default number of devices that call.
pub const CALLING: usize = 10_000;
/// The namespace of a customer that is alone on its control plane.
const NAMESPACE: &str = "bench";
/// Time without any request after which a fleet is at rest. Counts of users in the catalogue are
/// gathered for 5 s.
const QUIET: Duration = Duration::from_secs(7);

/// Longest wait for anything that is measured with so many devices.
fn within(devices: usize) -> Duration {
    let each = Duration::from_millis(100);
    Duration::from_mins(3) + each * u32::try_from(devices).unwrap_or(u32::MAX)
}

/// Longest run of everything with fleets of so many devices at most, and with so many that call: 140
/// minutes with 10,000 of both.
fn all_within(devices: usize, calling: usize) -> Duration {
    let each = |milliseconds, number| {
        Duration::from_millis(milliseconds) * u32::try_from(number).unwrap_or(u32::MAX)
    };
    Duration::from_mins(25) + each(450, devices) + each(240, calling)
}

/// A bench, as it is named on the command line and in `docs/benchmarks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// Throughput, requests, memory and processor time against a dumb client.
    Converge,
    /// All applied again, the operator started again, and nothing to do.
    Settled,
    /// From the start instant to the first request.
    Start,
    /// One hung device among many.
    Hung,
    /// The start of one customer beside another with hung devices.
    Fair,
    /// Devices that call a gateway.
    Calling,
    /// Data of devices, against a reverse proxy.
    Events,
    /// Errors of devices, and the orders that follow.
    Orders,
}

impl Bench {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Converge,
        Self::Settled,
        Self::Start,
        Self::Hung,
        Self::Fair,
        Self::Calling,
        Self::Events,
        Self::Orders,
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converge => "converge",
            Self::Settled => "settled",
            Self::Start => "start",
            Self::Hung => "hung",
            Self::Fair => "fair",
            Self::Calling => "calling",
            Self::Events => "events",
            Self::Orders => "orders",
        }
    }
}

/// Options of a run.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Benches to run.
    pub benches: Vec<Bench>,
    /// Small numbers, to see that all works; nothing is written.
    pub quick: bool,
    /// Devices of the largest fleet; smaller ones are measured, too.
    pub devices: usize,
    /// Devices that call.
    pub calling: usize,
}

impl BenchOptions {
    /// Returns those of these sizes that are no larger than the largest fleet, or that one alone.
    fn sizes(&self, wanted: &[usize]) -> Vec<usize> {
        let largest = self.largest();
        let mut sizes: Vec<usize> = wanted.iter().copied().filter(|n| *n < largest).collect();
        sizes.push(largest);
        sizes
    }

    /// Returns the number of devices of the largest fleet.
    fn largest(&self) -> usize {
        if self.quick {
            self.devices.min(100)
        } else {
            self.devices
        }
    }

    /// Returns the number of devices that call.
    fn calling(&self) -> usize {
        calling::devices(self.calling, self.quick)
    }

    /// Returns the command that a person types for it.
    fn command(&self) -> String {
        let variables = [
            ("DEVICES", self.devices, DEVICES),
            ("CALLING", self.calling, CALLING),
        ];
        let others = variables.iter().filter(|(_, value, usual)| value != usual);
        let others = others.map(|(name, value, _)| format!(" {name}={value}"));
        std::iter::once("make bench".to_owned())
            .chain(others)
            .collect()
    }
}

/// Reason why a bench has no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No control plane.
    #[error("no control plane")]
    ControlPlane {
        /// The error of the control plane.
        source: StartError,
    },
    /// The operator could not be started or ended.
    #[error("the operator")]
    Operator {
        /// The error of the operator.
        source: OperatorError,
    },
    /// An object could not be applied.
    #[error("an object cannot be applied, or a simulator not be started")]
    Namespace {
        /// The error of the namespace.
        source: NamespaceError,
    },
    /// A simulator could not be started or steered.
    #[error("the simulators")]
    Simulator {
        /// The error of the simulator.
        source: SimulatorError,
    },
    /// A program of others could not be started.
    #[error("a peer")]
    Peer {
        /// The error of the peer.
        source: entente_e2e::peers::PeerError,
    },
    /// Requests cannot be counted.
    #[error("the audit log")]
    Audit {
        /// The error of the audit log.
        source: AuditError,
    },
    /// The measured work did not end.
    #[error("{what} after {within:?}")]
    Late {
        /// Description of the awaited state.
        what: String,
        /// Time limit of the wait.
        within: Duration,
    },
    /// The limit of open files.
    #[error("{0}; or measure fewer devices (`make bench DEVICES=1000 CALLING=1000`)")]
    OpenFiles(#[from] entente_e2e::descriptors::TooFew),
    /// A device that calls, or its server, did something unexpected.
    #[error("the devices that call: {problem}")]
    Calling {
        /// The problem.
        problem: String,
    },
    /// A file, a process or its standard streams.
    #[error("{what}")]
    System {
        /// The action that failed.
        what: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The dumb client failed, or its requests cannot be made.
    #[error("the dumb client: {problem}")]
    Dumb {
        /// The problem.
        problem: String,
    },
    /// A result that is not JSON of ours.
    #[error("{what}")]
    Json {
        /// Name of the text.
        what: String,
        /// Error of the parser.
        source: serde_json::Error,
    },
}

/// Runs the benches, prints their table and writes the results into `docs`.
///
/// # Errors
/// [`BenchError`] where something could not be measured at all.
pub async fn run(options: &BenchOptions) -> Result<(), BenchError> {
    let within = all_within(options.devices, options.calling);
    tokio::time::timeout(within, run_all(options))
        .await
        .map_err(|_| BenchError::Late {
            what: "the benches are not through".to_owned(),
            within,
        })?
}

async fn run_all(options: &BenchOptions) -> Result<(), BenchError> {
    let needed = open_files::needed(&options.benches, options.largest(), options.calling());
    open_files::raise(needed)?;
    let run = report::Run::begin();
    let mut all: Vec<(Bench, Vec<Figure>)> = Vec::new();
    for bench in &options.benches {
        say(&format!("{}:", bench.name()));
        let figures = match bench {
            Bench::Converge => converge::run(options).await?,
            Bench::Settled => settled::run(options).await?,
            Bench::Start => start::run(options).await?,
            Bench::Hung => hung::run(options).await?,
            Bench::Fair => fair::run(options).await?,
            Bench::Calling => calling::run(options).await?,
            Bench::Events => calling::events::run(options).await?,
            Bench::Orders => orders::run(options).await?,
        };
        all.push((*bench, figures));
    }
    report::print(&all);
    if !options.quick {
        report::write(&all, &run, &options.command())?;
    }
    say(&format!("took {} s", run.seconds()));
    Ok(())
}

/// Returns a fresh control plane with an operator on it.
async fn environment() -> Result<TestEnvironment, BenchError> {
    let options = OperatorOptions {
        flags: Vec::new(),
        ..OperatorOptions::default()
    };
    TestEnvironment::start(options)
        .await
        .map_err(operator_failed)
}

fn operator_failed(source: OperatorError) -> BenchError {
    BenchError::Operator { source }
}

fn namespace_failed(source: NamespaceError) -> BenchError {
    BenchError::Namespace { source }
}

fn audit_failed(source: AuditError) -> BenchError {
    BenchError::Audit { source }
}

/// Prints progress, for the person who waits.
fn say(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_end_with_the_largest_fleet_and_have_it_once() {
        let options = |quick, devices| BenchOptions {
            benches: Vec::new(),
            quick,
            devices,
            calling: CALLING,
        };
        assert_eq!(
            options(false, 10_000).sizes(&[100, 1000]),
            [100, 1000, 10_000]
        );
        assert_eq!(options(false, 1000).sizes(&[100, 1000]), [100, 1000]);
        assert_eq!(options(false, 300).sizes(&[100, 1000]), [100, 300]);
        assert_eq!(options(false, 50).sizes(&[100, 1000]), [50]);
        assert_eq!(options(true, 10_000).sizes(&[100, 1000]), [100]);
    }
}
