//! The origin of a subscription whose contract came back without those before it.
//!
//! Decides which subscription was the first of a chain from the specs of the contracts alone: a pipeline
//! brings back what people write, and no subscription. It must never be asked about a contract that
//! has had its subscriptions. An origin that is wrong does no harm: the instance is not found then, and
//! none is made. Called by `succession`.

use entente_crds::v1alpha1::{ContractService, Origin, ServiceSubscriptionSpec};
use jiff::Timestamp;

use super::Ancestor;
use crate::contract::device_sets::members;
use crate::contract::notices::noticed;
use crate::contract::{ContractWorld, name_of};

/// Returns the origin of a subscription that is made after its start, for a contract that is seen for
/// the first time, while none of the contract before it is there.
pub(super) fn restored_origin(
    world: &ContractWorld,
    spec: &ServiceSubscriptionSpec,
    now: Timestamp,
) -> Option<Origin> {
    let status = world.contract.status.as_ref();
    let had_its_own = status.is_some_and(|status| status.established.is_some());
    let has_begun = spec.contract.start <= now;
    if had_its_own || !has_begun || !world.kin.given.is_empty() {
        return None;
    }
    let service = spec.revisions.first()?.service_ref.name.as_str();
    let mut origin = None;
    for ancestor in &world.kin.ancestors {
        let Some(entry) = entry_of(ancestor, world, spec, service) else {
            break;
        };
        let notices = ancestor.notices.iter().map(|it| &**it);
        let Some(term) = noticed(&ancestor.contract, [], notices, now).ok()?.term else {
            // No notice has started it.
            break;
        };
        origin = Some(Origin {
            contract: name_of(&ancestor.contract).to_owned(),
            service_name: entry.to_owned(),
            start: term.start,
        });
    }
    origin
}

/// Returns the entry by which a contract, or one of its amendments, has a service on a device: that of
/// the same name before any other one.
fn entry_of<'a>(
    ancestor: &'a Ancestor,
    world: &ContractWorld,
    spec: &ServiceSubscriptionSpec,
    service: &str,
) -> Option<&'a str> {
    let device = &spec.device_ref.name;
    let entries = || ancestor.contract.spec.services.iter();
    let amended = || {
        let amendments = ancestor.amendments.iter();
        amendments.flat_map(|amendment| &amendment.spec.services)
    };
    let service_of = |name: &str| {
        let entry = entries().find(|entry| entry.name == name);
        entry.map(|entry| entry.service_ref.name.as_str())
    };
    let by_contract = entries().filter(|entry: &&ContractService| {
        let devices = &entry.devices;
        let members = members(devices.selector.as_ref(), &devices.names, &world.devices);
        entry.service_ref.name == service && members.contains_key(device)
    });
    let by_amendment = amended().filter(|change| {
        let given = change.service_ref.as_ref().map(|it| it.name.as_str());
        let adds = change.devices.as_ref().is_some_and(|devices| {
            let members = members(devices.selector.as_ref(), &devices.names, &world.devices);
            members.contains_key(device) || devices.add.contains(device)
        });
        given.or_else(|| service_of(&change.name)) == Some(service) && adds
    });
    let found = by_contract.map(|entry| entry.name.as_str());
    let found: Vec<&str> = found
        .chain(by_amendment.map(|change| change.name.as_str()))
        .collect();
    let same = found.iter().find(|name| **name == spec.service_name);
    same.or_else(|| found.first()).copied()
}
