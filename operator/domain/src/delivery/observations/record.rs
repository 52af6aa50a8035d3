//! The record of an instance in status, as requests and answers change it: its plan, its operation,
//! and whether it may exist.
//!
//! Decides what is written down; never whether an item is in effect. Called by the observation of the
//! instance, and asked by resolve and plan whether something may be there.

use entente_crds::{
    digest::Digest,
    v1alpha1::{
        AdoptedBy, Adoption, ServerInstance, ServerOperation, ServerOperationState,
        ServerOperationType, ServiceSubscription, ServiceSubscriptionStatus,
    },
};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::observations::ServerMoment;
use crate::names::SubscriptionName;
use crate::{
    delivery::{
        Action, CarriedItem, DeviceSnapshot, ResolvedServer, ResolvedSubscription, digest,
        resolve::instance::offering::plan_name,
    },
    remote::{Catalog, Failure, FailureKind, InstanceKey, ServerAnswer},
};

/// The largest number of characters of an id of a plan in a status (its schema).
const MOST_ID: usize = 1024;

/// A request that changes an instance.
pub(in crate::delivery) struct Change<'a> {
    pub(in crate::delivery) subscription: &'a SubscriptionName,
    pub(in crate::delivery) instance: &'a InstanceKey,
    pub(in crate::delivery) kind: ServerOperationType,
    /// Id of the plan that it moves the instance to.
    pub(in crate::delivery) to_plan: Option<&'a String>,
    /// Digest of the parameters; none for a removal.
    pub(in crate::delivery) digest: Option<Digest>,
    /// The items that it carries.
    pub(in crate::delivery) items: &'a [CarriedItem],
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

/// Records the plan that an instance has, with its name: an instance is bound to both.
pub(super) fn has_plan(recorded: &mut ServerInstance, plan_id: &str, catalog: Option<&Catalog>) {
    // No plan of a catalog has a longer id.
    if recorded.plan_id == plan_id || plan_id.chars().nth(MOST_ID).is_some() {
        return;
    }
    plan_id.clone_into(&mut recorded.plan_id);
    recorded.plan = Some(plan_name(catalog, &recorded.service_id, plan_id));
}

