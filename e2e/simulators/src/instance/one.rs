//! One service instance of the simulated broker, its operation and its parameters.
//!
//! Decides the effect of an operation and the meaning of a repeated provision. Called by the
//! collection.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::{Ask, InstanceView, Verdict};
use crate::fault::Effects;

/// Planned end of an operation.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    Success,
    Failure(String),
    Never,
}

/// Effect of an operation.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Provision,
    Update {
        plan_id: String,
        accepted: Map<String, Value>,
        effective: Map<String, Value>,
    },
    Deprovision,
}

/// An operation in progress.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) work: Work,
    pub(super) started: Instant,
    pub(super) polls: u32,
    pub(super) delay: Duration,
    pub(super) ending: Ending,
}

/// The end of the last operation.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) failure: Option<String>,
    pub(super) update: bool,
}

/// One service instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) service_id: String,
    pub(super) plan_id: String,
    pub(super) organization: String,
    pub(super) space: String,
    pub(super) context: Option<Value>,
    /// Parameters that the platform sent last.
    pub(super) accepted: Map<String, Value>,
    /// Parameters in effect.
    pub(super) effective: Map<String, Value>,
    pub(super) usable: bool,
    pub(super) operation: Option<Operation>,
    pub(super) ended: Option<Ended>,
}

impl Instance {
    pub(super) fn carry_out(&mut self, work: Work) {
        match work {
            Work::Provision => self.usable = true,
            Work::Update {
                plan_id,
                accepted,
                effective,
            } => {
                self.plan_id = plan_id;
                self.accepted = accepted;
                self.effective = effective;
            }
            // Removal is the collection's.
            Work::Deprovision => {}
        }
    }

    pub(super) fn provisioned_again(&self, ask: &Ask) -> Verdict {
        let identical = ask.service_id.as_deref() == Some(&self.service_id)
            && ask.plan_id.as_deref() == Some(&self.plan_id)
            && ask.organization_guid.as_deref() == Some(&self.organization)
            && ask.space_guid.as_deref() == Some(&self.space)
            && ask.context == self.context
            && ask.parameters.clone().unwrap_or_default() == self.accepted;
        match &self.operation {
            Some(running) if matches!(running.work, Work::Provision) && identical => Verdict {
                committed: false,
                needed: false,
                ..accepted_as(201, Some(running), false)
            },
            Some(running) if !matches!(running.work, Work::Provision) => Verdict::concurrency(),
            None if identical && self.usable => Verdict::of(200, json!({})),
            _ => Verdict::refused(
                409,
                "a service instance of that id and other attributes exists",
            ),
        }
    }

    pub(super) fn view(&self, id: &str) -> InstanceView {
        let state = match self.operation.as_ref().map(|o| &o.work) {
            Some(Work::Provision) => "provisioning",
            Some(Work::Update { .. }) => "updating",
            Some(Work::Deprovision) => "deprovisioning",
            None if self.usable => "ready",
            None => "failed",
        };
        InstanceView {
            id: id.to_owned(),
            service_id: self.service_id.clone(),
            plan_id: self.plan_id.clone(),
            organization: self.organization.clone(),
            space: self.space.clone(),
            parameters: Value::Object(self.effective.clone()),
            state: state.to_owned(),
        }
    }
}

/// Returns 202 with the operation, or `done` if there is none.
pub(super) fn accepted_as(done: u16, operation: Option<&Operation>, changed: bool) -> Verdict {
    let (status, body) = match operation {
        Some(operation) => (202, json!({ "operation": operation.id })),
        None => (done, json!({})),
    };
    let fails = operation.is_some_and(|o| matches!(o.ending, Ending::Failure(_)));
    Verdict {
        status,
        body,
        committed: true,
        changed: changed && !fails,
        needed: true,
    }
}

/// Returns the effect of wanted parameters: those under a fault without effect keep their old
/// value.
pub(super) fn effective(
    old: &Map<String, Value>,
    mut wanted: Map<String, Value>,
    met: &Effects,
) -> Map<String, Value> {
    let names: HashSet<String> = old.keys().chain(wanted.keys()).cloned().collect();
    for name in names.into_iter().filter(|name| met.leaves_out(name)) {
        match old.get(&name) {
            Some(value) => drop(wanted.insert(name, value.clone())),
            None => drop(wanted.remove(&name)),
        }
    }
    wanted
}

/// JSON Merge Patch of two objects (RFC 7396).
pub(super) fn merged(old: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut new = old.clone();
    for (name, value) in patch {
        match (value, new.get(name)) {
            (Value::Null, _) => drop(new.remove(name)),
            (Value::Object(patch), Some(Value::Object(old))) => {
                let value = Value::Object(merged(old, patch));
                new.insert(name.clone(), value);
            }
            _ => drop(new.insert(name.clone(), value.clone())),
        }
    }
    new
}
