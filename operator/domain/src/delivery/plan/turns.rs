//! Plan: a change of provider in an exclusive group, by one write between two sets of requests (C11).
//!
//! The one that comes is set up and proved up to its activation; then the switch is written; then it
//! is activated, and only then is the other one withdrawn. Called by plan for each subscription that
//! has a part in it.

use std::collections::BTreeMap;

use entente_crds::{
    condition::Reason,
    v1alpha1::{ItemState, StepType},
};
use jiff::Timestamp;

use crate::delivery::{
    Action, Blocked, DeviceSnapshot, Exchange, Intent, Plan, ResolvedStep, ResolvedSubscription,
    Turn, Verified,
    model::backoffs::BackoffKey,
    plan::round::Round,
    plan::withdraw::{Withdrawal, Withdrawing},
    verify::VerifiedItem,
};

use crate::names::SubscriptionName;
use crate::reasons::Side;

/// Returns the words for the one that serves until the switch.
pub(in crate::delivery) fn told(serving: &SubscriptionName) -> String {
    if serving.is_leaving() {
        "the service before".to_owned()
    } else {
        format!("the subscription {serving}")
    }
}

/// True if all of a step is in effect but for what waits for the switch, and for what somebody has changed
/// and is left so.
pub(in crate::delivery) fn is_done(
    subscription: &ResolvedSubscription,
    step: &ResolvedStep,
    verified: &Verified,
) -> bool {
    !verified.requires(step.r#type)
        || step.items.iter().all(|item| {
            let proved = verified.item(&item.key);
            let waits = subscription.comes() && item.moves_with_the_switch();
            waits || proved.is_none_or(VerifiedItem::is_done)
        })
}

/// True if a step begins only after the switch.
pub(in crate::delivery) fn is_after_the_switch(
    subscription: &ResolvedSubscription,
    step: StepType,
) -> bool {
    subscription.comes() && matches!(step, StepType::Activation | StepType::Acceptance)
}

/// Plans the switch to a subscription that is set up but for its activation.
pub(super) fn switch(round: &Round<'_>, subscription: &ResolvedSubscription, plan: &mut Plan) {
    let Some(Turn::Comes { group, .. }) = &subscription.turn else {
        return;
    };
    let key = BackoffKey::server(&subscription.name);
    if round.pending(&key).is_some() || !round.may_be_written(&subscription.name) {
        plan.wait(&subscription.name, is_to_be_switched());
        return;
    }
    plan.once(Action::Switch {
        group: group.clone(),
        to: subscription.name.clone(),
    });
}

fn is_to_be_switched() -> Blocked {
    let message = "everything but the activation is in effect; that it takes the place of the service \
                   before could not be written to the Device yet";
    Blocked::new(Reason::HandingOver, message.to_owned()).on(Side::Server)
}

/// Plans the exchange of the instance in status; true if nothing else may be planned.
pub(super) fn exchange(
    round: &Round<'_>,
    subscription: &ResolvedSubscription,
    plan: &mut Plan,
) -> bool {
    let name = &subscription.name;
    let (is_due, why_not) = match &subscription.exchange {
        None => return false,
        Some(Exchange::Waits) => (
            is_left_behind(round, name),
            "the instance of the service before the present one is being removed; the next one is \
             set up after that",
        ),
        Some(Exchange::Leaves { .. } | Exchange::Returns) => (
            round.may_be_written(name),
            "the instance of the service before could not be set aside in status yet",
        ),
    };
    if is_due {
        plan.actions.push(Action::RecordInstance {
            subscription: name.clone(),
        });
    } else {
        let wait = Blocked::new(Reason::HandingOver, why_not.to_owned());
        plan.wait(name, wait.on(Side::Server));
    }
    true
}

/// True if nothing is left to be done with the instance that a subscription leaves, so that the status
/// may forget it.
fn is_left_behind(round: &Round<'_>, name: &SubscriptionName) -> bool {
    let left = round.resolved.subscription(&name.leaving());
    let may_be_written = round.may_be_written(name);
    may_be_written
        && left
            .and_then(|left| round.withdrawing(left))
            .is_some_and(|left| is_over(&left))
}

/// True if the withdrawal of an instance is over: it is gone, or its Connection has it.
pub(in crate::delivery) fn is_over(left: &Withdrawing<'_>) -> bool {
    let recorded = left.observations.of(&left.subscription.name);
    let recorded = recorded.recorded.as_ref();
    let is_taken = |id: &String| left.snapshot.orphans_taken_over.contains(id);
    match left.subscription.intent {
        // It is left alone, as the instance of its subscription is.
        Intent::Detach => return true,
        Intent::Withdraw { .. } => {}
        Intent::Scheduled { .. } | Intent::SetUp | Intent::Suspended => return false,
    }
    match left.state() {
        Withdrawal::Released => true,
        Withdrawal::Abandoned => recorded.is_none_or(|recorded| is_taken(&recorded.instance_id)),
        Withdrawal::UnderWay => false,
    }
}

/// Returns the wait of a subscription whose place another one has taken: for the instant at which that
/// one begins to act, and for its activation. A withdrawal that has begun goes on.
pub(in crate::delivery) fn awaits_the_other(
    snapshot: &DeviceSnapshot,
    verified: &BTreeMap<SubscriptionName, Verified>,
    subscription: &ResolvedSubscription,
    now: Timestamp,
) -> Option<Blocked> {
    let Some(Turn::Leaves { to, moved: true }) = &subscription.turn else {
        return None;
    };
    let object = snapshot.subscription(&subscription.name);
    let status = object.and_then(|object| object.status.as_ref());
    let has_begun = status.is_some_and(|status| status.ended.is_some());
    if has_begun {
        return None;
    }
    if !verified.get(to).is_some_and(is_activated) {
        let message = format!("{} takes its place and is not activated yet", to.object());
        return Some(Blocked::new(Reason::HandingOver, message));
    }
    let device = snapshot.device.as_ref()?.status.as_ref()?;
    let mut holds = device.exclusive.iter();
    let hold = holds.find(|hold| *hold.holder == *to.object() && hold.since > now)?;
    let message = format!("{} takes its place at {}", to.object(), hold.since);
    Some(Blocked::until(Reason::HandingOver, message, hold.since))
}

/// True if a subscription is activated; if its service has no activation, if all but its check is in
/// effect.
pub(in crate::delivery) fn is_activated(verified: &Verified) -> bool {
    if verified.is_off {
        return false;
    }
    let mut activation = verified.of_step(StepType::Activation).peekable();
    if activation.peek().is_some() {
        activation.all(|item| item.state == ItemState::Effective)
    } else {
        verified.set_up_since().is_some()
    }
}
