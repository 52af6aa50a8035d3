//! A real Kubernetes control plane (etcd, API server, controllers) for end-to-end tests, the demo
//! and the benches: the operator meets the same schemas, CEL, RBAC, admission policies, garbage
//! collection and namespace deletion as on a cluster of its users.
//!
//! Decides which control plane is used: the cluster of `KUBECONFIG` if that is set, else one of its
//! own on loopback (with the binaries of `KUBEBUILDER_ASSETS` if that is set). It must never leave
//! a process behind, listen beyond loopback or hide that a tool is missing. There is no kubelet, so no
//! container runs; Deployments are accepted, and with [`Options::workloads`] Pods are made for them and
//! bound to nodes that a test makes.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use entente_e2e::control_plane::{ControlPlane, Options};
//! let plane = ControlPlane::start(Options { audit: true, ..Options::default() }).await?;
//! let namespace = plane.create_namespace("contracts").await?;
//! plane.kubectl(["apply", "-n", &namespace, "-f", "examples/contract.yaml"]).await?;
//! # Ok(())
//! # }
//! ```

mod access;
mod audit;
mod kubectl;
mod supervisor;

pub use access::AccessError;
pub use audit::{AuditError, AuditEvent};
pub use kubectl::KubectlError;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use kube::config::{Kubeconfig, KubeconfigError};
use tokio::sync::OnceCell;

use supervisor::Supervisor;

/// The command that builds every tool this module runs.
const BUILD_COMMAND: &str = "make tools";

/// Options of a control plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// Write an audit log, so that [`ControlPlane::audit_events`] can count requests.
    pub audit: bool,
    /// Run a scheduler, and the controllers of Deployments, disruption budgets and nodes.
    pub workloads: bool,
    /// Directory of the data; a later start with the same directory and port continues with it, and
    /// accepts the same kubeconfig files and tokens. None takes a temporary directory that is
    /// removed with the control plane.
    pub directory: Option<PathBuf>,
    /// Port of the API server on 127.0.0.1; None takes a free one.
    pub port: Option<u16>,
    /// Admission plugins to enable beside those that are on by default in Kubernetes.
    pub admission_plugins: &'static [&'static str],
    /// Time until everything must be ready (about 3 s on two idle cores).
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            audit: false,
            workloads: false,
            directory: None,
            port: None,
            admission_plugins: &[],
            deadline: Duration::from_mins(1),
        }
    }
}

