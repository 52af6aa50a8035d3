//! The origin of each subscription: the first one of the chain that it continues.
//!
//! Decides which subscription of the predecessor on the same device each new one continues. An origin
//! is decided anew until the subscription has begun or has its instance, and then never: the id of the
//! instance follows from it. It must never give one to two. Called by `succession`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::v1alpha1::{Origin, ServiceSubscription, ServiceSubscriptionSpec, SmartService};
use jiff::Timestamp;

use super::{Key, Predecessor, key};
use crate::contract::{ContractWorld, DesiredSubscription, is_terminating, name_of};
use crate::delivery::has_instance;

/// The origins of the subscriptions of a contract.
pub(super) struct Origins<'a> {
    world: &'a ContractWorld,
    existing: &'a BTreeMap<&'a str, &'a ServiceSubscription>,
    /// Subscriptions of the predecessor that nobody else continues, by device.
    given: BTreeMap<&'a str, Vec<&'a ServiceSubscription>>,
    now: Timestamp,
}

impl<'a> Origins<'a> {
    pub(super) fn new(
        world: &'a ContractWorld,
        existing: &'a BTreeMap<&'a str, &'a ServiceSubscription>,
        now: Timestamp,
    ) -> Self {
        let kin = &world.kin;
        let nearest = kin.predecessors.first().map(Predecessor::facts);
        let of_nearest = |found: &&Arc<ServiceSubscription>| {
            nearest.as_ref().is_some_and(|facts| facts.has(found))
        };
        let taken = taken(world);
        let mut given: BTreeMap<&str, Vec<&ServiceSubscription>> = BTreeMap::new();
        for found in kin.given.iter().filter(of_nearest) {
            if !taken.contains(&key(&found.spec)) {
                let device = found.spec.device_ref.name.as_str();
                given.entry(device).or_default().push(found);
            }
        }
        for found in given.values_mut() {
            found.sort_by_key(|found| &found.metadata.name);
        }
        Self {
            world,
            existing,
            given,
            now,
        }
    }

    /// Returns the origin of each wanted subscription, by name.
    pub(super) fn of(
        mut self,
        desired: &[Arc<DesiredSubscription>],
    ) -> BTreeMap<String, Option<Origin>> {
        let mut origins: BTreeMap<String, Option<Origin>> = BTreeMap::new();
        for desired in desired {
            if let Some(live) = self.decided(&desired.name) {
                let kept = live.spec.origin.clone();
                if let Some(origin) = &kept {
                    self.take(&desired.spec, |found| *origin == origin_of(&found.spec));
                }
                origins.insert(desired.name.clone(), kept);
            }
        }
        // The same service comes first; then another one of the same offering, by the name of its
        // entry, and at last whatever its name.
        for round in [Likeness::Service, Likeness::Entry, Likeness::Offering] {
            for desired in desired {
                if origins.contains_key(&desired.name) {
                    continue;
                }
                let spec = &desired.spec;
                let world = self.world;
                let live = self.existing.get(desired.name.as_str());
                let decided = live.and_then(|live| live.spec.origin.as_ref());
                let found = self.take(spec, |found| {
                    let before = &found.spec;
                    // An offering that is not known does not speak against what was decided.
                    let is_kept = decided == Some(&origin_of(before))
                        && service(before, begin(spec))
                            .is_none_or(|name| known(world, name).is_none());
                    is_kept || round.holds(world, spec, before)
                });
                if let Some(found) = found {
                    let origin = origin_of(&found.spec);
                    origins.insert(desired.name.clone(), Some(origin));
                }
            }
        }
        origins
    }

