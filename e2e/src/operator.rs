//! The operator under test: the real binary as a process, with the rights that the chart gives it.
//!
//! Installs the CRDs and what the chart renders (by real Helm, without the Deployment: there is no
//! kubelet), takes a token of the chart's ServiceAccount and starts the binary with it, so that a
//! right missing in the chart fails every test. It must never use the administrator's rights for
//! the operator, and never leave the process behind. Called by end-to-end tests, the demo and the
//! benches.

mod chart;
mod endpoint;
mod gateway;
mod process;

pub use endpoint::Endpoint;
pub use gateway::{Gateway, GatewayPlace};
pub use process::OperatorView;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::control_plane::{AccessError, ControlPlane, KubectlError};
use crate::road::Road;
use process::Process;

/// Variable with the path of another binary than the one that cargo builds.
const BINARY_VARIABLE: &str = "ENTENTE_OPERATOR_BINARY";
/// Variable with the operator's log level (`--log-level`) during tests.
const LOG_VARIABLE: &str = "ENTENTE_OPERATOR_LOG";
/// From the start of the process to /readyz. It needs tenths of a second.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// From SIGTERM to the end of the process: a gateway drains for 5 s, and its grace is 20 s.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Options of an operator.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// Flags besides those that the harness sets itself.
    pub flags: Vec<String>,
    /// The operator's own namespace, into which the chart is rendered.
    pub namespace: String,
    /// Values with which the chart is rendered, as of `helm --set`.
    pub chart_values: Vec<String>,
    /// Namespaces of tenants, which are made, and of whose Secrets those may be read that are labelled so.
    pub tenants: Vec<String>,
    /// True if it serves the events endpoint and the board.
    pub endpoints: bool,
    /// True if a gateway has its rights.
    pub gateway: bool,
    /// Name of the pod that the process stands for, the same after a restart.
    pub pod_name: String,
}

impl Default for OperatorOptions {
    fn default() -> Self {
        Self {
            flags: vec!["--accrual-interval=1s".to_owned()],
            namespace: "entente-system".to_owned(),
            chart_values: Vec::new(),
            tenants: Vec::new(),
            endpoints: false,
            gateway: false,
            pod_name: "entente-0".to_owned(),
        }
    }
}

/// Reason why there is no operator.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The binary has not been built.
    #[error("{} is missing: build it with `cargo build -p entente-operator`", path.display())]
    BinaryMissing {
        /// Path where it was expected.
        path: PathBuf,
    },
    /// The control plane could not be started.
    #[error(transparent)]
    ControlPlane {
        /// The error of the control plane.
        source: crate::control_plane::StartError,
    },
    /// No client or token.
    #[error(transparent)]
    Access {
        /// The error of the access.
        source: AccessError,
    },
    /// kubectl could not be run.
    #[error(transparent)]
    Kubectl {
        /// The error of kubectl.
        source: KubectlError,
    },
    /// Helm or kubectl failed.
    #[error("{command} failed: {said}")]
    Refused {
        /// The command.
        command: String,
        /// Output of the command.
        said: String,
    },
    /// The rendered chart cannot be used.
    #[error("the chart renders something unexpected: {problem}")]
    Chart {
        /// The fault of the chart.
        problem: String,
    },
    /// The process cannot be started, signalled or waited for.
    #[error("cannot {action} the operator")]
    Process {
        /// The action that failed.
        action: &'static str,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The process ended before it was ready.
    #[error("the operator ended ({status}); its log ends with:\n{log}")]
    Ended {
        /// Exit status of the process.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The process did not become ready, or did not end.
    #[error("the operator is not {state} after {within:?}: {said}; its log ends with:\n{log}")]
    Late {
        /// `ready` or `gone`.
        state: &'static str,
        /// The time it had.
        within: Duration,
        /// The last answer of /readyz.
        said: String,
        /// The last lines of its log.
        log: String,
    },
    /// An admin endpoint did not answer.
    #[error("the operator does not answer {path}")]
    Admin {
        /// The endpoint.
        path: &'static str,
        /// The error of the request.
        source: reqwest::Error,
    },
}

/// A running operator. Dropping it kills the process.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    namespace: String,
    kubeconfig: PathBuf,
    /// Those of events and of the board, if it serves them.
    endpoints: Option<[Endpoint; 2]>,
    flags: Vec<String>,
    /// The road to the API server, which a test can cut; none: a direct one.
    road: Option<Road>,
}

impl Operator {
    /// Installs CRDs and chart and starts the operator; it is ready when this returns.
    pub async fn start(
        plane: &ControlPlane,
        options: OperatorOptions,
    ) -> Result<Self, OperatorError> {
        let endpoints = if options.endpoints {
            let prepare = |word| Endpoint::prepare(word, plane.directory());
            Some([prepare("events")?, prepare("board")?])
        } else {
            None
        };
        let of_endpoints = endpoints.iter().flatten().flat_map(Endpoint::chart_values);
        let of_gateway = gateway::CHART_VALUES.map(str::to_owned).into_iter();
        let of_gateway = of_gateway.filter(|_| options.gateway);
        let values: Vec<String> = options
            .chart_values
            .iter()
            .cloned()
            .chain(of_endpoints)
            .chain(of_gateway)
            .collect();
        let account =
            chart::install(plane, (&options.namespace, &options.tenants), &values).await?;
        let kubeconfig = plane
            .kubeconfig_for_service_account(&options.namespace, &account)
            .await
            .map_err(|source| OperatorError::Access { source })?;
        let flags = endpoints.iter().flatten().flat_map(Endpoint::flags);
        let mut operator = Self {
            process: process(plane, &kubeconfig, &options, flags.collect()).await?,
            namespace: options.namespace,
            kubeconfig,
            endpoints,
            flags: options.flags,
            road: None,
        };
        operator.process.until_ready(READY_WITHIN).await?;
        Ok(operator)
    }

