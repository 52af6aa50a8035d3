//! The state of each subscription of a contract.
//!
//! Decides how far each has come, from its conditions and items. Called by report; what follows for
//! the contract is decided in `assessment`, `ready` and `conditions`.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::item_key::ItemKind;
use entente_crds::v1alpha1::{
    Condition, Contract, Item, ItemState, ResolvedTerm, ServiceSubscription,
    ServiceSubscriptionSpec,
};
use jiff::Timestamp;

use super::{DesiredSubscription, ResolvedContract, is_deleting, is_terminating, listed};
use crate::condition::{Status, find, is_true};
use crate::promise::in_force;

/// A subscription that should exist, with its progress.
pub(super) struct SubscriptionState {
    pub(super) device: String,
    pub(super) service: String,
    /// The reason of the subscription's Ready.
    pub(super) reason: String,
    pub(super) progress: Progress,
    /// True if the subscription is Ready and its spec is as it should be.
    pub(super) settled: bool,
    /// True if its device did not answer the last attempt at a setting.
    pub(super) silent: bool,
}

/// The progress of a subscription.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Progress {
    /// The subscription does not exist, or not as it should be.
    Unwritten,
    /// It is not proven, and nothing is known to hinder it.
    Pending,
    /// It does not progress.
    Failing,
    /// The entry cannot be carried out on the device, because of labels.
    Excepted,
    /// It was proven, and what somebody has changed at the device since is left so.
    Drifted,
    /// It is proven.
    Delivered,
}

impl SubscriptionState {
    pub(super) fn is_delivered(&self) -> bool {
        self.progress == Progress::Delivered
    }

