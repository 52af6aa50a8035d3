//! What did not take effect is held back, and tried again later: the end of every pass.
//!
//! Decides only for how long, by the Connection's `retry`; what is sent again then is decided by
//! the domain. Called by the pass and by execute.

use entente_crds::v1alpha1::{Connection, ItemState};
use entente_domain::{
    assessment::is_held_by_reading,
    delivery::{Intent, ResolvedSubscription},
    retry::{HoldKey, Holds, RetryPolicy},
    time::parse_duration,
};
use jiff::Timestamp;

use super::{Delivery, Outcome};

/// What was accepted and is not in effect is tried again later, and so is a stranger at the
/// address and an instance that does not go.
pub(super) fn hold_what_did_not_take(delivery: &Delivery, outcome: &Outcome, holds: &mut Holds) {
    let now = delivery.context.clock.now();
    let endpoint = outcome.resolved.endpoint.as_ref().ok();
    let device = policy_of(
        outcome,
        endpoint.map(|endpoint| endpoint.connection.as_str()),
    );
    for subscription in &outcome.resolved.subscriptions {
        hold_items(outcome, subscription, device, holds, now);
        hold_instance(outcome, subscription, holds, now);
    }
    if is_stranger(outcome) {
        holds.fail(HoldKey::Device, device, None, fraction(), now);
    }
}

/// Whether something answers at the address that is not the device that is meant.
fn is_stranger(outcome: &Outcome) -> bool {
    let answered = outcome
        .facts
        .device
        .as_ref()
        .is_some_and(|reading| reading.result.is_ok());
    answered
        && outcome
            .verified
            .values()
            .any(|verified| verified.device_fault.is_some())
}

fn hold_items(
    outcome: &Outcome,
    subscription: &ResolvedSubscription,
    policy: RetryPolicy,
    holds: &mut Holds,
    now: Timestamp,
) {
    let items = outcome
        .verified
        .get(&subscription.name)
        .map(|verified| verified.items.as_slice());
    for item in items.unwrap_or_default() {
        let sent = outcome
            .facts
            .sent
            .contains_key(&(subscription.name.clone(), item.key.clone()));
        let lies = item.problem.as_ref().is_some_and(|problem| {
            is_held_by_reading(problem.outcome) && item.state != ItemState::Effective
        });
        if sent && lies {
            let key = HoldKey::Item {
                subscription: subscription.name.clone(),
                item: item.key.clone(),
                digest: item.desired_digest.clone(),
            };
            holds.fail(key, policy, None, fraction(), now);
        }
    }
}

/// An instance of which the server says that it is removed, and that is still there.
fn hold_instance(
    outcome: &Outcome,
    subscription: &ResolvedSubscription,
    holds: &mut Holds,
    now: Timestamp,
) {
    let removed = outcome.facts.deprovisioned.contains_key(&subscription.name);
    let waits = outcome.plan.waits.contains_key(&subscription.name);
    if removed && waits && matches!(subscription.intent, Intent::Withdraw { .. }) {
        let connection = subscription
            .server
            .as_ref()
            .map(|server| server.connection.as_str());
        let key = HoldKey::Server {
            subscription: subscription.name.clone(),
        };
        holds.fail(key, policy_of(outcome, connection), None, fraction(), now);
    }
}

fn policy_of(outcome: &Outcome, name: Option<&str>) -> RetryPolicy {
    name.and_then(|name| outcome.world.connections.get(name))
        .map(|connection| policy(connection))
        .unwrap_or_default()
}

/// The waits of a connection.
pub(super) fn policy(connection: &Connection) -> RetryPolicy {
    let default = RetryPolicy::default();
    let Some(retry) = &connection.spec.retry else {
        return default;
    };
    RetryPolicy {
        initial: parse_duration(&retry.initial).unwrap_or(default.initial),
        max: parse_duration(&retry.max).unwrap_or(default.max),
    }
}

/// A number in 0..1 for jitter; its quality does not matter.
pub(super) fn fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let number = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(number >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
