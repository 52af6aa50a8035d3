//! Report: the status of a contract, from the resolved one and its subscriptions (K2).
//!
//! Decides counters and names and, through `conditions`, every condition; dates come from `transitions`. It runs on every
//! path, also when a write failed, and repeats itself: a report on its own output is the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{
    Compensation, Contract, ContractStatus, NotReady, ResolvedTerm, ServiceSubscription,
    SubscriptionCounts, UpcomingChange,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::assessment::Assessment;
use super::bounds::accepted_promises_from;
use super::compensation_totals::owed;
use super::conditions::conditions;
use super::revisions::instant;
use super::risk::{devices_at_risk, is_watched};
use super::subscription_state::{Progress, SubscriptionState, is_failing, subscription_states};
use super::succession::{accepted_predecessor, without_succeeded};
use super::transitions::tell_dates;
use super::{ContractWorld, EntryDevices, ResolvedContract, is_deleting, is_own, is_terminating};
use crate::condition::is_true;
use crate::promise::has_missed;
use crate::reconcile_wish::reconcile_wish;

/// The most subscriptions that notReady names (its schema).
const MAX_NOT_READY: usize = 10;

/// The outcome of the writes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WriteOutcome {
    /// The write that failed, in one sentence; it is retried.
    pub failure: Option<String>,
}

/// Returns the status of a contract.
///
/// `subscriptions` are those of the contract's name as they are after the writes, and
/// `compensations` those that were made for it. Equal input gives equal output; a status that is
/// equal to the one before need not be written.
pub fn report(
    world: &ContractWorld,
    resolved: &ResolvedContract,
    subscriptions: &[Arc<ServiceSubscription>],
    compensations: &[Arc<Compensation>],
    outcome: &WriteOutcome,
    now: Timestamp,
) -> ContractStatus {
    let contract = &world.contract;
    let previous = contract.status.clone().unwrap_or_default();
    let own = own(contract, subscriptions);
    let states = subscription_states(contract, resolved, &own, &world.unreadable, now);
    let states = without_succeeded(states, resolved, now);
    let term = told_term(resolved, previous.term);
    let records = || {
        let records = compensations.iter().map(|found| &**found);
        records.filter(|record| is_of_term(record, contract, term.as_ref()))
    };
    let (owed, pending) = if world.unreadable_record {
        (previous.owed, 1)
    } else {
        owed(records(), contract.spec.currency.as_deref())
    };
    let missed = own.values().any(|found| has_missed(found))
        || records().any(|found| found.spec.voided.is_none())
        || is_true(&previous.conditions, ConditionType::PromiseMissed);
    let assessment = Assessment {
        contract,
        resolved,
        allowed: allowed(contract.spec.max_unavailable.as_ref(), states.len()),
        withdrawing: withdrawing(contract, resolved, &own),
        unreadable: &world.unreadable,
        withdrawing_failing: failing_withdrawals(resolved, &own),
        preparing: is_watched(world, resolved, now),
        at_risk: devices_at_risk(world, resolved, &own, now),
        suspended: own.values().all(|found| found.spec.contract.suspend),
        failure: outcome.failure.as_deref(),
        missed,
        pending,
        states: &states,
        clock_skew: world.clock_skew,
        now,
    };
    let summary = assessment.ready();
    let mut said = ContractStatus {
        observed_generation: summary
            .observed_generation(contract.metadata.generation, previous.observed_generation),
        conditions: conditions(&assessment, &summary, &previous.conditions),
        subscriptions: Some(counts(&states)),
        not_ready: not_ready(&assessment),
        owed,
        upcoming: upcoming(resolved, previous.upcoming, now),
        succeeds: accepted_predecessor(contract, resolved),
        established: previous
            .established
            .or_else(|| established(&assessment, &own)),
        promises_from: accepted_promises_from(contract, resolved),
        history: previous.history,
        last_handled_reconcile_at: match outcome.failure {
            Some(_) => previous.last_handled_reconcile_at,
            None => reconcile_wish(contract),
        },
        term,
        ..ContractStatus::default()
    };
    tell_dates(&mut said, contract, resolved, now);
    said
}

/// Returns the term of an accepted contract, or the one that was written before an edit that is
/// refused.
fn told_term(resolved: &ResolvedContract, previous: Option<ResolvedTerm>) -> Option<ResolvedTerm> {
    match resolved.accepted {
        Ok(()) => resolved.term.clone(),
        Err(_) => previous,
    }
}

/// Returns the changes that lie ahead: those of an accepted contract, or those that were written before
/// an edit that is refused.
fn upcoming(
    resolved: &ResolvedContract,
    mut previous: Vec<UpcomingChange>,
    now: Timestamp,
) -> Vec<UpcomingChange> {
    if resolved.accepted.is_ok() {
        return resolved.upcoming.clone();
    }
    previous.retain(|change| change.effective > now);
    previous
}