/// Records the catalog's names for the ids of an instance, for as long as the service wants them.
/// While the catalog was not read, the names of the service prove nothing about the ids.
pub(super) fn take_names(
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
pub(super) fn late_provision(
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
pub(super) fn after_failure(kind: ServerOperationType, at: Timestamp) -> Option<ServerOperation> {
    (kind != ServerOperationType::Update).then_some(ServerOperation {
        r#type: kind,
        id: None,
        to_plan: None,
        since: at,
        state: ServerOperationState::Failed,
        late_until: None,
    })
}

/// Returns the placeholder digest for an instance whose last request is not known: somebody else
/// sent it, or the status was lost. Never computed from the values read: they may contain a secret
/// in clear text.
pub(super) fn found_digest() -> Digest {
    digest("found")
}

/// Records an operation of unknown kind for a server that is busy with the instance itself (OSB
/// ConcurrencyError): no answer about it reached us. It is polled without an id, since some servers
/// proceed only when they are polled. `to_plan` is the plan to which the refused request moves the
/// instance: it may be what is under way already.
pub(super) fn note_concurrency(
    recorded: &mut ServerInstance,
    kind: ServerOperationType,
    to_plan: Option<&String>,
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
        || known.is_some_and(|operation| !is_in_doubt(operation))
    {
        return;
    }
    recorded.operation = Some(ServerOperation {
        r#type: known.map_or(kind, |operation| operation.r#type),
        id: None,
        to_plan: known
            .and_then(|operation| operation.to_plan.as_ref())
            .or(to_plan)
            .cloned(),
        since: known.map_or(at, |operation| operation.since),
        state: ServerOperationState::UnderWay,
        late_until: known.and_then(|operation| operation.late_until),
    });
}

/// True if something may exist on the service server for a recorded instance: something was sent.
pub fn may_exist(recorded: &ServerInstance) -> bool {
    recorded.sent_digest.is_some() || recorded.operation.is_some()
}

/// Returns the instances that the status of a subscription has: its own, and the one that it leaves.
pub fn handles_of(subscription: &ServiceSubscription) -> impl Iterator<Item = &ServerInstance> {
    subscription.status.iter().flat_map(handles_in)
}

/// Returns the instances that a status has.
pub fn handles_in(status: &ServiceSubscriptionStatus) -> impl Iterator<Item = &ServerInstance> {
    let left = status.leaving.iter().map(|left| &left.server);
    status.server.iter().chain(left)
}

/// True if the status of a subscription has an instance that may exist.
pub(crate) fn has_instance(subscription: &ServiceSubscription) -> bool {
    let status = subscription.status.iter();
    status.flat_map(|status| &status.server).any(may_exist)
}

/// True if a provision was refused because an instance of this id exists with other values (OSB
/// "Provisioning", 409). If the very same request is in doubt it proves nothing: the instance that
/// a lost answer left is made or removed as orphans are.
pub(super) fn is_of_other_values(
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

/// Records that an instance was there already. What was said first stays.
pub(super) fn adopt(recorded: &mut ServerInstance, by: AdoptedBy, since: Timestamp) {
    recorded.adopted.get_or_insert(Adoption { since, by });
}

/// Records that an instance which exists and cannot be fetched is taken over by a full update
/// (design section 7): waiting would never show it. From here on the instance counts as existing,
/// also for withdrawal.
pub(super) fn take_over(recorded: &mut ServerInstance, digest: Option<Digest>) {
    recorded.operation = None;
    recorded.sent_digest = digest;
}

pub(super) fn settle(
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
        Ok(ServerAnswer::Done | ServerAnswer::Existed) => {
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
        // Its answer was lost: a fetch tells whether it was carried out, unless a request that is in
        // doubt itself may still make the instance.
        Err(failure) if failure.doubtful => {
            recorded
                .operation
                .get_or_insert_with(|| removal_in_doubt(at));
        }
        Err(failure) => note_concurrency(recorded, kind, change.to_plan, failure, at),
    }
}

/// Returns the record of a removal of which it is not known whether it was carried out.
fn removal_in_doubt(since: Timestamp) -> ServerOperation {
    ServerOperation {
        r#type: ServerOperationType::Deprovision,
        id: None,
        to_plan: None,
        since,
        state: ServerOperationState::InDoubt,
        late_until: None,
    }
}

/// Records that an operation ended with success, which may have moved the instance to another plan.
/// One without an id may be another one than ours: where the plan can be read, it is in doubt.
pub(super) fn has_succeeded(recorded: &mut ServerInstance, moment: ServerMoment<'_>) {
    let operation = recorded.operation.take();
    let Some(operation) = operation.filter(|operation| operation.to_plan.is_some()) else {
        return;
    };
    if operation.id.is_none() && moment.retrievable == Some(true) {
        recorded.operation = Some(in_doubt(operation));
    } else if let Some(plan) = operation.to_plan {
        has_plan(recorded, &plan, moment.catalog);
    }
}

/// Returns an operation as one of which nobody knows what became.
pub(super) fn in_doubt(operation: ServerOperation) -> ServerOperation {
    ServerOperation {
        id: None,
        state: ServerOperationState::InDoubt,
        ..operation
    }
}

/// True if it is not known whether the operation left anything: its answer was lost, or it is a
/// removal that failed.
pub(in crate::delivery) fn is_in_doubt(operation: &ServerOperation) -> bool {
    match operation.state {
        ServerOperationState::InDoubt => true,
        ServerOperationState::Failed => operation.r#type == ServerOperationType::Deprovision,
        ServerOperationState::UnderWay => false,
    }
}

/// True if the answer to the last removal was lost. One that failed may leave something that the
/// server does not show any more.
pub(super) fn is_removal_in_doubt(recorded: &ServerInstance) -> bool {
    let operation = recorded.operation.as_ref();
    operation.is_some_and(|operation| {
        operation.state == ServerOperationState::InDoubt
            && operation.r#type == ServerOperationType::Deprovision
    })
}
