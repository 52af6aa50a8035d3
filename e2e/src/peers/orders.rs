//! An order server whose idempotency is a middleware of others, as docs/api/orders.yaml has it.
//!
//! Decides their command lines, and reads the log of orders (`e2e/peers/orders.py`), in which a double is a
//! second line. Its faults have the words of the simulators. Called by tests of orders.

use entente_simulators::Fault;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::PeerError;
use super::script_server::{Script, ScriptServer, python_of};

const PEER: &str = "orders";

/// An order that it has made.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedOrder {
    /// The id that it gave it.
    pub order_id: String,
    /// The reference under which it was placed.
    pub reference: String,
    /// The device for which it was placed.
    pub device: LoggedDevice,
    /// Its lines.
    pub lines: Vec<LoggedLine>,
}

/// The device of an order.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedDevice {
    /// Its serial number.
    pub serial_number: String,
}

/// A line of an order.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedLine {
    /// The part number.
    pub part_number: String,
    /// The number of pieces.
    pub quantity: u32,
}

/// Abilities of the order server.
#[derive(Clone, Copy, Debug)]
pub struct OrderServerOptions {
    /// True if the middleware stands before it.
    pub keys: bool,
    /// True if orders can be found.
    pub search: bool,
}

impl Default for OrderServerOptions {
    fn default() -> Self {
        Self {
            keys: true,
            search: true,
        }
    }
}

/// A running order server. Dropping it kills the process.
#[derive(Debug)]
pub struct OrderServer {
    server: ScriptServer,
}

impl OrderServer {
    /// Starts one without an order.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process; `Missing` where the middleware is not installed.
    pub async fn start(options: OrderServerOptions) -> Result<Self, PeerError> {
        let without = [
            (!options.keys).then_some("--without-keys"),
            (!options.search).then_some("--without-search"),
        ];
        let script = Script {
            name: PEER,
            file: "orders.py",
            python: python_of(PEER, PEER)?,
            arguments: without.into_iter().flatten().collect(),
            environment: Vec::new(),
        };
        let server = ScriptServer::start(script).await?;
        Ok(Self { server })
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the orders that it has made, in their order.
    ///
    /// # Panics
    /// If a line of its log is none, which is a defect of the peer.
    pub fn log(&self) -> Vec<LoggedOrder> {
        self.server.lines("orders.jsonl")
    }

    /// Returns its output so far.
    pub fn output(&self) -> String {
        self.server.output()
    }

    /// Brings a fault in, for requests that write; one of the same kind is replaced.
    ///
    /// # Errors
    /// [`PeerError::Control`] also if this server cannot have it.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), PeerError> {
        self.server.set_fault(fault).await
    }

    /// Sets members of an order, such as its state.
    ///
    /// # Errors
    /// [`PeerError::Control`] if there is no such order.
    pub async fn change(&self, order: &str, members: Value) -> Result<(), PeerError> {
        let place = format!("orders/{order}");
        let request = self.server.request(Method::PUT, &place).json(&members);
        self.server.tell("an order", request).await
    }

    /// Ends it at once; its port refuses from then on.
    ///
    /// # Errors
    /// Any [`PeerError`] of ending a process.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        self.server.kill().await
    }

    /// Starts it again on the same port, with its orders and without the keys of the middleware.
    ///
    /// # Errors
    /// Any [`PeerError`] of starting a process.
    pub async fn start_again(&mut self) -> Result<(), PeerError> {
        self.server.start_again().await
    }
}
