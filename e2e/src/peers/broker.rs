//! An Open Service Broker on `openbrokerapi`: its answers under /v2 come from a foreign library.
//!
//! Decides its command line and uses its /control endpoints (mode, faults, ledger), which are ours
//! and have the words of the simulators. It must never speak OSB itself: that is the driver's task.
//! Called by tests that provision, update and delete services.

use std::collections::BTreeMap;

use entente_simulators::{Fault, FaultKind, Mode};
use reqwest::Method;
use serde::Deserialize;

use super::PeerError;
use super::launch::Footprint;
use super::script_server::{Script, ScriptServer, python_of};

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
    server: ScriptServer,
}

impl OpenBroker {
    /// Starts a broker that offers data-backup (plans standard, premium) and parts-life (plan
    /// basic), carries out everything at once, and keeps its instances over a restart.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start(options: OpenBrokerOptions) -> Result<OpenBroker, PeerError> {
        let login = options
            .credentials
            .map(|(user, password)| [("BROKER_USERNAME", user), ("BROKER_PASSWORD", password)]);
        let script = Script {
            name: PEER,
            file: "broker.py",
            python: python_of(PEER, "venv")?,
            arguments: Vec::new(),
            environment: login.into_iter().flatten().collect(),
        };
        let server = ScriptServer::start(script).await?;
        Ok(Self { server })
    }

    /// `http://127.0.0.1:PORT`, to which /v2 is appended.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.server.process_id()
    }

    /// Returns the broker's output so far.
    pub fn log(&self) -> String {
        self.server.output()
    }

    /// Start-up time and memory.
    pub fn footprint(&self) -> Footprint {
        self.server.footprint()
    }

    /// Returns every request under /v2 since the last start, oldest first.
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, PeerError> {
        self.server
            .read("ledger", "the question for its ledger")
            .await
    }

    /// Returns the existing instances, by instance id.
    pub async fn instances(&self) -> Result<BTreeMap<String, BrokerInstance>, PeerError> {
        self.server
            .read("instances", "the question for its instances")
            .await
    }

    /// Changes the way in which later requests are carried out. Operations under way keep the mode
    /// they began with. A restart begins with [`Mode::Sync`] again.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), PeerError> {
        let request = self.server.request(Method::PUT, "mode").json(&mode);
        self.server.tell("a new mode", request).await
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
        self.server.set_fault(fault).await
    }

    /// Clears every fault; operations that were never to end do end.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        self.server.clear_faults().await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.server.kill().await
    }

    /// Starts it again on the same port with the instances it had; the ledger begins anew.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.server.start_again().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub async fn freeze(&self) -> Result<(), PeerError> {
        self.server.freeze().await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), PeerError> {
        self.server.thaw().await
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
