//! The tree of a contract: contract, service, device, item.
//!
//! Decides which devices are grouped on one line (those that are well, by their reason), which are
//! shown one by one (those that are not), and which items of these are told: the ones that are not in
//! effect. A fleet of thousands never fills the tree: of one reason a few devices are shown, and the
//! others are counted.

use std::collections::BTreeMap;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    Condition, Contract, Item, ItemState, PromiseState, ServiceSubscription,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::health::{Health, Said, find_true, health, next_step};
use super::moment::Moment;
use crate::condition::{find, is_true};
use crate::time::zone;

/// Words for an item that somebody has changed and that is left so.
const CHANGED: &str = "was changed at the device";

/// Size of a tree.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// The most devices of one service and one reason that are shown one by one.
    pub devices: usize,
    /// True if every item is shown, of devices that are well too, and no device is grouped.
    pub everything: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            devices: 5,
            everything: false,
        }
    }
}

/// A contract with everything below it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContractTree {
    /// Namespace of the contract.
    pub namespace: String,
    /// Name of the contract.
    pub name: String,
    /// Id of the customer.
    pub customer: String,
    /// Name of the customer, if the contract has it.
    pub customer_name: Option<String>,
    /// Health of the contract.
    pub ready: Said,
    /// Conditions that are present only while something is wrong, each with its message.
    pub warnings: Vec<Warning>,
    /// First day of the term, or how it starts.
    pub starts: Option<String>,
    /// Last day of the term.
    pub ends: Option<String>,
    /// Time zone of the contract.
    pub time_zone: String,
    /// True, False or Unknown: now lies between the dates of the term.
    pub in_force: Option<String>,
    /// The first instant of the term.
    pub start: Option<Moment>,
    /// The next change in words, such as `Amended 2027-07-01`.
    pub next: Option<String>,
    /// The instant of the next change.
    pub next_at: Option<Moment>,
    /// Delivered and total, such as `4/6`.
    pub delivered: Option<String>,
    /// The sum that is owed, such as `BRL 12.50`.
    pub owed: Option<String>,
    /// Compensations that still grow, and those that are final.
    pub compensations: Option<(i32, i32)>,
    /// The services, in the order of the contract; those that it no longer names are last.
    pub services: Vec<ServiceNode>,
    /// Sentences about objects that could not be read, so that the tree is not whole.
    pub unread: Vec<String>,
}

/// A condition that tells of something wrong.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// Type of the condition.
    pub condition: String,
    /// Its message.
    pub message: String,
}

/// A service of a contract with its devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceNode {
    /// Name of the entry.
    pub name: String,
    /// Name of the SmartService; absent if the contract no longer has the entry.
    pub service_ref: Option<String>,
    /// Number of subscriptions.
    pub total: usize,
    /// Number of those that are delivered.
    pub delivered: usize,
    /// Devices that are grouped, by reason.
    pub groups: Vec<DeviceGroup>,
    /// Devices that are shown one by one, the worst first.
    pub devices: Vec<DeviceNode>,
}

/// Devices of one service that are alike.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeviceGroup {
    /// Health of each of them.
    pub health: Health,
    /// Status of Ready of each of them.
    pub status: String,
    /// The reason that all of them have.
    pub reason: String,
    /// Their names, sorted.
    pub devices: Vec<String>,
    /// The instant since which the last of them is so.
    pub since: Option<Timestamp>,
    /// True if they are those that are not shown one by one although something is wrong with them.
    pub is_rest: bool,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceNode {
    /// Name of the Device.
    pub device: String,
    /// Name of the subscription.
    pub subscription: String,
    /// Health of the subscription.
    pub ready: Said,
    /// Step at which it is; absent when all are done.
    pub step: Option<String>,
    /// State of its last promise, such as `Missed`.
    pub promise: Option<String>,
    /// Items that are not in effect; all of them if that was asked for.
    pub items: Vec<ItemNode>,
}

/// One item of a subscription.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemNode {
    /// Key of the item, such as `DeviceSetting/backup.weekdays`.
    pub key: String,
    /// Last proved state.
    pub state: String,
    /// Reason of the problem of the last attempt; Drifted where somebody has changed it and nothing is
    /// attempted.
    pub problem: Option<String>,
    /// The problem in words.
    pub message: Option<String>,
    /// The instant since which there is that problem.
    pub since: Option<Timestamp>,
    /// Number of times that it was sent.
    pub attempts: Option<i32>,
}

