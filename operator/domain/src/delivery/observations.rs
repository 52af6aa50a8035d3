//! What was heard from remote sides in the pass under way.
//!
//! The controller records every answer here; a write makes the reading of that side void, so
//! that the next round reads back. Outcomes are observations: they stay until they are reported.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    ServerInstance, ServerOperation, ServerOperationState, ServerOperationType,
};
use jiff::Timestamp;

use kube::ResourceExt as _;

use crate::bounded::{cut, token};
use crate::delivery::{
    Action, DeviceSnapshot, ResolvedDevice, ResolvedItem, ResolvedServer, ResolvedSubscription,
    digest,
};
use crate::exchange::{
    DeviceReading, Failure, FailureKind, InstanceKey, InstanceReading, OperationState, ServerAnswer,
};

/// The most characters of an identity and of a product name (their schemas).
const MOST_IDENTITY: usize = 127;

/// One answer to a question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading<T> {
    /// When the answer was there.
    pub at: Timestamp,
    /// The answer.
    pub result: Result<T, Failure>,
}

/// One item that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// When the answer was there.
    pub at: Timestamp,
    /// The digest of the value that was sent.
    pub digest: String,
    /// What was answered.
    pub result: Result<(), Failure>,
}

/// Everything that was heard in this pass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observations {
    /// The last reading of the device through each connection; none after a write.
    pub devices: BTreeMap<String, Reading<DeviceReading>>,
    /// The last reading of each subscription's instance; none after a write.
    pub servers: BTreeMap<String, Reading<InstanceReading>>,
    /// The reading through each connection before the last write: it proves what was not written
    /// since.
    pub devices_before: BTreeMap<String, Reading<DeviceReading>>,
    /// The reading of each instance before the last write.
    pub servers_before: BTreeMap<String, Reading<InstanceReading>>,
    /// What was sent in this pass, by subscription and item key.
    pub sent: BTreeMap<(String, String), Sent>,
    /// The instance of each subscription as it stands after what was sent in this pass.
    pub handles: BTreeMap<String, ServerInstance>,
    /// Problems of the server side of a subscription in this pass.
    pub server_problems: BTreeMap<String, (Timestamp, Failure)>,
    /// Failed readings of catalogues, by connection.
    pub catalogue_problems: BTreeMap<String, (Timestamp, Failure)>,
    /// Subscriptions whose instance was removed and whose broker cannot be asked for a proof.
    pub deprovisioned: BTreeMap<String, Timestamp>,
}

impl Observations {
    /// Takes over the instances that the status names, and for set-up those that are about to be
    /// named. Called after resolve in every round; what is known already stays.
    pub fn adopt_handles(&mut self, snapshot: &DeviceSnapshot, resolved: &ResolvedDevice) {
        for subscription in &resolved.subscriptions {
            let name = &subscription.name;
            let recorded = snapshot
                .subscriptions
                .iter()
                .find(|object| object.name_any() == *name)
                .and_then(|object| object.status.as_ref()?.server.clone());
            let wanted = subscription.wants_set_up() && subscription.refused.is_none();
            let fresh = subscription
                .server
                .as_ref()
                .filter(|server| wanted && !server.is_obsolete)
                .and_then(ResolvedServer::handle);
            // One that is gone, and that the status does not name any more, makes room.
            if recorded.is_none() && self.deprovisioned.contains_key(name) {
                self.deprovisioned.remove(name);
                self.servers.remove(name);
                self.servers_before.remove(name);
                self.handles.remove(name);
            }
            let known = self.handles.get(name).cloned().or(recorded);
            let handle = match (known, fresh) {
                // Nothing was sent for it yet, so that it may still become what is wanted now.
                (Some(known), Some(fresh)) if !may_exist(&known) => Some(fresh),
                (known, fresh) => known.or(fresh),
            };
            if let Some(mut handle) = handle {
                if wanted {
                    handle.orphaned = None;
                }
                take_names(snapshot, &mut handle, subscription);
                self.handles.insert(name.clone(), handle);
            }
        }
    }

