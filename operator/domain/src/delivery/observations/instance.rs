//! The life of one instance on a service server, as the answers of this pass show it: under way, in
//! doubt, failed, removed.
//!
//! Decides the state of the instance after an answer; never the next request. Called by the
//! observations, which keep one for each subscription.

use std::collections::{BTreeMap, BTreeSet};

use entente_crds::{
    digest::Digest,
    item_key::ItemKey,
    v1alpha1::{
        ItemState, ServerInstance, ServerOperation, ServerOperationState, ServerOperationType,
    },
};
use jiff::{SignedDuration, Timestamp};

use super::{Reading, Sent, ServerMoment};
use crate::names::SubscriptionName;
use crate::{
    delivery::{
        Action, CarriedItem, DeviceSnapshot, ResolvedServer, ResolvedSubscription, digest,
        resolve::instance::offering::plan_name,
    },
    remote::{
        Catalog, Failure, FailureKind, InstanceKey, InstanceReading, OperationState, ServerAnswer,
    },
};

/// The largest number of characters of an id of a plan in a status (its schema).
const MOST_ID: usize = 1024;

/// Answers about one subscription in this pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceObservation {
    /// The last reading of the instance; none after a write.
    pub reading: Option<Reading<InstanceReading>>,
    /// The reading before the last write.
    pub before: Option<Reading<InstanceReading>>,
    /// The instance as it is recorded after the requests of this pass.
    pub recorded: Option<ServerInstance>,
    /// Failure of the last request to the service server.
    pub problem: Option<(Timestamp, Failure)>,
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

/// A request that changes an instance.
pub(super) struct Change<'a> {
    pub(super) subscription: &'a SubscriptionName,
    instance: &'a InstanceKey,
    kind: ServerOperationType,
    /// Id of the plan that it moves the instance to.
    to_plan: Option<&'a String>,
    /// Digest of the parameters; none for a removal.
    digest: Option<Digest>,
    /// The items that it carries.
    items: &'a [CarriedItem],
}

impl<'a> Change<'a> {
    /// Returns the change of an action; `None` if it only reads.
    pub(super) fn of(action: &'a Action) -> Option<Self> {
        match action {
            Action::Provision {
                subscription,
                instance,
                digest,
                items,
                ..
            } => Some(Self {
                subscription,
                instance,
                kind: ServerOperationType::Provision,
                to_plan: None,
                digest: Some(*digest),
                items,
            }),
            Action::Update {
                subscription,
                instance,
                to_plan,
                digest,
                items,
                ..
            } => Some(Self {
                subscription,
                instance,
                kind: ServerOperationType::Update,
                to_plan: to_plan.as_ref(),
                digest: Some(*digest),
                items,
            }),
            Action::Deprovision {
                subscription,
                instance,
                ..
            } => Some(Self {
                subscription,
                instance,
                kind: ServerOperationType::Deprovision,
                to_plan: None,
                digest: None,
                items: &[],
            }),
            _ => None,
        }
    }
}

impl InstanceObservation {
    /// No answer in this pass.
    pub(super) const NOTHING: Self = Self {
        reading: None,
        before: None,
        recorded: None,
        problem: None,
        removed: None,
        denied: None,
        sent: BTreeMap::new(),
        in_progress: BTreeMap::new(),
        ended: BTreeMap::new(),
        unread: BTreeSet::new(),
    };

    /// Adopts the instance that the status names, and for set-up the one that is about to be named.
    pub(super) fn adopt(
        &mut self,
        snapshot: &DeviceSnapshot,
        subscription: &ResolvedSubscription,
        recorded: Option<ServerInstance>,
    ) {
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
            (Some(known), Some(fresh)) if !may_exist(&known) => Some(fresh),
            (known, fresh) => known.or(fresh),
        };
        self.recorded = recorded.map(|mut recorded| {
            if wanted {
                recorded.orphaned = None;
            }
            take_names(snapshot, &mut recorded, subscription);
            recorded
        });
        self.in_progress = in_progress(snapshot, subscription);
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

    /// Returns the instants of the answers that can prove anything.
    pub(super) fn heard_at(&self) -> impl Iterator<Item = Timestamp> {
        let readings = [&self.reading, &self.before].into_iter().flatten();
        readings
            .map(|reading| reading.at)
            .chain(self.sent.values().map(|sent| sent.at))
    }

