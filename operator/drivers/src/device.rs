//! The trait of every driver of devices.
//!
//! A driver reports the answer and nothing more: the domain decides from a later reading whether a
//! value took effect, since devices report success without it.

use std::sync::Arc;

use async_trait::async_trait;
use entente_domain::protocol::Place;
use entente_domain::remote::{
    DeviceReadRequest, DeviceReading, DeviceWrite, DisplayRequest, Failure, FailureKind,
    NotificationAnswer, NotificationRequest, StatusReport,
};
use entente_domain::secret::Secrets;

use crate::profile::ConnectionProfile;

/// A device, with the connection to it.
#[derive(Clone, Debug)]
pub struct DeviceTarget {
    /// The Connection, resolved for the namespace of the device.
    pub profile: Arc<ConnectionProfile>,
    /// The URL without placeholders: `ipp://`, `ipps://` or `snmp://`, and `http://` or `https://` of a
    /// device behind a settings distribution server.
    pub url: String,
    /// The printer-uri of requests, where it is not the URL; never dialled.
    pub printer_uri: Option<String>,
    /// The SHA-256 of the certificate that the device must show, in hexadecimal: the one of the
    /// Device's spec, or the one first seen.
    pub pinned_certificate: Option<String>,
    /// Values of the tenant's Secrets that are sent there: they are kept out of every quotation.
    pub secrets: Secrets,
}

/// A driver of devices. By IPP every call sends at most one request to the device, and one to the
/// System Service of its host if it has attributes there. A request is sent twice only in two versions
/// of its protocol: a reading if the first answer leaves open whether the device understood it, a write
/// if the device refused the version. By SNMP a call sends the requests that it takes, each again where
/// its datagram or its answer is lost. A settings distribution server is read before each write, and again
/// if somebody else was faster.
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

    /// Takes one status report, with the identity of the machine. Changes nothing.
    ///
    /// # Errors
    /// The failure of the device. A device that has no table of supplies or no panel reports without them.
    async fn status(
        &self,
        target: &DeviceTarget,
        identity: &Place,
    ) -> Result<StatusReport, Failure>;

    /// Shows lines on the panel. `Ok` means accepted, never shown.
    ///
    /// # Errors
    /// A `Failure` of kind `Unsupported` where the device has no panel that can be written; doubtful where
    /// the device may have shown it.
    async fn display(&self, target: &DeviceTarget, request: &DisplayRequest)
    -> Result<(), Failure>;

    /// Sends a request about the notifications of the device. Only a request for events that waits may take
    /// longer than the timeout of its Connection.
    ///
    /// # Errors
    /// A `Failure` of kind `Unsupported` where the device, or its protocol, has no notifications.
    async fn notifications(
        &self,
        _target: &DeviceTarget,
        _request: &NotificationRequest,
    ) -> Result<NotificationAnswer, Failure> {
        let message = "no notifications are fetched by this protocol";
        Err(Failure::new(FailureKind::Unsupported, message))
    }
}
