//! Service instances of the simulated broker and their operations (OSB 2.17).
//!
//! Decides the effect of a request on an instance, without HTTP: headers and faults of the
//! transport are `broker_http`'s. Asynchronous operations end when they were polled often enough
//! and are old enough; that is checked on every request, so no timer runs.

mod one;
mod verdict;

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use one::{Ended, Ending, Instance, Operation, Work, accepted_as, effective, merged};
pub(super) use verdict::{Ask, Pace, Verdict};

use super::fault::Effects;

/// A service instance as tests and the control interface see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// Instance id, chosen by the platform.
    pub id: String,
    /// Offering.
    pub service_id: String,
    /// Plan in effect.
    pub plan_id: String,
    /// organization_guid of the provision.
    pub organization: String,
    /// space_guid of the provision.
    pub space: String,
    /// Parameters in effect.
    pub parameters: Value,
    /// `ready`, `failed`, `provisioning`, `updating` or `deprovisioning`.
    pub state: String,
}

/// Meaning of the parameters of an update to the broker; the specification leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParameterUpdate {
    /// They are the whole set.
    Replace,
    /// They are merged into the existing ones (RFC 7396).
    Merge,
}

/// All service instances of a broker.
#[derive(Debug, Default)]
pub(super) struct Instances {
    by_id: HashMap<String, Instance>,
    gone: HashSet<String>,
    operations: u64,
}

impl Instances {
    pub(super) fn provision(&mut self, id: &str, ask: Ask, pace: Pace, met: &Effects) -> Verdict {
        self.settle(id, false);
        if let Some(instance) = self.by_id.get(id) {
            return instance.provisioned_again(&ask);
        }
        let accepted = ask.parameters.unwrap_or_default();
        let effective = effective(&Map::new(), accepted.clone(), met);
        let operation = self.start(Work::Provision, pace, met);
        let verdict = accepted_as(201, operation.as_ref(), true);
        self.gone.remove(id);
        let instance = Instance {
            service_id: ask.service_id.unwrap_or_default(),
            plan_id: ask.plan_id.unwrap_or_default(),
            organization: ask.organization_guid.unwrap_or_default(),
            space: ask.space_guid.unwrap_or_default(),
            context: ask.context,
            accepted,
            effective,
            usable: operation.is_none(),
            operation,
            ended: None,
        };
        self.by_id.insert(id.to_owned(), instance);
        verdict
    }

    pub(super) fn update(
        &mut self,
        id: &str,
        ask: Ask,
        form: ParameterUpdate,
        pace: Pace,
        met: &Effects,
    ) -> Verdict {
        self.settle(id, false);
        let Some(instance) = self.by_id.get(id) else {
            return Verdict::refused(404, "no such service instance");
        };
        if instance.operation.is_some() {
            return Verdict::concurrency();
        }
        if !instance.usable {
            return Verdict::refused(400, "the service instance was not provisioned");
        }
        if ask.service_id.as_deref() != Some(&instance.service_id) {
            return Verdict::refused(400, "service_id is not that of the service instance");
        }
        let plan_id = ask.plan_id.unwrap_or_else(|| instance.plan_id.clone());
        let asked = |old: &Map<String, Value>| match (&ask.parameters, form) {
            (None, _) => old.clone(),
            (Some(new), ParameterUpdate::Replace) => new.clone(),
            (Some(new), ParameterUpdate::Merge) => merged(old, new),
        };
        let accepted = asked(&instance.accepted);
        let wanted = asked(&instance.effective);
        let needed = plan_id != instance.plan_id || wanted != instance.effective;
        let effective = effective(&instance.effective, wanted, met);
        let changed = plan_id != instance.plan_id || effective != instance.effective;
        let committed = changed || !needed;
        let work = Work::Update {
            plan_id,
            accepted,
            effective,
        };
        let operation = self.start(work.clone(), pace, met);
        let verdict = Verdict {
            committed,
            needed,
            ..accepted_as(200, operation.as_ref(), changed)
        };
        if let Some(instance) = self.by_id.get_mut(id) {
            match operation {
                None => instance.carry_out(work),
                some => instance.operation = some,
            }
        }
        verdict
    }

    pub(super) fn deprovision(&mut self, id: &str, pace: Pace, met: &Effects) -> Verdict {
        self.settle(id, false);
        match self
            .by_id
            .get(id)
            .map(|instance| instance.operation.as_ref().map(|o| &o.work))
        {
            None => return Verdict::of(410, json!({})),
            Some(Some(Work::Update { .. })) => return Verdict::concurrency(),
            Some(Some(Work::Deprovision)) => {
                let running = self.by_id[id].operation.as_ref();
                return Verdict {
                    committed: false,
                    needed: false,
                    ..accepted_as(200, running, false)
                };
            }
            // A provision under way is given up: orphans can be removed before it ends.
            Some(Some(Work::Provision) | None) => {}
        }
        let operation = self.start(Work::Deprovision, pace, met);
        let verdict = accepted_as(200, operation.as_ref(), true);
        match operation {
            None => self.remove(id),
            some => {
                if let Some(instance) = self.by_id.get_mut(id) {
                    instance.operation = some;
                }
            }
        }
        verdict
    }

