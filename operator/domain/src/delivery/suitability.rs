//! Suitability: what the catalogue and a Device tell of software before any device has said what it has.
//!
//! Decides nothing of its own: the version that serves and the length of a window are those of resolve
//! and plan. It must never refuse anything: a device may have the software already. Called by
//! `kubectl entente` for the objects of files.

use std::collections::BTreeSet;

use entente_crds::item_key::ItemKey;
use entente_crds::v1alpha1::{Device, DeviceModel, ServiceModel, SoftwarePart};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;

use crate::delivery::plan::software::too_short;
use crate::delivery::resolve::software::{listed, lowest, pieces};
use crate::delivery::schedule::window::{LONGEST, Opening, opening};
use crate::time::{format_duration, zone};
use crate::version::Version;

const PARTS: [SoftwarePart; 2] = [SoftwarePart::Firmware, SoftwarePart::Application];

/// Returns a sentence about each piece of software that a service needs on a model, and of which the
/// model lists no version that suffices and that a device can install.
pub fn unserved(needs: &ServiceModel, model: &DeviceModel) -> Vec<String> {
    let mut found = Vec::new();
    for part in PARTS {
        for (name, minimum) in pieces(needs, part) {
            let listed = listed(model, part, name);
            let is_served = Version::parse(minimum).is_ok_and(|it| lowest(&listed, &it).is_some());
            if is_served {
                continue;
            }
            let versions: Vec<String> = listed.into_iter().map(|it| it.version).collect();
            let versions = match versions.as_slice() {
                [] => "none".to_owned(),
                some => some.join(", "),
            };
            found.push(format!(
                "{}: the service needs {minimum} or newer, and the DeviceModel {} lists no version that \
                 suffices and that a device can install; it lists: {versions}. A device that has it \
                 already needs nothing",
                ItemKey::software(part, name),
                model.name_any(),
            ));
        }
    }
    found
}

/// Returns a sentence about each maintenance window of a device that counts as a shorter one.
pub fn longer_than_a_week(device: &Device) -> Vec<String> {
    let windows = device.spec.maintenance_windows.iter().enumerate();
    let longer = windows.filter_map(|(index, window)| {
        let length = window.duration.length().ok()?;
        (length > LONGEST).then(|| {
            format!(
                "spec.maintenanceWindows[{index}].duration is {} and counts as {}, the longest that there is",
                String::from(window.duration.clone()),
                format_duration(LONGEST),
            )
        })
    });
    longer.collect()
}

/// Returns a sentence about each version of the firmware of a device that no maintenance window of the
/// device is long enough for.
pub fn too_long_for_windows(device: &Device, model: &DeviceModel, now: Timestamp) -> Vec<String> {
    let windows = &device.spec.maintenance_windows;
    let named = device.spec.time_zone.as_deref().map(zone);
    // The length of a window is the same in every zone.
    let zone = named.and_then(Result::ok).unwrap_or(TimeZone::UTC);
    let firmware = model.spec.firmware.iter();
    let distinct: BTreeSet<&str> = firmware.map(|it| &*it.name).collect();
    let mut found = Vec::new();
    for name in distinct {
        let key = ItemKey::software(SoftwarePart::Firmware, name);
        for offer in listed(model, SoftwarePart::Firmware, name) {
            if let Opening::TooShort { longest } = opening(windows, &zone, offer.takes, now) {
                found.push(too_short((&key, &offer), longest, &device.name_any()));
            }
        }
    }
    found
}
