//! The length of each backoff, by the `retry` of its Connection.
//!
//! The next request after the backoff is decided by plan. Called when an answer comes and at the
//! end of a pass.

// A new kind of item is decided on here, and does not fall to the side of the broker.
#![deny(clippy::wildcard_enum_match_arm)]

use entente_crds::{condition::Reason, digest::Digest, v1alpha1::ItemState};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::pass::{Pass, answer::Moment};
use crate::names::{ConnectionName, SubscriptionName};
use crate::{
    backoff::RetryPolicy,
    delivery::{
        Blocked, Intent, ResolvedSubscription, Wanted,
        model::backoffs::{BackoffKey, Delay},
        plan::withdraw::{Withdrawing, device::Next},
        previous::locate,
        resolve::asker::asker,
    },
    reasons::is_found_by_reading,
    remote::Failure,
};

/// A problem that was found by reading back, and the backoff that it starts.
struct FoundByReading {
    key: BackoffKey,
    why: Blocked,
    /// The Connection whose `retry` gives the wait.
    connection: Option<ConnectionName>,
}

impl Pass {
    /// Starts the backoff of a key after a failure that was met through a connection.
    pub(super) fn back_off(
        &mut self,
        key: BackoffKey,
        why: Blocked,
        connection: &ConnectionName,
        failure: &Failure,
        moment: Moment,
    ) {
        let delay = Delay {
            policy: self.policy(Some(connection)),
            retry_after: failure.retry_after,
            fraction: moment.fraction,
        };
        self.ask(key.clone(), &why, failure.retry_after, moment.now);
        self.backoffs.fail(key, why, delay, moment.now);
    }

    /// Records that the side to which a key leads asked for a wait, if it did: what it said holds
    /// for every request of the key, whatever became of the one that it answered.
    pub(super) fn ask(
        &mut self,
        key: BackoffKey,
        why: &Blocked,
        asked: Option<SignedDuration>,
        now: Timestamp,
    ) {
        let until = asked.and_then(|asked| now.checked_add(asked).ok());
        if let (Some(until), Some(asker)) = (until, self.asker(&key)) {
            self.backoffs.ask(key, asker, why.clone(), until, now);
        }
    }

    /// Returns the side to which the requests of a key go.
    pub(super) fn asker(&self, key: &BackoffKey) -> Option<Digest> {
        asker(key, &self.snapshot, &self.resolved)
    }

    /// Returns the Connection of the service server of a subscription.
    pub(super) fn server_connection(
        &self,
        subscription: &SubscriptionName,
    ) -> Option<ConnectionName> {
        let server = self.resolved.subscription(subscription)?.server.as_ref()?;
        Some(server.connection.clone())
    }

    /// Starts backoffs for which no request failed: a setting that was accepted and is not in
    /// effect, another machine at the address, an instance that survives its removal.
    pub(super) fn back_off_without_effect(&mut self, now: Timestamp, fraction: f64) {
        let mut found: Vec<FoundByReading> = self.other_machines().collect();
        for subscription in &self.resolved.subscriptions {
            found.extend(self.accepted_and_not_in_effect(subscription));
            found.extend(self.accepted_and_not_put_back(subscription, now));
            if let Some(why) = self.survives_its_removal(subscription) {
                found.push(FoundByReading {
                    key: BackoffKey::server(&subscription.name),
                    why,
                    connection: self.server_connection(&subscription.name),
                });
            }
        }
        for FoundByReading {
            key,
            why,
            connection,
        } in found
        {
            let delay = Delay {
                policy: self.policy(connection.as_deref()),
                retry_after: None,
                fraction,
            };
            self.backoffs.fail(key, why, delay, now);
        }
    }

