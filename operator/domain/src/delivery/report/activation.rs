//! Report: whether a service is on, and which leg of its activation is missing (C5, C6).
//!
//! A service is on once everything before its activation is in effect and the service server has turned
//! it on; a later problem with one of its settings does not turn it off. Called by the report of a
//! subscription.

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{ActivationState, ItemState, StepType, SubscriptionActivation},
};

use crate::condition::{ConditionSet, Status, sentence};
use crate::delivery::{
    Blocked, Intent, Turn,
    plan::{is_preempted, turns::told},
    report::Report,
    verify::VerifiedItem,
};

impl Report<'_> {
    /// Returns the activation for the status; `None` before the service begins.
    pub(super) fn activation(
        &self,
        previous: Option<&SubscriptionActivation>,
    ) -> Option<SubscriptionActivation> {
        let has_begun =
            previous.is_some() || !matches!(self.subscription.intent, Intent::Scheduled { .. });
        let state = self.activation_state(previous);
        let since = previous.filter(|previous| previous.state == state);
        has_begun.then(|| SubscriptionActivation {
            state,
            since: since.map_or(self.now, |previous| previous.since),
        })
    }

    fn activation_state(&self, previous: Option<&SubscriptionActivation>) -> ActivationState {
        let was = previous.map_or(ActivationState::Inactive, |it| it.state);
        let subscription = self.subscription;
        let refused = subscription.refused.as_ref();
        let is_suspended = subscription.intent == Intent::Suspended;
        let is_in_force = is_suspended || self.in_force();
        if !is_in_force || subscription.is_off() || refused.is_some_and(is_preempted) {
            return ActivationState::Inactive;
        }
        match was {
            // It is left as it is.
            ActivationState::Active if is_suspended || refused.is_some() => ActivationState::Active,
            _ if is_suspended || refused.is_some() || subscription.comes() => {
                ActivationState::Inactive
            }
            ActivationState::Active if !self.is_turned_off() => ActivationState::Active,
            ActivationState::Inactive if !self.is_set_up_before_activation() => {
                ActivationState::Inactive
            }
            _ if self.is_turned_on() => ActivationState::Active,
            _ => ActivationState::Pending,
        }
    }

    /// True if all that comes before the activation is in effect.
    fn is_set_up_before_activation(&self) -> bool {
        let mut before = self
            .verified
            .required()
            .filter(|item| !matches!(item.step, StepType::Activation | StepType::Acceptance));
        before.all(VerifiedItem::is_done)
    }

    /// True if the service server has turned it on, where it has to.
    fn is_turned_on(&self) -> bool {
        let mut items = self.verified.of_step(StepType::Activation);
        items.all(|item| item.state == ItemState::Effective)
    }

    /// True if the service server was read, and does not have it turned on. While that is not known, as
    /// during an update of other values, a service that was on counts as on.
    fn is_turned_off(&self) -> bool {
        let mut items = self.verified.of_step(StepType::Activation);
        items.any(|item| item.state == ItemState::NotEffective)
    }

    /// States whether the service is on.
    pub(super) fn activated(
        &self,
        set: ConditionSet,
        activation: Option<&SubscriptionActivation>,
        blocked: Option<&Blocked>,
    ) -> ConditionSet {
        let state = activation.map_or(ActivationState::Inactive, |it| it.state);
        let status = match state {
            ActivationState::Active => Status::True,
            ActivationState::Pending | ActivationState::Inactive => Status::False,
        };
        let (reason, message) = match state {
            ActivationState::Active => (Reason::Active, "The service is on.".to_owned()),
            ActivationState::Pending => (Reason::ProviderPending, provider_pending(blocked)),
            ActivationState::Inactive => self.why_inactive(),
        };
        set.with(ConditionType::Activated, status, reason, message)
    }

    fn why_inactive(&self) -> (Reason, String) {
        let subscription = self.subscription;
        let not_in_force = |message: &str| (Reason::NotInForce, message.to_owned());
        match &subscription.intent {
            Intent::Scheduled { .. } => return not_in_force("The start lies ahead."),
            Intent::Withdraw { .. } | Intent::Detach => {
                return not_in_force("The service has ended.");
            }
            Intent::SetUp | Intent::Suspended => {}
        }
        if let Some(refused) = subscription.refused.as_ref().filter(|it| is_preempted(it)) {
            return (Reason::ExclusiveGroupHeld, sentence(&refused.message));
        }
        if !subscription.missing_legs.is_empty() {
            let legs = subscription.missing_legs.iter();
            let messages: Vec<&str> = legs.map(|leg| leg.message.as_str()).collect();
            return (
                subscription.missing_legs[0].reason,
                sentence(&messages.join("; ")),
            );
        }
        if subscription.intent == Intent::Suspended {
            return not_in_force("Suspended before it was on.");
        }
        match (&subscription.turn, &subscription.refused) {
            (Some(Turn::Comes { from, .. }), None) => {
                let serving = told(from);
                let message = format!("{serving} serves until the switch");
                (Reason::ExclusiveGroupHeld, sentence(&message))
            }
            (_, Some(refused)) => (Reason::Waiting, sentence(&refused.message)),
            (_, None) => (Reason::Waiting, self.progress()),
        }
    }
}

/// Returns the words for a service of which only the answer of its server is missing.
fn provider_pending(blocked: Option<&Blocked>) -> String {
    let waits = "everything is there but the answer of the service server that it is on";
    match blocked {
        Some(blocked) => sentence(&format!("{waits}: {}", blocked.message)),
        None => sentence(waits),
    }
}