    /// Returns a subscription whose origin, or that it has none, stays as it is.
    fn decided(&self, name: &str) -> Option<&'a ServiceSubscription> {
        let live = *self.existing.get(name)?;
        let mut revisions = live.spec.revisions.iter();
        let has_begun = revisions.any(|revision| revision.effective <= self.now);
        let kin = &self.world.kin;
        // While the predecessor is not at hand, nothing speaks against what was decided.
        let is_all_there_is = kin.predecessors.is_empty() || kin.unreadable_predecessor.is_some();
        (has_begun || has_instance(live) || is_all_there_is).then_some(live)
    }

    /// Takes a subscription of the predecessor on the same device, once.
    fn take(
        &mut self,
        spec: &ServiceSubscriptionSpec,
        is_it: impl Fn(&ServiceSubscription) -> bool,
    ) -> Option<&'a ServiceSubscription> {
        let given = self.given.get_mut(spec.device_ref.name.as_str())?;
        let position = given.iter().position(|found| is_it(found))?;
        Some(given.remove(position))
    }
}

/// Returns the subscriptions of the predecessor that an older contract, which succeeds it as well,
/// continues.
fn taken(world: &ContractWorld) -> BTreeSet<Key> {
    let contract = &world.contract;
    let created = contract.metadata.creation_timestamp.as_ref();
    let own = (created.map(|it| it.0), name_of(contract));
    let siblings = world.kin.siblings.iter().filter(|it| !is_terminating(it));
    let first = siblings.filter(|sibling| {
        let of = &sibling.spec.contract;
        (Some(of.created), of.name.as_str()) < own
    });
    let first = first.filter(|sibling| sibling.spec.origin.is_some());
    first.map(|sibling| key(&sibling.spec)).collect()
}

/// Returns the first of the chain of a subscription.
fn origin_of(spec: &ServiceSubscriptionSpec) -> Origin {
    spec.origin.clone().unwrap_or_else(|| Origin {
        contract: spec.contract.name.clone(),
        service_name: spec.service_name.clone(),
        start: spec.contract.start,
    })
}

/// The ways in which one subscription continues another, the closest first.
#[derive(Clone, Copy)]
enum Likeness {
    Service,
    Entry,
    Offering,
}

impl Likeness {
    fn holds(
        self,
        world: &ContractWorld,
        spec: &ServiceSubscriptionSpec,
        before: &ServiceSubscriptionSpec,
    ) -> bool {
        let begin = begin(spec);
        let (Some(own), Some(other)) = (service(spec, begin), service(before, begin)) else {
            return false;
        };
        let is_entry = spec.service_name == before.service_name;
        let is_offering = || {
            let own = offering(world, own);
            own.is_some() && own == offering(world, other)
        };
        match self {
            Self::Service => own == other,
            Self::Entry => is_entry && is_offering(),
            Self::Offering => is_offering(),
        }
    }
}

/// Returns the name of the SmartService that a subscription has at an instant, whatever it comes to
/// have later.
fn service(spec: &ServiceSubscriptionSpec, at: Timestamp) -> Option<&str> {
    let revisions = || spec.revisions.iter();
    let known = revisions().filter(|it| it.effective <= at);
    let known = known.max_by_key(|it| it.effective);
    let known = known.or_else(|| revisions().min_by_key(|it| it.effective))?;
    Some(&known.service_ref.name)
}

/// Returns the first instant of a subscription.
fn begin(spec: &ServiceSubscriptionSpec) -> Timestamp {
    let revisions = spec.revisions.iter();
    let begin = revisions.map(|revision| revision.effective).min();
    begin.unwrap_or(Timestamp::MIN)
}

/// Returns a SmartService that is at hand.
fn known<'a>(world: &'a ContractWorld, service: &str) -> Option<&'a SmartService> {
    let own = world.services.get(service);
    own.or_else(|| world.kin.services.get(service))
        .map(|it| &**it)
}

/// Returns the Connection and the offering of a SmartService, if it has a server.
fn offering<'a>(world: &'a ContractWorld, service: &str) -> Option<(&'a str, &'a str)> {
    let server = known(world, service)?.spec.server.as_ref()?;
    Some((&server.connection_ref.name, &server.offering))
}
