//! Plan, backwards: the service is turned off, then the instance is removed and proved gone.
//!
//! Device settings stay as they are. A withdrawal never touches what another subscription wants:
//! each has an instance of its own. Called by plan after every set-up.

use entente_crds::{
    condition::Reason,
    v1alpha1::{ServerInstance, ServerOperationType},
};
use jiff::Timestamp;

use super::{
    Facts, ResolvedSubscription, World,
    plan::{Action, Plan, Round},
    resolve::{Blocked, Intent},
    resolve_server::ResolvedServer,
};
use crate::exchange::InstanceReading;

/// How a withdrawal stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Withdrawal {
    /// Nothing is left on the service server.
    Released,
    /// It goes on.
    UnderWay,
    /// Its deadline passed, or a person abandoned it: the instance is left as an orphan.
    Abandoned,
}

/// How the withdrawal of a subscription stands.
pub(super) fn withdrawal(
    world: &World,
    subscription: &ResolvedSubscription,
    facts: &Facts,
    now: Timestamp,
) -> Withdrawal {
    let Some(handle) = facts.handles.get(&subscription.name) else { return Withdrawal::Released };
    if !subscription.begun || is_gone(subscription, facts, handle) {
        return Withdrawal::Released;
    }
    let object = world
        .subscriptions
        .iter()
        .find(|object| object.metadata.name.as_deref() == Some(&subscription.name));
    let abandoned = object.is_some_and(|object| {
        object.metadata.annotations.as_ref().is_some_and(|annotations| {
            annotations.contains_key(entente_crds::ANNOTATION_ABANDON)
        })
    });
    let Intent::Withdraw { since, .. } = subscription.intent else { return Withdrawal::UnderWay };
    let too_late = now.duration_since(since) > world.withdraw_deadline;
    if abandoned || too_late || handle.orphaned.is_some() {
        Withdrawal::Abandoned
    } else {
        Withdrawal::UnderWay
    }
}

fn is_gone(subscription: &ResolvedSubscription, facts: &Facts, handle: &ServerInstance) -> bool {
    if handle.operation.is_some() {
        return false;
    }
    let removed = facts.deprovisioned.contains_key(&subscription.name);
    match facts.servers.get(&subscription.name).map(|reading| &reading.result) {
        Some(Ok(InstanceReading::Absent | InstanceReading::NotRetrievable)) => removed,
        _ => false,
    }
}

/// Plans the next thing of a withdrawal.
pub(super) fn withdraw(round: &Round<'_>, subscription: &ResolvedSubscription, plan: &mut Plan) {
    if withdrawal(round.world, subscription, round.facts, round.now) != Withdrawal::UnderWay {
        return;
    }
    let Some(server) = &subscription.server else { return };
    let Some(handle) = round.facts.handles.get(&subscription.name) else { return };
    if let Err(blocked) = &server.url {
        plan.wait(&subscription.name, blocked.clone());
        return;
    }
    // One that lost to another contract and has nothing on the server is at rest.
    let untouched = handle.sent_digest.is_none() && handle.operation.is_none();
    if untouched && matches!(subscription.intent, Intent::SetUp) {
        return;
    }
    if !round.world.catalogues.contains_key(&server.connection) {
        round.read_missing_catalogue(subscription, server, plan);
        return;
    }
    if let Some(until) = round.server_held(subscription) {
        let verified = round.verified.get(&subscription.name).cloned().unwrap_or_default();
        plan.wait(
            &subscription.name,
            round.server_blocked(server, &verified, subscription, until),
        );
        return;
    }
    if let Some((_, failure)) = round.facts.server_problems.get(&subscription.name) {
        plan.wait(
            &subscription.name,
            Blocked::new(
                crate::assessment::reason_of_failure(failure.kind),
                format!("the service server behind {}: {}", server.connection, failure.message),
            ),
        );
        return;
    }
    next(round, subscription, server, handle, plan);
}

fn next(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
    handle: &ServerInstance,
    plan: &mut Plan,
) {
    let instance = crate::exchange::InstanceKey {
        instance_id: handle.instance_id.clone(),
        service_id: handle.service_id.clone(),
        plan_id: handle.plan_id.clone(),
    };
    let deprovision = Action::Deprovision {
        subscription: subscription.name.clone(),
        instance: instance.clone(),
        context: server.context.clone(),
    };
    match &handle.operation {
        // What is under way is asked for first: brokers refuse to remove an instance meanwhile,
        // and one that never ends is removed when it has been polled for long enough.
        Some(operation) if !operation.doubtful => {
            round.poll(subscription, instance, operation.since, operation.id.clone(), plan);
            return;
        }
        // Whatever a provision came to, it is not wanted any more.
        Some(operation) if operation.r#type == ServerOperationType::Provision => {
            plan.actions.push(deprovision);
            return;
        }
        _ => {}
    }
    match round.facts.servers.get(&subscription.name).map(|reading| &reading.result) {
        None => plan.actions.push(Action::ReadInstance {
            subscription: subscription.name.clone(),
            instance,
            retrievable: server.offering.as_ref().is_none_or(|offering| offering.retrievable),
        }),
        Some(Err(failure)) => plan.wait(
            &subscription.name,
            Blocked::new(
                crate::assessment::reason_of_failure(failure.kind),
                format!("the service server behind {}: {}", server.connection, failure.message),
            ),
        ),
        Some(Ok(InstanceReading::Present { parameters, .. })) => {
            if is_on(server, parameters.as_ref()) && !off_was_tried(round, subscription, server) {
                plan.actions.push(turn_off(subscription, server, instance));
            } else if round.facts.deprovisioned.contains_key(&subscription.name) {
                plan.wait(
                    &subscription.name,
                    Blocked::new(
                        Reason::AcceptedNotEffective,
                        "the service server said the instance is removed and still has it"
                            .to_owned(),
                    ),
                );
            } else {
                plan.actions.push(deprovision);
            }
        }
        // Absent may also mean that a provision is still under way, so it is removed all the same;
        // the broker answers 410 when there is nothing.
        Some(Ok(InstanceReading::Absent | InstanceReading::NotRetrievable)) => {
            plan.actions.push(deprovision);
        }
    }
}

fn is_on(
    server: &ResolvedServer,
    parameters: Option<&serde_json::Map<String, serde_json::Value>>,
) -> bool {
    let (Some(activation), Some(parameters)) = (&server.activation, parameters) else {
        return false;
    };
    let name = activation.pointer.trim_start_matches('/');
    parameters.get(name) == Some(&activation.active)
}

fn off_was_tried(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
) -> bool {
    server.activation.as_ref().is_some_and(|activation| {
        round
            .facts
            .sent
            .get(&(subscription.name.clone(), activation.key.clone()))
            .is_some_and(|sent| sent.digest == off_digest(activation))
    })
}

fn off_digest(activation: &super::resolve_server::ResolvedActivation) -> String {
    super::digest(&("off", &activation.inactive))
}

fn turn_off(
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
    instance: crate::exchange::InstanceKey,
) -> Action {
    let parameters = server.parameters(false);
    Action::Update {
        subscription: subscription.name.clone(),
        instance,
        context: server.context.clone(),
        digest: super::digest(&parameters),
        parameters,
        items: server
            .activation
            .iter()
            .map(|activation| (activation.key.clone(), off_digest(activation)))
            .collect(),
    }
}
