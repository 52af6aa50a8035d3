//! `bench`: the costs of Entente on this machine, compared with a dumb client.
//!
//! Exit codes: 0 measured (budgets kept or not), 1 something could not be measured, 2 wrong usage,
//! 130 interrupted.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::{Parser, ValueEnum};
use entente_bench::{BareServer, Bench, BenchError, BenchOptions};

/// The allocator of the operator, since the dumb client is this program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Names the operator's binary for the harness.
const BINARY_VARIABLE: &str = "ENTENTE_OPERATOR_BINARY";

/// Measures the operator on a real API server with simulated devices, and writes docs/benchmarks.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about)]
struct Arguments {
    /// Small numbers, to see that all works; nothing is written
    #[arg(long)]
    quick: bool,
    /// Devices of the largest fleet; fleets of 100 and of 1000 are measured, too, if it is larger
    #[arg(long, default_value_t = entente_bench::DEVICES, value_parser = devices)]
    devices: usize,
    /// Devices that call a gateway
    #[arg(long, default_value_t = entente_bench::CALLING, value_parser = devices)]
    calling: usize,
    /// Only this one; may be given more than once
    #[arg(long, value_enum)]
    only: Vec<Which>,
    /// Be the dumb client; the order comes on standard input
    #[arg(long, hide = true)]
    dumb_client: bool,
    /// Be such a server; the directory of its certificate comes on standard input
    #[arg(long, hide = true, value_enum)]
    bare_server: Option<BareServer>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Throughput, requests, memory and processor time against a dumb client
    Converge,
    /// All applied again, the operator started again, and nothing to do
    Settled,
    /// From the start instant to the first request
    Start,
    /// One hung device among many
    Hung,
    /// The start of one customer beside another with hung devices
    Fair,
    /// Devices that call a gateway
    Calling,
    /// Data of devices that call, through a gateway and through a reverse proxy
    Events,
    /// Errors of devices, and the orders that follow
    Orders,
}

/// Reads a number of devices: at most as many as have an address of their own, also if several
/// fleets share a control plane.
fn devices(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=50_000) => Ok(number),
        _ => Err("a number from 1 to 50000 is needed".to_owned()),
    }
}

impl From<Which> for Bench {
    fn from(which: Which) -> Self {
        match which {
            Which::Converge => Self::Converge,
            Which::Settled => Self::Settled,
            Which::Start => Self::Start,
            Which::Hung => Self::Hung,
            Which::Fair => Self::Fair,
            Which::Calling => Self::Calling,
            Which::Events => Self::Events,
            Which::Orders => Self::Orders,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.dumb_client
        && std::env::var_os(BINARY_VARIABLE).is_none_or(|path| path.is_empty())
    {
        return with_own_operator();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(problem) => {
            eprintln!("bench: no runtime: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program again with the operator that was built beside it: the one with the same
/// optimisation.
fn with_own_operator() -> ExitCode {
    let problem = match std::env::current_exe() {
        Ok(program) => Command::new(&program)
            .args(std::env::args_os().skip(1))
            .env(BINARY_VARIABLE, program.with_file_name("entente-operator"))
            .exec(),
        Err(problem) => problem,
    };
    eprintln!("bench: cannot start itself: {problem}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> ExitCode {
    let benches: Vec<Bench> = if arguments.only.is_empty() {
        Bench::ALL.to_vec()
    } else {
        arguments.only.into_iter().map(Bench::from).collect()
    };
    let options = BenchOptions {
        benches,
        quick: arguments.quick,
        devices: arguments.devices,
        calling: arguments.calling,
    };
    let measured = async {
        if arguments.dumb_client {
            entente_bench::serve_as_dumb_client().await
        } else if let Some(kind) = arguments.bare_server {
            entente_bench::serve_as_bare_server(kind).await
        } else {
            entente_bench::run(&options).await
        }
    };
    tokio::select! {
        measured = measured => match measured {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => ExitCode::from(130),
    }
}

fn complain(error: &BenchError) {
    eprintln!("\nbench: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  {cause}");
        source = cause.source();
    }
}
