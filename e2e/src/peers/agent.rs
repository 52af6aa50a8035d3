//! The reference device of the repository: a process that calls a gateway. It shares no code with the
//! operator, so that it reads the published protocol alone.
//!
//! Decides its directory and the flags that every one needs. Called by tests of devices that call, and by
//! the demo.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, directory, text, write};
use crate::operator::{Gateway, workspace};

const PEER: &str = "entente-agent";

/// Identity of an agent, and what it is told.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Its serial number.
    pub serial_number: String,
    /// Name of its product.
    pub product: String,
    /// The token of the enrolment.
    pub token: String,
    /// More flags of `entente-agent run`.
    pub flags: Vec<String>,
}

impl AgentOptions {
    /// Returns a device of the example model whose owner consents at the panel, and that asks the gateway
    /// to hold its requests.
    pub fn new(serial_number: &str, token: &str) -> Self {
        Self {
            serial_number: serial_number.to_owned(),
            product: "Northwind MFP 500".to_owned(),
            token: token.to_owned(),
            flags: [
                "--accept",
                "--consent-by=Panel",
                "--consent-text=2027-01",
                "--wait=30s",
                "--retry-initial=100ms",
                "--retry-most=1s",
            ]
            .map(str::to_owned)
            .into(),
        }
    }
}

/// A running agent. Dropping it kills the process; its directory goes with it.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    state: PathBuf,
    _directory: TempDir,
}

impl Agent {
    /// Starts a device that calls a gateway. It need not have registered when this returns.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub fn start(gateway: &Gateway, options: &AgentOptions) -> Result<Self, PeerError> {
        let executable = executable()?;
        let directory = directory(PEER, Sandbox::SameUser)?;
        let state = directory.path().join("state");
        let token = directory.path().join("token");
        write(PEER, &token, &options.token)?;
        let launch = Launch::new(PEER, Sandbox::SameUser, executable, directory.path());
        let process = launch
            .arguments([
                "run".to_owned(),
                format!("--state={}", text(&state)),
                format!("--token-file={}", text(&token)),
                format!("--gateway={}", gateway.url()),
                format!("--ca={}", text(gateway.certificate())),
                format!("--serial={}", options.serial_number),
                format!("--product={}", options.product),
            ])
            .arguments(options.flags.iter().cloned())
            .spawn()?;
        Ok(Self {
            process,
            state,
            _directory: directory,
        })
    }

    /// Returns a file of its state as JSON, such as `settings.json`; `None` while it is not there.
    pub fn file(&self, name: &str) -> Option<Value> {
        let text = fs::read_to_string(self.state.join(name)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Returns its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it at once, as a device that loses power does, and starts it again.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.process.kill().await?;
        self.process.start_again()
    }

    /// Lets something happen at the device that sends a kind of data, such as `Consumed`.
    ///
    /// # Errors
    /// The command could not be run, or nothing is sent, with what it said.
    pub async fn happens(&self, kind: &str, on: &str) -> Result<(), PeerError> {
        let arguments = [
            "event".to_owned(),
            kind.to_owned(),
            format!("--state={}", text(&self.state)),
            format!("--on={on}"),
        ];
        let launch = Launch::new(PEER, Sandbox::SameUser, executable()?, &self.state);
        launch.arguments(arguments).run().await
    }

    /// Lets the device have an error, or have it no more, by the words of `entente-agent error`.
    ///
    /// # Errors
    /// The command could not be run, or it is no news, with what it said.
    pub async fn error(&self, words: &[&str]) -> Result<(), PeerError> {
        let words = words.iter().map(|word| (*word).to_owned());
        let launch = Launch::new(PEER, Sandbox::SameUser, executable()?, &self.state);
        launch
            .arguments(["error".to_owned()])
            .arguments(words)
            .arguments([format!("--state={}", text(&self.state))])
            .run()
            .await
    }

    /// Withdraws the consent of its owner, as a person at the device does.
    ///
    /// # Errors
    /// The command could not be run, or failed, with what it said.
    pub async fn withdraw(&self, gateway: &Gateway) -> Result<(), PeerError> {
        let arguments = [
            format!("--state={}", text(&self.state)),
            format!("--ca={}", text(gateway.certificate())),
            "--by=Panel".to_owned(),
        ];
        let launch = Launch::new(PEER, Sandbox::SameUser, executable()?, &self.state);
        launch
            .arguments(["withdraw".to_owned()])
            .arguments(arguments)
            .run()
            .await
    }
}

/// Runs the test of gateways of the agent, and returns what it printed.
///
/// # Errors
/// It has not been built, or could not be run.
pub async fn check(gateway: &Gateway, arguments: &[String]) -> Result<Output, PeerError> {
    let mut command = Command::new(executable()?);
    command
        .arg("check")
        .arg(gateway.url())
        .arg(format!("--ca={}", text(gateway.certificate())))
        .args(arguments)
        .kill_on_drop(true);
    command.output().await.map_err(|source| PeerError::Process {
        peer: PEER.to_owned(),
        action: "run",
        source,
    })
}

/// Returns the program, built by cargo into the same target directory as this crate.
fn executable() -> Result<PathBuf, PeerError> {
    let path = workspace().join("target/debug/entente-agent");
    if path.is_file() {
        Ok(path)
    } else {
        Err(PeerError::NotBuilt { path })
    }
}