    /// Returns the connections through which another machine answered.
    fn other_machines(&self) -> impl Iterator<Item = FoundByReading> {
        self.observations
            .looks()
            .filter_map(|(connection, reading)| {
                let mut verified = self.verified.values();
                let fault = verified.find_map(|it| it.device_faults.get(connection));
                let why = fault.filter(|_| reading.result.is_ok())?.clone();
                Some(FoundByReading {
                    key: BackoffKey::device(connection),
                    why,
                    connection: Some(connection.clone()),
                })
            })
    }

    fn accepted_and_not_in_effect(
        &self,
        subscription: &ResolvedSubscription,
    ) -> impl Iterator<Item = FoundByReading> {
        let verified = self.verified.get(&subscription.name);
        let items = verified.into_iter().flat_map(|verified| &verified.items);
        items
            .zip(subscription.items())
            .filter_map(|(item, (_, wanted))| {
                let name = &subscription.name;
                let observations = &self.observations;
                let sent = observations.sent_or_ended(name, &item.key, item.desired_digest);
                let open = sent.is_some() && item.state != ItemState::Effective;
                let problem = item.problem.as_ref().filter(|_| open)?;
                let key = BackoffKey::item(name, &item.key, item.desired_digest);
                let connection = match &wanted.wanted {
                    Wanted::DeviceSetting { connection, .. }
                    | Wanted::Acceptance { connection, .. }
                    | Wanted::Software { connection, .. }
                    | Wanted::DataType { connection, .. } => Some(connection.clone()),
                    Wanted::ServerInstance
                    | Wanted::ServerSetting { .. }
                    | Wanted::Activation { .. } => self.server_connection(&subscription.name),
                };
                let why = Blocked::new(problem.outcome, problem.message.to_string());
                let found = FoundByReading {
                    key,
                    why,
                    connection,
                };
                // A value that breaks the rules of the protocol is found by reading, too.
                let accepted = sent.is_some_and(|sent| sent.result.is_ok());
                let is_malformed = accepted
                    && problem.outcome == Reason::ProtocolError
                    && matches!(wanted.wanted, Wanted::DeviceSetting { .. });
                (is_malformed || is_found_by_reading(problem.outcome)).then_some(found)
            })
    }

    /// Returns the settings of a service that has ended whose value from before was accepted and is
    /// not in effect.
    fn accepted_and_not_put_back(
        &self,
        subscription: &ResolvedSubscription,
        now: Timestamp,
    ) -> Vec<FoundByReading> {
        let Some(verified) = self.verified.get(&subscription.name) else {
            return Vec::new();
        };
        let withdrawing = Withdrawing {
            snapshot: &self.snapshot,
            resolved: &self.resolved,
            subscription,
            verified,
            observations: &self.observations,
            now,
        };
        let endings = withdrawing.endings().into_iter();
        let found = endings.filter_map(|ending| {
            let Next::Failed(why) = ending.next else {
                return None;
            };
            let (name, key) = (&subscription.name, &ending.item.key);
            let sent = self.observations.sent(name, key, ending.digest)?;
            sent.result.is_ok().then(|| FoundByReading {
                key: BackoffKey::item(name, key, ending.digest),
                why,
                connection: locate(&self.snapshot, key).map(|located| located.connection),
            })
        });
        found.collect()
    }

    /// Returns the reason of the wait if the server reported that it removed an instance, or that it
    /// does not know it, and no fetch says the same.
    fn survives_its_removal(&self, subscription: &ResolvedSubscription) -> Option<Blocked> {
        let heard = self.observations.of(&subscription.name);
        let withdraws = matches!(subscription.intent, Intent::Withdraw { .. });
        let survives = match heard.removed {
            Some(_) => withdraws,
            None => heard.denied.is_some(),
        };
        let wait = self.plan.waits.get(&subscription.name);
        wait.filter(|_| survives).cloned()
    }

    pub(super) fn policy(&self, connection: Option<&str>) -> RetryPolicy {
        connection
            .and_then(|name| self.snapshot.connections.get(name))
            .map(|connection| RetryPolicy::of(connection))
            .unwrap_or_default()
    }
}
