//! Verify, server side: the proofs that a reading of the instance gives.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, Proof, ServerOperationState, ServerOperationType, StepType},
};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::delivery::verify::{Found, Round, VerifiedItem};
use crate::{
    delivery::{Reading, ResolvedItem, ServerValue, Wanted, digest, model::parameters::at_pointer},
    remote::InstanceReading,
};

impl Round<'_> {
    pub(super) fn server_item(&self, step: StepType, item: &ResolvedItem) -> VerifiedItem {
        let server = self.subscription.server.as_ref();
        // A reading of an instance that must be removed first proves nothing of the wanted one.
        let reading = server.filter(|server| !server.is_obsolete).and_then(|_| {
            self.observations
                .of(&self.subscription.name)
                .reading
                .as_ref()
        });
        match reading {
            Some(Reading {
                at,
                result: Ok(reading),
            }) => self.server_reading(step, item, *at, reading),
            Some(Reading {
                result: Err(failure),
                ..
            }) => self.unread(step, item, Some(failure)),
            None => {
                let catalog = server
                    .and_then(|server| self.observations.catalog_problems.get(&server.connection));
                match catalog {
                    Some((_, failure)) => self.unread(step, item, Some(failure)),
                    None => self.unread_instance(step, item),
                }
            }
        }
    }

    pub(super) fn server_reading(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        reading: &InstanceReading,
    ) -> VerifiedItem {
        match reading {
            InstanceReading::Present {
                service_id,
                plan_id,
                parameters,
            } => match &item.wanted {
                Wanted::ServerSetting {
                    write_only: true, ..
                } => {
                    let taken = self.was_taken(item);
                    self.read(
                        step,
                        item,
                        at,
                        taken.then_some(item.digest),
                        Found::of(taken),
                    )
                }
                Wanted::ServerSetting { pointer, value, .. } => {
                    let found = parameters
                        .as_ref()
                        .and_then(|parameters| at_pointer(parameters, pointer));
                    self.parameter(step, item, at, value, found)
                }
                Wanted::Activation { pointer, active } => {
                    let found = parameters
                        .as_ref()
                        .and_then(|parameters| at_pointer(parameters, pointer));
                    self.parameter(step, item, at, &ServerValue::Open(active.clone()), found)
                }
                Wanted::ServerInstance
                | Wanted::DeviceSetting { .. }
                | Wanted::Software { .. }
                | Wanted::DataType { .. }
                | Wanted::Acceptance { .. } => {
                    let equal = self.is_our_offering(service_id.as_ref(), plan_id.as_ref());
                    self.read(
                        step,
                        item,
                        at,
                        Some(digest(&(service_id, plan_id))),
                        Found::of(equal),
                    )
                }
            },
            InstanceReading::NotRetrievable if self.was_made() && self.was_taken(item) => {
                if self.takes_acceptance() {
                    self.accepted(step, item, at)
                } else {
                    self.not_verifiable(step, item, at)
                }
            }
            InstanceReading::Absent | InstanceReading::NotRetrievable => {
                self.read(step, item, at, None, Found::Another)
            }
        }
    }

    fn parameter(
        &self,
        step: StepType,
        item: &ResolvedItem,
        at: Timestamp,
        wanted: &ServerValue,
        found: Option<&Json>,
    ) -> VerifiedItem {
        match found {
            None if self.was_taken(item) => self.not_verifiable(step, item, at),
            found => {
                let equal = found.is_some_and(|found| wanted.is(found));
                let digest = found.map(|found| wanted.digest_of(found));
                self.read(step, item, at, digest, Found::of(equal))
            }
        }
    }

    /// Returns the proof of an instance that was not read in this pass, because an operation on it
    /// is under way, or because no request may be sent.
    fn unread_instance(&self, step: StepType, item: &ResolvedItem) -> VerifiedItem {
        let mut verified = self.unread(step, item, None);
        let previous = self.previous(item);
        let carried = self.sent_now(item).is_some_and(|sent| sent.is_ok())
            || previous.is_some_and(|previous| previous.state == ItemState::InProgress);
        if !carried || verified.state == ItemState::Effective {
            return verified;
        }
        let heard = self.observations.of(&self.subscription.name);
        let problem = heard.problem.as_ref();
        // A pass that asked nothing knows nothing else than the one before.
        if problem.is_some() || heard.polled || self.sent_now(item).is_some() {
            verified.problem = problem.map(|(at, failure)| self.failed(item, failure, *at));
        }
        let recorded = heard.recorded.as_ref();
        let operation = recorded.and_then(|recorded| recorded.operation.as_ref());
        let under_way = operation.is_some_and(|operation| {
            operation.state == ServerOperationState::UnderWay
                && operation.r#type != ServerOperationType::Deprovision
        });
        verified.state = if under_way {
            ItemState::InProgress
        } else {
            ItemState::Unknown
        };
        // Its last proof is told again as it was, so that an equal status is not written.
        if let Some(previous) = previous.filter(|previous| previous.state == verified.state) {
            verified.observed_digest = previous.observed_digest;
            verified.verified_at = previous.last_verified;
        }
        verified
    }

    /// True if the offering and the plan are the wanted ones. A server that does not tell them is
    /// taken at its last word about the instance.
    fn is_our_offering(&self, service_id: Option<&String>, plan_id: Option<&String>) -> bool {
        let server = self.subscription.server.as_ref();
        let offering = server.and_then(|server| server.offering.as_ref());
        let heard = self.observations.of(&self.subscription.name);
        let recorded = heard.recorded.as_ref();
        let plan_id = plan_id.or_else(|| recorded.map(|recorded| &recorded.plan_id));
        offering.is_some_and(|offering| {
            service_id.is_none_or(|id| *id == offering.service_id)
                && plan_id.is_none_or(|id| *id == offering.plan_id)
        })
    }

    /// True if something was sent for the instance, and it was not removed since.
    fn was_made(&self) -> bool {
        let heard = self.observations.of(&self.subscription.name);
        let recorded = heard.recorded.as_ref();
        heard.removed.is_none() && recorded.is_some_and(|recorded| recorded.sent_digest.is_some())
    }

    /// True if the value that is wanted was sent and taken, in this pass or before.
    fn was_taken(&self, item: &ResolvedItem) -> bool {
        if self.observations.of(&self.subscription.name).is_in_doubt() {
            return false;
        }
        if let Some(sent) = self.sent_now(item) {
            return sent.is_ok();
        }
        self.previous(item).is_some_and(|previous| {
            let refused = previous
                .problem
                .as_ref()
                .is_some_and(|problem| problem.outcome != Reason::NotVerifiable);
            previous.last_sent.is_some() && !refused
        })
    }

    /// Returns the proof of an item that was accepted by a server that does not let it be fetched: it
    /// is in effect since then.
    fn accepted(&self, step: StepType, item: &ResolvedItem, at: Timestamp) -> VerifiedItem {
        let name = &self.subscription.name;
        let observations = self.observations;
        let sent = observations.sent_or_ended(name, &item.key, item.digest);
        let previous = self.previous(item);
        let proved = previous
            .filter(|previous| previous.state == ItemState::Effective)
            .and_then(|previous| previous.last_verified);
        VerifiedItem {
            key: item.key.clone(),
            step,
            state: ItemState::Effective,
            desired_digest: item.digest,
            observed_digest: None,
            verified_at: sent
                .map(|sent| sent.at)
                .or(proved)
                .or_else(|| previous.and_then(|previous| previous.last_sent))
                .or(Some(at)),
            proof: Some(Proof::Taken),
            was_effective: false,
            drifts: false,
            problem: None,
        }
    }

    fn not_verifiable(&self, step: StepType, item: &ResolvedItem, at: Timestamp) -> VerifiedItem {
        VerifiedItem {
            key: item.key.clone(),
            step,
            state: ItemState::Unknown,
            desired_digest: item.digest,
            observed_digest: None,
            verified_at: self
                .previous(item)
                .filter(|previous| previous.state == ItemState::Unknown)
                .and_then(|previous| previous.last_verified)
                .or(Some(at)),
            proof: None,
            was_effective: false,
            drifts: false,
            problem: Some(self.problem(
                item,
                Reason::NotVerifiable,
                &format!(
                    "{} was accepted and the service server does not tell it",
                    item.key
                ),
                at,
            )),
        }
    }
}
