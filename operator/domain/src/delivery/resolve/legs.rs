//! Resolve: the legs of an activation besides dates and the service server (C5, C14, C15).
//!
//! Decides the local switches of the device and what each service misses by them, by what the device
//! said and can do; while a leg is missing, the service is wanted turned off. Called by resolve, before
//! and for each subscription.

use entente_crds::v1alpha1::{
    DeviceTwinStatus, LocalEnablement, ServiceSubscription, SmartService, TwinLocal,
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::activation::{Abilities, Legs, MissingLeg, Needs, Said, switched};
use crate::delivery::{DeviceSnapshot, ResolvedConnection, schedule::revision};
use crate::gateway::admission::is_withdrawn;

/// Returns the local switches of the device, after its newest word and that of its spec.
pub(super) fn switches(snapshot: &DeviceSnapshot, now: Timestamp) -> Vec<LocalEnablement> {
    let Some(device) = &snapshot.device else {
        return Vec::new();
    };
    let before = device.status.as_ref();
    let before = before.map_or(&[][..], |status| &status.local_enablement);
    let local = snapshot.said().map_or(&[][..], |status| &status.local);
    let said: Vec<Said<'_>> = local
        .iter()
        .filter_map(|local| {
            let service = service_of(snapshot, &local.application_id, now)?;
            Some(Said {
                service,
                enabled: local.enabled,
                by: local.by,
                at: local.at,
            })
        })
        .collect();
    switched(before, &said, &device.spec.disabled_services, now)
}

/// Returns the legs that a service misses on the device.
pub(super) fn missing(
    snapshot: &DeviceSnapshot,
    subscription: &ServiceSubscription,
    service: &SmartService,
    (switches, connections): (&[LocalEnablement], &[ResolvedConnection]),
) -> Vec<MissingLeg> {
    let name = service.name_any();
    let twin = snapshot.said();
    let said = twin.and_then(|twin| said(twin, subscription));
    let unsupported: Vec<&str> = said
        .iter()
        .flat_map(|said| said.unsupported.iter().map(|it| &**it))
        .collect();
    let abilities = Abilities {
        reported: twin.and_then(|twin| twin.capabilities.as_ref()),
        model: snapshot.model.as_deref().map(|model| &model.spec),
    };
    let mut lacks = abilities.lacks(Needs {
        side: service.spec.device.as_ref(),
        unsupported: &unsupported,
    });
    let calls = connections.iter().any(ResolvedConnection::is_called);
    if !calls && !service.spec.activation.is_by_operator() {
        lacks.push("it does not call, so that it cannot ask to be activated".to_owned());
    }
    Legs {
        service: &name,
        mode: service.spec.activation,
        switch: switches.iter().find(|it| it.service == name),
        lacks: &lacks,
        is_withdrawn: twin
            .and_then(|twin| twin.registration.as_ref())
            .is_some_and(is_withdrawn),
    }
    .missing()
}

/// Returns the instant since which the local switch of a service is on; `None` if it was never
/// switched.
pub(super) fn switched_on(service: &str, switches: &[LocalEnablement]) -> Option<Timestamp> {
    let switch = switches.iter().find(|it| it.service == service)?;
    switch.enabled.then_some(switch.at)
}

fn said<'a>(
    twin: &'a DeviceTwinStatus,
    subscription: &ServiceSubscription,
) -> Option<&'a TwinLocal> {
    let name = subscription.name_any();
    twin.local.iter().find(|it| it.application_id == name)
}

/// Returns the SmartService that the device knows under an application id.
fn service_of<'a>(
    snapshot: &'a DeviceSnapshot,
    application_id: &str,
    now: Timestamp,
) -> Option<&'a str> {
    let subscription = snapshot.subscription(&application_id.into())?;
    let revision = revision::wanted_revision(subscription, now)?;
    Some(&revision.service_ref.name)
}
