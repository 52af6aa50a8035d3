//! The inbox of a provider for CloudEvents: each event is judged by the SDK of the CNCF for Python.
//!
//! Decides its command line, and reads its two files (`e2e/peers/inbox.py`): what it has taken, and what it
//! was sent. Its faults have the words of the simulators. Called by tests of the data of devices.

use std::fs;
use std::path::{Path, PathBuf};

use entente_simulators::Fault;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Launch, Process, Sandbox, directory, free_port, text};
use crate::operator::workspace;

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
    port: u16,
    http: reqwest::Client,
    process: Process,
    directory: TempDir,
}

impl CloudEventsInbox {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where the SDK is not installed.
    pub async fn start() -> Result<Self, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let port = free_port(PEER)?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/inbox.py");
        let process = Launch::new(PEER, Sandbox::SameUser, python()?, directory.path())
            .arguments([text(program), format!("--port={port}")])
            .arguments([format!("--directory={}", text(directory.path()))])
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("PYTHONUNBUFFERED", "1")
            .spawn()?;
        let mut inbox = Self {
            port,
            http: http_client(),
            process,
            directory,
        };
        inbox.until_ready().await?;
        Ok(inbox)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let url = format!("{}/control", self.url());
        self.process.until_answers(&url).await
    }

    /// Returns its URL, to which the path of a service is appended.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the events that it has on its disk, in the order in which they came.
    pub fn taken(&self) -> Vec<TakenEvent> {
        self.read("events.jsonl")
    }

    /// Returns the requests to it, in the order in which they came. One is listed before it is answered.
    pub fn requests(&self) -> Vec<InboxRequest> {
        self.read("requests.jsonl")
    }

    /// Returns its output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Reads one of its files. A line that is being written has no end yet, and is left out.
    fn read<T: DeserializeOwned>(&self, file: &str) -> Vec<T> {
        let written = fs::read_to_string(self.directory.path().join(file)).unwrap_or_default();
        let lines = written.split_inclusive('\n');
        let whole = lines.filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a line of the inbox"))
            .collect()
    }

    /// Brings a fault in; one of the same kind is replaced. `Reject` refuses a request with an event of one
    /// of the ids that it names, `NotEffective` answers success and keeps nothing.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this inbox cannot have it: to be off, it is killed.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        let request = self.http.put(self.faults()).json(&fault.into());
        tell("a fault", request).await
    }

    /// Clears every fault.
    pub async fn clear_faults(&self) -> Result<(), PeerError> {
        tell("the end of faults", self.http.delete(self.faults())).await
    }

    /// Ends it at once; its port refuses from then on.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port, with all that it had taken.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }

    fn faults(&self) -> String {
        format!("{}/control/faults", self.url())
    }
}

async fn tell(what: &'static str, request: reqwest::RequestBuilder) -> Result<(), PeerError> {
    let answer = request.send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    answer.map(drop).map_err(|source| PeerError::Control {
        peer: PEER.to_owned(),
        what,
        source,
    })
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