    /// When the first answer of this pass was there that can prove anything.
    pub(super) fn heard_from(&self) -> Option<Timestamp> {
        let devices = self.devices.values().chain(self.devices_before.values());
        let servers = self.servers.values().chain(self.servers_before.values());
        devices
            .map(|reading| reading.at)
            .chain(servers.map(|reading| reading.at))
            .chain(self.sent.values().map(|sent| sent.at))
            .min()
    }

    /// What came of sending this very value of an item in this pass.
    pub(super) fn sent_of(&self, subscription: &str, item: &ResolvedItem) -> Option<&Sent> {
        let sent = self.sent.get(&(subscription.to_owned(), item.key.clone()));
        sent.filter(|sent| sent.digest == item.digest)
    }

    /// The device answered, or did not. Who it says it is goes into statuses, and fits them from
    /// here on.
    pub fn record_device(
        &mut self,
        connection: &str,
        mut result: Result<DeviceReading, Failure>,
        at: Timestamp,
    ) {
        if let Ok(reading) = &mut result {
            let identity = reading.identity.take();
            reading.identity = identity.map(|identity| token(&identity, MOST_IDENTITY));
            let product = reading.product_name.take();
            reading.product_name = product.map(|product| cut(product, MOST_IDENTITY));
        }
        self.devices
            .insert(connection.to_owned(), Reading { at, result });
    }

    /// A write to the device was answered.
    pub fn record_write(
        &mut self,
        connection: &str,
        items: &[(String, String, String)],
        result: &Result<(), Failure>,
        at: Timestamp,
    ) {
        for (subscription, item, digest) in items {
            self.sent.insert(
                (subscription.clone(), item.clone()),
                Sent {
                    at,
                    digest: digest.clone(),
                    result: result.clone(),
                },
            );
        }
        // What the device has now must be read anew, also after a failure: the answer may have
        // been lost after the device took the value.
        if result.is_ok() || result.as_ref().is_err_and(|failure| failure.doubtful) {
            let before = self.devices.remove(connection);
            if let Some(before) = before.filter(|reading| reading.result.is_ok()) {
                self.devices_before.insert(connection.to_owned(), before);
            }
        }
    }

    /// A fetch of an instance was answered.
    pub fn record_instance(
        &mut self,
        subscription: &str,
        result: Result<InstanceReading, Failure>,
        at: Timestamp,
    ) {
        if let Ok(InstanceReading::Present { .. }) = &result
            && let Some(handle) = self.handles.get_mut(subscription)
        {
            // It is there, so there is no doubt any more; one that failed stays what it is.
            handle
                .operation
                .take_if(|operation| operation.state == ServerOperationState::InDoubt);
            handle.sent_digest.get_or_insert_with(found_digest);
        }
        if let (Err(failure), Some(handle)) = (&result, self.handles.get_mut(subscription)) {
            note_concurrency(handle, ServerOperationType::Update, failure, at);
        }
        self.servers
            .insert(subscription.to_owned(), Reading { at, result });
    }

