//! An Open Service Broker on `openbrokerapi`: its answers under /v2 come from a foreign library.
//!
//! Decides its command line and uses its /control endpoints (mode, faults, ledger), which are ours
//! and have the words of the simulators. It must never speak OSB itself: that is the driver's task.
//! Called by tests that provision, update and delete services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entente_simulators::{Fault, FaultKind, Mode};
use serde::Deserialize;
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Footprint, Launch, Process, Sandbox, directory, free_port, text};

const PEER: &str = "openbrokerapi";

/// Users that may use the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenBrokerOptions {
    /// User name and password of HTTP Basic authentication; without it anyone may.
    pub credentials: Option<(String, String)>,
}

/// One request under /v2 as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LedgerEntry {
    /// 1 for the first request since the broker was started.
    pub sequence: u32,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query string.
    pub query: String,
    /// SHA-256 of the body in hexadecimal; two equal requests have equal digests.
    pub body_sha256: String,
    /// Instant of arrival, RFC 3339.
    pub at: jiff::Timestamp,
    /// The status it was answered with; `None` while it is being carried out.
    pub status: Option<u16>,
    /// True if the answer was withheld.
    #[serde(default)]
    pub lost: bool,
}

/// An instance as the broker really has it, independently of its answers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BrokerInstance {
    /// The offering's id.
    pub service_id: String,
    /// The plan's id.
    pub plan_id: String,
    /// The parameters in effect.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// `creating`, `active` or `failed`.
    pub state: String,
}

/// A running broker.
#[derive(Debug)]
pub struct OpenBroker {
    port: u16,
    http: reqwest::Client,
    process: Process,
    _directory: TempDir,
}

impl OpenBroker {
    /// Starts a broker that offers data-backup (plans standard, premium) and parts-life (plan
    /// basic), carries out everything at once, and keeps its instances over a restart.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(options: OpenBrokerOptions) -> Result<OpenBroker, PeerError> {
        let python = virtual_environment()?;
        let directory = directory(PEER, Sandbox::SameUser)?;
        let port = free_port(PEER)?;
        let mut launch = Launch::new(PEER, Sandbox::SameUser, python, directory.path())
            .arguments([text(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/broker.py"),
            )])
            .arguments(["--port".to_owned(), port.to_string()])
            .arguments([
                "--state".to_owned(),
                text(directory.path().join("instances.json")),
            ])
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("PYTHONUNBUFFERED", "1");
        if let Some((username, password)) = options.credentials {
            launch = launch
                .environment("BROKER_USERNAME", username)
                .environment("BROKER_PASSWORD", password);
        }
        let process = launch.spawn()?;
        let http = http_client();
        let mut broker = OpenBroker {
            port,
            http,
            process,
            _directory: directory,
        };
        broker.until_ready().await?;
        Ok(broker)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let (http, ledger) = (self.http.clone(), format!("{}/control/ledger", self.url()));
        self.process
            .until_ready(async || {
                http.get(&ledger)
                    .send()
                    .await
                    .is_ok_and(|answer| answer.status().is_success())
            })
            .await
    }

    /// `http://127.0.0.1:PORT`, to which /v2 is appended.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns the broker's output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Returns every request under /v2 since the last start, oldest first.
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, PeerError> {
        self.read("ledger", "the question for its ledger").await
    }

    /// Returns the existing instances, by instance id.
    pub async fn instances(&self) -> Result<BTreeMap<String, BrokerInstance>, PeerError> {
        self.read("instances", "the question for its instances")
            .await
    }

    /// Changes the way in which later requests are carried out. Operations under way keep the mode
    /// they began with. A restart begins with [`Mode::Sync`] again.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), PeerError> {
        let request = self.http.put(self.control("mode")).json(&mode);
        self.tell("a new mode", request).await
    }

    /// Brings a fault in; one of the same kind and operation is replaced.
    ///
    /// # Errors
    /// [`PeerError::Fault`] if this broker cannot have it, as [`FaultKind::Reboot`].
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        let fault = fault.into();
        if !can_have(&fault.kind) {
            return Err(PeerError::Fault {
                peer: PEER.to_owned(),
                fault: fault.kind.name(),
            });
        }
        let request = self.http.put(self.control("faults")).json(&fault);
        self.tell("a fault", request).await
    }

    /// Clears every fault; operations that were never to end do end.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        self.tell(
            "the end of faults",
            self.http.delete(self.control("faults")),
        )
        .await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port with the instances it had; the ledger begins anew.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }

    fn control(&self, what: &str) -> String {
        format!("{}/control/{what}", self.url())
    }

    async fn tell(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<(), PeerError> {
        let failed = |source| PeerError::Control {
            peer: PEER.to_owned(),
            what,
            source,
        };
        request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        Ok(())
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        endpoint: &str,
        what: &'static str,
    ) -> Result<T, PeerError> {
        let failed = |source| PeerError::Control {
            peer: PEER.to_owned(),
            what,
            source,
        };
        let answer = self
            .http
            .get(self.control(endpoint))
            .send()
            .await
            .map_err(failed)?;
        answer
            .error_for_status()
            .map_err(failed)?
            .json()
            .await
            .map_err(failed)
    }
}

/// True if `e2e/peers/broker.py` can have the fault: those that a broker has within its answers.
/// To be off or to hang, the process is killed or frozen.
fn can_have(fault: &FaultKind) -> bool {
    match fault {
        FaultKind::Slow { .. }
        | FaultKind::NotEffective { .. }
        | FaultKind::Reject { .. }
        | FaultKind::Unauthorized
        | FaultKind::ResetAfterCommit
        | FaultKind::HttpStatus { .. }
        | FaultKind::Busy
        | FaultKind::AsyncNeverEnds
        | FaultKind::AsyncFails { .. } => true,
        FaultKind::Offline
        | FaultKind::Hang
        | FaultKind::Stall { .. }
        | FaultKind::Reboot { .. }
        | FaultKind::Odd { .. }
        | FaultKind::NotRetrievable
        | FaultKind::FetchWithoutParameters { .. } => false,
    }
}

/// Returns the path of the Python of the virtual environment that `e2e/peers/install` makes.
fn virtual_environment() -> Result<PathBuf, PeerError> {
    let python = std::env::var_os("ENTENTE_PEERS_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/venv"),
        PathBuf::from,
    );
    let python = python.join("bin/python");
    if python.is_file() {
        return Ok(python);
    }
    Err(PeerError::Missing {
        program: format!("{PEER} (in {})", python.display()),
    })
}
