//! The instances of a broker of the zoo: what a good broker does, by a clock that is given.
//!
//! Decides the good answer to each request. It must never fail by itself: faults are rules. Called
//! by the broker.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Asked, HttpReply, Request};

/// An instance.
#[derive(Debug, Clone)]
struct Instance {
    service_id: String,
    plan_id: String,
    parameters: Map<String, Value>,
    /// True if its provision has ended.
    ready: bool,
    operation: Option<Operation>,
    /// Id of the last operation.
    last: String,
    /// Plan that it had before the last operation, which is the one in its polls (OSB "Polling Last
    /// Operation for Service Instances").
    plan_before: String,
}

/// An operation that has not ended.
#[derive(Debug, Clone)]
struct Operation {
    ends: Timestamp,
    removes: bool,
    plan_id: String,
    parameters: Map<String, Value>,
}

/// All instances of a broker.
#[derive(Debug, Clone, Default)]
pub(super) struct Instances {
    by_id: BTreeMap<String, Instance>,
    gone: BTreeSet<String>,
    operations: usize,
    takes: Option<SignedDuration>,
    strict: bool,
}

fn reply(status: u16, body: &Value) -> HttpReply {
    HttpReply {
        status,
        body: body.to_string().into_bytes(),
        ..HttpReply::default()
    }
}

fn concurrency() -> HttpReply {
    reply(
        422,
        &json!({ "error": "ConcurrencyError", "description": "an operation is under way" }),
    )
}

impl Instances {
    /// Makes none. `takes` is the duration of operations; `strict` brokers refuse a query with
    /// another plan than the instance's.
    pub(super) fn new(takes: Option<SignedDuration>, strict: bool) -> Self {
        Self {
            takes,
            strict,
            ..Self::default()
        }
    }

    /// Returns the ids of the instances that exist, ready or not.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// Carries a request out, but for parameters that are ignored, and returns the answer.
    pub(super) fn carry_out(
        &mut self,
        request: &Request,
        ignored: Option<&str>,
        now: Timestamp,
    ) -> HttpReply {
        self.settle(now);
        if self.strict
            && let Some(fault) = self.other_plan(request)
        {
            return fault;
        }
        match request.asked {
            Asked::Put => self.provision(request, ignored, now),
            Asked::Patch => self.update(request, ignored, now),
            Asked::Get => self.fetch(request),
            Asked::Poll => self.poll(request),
            Asked::Delete => self.remove(request, now),
            Asked::Catalog | Asked::Other => reply(404, &json!({ "description": "not found" })),
        }
    }

    /// Returns the refusal of a query whose plan is not that of the instance.
    fn other_plan(&self, request: &Request) -> Option<HttpReply> {
        let instance = self.by_id.get(&request.id)?;
        let asked = request.query("plan_id")?;
        let plan = match request.asked {
            Asked::Get | Asked::Delete => &instance.plan_id,
            Asked::Poll => &instance.plan_before,
            Asked::Put | Asked::Patch | Asked::Catalog | Asked::Other => return None,
        };
        (asked != *plan).then(|| {
            let description = format!("the instance is of the plan {plan}");
            reply(400, &json!({ "description": description }))
        })
    }

    fn provision(&mut self, request: &Request, ignored: Option<&str>, now: Timestamp) -> HttpReply {
        let mut parameters = request.parameters();
        if let Some(name) = ignored {
            parameters.remove(name);
        }
        let plan_id = request.member("plan_id");
        if let Some(known) = self.by_id.get(&request.id) {
            let same = known.parameters == parameters && known.plan_id == plan_id;
            return match &known.operation {
                Some(_) if same => reply(202, &json!({ "operation": known.last })),
                None if same => reply(200, &json!({})),
                _ => reply(
                    409,
                    &json!({ "description": "it exists with other values" }),
                ),
            };
        }
        let operation = self.begin(false, &plan_id, &parameters, now);
        self.gone.remove(&request.id);
        let instance = Instance {
            service_id: request.member("service_id"),
            plan_before: plan_id.clone(),
            plan_id,
            parameters,
            ready: operation.is_none(),
            last: self.last_id(),
            operation,
        };
        let answer = accepted(201, &instance);
        self.by_id.insert(request.id.clone(), instance);
        answer
    }

