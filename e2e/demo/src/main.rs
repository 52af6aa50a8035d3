//! `demo`: a contract comes into force on seven devices, while you watch.
//!
//! Exit codes: 0 all is as it has to be, 1 something is not or could not be started, 2 wrong usage,
//! 130 interrupted.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use entente_demo::{DemoError, DemoOptions};

/// Shows a contract coming into force on seven devices: four good, one good and behind a firewall,
/// one whose setting never takes effect, one switched off.
#[derive(Debug, Parser)]
#[command(name = "demo", version, about)]
struct Arguments {
    /// Programs that serve as devices and service server
    #[arg(long, env = "PEERS", value_enum, default_value_t = Peers::Embedded)]
    peers: Peers,
    /// Leave everything running at the end, and print commands for looking around
    #[arg(long, env = "KEEP", value_parser = clap::builder::FalseyValueParser::new(),
          num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    keep: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Peers {
    /// Simulators in this process
    Embedded,
    /// cupsd, lprint and openbrokerapi
    Real,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = DemoOptions {
        peers: match arguments.peers {
            Peers::Embedded => entente_demo::Peers::Embedded,
            Peers::Real => entente_demo::Peers::Real,
        },
        keep: arguments.keep,
    };
    let shown = if options.keep {
        // It listens for Ctrl-C itself, once there is something to leave running.
        entente_demo::run(options).await
    } else {
        tokio::select! {
            shown = entente_demo::run(options) => shown,
            _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
        }
    };
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &DemoError) {
    eprintln!("\ndemo: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  {cause}");
        source = cause.source();
    }
}
