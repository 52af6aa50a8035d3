//! A fleet of simulated printers, each with an address of its own and all with one port.
//!
//! Decides addresses, names and the common port. It must not answer requests: each device does.
//! Called by tests, benches, the demo and the binary.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpListener;

use super::{
    Credentials, Fault, Ledger, SettableAttribute, SimulatorError, WriteOperations,
    listener::{OwnedTask, listen, serve},
    model::Model,
    printer::{Device, Make},
    vendor::settable_of,
};

/// Number of ports that are tried if none is named.
const PORT_ATTEMPTS: usize = 50;
/// 127.1.0.0/16 in steps of 250 hosts.
const MOST_DEVICES: usize = 250 * 250;

/// The product of a fleet that names no other.
const PRODUCT: &str = "Northwind MFP 500";

/// Parts of a fleet.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Number of devices.
    pub count: usize,
    /// Common port; 0 takes one that is free on every address.
    pub port: u16,
    /// Index of the first device. It decides address, printer-uuid and serial number, so that
    /// fleets of several models can exist side by side on one port.
    pub first_index: usize,
    /// Names; if there are fewer than devices the rest are made from `name_prefix`.
    pub names: Vec<String>,
    /// Made names are the prefix and the index + 1 with four digits: `mfp-0001`.
    pub name_prefix: String,
    /// printer-make-and-model: the maker, a space, the product.
    pub make_and_model: String,
    /// Further paths `/ipp/print/QUEUE` that lead to the same printer.
    pub queues: Vec<String>,
    /// Settable attributes besides the standard five; one of the same name replaces a standard one.
    pub settable: Vec<SettableAttribute>,
    /// True if printer-settable-attributes-supported is reported.
    pub advertise_settable: bool,
    /// Operations that set.
    pub writes: WriteOperations,
    /// Delay of every answer.
    pub latency: Duration,
    /// HTTP Basic credentials that every request must bring; absent: none.
    pub credentials: Option<Credentials>,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            count: 1,
            port: 0,
            first_index: 0,
            names: Vec::new(),
            name_prefix: "mfp-".to_owned(),
            make_and_model: PRODUCT.to_owned(),
            queues: Vec::new(),
            settable: settable_of(PRODUCT),
            advertise_settable: true,
            writes: WriteOperations::default(),
            latency: Duration::ZERO,
            credentials: None,
        }
    }
}

impl FleetOptions {
    /// Returns a fleet of so many devices on a free port.
    pub fn of(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// Returns a fleet of so many devices of a product, with the settings that this product has:
    /// `Northwind MFP 500`, `Northwind MFP 700`, `Southwind MFP 320`; others have those of the first.
    pub fn of_product(make_and_model: &str, count: usize) -> Self {
        Self {
            count,
            make_and_model: make_and_model.to_owned(),
            settable: settable_of(make_and_model),
            ..Self::default()
        }
    }

    fn name(&self, position: usize) -> String {
        let made = || format!("{}{:04}", self.name_prefix, self.first_index + position + 1);
        self.names.get(position).cloned().unwrap_or_else(made)
    }
}

#[derive(Debug)]
struct Running {
    port: u16,
    devices: Vec<Arc<Device>>,
    by_name: HashMap<String, usize>,
    /// Dropped last with the fleet; closes every listener.
    _listeners: Vec<OwnedTask>,
}

/// Simulated printers that listen until the last clone of this value is dropped.
#[derive(Debug, Clone)]
pub struct IppFleet {
    running: Arc<Running>,
}

impl IppFleet {
    /// Starts the fleet; all devices listen when this returns.
    ///
    /// # Errors
    /// [`SimulatorError::Listen`], [`SimulatorError::NoCommonPort`], [`SimulatorError::Options`].
    pub async fn start(options: FleetOptions, ledger: Ledger) -> Result<Self, SimulatorError> {
        if options.count == 0 || options.first_index + options.count > MOST_DEVICES {
            let message = format!("{} devices from {}", options.count, options.first_index);
            return Err(SimulatorError::Options { message });
        }
        let model = Model::new(
            &options.make_and_model,
            options.writes,
            options.advertise_settable,
            &options.settable,
        )?;
        let model = Arc::new(model);
        let (port, sockets) = listen_on_all(&options)?;
        let main = "/ipp/print".to_owned();
        let further = options
            .queues
            .iter()
            .map(|queue| format!("/ipp/print/{queue}"));
        let paths: Arc<[String]> = std::iter::once(main).chain(further).collect();
        let authorization = options.credentials.as_ref().map(|c| Arc::from(c.header()));
        let mut devices = Vec::with_capacity(options.count);
        let mut listeners = Vec::with_capacity(options.count);
        let mut by_name = HashMap::with_capacity(options.count);
        for (position, socket) in sockets.into_iter().enumerate() {
            let index = options.first_index + position;
            let device = Arc::new(Device::new(Make {
                name: options.name(position),
                index,
                address: address(index, port),
                paths: Arc::clone(&paths),
                model: Arc::clone(&model),
                latency: options.latency,
                authorization: authorization.clone(),
                ledger: ledger.clone(),
            }));
            if by_name.insert(device.name().to_owned(), position).is_some() {
                let message = format!("two devices are named {}", device.name());
                return Err(SimulatorError::Options { message });
            }
            let switch = Arc::clone(&device.switch);
            listeners.push(OwnedTask::spawn(serve(socket, Arc::clone(&device), switch)));
            devices.push(device);
        }
        // Lets the tasks start before the first client comes, so that a switch finds them.
        tokio::task::yield_now().await;
        let running = Running {
            port,
            devices,
            by_name,
            _listeners: listeners,
        };
        Ok(Self {
            running: Arc::new(running),
        })
    }

