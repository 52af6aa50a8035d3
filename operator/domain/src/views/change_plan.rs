//! The plan of a change: what the operator would do with a contract if objects were applied now.
//!
//! Decides nothing about the contract: that is `contract::resolve` and `contract::report`, as in the
//! operator. It compares the wanted subscriptions with those that exist, joins devices to which the same
//! happens, and names what speaks against the change. Called by `kubectl entente plan`, which writes
//! nothing.

mod calls;
mod differences;
mod obstacles;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Device, ServiceSubscription, ServiceSubscriptionSpec, SmartService};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::health::{Health, health};
use super::moment::Moment;
use crate::condition::find;
use crate::contract::{ContractWorld, Fault, NOT_FOUND, ResolvedContract, resolve};
use crate::delivery::{Ask, Obstacle};
use crate::time::zone;

pub use self::calls::PlannedCalls;
use self::calls::calls;
use self::differences::{changed, described};
use self::obstacles::{anew, obstacles};
use self::verdict::{objections, refused_parts};

/// The plan of one contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangePlan {
    /// Namespace of the contract.
    pub namespace: String,
    /// Name of the contract.
    pub name: String,
    /// Faults for which the contract would be refused.
    pub refused: Vec<String>,
    /// Amendments and notices that the change brings and that would be refused, each with its faults.
    pub refused_parts: Vec<String>,
    /// Amendments and notices that are refused in the cluster already: they change nothing.
    pub refused_before: Vec<String>,
    /// Objects that are missing, each in a sentence.
    pub missing: Vec<String>,
    /// SmartServices that may exist and that the caller may not list, each in a sentence.
    pub not_looked_at: Vec<String>,
    /// The start of the term, if it is known.
    pub start: Option<Moment>,
    /// The instant from which early steps may run.
    pub prepared_from: Option<Moment>,
    /// True if the start has passed before the contract was known, so that it is not promised.
    pub is_late: bool,
    /// Subscriptions that are added, changed and withdrawn.
    pub changes: Vec<PlannedChange>,
    /// Requests to its devices that call.
    pub calls: Vec<PlannedCalls>,
    /// Deliveries that begin anew on subscriptions which stay as they are, each in a sentence.
    pub anew: Vec<String>,
    /// Number of subscriptions that stay as they are.
    pub unchanged: usize,
    /// Changes by amendments that lie ahead.
    pub upcoming: Vec<PlannedAmendment>,
    /// Obstacles to the change, each in a sentence: what the operator would say right after it, and
    /// devices that are not well.
    pub risks: Vec<String>,
}

/// The same change on several devices.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PlannedChange {
    /// Kind of the change.
    pub change: ChangeKind,
    /// Name of the entry.
    pub service: String,
    /// Names of the devices, sorted.
    pub devices: Vec<String>,
    /// The change in words, one line each.
    pub details: Vec<String>,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// A subscription is made.
    Add,
    /// A subscription gets other revisions.
    Change,
    /// A subscription is withdrawn.
    Withdraw,
}

impl ChangePlan {
    /// True if something speaks against the change.
    pub fn has_objections(&self) -> bool {
        let all = [
            &self.refused,
            &self.refused_parts,
            &self.missing,
            &self.not_looked_at,
            &self.risks,
        ];
        self.is_late || all.iter().any(|it| !it.is_empty())
    }
}

impl ChangeKind {
    /// Returns the word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Withdraw => "withdraw",
        }
    }
}

/// The change that an amendment brings.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PlannedAmendment {
    /// Name of the ContractAmendment.
    pub amendment: String,
    /// The instant of the change.
    pub effective: Moment,
    /// Number of subscriptions that begin.
    pub adds: i32,
    /// Number of subscriptions that end.
    pub removes: i32,
    /// Number of subscriptions that go on with other terms.
    pub changes: i32,
}

/// Objects beside a contract on which its plan depends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The contract as it is in the cluster now; `None` for a new one.
    pub before: Option<&'a ContractWorld>,
    /// The devices of its namespace with their status.
    pub devices: &'a [Arc<Device>],
    /// The obstacles to its subscriptions on their devices.
    pub obstacles: &'a [Obstacle],
    /// The requests to its devices that call, in their order for each device.
    pub asks: &'a [Ask],
    /// Devices with the words about a delivery that begins anew on a subscription that stays.
    pub anew: &'a [(String, String)],
    /// True if the caller may not list the SmartServices, so that one that is missing may exist.
    pub services_unknown: bool,
}

