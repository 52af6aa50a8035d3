//! What was heard from remote sides in the pass under way.
//!
//! The controller records every answer here; a write makes the reading of that side void, so
//! that the next round reads back. Outcomes are facts: they stay until they are reported.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{ServerInstance, ServerOperation, ServerOperationType};
use jiff::Timestamp;

use kube::ResourceExt as _;

use super::{ResolvedDevice, World, plan::Action};
use crate::exchange::{
    DeviceReading, Failure, FailureKind, InstanceReading, OperationState, ServerAnswer,
};

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
pub struct Facts {
    /// The last reading of the device; none after a write.
    pub device: Option<Reading<DeviceReading>>,
    /// The last reading of each subscription's instance; none after a write.
    pub servers: BTreeMap<String, Reading<InstanceReading>>,
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

impl Facts {
    /// Takes over the instances that the status names, and for set-up those that are about to be
    /// named. Called after resolve in every round; what is known already stays.
    pub fn adopt_handles(&mut self, world: &World, resolved: &ResolvedDevice) {
        for subscription in &resolved.subscriptions {
            if self.handles.contains_key(&subscription.name) {
                continue;
            }
            let recorded = world
                .subscriptions
                .iter()
                .find(|object| object.name_any() == subscription.name)
                .and_then(|object| object.status.as_ref()?.server.clone());
            let fresh = || {
                let wanted = subscription.wants_set_up() && subscription.refused.is_none();
                subscription.server.as_ref().filter(|_| wanted).and_then(|server| server.handle())
            };
            if let Some(handle) = recorded.or_else(fresh) {
                self.handles.insert(subscription.name.clone(), handle);
            }
        }
    }

    /// The device answered, or did not.
    pub fn record_device(&mut self, result: Result<DeviceReading, Failure>, at: Timestamp) {
        self.device = Some(Reading { at, result });
    }

    /// A write to the device was answered.
    pub fn record_write(
        &mut self,
        items: &[(String, String, String)],
        result: &Result<(), Failure>,
        at: Timestamp,
    ) {
        for (subscription, item, digest) in items {
            self.sent.insert(
                (subscription.clone(), item.clone()),
                Sent { at, digest: digest.clone(), result: result.clone() },
            );
        }
        // What the device has now must be read anew, also after a failure: the answer may have
        // been lost after the device took the value.
        if result.is_ok() || result.as_ref().is_err_and(|failure| failure.doubtful) {
            self.device = None;
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
            && handle.operation.as_ref().is_some_and(|operation| operation.doubtful)
        {
            handle.operation = None;
        }
        self.servers.insert(subscription.to_owned(), Reading { at, result });
    }

    /// Provision, update or deprovision was answered.
    pub fn record_server(
        &mut self,
        action: &Action,
        result: Result<ServerAnswer, Failure>,
        at: Timestamp,
    ) {
        let (subscription, kind, digest, items) = match action {
            Action::Provision { subscription, digest, items, .. } => {
                (subscription, ServerOperationType::Provision, Some(digest), items.as_slice())
            }
            Action::Update { subscription, digest, items, .. } => {
                (subscription, ServerOperationType::Update, Some(digest), items.as_slice())
            }
            Action::Deprovision { subscription, .. } => {
                (subscription, ServerOperationType::Deprovision, None, [].as_slice())
            }
            _ => return,
        };
        let outcome = result.as_ref().map(|_| ()).map_err(Clone::clone);
        for (item, item_digest) in items {
            self.sent.insert(
                (subscription.clone(), item.clone()),
                Sent { at, digest: item_digest.clone(), result: outcome.clone() },
            );
        }
        self.servers.remove(subscription);
        if let Err(failure) = &result {
            self.server_problems.insert(subscription.clone(), (at, failure.clone()));
        } else {
            self.server_problems.remove(subscription);
        }
        let Some(handle) = self.handles.get_mut(subscription) else { return };
        settle(handle, kind, digest, &result, at);
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
        let Some(handle) = self.handles.get_mut(subscription) else { return };
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
                // A failed provision leaves an orphan that has to be removed; a failed update
                // must never start a clean-up (OSB "Orphan Mitigation").
                handle.operation = (kind == Some(ServerOperationType::Provision)).then(|| {
                    ServerOperation {
                        r#type: ServerOperationType::Provision,
                        id: None,
                        since: Timestamp::UNIX_EPOCH,
                        doubtful: true,
                    }
                });
                handle.sent_digest = None;
                let failure = Failure {
                    kind: FailureKind::ProtocolError,
                    message,
                    retry_after: None,
                    doubtful: false,
                };
                self.server_problems.insert(subscription.to_owned(), (at, failure));
                self.servers.remove(subscription);
            }
            Err(failure) => {
                self.server_problems.insert(subscription.to_owned(), (at, failure));
            }
        }
    }
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
                doubtful: false,
            });
            handle.sent_digest = digest.cloned();
        }
        Err(failure) if failure.doubtful && kind == ServerOperationType::Provision => {
            let since = match &handle.operation {
                Some(operation) if operation.doubtful => operation.since,
                _ => at,
            };
            handle.operation =
                Some(ServerOperation { r#type: kind, id: None, since, doubtful: true });
        }
        Err(_) => {}
    }
}
