//! Plan: the inputs of one round of planning, and the lookups that its parts share.
//!
//! Called by the parts of plan and by `withdraw`.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{Device, ItemState, Proof, Protocol, StepType},
};
use jiff::Timestamp;

use crate::names::{ConnectionName, SubscriptionName};
use crate::reasons::Side;
use crate::remote::DeviceReading;
use crate::{
    delivery::{
        Action, Backoffs, Blocked, DeviceEndpoint, DeviceSnapshot, Intent, Observations, Plan,
        ResolvedDevice, ResolvedItem, ResolvedServer, ResolvedStep, ResolvedSubscription, Verified,
        Wanted,
        model::backoffs::BackoffKey,
        plan::sync::next_sync,
        previous::{is_kept, locate},
        resolve::asker::asker,
    },
    protocol::Place,
    remote::DeviceReadRequest,
};

pub(in crate::delivery) struct Round<'a> {
    pub(in crate::delivery) snapshot: &'a DeviceSnapshot,
    pub(in crate::delivery) resolved: &'a ResolvedDevice,
    pub(in crate::delivery) verified: &'a BTreeMap<SubscriptionName, Verified>,
    pub(in crate::delivery) observations: &'a Observations,
    pub(in crate::delivery) backoffs: &'a Backoffs,
    pub(in crate::delivery) now: Timestamp,
}