    /// Provision, update or deprovision was answered.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an answer is given to the observations, like all others"
    )]
    pub fn record_server(
        &mut self,
        action: &Action,
        result: Result<ServerAnswer, Failure>,
        at: Timestamp,
    ) {
        let Some((subscription, instance, kind, digest, items)) = parts(action) else {
            return;
        };
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        for (item, item_digest) in items {
            self.sent.insert(
                (subscription.clone(), item.clone()),
                Sent {
                    at,
                    digest: item_digest.clone(),
                    result: outcome.clone(),
                },
            );
        }
        let before = self
            .servers
            .remove(subscription)
            .filter(|reading| reading.result.is_ok());
        match before {
            // What is removed proves nothing any more.
            _ if kind == ServerOperationType::Deprovision => {
                self.servers_before.remove(subscription);
            }
            Some(before) => {
                self.servers_before.insert(subscription.clone(), before);
            }
            None => {}
        }
        if let Err(failure) = &result {
            self.server_problems
                .insert(subscription.clone(), (at, failure.clone()));
        } else {
            self.server_problems.remove(subscription);
        }
        let Some(handle) = self.handles.get_mut(subscription) else {
            return;
        };
        if result.is_ok() {
            handle.service_id.clone_from(&instance.service_id);
            handle.plan_id.clone_from(&instance.plan_id);
        }
        let fetched = self
            .servers_before
            .get(subscription)
            .is_none_or(|reading| reading.result != Ok(InstanceReading::NotRetrievable));
        if !fetched && is_of_other_values(handle, kind, digest, &result) {
            take_over(handle, digest);
        } else {
            settle(handle, kind, digest, &result, at);
        }
        if kind == ServerOperationType::Deprovision && result == Ok(ServerAnswer::Done) {
            self.deprovisioned.insert(subscription.clone(), at);
        }
    }

    /// A question about an operation that is under way was answered.
    pub fn record_operation(
        &mut self,
        subscription: &str,
        result: Result<OperationState, Failure>,
        at: Timestamp,
    ) {
        let Some(handle) = self.handles.get_mut(subscription) else {
            return;
        };
        let kind = handle.operation.as_ref().map(|operation| operation.r#type);
        match result {
            Ok(OperationState::InProgress { .. }) => {}
            Ok(OperationState::Succeeded | OperationState::Gone) => {
                handle.operation = None;
                self.server_problems.remove(subscription);
                self.servers.remove(subscription);
                if kind == Some(ServerOperationType::Deprovision) {
                    handle.sent_digest = None;
                    self.deprovisioned.insert(subscription.to_owned(), at);
                }
            }
            Ok(OperationState::Failed { message }) => {
                handle.operation = kind.and_then(|kind| after_failure(kind, at));
                let failure = Failure {
                    kind: FailureKind::ProtocolError,
                    message,
                    retry_after: None,
                    doubtful: false,
                };
                self.server_problems
                    .insert(subscription.to_owned(), (at, failure));
                self.servers.remove(subscription);
            }
            Err(failure) if is_unknown_operation(&failure) => {
                // The server does not know that operation any more, because it has ended or a
                // later one began whose answer was lost: what came of it is read.
                handle.operation = None;
                self.servers.remove(subscription);
            }
            Err(failure) => {
                self.server_problems
                    .insert(subscription.to_owned(), (at, failure));
            }
        }
    }
}

/// Notes what the catalogue calls the ids of an instance, for as long as the service wants them.
/// While the catalogue was not read, the names of the service say nothing of the ids.
fn take_names(
    snapshot: &DeviceSnapshot,
    handle: &mut ServerInstance,
    subscription: &ResolvedSubscription,
) {
    let wanted = subscription.server.as_ref();
    let fresh = wanted.filter(|server| {
        !server.is_obsolete && snapshot.catalogues.contains_key(&server.connection)
    });
    let Some(fresh) = fresh.and_then(ResolvedServer::handle) else {
        return;
    };
    if handle.service_id == fresh.service_id {
        handle.offering = fresh.offering;
        if handle.plan_id == fresh.plan_id {
            handle.plan = fresh.plan;
        }
    }
}

/// Returns what is remembered of an operation that failed. A failed provision leaves an orphan that
/// has to be removed, and what a failed deprovision left is removed too, unless it can be fetched;
/// a failed update must never start a clean-up (OSB "Orphan Mitigation").
fn after_failure(kind: ServerOperationType, at: Timestamp) -> Option<ServerOperation> {
    let state = match kind {
        ServerOperationType::Provision => ServerOperationState::Failed,
        ServerOperationType::Deprovision => ServerOperationState::InDoubt,
        ServerOperationType::Update => return None,
    };
    Some(ServerOperation {
        r#type: kind,
        id: None,
        since: at,
        state,
    })
}

/// What stands for parameters that somebody else sent, or a pass whose status was lost. Not a
/// digest of what was found, where a secret may stand in the open.
fn found_digest() -> String {
    digest("found")
}

/// What a request that changes an instance is about: subscription, instance, kind, digest of the
/// parameters, and the items that it carries.
type Parts<'a> = (
    &'a String,
    &'a InstanceKey,
    ServerOperationType,
    Option<&'a String>,
    &'a [(String, String)],
);

