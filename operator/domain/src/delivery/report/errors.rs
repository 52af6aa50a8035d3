//! Report: the errors of a device, the orders that follow, and the condition Faulted.
//!
//! Without a status report in this pass everything stays as it was, but for what is known of the orders.

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{DeviceError, DeviceStatus},
};

use super::device::Report;
use crate::condition::{ConditionSet, Status, find};
use crate::delivery::{Intent, ResolvedSubscription};
use crate::errors::{OrderFacts, Provider, Sightings, decide, faulted, track};

impl Report<'_> {
    /// Returns the errors of the device after this pass.
    pub(super) fn errors(&self, previous: &DeviceStatus) -> Vec<DeviceError> {
        let Some(model) = self.snapshot.model.as_deref() else {
            return previous.errors.clone();
        };
        let look = self.observations.status.answered();
        let look = look.map(|(reports, at)| Sightings { reports, at });
        let tracked = track(&previous.errors, &model.spec, look.as_ref());
        let providers: Vec<Provider> = self.providers().collect();
        let orders_supplies = |service: &str| {
            let service = self.snapshot.services.get(service);
            service.is_some_and(|service| service.spec.orders.is_some())
        };
        let facts = OrderFacts {
            device: &self.snapshot.device_name,
            model: &model.spec,
            providers: &providers,
            orders_supplies: &orders_supplies,
            holds: &previous.exclusive,
            orders: &self.snapshot.supply_orders,
        };
        decide(&tracked, &facts)
    }

    /// Returns the services in force that order supplies, in order of precedence.
    fn providers(&self) -> impl Iterator<Item = Provider> {
        let acts = |subscription: &&ResolvedSubscription| {
            subscription.intent == Intent::SetUp
                && subscription.refused.is_none()
                && subscription.missing_legs.is_empty()
        };
        let subscriptions = self.resolved.subscriptions.iter().filter(acts);
        subscriptions.filter_map(|subscription| {
            let revision = subscription.revision.as_ref()?;
            let object = self.snapshot.subscription(&subscription.name)?;
            let mut revisions = object.spec.revisions.iter();
            let current = revisions.find(|it| it.effective == revision.effective)?;
            let service = &current.service_ref.name;
            let spec = &self.snapshot.services.get(service)?.spec;
            spec.orders.as_ref()?;
            Some(Provider {
                subscription: subscription.name.to_string(),
                service: service.clone(),
                group: spec.exclusive_group.clone(),
            })
        })
    }

    /// Adds the condition Faulted while the device reports an error.
    pub(super) fn faulted(&self, set: ConditionSet) -> ConditionSet {
        let condition = ConditionType::Faulted;
        let previous = self.device.status.as_ref();
        let Some((reports, _)) = self.observations.status.answered() else {
            let known = previous.and_then(|status| find(&status.conditions, condition));
            return match known {
                Some(_) => set.keep(condition),
                None => set,
            };
        };
        match faulted(&reports) {
            Some((reason, message)) => set.with(condition, Status::True, reason, message),
            None => set,
        }
    }
}