    /// Returns the state of one that exists or not, with an exception of the contract.
    fn excepted(self, reason: Reason) -> Self {
        Self {
            reason: reason.as_str().to_owned(),
            progress: Progress::Excepted,
            ..self
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        matches!(self.progress, Progress::Failing | Progress::Excepted)
    }
}

/// Returns the state of every subscription that should exist and is in force, or at the start of the
/// term will be, sorted by device and service. Those that an amendment brings later, or that are
/// between two times of service, do not count. While the contract is not accepted, and where a service is missing or a withdrawal is held back, those
/// that exist count.
pub(super) fn subscription_states(
    contract: &Contract,
    resolved: &ResolvedContract,
    own: &BTreeMap<&str, &ServiceSubscription>,
    unreadable: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<SubscriptionState> {
    let desired: BTreeMap<&str, &DesiredSubscription> = resolved
        .desired
        .iter()
        .map(|desired| (desired.name.as_str(), &**desired))
        .collect();
    let deleted = resolved.changes.deleted_names();
    let mut excepted: BTreeMap<(&str, &str), Reason> = resolved
        .exceptions
        .iter()
        .map(|it| ((&*it.device, &*it.service), it.cause.reason()))
        .collect();
    let mut wanted = Vec::new();
    for (name, desired) in &desired {
        if !counts(&desired.spec, resolved.term.as_ref(), now) {
            continue;
        }
        let state = match own.get(name) {
            None if unreadable.contains(*name) => state_of_unreadable(desired),
            found => state_of(found.copied(), desired, now),
        };
        let key = (&*desired.spec.device_ref.name, &*desired.spec.service_name);
        wanted.push(match excepted.remove(&key) {
            Some(reason) => state.excepted(reason),
            None => state,
        });
    }
    let kept = own.iter().filter(|(name, found)| {
        let is_left = !deleted.contains(*name) && !is_terminating(found);
        is_left && !desired.contains_key(*name) && counts(&found.spec, resolved.term.as_ref(), now)
    });
    let kept = kept.map(|(_, found)| state_of_existing(found, true, now));
    let exceptions = excepted.into_iter().map(|((device, service), reason)| {
        let state = SubscriptionState {
            device: device.to_owned(),
            service: service.to_owned(),
            reason: String::new(),
            progress: Progress::Excepted,
            settled: true,
            silent: false,
        };
        state.excepted(reason)
    });
    let mut states: Vec<SubscriptionState> = if is_deleting(contract) || resolved.accepted.is_err()
    {
        kept.collect()
    } else {
        wanted.into_iter().chain(kept).chain(exceptions).collect()
    };
    states.sort_by(|a, b| (&a.device, &a.service).cmp(&(&b.device, &b.service)));
    states
}

/// True if a subscription is in force, was so at the end of the term, or will be at its start.
fn counts(spec: &ServiceSubscriptionSpec, term: Option<&ResolvedTerm>, now: Timestamp) -> bool {
    let Some(term) = term else { return true };
    if term.end.is_some_and(|end| end <= now) {
        return true;
    }
    in_force(&spec.revisions, now.max(term.start)).is_some()
}

/// Returns the state of a subscription that exists and cannot be read.
fn state_of_unreadable(desired: &DesiredSubscription) -> SubscriptionState {
    SubscriptionState {
        reason: Reason::Undecodable.as_str().to_owned(),
        progress: Progress::Failing,
        ..state_of(None, desired, Timestamp::MAX)
    }
}

fn state_of(
    found: Option<&ServiceSubscription>,
    desired: &DesiredSubscription,
    now: Timestamp,
) -> SubscriptionState {
    let live = found.filter(|found| !is_terminating(found));
    live.map_or_else(
        || SubscriptionState {
            device: desired.spec.device_ref.name.clone(),
            service: desired.spec.service_name.clone(),
            reason: Reason::Pending.as_str().to_owned(),
            progress: Progress::Unwritten,
            settled: false,
            silent: false,
        },
        |live| state_of_existing(live, is_written(live, desired, now), now),
    )
}

/// True if a subscription is what it has to be, or differs in what is not in force: an amendment that
/// lies ahead takes nothing back that was delivered.
fn is_written(live: &ServiceSubscription, desired: &DesiredSubscription, now: Timestamp) -> bool {
    let (live, desired) = (&live.spec, &desired.spec);
    let of_now = in_force(&live.revisions, now);
    let differs_ahead = || {
        let otherwise = ServiceSubscriptionSpec {
            revisions: desired.revisions.clone(),
            ..live.clone()
        };
        otherwise == *desired && of_now.is_some() && of_now == in_force(&desired.revisions, now)
    };
    live == desired || differs_ahead()
}

/// True if a condition holds of what is in force. One of an earlier generation does if it has held since
/// that began: what was written since lies ahead.
fn holds(found: &ServiceSubscription, condition: ConditionType, now: Timestamp) -> bool {
    let status = found.status.as_ref();
    let said = status.and_then(|status| find(&status.conditions, condition));
    said.is_some_and(|said| {
        let is_current = said.observed_generation == found.metadata.generation;
        let began_before = || {
            in_force(&found.spec.revisions, now)
                .is_some_and(|it| it.effective < said.last_transition_time.0)
        };
        said.status == Status::True.as_str() && (is_current || began_before())
    })
}

fn state_of_existing(
    found: &ServiceSubscription,
    written: bool,
    now: Timestamp,
) -> SubscriptionState {
    let holds = |condition| holds(found, condition, now);
    let is_drifted = || {
        let ready = current(found, ConditionType::Ready);
        ready.is_some_and(|ready| ready.reason == Reason::Drifted.as_str())
    };
    let progress = match (written, holds(ConditionType::Delivered), is_failing(found)) {
        (false, ..) => Progress::Unwritten,
        (true, true, _) => Progress::Delivered,
        (true, false, _) if is_drifted() => Progress::Drifted,
        (true, false, true) => Progress::Failing,
        (true, false, false) => Progress::Pending,
    };
    let reason = current(found, ConditionType::Ready).map(|ready| ready.reason.clone());
    SubscriptionState {
        device: found.spec.device_ref.name.clone(),
        service: found.spec.service_name.clone(),
        reason: reason.unwrap_or_else(|| Reason::Pending.as_str().to_owned()),
        progress,
        settled: written && holds(ConditionType::Ready),
        silent: is_silent(found),
    }
}

/// Returns a condition of the current generation; one of an earlier generation proves nothing.
pub(super) fn current(found: &ServiceSubscription, condition: ConditionType) -> Option<&Condition> {
    let said = find(&found.status.as_ref()?.conditions, condition)?;
    (said.observed_generation == found.metadata.generation).then_some(said)
}

/// True if a subscription does not progress: it is Stalled, a step timed out, or an item met a
/// problem.
pub(super) fn is_failing(found: &ServiceSubscription) -> bool {
    found.status.as_ref().is_some_and(|status| {
        is_true(&status.conditions, ConditionType::Stalled)
            || status.step_timed_out
            || status
                .items
                .iter()
                .any(|item| item.problem.is_some() && !is_done(item.state))
    })
}

/// True if an item in this state is done: a problem of its last attempt hinders nothing.
pub(super) fn is_done(state: ItemState) -> bool {
    matches!(state, ItemState::Effective | ItemState::Released)
}

/// True if the device did not answer the last attempt at a setting that is not in effect.
pub(super) fn is_silent(found: &ServiceSubscription) -> bool {
    let items = found.status.iter().flat_map(|status| &status.items);
    let is_on_device = |item: &Item| {
        let kind = item.key.kind();
        kind.is_some_and(ItemKind::is_on_device)
    };
    let mut pending = items.filter(|item| is_on_device(item) && !is_done(item.state));
    pending.any(|item| {
        item.problem.as_ref().is_some_and(|problem| {
            matches!(problem.outcome, Reason::Unreachable | Reason::TimedOut)
        })
    })
}

/// Joins states as "backup on lobby-mfp, …".
pub(super) fn named(states: &[&SubscriptionState]) -> String {
    let names: Vec<String> = states
        .iter()
        .map(|state| format!("{} on {}", state.service, state.device))
        .collect();
    listed(names.iter().map(String::as_str))
}