fn parts(action: &Action) -> Option<Parts<'_>> {
    match action {
        Action::Provision {
            subscription: name,
            instance,
            digest,
            items,
            ..
        } => Some((
            name,
            instance,
            ServerOperationType::Provision,
            Some(digest),
            items,
        )),
        Action::Update {
            subscription: name,
            instance,
            digest,
            items,
            ..
        } => Some((
            name,
            instance,
            ServerOperationType::Update,
            Some(digest),
            items,
        )),
        Action::Deprovision {
            subscription: name,
            instance,
            ..
        } => Some((name, instance, ServerOperationType::Deprovision, None, &[])),
        _ => None,
    }
}

/// Whether an answer about an operation says that there is no such operation: a definite 4xx.
fn is_unknown_operation(failure: &Failure) -> bool {
    !failure.doubtful
        && matches!(
            failure.kind,
            FailureKind::RejectedValue | FailureKind::Unsupported
        )
}

/// A server that is busy with the instance itself (OSB ConcurrencyError) has an operation under
/// way of which no answer reached us: it is asked for without an id, as some go on only then.
fn note_concurrency(
    handle: &mut ServerInstance,
    kind: ServerOperationType,
    failure: &Failure,
    at: Timestamp,
) {
    // Whatever it is, it is not the removal that was just refused.
    let kind = match kind {
        ServerOperationType::Deprovision => ServerOperationType::Update,
        other => other,
    };
    let known = handle.operation.as_ref();
    if failure.kind != FailureKind::Busy
        || known.is_some_and(|operation| operation.state != ServerOperationState::InDoubt)
    {
        return;
    }
    handle.operation = Some(ServerOperation {
        r#type: known.map_or(kind, |operation| operation.r#type),
        id: None,
        since: known.map_or(at, |operation| operation.since),
        state: ServerOperationState::UnderWay,
    });
}

/// Whether something may stand on the service server for a handle: something was sent.
pub(super) fn may_exist(handle: &ServerInstance) -> bool {
    handle.sent_digest.is_some() || handle.operation.is_some()
}

/// Whether a provision was refused because an instance of this id stands with other values (OSB
/// "Provisioning", 409). Where the very same request is in doubt it is no proof of that: what a
/// lost answer left is made or removed as orphans are.
fn is_of_other_values(
    handle: &ServerInstance,
    kind: ServerOperationType,
    digest: Option<&String>,
    result: &Result<ServerAnswer, Failure>,
) -> bool {
    let refused = result
        .as_ref()
        .is_err_and(|failure| failure.kind == FailureKind::Conflict);
    let same_in_doubt = handle
        .operation
        .as_ref()
        .is_some_and(|operation| operation.state != ServerOperationState::UnderWay)
        && handle.sent_digest.as_ref() == digest;
    refused && kind == ServerOperationType::Provision && !same_in_doubt
}

/// What stands there and cannot be fetched is taken over by an update of everything (design
/// section 7): waiting would never show it. From here on something stands, also for withdrawal.
fn take_over(handle: &mut ServerInstance, digest: Option<&String>) {
    handle.operation = None;
    handle.sent_digest = digest.cloned();
}

fn settle(
    handle: &mut ServerInstance,
    kind: ServerOperationType,
    digest: Option<&String>,
    result: &Result<ServerAnswer, Failure>,
    at: Timestamp,
) {
    match result {
        Ok(ServerAnswer::Done) => {
            handle.operation = None;
            handle.sent_digest = digest.cloned();
        }
        Ok(ServerAnswer::UnderWay { operation }) => {
            handle.operation = Some(ServerOperation {
                r#type: kind,
                id: operation.clone(),
                since: at,
                state: ServerOperationState::UnderWay,
            });
            handle.sent_digest = digest.cloned();
        }
        Err(failure) if failure.doubtful && kind == ServerOperationType::Provision => {
            let since = match &handle.operation {
                Some(operation) if operation.state == ServerOperationState::InDoubt => {
                    operation.since
                }
                _ => at,
            };
            handle.operation = Some(ServerOperation {
                r#type: kind,
                id: None,
                since,
                state: ServerOperationState::InDoubt,
            });
            handle.sent_digest = digest.cloned();
        }
        Err(failure) => note_concurrency(handle, kind, failure, at),
    }
}
