//! The inbox of a provider for CloudEvents: each event is judged by the SDK of the CNCF for Python.
//!
//! Decides its command line, and reads its two files (`e2e/peers/inbox.py`): what it has taken, and what it
//! was sent. Its faults have the words of the simulators. Called by tests of the data of devices.

use entente_simulators::Fault;
use serde::Deserialize;

use super::PeerError;
use super::script_server::{Script, ScriptServer, python_of};

const PEER: &str = "cloudevents";

/// An event that it has taken, by the attributes that the SDK read. A double is a second one.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
pub struct TakenEvent {
    /// Number of the request that brought it.
    pub request: u32,
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its subject.
    pub subject: Option<String>,
    /// The ids of the services that it is for.
    pub applicationid: Option<String>,
    /// Its place in the order of its subject.
    pub sequence: Option<String>,
    /// The event in JSON, byte for byte as it came.
    pub text: String,
}

/// A request as it came.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
pub struct InboxRequest {
    /// 1 for the first one.
    pub request: u32,
    /// Its path.
    pub path: String,
    /// The ids of its events, in their order; none if it was no batch.
    pub ids: Vec<String>,
    /// The status that it is answered with.
    pub status: u16,
    /// True if it came with a login.
    pub login: bool,
    /// True if the answer was withheld.
    pub cut: bool,
    /// Faults that the SDK, or the inbox, found in it.
    pub faults: Vec<String>,
}

/// A running inbox. Dropping it kills the process.
#[derive(Debug)]
pub struct CloudEventsInbox {
    server: ScriptServer,
}

impl CloudEventsInbox {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where the SDK is not installed.
    pub async fn start() -> Result<Self, PeerError> {
        let script = Script {
            name: PEER,
            file: "inbox.py",
            python: python_of(PEER, PEER)?,
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        let server = ScriptServer::start(script).await?;
        Ok(Self { server })
    }

    /// Returns its URL, to which the path of a service is appended.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the events that it has on its disk, in the order in which they came.
    pub fn taken(&self) -> Vec<TakenEvent> {
        self.server.lines("events.jsonl")
    }

    /// Returns the requests to it, in the order in which they came. One is listed before it is answered.
    pub fn requests(&self) -> Vec<InboxRequest> {
        self.server.lines("requests.jsonl")
    }

    /// Returns its output so far.
    pub fn log(&self) -> String {
        self.server.output()
    }

    /// Brings a fault in; one of the same kind is replaced. `Reject` refuses a request with an event of one
    /// of the ids that it names, `NotEffective` answers success and keeps nothing.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this inbox cannot have it: to be off, it is killed.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        self.server.set_fault(fault).await
    }

    /// Clears every fault.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        self.server.clear_faults().await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.server.kill().await
    }

    /// Starts it again on the same port, with all that it had taken.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.server.start_again().await
    }
}
