//! Transitions: what a contract has come through, and what comes next (K2).
//!
//! Decides the history in the status of a contract, the next change, and start and end as a table shows
//! them. It must never decide the instants themselves, which are those of `resolve`. Called by `report`.

use entente_crds::bounded::Text;
use entente_crds::v1alpha1::{
    Contract, ContractStatus, ResolvedTerm, Transition, TransitionTo, UpcomingChange,
};
use jiff::Timestamp;

use super::notices::never_began;
use super::{ResolvedContract, Takeover};
use crate::time::{local_end, local_start, zone};

/// The most entries of history (its schema).
const MAX_HISTORY: usize = 5;

/// Writes the dates of a contract into its status, which has the term, the upcoming changes and the
/// history before.
pub(super) fn tell_dates(
    status: &mut ContractStatus,
    contract: &Contract,
    resolved: &ResolvedContract,
    now: Timestamp,
) {
    let never_accepted = resolved.accepted.is_err() && status.term.is_none();
    let transitions = if never_accepted {
        Vec::new()
    } else {
        transitions(resolved, &status.upcoming)
    };
    let next = next_transition(&transitions, now);
    status.next_transition = next.map(|next| next.at);
    status.next_transition_to = next.map(|next| next.to);
    status.next = next.map(|next| column(contract, next));
    status.history = history(std::mem::take(&mut status.history), &transitions, now);
    // Also of a contract that is refused for another fault.
    let term = resolved.term.as_ref().or(status.term.as_ref());
    (status.starts, status.ends) = (starts(contract, term), ends(contract, resolved, term));
}

/// Returns every change of a contract whose instant is known, in order.
fn transitions(resolved: &ResolvedContract, upcoming: &[UpcomingChange]) -> Vec<Transition> {
    let term = resolved.term.as_ref();
    let awaited = resolved.awaited.as_ref();
    let began = term.filter(|_| !resolved.never_began);
    let began = began.map(|term| transition(term.start, TransitionTo::InForce));
    let expected = awaited.and_then(|it| it.expected_until);
    let expected = expected.map(|at| transition(at, TransitionTo::StartExpected));
    let amended = resolved.amendments.iter().filter_map(|(name, verdict)| {
        let accepted = verdict.as_ref().ok()?;
        let at = accepted.made_late.unwrap_or(accepted.effective);
        Some(amended_by(name, at))
    });
    // While an edit is refused, what was written for the amendments before it comes all the same.
    let written = upcoming
        .iter()
        .map(|it| amended_by(&it.amendment, it.effective));
    let succeeded = resolved.succeeded.values().map(|takeover| {
        let Takeover { at, by } = takeover;
        Transition {
            successor: Some(by.as_str().into()),
            ..transition(*at, TransitionTo::Succeeded)
        }
    });
    let ends = [
        term.and_then(|term| term.end),
        awaited.and_then(|it| it.over_at),
    ];
    let ended = ends.into_iter().flatten();
    let ended = ended.map(|end| transition(end, TransitionTo::Ended));
    let all = began.into_iter().chain(expected);
    let all = all.chain(amended).chain(written);
    let mut all: Vec<Transition> = all.chain(succeeded).chain(ended).collect();
    // By name where two amendments come in force at one instant.
    all.sort_by(|a, b| (a.at, &a.amendment).cmp(&(b.at, &b.amendment)));
    // All subscriptions that one contract takes over.
    all.dedup();
    all
}

fn amended_by(amendment: &str, at: Timestamp) -> Transition {
    Transition {
        amendment: Some(amendment.into()),
        ..transition(at, TransitionTo::Amended)
    }
}

fn transition(at: Timestamp, to: TransitionTo) -> Transition {
    Transition {
        at,
        to,
        amendment: None,
        successor: None,
    }
}

/// Returns the next change; of several at one instant the one that says most.
fn next_transition(transitions: &[Transition], now: Timestamp) -> Option<&Transition> {
    let weight = |to| match to {
        TransitionTo::Succeeded => 0,
        TransitionTo::Ended => 1,
        TransitionTo::Amended => 2,
        TransitionTo::InForce | TransitionTo::StartExpected => 3,
    };
    let ahead = transitions.iter().filter(|it| now < it.at);
    ahead.min_by_key(|it| (it.at, weight(it.to)))
}

/// Returns a change with its local date, such as `InForce 2027-04-01`, for a column of a table.
fn column(contract: &Contract, transition: &Transition) -> Text<64> {
    let Transition { at, to, .. } = transition;
    let date = match (zone(&contract.spec.term.time_zone), to) {
        (Ok(zone), TransitionTo::Ended | TransitionTo::StartExpected) => local_end(*at, &zone),
        (Ok(zone), _) => local_start(*at, &zone),
        (Err(_), _) => at.to_string(),
    };
    format!("{to:?} {date}").into()
}

/// Returns the last changes of the contract, newest first.
fn history(
    mut history: Vec<Transition>,
    transitions: &[Transition],
    now: Timestamp,
) -> Vec<Transition> {
    let passed = transitions.iter().filter(|passed| passed.at <= now);
    for passed in passed.filter(|it| it.to != TransitionTo::StartExpected) {
        // One that is no younger than the oldest that is kept was dropped.
        let oldest = history.last().map(|oldest| oldest.at);
        let is_dropped = history.len() >= MAX_HISTORY && oldest.is_some_and(|at| passed.at <= at);
        if !is_dropped && !history.contains(passed) {
            let place = history.iter().position(|other| other.at <= passed.at);
            history.insert(place.unwrap_or(history.len()), passed.clone());
        }
    }
    history.truncate(MAX_HISTORY);
    history
}

/// Returns the start of a contract as a table shows it: of its term, or what its spec says.
fn starts(contract: &Contract, term: Option<&ResolvedTerm>) -> Option<Text<64>> {
    let spec = &contract.spec.term;
    let zone = zone(&spec.time_zone).ok();
    let began = term.filter(|term| !never_began(contract, term));
    if let (Some(term), Some(zone)) = (began, &zone) {
        return Some(local_start(term.start, zone).into());
    }
    let dated = [&spec.start_date, &spec.start_time].into_iter().flatten();
    let on = || spec.start_on.map(|on| format!("{on:?}"));
    let mut dated = dated.cloned();
    dated.next().or_else(on).map(Into::into)
}

/// Returns the end of a contract as a table shows it; `None` if it has none.
fn ends(
    contract: &Contract,
    resolved: &ResolvedContract,
    term: Option<&ResolvedTerm>,
) -> Option<Text<64>> {
    let spec = &contract.spec.term;
    let zone = zone(&spec.time_zone).ok();
    let over = resolved.awaited.as_ref().and_then(|it| it.over_at);
    let end = term.and_then(|term| term.end).or(over);
    if let (Some(end), Some(zone)) = (end, &zone) {
        return Some(local_end(end, zone).into());
    }
    if term.is_some() && zone.is_some() {
        return None;
    }
    let written = [&spec.end_date, &spec.end_time, &spec.duration];
    let mut written = written.into_iter().flatten().cloned();
    written.next().map(Into::into)
}
