//! The operation of a service server that is under way, as the answers to its polls show it: ended,
//! failed, forgotten.
//!
//! Decides the state of the instance after such an answer; never the next poll. Called by the
//! observations, as the rest of the instance's life.

use entente_crds::v1alpha1::ServerOperationType;
use jiff::Timestamp;

use super::InstanceObservation;
use crate::{
    delivery::observations::{
        Sent, ServerMoment,
        record::{after_failure, has_succeeded, in_doubt, is_in_doubt},
    },
    remote::{Failure, FailureKind, OperationState},
};

impl InstanceObservation {
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
            // Which plan it has is in doubt until it is read.
            let operation = recorded.operation.take();
            recorded.operation = operation.filter(|it| it.to_plan.is_some()).map(in_doubt);
            self.has_ended(moment.at);
            return;
        }
        recorded.operation = recorded.operation.take().map(in_doubt);
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
        operation.is_some_and(is_in_doubt)
    }

    pub(in crate::delivery) fn record_operation(
        &mut self,
        result: Result<OperationState, Failure>,
        moment: ServerMoment<'_>,
    ) {
        let ServerMoment { late, at, .. } = moment;
        let Some(recorded) = &mut self.recorded else {
            return;
        };
        let kind = recorded
            .operation
            .as_ref()
            .map(|operation| operation.r#type);
        self.polled |= result.is_ok();
        match result {
            Ok(OperationState::InProgress { .. }) => {}
            Ok(OperationState::Succeeded) => {
                self.problem = None;
                if kind == Some(ServerOperationType::Deprovision) {
                    self.is_removed(late, at);
                } else {
                    has_succeeded(recorded, moment);
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
