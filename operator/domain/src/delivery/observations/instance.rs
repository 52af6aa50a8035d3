//! The life of one instance on a service server, as the answers of this pass show it: under way, in
//! doubt, failed, removed.
//!
//! Decides the state of the instance after an answer; never the next request. Called by the
//! observations, which keep one for each subscription.

mod operation;

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{AdoptedBy, ItemState, ServerInstance, ServerOperationState, ServerOperationType},
};
use jiff::{SignedDuration, Timestamp};

use super::record::{
    Change, adopt, found_digest, has_plan, is_in_doubt, is_of_other_values, is_removal_in_doubt,
    late_provision, may_exist, note_concurrency, settle, take_names, take_over,
};
use super::{Reading, Sent, ServerMoment};
use crate::{
    delivery::{CarriedItem, DeviceSnapshot, ResolvedServer, ResolvedSubscription},
    remote::{Failure, InstanceReading, ServerAnswer},
};

/// Answers about one subscription in this pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceObservation {
    /// The last reading of the instance; none after a write.
    pub reading: Option<Reading<InstanceReading>>,
    /// The reading before the last write.
    pub before: Option<Reading<InstanceReading>>,
    /// The instance as it is recorded after the requests of this pass.
    pub recorded: Option<ServerInstance>,
    /// True if the status named the instance when the pass began, so that a request of an earlier
    /// pass may have made it.
    named_before: Option<bool>,
    /// Failure of the last request to the service server.
    pub problem: Option<(Timestamp, Failure)>,
    /// True if the server answered in this pass what became of the operation under way.
    pub polled: bool,
    /// Instant at which the instance was removed, if the server cannot be asked for a proof.
    pub removed: Option<Timestamp>,
    /// The server's words if it does not know the instance that it was to remove: a fetch has to
    /// say the same before that counts as a removal.
    pub denied: Option<String>,
    /// Requests to either side in this pass, by item key.
    pub sent: BTreeMap<ItemKey, Sent>,
    /// Items that the operation under way carries, with the digests of their values.
    in_progress: BTreeMap<ItemKey, Digest>,
    /// Items that such an operation carried which ended in this pass and did not fail.
    pub ended: BTreeMap<ItemKey, Sent>,
    /// Items that were sent to the server since the last fetch that was answered: no reading
    /// proves them.
    pub unread: BTreeSet<ItemKey>,
}

impl Default for InstanceObservation {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl InstanceObservation {
    /// No answer in this pass.
    pub(super) const NOTHING: Self = Self {
        reading: None,
        before: None,
        recorded: None,
        named_before: None,
        problem: None,
        polled: false,
        removed: None,
        denied: None,
        sent: BTreeMap::new(),
        in_progress: BTreeMap::new(),
        ended: BTreeMap::new(),
        unread: BTreeSet::new(),
    };

    /// Begins with an instance that no subscription has.
    pub(in crate::delivery) fn of_record(recorded: ServerInstance) -> Self {
        Self {
            recorded: Some(recorded),
            ..Self::NOTHING
        }
    }

    /// Adopts the instance that the status names, and for set-up the one that is about to be named.
    pub(super) fn adopt(
        &mut self,
        snapshot: &DeviceSnapshot,
        subscription: &ResolvedSubscription,
        recorded: Option<ServerInstance>,
    ) {
        self.named_before.get_or_insert_with(|| recorded.is_some());
        let wanted = subscription.wants_set_up() && subscription.refused.is_none();
        let fresh = subscription
            .server
            .as_ref()
            .filter(|server| wanted && !server.is_obsolete)
            .and_then(ResolvedServer::to_record);
        // An instance that is gone, and that the status does not name any more, makes room.
        if recorded.is_none() && self.removed.is_some() {
            self.removed = None;
            self.denied = None;
            self.reading = None;
            self.before = None;
            self.recorded = None;
        }
        let known = self.recorded.take().or(recorded);
        let recorded = match (known, fresh) {
            // No request was sent for it yet, so that it may still become the wanted instance.
            (Some(known), Some(fresh)) if !may_exist(&known) => {
                let same = known.connection_ref == fresh.connection_ref;
                let adopted = known.adopted.filter(|_| same);
                Some(ServerInstance { adopted, ..fresh })
            }
            (known, fresh) => known.or(fresh),
        };
        let is_proved = self.is_proved();
        self.recorded = recorded.map(|mut recorded| {
            if is_proved
                && let Some(broker) = subscription
                    .server
                    .as_ref()
                    .and_then(ResolvedServer::broker)
            {
                recorded.broker = Some(broker);
            }
            if wanted {
                recorded.orphaned = None;
            }
            take_names(snapshot, &mut recorded, subscription);
            recorded
        });
        self.in_progress = in_progress(snapshot, subscription);
    }

