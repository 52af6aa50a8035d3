//! The origin of a subscription whose contract came back without those before it.
//!
//! Decides which subscription was the first of a chain from the specs of the contracts alone: a pipeline
//! brings back what people write, and no subscription. It must never be asked about a contract that
//! has had its subscriptions. An origin that is wrong does no harm: the instance is not found then, and
//! none is made. Called by `succession`.

use entente_crds::v1alpha1::{ContractService, Origin, ServiceSubscriptionSpec};
use jiff::Timestamp;

use super::Predecessor;
use crate::contract::device_sets::members;
use crate::contract::notices::noticed;
use crate::contract::revisions::instant;
use crate::contract::{ContractWorld, DeviceFacts, name_of};
use crate::time::TermError;

/// The origins of subscriptions that are made after their start, for a contract that is seen for the
/// first time, while none of the contract before it is there.
pub(super) struct RestoredOrigins<'a> {
    world: &'a ContractWorld,
    /// The contracts before it, nearest first, each with its start: `None` where no notice has started
    /// it. Empty for a contract that had its subscriptions.
    before: Vec<(&'a Predecessor, Result<Option<Timestamp>, TermError>)>,
    now: Timestamp,
}

impl<'a> RestoredOrigins<'a> {
    pub(super) fn new(world: &'a ContractWorld, now: Timestamp) -> Self {
        let status = world.contract.status.as_ref();
        let had_its_own = status.is_some_and(|status| status.established.is_some());
        let may_be = !had_its_own && world.kin.given.is_empty();
        let before = world.kin.predecessors.iter().filter(|_| may_be);
        let with_start = before.map(|it| {
            let notices = it.notices.iter().map(|notice| &**notice);
            let read = noticed(&it.contract, [], notices, now);
            (it, read.map(|it| it.term.map(|term| term.start)))
        });
        Self {
            world,
            before: with_start.collect(),
            now,
        }
    }

    /// Gives the spec of a new subscription the origin that it had before, where it has none.
    pub(super) fn complete(&self, spec: &mut ServiceSubscriptionSpec) {
        if spec.origin.is_some() {
            return;
        }
        if let Some(origin) = self.of(spec) {
            spec.origin = Some(origin);
            spec.restored = Some(instant(self.now));
        }
    }

    fn of(&self, spec: &ServiceSubscriptionSpec) -> Option<Origin> {
        if spec.contract.start > self.now {
            return None;
        }
        let service = spec.revisions.first()?.service_ref.name.as_str();
        let device = &spec.device_ref.name;
        let facts = self.world.devices.iter().find(|it| it.name == *device);
        let facts = facts.map_or(&[][..], std::slice::from_ref);
        let mut origin = None;
        for (predecessor, start) in &self.before {
            let Some(entry) = entry_of(predecessor, facts, spec, service) else {
                break;
            };
            let Some(start) = start.as_ref().ok()? else {
                break;
            };
            origin = Some(Origin {
                contract: name_of(&predecessor.contract).to_owned(),
                service_name: entry.to_owned(),
                start: *start,
            });
        }
        origin
    }
}

/// Returns the entry by which a contract, or one of its amendments, has a service on a device: that of
/// the same name before any other one. `facts` are those of the device, if it is there.
fn entry_of<'a>(
    predecessor: &'a Predecessor,
    facts: &[DeviceFacts],
    spec: &ServiceSubscriptionSpec,
    service: &str,
) -> Option<&'a str> {
    let device = &spec.device_ref.name;
    let entries = || predecessor.contract.spec.services.iter();
    let amended = || {
        let amendments = predecessor.amendments.iter();
        amendments.flat_map(|amendment| &amendment.spec.services)
    };
    let service_of = |name: &str| {
        let entry = entries().find(|entry| entry.name == name);
        entry.map(|entry| entry.service_ref.name.as_str())
    };
    let by_contract = entries().filter(|entry: &&ContractService| {
        let devices = &entry.devices;
        let members = members(devices.selector.as_ref(), &devices.names, facts);
        entry.service_ref.name == service && members.contains_key(device)
    });
    let by_amendment = amended().filter(|change| {
        let given = change.service_ref.as_ref().map(|it| it.name.as_str());
        let adds = change.devices.as_ref().is_some_and(|devices| {
            let members = members(devices.selector.as_ref(), &devices.names, facts);
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
