//! The service that still acts for an exclusive group while another one is to take its place (C11).
//!
//! `status.exclusive` of the Device says who acts; the dates say who should. Between both lies a change of
//! provider: the one before serves until the switch, whatever its dates say. Decides nothing else. Called
//! for the list of services and before events are forwarded.

use std::sync::Arc;

use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{ActivationState, ExclusiveHold, ServiceSubscription, SmartService};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::activation::says;
use super::services::{is_in_force, service_of};

/// The holders of the exclusive groups of a device, and its subscriptions.
pub(super) struct Holders<'a, S> {
    /// The entries of the Device.
    pub(super) holds: &'a [ExclusiveHold],
    /// Its subscriptions.
    pub(super) subscriptions: &'a [Arc<ServiceSubscription>],
    /// Finds a SmartService by its name.
    pub(super) service: &'a S,
    /// Instant of the decision.
    pub(super) now: Timestamp,
}

impl<S: Fn(&str) -> Option<Arc<SmartService>>> Holders<'_, S> {
    /// True if a subscription serves although it has ended, or with the service that it had before: the
    /// one that takes its place is not set up yet.
    pub(super) fn serves_on(&self, subscription: &ServiceSubscription) -> bool {
        let name = subscription.name_any();
        let mut holds = self.holds.iter().filter(|hold| hold.holder == name);
        holds.any(|hold| {
            if is_in_force(subscription, self.now) {
                self.serves_with_the_service_before(subscription, hold)
            } else {
                self.serves_until_the_next(subscription, hold)
            }
        })
    }

    fn serves_with_the_service_before(
        &self,
        subscription: &ServiceSubscription,
        hold: &ExclusiveHold,
    ) -> bool {
        let acts = hold.service.as_ref();
        let wanted = service_of(subscription, self.now);
        let is_another = acts.is_some_and(|acts| Some(acts) != wanted.as_ref());
        let is_ended = says(
            subscription,
            &[Reason::DisabledLocally, Reason::ConsentWithdrawn],
        );
        is_another && !is_ended
    }

    fn serves_until_the_next(
        &self,
        subscription: &ServiceSubscription,
        hold: &ExclusiveHold,
    ) -> bool {
        let status = subscription.status.as_ref();
        let activation = status.and_then(|status| status.activation.as_ref());
        let is_on = activation.is_some_and(|it| it.state == ActivationState::Active);
        let has_ended = status.is_none_or(|status| status.ended.is_some());
        let name = subscription.name_any();
        let mut others = self.subscriptions.iter().filter(|it| it.name_any() != name);
        let is_followed = others.any(|it| {
            let service = service_of(it, self.now).and_then(|name| (self.service)(&name));
            let group = service.and_then(|it| it.spec.exclusive_group.clone());
            group.as_ref() == Some(&hold.group) && is_in_force(it, self.now)
        });
        is_on && !has_ended && is_followed
    }
}

#[cfg(test)]
mod tests;
