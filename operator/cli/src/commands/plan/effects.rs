//! The contracts on which files have an effect: those that they name, and those in the cluster that
//! depend on an object that they change.
//!
//! Decides nothing about a contract. It has the domain look at the objects as they are and as they would
//! be, and shows of a contract that the files do not name only what the change makes different.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{Contract, Device, DeviceStatus, ServiceSubscription};
use entente_domain::contract::{resolve, written};
use entente_domain::delivery::{Ask, Calls, DeviceSnapshot, Obstacle, Outlook, calls, outlook};
use entente_domain::views::{ChangePlan, Surroundings, change_plan};
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::manifests::Manifest;
use crate::world::Objects;

/// The most contracts that the files do not name and that are shown; the others are counted.
const MOST_OTHERS: usize = 10;

/// Name of a namespace and of an object in it.
type Key = (String, String);

/// Effects on contracts.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Contracts that the files name.
    pub(super) named: Vec<ChangePlan>,
    /// Others for which something would be different, those with objections first.
    pub(super) others: Vec<ChangePlan>,
    /// Number of others that are not shown.
    pub(super) more: usize,
    /// True if something speaks against the change for one of the others, shown or not.
    pub(super) breaks_others: bool,
}

/// Returns the effects of files on contracts. `unlisted` are the kinds that the caller may not list.
pub(super) fn effects(
    manifests: &[Manifest],
    before: &Objects,
    after: &Objects,
    unlisted: &BTreeSet<String>,
    now: Timestamp,
) -> Effects {
    let devices = Devices::new(before, after, unlisted, now);
    let mut effects = Effects::default();
    for contract in &after.contracts {
        let is_named = is_named(manifests, contract);
        if let Some(plan) = plan(contract, is_named, before, after, &devices, now) {
            if is_named {
                effects.named.push(plan);
            } else {
                effects.others.push(plan);
            }
        }
    }
    let key = |it: &ChangePlan| {
        let harmless = !it.has_objections();
        (harmless, it.namespace.clone(), it.name.clone())
    };
    effects
        .named
        .sort_by_key(|it| (it.namespace.clone(), it.name.clone()));
    effects.others.sort_by_key(key);
    effects.breaks_others = effects.others.iter().any(ChangePlan::has_objections);
    effects.more = effects.others.len().saturating_sub(MOST_OTHERS);
    effects.others.truncate(MOST_OTHERS);
    effects
}

/// Returns the plan of a contract; `None` if the files neither name it nor make a difference for it.
fn plan(
    contract: &Contract,
    is_named: bool,
    before: &Objects,
    after: &Objects,
    devices: &Devices,
    now: Timestamp,
) -> Option<ChangePlan> {
    let key = (
        contract.namespace().unwrap_or_default(),
        contract.name_any(),
    );
    let old = before.contract(&key.0, &key.1);
    let old = old.map(|old| before.world(&old));
    let obstacles = devices.obstacles(&key, is_named);
    let anew = devices.anew.get(&key).cloned().unwrap_or_default();
    let asks = devices.asks(&key, is_named);
    let of_namespace = |objects: &Objects| -> Vec<Arc<Device>> {
        let all = objects.devices.iter();
        let here = all.filter(|it| it.namespace().as_deref() == Some(&*key.0));
        here.map(|it| devices.as_heard(it)).collect()
    };
    let mut plan = change_plan(
        &after.world(contract),
        &Surroundings {
            before: old.as_ref(),
            devices: &of_namespace(after),
            obstacles: &obstacles,
            asks: &asks,
            anew: &anew,
            services_unknown: devices.services_unknown,
        },
        now,
    );
    if is_named {
        return Some(plan);
    }
    let old = old.map(|old| {
        let surroundings = Surroundings {
            before: Some(&old),
            devices: &of_namespace(before),
            services_unknown: devices.services_unknown,
            ..Surroundings::default()
        };
        change_plan(&old, &surroundings, now)
    });
    if let Some(old) = old {
        plan.refused.retain(|it| !old.refused.contains(it));
        plan.missing.retain(|it| !old.missing.contains(it));
        plan.risks.retain(|it| !old.risks.contains(it));
        plan.not_looked_at.clear();
        plan.is_late &= !old.is_late;
    }
    let is_silent = plan.changes.is_empty() && plan.anew.is_empty() && plan.calls.is_empty();
    (!is_silent || plan.has_objections()).then_some(plan)
}

