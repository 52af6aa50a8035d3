//! Plan, backwards, server side: the service is turned off, then the instance is removed and proved
//! gone.
//!
//! Decides when the instance counts as gone, and when it is left behind as an orphan. It never touches
//! the instance of another subscription: each has its own, and one that another subscription succeeds
//! is handed over and not removed. Called by the withdrawal, and by a set-up that makes room for
//! another instance.

use entente_crds::{
    condition::Reason,
    digest::Digest,
    v1alpha1::{ItemState, ServerInstance, ServerOperationType},
};
use jiff::{SignedDuration, Timestamp};

use crate::delivery::{
    Action, Blocked, CarriedItem, Intent, Plan, ResolvedServer, ResolvedSubscription, Sent, digest,
    model::{backoffs::BackoffKey, parameters::at_pointer},
    observations::record::may_exist,
    plan::{
        instance::{deprovision, recorded_key},
        round::Round,
        succession::{HandOver, hand_over_of, is_handed_over, is_to_be_taken, take_over},
        withdraw::{Withdrawal, Withdrawing},
    },
};
use crate::{
    reasons::is_about_the_request, remote::InstanceReading, unreadable::UnreadableObjects,
};

/// Interval between fetches of an instance that the server reported as removed and still has.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

impl Withdrawing<'_> {
    /// Returns the state of the withdrawal of the instance.
    pub(in crate::delivery) fn of_server(&self) -> Withdrawal {
        let heard = self.observations.of(&self.subscription.name);
        let Some(recorded) = heard.recorded.as_ref() else {
            return Withdrawal::Released;
        };
        match hand_over_of(self.snapshot, self.subscription, self.observations) {
            HandOver::NothingIsThere => {}
            HandOver::Takes => return Withdrawal::UnderWay,
            HandOver::Forgets | HandOver::Done => return Withdrawal::Released,
        }
        // An instance that was never asked for is nowhere; one that was removed has to be proved gone.
        let is_nowhere = heard.removed.is_none() && !may_exist(recorded);
        if !self.subscription.begun || is_nowhere || heard.is_gone() {
            return Withdrawal::Released;
        }
        if !matches!(self.subscription.intent, Intent::Withdraw { .. }) {
            return Withdrawal::UnderWay;
        }
        // The Connection found it gone, or a person took it out of the list of orphans.
        let gone = &self.snapshot.orphans_gone;
        if recorded.orphaned.is_some() && gone.contains(&recorded.instance_id) {
            return Withdrawal::Released;
        }
        if self.is_out_of_time() || recorded.orphaned.is_some() {
            Withdrawal::Abandoned
        } else {
            Withdrawal::UnderWay
        }
    }
}

/// Plans the next action towards the removal of the instance, or towards its hand-over.
pub(super) fn withdraw_server(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    plan: &mut Plan,
) {
    match &subscription.handed_to {
        Some(handed) if handed.goes_on && is_to_be_taken(round, subscription) => {
            plan.wait(&subscription.name, is_handed_over());
        }
        _ => remove(round, subscription, plan),
    }
}

/// Plans the next action towards the removal of the instance in status.
pub(in crate::delivery) fn remove(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    plan: &mut Plan,
) {
    let name = &subscription.name;
    let Some(server) = &subscription.server else {
        return;
    };
    let heard = round.observations.of(name);
    let Some(recorded) = heard.recorded.as_ref() else {
        return;
    };
    if heard.is_gone() {
        // The status forgets it, so that another one can be made in its place.
        plan.actions.push(Action::RecordInstance {
            subscription: name.clone(),
        });
        return;
    }
    if let Err(blocked) = &server.url {
        plan.wait(name, blocked.clone());
        return;
    }
    // The catalog says at most that the instance cannot be fetched.
    if round.may_read_catalog(server) {
        plan.read_catalog(&server.connection);
        return;
    }
    let verified = round.verified.get(name).cloned().unwrap_or_default();
    if !goes_on_all_the_same(round, subscription, server)
        && let Some(blocked) = round.server_blocked(subscription, &verified)
    {
        plan.wait(name, blocked);
        return;
    }
    next(round, subscription, server, recorded, plan);
}

/// True if the instance could not be fetched, or the service not be turned off, for a reason that
/// does not concern its removal, and the server did not ask for a wait.
fn goes_on_all_the_same(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
) -> bool {
    let heard = round.observations.of(&subscription.name);
    let reading = heard.reading.as_ref();
    let unread = reading.and_then(|reading| reading.result.as_ref().err());
    let off = off_attempt(round, subscription, server);
    let met = match &heard.problem {
        None => unread,
        // The failure is that of turning it off.
        Some((at, failure))
            if off.is_some_and(|off| off.at == *at && off.result.as_ref() == Err(failure)) =>
        {
            Some(failure)
        }
        Some(_) => None,
    };
    let asked = round.asked(&BackoffKey::server(&subscription.name));
    asked.is_none() && met.is_some_and(|failure| is_about_the_request(failure.kind))
}

/// True if the service was on when it was last read, as the status has it.
fn was_on(round: &Round<'_>, subscription: &ResolvedSubscription, server: &ResolvedServer) -> bool {
    let object = round.snapshot.subscription(&subscription.name);
    let status = object.and_then(|object| object.status.as_ref());
    let items = status.map(|status| status.items.iter());
    server.activation.as_ref().is_some_and(|activation| {
        items
            .into_iter()
            .flatten()
            .any(|item| item.key == activation.key && item.state == ItemState::Effective)
    })
}

