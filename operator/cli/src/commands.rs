//! Commands, one file each: read, have the domain decide, render.

mod debts;
mod late;
mod starts;
mod status;

use jiff::Timestamp;

use crate::args::{Args, Command};
use crate::cluster::{Cluster, ClusterError};
use crate::outcome::Outcome;
use crate::screen::Screen;

/// Reason why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The cluster did not answer, or refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
}

/// Runs the command of the arguments.
pub(crate) async fn run(args: Args, screen: &Screen) -> Result<Outcome, CommandError> {
    let cluster = Cluster::connect(&args.target).await?;
    let now = Timestamp::now();
    match args.command {
        Command::Status(args) => status::run(&cluster, &args, screen, now).await,
        Command::Starts(args) => starts::run(&cluster, &args, screen, now).await,
        Command::Owed(args) => debts::run(&cluster, &args, screen, now).await,
        Command::Late(args) => late::run(&cluster, &args, screen, now).await,
    }
}
