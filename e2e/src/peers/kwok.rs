//! kwok: a kubelet that runs no container. It keeps the leases of nodes, and writes into nodes and
//! Pods what the kubelet of such a node would, as its stages have it.
//!
//! Decides its command line: it is the kubelet of every node of its control plane. Called by tests of
//! rollouts.

use std::path::Path;

use tempfile::TempDir;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, built, directory, free_port, text};

const PEER: &str = "kwok";

/// A running kwok.
#[derive(Debug)]
pub struct Kwok {
    process: Process,
    _directory: TempDir,
}

impl Kwok {
    /// Starts one with the stages of a file.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process, or of a program that was not built.
    pub async fn start(kubeconfig: &Path, stages: &Path) -> Result<Kwok, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let address = format!("127.0.0.1:{}", free_port(PEER)?);
        let mut process = Launch::new(PEER, Sandbox::SameUser, built(PEER)?, directory.path())
            .arguments(["--manage-all-nodes", "--node-lease-duration-seconds=40"])
            .arguments([format!("--kubeconfig={}", text(kubeconfig))])
            .arguments([format!("--config={}", text(stages))])
            .arguments([format!("--server-address={address}")])
            .spawn()?;
        process
            .until_answers(&format!("http://{address}/readyz"))
            .await?;
        Ok(Kwok {
            process,
            _directory: directory,
        })
    }

    /// Returns its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