    pub(super) fn last_operation(&mut self, id: &str, asked: Option<&str>) -> Verdict {
        self.settle(id, true);
        let Some(instance) = self.by_id.get(id) else {
            let status = if self.gone.contains(id) { 410 } else { 404 };
            return Verdict::of(status, json!({}));
        };
        let newest = instance.operation.as_ref().map(|o| &o.id);
        let newest = newest.or_else(|| instance.ended.as_ref().map(|e| &e.id));
        if asked.is_some_and(|asked| newest.is_none_or(|newest| newest != asked)) {
            return Verdict::refused(400, "that is not the last operation");
        }
        if instance.operation.is_some() {
            return Verdict::of(200, json!({ "state": "in progress" }));
        }
        let body = match &instance.ended {
            Some(Ended {
                failure: Some(description),
                update: true,
                ..
            }) => json!({
                "state": "failed", "description": description,
                "instance_usable": true, "update_repeatable": true,
            }),
            Some(Ended {
                failure: Some(description),
                ..
            }) => {
                json!({ "state": "failed", "description": description })
            }
            _ => json!({ "state": "succeeded" }),
        };
        Verdict::of(200, body)
    }

    pub(super) fn fetch(&mut self, id: &str, met: &Effects) -> Verdict {
        self.settle(id, false);
        let found = self.by_id.get(id).filter(|_| !met.not_retrievable);
        let Some(instance) = found.filter(|instance| instance.usable) else {
            let description = "no such service instance, or it is being provisioned";
            return Verdict::of(404, json!({ "description": description }));
        };
        if instance.operation.is_some() {
            return Verdict {
                needed: false,
                ..Verdict::concurrency()
            };
        }
        let mut parameters = Some(instance.effective.clone());
        if let Some(names) = &met.without_parameters {
            if names.is_empty() {
                parameters = None;
            } else if let Some(parameters) = &mut parameters {
                parameters.retain(|name, _| !names.contains(name));
            }
        }
        let mut body = json!({ "service_id": instance.service_id, "plan_id": instance.plan_id });
        if let Some(parameters) = parameters {
            body["parameters"] = Value::Object(parameters);
        }
        Verdict::of(200, body)
    }

    /// Returns the plan in effect of an instance.
    pub(super) fn plan(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|instance| instance.plan_id.as_str())
    }

    pub(super) fn view(&mut self) -> Vec<InstanceView> {
        let mut ids: Vec<String> = self.by_id.keys().cloned().collect();
        ids.sort_unstable();
        for id in &ids {
            self.settle(id, false);
        }
        ids.iter()
            .filter_map(|id| Some(self.by_id.get(id)?.view(id)))
            .collect()
    }

    /// Changes the parameters in effect behind the platform's back; `None`: no such instance.
    pub(super) fn drift(&mut self, id: &str, parameters: Map<String, Value>) -> Option<bool> {
        let instance = self.by_id.get_mut(id)?;
        let changed = instance.effective != parameters;
        instance.effective = parameters;
        Some(changed)
    }

    /// Loses an instance behind the platform's back.
    pub(super) fn lose(&mut self, id: &str) -> bool {
        self.by_id.remove(id).is_some()
    }

    /// Ends the faults of operations that were never to end.
    pub(super) fn release(&mut self) {
        let operations = self.by_id.values_mut().filter_map(|i| i.operation.as_mut());
        for operation in operations.filter(|o| matches!(o.ending, Ending::Never)) {
            operation.ending = Ending::Success;
        }
    }

    fn start(&mut self, work: Work, pace: Pace, met: &Effects) -> Option<Operation> {
        let Pace::Later { polls, delay } = pace else {
            return None;
        };
        self.operations += 1;
        let ending = match &met.fails {
            Some(description) => Ending::Failure(description.clone()),
            None if met.never_ends => Ending::Never,
            None => Ending::Success,
        };
        let id = format!("operation-{}", self.operations);
        Some(Operation {
            id,
            work,
            started: Instant::now(),
            polls,
            delay,
            ending,
        })
    }

    /// Ends the operation of an instance if it is due. A poll counts before the check.
    fn settle(&mut self, id: &str, poll: bool) {
        let Some(instance) = self.by_id.get_mut(id) else {
            return;
        };
        let Some(operation) = &mut instance.operation else {
            return;
        };
        let due = operation.polls == 0 && operation.started.elapsed() >= operation.delay;
        if poll {
            operation.polls = operation.polls.saturating_sub(1);
        }
        if !due || matches!(operation.ending, Ending::Never) {
            return;
        }
        let Some(operation) = instance.operation.take() else {
            return;
        };
        let update = matches!(operation.work, Work::Update { .. });
        let failure = match operation.ending {
            Ending::Failure(description) => Some(description),
            _ => None,
        };
        if failure.is_none() {
            if matches!(operation.work, Work::Deprovision) {
                self.remove(id);
                return;
            }
            instance.carry_out(operation.work);
        }
        instance.ended = Some(Ended {
            id: operation.id,
            failure,
            update,
        });
    }

    fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.gone.insert(id.to_owned());
    }
}
