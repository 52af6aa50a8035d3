//! `kubectl entente`: what people ask of contracts, answered in a terminal.
//!
//! It parses, reads the cluster with the rights of its caller, has `entente-domain` decide, and prints
//! once at the end. It writes to the cluster in one command only, `reconcile`, and there one annotation.
//! Decisions and views are in the domain; nothing here judges an object.

mod args;
mod cluster;
mod commands;
mod judge;
mod manifests;
mod objects;
mod outcome;
mod own_rules;
mod redact;
mod render;
mod screen;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use outcome::Outcome;
use screen::Screen;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Not clap's own code for wrong usage, 2: that means "in progress" here.
            let code = u8::from(error.use_stderr());
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let screen = Screen::of_process();
    let outcome = match commands::run(args, &screen).await {
        Ok(outcome) => outcome,
        Err(error) => Outcome::failed(error.to_string()),
    };
    outcome.print()
}
