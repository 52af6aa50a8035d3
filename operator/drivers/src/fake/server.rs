//! The service servers of the fake: Open Service Broker 2.17 as a careful broker implements it.

use async_trait::async_trait;
use entente_domain::remote::{
    Catalog, Failure, FailureKind, InstanceContext, InstanceKey, InstanceReading, InstanceRequest,
    OperationState, ServerAnswer,
};
use serde_json::{Map, Value};

use super::{
    FakeInstance, FakeServer, Fault, Operation, Pending, PendingEnd, State, World, early_end,
    lost_answer,
};
use crate::service::{ServerTarget, ServiceDriver};

fn unreachable() -> Failure {
    Failure::new(FailureKind::Unreachable, "the connection was refused")
}

fn with_context(parameters: &Map<String, Value>, context: &InstanceContext) -> Map<String, Value> {
    let mut values = parameters.clone();
    let mut told = Map::new();
    told.insert("customer".to_owned(), context.organization.as_str().into());
    told.insert("namespace".to_owned(), context.namespace.as_str().into());
    told.insert(
        "subscription".to_owned(),
        context.subscription.as_str().into(),
    );
    values.insert("context".to_owned(), told.into());
    values
}

impl World {
    async fn call(
        &self,
        target: &ServerTarget,
        operation: Operation,
        key: &str,
        values: Map<String, Value>,
    ) -> Result<Option<Fault>, Failure> {
        let profile = &target.profile;
        let fault = self
            .arrive(&profile.name, &target.url, operation, key, values)
            .await;
        match early_end(fault.as_ref(), operation, profile.request_timeout).await {
            Some(end) => Err(end),
            None => Ok(fault),
        }
    }

    fn with_server<T>(
        &self,
        url: &str,
        act: impl FnOnce(&mut FakeServer, &mut u64) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = self.state();
        let State {
            servers,
            operations,
            ..
        } = &mut *state;
        act(servers.get_mut(url).ok_or_else(unreachable)?, operations)
    }

    /// Carries out a call, now or later as the fault demands.
    fn commit(
        &self,
        url: &str,
        instance: &InstanceKey,
        end: PendingEnd,
        fault: Option<Fault>,
    ) -> Result<ServerAnswer, Failure> {
        self.with_server(url, |server, operations| {
            let (polls, end) = match fault {
                Some(Fault::AcceptWithoutEffect) => return Ok(ServerAnswer::Done),
                Some(Fault::Async { polls }) => (Some(polls), end),
                Some(Fault::AsyncFails { polls, message }) => {
                    (Some(polls), PendingEnd::Failed(message))
                }
                _ => (None, end),
            };
            let held = server
                .instances
                .entry(instance.instance_id.clone())
                .or_insert_with(|| FakeInstance {
                    service_id: instance.service_id.clone(),
                    plan_id: instance.plan_id.clone(),
                    ..FakeInstance::default()
                });
            if let Some(polls) = polls {
                *operations += 1;
                let id = format!("operation-{operations}");
                held.pending = Some(Pending {
                    operation: id.clone(),
                    polls,
                    end,
                });
                return Ok(ServerAnswer::UnderWay {
                    operation: Some(id),
                    retry_after: server.poll_after,
                });
            }
            settle(server, &instance.instance_id, end);
            Ok(ServerAnswer::Done)
        })
    }
}

fn settle(server: &mut FakeServer, instance_id: &str, end: PendingEnd) {
    let Some(held) = server.instances.get_mut(instance_id) else {
        return;
    };
    held.pending = None;
    match end {
        PendingEnd::Present(parameters) => {
            held.present = true;
            held.parameters = parameters;
        }
        PendingEnd::Removed => {
            server.instances.remove(instance_id);
        }
        PendingEnd::Failed(_) if !held.present => {
            server.instances.remove(instance_id);
        }
        PendingEnd::Failed(_) => {}
    }
}

fn under_way(pending: &Pending) -> ServerAnswer {
    ServerAnswer::UnderWay {
        operation: Some(pending.operation.clone()),
        retry_after: None,
    }
}

fn busy() -> Failure {
    Failure::new(
        FailureKind::Concurrent,
        "ConcurrencyError: another operation is under way",
    )
}

fn kept(parameters: &Map<String, Value>, fault: Option<&Fault>) -> Map<String, Value> {
    if fault == Some(&Fault::DropParameters) {
        Map::new()
    } else {
        parameters.clone()
    }
}

fn or_lost(
    answer: Result<ServerAnswer, Failure>,
    lose: bool,
    operation: Operation,
) -> Result<ServerAnswer, Failure> {
    let answer = answer?;
    if lose {
        Err(lost_answer(operation))
    } else {
        Ok(answer)
    }
}

#[async_trait]
impl ServiceDriver for World {
    async fn catalog(&self, target: &ServerTarget) -> Result<Catalog, Failure> {
        let operation = Operation::Catalog;
        if self.call(target, operation, "", Map::new()).await? == Some(Fault::LoseAnswer) {
            return Err(lost_answer(operation));
        }
        self.with_server(&target.url, |server, _| Ok(server.catalog.clone()))
    }

