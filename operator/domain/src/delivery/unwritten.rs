//! The status of a device that could not be written, and what follows from it: the identity of the
//! machine that was looked at may be pinned nowhere (K4), and a message that was sent stands nowhere.
//!
//! Decides that nothing is written to such a machine, and that the identity and the messages count all
//! the same for as long as they are remembered. Filled by the controller, which remembers it between passes; called
//! by verify, plan and the device's report.

use std::borrow::Cow;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, DeviceConnectionStatus, DeviceIdentity, DeviceStatus, DisplayedMessage},
};
use kube::ResourceExt as _;

use crate::delivery::{
    Blocked, DeviceSnapshot,
    verify::identity::{pinned_certificate, pinned_identity, seen},
};

/// Status of a device that could not be written, as far as it pins machines and tells of messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnwrittenStatus {
    /// Words of the failure to write it.
    pub failure: String,
    /// Identity of the machine, if the pass got to its report.
    pub identity: Option<DeviceIdentity>,
    /// Pins of the other connections.
    pub connections: Vec<DeviceConnectionStatus>,
    /// Messages on the panel.
    pub messages: Vec<DisplayedMessage>,
}

impl UnwrittenStatus {
    /// Returns the memory of a failure to write this status; of an unknown one if the pass did not
    /// get to it.
    pub fn new(failure: String, status: Option<DeviceStatus>) -> Self {
        let status = status.unwrap_or_default();
        Self {
            failure,
            identity: status.identity,
            connections: status.connections,
            messages: status.messages,
        }
    }
}

impl DeviceSnapshot {
    /// Returns a device with the pins that its status would have if it could have been written.
    pub(in crate::delivery) fn with_unwritten_pins<'a>(
        &self,
        device: &'a Device,
    ) -> Cow<'a, Device> {
        let Some(unwritten) = &self.unwritten else {
            return Cow::Borrowed(device);
        };
        let mut pinned = device.clone();
        let status = pinned.status.get_or_insert_default();
        let lacks_identity = seen(device).is_none_or(|seen| seen.id.is_none());
        if let Some(identity) = unwritten.identity.as_ref().filter(|_| lacks_identity) {
            status.identity = Some(identity.clone());
        }
        let others = unwritten.connections.iter();
        for other in others.filter(|it| it.identity.is_some()) {
            let mut known = status.connections.iter_mut();
            match known.find(|it| it.name == other.name) {
                Some(known) if known.identity.is_some() => {}
                Some(known) => known.identity.clone_from(&other.identity),
                None => status.connections.push(DeviceConnectionStatus {
                    fault: None,
                    ..other.clone()
                }),
            }
        }
        Cow::Owned(pinned)
    }

    /// Returns the obstacle to every write through a connection while the status of the device cannot
    /// be written and has no pin for it: another machine than the one that was written to may answer
    /// now, and after a restart nothing would show it.
    pub(in crate::delivery) fn unpinned(&self, connection: &str) -> Option<Blocked> {
        let failure = &self.unwritten.as_ref()?.failure;
        let device = self.device.as_deref()?;
        let is_pinned = pinned_identity(device, connection).is_some()
            || pinned_certificate(device, connection).is_some();
        (!is_pinned).then(|| {
            let message = format!(
                "the status of the Device {} cannot be written, so that nothing shows whether the \
                 same machine answers through the Connection {connection}: nothing is written to \
                 it until then: {failure}",
                device.name_any()
            );
            Blocked::new(Reason::InternalError, message)
        })
    }
}
