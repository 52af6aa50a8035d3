//! A service broker that answers, lies and fails as the test commands (OSB 2.17).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use entente_domain::remote::{
    Catalog, Failure, FailureKind, InstanceKey, InstanceReading, Offering, OperationState, Plan,
    ServerAnswer,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use super::printer::failure;

/// Fault of one request that changes something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// 500, nothing was done.
    ErrorBefore,
    /// 500, it was done all the same.
    ErrorAfter,
    /// It was done, and the answer got lost.
    Lost,
    /// No answer came, and a provision is carried out only after this time.
    Late(SignedDuration),
    /// 409.
    Conflict,
    /// 422 ConcurrencyError.
    Busy,
    /// 400.
    Refused,
}

/// Planned end of an operation.
#[derive(Clone, Debug)]
struct Operation {
    ends: Option<Timestamp>,
    succeeds: bool,
    removes: bool,
    then: Map<String, Json>,
    /// The plan that it moves the instance to.
    to_plan: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) service_id: String,
    pub(crate) plan_id: String,
    pub(crate) parameters: Map<String, Json>,
    operation: Option<Operation>,
    failed: bool,
    /// True if a provision of it ever succeeded.
    pub(crate) ready: bool,
    /// The plan that the broker last told or acknowledged; `None` if the operator may have
    /// forgotten that.
    pub(crate) acknowledged: Option<String>,
}

impl Instance {
    /// Returns the plan that the broker last told, and whether it is moving the instance to another.
    pub(crate) fn told_plan(&self) -> Option<(&str, bool)> {
        let operation = self.operation.as_ref();
        let is_moving = operation.is_some_and(|operation| operation.to_plan.is_some());
        Some((self.acknowledged.as_deref()?, is_moving))
    }
}

/// A simulated service broker.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub(crate) struct Broker {
    pub(crate) instances: BTreeMap<String, Instance>,
    /// Number of times that an instance was created.
    pub(crate) created: u32,
    /// Every request fails like this.
    pub(crate) down: Option<FailureKind>,
    /// Every request fails like this, and asks to come again after a time.
    pub(crate) asks: Option<(FailureKind, SignedDuration)>,
    /// Duration of an operation; none: it is done at once.
    pub(crate) takes: Option<SignedDuration>,
    /// Retry-After of every answer about an operation under way, if any.
    pub(crate) retry_after: Option<SignedDuration>,
    /// Operations that begin now never end.
    pub(crate) never_ends: bool,
    /// Operations succeed and leave nothing.
    pub(crate) leaves_nothing: bool,
    /// Number of operations, of those that begin now, that will fail.
    pub(crate) fails: u32,
    /// Faults of the next changing requests, in order.
    pub(crate) faults: VecDeque<Fault>,
    /// Catalog entries that were renamed or got another id, in the order of the catalog: the new id
    /// and the new name by the old id.
    pub(crate) renamed: BTreeMap<String, (String, String)>,
    /// An instance that is made at an instant, by a request that nobody waits for any more.
    late: Option<(Timestamp, String, Instance)>,
    /// Instances cannot be fetched.
    pub(crate) not_retrievable: bool,
    /// Instances keep the plan that they were made with.
    pub(crate) fixed_plans: bool,
    /// Parameters that are accepted and never returned.
    pub(crate) drops: BTreeSet<String>,
    /// Parameters that are accepted and never changed.
    pub(crate) ignores: BTreeSet<String>,
    /// The words of each failure are others.
    pub(crate) chatters: bool,
}

impl Broker {
    /// Ends every fault; its speed and the things that it reports stay.
    pub(crate) fn cure(&mut self) {
        self.down = None;
        self.asks = None;
        self.faults.clear();
        self.never_ends = false;
        self.fails = 0;
        self.drops.clear();
        self.ignores.clear();
        for instance in self.instances.values_mut() {
            if let Some(operation) = &mut instance.operation {
                operation.ends.get_or_insert(Timestamp::MIN);
            }
        }
    }

    /// True if nothing is wrong with it that the events of a life may do, and it takes no time.
    pub(crate) fn is_well(&self) -> bool {
        self.down.is_none() && self.takes.is_none() && self.fails == 0
    }

    /// Forgets what the operator was told, because it may have died before it wrote that down.
    pub(crate) fn told_nobody(&mut self) {
        for instance in self.instances.values_mut() {
            instance.acknowledged = None;
        }
    }

    /// True if the operator was told the plan of an instance.
    pub(crate) fn is_told(&self, id: &str) -> bool {
        let instance = self.instances.get(id);
        instance.is_some_and(|instance| instance.acknowledged.is_some())
    }