/// Reason why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A tool has not been built.
    #[error("{} is missing: build it with `{BUILD_COMMAND}`", path.display())]
    ToolMissing {
        /// Path where it was expected.
        path: PathBuf,
    },
    /// The supervisor could not be run at all.
    #[error("cannot run {}", path.display())]
    Spawn {
        /// The executable.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The supervisor ended before the control plane was ready.
    #[error("the control plane did not become ready: {reason}")]
    Ended {
        /// Its messages, with the last lines of the failed server's log.
        reason: String,
    },
    /// The supervisor printed nothing in time.
    #[error("the control plane is not ready after {deadline:?}: {reason}")]
    Late {
        /// The time it had.
        deadline: Duration,
        /// Its messages so far.
        reason: String,
    },
    /// The supervisor announced something that is not its announcement.
    #[error("unexpected announcement of the control plane: {line}")]
    Announcement {
        /// The line it printed.
        line: String,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// The kubeconfig cannot be read.
    #[error("cannot read the kubeconfig")]
    Kubeconfig {
        /// Error of the kubeconfig.
        source: KubeconfigError,
    },
    /// A directory or file of ours cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The directory or file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// An option that only a control plane of our own has, while `KUBECONFIG` names a cluster.
    #[error("{option} needs a control plane of its own: unset KUBECONFIG")]
    NotOnACluster {
        /// The name of the option.
        option: &'static str,
    },
}

/// A running control plane. Dropping it ends all its processes before `drop` returns.
///
/// It has no part of a Tokio runtime, so one can serve tests with runtimes of their own; each test
/// makes its own [`ControlPlane::client`].
#[derive(Debug)]
pub struct ControlPlane {
    /// None on a developer's cluster. Before `files`, so that it ends first.
    supervisor: Option<Supervisor>,
    kubeconfig: PathBuf,
    server: String,
    audit_log: Option<PathBuf>,
    processes: BTreeMap<String, u32>,
    /// Directory for kubeconfig files of other users and for kubectl's cache.
    directory: PathBuf,
    /// Keeps that directory on a developer's cluster.
    _temporary: Option<tempfile::TempDir>,
    /// Number that makes files and audit marks of one control plane distinct.
    counter: AtomicU64,
}

impl ControlPlane {
    /// Starts a control plane, or uses the cluster of `KUBECONFIG`, and returns once its API server
    /// and controllers work.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        // kube needs one process-wide TLS provider; an earlier caller chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match std::env::var_os("KUBECONFIG") {
            Some(path) if !path.is_empty() => Self::of_cluster(&options),
            _ => Self::own(&options).await,
        }
    }

    /// Returns the control plane that all tests of one process share, without an audit log. It is
    /// started by the first caller and ends with the process. A test that counts requests, restarts
    /// the server or changes objects outside a namespace starts its own.
    pub async fn shared() -> Result<&'static Self, StartError> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| Self::start(Options::default()))
            .await
    }

    async fn own(options: &Options) -> Result<Self, StartError> {
        let (supervisor, announced) = Supervisor::start(options).await?;
        Ok(Self {
            supervisor: Some(supervisor),
            kubeconfig: announced.kubeconfig,
            server: announced.server,
            audit_log: announced.audit_log,
            processes: announced.processes,
            directory: announced.directory,
            _temporary: None,
            counter: AtomicU64::new(0),
        })
    }

    fn of_cluster(options: &Options) -> Result<Self, StartError> {
        let refused = [
            (options.audit, "an audit log"),
            (options.workloads, "a scheduler"),
            (options.directory.is_some(), "a data directory"),
            (options.port.is_some(), "a port"),
            (!options.admission_plugins.is_empty(), "admission plugins"),
        ];
        if let Some((_, option)) = refused.into_iter().find(|(wanted, _)| *wanted) {
            return Err(StartError::NotOnACluster { option });
        }
        let temporary = access::private_directory()?;
        let (kubeconfig, server) = access::copy_of_environment(temporary.path())?;
        eprintln!("control plane: using the cluster of KUBECONFIG, {server}");
        Ok(Self {
            supervisor: None,
            kubeconfig,
            server,
            audit_log: None,
            processes: BTreeMap::new(),
            directory: temporary.path().to_owned(),
            _temporary: Some(temporary),
            counter: AtomicU64::new(0),
        })
    }

    /// Returns the administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Returns the directory of this control plane's files; server logs are in `logs/`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ids of the processes by name (`supervisor`, `etcd`, `kube-apiserver`,
    /// `kube-controller-manager`, `kube-scheduler`); empty on a developer's cluster.
    pub fn processes(&self) -> &BTreeMap<String, u32> {
        &self.processes
    }

    /// True if controllers run: without them (envtest binaries alone) owned objects are not
    /// collected and namespaces stay Terminating. A developer's cluster is taken to have them.
    pub fn has_controllers(&self) -> bool {
        self.supervisor.is_none() || self.processes.contains_key("kube-controller-manager")
    }

    /// Ends all processes and returns once they are gone, as dropping does, but off the calling
    /// runtime's thread.
    pub async fn stop(self) {
        // A panic in drop is the only error, and it was printed.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Returns a number that no other call on this control plane gets.
    fn next_number(&self) -> u64 {
        self.counter
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

/// Returns the path of a tool that `make tools` builds.
fn tool(name: &str) -> Result<PathBuf, StartError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a directory of the workspace")
        .join("target/tools")
        .join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(StartError::ToolMissing { path })
    }
}

/// Reads a kubeconfig file with the paths in it made absolute.
fn read_kubeconfig(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    Kubeconfig::read_from(path)
}

#[cfg(test)]
mod tests {
    use super::tool;

    #[test]
    fn a_missing_tool_is_named_with_the_command_that_builds_it() {
        let message = tool("no-such-tool").unwrap_err().to_string();
        assert!(
            message.contains("target/tools/no-such-tool is missing"),
            "{message}"
        );
        assert!(message.contains("`make tools`"), "{message}");
    }
}
