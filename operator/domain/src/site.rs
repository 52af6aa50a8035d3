//! Sites: the fields that devices of one place share.
//!
//! Decides the spec of a Device together with that of its Site, and the status of a Site. A field that the
//! Device has itself counts; of a list, the whole list. Called by delivery, by the controller of sites, and,
//! for the connections, by the caches of Devices, so that nobody sees a Device without those of its Site.

use std::borrow::Cow;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{Device, DeviceConnection, Site, SiteStatus},
};
use jiff::Timestamp;

use crate::{
    condition::{ConditionSet, Summary, Work},
    time::zone,
};

/// Returns the connections of a Device with these of its own: with any, those alone, else those of its Site.
pub fn connections_at<'a>(
    own: &'a [DeviceConnection],
    site: Option<&'a Site>,
) -> &'a [DeviceConnection] {
    let shared = site.filter(|_| own.is_empty());
    shared.map_or(own, |site| &site.spec.connections)
}

/// Returns a Device with the fields of its Site where it has none of its own.
pub fn at_site<'a>(device: &'a Device, site: Option<&Site>) -> Cow<'a, Device> {
    let Some(site) = site else {
        return Cow::Borrowed(device);
    };
    let mut device = device.clone();
    let (own, shared) = (&mut device.spec, &site.spec);
    own.connections = connections_at(&own.connections, Some(site)).to_vec();
    own.time_zone = own.time_zone.take().or_else(|| shared.time_zone.clone());
    own.language = own.language.take().or_else(|| shared.language.clone());
    own.ship_to = own.ship_to.take().or_else(|| shared.ship_to.clone());
    if own.maintenance_windows.is_empty() {
        own.maintenance_windows
            .clone_from(&shared.maintenance_windows);
    }
    own.drift_policy = own.drift_policy.or(shared.drift_policy);
    Cow::Owned(device)
}

/// Returns the status of a Site that so many Devices name.
pub fn report_site(site: &Site, used_by: usize, now: Timestamp) -> SiteStatus {
    let previous = site.status.clone().unwrap_or_default();
    let generation = site.metadata.generation;
    let zone_fault = site.spec.time_zone.as_deref().and_then(|name| {
        let fault = zone(name).err()?;
        Some(format!("spec.timeZone: {fault}."))
    });
    let summary = match &zone_fault {
        Some(fault) => Summary::open(Reason::UnknownZone, fault.clone(), Work::Stalled),
        None => Summary::done(Reason::Succeeded, "The site is valid."),
    };
    let refused = zone_fault.map(|fault| (Reason::UnknownZone, fault));
    let set = ConditionSet::new(&previous.conditions, generation, now).with_fault(
        ConditionType::Accepted,
        refused,
        (Reason::Valid, "The site is valid."),
    );
    SiteStatus {
        observed_generation: summary.observed_generation(generation, previous.observed_generation),
        conditions: summary.state(set).finish(),
        used_by: i64::try_from(used_by).ok(),
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::{
        example,
        v1alpha1::{DriftPolicy, SiteSpec},
    };

    use super::*;
    use crate::condition::find;

    fn site() -> Site {
        example::osasco_site()
    }

    // shows A6
    #[test]
    fn a_field_of_the_device_counts_before_that_of_its_site() {
        let mut device = example::devices()[0].clone();
        let found = at_site(&device, Some(&site()));
        assert_eq!(found.spec.language.as_deref(), Some("pt-BR"));
        assert_eq!(found.spec.ship_to, site().spec.ship_to);
        assert_eq!(
            found.spec.maintenance_windows,
            site().spec.maintenance_windows
        );
        device.spec.language = Some("en".to_owned());
        device.spec.time_zone = Some("Asia/Tokyo".to_owned());
        let found = at_site(&device, Some(&site()));
        let told = (
            found.spec.language.as_deref(),
            found.spec.time_zone.as_deref(),
        );
        assert_eq!(told, (Some("en"), Some("Asia/Tokyo")));
        assert_eq!(*at_site(&device, None), device);
    }

    // shows D1
    #[test]
    fn the_drift_policy_of_the_site_counts_where_the_device_has_none() {
        use DriftPolicy::{Report, Revert};
        let rows = [
            (None, None, None),
            (None, Some(Report), Some(Report)),
            (Some(Revert), Some(Report), Some(Revert)),
            (Some(Report), None, Some(Report)),
        ];
        for (own, shared, counts) in rows {
            let mut device = example::devices()[0].clone();
            device.spec.drift_policy = own;
            let mut site = site();
            site.spec.drift_policy = shared;
            let found = at_site(&device, Some(&site)).spec.drift_policy;
            assert_eq!(found, counts, "{own:?} {shared:?}");
        }
    }

    // shows K2
    #[test]
    fn a_device_with_one_connection_of_its_own_has_none_of_its_site() {
        let named = |names: &[&str]| -> Vec<DeviceConnection> {
            let named = names.iter().map(|name| DeviceConnection {
                name: (*name).to_owned(),
                ..DeviceConnection::default()
            });
            named.collect()
        };
        let mut site = site();
        site.spec.connections = named(&["of-the-site", "hq-ipp"]);
        let mut device = example::devices()[0].clone();
        for (own, found) in [
            (&["own"][..], &["own"][..]),
            (&[], &["of-the-site", "hq-ipp"]),
        ] {
            device.spec.connections = named(own);
            let at_site = at_site(&device, Some(&site)).into_owned();
            assert_eq!(at_site.spec.connections, named(found));
            assert_eq!(connections_at(&named(own), Some(&site)), named(found));
            assert_eq!(connections_at(&named(own), None), named(own));
        }
    }

    // shows K2
    #[test]
    fn a_zone_that_there_is_not_is_told_at_the_site() {
        let said = |zone: &str| {
            let site = Site {
                spec: SiteSpec {
                    time_zone: Some(zone.to_owned()),
                    ..site().spec
                },
                ..site()
            };
            let status = report_site(&site, 2, Timestamp::UNIX_EPOCH);
            let ready = find(&status.conditions, ConditionType::Ready).expect("Ready");
            (ready.reason.clone(), status.used_by)
        };
        assert_eq!(said("America/Sao_Paulo"), ("Succeeded".to_owned(), Some(2)));
        assert_eq!(said("America/Osasco"), ("UnknownZone".to_owned(), Some(2)));
    }
}