    /// Starts another replica, with the same account and flags, which reaches the API server by a road
    /// of its own. It is ready when this returns.
    pub async fn replica(
        &self,
        plane: &ControlPlane,
        pod_name: &str,
    ) -> Result<Self, OperatorError> {
        let (road, kubeconfig) = plane
            .kubeconfig_by_a_road(&self.kubeconfig)
            .await
            .map_err(|source| OperatorError::Access { source })?;
        let options = OperatorOptions {
            flags: self.flags.clone(),
            namespace: self.namespace.clone(),
            pod_name: pod_name.to_owned(),
            ..OperatorOptions::default()
        };
        let mut replica = Self {
            process: process(plane, &kubeconfig, &options, Vec::new()).await?,
            namespace: options.namespace,
            kubeconfig,
            endpoints: None,
            flags: options.flags,
            road: Some(road),
        };
        replica.process.until_ready(READY_WITHIN).await?;
        Ok(replica)
    }

    /// Returns its road to the API server, if it is a [`Operator::replica`].
    pub fn road(&self) -> Option<&Road> {
        self.road.as_ref()
    }

    /// Stops it where it is (SIGSTOP), as a machine does that is suspended.
    pub fn freeze(&self) -> Result<(), OperatorError> {
        self.process.signal("STOP", "freeze")
    }

    /// Lets it run on after [`Operator::freeze`].
    pub fn thaw(&self) -> Result<(), OperatorError> {
        self.process.signal("CONT", "thaw")
    }

    /// Waits until it has ended by itself, and returns how.
    pub async fn ended(&mut self) -> Result<ExitStatus, OperatorError> {
        self.ended_within(STOP_WITHIN).await
    }

    /// Works as [`Operator::ended`], for so long at most.
    pub async fn ended_within(&mut self, within: Duration) -> Result<ExitStatus, OperatorError> {
        self.process.until_ended(within).await
    }

    /// Returns the operator's own namespace, where Secrets of Connections are.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the kubeconfig file that the operator uses, with a token of the chart's
    /// ServiceAccount.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Returns its events endpoint, if it serves one.
    pub fn events(&self) -> Option<&Endpoint> {
        self.endpoints.as_ref().map(|[events, _]| events)
    }

    /// Returns its board, if it serves one.
    pub fn board(&self) -> Option<&Endpoint> {
        self.endpoints.as_ref().map(|[_, board]| board)
    }

    /// Returns a view that does not own the operator: its log and its admin endpoints.
    pub fn view(&self) -> OperatorView {
        self.process.view()
    }

    /// Returns the log so far, one JSON object a line, over all its processes.
    pub fn log(&self) -> String {
        self.view().log()
    }

    /// Returns the command for a shell that starts it again with the same flags, once it was ended.
    /// A process that is started so is not ended with this value.
    pub fn command_line(&self) -> &str {
        self.process.command()
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns /metrics, in the OpenMetrics text format.
    pub async fn metrics(&self) -> Result<String, OperatorError> {
        self.view().get("/metrics").await
    }

    /// Ends it at once (SIGKILL), as a node that loses power does.
    pub async fn kill_hard(&mut self) -> Result<(), OperatorError> {
        self.process.kill().await
    }

    /// Asks it to end (SIGTERM) and waits until it did.
    pub async fn stop(&mut self) -> Result<ExitStatus, OperatorError> {
        self.process.stop(STOP_WITHIN).await
    }

    /// Starts it again after [`Operator::kill_hard`] or [`Operator::stop`], with the same flags;
    /// ends it first if it runs. It is ready when this returns.
    pub async fn restart(&mut self) -> Result<(), OperatorError> {
        self.start_again().await?;
        self.process.until_ready(READY_WITHIN).await
    }

    /// Works as [`Operator::restart`], without waiting until it is ready.
    pub async fn start_again(&mut self) -> Result<(), OperatorError> {
        if self.process.id().is_some() {
            self.stop().await?;
        }
        self.process.start_again().await
    }
}

/// Starts a process of the operator.
async fn process(
    plane: &ControlPlane,
    kubeconfig: &Path,
    options: &OperatorOptions,
    more: Vec<String>,
) -> Result<Process, OperatorError> {
    let admin = free_address()?;
    let log = plane
        .directory()
        .join(format!("operator-{}.log", admin.port()));
    let level = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".to_owned());
    let mut arguments = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--namespace={}", options.namespace),
        format!("--pod-name={}", options.pod_name),
        format!("--admin-address={admin}"),
        "--log-format=json".to_owned(),
        format!("--log-level={level}"),
    ];
    arguments.extend(more);
    arguments.extend(options.flags.iter().cloned());
    Process::start(binary()?, arguments, admin, log).await
}

/// Returns the path of the operator's binary, built by cargo into the same target directory as this
/// crate.
fn binary() -> Result<PathBuf, OperatorError> {
    let path = match std::env::var_os(BINARY_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => PathBuf::from(path),
        None => workspace().join("target/debug/entente-operator"),
    };
    if path.is_file() {
        Ok(path)
    } else {
        Err(OperatorError::BinaryMissing { path })
    }
}

/// Returns the root of the repository.
///
/// # Panics
/// Never: this crate lies in a directory of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a directory of the workspace")
}

/// Returns an address on loopback that is free now.
fn free_address() -> Result<SocketAddr, OperatorError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|source| OperatorError::Process {
            action: "find a free port for",
            source,
        })
}