    /// Returns the items that the operation under way carries, with the digests of their values.
    pub fn in_progress(&self) -> impl Iterator<Item = (ItemKey, Digest)> {
        let carried = self.in_progress.iter();
        carried.map(|(key, digest)| (key.clone(), *digest))
    }

    /// True if a fetch found the instance in this pass, or cannot find any at this broker.
    fn is_proved(&self) -> bool {
        let mut readings = [&self.reading, &self.before].into_iter().flatten();
        readings.any(|reading| {
            matches!(
                reading.result,
                Ok(InstanceReading::Present { .. } | InstanceReading::NotRetrievable)
            )
        })
    }

    /// True if it is not known whether the last update was carried out: what was read before it
    /// proves nothing until it is read again.
    pub fn update_is_in_doubt(&self) -> bool {
        let recorded = self.recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        operation.is_some_and(|operation| {
            operation.state == ServerOperationState::InDoubt
                && operation.r#type == ServerOperationType::Update
        })
    }

    /// True if the instance was removed and proved gone.
    pub(in crate::delivery) fn is_gone(&self) -> bool {
        let recorded = self.recorded.as_ref();
        if recorded.is_none_or(|recorded| recorded.operation.is_some()) {
            return false;
        }
        // A fetch that fails takes nothing back from what the server said.
        let is_there = |reading: &Reading<InstanceReading>| {
            matches!(reading.result, Ok(InstanceReading::Present { .. }))
        };
        self.removed.is_some() && self.reading.as_ref().is_some_and(|it| !is_there(it))
    }

    /// Returns the server's words if it does not know the instance that it was to remove, and no
    /// fetch has said the same yet.
    pub(in crate::delivery) fn denial(&self) -> Option<&String> {
        self.denied.as_ref().filter(|_| self.removed.is_none())
    }

    /// True if the instance was fetched in this pass, before the last request that changes it.
    pub fn was_fetched(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|it| matches!(it.result, Ok(InstanceReading::Present { .. })))
    }

    /// Returns the instants of the answers that can prove anything.
    pub(super) fn heard_at(&self) -> impl Iterator<Item = Timestamp> {
        let readings = [&self.reading, &self.before].into_iter().flatten();
        readings
            .map(|reading| reading.at)
            .chain(self.sent.values().map(|sent| sent.at))
    }

    pub(in crate::delivery) fn record_fetch(
        &mut self,
        result: Result<InstanceReading, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment {
            catalog,
            retrievable,
            late,
            at,
        } = moment;
        // Only where the catalog says that it can be fetched: some servers answer 404 to every fetch.
        let was_removed =
            retrievable == Some(true) && self.recorded.as_ref().is_some_and(is_removal_in_doubt);
        let is_unknown = self.named_before == Some(false);
        if let Some(recorded) = &mut self.recorded {
            match &result {
                Ok(InstanceReading::Present {
                    service_id,
                    plan_id,
                    ..
                }) => {
                    let is_ours = service_id
                        .as_ref()
                        .is_none_or(|id| *id == recorded.service_id);
                    if is_ours && let Some(plan) = plan_id {
                        has_plan(recorded, plan, catalog);
                    }
                    // It is there, so there is no doubt any more; one that failed stays what it is.
                    recorded
                        .operation
                        .take_if(|operation| is_in_doubt(operation));
                    if is_ours && !may_exist(recorded) {
                        if is_unknown {
                            adopt(recorded, AdoptedBy::Fetch, at);
                        }
                        recorded.sent_digest = Some(found_digest());
                    }
                }
                // What does not exist is in doubt only if it is still being made.
                Ok(InstanceReading::Absent) => {
                    recorded.adopted = None;
                    recorded.operation.take_if(|operation| {
                        operation.state == ServerOperationState::InDoubt
                            && operation.r#type == ServerOperationType::Update
                    });
                }
                Ok(InstanceReading::NotRetrievable) => {}
                Err(failure) => {
                    note_concurrency(recorded, ServerOperationType::Update, None, failure, at);
                }
            }
        }
        if result.is_ok() {
            self.unread.clear();
        }
        let operation = self.recorded.as_ref().and_then(|it| it.operation.as_ref());
        let was_late = operation
            .and_then(|operation| operation.late_until)
            .is_some_and(|until| until <= at);
        if result == Ok(InstanceReading::Absent)
            && (self.denied.is_some() || was_late || was_removed)
        {
            self.is_removed(late, at);
        }
        self.reading = Some(Reading { at, result });
    }

