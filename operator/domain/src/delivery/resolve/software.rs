//! Software that a service needs on a device, as items: its firmware and its applications (B6).
//!
//! Decides which listed version of the model serves: the lowest that suffices; where several services
//! need one piece of software, the highest of those. What the device has is not known here. Called by
//! resolve for each service, and once for all of a device.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    item_key::ItemKey,
    v1alpha1::{
        Artifact, DeviceModel, MAIN_FIRMWARE, Protocol, ServiceModel, SmartService, SoftwarePart,
        SoftwareVia,
    },
};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::delivery::{
    Blocked, DeviceSnapshot, Offer, ResolvedItem, ResolvedSubscription, Wanted, digest,
    resolve::values::{able_model, connections_of},
};
use crate::version::Version;

/// A piece of software of a device.
type Piece = (SoftwarePart, String);

/// Returns the items of the step Firmware or Applications.
pub(in crate::delivery) fn software_items(
    snapshot: &DeviceSnapshot,
    service: &SmartService,
    part: SoftwarePart,
) -> Result<Vec<ResolvedItem>, Blocked> {
    let Some(needs) = needs(snapshot, service) else {
        return Ok(Vec::new());
    };
    let wanted = pieces(needs, part);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (device, model) = able_model(snapshot, service)?;
    let connections = connections_of(snapshot, device);
    let mut connections = connections.into_iter();
    let calling = connections.find(|(_, spec)| spec.protocol == Protocol::Agent);
    let (connection, _) = calling.ok_or_else(|| {
        let key = ItemKey::software(part, wanted[0].0);
        let message = format!(
            "no connection of the Device can carry {key}, which SmartService {} needs: only a device \
             that calls (protocol Agent) installs software and reports its version",
            service.name_any()
        );
        Blocked::new(Reason::UnsupportedByModel, message)
    })?;
    let items = wanted.into_iter().map(|(name, minimum)| {
        let key = ItemKey::software(part, name);
        let least = Version::parse(minimum).map_err(|fault| {
            let message = format!("{key} of SmartService {}: {fault}", service.name_any());
            Blocked::new(Reason::UnsupportedValue, message)
        })?;
        let listed = listed(model, part, name);
        Ok(ResolvedItem {
            digest: digest(&(part, name, minimum)),
            key,
            wanted: Wanted::Software {
                connection: connection.into(),
                part,
                name: name.to_owned(),
                minimum: minimum.to_owned(),
                target: lowest(&listed, &least),
                listed: listed.into_iter().map(|it| it.version).collect(),
            },
            conflict: None,
            overridden: false,
        })
    });
    items.collect()
}

/// Returns the names of the software that a service needs, each with the oldest version that suffices.
pub(in crate::delivery) fn pieces(needs: &ServiceModel, part: SoftwarePart) -> Vec<(&str, &str)> {
    match part {
        SoftwarePart::Firmware => {
            let minimum = needs.minimum_firmware.iter();
            minimum.map(|it| (MAIN_FIRMWARE, it.as_str())).collect()
        }
        SoftwarePart::Application => {
            let applications = needs.applications.iter();
            applications
                .map(|it| (it.name.as_str(), it.version.as_str()))
                .collect()
        }
    }
}

/// Returns the needs of a service on the model of the device.
fn needs<'a>(snapshot: &DeviceSnapshot, service: &'a SmartService) -> Option<&'a ServiceModel> {
    let device = snapshot.device.as_deref()?;
    let side = service.spec.device.as_ref()?;
    let mut models = side.models.iter();
    models.find(|it| it.name == device.spec.model_ref.name)
}

/// Returns the versions of a piece of software that a device that calls can install.
pub(in crate::delivery) fn listed(
    model: &DeviceModel,
    part: SoftwarePart,
    name: &str,
) -> Vec<Offer> {
    let offer = |(version, artifact, via): (&String, &Artifact, &SoftwareVia)| {
        via.agent.as_ref().map(|_| Offer {
            version: version.clone(),
            artifact: artifact.clone(),
            downgrade: false,
            takes: None,
        })
    };
    match part {
        SoftwarePart::Firmware => {
            let all = model.spec.firmware.iter().filter(|it| it.name == name);
            let offers = all.filter_map(|it| {
                let offer = offer((&it.version, &it.artifact, &it.via))?;
                Some(Offer {
                    downgrade: it.downgrade,
                    takes: it.takes.as_ref().and_then(|takes| takes.length().ok()),
                    ..offer
                })
            });
            offers.collect()
        }
        SoftwarePart::Application => {
            let all = model.spec.applications.iter();
            let all = all.filter(|it| it.name == name);
            all.filter_map(|it| offer((&it.version, &it.artifact, &it.via)))
                .collect()
        }
    }
}

/// Returns the lowest version that suffices.
pub(in crate::delivery) fn lowest(listed: &[Offer], least: &Version) -> Option<Offer> {
    let versions = listed
        .iter()
        .filter_map(|it| Some((Version::parse(&it.version).ok()?, it)));
    let enough = versions.filter(|(version, _)| version >= least);
    let (_, offer) = enough.min_by(|(one, _), (other, _)| one.cmp(other))?;
    Some(offer.clone())
}

/// Lets each piece of software be installed once for all services that may ask for it now: the highest
/// of the versions that serve one of them serves all.
pub(in crate::delivery) fn merge(subscriptions: &mut [ResolvedSubscription], now: Timestamp) {
    let mut highest: BTreeMap<Piece, (Version, Offer)> = BTreeMap::new();
    for subscription in subscriptions.iter() {
        for (step, item) in subscription.items() {
            if !subscription.may_ask(step, now) {
                continue;
            }
            let Wanted::Software {
                part,
                name,
                target: Some(target),
                ..
            } = &item.wanted
            else {
                continue;
            };
            let Ok(version) = Version::parse(&target.version) else {
                continue;
            };
            let piece = (*part, name.clone());
            let is_higher = highest
                .get(&piece)
                .is_none_or(|(known, _)| version > *known);
            if is_higher {
                highest.insert(piece, (version, target.clone()));
            }
        }
    }
    let steps = subscriptions.iter_mut().flat_map(|it| &mut it.steps);
    for item in steps.flat_map(|step| &mut step.items) {
        if let Wanted::Software {
            part, name, target, ..
        } = &mut item.wanted
            && let Some((_, offer)) = highest.get(&(*part, name.clone()))
            && target.is_some()
        {
            *target = Some(offer.clone());
        }
    }
}
