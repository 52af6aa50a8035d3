//! Whether the device that answers is the one that is meant. Nothing is written before that (K4).
//!
//! Called by verify and by the device's report.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Device, SyncResult},
};

use super::{Facts, World, blocked::Blocked};
use crate::condition::find;

/// Whether the device that answered is another one than it should be. Nothing is written then.
pub(super) fn identity_fault(world: &World, device: &Device, facts: &Facts) -> Option<Blocked> {
    let model = world.model.as_ref()?;
    let reading = facts.device.as_ref()?.result.as_ref().ok()?;
    let mismatch = |message: String| Some(Blocked::new(Reason::IdentityMismatch, message));
    let Some(product) = &reading.product_name else {
        return mismatch("the device does not say which product it is".to_owned());
    };
    if !model.spec.product_names.contains(product) {
        return mismatch(format!(
            "the device says it is a {product}, which is none of the product names of the \
             DeviceModel {}",
            device.spec.model_ref.name
        ));
    }
    let pinned = pinned_identity(device)?;
    if reading.identity.as_deref() == Some(pinned) {
        return None;
    }
    mismatch(
        "another device answers at this address than before; for a new machine change \
         spec.serialNumber"
            .to_owned(),
    )
}

/// The identity seen first, as long as the serial number is the same.
pub(super) fn pinned_identity(device: &Device) -> Option<&str> {
    let identity = device.status.as_ref()?.identity.as_ref()?;
    (identity.serial_number == device.spec.serial_number).then_some(identity.id.as_deref()?)
}

/// The mismatch that the status of the device speaks of: it holds until the device is read again.
pub(super) fn reported_fault(device: &Device) -> Option<Blocked> {
    let ready = find(&device.status.as_ref()?.conditions, ConditionType::Ready)?;
    (ready.reason == Reason::IdentityMismatch.as_str())
        .then(|| Blocked::new(Reason::IdentityMismatch, ready.message.clone()))
}

/// That the last attempt to reach the device was refused by the Connection's networks, as its
/// status says: it holds until the device is tried again.
pub(super) fn reported_not_allowed(device: &Device) -> Option<Blocked> {
    let status = device.status.as_ref()?;
    let ready = find(&status.conditions, ConditionType::Ready)?;
    let tried = status.last_sync.as_ref()?.result == SyncResult::NoAnswer;
    (tried && ready.reason == Reason::NotAllowed.as_str())
        .then(|| Blocked::new(Reason::NotAllowed, ready.message.clone()))
}
