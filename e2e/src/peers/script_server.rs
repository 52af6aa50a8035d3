//! A server of `e2e/peers/*.py`: loopback, a directory of its own, and endpoints under /control.
//!
//! Decides what all of them have in common: their command line, when they are ready, and how they are
//! steered and read. Their faults have the words of the simulators. Called by the peers that wrap one.

use std::fs;
use std::path::{Path, PathBuf};

use entente_simulators::Fault;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Footprint, Launch, Process, Sandbox, directory, free_port, text};
use crate::operator::workspace;

/// Differences between one server and another.
#[derive(Debug)]
pub(super) struct Script {
    /// Its name, in errors.
    pub(super) name: &'static str,
    /// Name of its file in `e2e/peers`.
    pub(super) file: &'static str,
    /// The Python that runs it.
    pub(super) python: PathBuf,
    /// Its arguments, beside port and directory.
    pub(super) arguments: Vec<&'static str>,
    /// Its environment.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct ScriptServer {
    name: &'static str,
    port: u16,
    http: reqwest::Client,
    process: Process,
    directory: TempDir,
}

impl ScriptServer {
    /// Starts a server.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub(super) async fn start(script: Script) -> Result<Self, PeerError> {
        let directory = directory(script.name, Sandbox::SameUser)?;
        let port = free_port(script.name)?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let file = text(file.join(script.file));
        let sandbox = Sandbox::SameUser;
        let mut launch = Launch::new(script.name, sandbox, script.python, directory.path())
            .arguments([file, format!("--port={port}")])
            .arguments([format!("--directory={}", text(directory.path()))])
            .arguments(script.arguments)
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("PYTHONUNBUFFERED", "1");
        for (name, value) in script.environment {
            launch = launch.environment(name, value);
        }
        let mut server = Self {
            name: script.name,
            port,
            http: http_client(),
            process: launch.spawn()?,
            directory,
        };
        server.until_ready().await?;
        Ok(server)
    }

    async fn until_ready(&mut self) -> Result<(), PeerError> {
        let url = format!("{}/control", self.url());
        self.process.until_answers(&url).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    pub(super) fn output(&self) -> String {
        self.process.log()
    }

    pub(super) fn footprint(&self) -> Footprint {
        self.process.footprint()
    }

    /// Reads the lines of one of its files. A line that is being written has no end yet, and is left out.
    ///
    /// # Panics
    /// If a line is not of that form, which is a defect of the server.
    pub(super) fn lines<T: DeserializeOwned>(&self, file: &str) -> Vec<T> {
        let written = fs::read_to_string(self.directory.path().join(file)).unwrap_or_default();
        let lines = written.split_inclusive('\n');
        let whole = lines.filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a line of the server"))
            .collect()
    }

    /// Returns a request to an endpoint under /control.
    pub(super) fn request(&self, method: reqwest::Method, what: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/control/{what}", self.url());
        self.http.request(method, url)
    }

    /// Sends a request of which only success counts.
    pub(super) async fn tell(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<(), PeerError> {
        self.answer(what, request).await.map(drop)
    }

    /// Returns the answer of an endpoint under /control.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        what: &'static str,
    ) -> Result<T, PeerError> {
        let request = self.request(reqwest::Method::GET, endpoint);
        let answer = self.answer(what, request).await?;
        answer
            .json()
            .await
            .map_err(|source| self.failed(what, source))
    }

    async fn answer(
        &self,
        what: &'static str,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, PeerError> {
        let answer = request.send().await;
        answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(|source| self.failed(what, source))
    }

    fn failed(&self, what: &'static str, source: reqwest::Error) -> PeerError {
        PeerError::Control {
            peer: self.name.to_owned(),
            what,
            source,
        }
    }

    /// Brings a fault in; one of the same kind is replaced.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this server cannot have it: to be off, it is killed.
    pub(super) async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        let request = self.request(reqwest::Method::PUT, "faults");
        self.tell("a fault", request.json(&fault.into())).await
    }

    /// Clears every fault.
    pub(super) async fn clear_faults(&self) -> Result<(), PeerError> {
        let request = self.request(reqwest::Method::DELETE, "faults");
        self.tell("the end of faults", request).await
    }

    /// Ends it at once; its port refuses from then on.
    pub(super) async fn kill(&mut self) -> Result<(), PeerError> {
        self.process.kill().await
    }

    /// Starts it again on the same port, with what it has in its directory.
    pub(super) async fn start_again(&mut self) -> Result<(), PeerError> {
        self.process.start_again()?;
        self.until_ready().await
    }

    /// Freezes it by SIGSTOP: connections are accepted and never answered.
    pub(super) async fn freeze(&self) -> Result<(), PeerError> {
        self.process.freeze().await
    }

    /// SIGCONT.
    pub(super) async fn thaw(&self) -> Result<(), PeerError> {
        self.process.thaw().await
    }
}

/// Returns the path of the Python of a virtual environment that `e2e/peers/install` makes for a peer.
///
/// # Errors
/// [`PeerError::Missing`] if there is none.
pub(super) fn python_of(peer: &str, environment: &str) -> Result<PathBuf, PeerError> {
    let python = workspace().join("target/peers").join(environment);
    let python = python.join("bin/python");
    if python.is_file() {
        return Ok(python);
    }
    Err(PeerError::Missing {
        program: format!("{peer} (in {})", python.display()),
    })
}