/// Returns the plan of a contract.
pub fn change_plan(
    world: &ContractWorld,
    surroundings: &Surroundings<'_>,
    now: Timestamp,
) -> ChangePlan {
    let resolved = resolve(world, now);
    let contract = &world.contract;
    let zone = zone(&contract.spec.term.time_zone).unwrap_or(TimeZone::UTC);
    let moment = |at| Moment::new(at, &zone, now);
    let changes = changes(world, &resolved, &moment);
    let touched = resolved.changes.create.len()
        + resolved.changes.update.len()
        + resolved.changes.delete.len();
    let before = surroundings.before.map(|it| (it, resolve(it, now)));
    let before = before.as_ref().map(|(world, resolved)| (*world, resolved));
    let parts = refused_parts(world, &resolved, before);
    let mut risks = objections(world, &resolved, now);
    risks.extend(obstacles(surroundings.obstacles, &moment));
    risks.extend(devices_not_well(&changes, surroundings.devices));
    let missing = messages(resolved.refs.as_ref().err());
    let may_exist = |it: &String| surroundings.services_unknown && it.ends_with(NOT_FOUND);
    let (unknown, missing): (Vec<String>, Vec<String>) = missing.into_iter().partition(may_exist);
    let not_looked_at = unknown.iter().map(|it| {
        let name = it.trim_end_matches(NOT_FOUND);
        format!("{name}was not looked at: you may not list smartservices")
    });
    ChangePlan {
        namespace: contract.metadata.namespace.clone().unwrap_or_default(),
        name: contract.metadata.name.clone().unwrap_or_default(),
        refused: messages(resolved.accepted.as_ref().err()),
        refused_parts: parts.by_the_change,
        refused_before: parts.before,
        missing,
        not_looked_at: not_looked_at.collect(),
        calls: calls(surroundings.asks, &moment),
        anew: anew(surroundings.anew),
        start: resolved.term.as_ref().map(|term| moment(term.start)),
        prepared_from: resolved.preparation.map(moment),
        is_late: resolved.start_is_unpromised,
        unchanged: (resolved.desired.len() + resolved.changes.delete.len()).saturating_sub(touched),
        upcoming: upcoming(&resolved, &moment),
        risks,
        changes,
    }
}

fn upcoming(
    resolved: &ResolvedContract,
    moment: &dyn Fn(Timestamp) -> Moment,
) -> Vec<PlannedAmendment> {
    let upcoming = resolved.upcoming.iter().map(|it| PlannedAmendment {
        amendment: it.amendment.to_string(),
        effective: moment(it.effective),
        adds: it.adds,
        removes: it.removes,
        changes: it.changes,
    });
    upcoming.collect()
}

fn messages(faults: Option<&Vec<Fault>>) -> Vec<String> {
    let faults = faults.into_iter().flatten();
    faults.map(|fault| fault.message.clone()).collect()
}

fn changes(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    moment: &dyn Fn(Timestamp) -> Moment,
) -> Vec<PlannedChange> {
    let service = |spec: &ServiceSubscriptionSpec| -> Option<&SmartService> {
        let revision = spec.revisions.last()?;
        world
            .services
            .get(&revision.service_ref.name)
            .map(AsRef::as_ref)
    };
    let live: BTreeMap<&str, &ServiceSubscription> = world
        .subscriptions
        .iter()
        .filter_map(|it| Some((it.metadata.name.as_deref()?, &**it)))
        .collect();
    let mut joined: BTreeMap<(String, ChangeKind, Vec<String>), Vec<String>> = BTreeMap::new();
    let mut add = |spec: &ServiceSubscriptionSpec, kind, details| {
        let key = (spec.service_name.clone(), kind, details);
        joined
            .entry(key)
            .or_default()
            .push(spec.device_ref.name.clone());
    };
    for desired in &resolved.changes.create {
        let details = described(&desired.spec, service(&desired.spec), moment);
        add(&desired.spec, ChangeKind::Add, details);
    }
    for update in &resolved.changes.update {
        let desired = &update.desired;
        let before = live.get(desired.name.as_str());
        let details = before.map_or_else(Vec::new, |before| {
            changed(&before.spec, &desired.spec, service(&desired.spec), moment)
        });
        add(&desired.spec, ChangeKind::Change, details);
    }
    for handle in &resolved.changes.delete {
        if let Some(gone) = live.get(handle.name.as_str()) {
            let details = vec!["at once: turned off, removed, settings go back".to_owned()];
            add(&gone.spec, ChangeKind::Withdraw, details);
        }
    }
    let changes = joined.into_iter();
    let changes = changes.map(|((service, change, details), mut devices)| {
        devices.sort_unstable();
        PlannedChange {
            change,
            service,
            devices,
            details,
        }
    });
    changes.collect()
}

/// Returns a sentence about each device that gets something and is not well now.
fn devices_not_well(changes: &[PlannedChange], devices: &[Arc<Device>]) -> Vec<String> {
    let wanted = changes
        .iter()
        .filter(|it| it.change != ChangeKind::Withdraw);
    let mut names: Vec<&str> = wanted
        .flat_map(|it| &it.devices)
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let find_device = |name: &str| {
        let mut all = devices.iter();
        all.find(|it| it.metadata.name.as_deref() == Some(name))
    };
    let risks = names
        .into_iter()
        .filter_map(|name| match find_device(name) {
            None => Some(format!("{name} does not exist")),
            Some(device) => risk(device).map(|risk| format!("{name} {risk}")),
        });
    risks.collect()
}

fn risk(device: &Device) -> Option<String> {
    let conditions = device.status.as_ref().map(|it| &it.conditions)?;
    let online = find(conditions, ConditionType::Online);
    if let Some(online) = online.filter(|it| it.status == "False") {
        let reason = &online.reason;
        let why = match online.message.as_str() {
            "" => String::new(),
            message => format!(": {message}"),
        };
        return Some(format!("does not answer ({reason}){why}"));
    }
    let said = health(&device.metadata, conditions);
    (said.health == Health::Failed).then(|| format!("is not ready ({})", said.reason))
}
