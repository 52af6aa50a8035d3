//! The Entente operator: parse, build, run, exit code.
//!
//! Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage.

mod admin;
mod args;
mod board;
mod bounded_http;
mod certificate;
mod descriptors;
mod election;
mod events_endpoint;
mod gateway;
mod label_selector;
mod operator;
mod probe;
mod servers;
mod telemetry;
mod traces;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use crate::{
    args::{Args, Command},
    operator::OperatorError,
    telemetry::LogLevel,
    traces::Traces,
};

/// Gives free memory back, which the system's allocator keeps in pieces between what the caches
/// hold. Settings: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // The one TLS provider of the process, before anything can ask for another. It fails only
    // when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let wrong = |flag: &str, problem: &dyn std::fmt::Display| -> ! {
        let message = format!("{flag}: {problem}");
        Args::command()
            .error(ErrorKind::ValueValidation, message)
            .exit()
    };
    if let Some(problem) = args.board_problem() {
        wrong("--board-address", &problem);
    }
    if let Some(Command::Gateway(flags)) = &args.command
        && let Some(problem) = flags.problem()
    {
        wrong("--listen", &problem);
    }
    let replica = args.pod_name.as_deref();
    let traces = args.traces_endpoint.as_deref();
    let traces = traces.map(|endpoint| Traces::to(endpoint, replica));
    let traces = traces.transpose();
    let traces = traces.unwrap_or_else(|error| wrong("--traces-endpoint", &error));
    let log = match &args.command {
        Some(Command::Gateway(flags)) => flags.log.clone(),
        _ => args.log.clone(),
    };
    let level = telemetry::start(&log.level, log.format, traces.as_ref());
    let level = level.unwrap_or_else(|error| wrong("--log-level", &error));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = match &args.command {
                Some(Command::Probe(probe)) => runtime.block_on(probe::exit_code(probe)),
                Some(Command::Gateway(flags)) => {
                    let running = following(gateway::run((**flags).clone()), level, log.level_file);
                    operator::exit_code(runtime.block_on(running))
                }
                None => {
                    let running = following(operator::run(args), level, log.level_file);
                    operator::exit_code(runtime.block_on(running))
                }
            };
            traces.inspect(Traces::end);
            // Work that has not ended by now, such as the lookup of a name, is not waited for.
            runtime.shutdown_background();
            code
        }
        Err(problem) => {
            tracing::error!(%problem, "no runtime");
            ExitCode::FAILURE
        }
    }
}

/// Waits for the operator, or the gateway, and follows the level of its log in a file meanwhile.
async fn following(
    running: impl Future<Output = Result<(), OperatorError>>,
    level: LogLevel,
    file: Option<PathBuf>,
) -> Result<(), OperatorError> {
    let Some(file) = file else {
        return running.await;
    };
    tokio::select! {
        ended = running => ended,
        never = level.follow(&file) => match never {},
    }
}
