//! The program `entente-agent`.

use std::process::ExitCode;

use clap::Parser;
use entente_agent::{args::Arguments, commands};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    commands::run(Arguments::parse()).await
}
