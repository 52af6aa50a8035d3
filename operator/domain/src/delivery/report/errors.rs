//! Report: the errors of a device, the orders that follow, and the condition Faulted.
//!
//! Without a status report in this pass everything stays as it was, but for what is known of the orders and
//! for errors that the model has no more.

use std::collections::BTreeSet;

use entente_crds::{
    condition::ConditionType,
    v1alpha1::{DeviceError, DeviceModelSpec, DeviceStatus, DeviceTwin, ErrorState},
};
use jiff::Timestamp;

use super::device::Report;
use crate::condition::{ConditionSet, Status, find};
use crate::delivery::twin::{past_reports, replaced, status_report};
use crate::delivery::{Intent, ResolvedSubscription};
use crate::errors::{OrderFacts, Provider, Sightings, decide, faulted, note_replaced, track};
use crate::protocol::{is_asked_for_status, reports_status};
use crate::remote::StatusReport;

impl Report<'_> {
    /// Returns the errors of the device after this pass.
    pub(super) fn errors(
        &self,
        previous: &DeviceStatus,
        look: Option<&Sightings<'_>>,
    ) -> Vec<DeviceError> {
        let Some(model) = self.snapshot.model.as_deref() else {
            return previous.errors.clone();
        };
        let before = self.after_the_past(&previous.errors, &model.spec);
        let mut tracked = track(&before, &model.spec, look, self.now);
        for (supply, at) in self.replaced_by_twin() {
            note_replaced(&mut tracked, supply, at);
        }
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
            now: self.now,
        };
        decide(&tracked, &facts)
    }

    /// Returns the status reports of this pass: those that were asked for, and the one in the twin, which is
    /// there without a request. Where no connection is left that reports, the look at the device that nobody
    /// can have: what it reported before is over then, unless its Site is missing, which may have one.
    pub(super) fn look<'r>(&'r self, by_twin: Option<&'r StatusReport>) -> Option<Sightings<'r>> {
        let sources = self.sources();
        let asked = self.observations.status.answered();
        let by_twin = self.caller().zip(by_twin);
        let can_have_none = sources.is_empty() && !self.snapshot.awaits_its_connections();
        let is_known = by_twin.is_some() || can_have_none;
        let asked = asked.or_else(|| is_known.then(|| (Vec::new(), self.now)));
        let (mut reports, at) = asked?;
        reports.extend(by_twin);
        Some(Sightings {
            reports,
            sources,
            caller: self.caller(),
            at,
        })
    }

    /// Returns the connections by which the device may report its status. Of one that cannot be read nobody
    /// knows that it may not.
    fn sources(&self) -> BTreeSet<&str> {
        let names = self
            .device
            .spec
            .connections
            .iter()
            .map(|it| it.name.as_str());
        let may_report = |name: &&str| {
            let spec = self.snapshot.connections.get(*name);
            spec.is_none_or(|it| reports_status(&it.spec))
        };
        names.filter(may_report).collect()
    }

    /// Returns the connection by which the device calls.
    fn caller(&self) -> Option<&str> {
        let mut connections = self.resolved.connections.iter();
        connections.find(|it| it.is_called()).map(|it| &*it.name)
    }

    /// Returns the errors after what the twin tells of the time since they were written: the device may have
    /// been away, and so may the operator.
    fn after_the_past(&self, before: &[DeviceError], model: &DeviceModelSpec) -> Vec<DeviceError> {
        let mut errors = before.to_vec();
        let Some((twin, caller)) = self.twin().zip(self.caller()) else {
            return errors;
        };
        let known = before.iter().flat_map(|error| {
            let instants = [Some(error.since), error.until, error.gone, error.reported];
            instants.into_iter().flatten()
        });
        let known = known.max().unwrap_or(Timestamp::MIN);
        for (at, report) in past_reports(twin, self.device, (known, self.now)) {
            let look = Sightings {
                reports: vec![(caller, &report)],
                sources: self.sources(),
                caller: Some(caller),
                at,
            };
            let tracked = track(&errors, model, Some(&look), at);
            errors = tracked.into_iter().map(|it| it.error).collect();
        }
        errors
    }

    /// Returns the status report of a device that calls, unless it is left alone.
    pub(super) fn reported_by_twin(&self) -> Option<StatusReport> {
        status_report(self.twin()?, self.device)
    }

    fn replaced_by_twin(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let twins = self.twin().into_iter();
        twins.flat_map(|twin| replaced(twin, self.device))
    }

    /// Returns the twin of a device that calls and that the operator may look at.
    fn twin(&self) -> Option<&DeviceTwin> {
        let is_called = self.caller().is_some();
        let twin = self.snapshot.twin.as_deref();
        twin.filter(|_| is_called && !self.device.spec.suspend)
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
    pub(super) fn faulted(&self, set: ConditionSet, look: Option<&Sightings<'_>>) -> ConditionSet {
        let condition = ConditionType::Faulted;
        let reports = look.iter().flat_map(|look| &look.reports);
        let reports: Vec<&StatusReport> = reports.map(|(_, report)| *report).collect();
        if let Some((reason, message)) = faulted(&reports) {
            return set.with(condition, Status::True, reason, message);
        }
        let previous = self.device.status.as_ref();
        let known = previous.and_then(|status| find(&status.conditions, condition));
        let can_be_told = look.is_none_or(|look| !look.sources.is_empty());
        // Nobody said that it is over.
        let is_open = reports.is_empty() && can_be_told
            || reports.iter().any(|it| it.is_partial)
            || look.is_some_and(|look| self.is_not_asked(look))
            || previous.is_some_and(|status| is_told_elsewhere(&status.errors, look));
        match known.filter(|_| is_open) {
            Some(_) => set.keep(condition),
            None => set,
        }
    }

    /// True if a connection was not asked in this pass, and answered when it was asked last: a device that calls
    /// is heard in each pass, and the others are not.
    fn is_not_asked(&self, look: &Sightings<'_>) -> bool {
        let mut usable = self
            .resolved
            .connections
            .iter()
            .filter(|it| it.endpoint.is_ok());
        usable.any(|it| {
            let spec = self.snapshot.connections.get(&it.name);
            let is_asked = spec.is_some_and(|it| is_asked_for_status(&it.spec));
            let was_asked = self.observations.status.report(&it.name).is_some();
            is_asked && !was_asked && look.caller.is_some() && self.faults.of(&it.name).is_none()
        })
    }
}

/// True if an error is open by the word of a connection that said nothing now.
fn is_told_elsewhere(errors: &[DeviceError], look: Option<&Sightings<'_>>) -> bool {
    let Some(look) = look else { return false };
    let is_unheard = |name: &str| {
        let mut reports = look.reports.iter();
        look.sources.contains(name) && !reports.any(|(source, _)| *source == name)
    };
    let open = errors.iter().filter(|it| it.state == ErrorState::Open);
    let mut names = open.flat_map(|error| &error.reported_by);
    names.any(|name| is_unheard(name))
}
