//! Caches of Devices and of Sites, in which each Device has the connections of its Site.
//!
//! So that nobody who looks at a Device, nor an index of Devices, has to know of Sites: a Device without
//! connections of its own is stored with those of its Site, and a change of the Site is a change of its
//! Devices. Which connections a Device has is decided by the domain. Called by whoever has a cache of
//! Devices: the operator and the gateway.

use std::sync::Arc;

use entente_crds::v1alpha1::{Device, Site};
use entente_domain::site::connections_at;
use kube::ResourceExt as _;

use crate::cache::{Cache, Key};

/// Index of devices: "namespace/site".
pub const BY_SITE: &str = "site";

/// Returns these caches, of which that of Devices takes from that of Sites. Call it before they run.
pub fn joined(
    devices: Cache<Device>,
    sites: Cache<Site>,
) -> (Arc<Cache<Device>>, Arc<Cache<Site>>) {
    let sites = Arc::new(sites);
    let of_devices = Arc::clone(&sites);
    let devices = devices.with_index(BY_SITE, |device: &Device| {
        let site = site_of(device).into_iter();
        site.map(|site| site.to_string()).collect()
    });
    let devices =
        devices.completed_by(move |device, has_taken| at_site(&of_devices, device, has_taken));
    let devices = Arc::new(devices);
    // The cache of Devices has that of Sites already.
    let takers = Arc::downgrade(&devices);
    sites.taken_by(move |site| {
        if let Some(devices) = takers.upgrade() {
            devices.complete_again(BY_SITE, &site.to_string());
        }
    });
    (devices, sites)
}

/// Returns the key of the Site that a Device names.
pub fn site_of(device: &Device) -> Option<Key> {
    let site = device.spec.site_ref.as_ref()?;
    let namespace = device.namespace().unwrap_or_default();
    Some(Key::new(namespace, site.name.clone()))
}

/// Returns a Device with the connections that it has, and whether they are those of its Site; `None` if it
/// has them. `has_taken`: those in it are of its Site, and may not be any more.
pub(crate) fn at_site(
    sites: &Cache<Site>,
    device: &Device,
    has_taken: bool,
) -> Option<(Device, bool)> {
    let held = &device.spec.connections;
    let own = if has_taken { &[] } else { held.as_slice() };
    let site = site_of(device).and_then(|site| sites.get(&site));
    let connections = connections_at(own, site.as_deref());
    if connections == held.as_slice() {
        return None;
    }
    let mut device = device.clone();
    device.spec.connections = connections.to_vec();
    Some((device, own.is_empty()))
}