impl Round<'_> {
    /// Returns the obstacle to requests of a key: our own backoff, or the wait that the side asked
    /// for to which they go.
    pub(super) fn pending(&self, key: &BackoffKey) -> Option<Blocked> {
        let asker = asker(key, self.snapshot, self.resolved);
        self.backoffs.pending(key, asker, self.now)
    }

    /// Returns the obstacle to requests of a key to which the side asked for a wait.
    pub(super) fn asked(&self, key: &BackoffKey) -> Option<Blocked> {
        let asker = asker(key, self.snapshot, self.resolved);
        self.backoffs.asked(key, asker, self.now)
    }

    pub(super) fn sync_is_due(&self, device: &Device) -> bool {
        self.snapshot.reconcile_requested
            || next_sync(self.snapshot, device, device.status.as_ref())
                .is_none_or(|at| at <= self.now)
    }

    pub(super) fn server_sync_is_due(
        &self,
        subscription: &ResolvedSubscription,
        step: &ResolvedStep,
    ) -> bool {
        let Some(device) = &self.snapshot.device else {
            return false;
        };
        step.r#type == StepType::ServerSettings
            && !subscription
                .server
                .as_ref()
                .is_none_or(|server| server.is_obsolete)
            && matches!(subscription.intent, Intent::SetUp)
            && !step.items.is_empty()
            && self.observations.of(&subscription.name).reading.is_none()
            && self.observations.of(&subscription.name).problem.is_none()
            && (self.is_to_be_bound(subscription)
                || self.observations.last_look().is_some() && self.sync_is_due(device))
    }

    /// True if the instance is bound to a broker that has moved: it is bound to the new place once it
    /// is proved there, so that the former URL can be dropped.
    fn is_to_be_bound(&self, subscription: &ResolvedSubscription) -> bool {
        let recorded = self.observations.of(&subscription.name).recorded.as_ref();
        let bound = recorded.and_then(|recorded| recorded.broker.as_ref());
        let now = subscription
            .server
            .as_ref()
            .and_then(ResolvedServer::broker);
        bound.zip(now).is_some_and(|(bound, now)| *bound != now)
    }

    /// Reads the device through a connection, before anything else that is planned.
    pub(in crate::delivery) fn read_device(&self, connection: &ConnectionName, plan: &mut Plan) {
        let planned = |action: &Action| matches!(action, Action::ReadDevice { connection: planned, .. } if planned == connection);
        let key = BackoffKey::device(connection);
        let Some(endpoint) = self.resolved.endpoint(connection) else {
            return;
        };
        if self.pending(&key).is_some() || plan.actions.iter().any(planned) {
            return;
        }
        let asked = self.resolved.subscriptions.iter().flat_map(|subscription| {
            subscription
                .items()
                .filter(|(step, _)| subscription.may_ask(step, self.now))
                .map(move |(_, item)| (subscription, item))
        });
        let places = asked.filter_map(|(subscription, item)| match &item.wanted {
            Wanted::DeviceSetting {
                connection: through,
                place,
                manner,
                write_only,
                ..
            } if through == connection && (!write_only || manner.is_fetched_by_the_device()) => {
                Some(place.clone())
            }
            Wanted::Acceptance {
                connection: through,
                place,
                ..
            } if through == connection && self.is_set_up(subscription) => Some(place.clone()),
            _ => None,
        });
        let places = places.chain(self.places_to_put_back(connection));
        let places = places.chain(self.places_of_calls(endpoint));
        let read = Action::ReadDevice {
            connection: connection.clone(),
            request: DeviceReadRequest {
                identity: endpoint.identity.clone(),
                places: places.collect(),
            },
        };
        let reads = plan.actions.iter();
        let after = reads.take_while(|action| matches!(action, Action::ReadDevice { .. }));
        plan.actions.insert(after.count(), read);
    }

    /// Returns every place of a device that calls: its twin has all that it reported.
    fn places_of_calls(&self, endpoint: &DeviceEndpoint) -> impl Iterator<Item = Place> {
        let calls = endpoint.protocol == Protocol::Agent;
        let model = self.snapshot.model.as_deref().filter(|_| calls);
        let settings = model.into_iter().flat_map(|model| &model.spec.settings);
        let keys = settings.filter_map(|setting| setting.via.agent.as_ref());
        keys.map(|agent| Place::Agent {
            key: agent.key.clone(),
        })
    }

    /// Returns the places of settings that are put back through a connection.
    fn places_to_put_back(&self, connection: &ConnectionName) -> impl Iterator<Item = Place> {
        let subscriptions = self.resolved.subscriptions.iter();
        let ended = subscriptions.filter(|it| matches!(it.intent, Intent::Withdraw { .. }));
        let statuses = ended
            .filter_map(|it| self.snapshot.subscription(&it.name))
            .filter_map(|object| object.status.as_ref());
        let kept = statuses
            .flat_map(|status| &status.items)
            .filter(|item| is_kept(item));
        let located = kept.filter_map(|item| locate(self.snapshot, &item.key));
        let through = located.filter(move |located| located.connection == *connection);
        through.map(|located| located.place)
    }

    /// True if all but the check of the service is in effect, so that the check may be read.
    fn is_set_up(&self, subscription: &ResolvedSubscription) -> bool {
        let verified = self.verified.get(&subscription.name);
        verified.is_some_and(|verified| verified.set_up_since().is_some())
    }

    /// Returns the reading of a device that calls, by which a step on it is planned; else plans the reading,
    /// or says what it waits for.
    pub(in crate::delivery) fn reading_to_plan_by(
        &self,
        subscription: &SubscriptionName,
        connection: &ConnectionName,
        verified: &Verified,
        plan: &mut Plan,
    ) -> Option<&DeviceReading> {
        let reading = self.observations.through(connection).reading.as_ref();
        if let Some(fault) = verified.device_faults.get(connection) {
            plan.wait(subscription, fault.clone().on(Side::Device));
            return None;
        }
        if let Some(wait) = self.pending(&BackoffKey::device(connection)) {
            plan.wait(subscription, wait);
            return None;
        }
        if reading.is_none() {
            self.read_device(connection, plan);
        }
        reading?.result.as_ref().ok()
    }

    /// True if no action is needed for an item now: it is done or left as somebody has changed it, backs
    /// off, or was accepted and cannot be proved.
    pub(in crate::delivery) fn is_settled(
        &self,
        subscription: &ResolvedSubscription,
        item: &ResolvedItem,
        verified: &Verified,
    ) -> bool {
        let Some(proved) = verified.item(&item.key) else {
            return true;
        };
        if proved.is_done() || item.conflict.is_some() {
            return true;
        }
        // What was accepted is not sent again, unless a person asks for it.
        let problem = proved.problem.as_ref();
        let server = subscription.server.as_ref();
        let may_be_fetched = |server: &ResolvedServer| {
            let offering = server.offering.as_ref();
            offering.is_some_and(|offering| offering.retrievable)
        };
        let counts =
            server.is_some_and(|server| server.proof == Proof::Taken && !may_be_fetched(server));
        let waits_for_a_call = proved.state == ItemState::InProgress
            && matches!(
                item.wanted,
                Wanted::DeviceSetting { .. } | Wanted::DataType { .. }
            );
        // Asking again would change nothing: the device has yet to fetch it.
        if waits_for_a_call {
            return true;
        }
        let taken = proved.state == ItemState::AwaitingRestart
            || problem.is_some_and(|it| it.outcome == Reason::NotVerifiable) && !counts;
        if taken && !self.snapshot.reconcile_requested {
            return true;
        }
        let key = BackoffKey::item(&subscription.name, &item.key, item.digest);
        self.backoffs.is_pending(&key, None, self.now)
    }
}