    /// Returns the common port.
    pub fn port(&self) -> u16 {
        self.running.port
    }

    /// Returns all devices, in order of their index.
    pub fn devices(&self) -> &[Arc<Device>] {
        &self.running.devices
    }

    /// Returns the device of that name.
    pub fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.running
            .by_name
            .get(name)
            .map(|position| &self.running.devices[*position])
    }

    /// Brings a fault into every device.
    ///
    /// # Errors
    /// The first error of a device; the others still take the fault.
    pub async fn set_fault(&self, fault: impl Into<Fault>) -> Result<(), SimulatorError> {
        let fault = fault.into();
        let each = self
            .devices()
            .iter()
            .map(|device| device.set_fault(fault.clone()));
        futures::future::join_all(each).await.into_iter().collect()
    }

    /// Clears all faults of every device.
    ///
    /// # Errors
    /// The first error of a device; those of the others are still cleared.
    pub async fn clear_faults(&self) -> Result<(), SimulatorError> {
        let each = self.devices().iter().map(|device| device.clear_faults());
        futures::future::join_all(each).await.into_iter().collect()
    }
}

/// Device i is at 127.1.(i/250).(i%250+1).
fn address(index: usize, port: u16) -> SocketAddr {
    let octet = |number: usize| u8::try_from(number).expect("bounded by MOST_DEVICES");
    (
        Ipv4Addr::new(127, 1, octet(index / 250), octet(index % 250 + 1)),
        port,
    )
        .into()
}

fn listen_on_all(options: &FleetOptions) -> Result<(u16, Vec<TcpListener>), SimulatorError> {
    let attempts = if options.port == 0 { PORT_ATTEMPTS } else { 1 };
    for _ in 0..attempts {
        match listen_once(options) {
            Ok(found) => return Ok(found),
            Err((address, source)) if attempts == 1 || !is_taken(&source) => {
                return Err(SimulatorError::Listen { address, source });
            }
            Err(_) => {}
        }
    }
    Err(SimulatorError::NoCommonPort {
        count: options.count,
        attempts,
    })
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn listen_once(options: &FleetOptions) -> Result<(u16, Vec<TcpListener>), (SocketAddr, io::Error)> {
    let first = address(options.first_index, options.port);
    let socket = listen(first).map_err(|source| (first, source))?;
    let port = socket
        .local_addr()
        .map_err(|source| (first, source))?
        .port();
    let mut sockets = vec![socket];
    for position in 1..options.count {
        let address = address(options.first_index + position, port);
        sockets.push(listen(address).map_err(|source| (address, source))?);
    }
    Ok((port, sockets))
}
