//! A device made of the client library `hawkbit`, which others wrote: a second client of DDI, and the
//! liar that tells a success and runs the version before.
//!
//! Decides its command line. `e2e/peers/install` builds it, apart from the workspace. Called by tests of
//! the gateway.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, directory, text};
use crate::operator::workspace;

const PEER: &str = "hawkbit";
const PROGRAM: &str = "entente-hawkbit-device";
const SANDBOX: Sandbox = Sandbox::Unprivileged;

/// The device that it plays.
#[derive(Clone, Debug)]
pub struct HawkbitOptions {
    /// URL of the server, such as `http://127.0.0.1:8085`.
    pub server: String,
    /// Tenant on the server: the namespace of the device.
    pub tenant: String,
    /// Its id on the server: the name of the device.
    pub device: String,
    /// Its token.
    pub token: String,
    /// The version that runs, and that it reports.
    pub version: String,
    /// True if it runs that version for ever, whatever it tells.
    pub lies: bool,
}

/// A running device.
#[derive(Debug)]
pub struct HawkbitDevice {
    process: Process,
    directory: TempDir,
}

impl HawkbitDevice {
    /// Starts it.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where it was not built.
    pub async fn start(options: &HawkbitOptions) -> Result<HawkbitDevice, PeerError> {
        let directory = directory(PEER, SANDBOX)?;
        let manner = if options.lies { "liar" } else { "honest" };
        let mut process = Launch::new(PEER, SANDBOX, built()?, directory.path())
            .arguments([&options.server, &options.tenant, &options.device])
            .arguments([&options.token, &options.version])
            .arguments([text(directory.path()), manner.to_owned()])
            .spawn()?;
        let log = process.log_path();
        process
            .until_ready(async || fs::read(&log).is_ok_and(|log| log.starts_with(b"calling")))
            .await?;
        Ok(HawkbitDevice { process, directory })
    }

    /// Returns its output so far: a line for each report, installation and cancellation.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns a file that it has downloaded.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.path().join(name)).ok()
    }
}

fn built() -> Result<PathBuf, PeerError> {
    let path = workspace().join("target/peers/hawkbit").join(PROGRAM);
    if path.is_file() {
        return Ok(path);
    }
    Err(PeerError::Missing {
        program: PROGRAM.to_owned(),
    })
}
