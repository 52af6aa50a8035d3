//! Starts software we did not write, so that tests prove things against it: three IPP servers of
//! separate code bases, the SNMP agent of net-snmp, one Open Service Broker, the inbox of a provider, an
//! order server, a settings distribution server, a judge of requests by an OpenAPI document, two devices
//! that install images, a device whose client was generated, Prometheus, one controller of Flux, and a
//! kubelet that runs no container.
//!
//! Decides how each program is started on loopback, in directories of its own, and when it is
//! ready. It must never install anything (`e2e/peers/install` does), never leave a process behind,
//! and never hide that a program is missing. Called by the end-to-end tests, the demo and the
//! benches.
//!
//! A peer dies with the thread that started it, so that a killed test run leaves nothing behind.
//! Start peers from a task, never inside `spawn_blocking`, whose threads retire when idle.

mod agent;
mod broker;
mod cups;
mod generated_client;
mod hawkbit;
mod inbox;
mod ippeveprinter;
mod kustomize_controller;
mod kwok;
mod launch;
mod lprint;
mod orders;
mod prism;
mod prometheus;
mod script_server;
mod settings_server;
mod snmpd;
mod swupdate;

pub mod ipp_client;

pub use agent::{Agent, AgentOptions, check};
pub use broker::{BrokerInstance, LedgerEntry, OpenBroker, OpenBrokerOptions};
pub use cups::CupsServer;
pub use generated_client::{GeneratedClient, GeneratedDevice};
pub use hawkbit::{HawkbitDevice, HawkbitOptions};
pub use inbox::{CloudEventsInbox, InboxRequest, TakenEvent};
pub use ippeveprinter::{ExtraAttribute, IppEvePrinter, IppEvePrinterOptions, PrivateBus};
pub use kustomize_controller::KustomizeController;
pub use kwok::Kwok;
pub use launch::Footprint;
pub use lprint::LprintServer;
pub use orders::{LoggedDevice, LoggedLine, LoggedOrder, OrderServer, OrderServerOptions};
pub use prism::Prism;
pub use prometheus::{PrometheusServer, promtool};
pub use settings_server::{SettingsDevice, SettingsRequest, SettingsServer};
pub use snmpd::{Override, Snmpd, SnmpdLogin};
pub use swupdate::{APPLICATION, FIRMWARE, Swupdate, SwupdateOptions};

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Reason why a peer could not be started or steered.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The program is not on this machine.
    #[error("{program} is not installed: run `make peers`")]
    Missing {
        /// Name of the executable.
        program: String,
    },
    /// The program has not been built.
    #[error("{} is missing: build it with `make tools`", path.display())]
    NotBuilt {
        /// Path where it was expected.
        path: PathBuf,
    },
    /// A directory or file of the peer could not be prepared.
    #[error("cannot prepare {what} for {peer}")]
    Preparation {
        /// The peer.
        peer: String,
        /// The step of the preparation.
        what: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// The system refused to start the process or to pass it a signal.
    #[error("cannot {action} {peer}")]
    Process {
        /// The peer.
        peer: String,
        /// The action that failed.
        action: &'static str,
        /// Error of the system.
        source: io::Error,
    },
    /// The process ended before it answered.
    #[error("{peer} ended before it was ready ({status}); its log ends with:\n{log}")]
    Ended {
        /// The peer.
        peer: String,
        /// Exit status.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },
    /// The process runs but did not answer in time.
    #[error("{peer} was not ready within {within:?}; its log ends with:\n{log}")]
    NotReady {
        /// The peer.
        peer: String,
        /// The deadline that passed.
        within: Duration,
        /// The last lines it wrote.
        log: String,
    },
    /// A program that sets the peer up answered with a failure.
    #[error("{command} did not succeed ({status}): {output}")]
    Setup {
        /// The command.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// Its output.
        output: String,
    },
    /// The peer cannot have the fault.
    #[error("{peer} cannot have the fault {fault}")]
    Fault {
        /// The peer.
        peer: String,
        /// Name of the fault.
        fault: &'static str,
    },
    /// The control endpoint of the peer did not answer as it should.
    #[error("{peer} did not take {what}")]
    Control {
        /// The peer.
        peer: String,
        /// Description of the request.
        what: &'static str,
        /// The error of the request.
        source: reqwest::Error,
    },
}