/// Returns the subscriptions of this very contract by name.
fn own<'a>(
    contract: &Contract,
    subscriptions: &'a [Arc<ServiceSubscription>],
) -> BTreeMap<&'a str, &'a ServiceSubscription> {
    let own = subscriptions.iter().filter(|found| is_own(contract, found));
    own.map(|found| (found.metadata.name.as_deref().unwrap_or_default(), &**found))
        .collect()
}

/// True if a record is about what this contract promised, and not about what one of the same name
/// did that was deleted, or was for another customer. One that was restored from a backup has another uid and the same term.
fn is_of_term(record: &Compensation, contract: &Contract, term: Option<&ResolvedTerm>) -> bool {
    let about = &record.spec.record;
    let promised = |term: &ResolvedTerm| {
        term.start <= about.promised && term.end.is_none_or(|end| about.promised < end)
    };
    let is_customers = about.customer.id == contract.spec.customer.id;
    Some(&about.contract.uid) == contract.metadata.uid.as_ref()
        || is_customers && term.is_some_and(promised)
}

/// Returns the names of subscriptions that are being withdrawn, sorted.
fn withdrawing(
    contract: &Contract,
    resolved: &ResolvedContract,
    own: &BTreeMap<&str, &ServiceSubscription>,
) -> Vec<String> {
    leaving(resolved, own, is_deleting(contract))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn failing_withdrawals(
    resolved: &ResolvedContract,
    own: &BTreeMap<&str, &ServiceSubscription>,
) -> Vec<String> {
    let failing = leaving(resolved, own, true).filter(|(_, found)| is_failing(found));
    failing
        .map(|(_, found)| found.spec.device_ref.name.clone())
        .collect()
}

/// Returns the subscriptions that are deleted or are to be; with `all` also those that are wanted
/// again under their name.
fn leaving<'a>(
    resolved: &'a ResolvedContract,
    own: &'a BTreeMap<&str, &ServiceSubscription>,
    all: bool,
) -> impl Iterator<Item = (&'a str, &'a ServiceSubscription)> {
    let deleted = resolved.changes.deleted_names();
    let wanted: BTreeSet<&str> = resolved
        .desired
        .iter()
        .map(|desired| desired.name.as_str())
        .collect();
    own.iter()
        .map(|(name, found)| (*name, *found))
        .filter(move |(name, found)| {
            (is_terminating(found) || deleted.contains(name)) && (all || !wanted.contains(name))
        })
}

/// Returns the number of subscriptions that may be undelivered: `most` itself, or a percentage of
/// all, rounded down.
fn allowed(most: Option<&IntOrString>, total: usize) -> usize {
    match most {
        None => 0,
        Some(IntOrString::Int(number)) => usize::try_from(*number).unwrap_or(0),
        Some(IntOrString::String(text)) => match text.strip_suffix('%') {
            Some(percent) => total * percent.parse::<usize>().unwrap_or(0).min(100) / 100,
            None => text.parse().unwrap_or(0),
        },
    }
}

fn counts(states: &[SubscriptionState]) -> SubscriptionCounts {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let delivered = states.iter().filter(|state| state.is_delivered()).count();
    let failing = states.iter().filter(|state| state.is_failing()).count();
    SubscriptionCounts {
        total: number(states.len()),
        delivered: number(delivered),
        failing: (failing > 0).then(|| number(failing)),
        summary: format!("{delivered}/{}", states.len()),
    }
}

fn not_ready(assessment: &Assessment) -> Vec<NotReady> {
    if !assessment.is_in_term() {
        return Vec::new();
    }
    let pending = assessment
        .states
        .iter()
        .filter(|state| !state.is_delivered());
    let pending = pending.take(MAX_NOT_READY).map(|state| NotReady {
        device: state.device.clone(),
        service: state.service.clone(),
        reason: state.reason.clone(),
    });
    pending.collect()
}

/// Returns the instant at which the set of subscriptions is complete, if it is. It never lies
/// before the creation of one of them, even if the clock of the API server is ahead of ours.
fn established(
    assessment: &Assessment,
    own: &BTreeMap<&str, &ServiceSubscription>,
) -> Option<Timestamp> {
    let Assessment {
        contract,
        resolved,
        states,
        now,
        ..
    } = assessment;
    let term = resolved.term.as_ref()?;
    // Devices that do not exist at the start are those that a label brings later. A contract that
    // is made after its start waits for them, in whatever order its objects are applied.
    let created = contract
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(*now, |created| created.0);
    let came_to_start = created < term.start && term.start <= *now;
    let short = |entry: &EntryDevices| {
        entry.is_empty()
            || entry
                .expected
                .is_some_and(|expected| entry.devices < expected)
    };
    let complete = resolved.accepted.is_ok()
        && resolved.refs.is_ok()
        && !is_deleting(contract)
        && states
            .iter()
            .all(|state| state.progress != Progress::Unwritten)
        && (came_to_start || !resolved.entries.iter().any(short));
    let last = own
        .values()
        .filter_map(|found| found.metadata.creation_timestamp.as_ref());
    let last = last.map(|created| created.0).max();
    complete.then(|| last.map_or_else(|| instant(*now), |last| last.max(instant(*now))))
}
