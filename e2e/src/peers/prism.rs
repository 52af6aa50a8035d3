//! Prism, which judges each request and each answer by an OpenAPI document, between a client and a
//! server.
//!
//! Decides its command line. A request that is not as the document says does not reach the server: it is
//! answered with a problem, and named by the log. Called by tests of the servers of vendors.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::PeerError;
use super::ipp_client::http_client;
use super::launch::{Launch, Process, Sandbox, directory, free_port, program, text};
use crate::operator::workspace;

const PEER: &str = "prism";

/// Marks of a line of its log that is a verdict.
const VERDICTS: [&str; 2] = ["Request terminated with error", "Violation"];

/// A running judge. Dropping it kills the process.
#[derive(Debug)]
pub struct Prism {
    port: u16,
    process: Process,
    _directory: TempDir,
}

impl Prism {
    /// Starts one in front of a server.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where it is not installed.
    pub async fn start(document: &Path, server: &str) -> Result<Self, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let port = free_port(PEER)?;
        let process = Launch::new(PEER, Sandbox::SameUser, program("node")?, directory.path())
            .arguments([text(script()?), "proxy".to_owned(), text(document)])
            .arguments([server.to_owned(), "--errors".to_owned()])
            .arguments(["--host=127.0.0.1".to_owned(), format!("--port={port}")])
            .environment("NO_COLOR", "1")
            .spawn()?;
        let mut prism = Self {
            port,
            process,
            _directory: directory,
        };
        let (http, url) = (http_client(), prism.url());
        // It has no page of its own: any answer shows that it listens.
        prism
            .process
            .until_ready(async || http.get(&url).send().await.is_ok())
            .await?;
        Ok(prism)
    }

    /// Returns its URL, by which the server is reached.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the lines of its log that find something, without those of the request for its start page.
    pub fn verdicts(&self) -> Vec<String> {
        let log = self.process.log();
        let lines = log.lines();
        let found = lines.filter(|line| VERDICTS.iter().any(|mark| line.contains(mark)));
        let found = found.filter(|line| !line.contains("get / "));
        found.map(str::to_owned).collect()
    }

    /// Returns its output so far, with a line for each request and each fault that it found.
    pub fn output(&self) -> String {
        self.process.log()
    }
}

fn script() -> Result<PathBuf, PeerError> {
    let script = workspace().join("target/peers/prism/node_modules/.bin/prism");
    if script.exists() {
        return Ok(script);
    }
    Err(PeerError::Missing {
        program: format!("{PEER} ({})", script.display()),
    })
}