/// Returns the tree of a contract. `subscriptions` may hold those of other contracts, which are passed
/// over; their order makes no difference.
pub fn contract_tree<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    unread: Vec<String>,
    options: TreeOptions,
    now: Timestamp,
) -> ContractTree {
    let status = contract.status.clone().unwrap_or_default();
    let spec = &contract.spec;
    let zone = zone(&spec.term.time_zone).unwrap_or(TimeZone::UTC);
    let said = health(&contract.metadata, &status.conditions);
    let own = own(contract, subscriptions);
    let owed = status.owed.as_ref();
    ContractTree {
        namespace: contract.metadata.namespace.clone().unwrap_or_default(),
        name: contract.metadata.name.clone().unwrap_or_default(),
        customer: spec.customer.id.clone(),
        customer_name: spec.customer.name.clone(),
        warnings: warnings(&status.conditions, &said),
        starts: status.starts.as_ref().map(ToString::to_string),
        ends: status.ends.as_ref().map(ToString::to_string),
        time_zone: spec.term.time_zone.clone(),
        in_force: find(&status.conditions, ConditionType::InForce).map(|it| it.status.clone()),
        start: status
            .term
            .as_ref()
            .map(|term| Moment::new(term.start, &zone, now)),
        next: status.next.as_ref().map(ToString::to_string),
        next_at: status
            .next_transition
            .filter(|at| *at > now)
            .map(|at| Moment::new(at, &zone, now)),
        delivered: status.subscriptions.as_ref().map(|it| it.summary.clone()),
        owed: owed.map(|owed| owed.summary.clone()),
        compensations: owed.map(|owed| (owed.open, owed.calculated)),
        services: services(contract, &own, said.health, options),
        ready: said,
        unread,
    }
}

/// Returns the subscriptions of this very contract: one of the same name in another namespace, or an
/// earlier one that was deleted, has a uid of its own.
fn own<'a>(
    contract: &Contract,
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
) -> Vec<&'a ServiceSubscription> {
    let of = subscriptions.into_iter().filter(|found| {
        found.metadata.namespace == contract.metadata.namespace
            && Some(&found.spec.contract.uid) == contract.metadata.uid.as_ref()
    });
    let mut own: Vec<&ServiceSubscription> = of.collect();
    own.sort_by(|a, b| a.spec.device_ref.name.cmp(&b.spec.device_ref.name));
    own
}

/// Returns the conditions that are present only while something is wrong. One whose message Ready has
/// already is not told twice.
fn warnings(conditions: &[Condition], ready: &Said) -> Vec<Warning> {
    let told = [
        ConditionType::StartAtRisk,
        ConditionType::PromiseMissed,
        ConditionType::DevicesFailing,
    ];
    let found = told.into_iter().filter_map(|kind| {
        let found = find_true(conditions, kind)?;
        let message = found.message.as_str();
        (message != ready.message).then(|| Warning {
            condition: found.type_.clone(),
            message: message.to_owned(),
        })
    });
    found.collect()
}

fn services(
    contract: &Contract,
    own: &[&ServiceSubscription],
    above: Health,
    options: TreeOptions,
) -> Vec<ServiceNode> {
    let mut by_entry: BTreeMap<&str, Vec<&ServiceSubscription>> = BTreeMap::new();
    for found in own {
        let entry = by_entry.entry(&found.spec.service_name).or_default();
        entry.push(found);
    }
    let entries = contract.spec.services.iter();
    let mut nodes: Vec<ServiceNode> = entries
        .map(|entry| {
            let found = by_entry.remove(entry.name.as_str()).unwrap_or_default();
            let service_ref = Some(entry.service_ref.name.clone());
            service(&entry.name, service_ref, &found, above, options)
        })
        .collect();
    let left = by_entry.into_iter();
    nodes.extend(left.map(|(name, found)| service(name, None, &found, above, options)));
    nodes
}

fn service(
    name: &str,
    service_ref: Option<String>,
    found: &[&ServiceSubscription],
    above: Health,
    options: TreeOptions,
) -> ServiceNode {
    let mut nodes: Vec<DeviceNode> = found.iter().map(|it| device(it, options)).collect();
    let is_delivered = |found: &&&ServiceSubscription| {
        let status = found.status.as_ref();
        status.is_some_and(|it| is_true(&it.conditions, ConditionType::Delivered))
    };
    let delivered = found.iter().filter(is_delivered).count();
    nodes.sort_by(|a, b| {
        let rank = |it: &DeviceNode| std::cmp::Reverse(it.ready.health);
        (rank(a), &a.ready.reason, &a.device).cmp(&(rank(b), &b.ready.reason, &b.device))
    });
    let total = nodes.len();
    let (groups, devices) = if options.everything {
        (Vec::new(), nodes)
    } else {
        grouped(nodes, above, options)
    };
    ServiceNode {
        name: name.to_owned(),
        service_ref,
        total,
        delivered,
        groups,
        devices,
    }
}

