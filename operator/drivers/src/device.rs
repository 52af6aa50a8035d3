//! What every driver of devices can do.
//!
//! A driver says what was answered and nothing more: whether a value took effect is decided by
//! the domain from a later reading, since devices say success without it.

use std::sync::Arc;

use async_trait::async_trait;
use entente_domain::remote::{DeviceReadRequest, DeviceReading, DeviceWrite, Failure};
use entente_domain::secret::Secrets;

use crate::profile::ConnectionProfile;

/// Which device, and by which way it is reached.
#[derive(Clone, Debug)]
pub struct DeviceTarget {
    /// The Connection, resolved for the namespace of the device.
    pub profile: Arc<ConnectionProfile>,
    /// The URL, with nothing left to fill in: `ipp://` or `ipps://`.
    pub url: String,
    /// The SHA-256 of the certificate that the device must show, in hexadecimal: of the Device's
    /// spec, or that seen first.
    pub pinned_certificate: Option<String>,
    /// What the tenant's Secrets hold that is sent there: kept out of everything that is quoted.
    pub secrets: Secrets,
}

/// Speaks to devices. Every call is at most one question to the device, and one to the System Service
/// of its host where attributes of that are asked for; none is asked twice.
#[async_trait]
pub trait DeviceDriver: Send + Sync {
    /// Takes one reading. A request without attributes is a probe: identity and model alone.
    /// Changes nothing on the device, so a `Failure` of it is never doubtful.
    async fn observe(
        &self,
        target: &DeviceTarget,
        request: &DeviceReadRequest,
    ) -> Result<DeviceReading, Failure>;

    /// Sends one group of settings by one request. `Ok` means accepted, never effective.
    ///
    /// # Errors
    /// A `Failure` that speaks of the group as a whole; doubtful where the device may have acted.
    async fn apply(&self, target: &DeviceTarget, write: &DeviceWrite) -> Result<(), Failure>;
}
