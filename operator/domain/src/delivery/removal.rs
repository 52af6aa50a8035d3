//! One attempt to remove an instance that was left behind on its broker.
//!
//! Judges the answers by the record and the rules of a withdrawal ([`InstanceObservation`]): a
//! removal counts once a fetch, where there is one, does not find the instance, and a 404 to a
//! removal counts once a fetch says the same (OSB 2.17 "Deprovisioning"). Decides the next request
//! of the attempt and its end. Never decides that an attempt may be made: that is
//! [`crate::catalogue::Removals`], its only caller apart from the catalogue controller, which sends.

use entente_crds::v1alpha1::{
    NameReference, Orphan, ServerInstance, ServerOperation, ServerOperationState,
    ServerOperationType,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delivery::{
        InstanceObservation,
        observations::{ServerMoment, record::Change},
        resolve::instance::offering::recorded_offering,
    },
    names::SubscriptionName,
    remote::{
        Catalog, Failure, FailureKind, InstanceKey, InstanceReading, OperationState, ServerAnswer,
    },
};

/// A request of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemovalRequest {
    /// The operation that the broker has under way is polled.
    Poll {
        /// The broker's own id of the operation.
        operation: Option<String>,
    },
    /// The instance is removed.
    Deprovision,
    /// The instance is fetched.
    Fetch {
        /// False if the catalog says that it cannot be: nothing is sent then.
        retrievable: bool,
    },
}

/// The answer to a request of an attempt.
#[derive(Clone, Debug)]
pub enum RemovalAnswer {
    /// Of [`RemovalRequest::Poll`].
    Operation(Result<OperationState, Failure>),
    /// Of [`RemovalRequest::Deprovision`].
    Server(Result<ServerAnswer, Failure>),
    /// Of [`RemovalRequest::Fetch`].
    Instance(Result<InstanceReading, Failure>),
}

/// The end of an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemovalEnd {
    /// The instance is gone.
    Gone,
    /// The broker has an operation under way, and asks for this time until the next poll.
    UnderWay(ServerOperation, Option<SignedDuration>),
    /// The broker says that it removed the instance, and still has it.
    Stays(Failure),
    /// A request failed. The operation that the broker has under way all the same, if it has one.
    Failed(Failure, Option<ServerOperation>),
    /// It was ended before a removal was sent.
    NotSent,
}

/// One attempt to remove an instance.
#[derive(Clone, Debug)]
pub struct RemovalAttempt {
    heard: InstanceObservation,
    instance: InstanceKey,
    retrievable: Option<bool>,
    maximum_polling: SignedDuration,
    late: SignedDuration,
    polled: bool,
    sent: bool,
    retry_after: Option<SignedDuration>,
}

impl RemovalAttempt {
    /// Begins an attempt to remove an orphan, about which an operation may be under way. `late` is
    /// the time after which a request whose answer was lost will not be carried out any more.
    pub fn new(
        orphan: &Orphan,
        operation: Option<ServerOperation>,
        catalog: Option<&Catalog>,
        late: SignedDuration,
    ) -> Self {
        let recorded = ServerInstance {
            connection_ref: NameReference::default(),
            instance_id: orphan.instance_id.clone(),
            service_id: orphan.service_id.clone(),
            plan_id: orphan.plan_id.clone(),
            operation,
            ..ServerInstance::default()
        };
        let offering = recorded_offering(catalog, &recorded);
        Self {
            instance: InstanceKey {
                instance_id: orphan.instance_id.clone(),
                service_id: orphan.service_id.clone(),
                plan_id: orphan.plan_id.clone(),
            },
            heard: InstanceObservation::of_record(recorded),
            retrievable: catalog.map(|_| offering.retrievable),
            maximum_polling: offering.maximum_polling,
            late,
            polled: false,
            sent: false,
            retry_after: None,
        }
    }

    /// Returns the instance, with the ids that every request about it has.
    pub fn instance(&self) -> &InstanceKey {
        &self.instance
    }

    /// Returns the next request; `None` at the end of the attempt.
    pub fn next(&self, now: Timestamp) -> Option<RemovalRequest> {
        if self.heard.is_gone() || self.failure().is_some() {
            return None;
        }
        if let Some(operation) = self.under_way()
            && !self.is_given_up(operation, now)
        {
            let operation = operation.id.clone();
            return (!self.polled).then_some(RemovalRequest::Poll { operation });
        }
        if self.heard.removed.is_some() || self.heard.denial().is_some() {
            let retrievable = self.retrievable.unwrap_or(true);
            let fetch = RemovalRequest::Fetch { retrievable };
            return self.heard.reading.is_none().then_some(fetch);
        }
        (!self.sent).then_some(RemovalRequest::Deprovision)
    }

    /// Records the answer to the request that [`RemovalAttempt::next`] returned.
    pub fn record(&mut self, answer: RemovalAnswer, at: Timestamp) {
        let moment = ServerMoment {
            catalog: None,
            retrievable: self.retrievable,
            late: self.late,
            at,
        };
        match answer {
            RemovalAnswer::Operation(result) => {
                self.polled = true;
                if let Ok(OperationState::InProgress { retry_after }) = &result {
                    self.retry_after = *retry_after;
                }
                self.heard.record_operation(result, moment);
            }
            RemovalAnswer::Server(result) => {
                self.sent = true;
                // An operation that this removal begins is polled in the next attempt.
                self.polled = true;
                if let Ok(ServerAnswer::UnderWay { retry_after, .. }) = &result {
                    self.retry_after = *retry_after;
                }
                let change = Change {
                    subscription: &SubscriptionName::default(),
                    instance: &self.instance,
                    kind: ServerOperationType::Deprovision,
                    to_plan: None,
                    digest: None,
                    items: &[],
                };
                self.heard.record_change(&change, result, moment);
            }
            RemovalAnswer::Instance(result) => self.heard.record_fetch(result, moment),
        }
    }

    /// Returns the end of the attempt, wherever it is.
    pub fn end(self, now: Timestamp) -> RemovalEnd {
        if self.heard.is_gone() {
            return RemovalEnd::Gone;
        }
        let under_way = self.under_way().cloned();
        if let Some(failure) = self.failure() {
            return RemovalEnd::Failed(failure.clone(), under_way);
        }
        if let Some(operation) = under_way.filter(|it| !self.is_given_up(it, now)) {
            return RemovalEnd::UnderWay(operation, self.retry_after);
        }
        if let Some(words) = self.heard.denial() {
            let failure = Failure::new(FailureKind::ProtocolError, words);
            return RemovalEnd::Failed(failure, None);
        }
        if self.heard.removed.is_some() {
            let words = "the service server said the instance is removed and still has it";
            return RemovalEnd::Stays(Failure::new(FailureKind::ProtocolError, words));
        }
        RemovalEnd::NotSent
    }

    fn under_way(&self) -> Option<&ServerOperation> {
        let operation = self.heard.recorded.as_ref()?.operation.as_ref()?;
        (operation.state == ServerOperationState::UnderWay).then_some(operation)
    }

    /// True if an operation was polled for its longest time.
    fn is_given_up(&self, operation: &ServerOperation, now: Timestamp) -> bool {
        now.duration_since(operation.since) > self.maximum_polling
    }

    fn failure(&self) -> Option<&Failure> {
        let read = self.heard.reading.as_ref();
        let unread = read.and_then(|reading| reading.result.as_ref().err());
        let problem = self.heard.problem.as_ref().map(|(_, failure)| failure);
        problem.or(unread)
    }
}