/// True if a file has the contract, or an amendment or notice of it.
fn is_named(manifests: &[Manifest], contract: &Contract) -> bool {
    manifests.iter().any(|it| {
        let of = match &*it.kind {
            "Contract" => Some(it.name.as_str()),
            "ContractAmendment" | "ContractNotice" => {
                it.object["spec"]["contractRef"]["name"].as_str()
            }
            _ => None,
        };
        Some(&*it.namespace) == contract.namespace().as_deref() && of == Some(&*contract.name_any())
    })
}

/// Obstacles on all devices, as they are and as they would be.
struct Devices {
    /// Obstacles after the change, by contract, and whether each is new.
    obstacles: BTreeMap<Key, Vec<(Obstacle, bool)>>,
    /// Deliveries that begin anew, with the device, by contract.
    anew: BTreeMap<Key, Vec<(String, String)>>,
    /// Requests to devices that call, by contract, and whether each is new.
    asks: BTreeMap<Key, Vec<(Ask, bool)>>,
    /// Statuses of the devices that call, as the operator would write them.
    heard: BTreeMap<Key, DeviceStatus>,
    services_unknown: bool,
}

impl Devices {
    fn new(before: &Objects, after: &Objects, unlisted: &BTreeSet<String>, now: Timestamp) -> Self {
        let mut found = Self {
            obstacles: BTreeMap::new(),
            anew: BTreeMap::new(),
            asks: BTreeMap::new(),
            heard: BTreeMap::new(),
            services_unknown: unlisted.contains("SmartService"),
        };
        let old = by_device(before.subscriptions.iter().cloned());
        for (key, subscriptions) in by_device(after_writes(after, now)) {
            let known = old.get(&key).cloned().unwrap_or_default();
            let was = before.snapshot(&key.0, &key.1, known.clone());
            let mut is = after.snapshot(&key.0, &key.1, subscriptions.clone());
            let spec = |it: &Option<Arc<Device>>| it.as_ref().map(|it| it.spec.clone());
            // To look for the same machine among all others is worth it only where it may be another.
            if let Some(device) = is
                .device
                .clone()
                .filter(|_| spec(&is.device) != spec(&was.device))
            {
                is.claimed_by_another = after.claimed(&device);
            }
            let heard = |snapshot: &DeviceSnapshot| {
                let is_known = !unlisted.contains("DeviceTwin");
                is_known.then(|| calls(snapshot, now)).flatten()
            };
            let (was_called, is_called) = (heard(&was), heard(&is));
            let (was, mut is) = (outlook(&was, now), outlook(&is, now));
            let mut was_all = was.clone();
            was_all.add(was_called.as_ref());
            is.add(is_called.as_ref());
            let asked = was_called.map(|it| it.asks).unwrap_or_default();
            found.add_calls(&key, &asked, is_called);
            found.add_anew(&key, &is.sent_anew(&was), (&known, &subscriptions));
            found.add_obstacles(&key.0, &was_all, is, unlisted);
        }
        found
    }

    /// Adds what begins anew on subscriptions whose spec stays as it is.
    fn add_anew(
        &mut self,
        (namespace, device): &Key,
        anew: &BTreeMap<String, String>,
        (old, new): (&[Arc<ServiceSubscription>], &[Arc<ServiceSubscription>]),
    ) {
        for subscription in new {
            let name = subscription.name_any();
            let before = old.iter().find(|it| it.name_any() == name);
            let stays = before.is_some_and(|it| it.spec == subscription.spec);
            if let Some(words) = anew.get(&name).filter(|_| stays) {
                let contract = subscription.spec.contract.name.clone();
                let all = self.anew.entry((namespace.clone(), contract)).or_default();
                all.push((device.clone(), words.clone()));
            }
        }
    }

