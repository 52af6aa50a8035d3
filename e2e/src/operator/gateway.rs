//! The gateway under test: the real binary as a process of its own, with the rights that the chart gives
//! to its ServiceAccount and a certificate that only its callers trust.
//!
//! It never borrows the rights of the operator or of the administrator. Called by tests of devices that
//! call, and by the demo.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::{
    Endpoint, LOG_VARIABLE, OperatorError, OperatorView, READY_WITHIN, STOP_WITHIN, binary,
    free_address, process::Process,
};
use crate::control_plane::ControlPlane;
use crate::road::Road;

/// Name of its ServiceAccount in the chart.
const ACCOUNT: &str = "entente-gateway";

/// Values with which the chart gives it its rights. Its files stand for the Secret.
pub(super) const CHART_VALUES: [&str; 2] = [
    "gateway.enabled=true",
    "gateway.tls.secretName=entente-gateway-tls",
];

/// A running gateway. Dropping it kills the process.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    endpoint: Endpoint,
    road: Road,
    /// Namespace, Connection and flags, which its replicas share.
    started_as: (String, String, Vec<String>),
}

/// A place at which a gateway listens, before there is one: a Connection names it.
#[derive(Debug)]
pub struct GatewayPlace {
    endpoint: Endpoint,
}

impl GatewayPlace {
    /// Takes a free address and makes a certificate for it.
    pub fn take(plane: &ControlPlane) -> Result<Self, OperatorError> {
        let endpoint = Endpoint::prepare("gateway", plane.directory())?;
        Ok(Self { endpoint })
    }

    /// Returns the URL, as devices dial it.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Starts a gateway there, for a Connection and with flags of its own; it is ready when this returns.
    pub async fn start(
        self,
        plane: &ControlPlane,
        namespace: &str,
        connection: &str,
        flags: &[String],
    ) -> Result<Gateway, OperatorError> {
        let kubeconfig = plane
            .kubeconfig_for_service_account(namespace, ACCOUNT)
            .await
            .map_err(|source| OperatorError::Access { source })?;
        let (road, kubeconfig) = plane
            .kubeconfig_by_a_road(&kubeconfig)
            .await
            .map_err(|source| OperatorError::Access { source })?;
        let admin = free_address()?;
        let directory = plane.directory();
        let log = directory.join(format!("gateway-{}.log", admin.port()));
        let artifacts = directory.join(format!("artifacts-{}", admin.port()));
        let level = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".to_owned());
        let mut arguments = vec![
            "gateway".to_owned(),
            format!("--connection={connection}"),
            format!("--listen={}", self.endpoint.address()),
            format!("--tls-dir={}", self.endpoint.directory().display()),
            format!("--artifact-dir={}", artifacts.display()),
            format!("--admin-address={admin}"),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--namespace={namespace}"),
            "--log-format=json".to_owned(),
            format!("--log-level={level}"),
        ];
        arguments.extend(flags.iter().cloned());
        let mut process = Process::start(binary()?, arguments, admin, log).await?;
        process.until_ready(READY_WITHIN).await?;
        Ok(Gateway {
            process,
            endpoint: self.endpoint,
            road,
            started_as: (namespace.to_owned(), connection.to_owned(), flags.to_vec()),
        })
    }
}

impl Gateway {
    /// Starts another replica, with the same certificate, Connection and flags at an address of its own;
    /// it is ready when this returns.
    pub async fn replica(&self, plane: &ControlPlane) -> Result<Self, OperatorError> {
        let endpoint = self.endpoint.beside()?;
        let (namespace, connection, flags) = &self.started_as;
        GatewayPlace { endpoint }
            .start(plane, namespace, connection, flags)
            .await
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.address()
    }

    /// Returns its URL, as devices dial it.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Returns its road to the API server.
    pub fn road(&self) -> &Road {
        &self.road
    }

    /// Returns the file with its certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.endpoint.certificate()
    }

    /// Returns the directory with its certificate and key.
    pub fn tls_directory(&self) -> &Path {
        self.endpoint.directory()
    }

    /// Returns a client that trusts its certificate and no other.
    pub fn client(&self) -> reqwest::Client {
        self.endpoint.client()
    }

    /// Returns a view that does not own it: its log and its admin endpoints.
    pub fn view(&self) -> OperatorView {
        self.process.view()
    }

    /// Returns the process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill_hard(&mut self) -> Result<(), OperatorError> {
        self.process.kill().await
    }

    /// Asks it to end (SIGTERM) and waits until it did.
    pub async fn stop(&mut self) -> Result<ExitStatus, OperatorError> {
        self.process.stop(STOP_WITHIN).await
    }

    /// Starts it again at the same place; it is ready when this returns.
    pub async fn restart(&mut self) -> Result<(), OperatorError> {
        if self.process.id().is_some() {
            self.stop().await?;
        }
        self.process.start_again().await?;
        self.process.until_ready(READY_WITHIN).await
    }
}