    /// Records that items were sent: no reading proves them from here on.
    fn record_sent(
        &mut self,
        items: &[CarriedItem],
        result: &Result<ServerAnswer, Failure>,
        at: Timestamp,
    ) {
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        for item in items {
            let sent = Sent {
                at,
                digest: item.digest,
                result: outcome.clone(),
            };
            self.sent.insert(item.key.clone(), sent);
            self.unread.insert(item.key.clone());
        }
    }

    pub(in crate::delivery) fn record_change(
        &mut self,
        change: &Change<'_>,
        result: Result<ServerAnswer, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment {
            catalog, late, at, ..
        } = moment;
        let existed = result == Ok(ServerAnswer::Existed);
        let result = if existed {
            Ok(ServerAnswer::Done)
        } else {
            result
        };
        self.record_sent(change.items, &result, at);
        let before = self.reading.take().filter(|reading| reading.result.is_ok());
        self.before = match before {
            // Readings of a removed instance prove nothing any more.
            _ if change.kind == ServerOperationType::Deprovision => None,
            Some(before) => Some(before),
            None => self.before.take(),
        };
        if change.kind == ServerOperationType::Deprovision {
            match &result {
                Ok(ServerAnswer::Done) => self.is_removed(late, at),
                Ok(ServerAnswer::Absent { message }) => self.denied = Some(message.clone()),
                Ok(ServerAnswer::UnderWay { .. } | ServerAnswer::Existed) | Err(_) => {}
            }
        }
        let fetched = self
            .before
            .as_ref()
            .is_none_or(|reading| reading.result != Ok(InstanceReading::NotRetrievable));
        let is_unknown = self.named_before == Some(false);
        if let Some(recorded) = &mut self.recorded {
            // Where it can be fetched, a fetch has just said that it was not there.
            if existed && !fetched && is_unknown && !may_exist(recorded) {
                adopt(recorded, AdoptedBy::Identical, at);
            }
            if result.is_ok() && change.kind == ServerOperationType::Provision {
                recorded.service_id.clone_from(&change.instance.service_id);
                has_plan(recorded, &change.instance.plan_id, catalog);
            }
            if result == Ok(ServerAnswer::Done)
                && let Some(plan) = change.to_plan
            {
                has_plan(recorded, plan, catalog);
            }
            let is_another = is_of_other_values(recorded, change.kind, change.digest, &result);
            if is_another && !may_exist(recorded) {
                adopt(recorded, AdoptedBy::Conflict, at);
            }
            if is_another && !fetched {
                take_over(recorded, change.digest);
            } else {
                settle(recorded, change, &result, late, at);
            }
        }
        self.problem = result.err().map(|failure| (at, failure));
    }

    /// Records that the instance was removed. Without a record there is no instance whose removal
    /// could be reported. A provision whose answer was lost may still make it for a while.
    fn is_removed(&mut self, late: SignedDuration, at: Timestamp) {
        if let Some(recorded) = &mut self.recorded {
            let operation = recorded.operation.take();
            recorded.operation =
                operation.and_then(|operation| late_provision(&operation, late, at));
            recorded.sent_digest = None;
            recorded.adopted = None;
            self.removed = Some(at);
        }
    }
}

/// Returns the items that the status has in progress, with the digests of their values.
fn in_progress(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
) -> BTreeMap<ItemKey, Digest> {
    let object = snapshot.subscription(&subscription.name);
    let status = object.and_then(|object| object.status.as_ref());
    let items = status.into_iter().flat_map(|status| &status.items);
    items
        .filter(|item| item.state == ItemState::InProgress)
        .filter_map(|item| Some((item.key.clone(), item.desired_digest?)))
        .collect()
}