    fn add_obstacles(
        &mut self,
        namespace: &str,
        was: &Outlook,
        is: Outlook,
        unlisted: &BTreeSet<String>,
    ) {
        for obstacle in is.obstacles {
            if is_unknown(obstacle.reason, unlisted) {
                continue;
            }
            let mut before = was.obstacles.iter();
            let is_new = !before
                .any(|it| it.subscription == obstacle.subscription && it.reason == obstacle.reason);
            let key = (namespace.to_owned(), obstacle.contract.clone());
            let all = self.obstacles.entry(key).or_default();
            all.push((obstacle, is_new));
        }
    }

    fn add_calls(&mut self, device: &Key, was: &[Ask], is: Option<Calls>) {
        let Some(is) = is else { return };
        if let Some(status) = is.status {
            self.heard.insert(device.clone(), status);
        }
        for ask in is.asks {
            let mut before = was.iter();
            let key = |it: &Ask| (it.subscription.clone(), it.words.clone(), it.holds_until);
            let is_new = !before.any(|it| key(it) == key(&ask));
            let contract = (device.0.clone(), ask.contract.clone());
            self.asks.entry(contract).or_default().push((ask, is_new));
        }
    }

    /// Returns the requests to devices of a contract that call, or only those that the change brings.
    fn asks(&self, of: &Key, all: bool) -> Vec<Ask> {
        let found = self.asks.get(of).into_iter().flatten();
        let found = found.filter(|(_, is_new)| all || *is_new);
        found.map(|(ask, _)| ask.clone()).collect()
    }

    /// Returns a device with the status that the operator would write of it now, if it calls.
    fn as_heard(&self, device: &Arc<Device>) -> Arc<Device> {
        let key = (device.namespace().unwrap_or_default(), device.name_any());
        let Some(status) = self.heard.get(&key) else {
            return Arc::clone(device);
        };
        let mut device = Device::clone(device);
        device.status = Some(status.clone());
        Arc::new(device)
    }

    /// Returns the obstacles of a contract, or only those that the change brings.
    fn obstacles(&self, of: &Key, all: bool) -> Vec<Obstacle> {
        let found = self.obstacles.get(of).into_iter().flatten();
        let found = found.filter(|(_, is_new)| all || *is_new);
        found.map(|(obstacle, _)| obstacle.clone()).collect()
    }
}

/// True if a missing object may be there, and the caller may not list its kind.
fn is_unknown(reason: Reason, unlisted: &BTreeSet<String>) -> bool {
    let kind = match reason {
        Reason::ModelNotFound => "DeviceModel",
        Reason::ConnectionNotFound => "Connection",
        Reason::ServiceNotFound => "SmartService",
        Reason::SiteNotFound => "Site",
        // Labels of a namespace decide on it.
        Reason::NotAllowed => "Namespace",
        _ => return false,
    };
    unlisted.contains(kind)
}

fn by_device(
    subscriptions: impl IntoIterator<Item = Arc<ServiceSubscription>>,
) -> BTreeMap<Key, Vec<Arc<ServiceSubscription>>> {
    let mut found: BTreeMap<Key, Vec<Arc<ServiceSubscription>>> = BTreeMap::new();
    for it in subscriptions {
        let device = it.spec.device_ref.name.clone();
        let key = (it.namespace().unwrap_or_default(), device);
        found.entry(key).or_default().push(it);
    }
    found
}

/// Returns all subscriptions as they are after the writes of every contract.
fn after_writes(objects: &Objects, now: Timestamp) -> Vec<Arc<ServiceSubscription>> {
    let key = |it: &ServiceSubscription| (it.namespace().unwrap_or_default(), it.name_any());
    let all = objects.subscriptions.iter();
    let mut all: BTreeMap<Key, Arc<ServiceSubscription>> =
        all.map(|it| (key(it), Arc::clone(it))).collect();
    for contract in &objects.contracts {
        let world = objects.world(contract);
        for it in written(&world, &resolve(&world, now), now) {
            all.insert(key(&it), it);
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests;
