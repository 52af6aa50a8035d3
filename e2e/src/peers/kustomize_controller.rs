//! Flux's kustomize-controller: the program that applies manifests of a source, waits until they
//! are ready, corrects drift and prunes.
//!
//! Decides its command line: it watches one namespace, so that any number run on one control plane,
//! and it acts as the user of its kubeconfig, so that its requests can be told from others'. It has
//! no source-controller beside it: tests write the status of a GitRepository themselves. Called by
//! tests of GitOps.

use std::path::Path;

use tempfile::TempDir;

use super::PeerError;
use super::launch::{Launch, Process, Sandbox, built, directory, free_port, text};

const PEER: &str = "kustomize-controller";

/// A running kustomize-controller.
#[derive(Debug)]
pub struct KustomizeController {
    process: Process,
    _directory: TempDir,
}

impl KustomizeController {
    /// Starts one for the Kustomizations of a namespace. Their definition, and those of all sources,
    /// must be installed.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process, or of a program that was not built.
    pub async fn start(
        kubeconfig: &Path,
        namespace: &str,
    ) -> Result<KustomizeController, PeerError> {
        let directory = directory(PEER, Sandbox::SameUser)?;
        let health = format!("127.0.0.1:{}", free_port(PEER)?);
        let mut process = Launch::new(PEER, Sandbox::SameUser, built(PEER)?, directory.path())
            .arguments(["--watch-all-namespaces=false", "--metrics-addr=0"])
            .arguments(["--requeue-dependency=1s", "--http-retry=2"])
            .arguments([format!("--health-addr={health}")])
            .environment("KUBECONFIG", text(kubeconfig))
            .environment("RUNTIME_NAMESPACE", namespace)
            .spawn()?;
        process
            .until_answers(&format!("http://{health}/readyz"))
            .await?;
        Ok(KustomizeController {
            process,
            _directory: directory,
        })
    }

    /// Returns its log so far, one JSON object a line.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
