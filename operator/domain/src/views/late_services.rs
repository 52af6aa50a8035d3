//! Late services: those that were promised by now and do not work yet, and why.
//!
//! Groups the subscriptions of one entry of a contract, and these by their reason. It judges no promise:
//! one whose promised instant has come counts as due until the judge has called it Missed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use entente_crds::v1alpha1::{Cause, Promise, PromiseState, ServiceSubscription};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::health::{health, next_step};
use super::moment::Moment;
use crate::promise::promises;
use crate::time::{format_duration, zone};

/// An entry of a contract that is late on some devices.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LateService {
    /// Namespace of the contract.
    pub namespace: String,
    /// Name of the contract.
    pub contract: String,
    /// Id of the customer.
    pub customer: String,
    /// Name of the entry.
    pub service: String,
    /// The first promised instant of those that are late.
    pub promised: Moment,
    /// Time since that instant, such as `7h12m`.
    pub late: String,
    /// Number of devices whose promise was missed.
    pub missed: usize,
    /// Number of devices whose promise is not missed yet: the time that the contract allows still runs.
    pub due: usize,
    /// The reasons, that of most devices first.
    pub reasons: Vec<LateReason>,
}

/// Devices that are late for one reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LateReason {
    /// The reason.
    pub reason: String,
    /// The side that causes the delay now; absent where nobody has said so yet.
    pub cause: Option<Cause>,
    /// Names of the devices, sorted.
    pub devices: Vec<String>,
    /// The reason in words, as the first of them says it.
    pub message: String,
    /// The thing that a person can do; absent where there is nothing to do.
    pub next_step: Option<&'static str>,
}

/// Returns the entries that are late at `now`: those with missed promises first, then by their promised
/// instant.
pub fn late_services<'a>(
    subscriptions: impl IntoIterator<Item = &'a ServiceSubscription>,
    now: Timestamp,
) -> Vec<LateService> {
    let mut entries: BTreeMap<[&str; 3], Vec<(&ServiceSubscription, &Promise)>> = BTreeMap::new();
    for found in subscriptions {
        let Some(promise) = late_promise(found, now) else {
            continue;
        };
        let namespace = found.metadata.namespace.as_deref().unwrap_or_default();
        let entry = [
            namespace,
            &found.spec.contract.name,
            &found.spec.service_name,
        ];
        entries.entry(entry).or_default().push((found, promise));
    }
    let entries = entries.into_iter();
    let mut late: Vec<LateService> = entries
        .filter_map(|(entry, found)| service(entry, &found, now))
        .collect();
    // Stable, so that equal ones are in the order of their names.
    late.sort_by_key(|it| (it.missed == 0, it.promised.at));
    late
}

/// Returns the newest promise whose instant has come, if it is neither complete nor over.
fn late_promise(found: &ServiceSubscription, now: Timestamp) -> Option<&Promise> {
    if found.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let come = promises(found).iter().filter(|it| it.effective <= now);
    let newest = come.max_by_key(|it| it.effective)?;
    let is_over = newest.completed.is_some() || newest.closed.is_some_and(|closed| closed <= now);
    let is_late = matches!(newest.state, PromiseState::Open | PromiseState::Missed) && !is_over;
    is_late.then_some(newest)
}

fn service(
    [namespace, contract, service]: [&str; 3],
    found: &[(&ServiceSubscription, &Promise)],
    now: Timestamp,
) -> Option<LateService> {
    let (first, promise) = found.iter().min_by_key(|(_, promise)| promise.effective)?;
    let zone = zone(&first.spec.time_zone).unwrap_or(TimeZone::UTC);
    let is_missed = |(_, promise): &&(_, &Promise)| promise.state == PromiseState::Missed;
    let missed = found.iter().filter(is_missed).count();
    Some(LateService {
        namespace: namespace.to_owned(),
        contract: contract.to_owned(),
        customer: first.spec.customer.id.clone(),
        service: service.to_owned(),
        promised: Moment::new(promise.effective, &zone, now),
        late: format_duration(now.duration_since(promise.effective)),
        missed,
        due: found.len() - missed,
        reasons: reasons(found),
    })
}

fn reasons(found: &[(&ServiceSubscription, &Promise)]) -> Vec<LateReason> {
    let mut reasons: BTreeMap<(String, Option<Cause>), LateReason> = BTreeMap::new();
    for (found, promise) in found {
        let lasting = promise.delays.iter().rfind(|it| it.until.is_none());
        let cause = lasting.map(|delay| delay.cause);
        let conditions = found.status.as_ref().map_or(&[][..], |it| &it.conditions);
        let said = health(&found.metadata, conditions);
        // Ready may speak of the wait for the next attempt; the item says what went wrong.
        let mut items = found.status.iter().flat_map(|status| &status.items);
        let problem = items.find_map(|item| item.problem.as_ref());
        let (reason, message) = match problem {
            Some(problem) => (problem.outcome.as_str(), problem.message.as_str()),
            None => (said.reason.as_str(), said.message.as_str()),
        };
        let key = (reason.to_owned(), cause);
        let entry = reasons.entry(key).or_insert_with(|| LateReason {
            reason: reason.to_owned(),
            cause,
            devices: Vec::new(),
            message: message.to_owned(),
            next_step: next_step(reason),
        });
        entry.devices.push(found.spec.device_ref.name.clone());
    }
    let mut reasons: Vec<LateReason> = reasons.into_values().collect();
    for reason in &mut reasons {
        reason.devices.sort_unstable();
    }
    reasons.sort_by_key(|it| Reverse(it.devices.len()));
    reasons
}