/// Splits devices into those that are grouped and those that are shown. Under a contract that is well
/// no device is shown for work that is merely under way.
fn grouped(
    nodes: Vec<DeviceNode>,
    above: Health,
    options: TreeOptions,
) -> (Vec<DeviceGroup>, Vec<DeviceNode>) {
    let mut groups: Vec<DeviceGroup> = Vec::new();
    let mut shown: Vec<DeviceNode> = Vec::new();
    for node in nodes {
        let is_quiet = node.items.iter().all(|item| item.problem.is_none());
        // One that is settled may have a problem too: work before the start that does not go on.
        let is_well = is_quiet
            && (node.ready.health == Health::Settled
                || above == Health::Settled && node.ready.health == Health::InProgress);
        let alike = shown
            .iter()
            .filter(|it| it.ready.reason == node.ready.reason)
            .count();
        if !is_well && alike < options.devices {
            shown.push(node);
            continue;
        }
        let group = groups.iter_mut().find(|group| {
            group.reason == node.ready.reason
                && group.status == node.ready.status
                && group.is_rest != is_well
        });
        match group {
            Some(group) => {
                group.devices.push(node.device);
                group.since = group.since.max(node.ready.since);
            }
            None => groups.push(DeviceGroup {
                health: node.ready.health,
                status: node.ready.status,
                reason: node.ready.reason,
                devices: vec![node.device],
                since: node.ready.since,
                is_rest: !is_well,
            }),
        }
    }
    // The rest of those that are shown one by one comes right behind them.
    groups
        .sort_by(|a, b| (!a.is_rest, a.health, &a.reason).cmp(&(!b.is_rest, b.health, &b.reason)));
    (groups, shown)
}

fn device(found: &ServiceSubscription, options: TreeOptions) -> DeviceNode {
    let status = found.status.clone().unwrap_or_default();
    let mut ready = health(&found.metadata, &status.conditions);
    if ready.next_step.is_none() {
        let problem = status.items.iter().find_map(problem_of);
        ready.next_step = problem.and_then(|it| next_step(it.as_str()));
    }
    let items = status.items.iter();
    let items = items.filter(|item| options.everything || is_open(item));
    DeviceNode {
        device: found.spec.device_ref.name.clone(),
        subscription: found.metadata.name.clone().unwrap_or_default(),
        step: status.step.map(|step| format!("{step:?}")),
        promise: status
            .promises
            .iter()
            .max_by_key(|it| it.effective)
            .filter(|it| it.state != PromiseState::Open)
            .map(|it| format!("{:?}", it.state)),
        items: items.map(item).collect(),
        ready,
    }
}

/// True if an item is not done, or met a problem at the last attempt.
fn is_open(item: &Item) -> bool {
    item.problem.is_some() || !matches!(item.state, ItemState::Effective | ItemState::Released)
}

/// True if somebody has changed an item since it was in effect, and it is left so.
fn is_drifted(item: &Item) -> bool {
    item.was_effective && item.state == ItemState::NotEffective && item.problem.is_none()
}

/// Returns the reason for which an item is not in effect, if it has one.
fn problem_of(item: &Item) -> Option<Reason> {
    let problem = item.problem.as_ref().map(|it| it.outcome);
    problem.or_else(|| is_drifted(item).then_some(Reason::Drifted))
}

fn item(item: &Item) -> ItemNode {
    let problem = item.problem.as_ref();
    let drifted = is_drifted(item).then(|| CHANGED.to_owned());
    ItemNode {
        key: item.key.as_str().to_owned(),
        state: format!("{:?}", item.state),
        problem: problem_of(item).map(|it| it.as_str().to_owned()),
        message: problem.map(|it| it.message.as_str().to_owned()).or(drifted),
        since: problem
            .map(|it| it.since)
            .or_else(|| item.last_verified.filter(|_| is_drifted(item))),
        attempts: item.attempts.filter(|it| *it > 0),
    }
}
