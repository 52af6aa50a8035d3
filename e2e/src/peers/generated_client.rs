//! A device whose client was generated: `openapi-python-client`, which others wrote, makes it from an OpenAPI
//! document, and `e2e/peers/generated_client.py` calls what it made and sends nothing of its own.
//!
//! Decides the command lines of both. A warning of the generator is an error: it left a part of the document
//! out. Called by tests of devices that call.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, directory, text};
use crate::operator::{Gateway, workspace};

const PEER: &str = "openapi-python-client";
const SANDBOX: Sandbox = Sandbox::SameUser;

/// A client that was generated, in a directory of its own.
#[derive(Debug)]
pub struct GeneratedClient {
    directory: TempDir,
}

impl GeneratedClient {
    /// Generates it from a document.
    ///
    /// # Errors
    /// `Missing` where the generator is not installed; [`PeerError::Setup`] with its output where it failed
    /// or had a warning.
    pub async fn generate(document: &Path) -> Result<Self, PeerError> {
        let directory = directory(PEER, SANDBOX)?;
        let client = Self { directory };
        // It runs another program of the same packages on its output.
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", text(packages()));
        Launch::new(PEER, SANDBOX, installed(PEER)?, client.directory.path())
            .arguments(["generate", "--fail-on-warning", "--meta=none"])
            .arguments([format!("--path={}", text(document))])
            .arguments([format!("--output-path={}", text(client.package()))])
            .environment("PATH", path)
            .run()
            .await?;
        Ok(client)
    }

    fn package(&self) -> PathBuf {
        self.directory.path().join("gateway_client")
    }

    /// Starts a device of the example model with this client, which calls a gateway with the token of an
    /// enrolment. It need not have registered when this returns.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub fn start(
        self,
        gateway: &Gateway,
        serial_number: &str,
        token: &str,
    ) -> Result<GeneratedDevice, PeerError> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/generated_client.py");
        let process = Launch::new(PEER, SANDBOX, installed("python")?, self.directory.path())
            .arguments([text(program)])
            .arguments([
                format!("--package={}", text(self.package())),
                format!("--gateway={}", gateway.url()),
                format!("--ca={}", text(gateway.certificate())),
                format!("--serial-number={serial_number}"),
                "--product=Northwind MFP 500".to_owned(),
            ])
            .environment("ENROLLMENT_TOKEN", token)
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .spawn()?;
        Ok(GeneratedDevice {
            process,
            _client: self,
        })
    }
}

/// A running device. Dropping it kills the process.
#[derive(Debug)]
pub struct GeneratedDevice {
    process: Process,
    _client: GeneratedClient,
}

impl GeneratedDevice {
    /// Returns the answers of a name that it got so far, oldest first, such as those of `twin`.
    pub fn answers(&self, name: &str) -> Vec<Value> {
        answers_of(&self.process.log(), name)
    }

    /// Waits until the gateway lists a service of it that works.
    ///
    /// # Errors
    /// With the end of its output where it ended before, or took too long.
    pub async fn until_active(&mut self) -> Result<(), PeerError> {
        let log = self.process.log_path();
        let active = async || {
            let told = answers_of(&fs::read_to_string(&log).unwrap_or_default(), "services");
            let states = told.iter().filter_map(|told| told["states"].as_object());
            let mut states = states.flat_map(|states| states.values());
            states.any(|state| state == "Active")
        };
        self.process.until_ready(active).await
    }

    /// Waits until a batch of its events is taken, and returns the answer.
    ///
    /// # Errors
    /// With the end of its output where it ended before, or took too long.
    pub async fn until_sent(&mut self) -> Result<Value, PeerError> {
        let log = self.process.log_path();
        let told = || answers_of(&fs::read_to_string(&log).unwrap_or_default(), "events");
        let is_sent = async || !told().is_empty();
        self.process.until_ready(is_sent).await?;
        Ok(told().remove(0))
    }
}

fn answers_of(output: &str, name: &str) -> Vec<Value> {
    let lines = output.lines();
    let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["answer"] == name)
        .collect()
}

/// Returns the folder with the programs that `e2e/peers/install` installed.
fn packages() -> PathBuf {
    workspace().join("target/peers").join(PEER).join("bin")
}

fn installed(program: &str) -> Result<PathBuf, PeerError> {
    let path = packages().join(program);
    if path.is_file() {
        return Ok(path);
    }
    Err(PeerError::Missing {
        program: text(path),
    })
}
