//! Starts: the contracts that begin within a time, and those of them that are at risk.
//!
//! Decides what puts a start at risk, from the contract alone: StartAtRisk, devices that are stuck, a
//! suspension, and everything for which the contract is not Ready. A contract that is refused begins on
//! the date that it has written, at risk.

use entente_crds::condition::ConditionType;
use entente_crds::v1alpha1::{Contract, ContractStatus};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::health::{Health, find_true, health};
use super::moment::Moment;
use crate::time::{resolve_term, zone};

/// A contract that begins soon.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRow {
    /// Namespace of the contract.
    pub namespace: String,
    /// Name of the contract.
    pub name: String,
    /// Id of the customer.
    pub customer: String,
    /// The start.
    pub start: Moment,
    /// Number of its subscriptions.
    pub subscriptions: i32,
    /// True if something speaks against a start in time.
    pub at_risk: bool,
    /// The reason of that, or of Ready.
    pub reason: String,
    /// The same in words; empty if nothing is wrong.
    pub message: String,
}

/// Returns the contracts that begin after `now` and within a time from it, the nearest first. One whose
/// start is not known, as one that a notice starts, is not among them.
pub fn starts<'a>(
    contracts: impl IntoIterator<Item = &'a Contract>,
    within: SignedDuration,
    now: Timestamp,
) -> Vec<StartRow> {
    let until = now.checked_add(within).unwrap_or(Timestamp::MAX);
    let rows = contracts.into_iter().filter_map(|contract| {
        let is_going = contract.metadata.deletion_timestamp.is_some();
        let status = contract.status.clone().unwrap_or_default();
        let written = || resolve_term(&contract.spec.term, None).ok().flatten();
        let start = status.term.clone().or_else(written)?.start;
        let is_soon = start > now && start <= until && !is_going;
        is_soon.then(|| row(contract, &status, start, now))
    });
    let mut rows: Vec<StartRow> = rows.collect();
    rows.sort_by(|a, b| {
        (a.start.at, &a.namespace, &a.name).cmp(&(b.start.at, &b.namespace, &b.name))
    });
    rows
}

fn row(contract: &Contract, status: &ContractStatus, start: Timestamp, now: Timestamp) -> StartRow {
    let zone = zone(&contract.spec.term.time_zone).unwrap_or(TimeZone::UTC);
    let said = health(&contract.metadata, &status.conditions);
    let against = [ConditionType::StartAtRisk, ConditionType::DevicesFailing];
    let warning = against
        .into_iter()
        .find_map(|kind| find_true(&status.conditions, kind));
    let is_ready = said.health == Health::Settled && !contract.spec.suspend;
    let (reason, message) = match warning {
        Some(warning) => (warning.reason.clone(), warning.message.as_str().to_owned()),
        None if is_ready => (said.reason, String::new()),
        None => (said.reason, said.message),
    };
    StartRow {
        namespace: contract.metadata.namespace.clone().unwrap_or_default(),
        name: contract.metadata.name.clone().unwrap_or_default(),
        customer: contract.spec.customer.id.clone(),
        start: Moment::new(start, &zone, now),
        subscriptions: status.subscriptions.as_ref().map_or(0, |it| it.total),
        at_risk: warning.is_some() || !is_ready,
        reason,
        message,
    }
}