fn next(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
    recorded: &ServerInstance,
    plan: &mut Plan,
) {
    let instance = recorded_key(recorded);
    let deprovision = deprovision(subscription, server, instance.clone());
    match &recorded.operation {
        // The one that goes on with the instance knows the outcome.
        Some(operation)
            if operation.r#type != ServerOperationType::Update
                && is_to_be_taken(round, subscription) =>
        {
            take_over(round, subscription, plan);
            return;
        }
        // The operation under way is polled first: brokers refuse to remove an instance meanwhile,
        // and one whose operation never ends is removed when it has been polled for long enough.
        Some(operation) if round.operation(subscription, server, &instance, operation, plan) => {
            return;
        }
        // The result of a provision does not matter: the instance is not wanted any more.
        Some(operation)
            if operation.r#type == ServerOperationType::Provision
                && operation.late_until.is_none() =>
        {
            remove_unless_in_doubt(round, subscription, deprovision, plan);
            return;
        }
        _ => {}
    }
    if round.look_after_a_denial(subscription, server, &instance, plan) {
        return;
    }
    let heard = round.observations.of(&subscription.name);
    // It was removed, and a lost request may still make it: it is looked for once more after that.
    let operation = recorded.operation.as_ref();
    if let Some(until) = operation.and_then(|operation| operation.late_until) {
        if round.now < until {
            plan.wait(&subscription.name, may_still_be_made(until));
            return;
        }
        if heard.reading.as_ref().is_some_and(|it| it.at < until) {
            plan.once(round.read_instance(subscription, server, instance));
            return;
        }
    }
    let is_on = match heard.reading.as_ref().map(|reading| &reading.result) {
        None => {
            plan.once(round.read_instance(subscription, server, instance));
            return;
        }
        Some(Err(_)) => was_on(round, subscription, server),
        Some(Ok(InstanceReading::Present { parameters, .. })) => is_on(server, parameters.as_ref()),
        Some(Ok(InstanceReading::NotRetrievable)) if is_to_be_taken(round, subscription) => {
            was_on(round, subscription, server)
        }
        // Absent may also mean that a provision is still under way, so it is removed all the same;
        // the broker answers 410 if there is no instance.
        Some(Ok(InstanceReading::Absent | InstanceReading::NotRetrievable)) => false,
    };
    if is_on && off_attempt(round, subscription, server).is_none() {
        plan.actions.push(turn_off(subscription, server, instance));
    } else if is_to_be_taken(round, subscription) {
        take_over(round, subscription, plan);
    } else if heard.removed.is_some() {
        plan.wait(&subscription.name, still_there(round));
    } else {
        remove_unless_in_doubt(round, subscription, deprovision, plan);
    }
}

/// Plans the removal of an instance, unless a subscription on the device cannot be read: it may be the
/// one that goes on with the instance. If that lasts until the deadline, the instance is left as an
/// orphan, and no orphan is removed before every subscription can be read.
fn remove_unless_in_doubt(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    deprovision: Action,
    plan: &mut Plan,
) {
    let goes_on = subscription.wants_set_up() && subscription.refused.is_none();
    match round.snapshot.unreadable_subscriptions.first() {
        Some(unread) if !goes_on => {
            let words = UnreadableObjects::CANNOT_BE_READ;
            let message = format!(
                "the instance is not removed while another subscription on this device may go on \
                 with it: {unread} {words}"
            );
            let blocked = Blocked::new(Reason::Undecodable, message);
            plan.wait(&subscription.name, blocked);
        }
        _ => plan.actions.push(deprovision),
    }
}

fn may_still_be_made(until: Timestamp) -> Blocked {
    let message = "a request whose answer was lost may still make the instance that was removed; \
                   it is looked for once more";
    Blocked::until(Reason::OperationRunning, message.to_owned(), until)
}

fn still_there(round: &Round<'_>) -> Blocked {
    let message = "the service server said the instance is removed and still has it";
    Blocked {
        until: round.now.checked_add(LOOK_AGAIN).ok(),
        ..Blocked::new(Reason::AcceptedNotEffective, message.to_owned())
    }
}

fn is_on(
    server: &ResolvedServer,
    parameters: Option<&serde_json::Map<String, serde_json::Value>>,
) -> bool {
    let (Some(activation), Some(parameters)) = (&server.activation, parameters) else {
        return false;
    };
    at_pointer(parameters, &activation.pointer) == Some(&activation.active)
}

/// Returns the result of turning the service off in this pass; `None` if that was not tried.
fn off_attempt<'a>(
    round: &Round<'a>,
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
) -> Option<&'a Sent> {
    let activation = server.activation.as_ref()?;
    let (name, key) = (&subscription.name, &activation.key);
    round.observations.sent(name, key, off_digest(activation))
}

fn off_digest(activation: &crate::delivery::resolve::instance::ResolvedActivation) -> Digest {
    digest(&("off", &activation.inactive))
}

fn turn_off(
    subscription: &ResolvedSubscription,
    server: &ResolvedServer,
    instance: crate::remote::InstanceKey,
) -> Action {
    let parameters = server.parameters(false);
    Action::Update {
        subscription: subscription.name.clone(),
        instance,
        to_plan: None,
        maintenance_version: None,
        context: server.context.clone(),
        digest: digest(&parameters),
        parameters,
        items: server
            .activation
            .iter()
            .map(|activation| CarriedItem {
                key: activation.key.clone(),
                digest: off_digest(activation),
            })
            .collect(),
    }
}
