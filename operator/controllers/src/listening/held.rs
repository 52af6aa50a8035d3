//! Places for requests whose answers printers hold open until there is an event.
//!
//! Each is a socket, and takes one of the requests that its host may be sent at once. So there are few of them in
//! all, and at a host one less than its limit: a status report never waits for one. A Connection that lets one
//! request at a time to a host, as those of IPP do if they say nothing, has none. Called by the listeners.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use entente_drivers::device::DeviceTarget;

/// The most places in all.
const MOST: usize = 64;

/// The places that are taken, by Connection and host.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    taken: Mutex<HashMap<Host, u32>>,
}

type Host = (String, String);

/// A place. It is free again once this is dropped.
#[derive(Debug)]
pub(super) struct HeldPlace {
    requests: Arc<HeldRequests>,
    host: Host,
}

impl HeldRequests {
    /// Takes a place for a device; none if there is none.
    pub(super) fn place(self: &Arc<Self>, target: &DeviceTarget) -> Option<HeldPlace> {
        let limit = target.profile.per_host.in_flight.saturating_sub(1);
        let (_, rest) = target.url.split_once("://")?;
        let host = rest.split('/').next().unwrap_or_default();
        let host = (target.profile.name.clone(), host.to_owned());
        let mut taken = self.taken();
        let all: u32 = taken.values().sum();
        let at_host = taken.get(&host).copied().unwrap_or_default();
        if at_host >= limit || all as usize >= MOST {
            return None;
        }
        *taken.entry(host.clone()).or_default() += 1;
        Some(HeldPlace {
            requests: Arc::clone(self),
            host,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Host, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let mut taken = self.requests.taken();
        if let Some(number) = taken.get_mut(&self.host) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::v1alpha1::{ConnectionSpec, Limit, Limits};
    use entente_domain::secret::Secrets;
    use entente_drivers::profile::ConnectionProfile;

    use super::*;

    fn target(host: usize, in_flight: Option<i32>) -> DeviceTarget {
        let limit = |in_flight| Limit {
            in_flight,
            per_second: 10,
        };
        let spec = ConnectionSpec {
            limits: in_flight.map(|in_flight| Limits {
                per_host: Some(limit(in_flight)),
                ..Limits::default()
            }),
            ..ConnectionSpec::default()
        };
        let profile = ConnectionProfile::from_spec("hq", &spec, Vec::new(), None, None);
        DeviceTarget {
            profile: Arc::new(profile.expect("a profile")),
            url: format!("ipp://10.0.{}.{}/ipp/print", host / 250, host % 250),
            printer_uri: None,
            pinned_certificate: None,
            secrets: Secrets::default(),
        }
    }

    // shows A1
    #[test]
    fn a_status_report_finds_a_place_at_its_host_whatever_is_held_there() {
        let held = Arc::new(HeldRequests::default());
        assert!(held.place(&target(1, None)).is_none(), "one at a time");
        let two = target(1, Some(3));
        let first = held.place(&two);
        let second = held.place(&two);
        assert!(first.is_some() && second.is_some());
        assert!(held.place(&two).is_none());
        drop(first);
        assert!(held.place(&two).is_some());
    }

    // shows A1
    #[test]
    fn a_fleet_holds_few_requests() {
        let held = Arc::new(HeldRequests::default());
        let places = (0..10_000).filter_map(|host| held.place(&target(host, Some(2))));
        let places: Vec<HeldPlace> = places.collect();
        assert_eq!(places.len(), MOST);
        drop(places);
        assert!(held.taken().is_empty());
    }
}
