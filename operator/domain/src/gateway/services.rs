//! The contracted services of a device (C3).
//!
//! Decides what a device sees of its subscriptions and in which state each is, by their revisions and
//! the proof in their status; never whether a service works. Called when a device asks for its services,
//! and while it waits for a change of them.

use std::sync::Arc;

use entente_crds::{
    condition::{ConditionType, Reason},
    v1alpha1::{ActivationState, Revision, ServiceSubscription, SmartService},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::activation::{DeviceFacts, missing, says};
use super::holders::Holders;
use crate::{
    condition::is_true,
    promise::{end_of, end_of_service, in_force, promises},
    time,
};

/// Time for which a service is listed after its end.
const LISTED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most services of a list.
const MOST: usize = 256;

/// The services of a device at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Services {
    services: Vec<Value>,
    /// The instant at which the list changes by itself, if nothing else changes it before.
    pub changes: Option<Timestamp>,
}

impl Services {
    /// Lists the services of these subscriptions on a device, ordered by their ids. `service` finds a
    /// SmartService.
    pub fn of(
        subscriptions: &[Arc<ServiceSubscription>],
        (service, device): (impl Fn(&str) -> Option<Arc<SmartService>>, &DeviceFacts<'_>),
        now: Timestamp,
    ) -> Self {
        let holders = Holders {
            holds: device.holds,
            subscriptions,
            service: &service,
            now,
        };
        let mut subscriptions: Vec<&ServiceSubscription> =
            subscriptions.iter().map(Arc::as_ref).collect();
        subscriptions.sort_by_key(|subscription| subscription.name_any());
        let mut changes: Option<Timestamp> = None;
        let mut services = Vec::new();
        for subscription in subscriptions {
            let Some(span) = Span::of(subscription, now) else {
                continue;
            };
            let ahead = span.boundaries().into_iter().filter(|it| *it > now);
            changes = ahead.chain(changes).min();
            if span.is_listed(now) && services.len() < MOST {
                let smart = service(&span.service);
                let state = if holders.serves_on(subscription) && !has_to_ask(subscription) {
                    "Active"
                } else {
                    state(subscription, &span, now)
                };
                let service = (smart.as_deref(), device);
                services.push(described(subscription, &span, service, state));
            }
        }
        Self { services, changes }
    }

    /// Returns the ETag of the list, in quotes.
    pub fn etag(&self) -> String {
        let digest = Sha256::digest(json!(self.services).to_string().as_bytes());
        format!("\"{}\"", hex::encode(&digest[..16]))
    }

    /// Returns the body of the answer. `next` is the time after which to call again.
    pub fn body(&self, next: &str) -> Value {
        json!({"services": self.services, "poll": {"next": next}})
    }
}

/// Times of a service, and its name.
struct Span {
    service: String,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Span {
    /// Returns that of the revision in force, else of the next one, else of the last one.
    fn of(subscription: &ServiceSubscription, now: Timestamp) -> Option<Self> {
        let revisions = &subscription.spec.revisions;
        let next = revisions.iter().filter(|it| it.effective > now);
        let next = next.min_by_key(|it| it.effective);
        let last = revisions.iter().max_by_key(|it| it.effective);
        let found = in_force(revisions, now);
        let revision = found.or_else(|| next.or(last).map(Arc::as_ref))?;
        let planned = end_of_service(subscription, revision);
        let ended = subscription.status.as_ref().and_then(|it| it.ended);
        // A revision that has ended before one that lies ahead was another service.
        let ended = ended.filter(|_| revision.effective <= now);
        let deleted = subscription.metadata.deletion_timestamp.as_ref();
        let deleted = deleted.map(|it| it.0);
        Some(Self {
            service: revision.service_ref.name.clone(),
            from: begin_of(subscription, revision),
            until: [planned, ended, deleted].into_iter().flatten().min(),
        })
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn unlisted(&self) -> Option<Timestamp> {
        let until = self.until?;
        Some(until.saturating_add(LISTED).unwrap_or(Timestamp::MAX))
    }

    fn is_listed(&self, now: Timestamp) -> bool {
        self.unlisted().is_none_or(|end| end > now)
    }

    fn boundaries(&self) -> Vec<Timestamp> {
        let ends = [Some(self.from), self.until, self.unlisted()];
        ends.into_iter().flatten().collect()
    }
}

/// Returns the instant at which the service began that a revision is a part of.
fn begin_of(subscription: &ServiceSubscription, revision: &Revision) -> Timestamp {
    let revisions = &subscription.spec.revisions;
    let mut begin = revision.effective;
    for _ in revisions {
        let mut before = revisions.iter().filter(|it| it.effective < begin);
        let Some(before) = before.find(|it| end_of(subscription, it) == Some(begin)) else {
            break;
        };
        begin = before.effective;
    }
    if revisions.iter().any(|it| it.effective < begin) {
        return begin;
    }
    // Entries that are over are dropped from the list; their promises stay longer.
    let promised = promises(subscription).iter().map(|it| it.effective);
    promised.chain([begin]).min().unwrap_or(begin)
}

fn described(
    subscription: &ServiceSubscription,
    span: &Span,
    (service, device): (Option<&SmartService>, &DeviceFacts<'_>),
    state: &str,
) -> Value {
    let zone = time::zone(&subscription.spec.time_zone).unwrap_or(TimeZone::UTC);
    let local = |instant: Timestamp| {
        let instant = instant.to_zoned(zone.clone());
        instant.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    };
    let description = service.and_then(|service| service.spec.description.clone());
    let applied = subscription.spec.contract.created;
    let missing = missing(subscription, (&span.service, service), device);
    json!({
        "applicationId": (state != "Cancelled").then(|| subscription.name_any()),
        "serviceId": span.service,
        "provider": service.map(|service| service.spec.provider.clone()).unwrap_or_default(),
        "description": description.unwrap_or_default(),
        "appliedOn": applied.to_zoned(zone.clone()).date().to_string(),
        "from": local(span.from),
        "until": span.until.map(local),
        "state": state,
        "activation": service.map(|service| service.spec.activation).unwrap_or_default(),
        "requires": requires(service, device.model),
        "missing": missing.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
    })
}

/// Returns the needs of a service on a device of a model.
fn requires(service: Option<&SmartService>, model: Option<&str>) -> Value {
    let side = service.and_then(|service| service.spec.device.as_ref());
    let models = side.map_or(&[][..], |side| &side.models);
    let of_model = models.iter().find(|it| Some(it.name.as_str()) == model);
    let applications = of_model.map_or(&[][..], |it| &it.applications);
    let software: Vec<Value> = applications
        .iter()
        .map(|it| json!({"name": it.name, "minimumVersion": it.version}))
        .collect();
    let data_types = side.map_or(&[][..], |side| &side.data_types);
    json!({
        "supplies": side.map_or(&[][..], |side| &side.supplies),
        "software": software,
        "dataTypes": data_types.iter().map(|it| &it.name).collect::<Vec<_>>(),
    })
}

fn state(subscription: &ServiceSubscription, span: &Span, now: Timestamp) -> &'static str {
    let status = subscription.status.as_ref();
    let activation = status.and_then(|status| status.activation.as_ref());
    match activation.map(|activation| activation.state) {
        _ if span.is_over(now) => "Cancelled",
        _ if span.from > now => "Scheduled",
        Some(ActivationState::Active) => "Active",
        Some(ActivationState::Pending) => "Pending",
        // An operator before this version has written the status.
        None if is_delivered(subscription) => "Active",
        Some(ActivationState::Inactive) | None => "Inactive",
    }
}

/// Returns the state of a service, as a device is told of it: Scheduled, Inactive, Pending, Active or
/// Cancelled.
pub fn state_of(subscription: &ServiceSubscription, now: Timestamp) -> &'static str {
    let span = Span::of(subscription, now);
    span.map_or("Cancelled", |span| state(subscription, &span, now))
}

/// Returns the name of the SmartService that a subscription is of now, else next, else was last.
pub fn service_of(subscription: &ServiceSubscription, now: Timestamp) -> Option<String> {
    Some(Span::of(subscription, now)?.service)
}

/// True if a subscription has begun and is not over.
pub(super) fn is_in_force(subscription: &ServiceSubscription, now: Timestamp) -> bool {
    let span = Span::of(subscription, now);
    span.is_some_and(|span| span.from <= now && !span.is_over(now))
}

/// Returns the instant at which a subscription has ended.
pub(crate) fn ended_at(subscription: &ServiceSubscription, now: Timestamp) -> Option<Timestamp> {
    let span = Span::of(subscription, now)?;
    span.until.filter(|until| *until <= now)
}

/// True if a service waits for a word of its device, which it would not send if the service were on.
fn has_to_ask(subscription: &ServiceSubscription) -> bool {
    says(subscription, &[Reason::WaitingForDevice])
}

/// True if every item of a subscription is proved to be in effect.
fn is_delivered(subscription: &ServiceSubscription) -> bool {
    let status = subscription.status.as_ref();
    status.is_some_and(|status| is_true(&status.conditions, ConditionType::Delivered))
}

#[cfg(test)]
mod tests;
