//! The simulated service broker: Open Service Broker 2.17 on loopback.
//!
//! Holds catalog, mode, instances and faults, and lets tests read and interfere. Requests are
//! answered by `broker_http`, instances change in `instance`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Credentials, Fault, FaultKind, Ledger, ServiceOffering, Side, SimulatorError,
    catalog::default_catalog,
    fault::Faults,
    instance::{InstanceView, Instances, ParameterUpdate},
    ledger::{AttributeValue, Cause, Change, PeerKind},
    listener::{OwnPath, OwnedTask, Switch, listen, serve},
};

/// Way in which the broker carries out writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// At once: 201 and 200.
    Sync,
    /// As operations: 202, and 422 AsyncRequired without `accepts_incomplete=true`.
    Async {
        /// Number of polls of last_operation that are answered `in progress`.
        polls: u32,
        /// Shortest duration of an operation, in milliseconds.
        milliseconds: u64,
    },
}

/// Parts of a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The catalog.
    pub services: Vec<ServiceOffering>,
    /// Way in which writes are carried out.
    pub mode: Mode,
    /// Meaning of the parameters of an update.
    pub parameter_update: ParameterUpdate,
    /// Delay of every answer.
    pub latency: Duration,
    /// HTTP Basic credentials that every request must bring; absent: none.
    pub credentials: Option<Credentials>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            port: 0,
            services: default_catalog(),
            mode: Mode::Sync,
            parameter_update: ParameterUpdate::Replace,
            latency: Duration::ZERO,
            credentials: None,
        }
    }
}

/// The part of a broker that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) services: Vec<ServiceOffering>,
    pub(super) mode: Mode,
    pub(super) instances: Instances,
}

/// The part of the broker that answers requests.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) path: OwnPath,
    pub(super) parameter_update: ParameterUpdate,
    pub(super) latency: Duration,
    authorization: Mutex<Option<String>>,
    pub(super) ledger: Ledger,
    pub(super) faults: Faults,
    switch: Arc<Switch>,
    state: Mutex<State>,
}

impl Server {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half changed: each applies after it was checked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if a request with this `Authorization` header is let in.
    pub(super) fn lets_in(&self, header: Option<&str>) -> bool {
        let asked = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        asked.is_none() || asked.as_deref() == header
    }
}

/// A simulated broker that listens until the last clone of this value is dropped.
#[derive(Debug, Clone)]
pub struct Broker {
    address: SocketAddr,
    server: Arc<Server>,
    _listener: Arc<OwnedTask>,
}

impl Broker {
    /// Starts the broker; it listens when this returns.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`].
    #[expect(
        clippy::unused_async,
        reason = "must be called inside a runtime, as IppFleet::start"
    )]
    pub async fn start(options: BrokerOptions, ledger: Ledger) -> Result<Self, SimulatorError> {
        let wanted: SocketAddr = (Ipv4Addr::LOCALHOST, options.port).into();
        let failed = |source| SimulatorError::Listen {
            address: wanted,
            source,
        };
        let socket = listen(wanted).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let switch = Arc::new(Switch::new(address));
        let server = Arc::new(Server {
            path: OwnPath::for_port(options.port),
            parameter_update: options.parameter_update,
            latency: options.latency,
            authorization: Mutex::new(options.credentials.as_ref().map(Credentials::header)),
            ledger,
            faults: Faults::default(),
            switch: Arc::clone(&switch),
            state: Mutex::new(State {
                services: options.services,
                mode: options.mode,
                instances: Instances::default(),
            }),
        });
        let listener = OwnedTask::spawn(serve(socket, Arc::clone(&server), switch));
        Ok(Self {
            address,
            server,
            _listener: Arc::new(listener),
        })
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT`, on a free port with the path, to which a platform adds `/v2/…`.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path())
    }

    /// Path below which it is asked: empty unless it is on a free port.
    pub fn path(&self) -> &str {
        self.server.path.as_str()
    }

    /// True if the listener is open.
    pub fn is_listening(&self) -> bool {
        self.server.switch.is_open()
    }

    /// From now on every request must bring this token (RFC 6750) and nothing else.
    pub fn set_token(&self, token: &str) {
        let mut asked = self
            .server
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *asked = Some(format!("Bearer {token}"));
    }

    /// Changes the way in which writes are carried out from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.server.state().mode = mode;
    }

    /// Puts another catalog in place.
    pub fn set_services(&self, services: Vec<ServiceOffering>) {
        self.server.state().services = services;
    }

    /// Faults in force.
    pub fn faults(&self) -> Vec<Fault> {
        self.server.faults.active()
    }

    /// Brings a fault in; one of the same kind and operation is replaced.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`] if no broker can have it, [`SimulatorError::Switch`] if the listener
    /// does not close in time.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), SimulatorError> {
        let fault = fault.into().checked(Side::Broker)?;
        let offline = fault.kind == FaultKind::Offline;
        self.server.faults.set(fault);
        if offline {
            self.server.switch.set(false).await
        } else {
            Ok(())
        }
    }

    /// Clears all faults; operations that were never to end do end.
    ///
    /// # Errors
    /// [`SimulatorError::Switch`] if the listener does not open in time.
    pub async fn clear_faults(&self) -> Result<(), SimulatorError> {
        self.server.faults.clear();
        self.server.state().instances.release();
        self.server.switch.set(true).await
    }

    /// Returns all service instances, by id.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.server.state().instances.view()
    }

    /// Returns one service instance.
    pub fn instance(&self, id: &str) -> Option<InstanceView> {
        self.instances()
            .into_iter()
            .find(|instance| instance.id == id)
    }

    /// Somebody changes the parameters in effect at the broker itself (drift). `false`: no such
    /// instance.
    pub fn set_parameters(&self, id: &str, parameters: Map<String, Value>) -> bool {
        let mut state = self.server.state();
        let text = Value::Object(parameters.clone()).to_string();
        let Some(changed) = state.instances.drift(id, parameters) else {
            return false;
        };
        self.note(
            id,
            "panel-change",
            changed,
            vec![AttributeValue::new("/parameters", text)],
        );
        true
    }

    /// Removes an instance, as a broker that loses it. Returns false if there is none.
    pub fn remove_instance(&self, id: &str) -> bool {
        let mut state = self.server.state();
        let removed = state.instances.lose(id);
        if removed {
            self.note(id, "lose-instance", true, Vec::new());
        }
        removed
    }

    fn note(&self, id: &str, operation: &'static str, changed: bool, what: Vec<AttributeValue>) {
        self.server.ledger.append(Change {
            peer: PeerKind::Broker,
            cause: Cause::Panel,
            name: id.into(),
            key: id.into(),
            operation,
            changed,
            attributes: what,
        });
    }
}
