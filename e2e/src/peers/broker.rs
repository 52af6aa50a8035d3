//! An Open Service Broker on `openbrokerapi`: its answers under /v2 come from a library we did not
//! write.
//!
//! Decides its command line and talks to its /control endpoints (mode, faults, ledger), which are
//! ours. It must never speak OSB itself: that is the driver's task. Called by tests that provision,
//! update and delete services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Footprint, Launch, Process, Sandbox, directory, free_port, text};

const PEER: &str = "openbrokerapi";

/// Who may use the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenBrokerOptions {
    /// User name and password of HTTP Basic authentication; without it anyone may.
    pub credentials: Option<(String, String)>,
}

/// How the broker carries out what it is asked, until it is told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Mode {
    /// At once: 201 and 200.
    Sync {
        /// Names of parameters it accepts and then does not store: it lies about them.
        ignored_parameters: Vec<String>,
    },
    /// 202 and last_operation; 422 AsyncRequired when the platform does not allow it.
    Async {
        /// How often last_operation says "in progress" first; `None` for ever.
        polls: Option<u32>,
        /// Whether the operation succeeds in the end.
        outcome: Outcome,
        /// Names of parameters it accepts and then does not store.
        ignored_parameters: Vec<String>,
    },
}

/// How an asynchronous operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// last_operation says "succeeded".
    Succeeded,
    /// last_operation says "failed"; a failed creation leaves an orphan behind.
    Failed,
}

impl Mode {
    /// Everything at once, honestly.
    pub fn sync() -> Mode {
        Mode::Sync {
            ignored_parameters: Vec::new(),
        }
    }

    /// Honest and asynchronous; "in progress" so many times.
    pub fn asynchronous(polls: u32) -> Mode {
        Mode::Async {
            polls: Some(polls),
            outcome: Outcome::Succeeded,
            ignored_parameters: Vec::new(),
        }
    }

    /// Asynchronous and for ever in progress.
    pub fn stuck() -> Mode {
        Mode::Async {
            polls: None,
            outcome: Outcome::Succeeded,
            ignored_parameters: Vec::new(),
        }
    }
}

/// What goes wrong with the next matching requests. Faults are used up in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Only requests of this method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path contains this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// So many requests.
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// One way for a request to go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// Answered without doing anything.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The OSB error code, for example `ConcurrencyError`.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// The Retry-After header in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Carried out, then the connection is reset before an answer.
    LoseResponse,
    /// Carried out after so many milliseconds.
    Slow {
        /// The delay.
        milliseconds: u32,
    },
}

impl Fault {
    /// The next request of this method is answered with this status and not carried out.
    pub fn status(method: &str, status: u16) -> Fault {
        Fault::once(
            method,
            FaultKind::Answer {
                status,
                error: None,
                retry_after: None,
            },
        )
    }

    /// The next request of this method is carried out and its answer lost.
    pub fn lose_response(method: &str) -> Fault {
        Fault::once(method, FaultKind::LoseResponse)
    }

    /// The next request of this method goes wrong in this way.
    pub fn once(method: &str, kind: FaultKind) -> Fault {
        Fault {
            method: Some(method.to_owned()),
            path: None,
            times: 1,
            kind,
        }
    }
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
    /// When it arrived, RFC 3339.
    pub at: jiff::Timestamp,
    /// The status it was answered with; `None` while it is being carried out.
    pub status: Option<u16>,
    /// Whether the answer was withheld.
    #[serde(default)]
    pub lost: bool,
}

/// An instance as the broker really has it, whatever it answers.
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

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Everything the broker has written so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Every request under /v2 since the last start, oldest first.
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, PeerError> {
        self.read("ledger", "the question for its ledger").await
    }

    /// What is really there, by instance id.
    pub async fn instances(&self) -> Result<BTreeMap<String, BrokerInstance>, PeerError> {
        self.read("instances", "the question for its instances")
            .await
    }

    /// Changes how later requests are carried out. Operations under way keep the mode they began
    /// with. A restart begins with [`Mode::sync`] again.
    pub async fn set_mode(&self, mode: &Mode) -> Result<(), PeerError> {
        let request = self.http.put(self.control("mode")).json(mode);
        self.tell("a new mode", request).await
    }

    /// Adds a fault.
    pub async fn inject(&self, fault: &Fault) -> Result<(), PeerError> {
        let request = self.http.post(self.control("faults")).json(fault);
        self.tell("a fault", request).await
    }

    /// Takes back every fault that is not used up.
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

    /// SIGSTOP: connections are taken and never answered.
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

/// The Python of the virtual environment that `e2e/peers/install` makes.
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