    /// Forgets what the operator was told of one instance.
    pub(crate) fn tell_nobody(&mut self, id: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.acknowledged = None;
        }
    }

    fn reach(&self, writing: bool) -> Result<(), Failure> {
        if let Some((kind, retry_after)) = self.asks {
            return Err(Failure {
                retry_after: Some(retry_after),
                ..failure(
                    kind,
                    "come again later",
                    writing && kind == FailureKind::ProtocolError,
                )
            });
        }
        match self.down {
            Some(kind) => Err(failure(
                kind,
                "no answer",
                writing && kind == FailureKind::TimedOut,
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn catalog(&self) -> Result<Catalog, Failure> {
        self.reach(false)?;
        let called = |name: &str| {
            let id = format!("{name}-id");
            let renamed = self.renamed.get(&id).cloned();
            renamed.unwrap_or_else(|| (id, name.to_owned()))
        };
        let plan = |name: &str| Plan {
            id: called(name).0,
            name: called(name).1,
            maximum_polling_duration: Some(SignedDuration::from_mins(10)),
            updateable: !self.fixed_plans,
            ..Plan::default()
        };
        let offering = |name: &str| Offering {
            id: called(name).0,
            name: called(name).1,
            instances_retrievable: !self.not_retrievable,
            plans: vec![plan("standard"), plan("premium")],
            ..Offering::default()
        };
        Ok(Catalog {
            offerings: vec![offering("data-backup"), offering("cloud")],
            ..Catalog::default()
        })
    }

    pub(crate) fn fetch(
        &mut self,
        key: &InstanceKey,
        retrievable: bool,
        now: Timestamp,
    ) -> Result<InstanceReading, Failure> {
        if !retrievable {
            return Ok(InstanceReading::NotRetrievable);
        }
        self.reach(false)?;
        self.settle(now);
        let found = self.instances.get_mut(&key.instance_id);
        let Some(instance) = found.filter(|instance| instance.ready) else {
            return Ok(InstanceReading::Absent);
        };
        instance.acknowledged = Some(instance.plan_id.clone());
        let mut parameters = instance.parameters.clone();
        parameters.retain(|name, _| !self.drops.contains(name));
        Ok(InstanceReading::Present {
            service_id: Some(instance.service_id.clone()),
            plan_id: Some(instance.plan_id.clone()),
            parameters: Some(parameters),
        })
    }

    pub(crate) fn provision(
        &mut self,
        key: &InstanceKey,
        parameters: &Map<String, Json>,
        now: Timestamp,
    ) -> Result<ServerAnswer, Failure> {
        let late = match self.faults.front() {
            Some(Fault::Late(late)) if self.down.is_none() => Some(*late),
            _ => None,
        };
        let after = self.before();
        if let Some(late) = late {
            let id = key.instance_id.clone();
            self.late = Some((now + late, id, made(key, parameters)));
        }
        let after = after?;
        self.settle(now);
        if let Some(instance) = self.instances.get(&key.instance_id) {
            let same = instance.parameters == *parameters && instance.plan_id == key.plan_id;
            return match &instance.operation {
                _ if instance.failed && !instance.ready => {
                    Err(Failure::new(FailureKind::Conflict, "exists and failed"))
                }
                Some(_) if same => after.answer(Ok(self.under_way())),
                None if same => after.answer(Ok(ServerAnswer::Existed)),
                _ => Err(Failure::new(
                    FailureKind::Conflict,
                    "exists with other values",
                )),
            };
        }
        let operation = self.begin(parameters.clone(), false, now);
        self.created += 1;
        self.instances.insert(
            key.instance_id.clone(),
            Instance {
                service_id: key.service_id.clone(),
                plan_id: key.plan_id.clone(),
                parameters: parameters.clone(),
                ready: operation.is_none(),
                failed: false,
                operation,
                acknowledged: after.is_told().then(|| key.plan_id.clone()),
            },
        );
        after.answer(Ok(self.state_of(&key.instance_id)))
    }

    pub(crate) fn update(
        &mut self,
        key: &InstanceKey,
        to_plan: Option<&String>,
        parameters: &Map<String, Json>,
        now: Timestamp,
    ) -> Result<ServerAnswer, Failure> {
        let after = self.before()?;
        self.settle(now);
        let mut then = match self.instances.get(&key.instance_id) {
            None => return Err(Failure::new(FailureKind::Unsupported, "no such instance")),
            Some(instance) if instance.operation.is_some() => {
                return Err(Failure::new(FailureKind::Concurrent, "ConcurrencyError"));
            }
            Some(instance) => instance.parameters.clone(),
        };
        for (name, value) in parameters {
            if !self.ignores.contains(name) {
                then.insert(name.clone(), value.clone());
            }
        }
        let operation = self.begin(then.clone(), false, now);
        if let Some(instance) = self.instances.get_mut(&key.instance_id) {
            instance.failed = false;
            if let Some(mut operation) = operation {
                operation.to_plan = to_plan.cloned();
                instance.operation = Some(operation);
            } else {
                instance.parameters = then;
                if let Some(plan) = to_plan {
                    instance.plan_id.clone_from(plan);
                    let told = after.is_told();
                    instance.acknowledged = told.then(|| plan.clone());
                }
            }
        }
        after.answer(Ok(self.state_of(&key.instance_id)))
    }

    pub(crate) fn deprovision(
        &mut self,
        key: &InstanceKey,
        now: Timestamp,
    ) -> Result<ServerAnswer, Failure> {
        let after = self.before()?;
        self.settle(now);
        let running = self
            .instances
            .get(&key.instance_id)
            .and_then(|it| it.operation.as_ref());
        if running.is_some_and(|operation| operation.ends.is_some()) {
            return Err(Failure::new(FailureKind::Concurrent, "ConcurrencyError"));
        }
        let operation = self.begin(Map::new(), true, now);
        let Some(instance) = self.instances.get_mut(&key.instance_id) else {
            return after.answer(Ok(ServerAnswer::Done));
        };
        instance.operation = operation;
        if instance.operation.is_none() {
            self.instances.remove(&key.instance_id);
            return after.answer(Ok(ServerAnswer::Done));
        }
        after.answer(Ok(self.under_way()))
    }

    pub(crate) fn poll(
        &mut self,
        key: &InstanceKey,
        now: Timestamp,
    ) -> Result<OperationState, Failure> {
        self.reach(false)?;
        self.settle(now);
        match self.instances.get_mut(&key.instance_id) {
            None if self.leaves_nothing => Ok(OperationState::Succeeded),
            None => Ok(OperationState::Gone),
            Some(instance) if instance.operation.is_some() => Ok(OperationState::InProgress {
                retry_after: self.retry_after,
            }),
            Some(instance) if instance.failed => Ok(OperationState::Failed(Failure::of_operation(
                "out of storage",
            ))),
            Some(instance) => {
                instance.acknowledged = Some(instance.plan_id.clone());
                Ok(OperationState::Succeeded)
            }
        }
    }

    fn before(&mut self) -> Result<After, Failure> {
        self.reach(true)?;
        let error = |doubtful| failure(FailureKind::ProtocolError, "500", doubtful);
        match self.faults.pop_front() {
            Some(Fault::ErrorBefore) => Err(error(true)),
            Some(Fault::Conflict) => Err(Failure::new(FailureKind::Conflict, "409")),
            Some(Fault::Busy) => Err(Failure::new(FailureKind::Concurrent, "ConcurrencyError")),
            Some(Fault::Late(_)) => Err(failure(FailureKind::TimedOut, "no answer", true)),
            Some(Fault::Refused) => Err(Failure::new(FailureKind::RejectedValue, "400")),
            Some(Fault::ErrorAfter) => Ok(After(Some(error(true)))),
            Some(Fault::Lost) => Ok(After(Some(failure(
                FailureKind::TimedOut,
                "the answer was lost",
                true,
            )))),
            None => Ok(After(None)),
        }
    }

    fn begin(
        &mut self,
        then: Map<String, Json>,
        removes: bool,
        now: Timestamp,
    ) -> Option<Operation> {
        let takes = self.takes?;
        let succeeds = self.fails == 0;
        self.fails = self.fails.saturating_sub(1);
        let ends = (!self.never_ends).then(|| now + takes);
        Some(Operation {
            ends,
            succeeds,
            removes,
            then,
            to_plan: None,
        })
    }

    fn under_way(&self) -> ServerAnswer {
        ServerAnswer::UnderWay {
            operation: Some("op".to_owned()),
            retry_after: self.retry_after,
        }
    }

    fn state_of(&self, id: &str) -> ServerAnswer {
        let running = self
            .instances
            .get(id)
            .is_some_and(|instance| instance.operation.is_some());
        if running {
            self.under_way()
        } else {
            ServerAnswer::Done
        }
    }

    /// Ends the operations whose time has come.
    fn settle(&mut self, now: Timestamp) {
        if let Some((_, id, instance)) = self.late.take_if(|(at, ..)| *at <= now) {
            self.created += 1;
            self.instances.entry(id).or_insert(instance);
        }
        let mut gone = Vec::new();
        for (id, instance) in &mut self.instances {
            let over = instance
                .operation
                .as_ref()
                .is_some_and(|operation| operation.ends.is_some_and(|ends| ends <= now));
            let Some(operation) = instance.operation.take_if(|_| over) else {
                continue;
            };
            match (operation.succeeds, operation.removes) {
                (true, true) => gone.push(id.clone()),
                (true, false) if self.leaves_nothing => gone.push(id.clone()),
                (true, false) => {
                    instance.ready = true;
                    instance.parameters = operation.then;
                    if let Some(plan) = operation.to_plan {
                        instance.plan_id = plan;
                        instance.acknowledged = None;
                    }
                }
                // A failed provision leaves something that can not be fetched.
                (false, _) => instance.failed = true,
            }
        }
        for id in gone {
            self.instances.remove(&id);
        }
    }
}

fn made(key: &InstanceKey, parameters: &Map<String, Json>) -> Instance {
    Instance {
        service_id: key.service_id.clone(),
        plan_id: key.plan_id.clone(),
        parameters: parameters.clone(),
        operation: None,
        failed: false,
        ready: true,
        acknowledged: None,
    }
}

/// Failure that replaces an answer, if any.
struct After(Option<Failure>);

impl After {
    /// True if the operator hears what was done.
    fn is_told(&self) -> bool {
        self.0.is_none()
    }

    fn answer(self, answer: Result<ServerAnswer, Failure>) -> Result<ServerAnswer, Failure> {
        self.0.map_or(answer, Err)
    }
}