    fn update(&mut self, request: &Request, ignored: Option<&str>, now: Timestamp) -> HttpReply {
        let Some(known) = self.by_id.get(&request.id) else {
            return reply(404, &json!({ "description": "no such instance" }));
        };
        if known.operation.is_some() {
            return concurrency();
        }
        let mut parameters = request.parameters();
        if let Some(name) = ignored {
            parameters.remove(name);
            parameters.extend(
                known
                    .parameters
                    .get(name)
                    .map(|it| (name.to_owned(), it.clone())),
            );
        }
        let plan_id = match request.member("plan_id") {
            none if none.is_empty() => known.plan_id.clone(),
            some => some,
        };
        let operation = self.begin(false, &plan_id, &parameters, now);
        let last = self.last_id();
        let Some(known) = self.by_id.get_mut(&request.id) else {
            return concurrency();
        };
        known.plan_before.clone_from(&known.plan_id);
        if operation.is_none() {
            known.plan_id = plan_id;
            known.parameters = parameters;
        }
        known.operation = operation;
        known.last = last;
        accepted(200, known)
    }

    fn remove(&mut self, request: &Request, now: Timestamp) -> HttpReply {
        match self.by_id.get(&request.id).map(|it| &it.operation) {
            None => return reply(410, &json!({})),
            Some(Some(_)) => return concurrency(),
            Some(None) => {}
        }
        let operation = self.begin(true, "", &Map::new(), now);
        let last = self.last_id();
        let Some(known) = self.by_id.get_mut(&request.id) else {
            return reply(410, &json!({}));
        };
        known.plan_before.clone_from(&known.plan_id);
        known.operation = operation;
        known.last = last;
        let answer = accepted(200, known);
        if known.operation.is_none() {
            self.drop_instance(&request.id);
        }
        answer
    }

    fn fetch(&self, request: &Request) -> HttpReply {
        match self.by_id.get(&request.id).filter(|it| it.ready) {
            None => reply(404, &json!({ "description": "no such instance" })),
            Some(found) => reply(
                200,
                &json!({
                    "service_id": found.service_id,
                    "plan_id": found.plan_id,
                    "parameters": found.parameters,
                }),
            ),
        }
    }

    fn poll(&self, request: &Request) -> HttpReply {
        let Some(found) = self.by_id.get(&request.id) else {
            let status = if self.gone.contains(&request.id) {
                410
            } else {
                404
            };
            return reply(status, &json!({}));
        };
        let asked = request.query("operation");
        if asked.is_some_and(|asked| asked != found.last) {
            return reply(
                400,
                &json!({ "description": "that is not the last operation" }),
            );
        }
        let state = match found.operation {
            Some(_) => "in progress",
            None => "succeeded",
        };
        reply(200, &json!({ "state": state }))
    }

    fn begin(
        &mut self,
        removes: bool,
        plan_id: &str,
        parameters: &Map<String, Value>,
        now: Timestamp,
    ) -> Option<Operation> {
        self.operations += 1;
        let ends = now.checked_add(self.takes?).unwrap_or(Timestamp::MAX);
        Some(Operation {
            ends,
            removes,
            plan_id: plan_id.to_owned(),
            parameters: parameters.clone(),
        })
    }

    fn last_id(&self) -> String {
        format!("operation-{}", self.operations)
    }

    /// Ends the operations whose time has come.
    fn settle(&mut self, now: Timestamp) {
        let is_over = |it: &Instance| it.operation.as_ref().is_some_and(|it| it.ends <= now);
        let over = self.by_id.iter().filter(|(_, it)| is_over(it));
        let over: Vec<String> = over.map(|(id, _)| id.clone()).collect();
        for id in over {
            let operation = self.by_id.get_mut(&id).and_then(|it| it.operation.take());
            match (operation, self.by_id.get_mut(&id)) {
                (Some(operation), _) if operation.removes => self.drop_instance(&id),
                (Some(operation), Some(instance)) => {
                    instance.ready = true;
                    instance.plan_id = operation.plan_id;
                    instance.parameters = operation.parameters;
                }
                _ => {}
            }
        }
    }

    fn drop_instance(&mut self, id: &str) {
        self.by_id.remove(id);
        self.gone.insert(id.to_owned());
    }
}

fn accepted(done: u16, instance: &Instance) -> HttpReply {
    match instance.operation {
        Some(_) => reply(202, &json!({ "operation": instance.last })),
        None => reply(done, &json!({})),
    }
}
