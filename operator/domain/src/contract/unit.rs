//! One service on one device, as a contract sees it.
//!
//! Decides how far each is from its subscription's conditions and items. Called by report; what
//! follows for the contract is decided in `findings`, `ready` and `conditions`.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{Condition, Contract, ItemState, ServiceSubscription};

use super::{DesiredSubscription, ResolvedContract, is_deleting, is_terminating, listed};
use crate::condition::{Status, find, is_true};

/// One service on one device, as far as the contract is concerned.
pub(super) struct Unit {
    pub(super) device: String,
    pub(super) service: String,
    /// The reason of the subscription's Ready.
    pub(super) reason: String,
    pub(super) progress: Progress,
    /// Nothing is outstanding: the subscription is Ready.
    pub(super) settled: bool,
}

/// How far a service on a device is.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Progress {
    /// The subscription is not there, or not as it should be.
    Unwritten,
    /// It is not proven, and nothing is known to hinder it.
    Pending,
    /// It does not progress.
    Failing,
    /// An entry wants the device and another entry of the service has it.
    Duplicate,
    /// It is proven.
    Delivered,
}

impl Unit {
    pub(super) fn is_delivered(&self) -> bool {
        self.progress == Progress::Delivered
    }

    pub(super) fn is_failing(&self) -> bool {
        matches!(self.progress, Progress::Failing | Progress::Duplicate)
    }
}

/// Every service on a device that should be, sorted by device and service. While the contract is
/// not accepted, and where a service is missing or a withdrawal is held, what exists counts.
pub(super) fn units(
    contract: &Contract,
    resolved: &ResolvedContract,
    own: &BTreeMap<&str, &ServiceSubscription>,
) -> Vec<Unit> {
    let desired: BTreeMap<&str, &DesiredSubscription> = resolved
        .desired
        .iter()
        .map(|desired| (desired.name.as_str(), desired))
        .collect();
    let deleted: BTreeSet<&str> = resolved
        .changes
        .delete
        .iter()
        .map(|deleted| deleted.name.as_str())
        .collect();
    let wanted = desired
        .iter()
        .map(|(name, desired)| unit(own.get(name).copied(), desired));
    let kept = own.iter().filter(|(name, found)| {
        !desired.contains_key(*name) && !deleted.contains(*name) && !is_terminating(found)
    });
    let kept = kept.map(|(_, found)| existing_unit(found, true));
    let duplicates = resolved.exceptions.iter().map(|exception| Unit {
        device: exception.device.clone(),
        service: exception.service.clone(),
        reason: Reason::DuplicateService.as_str().to_owned(),
        progress: Progress::Duplicate,
        settled: true,
    });
    let mut units: Vec<Unit> = if is_deleting(contract) || resolved.accepted.is_err() {
        kept.collect()
    } else {
        wanted.chain(kept).chain(duplicates).collect()
    };
    units.sort_by(|a, b| (&a.device, &a.service).cmp(&(&b.device, &b.service)));
    units
}

fn unit(found: Option<&ServiceSubscription>, desired: &DesiredSubscription) -> Unit {
    let live = found.filter(|found| !is_terminating(found));
    live.map_or_else(
        || Unit {
            device: desired.spec.device_ref.name.clone(),
            service: desired.spec.service_name.clone(),
            reason: Reason::Pending.as_str().to_owned(),
            progress: Progress::Unwritten,
            settled: false,
        },
        |live| existing_unit(live, live.spec == desired.spec),
    )
}

fn existing_unit(found: &ServiceSubscription, written: bool) -> Unit {
    let holds = |condition| {
        current(found, condition).is_some_and(|said| said.status == Status::True.as_str())
    };
    let progress = match (written, holds(ConditionType::Delivered), is_failing(found)) {
        (false, ..) => Progress::Unwritten,
        (true, true, _) => Progress::Delivered,
        (true, false, true) => Progress::Failing,
        (true, false, false) => Progress::Pending,
    };
    let reason = current(found, ConditionType::Ready).map(|ready| ready.reason.clone());
    Unit {
        device: found.spec.device_ref.name.clone(),
        service: found.spec.service_name.clone(),
        reason: reason.unwrap_or_else(|| Reason::Pending.as_str().to_owned()),
        progress,
        settled: written && holds(ConditionType::Ready),
    }
}

/// Returns a condition where it speaks of the spec as it is: one of an earlier generation proves
/// nothing of this one.
pub(super) fn current(found: &ServiceSubscription, condition: ConditionType) -> Option<&Condition> {
    let said = find(&found.status.as_ref()?.conditions, condition)?;
    (said.observed_generation == found.metadata.generation).then_some(said)
}

/// Whether a subscription does not progress: it is Stalled, a step takes longer than it may, or an
/// item met a problem.
pub(super) fn is_failing(found: &ServiceSubscription) -> bool {
    found.status.as_ref().is_some_and(|status| {
        let met = |state| !matches!(state, ItemState::Effective | ItemState::Released);
        let timed_out = |ready: &Condition| ready.reason == Reason::StepTimedOut.as_str();
        is_true(&status.conditions, ConditionType::Stalled)
            || find(&status.conditions, ConditionType::Ready).is_some_and(timed_out)
            || status
                .items
                .iter()
                .any(|item| item.problem.is_some() && met(item.state))
    })
}

/// Units as "backup on lobby-mfp, …".
pub(super) fn named(units: &[&Unit]) -> String {
    let names: Vec<String> = units
        .iter()
        .map(|unit| format!("{} on {}", unit.service, unit.device))
        .collect();
    listed(names.iter().map(String::as_str))
}
