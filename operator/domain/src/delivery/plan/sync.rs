//! The time at which a device is read although nothing is pending: the period of its connection,
//! with jitter.
//!
//! Called by plan, which reads it then, and by `report_device`, which returns that time.

use entente_crds::v1alpha1::{Device, DeviceStatus, Sync};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{DeviceSnapshot, digest};

/// Returns the time of the next reading of the device although nothing is pending: the period of
/// its connection after the last reading, jittered by namespace and name. `None`: it was never
/// read.
pub(in crate::delivery) fn next_sync(
    snapshot: &DeviceSnapshot,
    device: &Device,
    status: Option<&DeviceStatus>,
) -> Option<Timestamp> {
    let last = status?.last_sync.as_ref()?;
    last.at.checked_add(sync_period(snapshot, device)).ok()
}

/// The shortest time between two readings.
const SHORTEST_PERIOD: SignedDuration = SignedDuration::from_mins(1);

/// Returns the time between two readings.
pub(in crate::delivery) fn sync_period(
    snapshot: &DeviceSnapshot,
    device: &Device,
) -> SignedDuration {
    let period = device
        .spec
        .connections
        .first()
        .and_then(|connection| snapshot.connections.get(connection.name.as_str()))
        .and_then(|connection| connection.spec.sync.as_ref())
        .and_then(|sync| sync.period.length().ok())
        .unwrap_or_else(|| SignedDuration::from_hours(24));
    // A period of zero is refused when it is written; one that is stored must not read for ever.
    jittered(snapshot, period.max(SHORTEST_PERIOD))
}

/// Returns the time between two status reports through a connection.
pub(in crate::delivery) fn status_period(
    snapshot: &DeviceSnapshot,
    connection: &str,
) -> SignedDuration {
    let spec = snapshot.connections.get(connection);
    let sync = spec.and_then(|it| it.spec.sync.clone()).unwrap_or_default();
    let period = sync.status.length();
    let period = period.or_else(|_| Sync::default().status.length());
    period.unwrap_or_default()
}

/// Returns a period of a device, of which a part is taken off by namespace and name.
pub(in crate::delivery) fn jittered(
    snapshot: &DeviceSnapshot,
    period: SignedDuration,
) -> SignedDuration {
    // Between nine and ten tenths of the period, so that a fleet does not come back together.
    let [high, low, ..] = digest(&(&snapshot.namespace, &snapshot.device_name)).bytes();
    let jitter = i32::from(u16::from_be_bytes([high, low])) % 1000;
    period - period / 10_000 * jitter
}
