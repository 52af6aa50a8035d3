//! Plan: an instance is handed over to the subscription that succeeds, by two writes before any
//! request: the successor has it, then the other one forgets it.
//!
//! A crash between the two leaves both with it, and none of them without: the successor is in force,
//! and the other one removes nothing. Called by plan before everything else, and by the withdrawal
//! once the instance is turned off.

use entente_crds::{
    condition::Reason,
    item_key::ItemKind,
    v1alpha1::{Item, ItemState, ServiceSubscriptionStatus},
};

use crate::delivery::{
    Action, Blocked, DeviceSnapshot, HandedTo, Observations, Plan, ResolvedSubscription,
    model::backoffs::BackoffKey,
    observations::record::{has_instance, may_exist},
    plan::round::Round,
};
use crate::names::SubscriptionName;
use crate::reasons::Side;

/// State of a hand-over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::delivery) enum HandOver {
    /// Nothing may exist that could be handed over.
    NothingIsThere,
    /// The successor has to take it over.
    Takes,
    /// The successor has it, and the other one has to forget it.
    Forgets,
    /// The successor alone has it.
    Done,
}

/// Returns the state of the hand-over of a subscription's instance.
pub(in crate::delivery) fn hand_over_of(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
    observations: &Observations,
) -> HandOver {
    let Some(handed) = &subscription.handed_to else {
        return HandOver::NothingIsThere;
    };
    let has = |name| snapshot.subscription(name).is_some_and(has_instance);
    let recorded = observations.of(&subscription.name).recorded.as_ref();
    match (has(&handed.heir), has(&subscription.name)) {
        (true, true) => HandOver::Forgets,
        (true, false) => HandOver::Done,
        (false, _) if recorded.is_some_and(may_exist) => HandOver::Takes,
        (false, _) if has_more_proofs(snapshot, subscription, observations, &handed.heir) => {
            HandOver::Takes
        }
        (false, _) => HandOver::NothingIsThere,
    }
}

/// True if something was proved of the device of which the status of the successor has nothing yet.
fn has_more_proofs(
    snapshot: &DeviceSnapshot,
    subscription: &ResolvedSubscription,
    observations: &Observations,
    heir: &SubscriptionName,
) -> bool {
    let heir = snapshot.subscription(heir);
    let known = heir.and_then(|heir| heir.status.as_ref());
    let is_new = |item: &Item| {
        let mut known = known.into_iter().flat_map(|status| &status.items);
        let own = known.find(|own| own.key == item.key);
        item.key.kind().is_some_and(ItemKind::stays_with_the_device)
            && own.is_none_or(|own| is_proved_by(own, item))
    };
    still_proved(snapshot, subscription, observations)
        .is_some_and(|status| status.items.iter().any(is_new))
}

/// True if another subscription has proved the value that this item wants, and this one has not.
pub(in crate::delivery) fn is_proved_by(own: &Item, item: &Item) -> bool {
    let is_same = own.desired_digest == item.desired_digest;
    is_same && own.state != ItemState::Effective && item.state == ItemState::Effective
}

/// Returns the status of a subscription that gives its instance to one in force, if what was proved
/// then still is in effect: nobody stopped to keep it so, and nothing was sent since.
pub(in crate::delivery) fn still_proved<'a>(
    snapshot: &'a DeviceSnapshot,
    subscription: &ResolvedSubscription,
    observations: &Observations,
) -> Option<&'a ServiceSubscriptionStatus> {
    let status = snapshot.subscription(&subscription.name)?.status.as_ref()?;
    let goes_on = subscription.handed_to.as_ref().is_some_and(|it| it.goes_on);
    let is_kept = !status.unattended && status.ended.is_none();
    let is_told = observations.of(&subscription.name).sent.is_empty();
    (goes_on && is_kept && is_told).then_some(status)
}

/// Plans the next write of every hand-over to a subscription that is in force.
pub(super) fn hand_over(round: &Round<'_>, plan: &mut Plan) {
    for subscription in &round.resolved.subscriptions {
        let Some(handed) = &subscription.handed_to else {
            continue;
        };
        match hand_over_of(round.snapshot, subscription, round.observations) {
            HandOver::Takes if handed.goes_on => take_over(round, subscription, plan),
            HandOver::Forgets if round.may_be_written(&subscription.name) => {
                plan.actions.push(Action::RecordInstance {
                    subscription: subscription.name.clone(),
                });
            }
            HandOver::NothingIsThere | HandOver::Takes | HandOver::Forgets | HandOver::Done => {}
        }
    }
}

/// True if the instance of a subscription has to be taken over by another one, instead of being
/// removed.
pub(super) fn is_to_be_taken(round: &Round<'_>, subscription: &ResolvedSubscription) -> bool {
    hand_over_of(round.snapshot, subscription, round.observations) == HandOver::Takes
}

/// Plans that the successor takes over the instance of a subscription.
pub(super) fn take_over(round: &Round<'_>, subscription: &ResolvedSubscription, plan: &mut Plan) {
    let Some(HandedTo { heir, .. }) = &subscription.handed_to else {
        return;
    };
    let is_pending = round.pending(&BackoffKey::server(heir)).is_some();
    // One has it, also where several gave it away before the operator was killed.
    let takes = |action: &Action| matches!(action, Action::TakeOver { subscription, .. } if subscription == heir);
    if is_pending || !round.may_be_written(heir) {
        plan.wait(&subscription.name, is_handed_over());
    } else if !plan.actions.iter().any(takes) {
        plan.actions.push(Action::TakeOver {
            subscription: heir.clone(),
            from: subscription.name.clone(),
        });
    }
}

/// Returns the wait of a subscription that another one hands its instance to: nothing is sent for it
/// before both are written.
pub(super) fn awaited(round: &Round<'_>, subscription: &ResolvedSubscription) -> Option<Blocked> {
    let mut others = round.resolved.subscriptions.iter();
    let is_awaited = others.any(|other| {
        let handed = other.handed_to.as_ref();
        let state = hand_over_of(round.snapshot, other, round.observations);
        handed.is_some_and(|handed| handed.heir == subscription.name)
            && matches!(state, HandOver::Takes | HandOver::Forgets)
    });
    is_awaited.then(is_handed_over)
}

/// Returns the wait while an instance is handed over.
pub(super) fn is_handed_over() -> Blocked {
    let message = "the instance on the service server is handed over from one contract to the one \
                   that succeeds it";
    Blocked {
        side: Some(Side::Server),
        ..Blocked::new(Reason::HandingOver, message.to_owned())
    }
}

impl Round<'_> {
    /// True if no write of this subscription failed in this pass.
    pub(super) fn may_be_written(&self, subscription: &SubscriptionName) -> bool {
        self.observations.of(subscription).problem.is_none()
    }
}
