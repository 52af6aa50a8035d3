//! Commands, one file each: read, have the domain decide, render.

pub(crate) mod check;
mod debts;
mod late;
pub(crate) mod plan;
mod reconcile;
mod starts;
mod status;
mod support_bundle;
mod validate;

use clap::CommandFactory as _;
use clap_complete::Shell;
use jiff::Timestamp;

use crate::args::{Args, Command};
use crate::cluster::{Cluster, ClusterError};
use crate::manifests::ManifestError;
use crate::outcome::{Code, Outcome};
use crate::screen::Screen;

/// Reason why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The cluster did not answer, or refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
}

/// Runs the command of the arguments.
pub(crate) async fn run(args: Args, screen: &Screen) -> Result<Outcome, CommandError> {
    let now = Timestamp::now();
    let target = args.target;
    let cluster = async || Cluster::connect(&target).await;
    match args.command {
        Command::Validate(args) => validate::run(&target, &args, screen, now),
        Command::Plan(args) => plan::run(&cluster().await?, &args, screen, now).await,
        Command::Check(args) => check::run(&cluster().await?, &args, screen).await,
        Command::SupportBundle(args) => support_bundle::run(&cluster().await?, &args, now).await,
        Command::Completion { shell } => Ok(completion(shell)),
        Command::Reconcile(args) => reconcile::run(&cluster().await?, &args).await,
        Command::Status(args) => status::run(&cluster().await?, &args, screen, now).await,
        Command::Starts(args) => starts::run(&cluster().await?, &args, screen, now).await,
        Command::Owed(args) => debts::run(&cluster().await?, &args, screen, now).await,
        Command::Late(args) => late::run(&cluster().await?, &args, screen, now).await,
    }
}

/// Returns the completions of a shell for the command `kubectl-entente`.
fn completion(shell: Shell) -> Outcome {
    let mut command = Args::command().bin_name("kubectl-entente");
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "kubectl-entente", &mut text);
    Outcome::new(String::from_utf8_lossy(&text).into_owned(), Code::Settled)
}