    pub(super) fn record_fetch(
        &mut self,
        result: Result<InstanceReading, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment {
            catalog, late, at, ..
        } = moment;
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
                        .take_if(|operation| operation.state == ServerOperationState::InDoubt);
                    recorded.sent_digest.get_or_insert_with(found_digest);
                }
                // What does not exist is in doubt only if it is still being made.
                Ok(InstanceReading::Absent) => {
                    recorded.operation.take_if(|operation| {
                        operation.state == ServerOperationState::InDoubt
                            && operation.r#type == ServerOperationType::Update
                    });
                }
                Ok(InstanceReading::NotRetrievable) => {}
                Err(failure) => {
                    note_concurrency(recorded, ServerOperationType::Update, failure, at);
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
        if result == Ok(InstanceReading::Absent) && (self.denied.is_some() || was_late) {
            self.is_removed(late, at);
        }
        self.reading = Some(Reading { at, result });
    }

    pub(super) fn record_change(
        &mut self,
        change: &Change<'_>,
        result: Result<ServerAnswer, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment {
            catalog, late, at, ..
        } = moment;
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        let sent = change.items.iter().map(|item| {
            let sent = Sent {
                at,
                digest: item.digest,
                result: outcome.clone(),
            };
            (item.key.clone(), sent)
        });
        self.sent.extend(sent);
        let keys = change.items.iter().map(|item| item.key.clone());
        self.unread.extend(keys);
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
                Ok(ServerAnswer::UnderWay { .. }) | Err(_) => {}
            }
        }
        let fetched = self
            .before
            .as_ref()
            .is_none_or(|reading| reading.result != Ok(InstanceReading::NotRetrievable));
        if let Some(recorded) = &mut self.recorded {
            if result.is_ok() && change.kind == ServerOperationType::Provision {
                recorded.service_id.clone_from(&change.instance.service_id);
                has_plan(recorded, &change.instance.plan_id, catalog);
            }
            if result == Ok(ServerAnswer::Done)
                && let Some(plan) = change.to_plan
            {
                has_plan(recorded, plan, catalog);
            }
            if !fetched && is_of_other_values(recorded, change.kind, change.digest, &result) {
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
            self.removed = Some(at);
        }
    }

    /// Records that the operation under way ended and may have taken effect.
    fn has_ended(&mut self, at: Timestamp) {
        let ended = std::mem::take(&mut self.in_progress).into_iter();
        self.ended = ended
            .map(|(key, digest)| {
                let sent = Sent {
                    at,
                    digest,
                    result: Ok(()),
                };
                (key, sent)
            })
            .collect();
        self.reading = None;
    }

    /// Records that the server does not know the operation that makes or changes the instance. The
    /// result is read; where the instance cannot be fetched, it stays in doubt.
    fn is_forgotten(&mut self, moment: ServerMoment<'_>) {
        let Some(recorded) = self.recorded.as_mut() else {
            return;
        };
        self.reading = None;
        if moment.retrievable == Some(true) {
            recorded.operation = None;
            self.has_ended(moment.at);
            return;
        }
        if let Some(operation) = recorded.operation.as_mut() {
            operation.state = ServerOperationState::InDoubt;
            operation.id = None;
        }
        if moment.retrievable == Some(false) {
            self.problem = Some((moment.at, unknown_operation()));
        }
    }

    /// Returns the failure if a server does not know an operation whose result cannot be read
    /// either.
    pub fn forgotten_for_good(
        &self,
        result: &Result<OperationState, Failure>,
        retrievable: Option<bool>,
    ) -> Option<Failure> {
        let recorded = self.recorded.as_ref()?;
        let kind = recorded.operation.as_ref()?.r#type;
        let unknown = match result {
            Ok(state) => *state == OperationState::Gone,
            Err(failure) => is_unknown_operation(failure),
        };
        let for_good =
            unknown && kind != ServerOperationType::Deprovision && retrievable == Some(false);
        for_good.then(unknown_operation)
    }

    /// True if it is not known whether the last request that makes or changes the instance was
    /// carried out.
    pub fn is_in_doubt(&self) -> bool {
        let recorded = self.recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        operation.is_some_and(|operation| operation.state == ServerOperationState::InDoubt)
    }

    pub(super) fn record_operation(
        &mut self,
        result: Result<OperationState, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment {
            catalog, late, at, ..
        } = moment;
        let Some(recorded) = &mut self.recorded else {
            return;
        };
        let kind = recorded
            .operation
            .as_ref()
            .map(|operation| operation.r#type);
        match result {
            Ok(OperationState::InProgress { .. }) => {}
            Ok(OperationState::Succeeded) => {
                self.problem = None;
                if kind == Some(ServerOperationType::Deprovision) {
                    self.is_removed(late, at);
                } else if let Some(plan) = recorded.operation.take().and_then(|it| it.to_plan) {
                    has_plan(recorded, &plan, catalog);
                }
                self.has_ended(at);
            }
            // What is being removed is gone; what is being made is not, and it is in doubt.
            Ok(OperationState::Gone) if kind == Some(ServerOperationType::Deprovision) => {
                self.problem = None;
                self.is_removed(late, at);
                self.has_ended(at);
            }
            Ok(OperationState::Gone) => self.is_forgotten(moment),
            Ok(OperationState::Failed(failure)) => {
                recorded.operation = kind.and_then(|kind| after_failure(kind, at));
                self.problem = Some((at, failure));
                self.reading = None;
            }
            // The server does not know that operation any more, because it has ended or a later one
            // began whose answer was lost.
            Err(failure) if is_unknown_operation(&failure) => {
                if kind == Some(ServerOperationType::Deprovision) {
                    recorded.operation = None;
                    self.has_ended(at);
                } else {
                    self.is_forgotten(moment);
                }
            }
            Err(failure) => self.problem = Some((at, failure)),
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

/// Records the plan that an instance has, with its name: an instance is bound to both.
fn has_plan(recorded: &mut ServerInstance, plan_id: &str, catalog: Option<&Catalog>) {
    // No plan of a catalog has a longer id.
    if recorded.plan_id == plan_id || plan_id.chars().nth(MOST_ID).is_some() {
        return;
    }
    plan_id.clone_into(&mut recorded.plan_id);
    recorded.plan = Some(plan_name(catalog, &recorded.service_id, plan_id));
}

/// Records the catalog's names for the ids of an instance, for as long as the service wants them.
/// While the catalog was not read, the names of the service prove nothing about the ids.
fn take_names(
    snapshot: &DeviceSnapshot,
    recorded: &mut ServerInstance,
    subscription: &ResolvedSubscription,
) {
    let wanted = subscription.server.as_ref();
    let fresh = wanted
        .filter(|server| !server.is_obsolete && snapshot.catalogs.contains_key(&server.connection));
    let Some(fresh) = fresh.and_then(ResolvedServer::to_record) else {
        return;
    };
    if recorded.service_id == fresh.service_id {
        recorded.offering = fresh.offering;
        if recorded.plan_id == fresh.plan_id {
            recorded.plan = fresh.plan;
        }
    }
}

/// Returns the record of a provision that may still be carried out after the instance was removed:
/// one whose answer was lost, until an instant.
fn late_provision(
    operation: &ServerOperation,
    late: SignedDuration,
    at: Timestamp,
) -> Option<ServerOperation> {
    let in_doubt = operation.state == ServerOperationState::InDoubt
        && operation.r#type == ServerOperationType::Provision;
    let until = match operation.late_until {
        Some(until) => until,
        None if in_doubt => at.checked_add(late).ok()?,
        None => return None,
    };
    (at < until).then_some(ServerOperation {
        r#type: ServerOperationType::Provision,
        id: None,
        to_plan: None,
        since: operation.since,
        state: ServerOperationState::InDoubt,
        late_until: Some(until),
    })
}

/// Returns the record of an operation that failed. A failed provision leaves an orphan that has to
/// be removed, and so may a failed deprovision, unless the instance can be fetched; a failed update
/// must never start a clean-up (OSB "Orphan Mitigation").
fn after_failure(kind: ServerOperationType, at: Timestamp) -> Option<ServerOperation> {
    let state = match kind {
        ServerOperationType::Provision => ServerOperationState::Failed,
        ServerOperationType::Deprovision => ServerOperationState::InDoubt,
        ServerOperationType::Update => return None,
    };
    Some(ServerOperation {
        r#type: kind,
        id: None,
        to_plan: None,
        since: at,
        state,
        late_until: None,
    })
}

/// Returns the placeholder digest for an instance whose last request is not known: somebody else
/// sent it, or the status was lost. Never computed from the values read: they may contain a secret
/// in clear text.
fn found_digest() -> Digest {
    digest("found")
}

fn unknown_operation() -> Failure {
    let message = "it does not know the operation that it began";
    Failure::new(FailureKind::ProtocolError, message)
}

/// True if an answer about an operation says that there is no such operation: a definite 4xx.
fn is_unknown_operation(failure: &Failure) -> bool {
    !failure.doubtful
        && matches!(
            failure.kind,
            FailureKind::RejectedValue | FailureKind::Unsupported
        )
}

/// Records an operation of unknown kind for a server that is busy with the instance itself (OSB
/// ConcurrencyError): no answer about it reached us. It is polled without an id, since some servers
/// proceed only when they are polled.
fn note_concurrency(
    recorded: &mut ServerInstance,
    kind: ServerOperationType,
    failure: &Failure,
    at: Timestamp,
) {
    // The operation is unknown, but it is not the removal that was just refused.
    let kind = match kind {
        ServerOperationType::Deprovision => ServerOperationType::Update,
        other => other,
    };
    let known = recorded.operation.as_ref();
    if failure.kind != FailureKind::Concurrent
        || known.is_some_and(|operation| operation.state != ServerOperationState::InDoubt)
    {
        return;
    }
    recorded.operation = Some(ServerOperation {
        r#type: known.map_or(kind, |operation| operation.r#type),
        id: None,
        to_plan: known.and_then(|operation| operation.to_plan.clone()),
        since: known.map_or(at, |operation| operation.since),
        state: ServerOperationState::UnderWay,
        late_until: known.and_then(|operation| operation.late_until),
    });
}

/// True if something may exist on the service server for a recorded instance: something was sent.
pub(in crate::delivery) fn may_exist(recorded: &ServerInstance) -> bool {
    recorded.sent_digest.is_some() || recorded.operation.is_some()
}

/// True if a provision was refused because an instance of this id exists with other values (OSB
/// "Provisioning", 409). If the very same request is in doubt it proves nothing: the instance that
/// a lost answer left is made or removed as orphans are.
fn is_of_other_values(
    recorded: &ServerInstance,
    kind: ServerOperationType,
    digest: Option<Digest>,
    result: &Result<ServerAnswer, Failure>,
) -> bool {
    let refused = result
        .as_ref()
        .is_err_and(|failure| failure.kind == FailureKind::Conflict);
    let same_in_doubt = recorded
        .operation
        .as_ref()
        .is_some_and(|operation| operation.state != ServerOperationState::UnderWay)
        && recorded.sent_digest == digest;
    refused && kind == ServerOperationType::Provision && !same_in_doubt
}

/// Records that an instance which exists and cannot be fetched is taken over by a full update
/// (design section 7): waiting would never show it. From here on the instance counts as existing,
/// also for withdrawal.
fn take_over(recorded: &mut ServerInstance, digest: Option<Digest>) {
    recorded.operation = None;
    recorded.sent_digest = digest;
}

fn settle(
    recorded: &mut ServerInstance,
    change: &Change<'_>,
    result: &Result<ServerAnswer, Failure>,
    late: SignedDuration,
    at: Timestamp,
) {
    let (kind, digest) = (change.kind, change.digest);
    match result {
        // A fetch has to say so as well.
        Ok(ServerAnswer::Absent { .. }) => {}
        // The record knows of its removal.
        Ok(ServerAnswer::Done) if kind == ServerOperationType::Deprovision => {}
        Ok(ServerAnswer::Done) => {
            recorded.operation = None;
            recorded.sent_digest = digest;
        }
        Ok(ServerAnswer::UnderWay { operation, .. }) => {
            let before = recorded.operation.take();
            let late = before
                .filter(|_| kind == ServerOperationType::Deprovision)
                .and_then(|before| late_provision(&before, late, at));
            recorded.operation = Some(ServerOperation {
                r#type: kind,
                id: operation.clone(),
                to_plan: change.to_plan.cloned(),
                since: at,
                state: ServerOperationState::UnderWay,
                late_until: late.and_then(|operation| operation.late_until),
            });
            recorded.sent_digest = digest;
        }
        Err(failure) if failure.doubtful && kind != ServerOperationType::Deprovision => {
            let in_doubt = recorded
                .operation
                .as_ref()
                .filter(|operation| operation.state == ServerOperationState::InDoubt);
            recorded.operation = Some(ServerOperation {
                r#type: kind,
                id: None,
                to_plan: change.to_plan.cloned(),
                since: in_doubt.map_or(at, |operation| operation.since),
                state: ServerOperationState::InDoubt,
                late_until: None,
            });
            // An update changes what exists, and leaves nothing that would have to be removed.
            if kind == ServerOperationType::Provision {
                recorded.sent_digest = digest;
            }
        }
        Err(failure) => note_concurrency(recorded, kind, failure, at),
    }
}
