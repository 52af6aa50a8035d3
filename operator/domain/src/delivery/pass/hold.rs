//! For how long something is held back: by the `retry` of its Connection.
//!
//! What is sent again then is decided by plan. Called when an answer comes and at the end of a
//! pass.

use entente_crds::v1alpha1::{Connection, ItemState};
use jiff::Timestamp;

use super::{Pass, answer::Moment};
use crate::{
    assessment::{is_held_by_reading, reason_of_failure},
    delivery::{Intent, ResolvedSubscription},
    exchange::Failure,
    retry::{HoldKey, Holds, RetryPolicy},
    time::parse_duration,
};

impl Pass {
    /// Holds a key back after a failure that was met through a connection.
    pub(super) fn hold(
        &mut self,
        key: &HoldKey,
        connection: Option<&str>,
        failure: &Failure,
        moment: Moment,
    ) {
        let policy = self.policy(connection);
        let why = reason_of_failure(failure.kind);
        self.holds.fail(
            key.clone(),
            policy,
            failure.retry_after,
            moment.fraction,
            moment.now,
        );
        self.holds.because(key, why, &failure.message);
    }

    /// The Connection that the device is reached through.
    pub(super) fn device_connection(&self) -> Option<String> {
        let endpoint = self.resolved.endpoint.as_ref().ok()?;
        Some(endpoint.connection.clone())
    }

    /// The Connection of the service server of a subscription.
    pub(super) fn server_connection(&self, subscription: &str) -> Option<String> {
        let server = self.subscription(subscription)?.server.as_ref()?;
        Some(server.connection.clone())
    }

    /// Backs off from what no request failed for: a setting that was accepted and is not in effect,
    /// another machine at the address, an instance that survives its removal.
    pub(super) fn hold_what_did_not_take(&mut self, now: Timestamp, fraction: f64) {
        let device = self.policy(self.device_connection().as_deref());
        let mut held: Vec<(HoldKey, RetryPolicy)> = Vec::new();
        for subscription in &self.resolved.subscriptions {
            let items = self.accepted_and_not_in_effect(subscription);
            held.extend(items.map(|key| (key, device)));
            if self.survives_its_removal(subscription) {
                let connection = self.server_connection(&subscription.name);
                let key = HoldKey::Server {
                    subscription: subscription.name.clone(),
                };
                held.push((key, self.policy(connection.as_deref())));
            }
        }
        if self.is_another_machine() {
            held.push((HoldKey::Device, device));
        }
        hold_all(&mut self.holds, held, fraction, now);
    }

    fn is_another_machine(&self) -> bool {
        let reading = self.facts.device.as_ref();
        let answered = reading.is_some_and(|reading| reading.result.is_ok());
        let mut verified = self.verified.values();
        answered && verified.any(|verified| verified.device_fault.is_some())
    }

    fn accepted_and_not_in_effect(
        &self,
        subscription: &ResolvedSubscription,
    ) -> impl Iterator<Item = HoldKey> {
        let verified = self.verified.get(&subscription.name);
        let items = verified.into_iter().flat_map(|verified| &verified.items);
        items.filter_map(|item| {
            let key = (subscription.name.clone(), item.key.clone());
            let lies = item.problem.as_ref().is_some_and(|problem| {
                is_held_by_reading(problem.outcome) && item.state != ItemState::Effective
            });
            (lies && self.facts.sent.contains_key(&key)).then(|| HoldKey::Item {
                subscription: key.0,
                item: key.1,
                digest: item.desired_digest.clone(),
            })
        })
    }

    /// True if the server says that it removed an instance, and it is still there.
    fn survives_its_removal(&self, subscription: &ResolvedSubscription) -> bool {
        let removed = self.facts.deprovisioned.contains_key(&subscription.name);
        let waits = self.plan.waits.contains_key(&subscription.name);
        removed && waits && matches!(subscription.intent, Intent::Withdraw { .. })
    }

    fn policy(&self, connection: Option<&str>) -> RetryPolicy {
        connection
            .and_then(|name| self.world.connections.get(name))
            .map(|connection| policy_of(connection))
            .unwrap_or_default()
    }
}

fn hold_all(holds: &mut Holds, keys: Vec<(HoldKey, RetryPolicy)>, fraction: f64, now: Timestamp) {
    for (key, policy) in keys {
        holds.fail(key, policy, None, fraction, now);
    }
}

/// The waits of a Connection.
fn policy_of(connection: &Connection) -> RetryPolicy {
    let default = RetryPolicy::default();
    let Some(retry) = &connection.spec.retry else {
        return default;
    };
    RetryPolicy {
        initial: parse_duration(&retry.initial).unwrap_or(default.initial),
        max: parse_duration(&retry.max).unwrap_or(default.max),
    }
}
