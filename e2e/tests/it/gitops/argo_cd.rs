//! One application of Argo CD in a namespace: the real gitops-engine syncs a directory of
//! manifests, and tells what differs (`e2e/judges/gitops-engine`).
//!
//! It acts as a user of its own, so that the audit log tells its requests from those of the test.

mod differences;
mod prune;
mod sync;

use std::path::PathBuf;

use entente_e2e::namespace::TestNamespace;
use entente_e2e::operator::workspace;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::process::Command;

use super::archive::{Files, write};
use super::writes_since;

/// The answer of a sync.
#[derive(Debug, Deserialize)]
pub(super) struct Synced {
    /// `Succeeded`, `Failed`, `Error`, or `Running` if its time was over.
    pub(super) phase: String,
    pub(super) message: String,
    /// Results in the order in which the engine came to the objects.
    pub(super) results: Vec<Outcome>,
    /// Health of each object of the manifests after the sync.
    pub(super) health: Vec<Health>,
}

/// Result of the engine for one object.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) kind: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub(super) status: String,
    /// Output of kubectl, or the message of the object's health.
    pub(super) message: String,
}

/// The health of one object.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    pub(super) kind: String,
    /// The word of Argo CD, such as `Healthy`; empty for a kind that it knows no health of.
    pub(super) status: String,
    pub(super) message: String,
}

/// The verdict of one way of comparing on one object.
#[derive(Debug, Deserialize)]
pub(super) struct Difference {
    pub(super) kind: String,
    pub(super) name: String,
    /// `three-way`, `structured-merge` or `server-side`.
    pub(super) way: String,
    /// True where Argo CD shows the object as OutOfSync, or cannot compare it.
    pub(super) differs: bool,
    /// Merge patch from the live object to that of a sync.
    #[serde(default)]
    pub(super) patch: Json,
    /// The reason for which it cannot be compared.
    #[serde(default)]
    pub(super) fault: String,
}

/// An application: a name, and the directory that it is synced from.
pub(super) struct Application<'a> {
    namespace: &'a TestNamespace<'a>,
    name: String,
    user: String,
    kubeconfig: PathBuf,
    manifests: TempDir,
}

impl<'a> Application<'a> {
    pub(super) fn new(namespace: &'a TestNamespace<'a>, files: &Files) -> Application<'a> {
        Self::named(namespace, "contracts", files)
    }

    /// Returns an application of that name, beside others in the namespace.
    pub(super) fn named(
        namespace: &'a TestNamespace<'a>,
        name: &str,
        files: &Files,
    ) -> Application<'a> {
        let user = format!("argo-cd-of-{}", namespace.name());
        let kubeconfig = namespace
            .plane()
            .user_kubeconfig(&user, &["system:masters"]);
        let manifests = tempfile::tempdir().unwrap();
        write(manifests.path(), files);
        Application {
            namespace,
            name: name.to_owned(),
            user,
            kubeconfig: kubeconfig.unwrap(),
            manifests,
        }
    }

    /// Replaces the manifests.
    pub(super) fn change(&mut self, files: &Files) {
        self.manifests = tempfile::tempdir().unwrap();
        write(self.manifests.path(), files);
    }

    /// Syncs with the health scripts that we ship, and with these flags beside.
    pub(super) async fn sync(&self, flags: &[&str]) -> Synced {
        let scripts = workspace().join("contrib/argo-cd/argocd-cm.yaml");
        let scripts = scripts.to_string_lossy();
        let flags = [&["--settings", &scripts], flags].concat();
        self.sync_without_health_scripts(&flags).await
    }

    /// Syncs as an Argo CD that nobody has told of our kinds.
    pub(super) async fn sync_without_health_scripts(&self, flags: &[&str]) -> Synced {
        self.run("sync", flags).await
    }

    /// Returns the verdict of each way on each object.
    pub(super) async fn diff(&self) -> Vec<Difference> {
        self.run("diff", &[]).await
    }

    /// Returns the requests of the engine since the position of the audit log that could change an
    /// object of Entente.
    pub(super) async fn writes_since(&self, position: u64) -> Vec<String> {
        writes_since(self.namespace.plane(), &self.user, position).await
    }

    async fn run<T: DeserializeOwned>(&self, action: &str, flags: &[&str]) -> T {
        let program = workspace().join("target/tools/gitops-engine");
        let output = Command::new(&program)
            .arg(action)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--namespace", self.namespace.name()])
            .args(["--application", &self.name, "--manifests"])
            .arg(self.manifests.path())
            .args(flags)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|error| {
                panic!("{}: {error}: build it with `make tools`", program.display())
            });
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("{action} failed: {said}\n{}", self.namespace.dump().await);
        }
        serde_json::from_slice(&output.stdout).expect("an answer in JSON")
    }
}

/// Returns the objects that differ, with the way that says so and the patch.
pub(super) fn differing(differences: &[Difference]) -> Vec<String> {
    let differing = differences.iter().filter(|it| it.differs);
    differing
        .map(|it| {
            format!(
                "{} {} ({}): {}{}",
                it.kind, it.name, it.way, it.patch, it.fault
            )
        })
        .collect()
}
