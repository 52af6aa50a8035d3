//! Simulated peers of Entente: a fleet of IPP printers, an Open Service Broker server and an order server.
//!
//! They answer the real protocols over real sockets on loopback, keep a [`Ledger`] of every request
//! and take [`Fault`]s at run time, so that a test can script the fault of a peer and then read the
//! requests that it received. They must never depend on Entente's own crates: a judge that shares
//! code with the accused proves nothing. Called by end-to-end tests, the demo and benches in
//! process, and by people as the program `simulators`, which [`SimulatorClient`] steers.

mod attribute;
mod broker;
mod broker_http;
mod catalog;
mod client;
mod control;
mod fault;
mod fleet;
mod instance;
mod ipp_message;
mod ipp_operation;
mod ledger;
mod listener;
mod model;
pub mod odd;
mod order_server;
mod printer;
mod vendor;
pub mod zoo;

pub use attribute::{SettableAttribute, Syntax};
pub use broker::{Broker, BrokerOptions, Mode};
pub use catalog::{MaintenanceInfo, Plan, ServiceOffering, default_catalog};
pub use client::{ClientError, Ready, SimulatorClient};
pub use control::Control;
pub use fault::{Fault, FaultKind, Rejection, Side};
pub use fleet::{FleetOptions, IppFleet};
pub use instance::{InstanceView, ParameterUpdate};
pub use ledger::{AttributeValue, Cause, Entry, Ledger, LedgerTimeout, PeerKind};
pub use model::WriteOperations;
pub use order_server::{OrderServer, PlacedOrder};
pub use printer::{Device, DeviceView};

/// User name and password of HTTP Basic authentication (RFC 7617) that a simulator requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Returns the value of the `Authorization` header with these credentials.
    pub fn header(&self) -> String {
        use base64::Engine as _;
        let pair = format!("{}:{}", self.user, self.password);
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(pair)
        )
    }
}

/// Error while a simulator is started or steered.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address and port that were tried.
        address: std::net::SocketAddr,
        /// Error of the system.
        source: std::io::Error,
    },
    /// No port was found that is free on every address of the fleet.
    #[error("no port is free on all {count} addresses after {attempts} attempts")]
    NoCommonPort {
        /// Number of addresses.
        count: usize,
        /// Number of ports that were tried.
        attempts: usize,
    },
    /// The listener did not reach the wanted state in time.
    #[error("the listener on {address} did not become {wanted} in time")]
    Switch {
        /// Address and port of the listener.
        address: std::net::SocketAddr,
        /// `online` or `offline`.
        wanted: &'static str,
    },
    /// The attribute is unknown to the device, or the value is not of its syntax.
    #[error("attribute {name} of {device} does not take {value}")]
    Attribute {
        /// Name of the device.
        device: String,
        /// Name of the attribute.
        name: String,
        /// The value as JSON.
        value: String,
    },
    /// A peer of this side cannot have the fault.
    #[error("no {side} can have the fault {fault}")]
    Fault {
        /// Name of the fault.
        fault: &'static str,
        /// The side that it was brought to.
        side: Side,
    },
    /// The options contradict each other.
    #[error("the options do not fit: {message}")]
    Options {
        /// Description of the value that does not fit.
        message: String,
    },
}