    async fn observe(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        retrievable: bool,
    ) -> Result<InstanceReading, Failure> {
        if !retrievable {
            return Ok(InstanceReading::NotRetrievable);
        }
        let operation = Operation::InstanceObserve;
        let fault = self
            .call(target, operation, &instance.instance_id, Map::new())
            .await?;
        match fault {
            Some(Fault::LoseAnswer) => return Err(lost_answer(operation)),
            Some(Fault::NotRetrievable) => return Ok(InstanceReading::NotRetrievable),
            _ => {}
        }
        self.with_server(&target.url, |server, _| {
            let held = server
                .instances
                .get(&instance.instance_id)
                .filter(|held| held.present);
            Ok(
                held.map_or(InstanceReading::Absent, |held| InstanceReading::Present {
                    service_id: Some(held.service_id.clone()),
                    plan_id: Some(held.plan_id.clone()),
                    parameters: (fault != Some(Fault::DropParameters))
                        .then(|| held.parameters.clone()),
                }),
            )
        })
    }

    async fn provision(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let operation = Operation::Provision;
        let instance = request.instance;
        let values = with_context(request.parameters, request.context);
        let fault = self
            .call(target, operation, &instance.instance_id, values)
            .await?;
        let existing = self.with_server(&target.url, |server, _| {
            Ok(server.instances.get(&instance.instance_id).cloned())
        })?;
        let wanted = kept(request.parameters, fault.as_ref());
        if let Some(held) = existing {
            let same_plan =
                held.service_id == instance.service_id && held.plan_id == instance.plan_id;
            return match &held.pending {
                Some(pending)
                    if pending.end == PendingEnd::Present(wanted.clone()) && same_plan =>
                {
                    Ok(under_way(pending))
                }
                Some(_) => Err(busy()),
                None if same_plan && held.parameters == wanted => Ok(ServerAnswer::Existed),
                None => Err(Failure::new(
                    FailureKind::Conflict,
                    "an instance with other values exists",
                )),
            };
        }
        let lose = fault == Some(Fault::LoseAnswer);
        let end = PendingEnd::Present(wanted);
        or_lost(
            self.commit(&target.url, instance, end, fault),
            lose,
            operation,
        )
    }

    async fn update(
        &self,
        target: &ServerTarget,
        request: InstanceRequest<'_>,
    ) -> Result<ServerAnswer, Failure> {
        let operation = Operation::Update;
        let instance = request.instance;
        let values = with_context(request.parameters, request.context);
        let fault = self
            .call(target, operation, &instance.instance_id, values)
            .await?;
        let held = self.with_server(&target.url, |server, _| {
            Ok(server.instances.get(&instance.instance_id).cloned())
        })?;
        let Some(held) = held.filter(|held| held.present) else {
            return Err(Failure::new(
                FailureKind::ProtocolError,
                "HTTP 404: no such instance",
            ));
        };
        if held.pending.is_some() {
            return Err(busy());
        }
        let mut merged = held.parameters;
        merged.extend(kept(request.parameters, fault.as_ref()));
        let to_plan = request.to_plan;
        if let Some(plan) = to_plan.filter(|_| fault != Some(Fault::AcceptWithoutEffect)) {
            self.with_server(&target.url, |server, _| {
                if let Some(held) = server.instances.get_mut(&instance.instance_id) {
                    plan.clone_into(&mut held.plan_id);
                }
                Ok(())
            })?;
        }
        let lose = fault == Some(Fault::LoseAnswer);
        let end = PendingEnd::Present(merged);
        or_lost(
            self.commit(&target.url, instance, end, fault),
            lose,
            operation,
        )
    }

    async fn last_operation(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        operation: Option<&str>,
    ) -> Result<OperationState, Failure> {
        let mut values = Map::new();
        values.insert("operation".to_owned(), operation.into());
        let asked = Operation::LastOperation;
        let fault = self
            .call(target, asked, &instance.instance_id, values)
            .await?;
        if fault == Some(Fault::LoseAnswer) {
            return Err(lost_answer(asked));
        }
        self.with_server(&target.url, |server, _| {
            let retry_after = server.poll_after;
            let Some(held) = server.instances.get_mut(&instance.instance_id) else {
                return Ok(OperationState::Gone);
            };
            let Some(pending) = held.pending.as_mut() else {
                return Ok(OperationState::Succeeded);
            };
            if pending.polls > 0 {
                pending.polls -= 1;
                return Ok(OperationState::InProgress { retry_after });
            }
            let end = pending.end.clone();
            let state = match &end {
                PendingEnd::Failed(message) => {
                    OperationState::Failed(Failure::of_operation(message.clone()))
                }
                PendingEnd::Present(_) | PendingEnd::Removed => OperationState::Succeeded,
            };
            settle(server, &instance.instance_id, end);
            Ok(state)
        })
    }

    async fn deprovision(
        &self,
        target: &ServerTarget,
        instance: &InstanceKey,
        context: &InstanceContext,
    ) -> Result<ServerAnswer, Failure> {
        let operation = Operation::Deprovision;
        let values = with_context(&Map::new(), context);
        let fault = self
            .call(target, operation, &instance.instance_id, values)
            .await?;
        let held = self.with_server(&target.url, |server, _| {
            Ok(server.instances.get(&instance.instance_id).cloned())
        })?;
        let lose = fault == Some(Fault::LoseAnswer);
        let answer = match held.map(|held| held.pending) {
            None => Ok(ServerAnswer::Done),
            Some(Some(pending)) if pending.end == PendingEnd::Removed => Ok(under_way(&pending)),
            // OSB lets a platform deprovision while a provision is under way.
            Some(_) => self.commit(&target.url, instance, PendingEnd::Removed, fault),
        };
        or_lost(answer, lose, operation)
    }
}
