//! An order server whose idempotency is a middleware of others, as docs/api/orders.yaml has it.
//!
//! Decides their command lines, and reads the log of orders (`e2e/peers/orders.py`), in which a double is a
//! second line. Its faults have the words of the simulators. Called by tests of orders.

use std::fs;
use std::path::{Path, PathBuf};

use entente_simulators::Fault;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Launch, Process, Sandbox, directory, free_port, text};
use crate::operator::workspace;

const PEER: &str = "orders";

/// An order that it has made.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOrder {
    /// The id that it gave it.
    pub order_id: String,
    /// The reference under which it was placed.
    pub reference: String,
}

/// Abilities of the order server.
#[derive(Clone, Copy, Debug)]
pub struct OrderServerOptions {
    /// True if the middleware stands before it.
    pub keys: bool,
    /// True if orders can be found.
    pub search: bool,
}

impl Default for OrderServerOptions {
    fn default() -> Self {
        Self {
            keys: true,
            search: true,
        }
    }
}

/// A running order server. Dropping it kills the process.
#[derive(Debug)]
pub struct OrderServer {
    port: u16,
    http: reqwest::Client,
    process: Process,
    directory: TempDir,
}

impl OrderServer {
    /// Starts one without an order.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where the middleware is not installed.
    pub async fn start(options: OrderServerOptions) -> Result<Self, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let port = free_port(PEER)?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/orders.py");
        let without = [
            (!options.keys).then_some("--without-keys"),
            (!options.search).then_some("--without-search"),
        ];
        let process = Launch::new(PEER, Sandbox::SameUser, python()?, directory.path())
            .arguments([text(program), format!("--port={port}")])
            .arguments([format!("--directory={}", text(directory.path()))])
            .arguments(without.into_iter().flatten())
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("PYTHONUNBUFFERED", "1")
            .spawn()?;
        let mut server = Self {
            port,
            http: http_client(),
            process,
            directory,
        };
        server.until_ready().await?;
        Ok(server)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let url = format!("{}/control", self.url());
        self.process.until_answers(&url).await
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the orders that it has made, in their order.
    ///
    /// # Panics
    /// If a line of its log is none, which is a defect of the peer.
    pub fn log(&self) -> Vec<LoggedOrder> {
        self.read()
    }

    /// Reads its log. A line that is being written has no end yet, and is left out.
    fn read(&self) -> Vec<LoggedOrder> {
        let path = self.directory.path().join("orders.jsonl");
        let written = fs::read_to_string(path).unwrap_or_default();
        let lines = written.split_inclusive('\n');
        let whole = lines.filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a line of the log"))
            .collect()
    }

    /// Returns its output so far.
    pub fn output(&self) -> String {
        self.process.log()
    }

    /// Brings a fault in, for requests that write; one of the same kind is replaced.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this server cannot have it.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        let url = format!("{}/control/faults", self.url());
        self.put("a fault", url, json!(fault.into())).await
    }

    /// Sets members of an order, such as its state.
    ///
    /// # Errors
    /// [`PeerError::Control`] if there is no such order.
    pub async fn change(&self, order: &str, members: Value) -> Result<(), PeerError> {
        let url = format!("{}/control/orders/{order}", self.url());
        self.put("an order", url, members).await
    }

    async fn put(&self, what: &'static str, url: String, body: Value) -> Result<(), PeerError> {
        let answer = self.http.put(url).json(&body).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|source| PeerError::Control {
            peer: PEER.to_owned(),
            what,
            source,
        })
    }

    /// Ends it at once; its port refuses from then on.
    ///
    /// # Errors
    /// Any [`PeerError`] of ending a process.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port, with its orders and without the keys of the middleware.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }
}

/// Returns the path of the Python of the virtual environment that `e2e/peers/install` makes.
fn python() -> Result<PathBuf, PeerError> {
    let python = workspace().join("target/peers").join(PEER);
    let python = python.join("bin/python");
    if python.is_file() {
        return Ok(python);
    }
    Err(PeerError::Missing {
        program: format!("{PEER} (in {})", python.display()),
    })
}
