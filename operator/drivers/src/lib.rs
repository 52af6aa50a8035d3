//! The drivers: requests to devices and to service servers.
//!
//! Turns the values of `entente_domain::remote` into requests of a real protocol and answers back
//! into such values; every error becomes a `Failure`. Never decides which values are wanted, never
//! retries (the domain decides when), never follows a redirect, never dials an address outside the
//! networks of its Connection, never puts a secret or an unexpected body into a message. Called by
//! `controllers` in the stages observe and execute; the fake behind the same traits is for tests.

pub mod certificate;
#[cfg(feature = "fake")]
pub mod conformance;
pub mod credentials;
pub mod device;
#[cfg(feature = "fake")]
pub mod fake;
pub mod fence;
pub mod fetch;
mod guarded;
pub mod ipp;
pub mod orders;
pub mod osb;
mod parsing;
pub mod post;
pub mod profile;
#[cfg(feature = "fake")]
pub mod recorded;
mod refusal;
pub mod service;
pub mod settings_server;
pub mod snmp;
mod text;
pub mod transport;

use std::net::IpAddr;
use std::sync::Arc;

use entente_crds::v1alpha1::Protocol;

pub use credentials::{CredentialsError, CredentialsValue};
pub use device::{DeviceDriver, DeviceTarget};
pub use fence::Fence;
pub use fetch::{Download, Fetcher, Wanted};
pub use orders::OrderDriver;
pub use post::{Post, Posted, Poster};
pub use profile::{ConnectionProfile, LimitValues, ProfileError, TrustProfile};
pub use service::{ServerTarget, ServiceDriver};

/// The drivers of one process. Cheap to clone; all clones share connections and limits.
#[derive(Clone)]
pub struct Drivers {
    ipp: Arc<dyn DeviceDriver>,
    snmp: Arc<dyn DeviceDriver>,
    settings_server: Arc<dyn DeviceDriver>,
    osb: Arc<dyn ServiceDriver>,
    orders: Arc<dyn OrderDriver>,
}

impl Drivers {
    /// Returns the real drivers, over one shared transport. Sends nothing by itself.
    pub fn real() -> Self {
        Self::beside(&[], &Fence::always_open())
    }

    /// Returns the real drivers, which dial these addresses, those of the API server of Kubernetes,
    /// only for a Connection that lists them one by one, and change nothing while the fence is
    /// closed.
    pub fn beside(api_server: &[IpAddr], fence: &Fence) -> Self {
        let transport = Arc::new(transport::Transport::beside(api_server));
        let ipp = Arc::new(ipp::IppDriver::new(Arc::clone(&transport)));
        let snmp = Arc::new(snmp::SnmpDriver::new(Arc::clone(&transport)));
        let settings_server = settings_server::SettingsServerDriver::new(Arc::clone(&transport));
        let devices = (ipp, snmp, Arc::new(settings_server));
        let osb = Arc::new(osb::OsbDriver::new(Arc::clone(&transport)));
        let orders = Arc::new(orders::HttpOrderDriver::new(transport));
        Self::guarded(devices, osb, orders, fence)
    }

    /// Drivers that reach nothing but this world in memory.
    #[cfg(feature = "fake")]
    pub fn fake(world: Arc<fake::World>) -> Self {
        Self::fake_behind(world, &Fence::always_open())
    }

    /// Drivers that reach nothing but this world, and change nothing while the fence is closed.
    #[cfg(feature = "fake")]
    pub fn fake_behind(world: Arc<fake::World>, fence: &Fence) -> Self {
        let devices = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
        Self::guarded(devices, Arc::clone(&world), world, fence)
    }

    /// Returns these drivers, each behind the guard: there is no other way to make them.
    fn guarded<D, E, H, S, O>(
        (ipp, snmp, settings_server): (Arc<D>, Arc<E>, Arc<H>),
        osb: Arc<S>,
        orders: Arc<O>,
        fence: &Fence,
    ) -> Self
    where
        D: DeviceDriver + 'static,
        E: DeviceDriver + 'static,
        H: DeviceDriver + 'static,
        S: ServiceDriver + 'static,
        O: OrderDriver + 'static,
    {
        Self {
            ipp: Arc::new(guarded::Guarded::new(ipp, fence)),
            snmp: Arc::new(guarded::Guarded::new(snmp, fence)),
            settings_server: Arc::new(guarded::Guarded::new(settings_server, fence)),
            osb: Arc::new(guarded::Guarded::new(osb, fence)),
            orders: Arc::new(guarded::Guarded::new(orders, fence)),
        }
    }

    /// Returns the driver of devices that speak this protocol; `None` where the protocol has no
    /// devices.
    pub fn device(&self, protocol: Protocol) -> Option<&dyn DeviceDriver> {
        match protocol {
            Protocol::IPP => Some(self.ipp.as_ref()),
            Protocol::SNMP => Some(self.snmp.as_ref()),
            Protocol::HTTP => Some(self.settings_server.as_ref()),
            Protocol::OSB | Protocol::Agent => None,
        }
    }

    /// Returns the driver of service servers.
    pub fn service(&self) -> &dyn ServiceDriver {
        self.osb.as_ref()
    }

    /// Returns the driver of order servers.
    pub fn orders(&self) -> &dyn OrderDriver {
        self.orders.as_ref()
    }
}
