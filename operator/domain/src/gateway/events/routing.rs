//! The providers of a device, and the events that each of them gets.
//!
//! An event goes to the services that want its kind and are on, and to nobody else; a provider with
//! several such services behind one inbox gets it once. Decides nothing of its content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entente_crds::condition::{ConditionType, Reason};
use entente_crds::v1alpha1::{
    ActivationMode, ActivationState, Device, DeviceTwin, ServiceSubscription, SmartService,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Batch, Event, Refusal, SPECVERSION, source_of};
use crate::condition::find;
use crate::gateway::services::{service_of, state_of};
use crate::gateway::texts::EVENT_TYPES;

/// Objects that say who gets what.
#[derive(Clone, Copy)]
pub struct Knowledge<'a, S> {
    /// The twin of the device.
    pub twin: &'a DeviceTwin,
    /// The Device.
    pub device: Option<&'a Device>,
    /// Its subscriptions.
    pub subscriptions: &'a [Arc<ServiceSubscription>],
    /// Finds a SmartService by its name.
    pub service: S,
    /// Instant of the decision.
    pub now: Timestamp,
}

/// Place to which a provider has its events sent.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Inbox {
    /// Name of the Connection.
    pub connection: String,
    /// Path after its URL.
    pub path: String,
}

/// A service of the device that gets events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recipient {
    /// Name of its subscription.
    pub application_id: String,
    /// Inbox of its provider.
    pub inbox: Inbox,
    /// True if it is off, and data of the device turn it on (C12).
    pub is_awaiting: bool,
    kinds: BTreeSet<String>,
}

impl<S: Fn(&str) -> Option<Arc<SmartService>>> Knowledge<'_, S> {
    /// Returns the services that get events, ordered by their ids: those that are on, and those that are
    /// off for want of data alone.
    pub fn recipients(&self) -> Vec<Recipient> {
        let mut all: Vec<Recipient> = self
            .subscriptions
            .iter()
            .filter_map(|subscription| self.recipient(subscription))
            .collect();
        all.sort_by(|one, other| one.application_id.cmp(&other.application_id));
        all
    }

    fn recipient(&self, subscription: &ServiceSubscription) -> Option<Recipient> {
        let application_id = subscription.name_any();
        let name = service_of(subscription, self.now)?;
        let service = (self.service)(&name)?;
        let data = service.spec.data.as_ref()?;
        if self.is_switched_off(&application_id, &name) {
            return None;
        }
        let is_on = self.is_on(subscription);
        let is_awaiting = !is_on && self.is_awaiting(subscription, service.spec.activation);
        let kinds = self.twin.spec.data_types.iter();
        let kinds = kinds.filter(|kind| kind.wanted_by.contains(&application_id));
        let kinds = kinds.map(|kind| kind.name.clone()).collect();
        (is_on || is_awaiting).then(|| Recipient {
            kinds,
            inbox: Inbox {
                connection: data.connection_ref.name.clone(),
                path: data.path.clone(),
            },
            is_awaiting,
            application_id,
        })
    }

    /// True if data of the device are all that a service waits for, or were and the service server has
    /// not turned it on yet.
    fn is_awaiting(&self, subscription: &ServiceSubscription, mode: ActivationMode) -> bool {
        let status = subscription.status.as_ref();
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        let said = find(conditions, ConditionType::Activated);
        let says = |reason: Reason| said.is_some_and(|it| it.reason == reason.as_str());
        let id = subscription.name_any();
        let local = self.twin.status.as_ref().map_or(&[][..], |it| &it.local);
        let has_begun = local.iter().any(|it| it.application_id == id && it.enabled);
        let goes_on = says(Reason::Waiting) || says(Reason::ProviderPending);
        let is_in_force = ["Inactive", "Pending"].contains(&state_of(subscription, self.now));
        mode == ActivationMode::ByFirstData
            && is_in_force
            && (says(Reason::WaitingForDevice) || has_begun && goes_on)
    }

    /// True if a service is on, by its subscription, and in force at this very instant.
    fn is_on(&self, subscription: &ServiceSubscription) -> bool {
        let status = subscription.status.as_ref();
        let activation = status.and_then(|status| status.activation.as_ref());
        activation.is_some_and(|it| it.state == ActivationState::Active)
            && state_of(subscription, self.now) == "Active"
    }

    /// True if the device has switched a service off, or says that it cannot do it, whether or not the
    /// operator has seen that. A word at the panel that a later one of the operator has overruled counts
    /// no more.
    fn is_switched_off(&self, application_id: &str, service: &str) -> bool {
        let status = self.twin.status.as_ref();
        let mut local = status.into_iter().flat_map(|it| &it.local);
        let Some(said) = local.find(|it| it.application_id == application_id) else {
            return false;
        };
        let switches = self.device.and_then(|device| device.status.as_ref());
        let mut switches = switches.into_iter().flat_map(|it| &it.local_enablement);
        let switch = switches.find(|it| it.service == service);
        let is_overruled = switch.is_some_and(|it| it.enabled && it.heard == Some(said.at));
        !said.unsupported.is_empty() || !said.enabled && !is_overruled
    }
}

/// An event on its way to a provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// Its places in the batch of the device: one, unless the device has it there several times.
    pub places: Vec<usize>,
    /// Its id.
    pub id: String,
    /// The event in JSON.
    pub text: String,
}

/// The events of a batch for one inbox, in the order of the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The inbox.
    pub inbox: Inbox,
    /// The events, each once.
    pub events: Vec<Outgoing>,
}

/// The ways of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// The events for each inbox, ordered by inbox.
    pub deliveries: Vec<Delivery>,
    /// The events that nobody asked for, by their places.
    pub refused: Vec<(usize, Refusal)>,
}

impl Delivery {
    /// Returns the body of one request with these events.
    pub fn body<'e>(events: impl IntoIterator<Item = &'e Outgoing>) -> String {
        let texts: Vec<&str> = events.into_iter().map(|it| it.text.as_str()).collect();
        format!("[{}]", texts.join(","))
    }
}

impl Batch {
    /// Returns the ids of the services that this batch turns on: those that are off for want of data, and
    /// have some here.
    pub fn first_data(&self, recipients: &[Recipient]) -> Vec<String> {
        let awaiting = recipients.iter().filter(|it| it.is_awaiting);
        let concerned = awaiting.filter(|it| self.events.iter().any(|event| event.is_for(it)));
        concerned.map(|it| it.application_id.clone()).collect()
    }

    /// Returns the ways of a batch: an event with an application id goes to that service alone, one
    /// without to all that want its kind. A service that is still off gets nothing.
    pub fn route(&self, recipients: &[Recipient], printer_id: &str) -> Routing {
        let mut routing = Routing::default();
        let mut deliveries: BTreeMap<&Inbox, Vec<Outgoing>> = BTreeMap::new();
        for (place, event) in self.events.iter().enumerate() {
            let inboxes = event.inboxes(recipients);
            if inboxes.is_empty() {
                routing.refused.push((place, Refusal::NotRequested));
            }
            for (inbox, applications) in inboxes {
                let events = deliveries.entry(inbox).or_default();
                match events.iter_mut().find(|known| known.id == event.id) {
                    Some(known) => known.places.push(place),
                    None => events.push(Outgoing {
                        places: vec![place],
                        id: event.id.clone(),
                        text: event.text(printer_id, &applications),
                    }),
                }
            }
        }
        let deliveries = deliveries.into_iter().map(|(inbox, events)| Delivery {
            inbox: inbox.clone(),
            events,
        });
        routing.deliveries = deliveries.collect();
        routing
    }
}

impl Event {
    fn is_for(&self, recipient: &Recipient) -> bool {
        let application_id = self.application_id.as_ref();
        application_id.is_none_or(|id| *id == recipient.application_id)
            && recipient.kinds.contains(&self.kind)
    }

    /// Returns the inboxes that get the event, each with the services there that want it.
    fn inboxes<'a>(&self, recipients: &'a [Recipient]) -> BTreeMap<&'a Inbox, Vec<&'a str>> {
        let mut inboxes: BTreeMap<&Inbox, Vec<&str>> = BTreeMap::new();
        let on = recipients.iter().filter(|it| !it.is_awaiting);
        for recipient in on.filter(|it| self.is_for(it)) {
            let applications = inboxes.entry(&recipient.inbox).or_default();
            applications.push(&recipient.application_id);
        }
        inboxes
    }

    /// Returns the event in JSON, for these services of one provider. No name of one has a comma.
    fn text(&self, printer_id: &str, applications: &[&str]) -> String {
        let forwarded = Forwarded {
            specversion: SPECVERSION,
            id: &self.id,
            source: source_of(printer_id),
            r#type: format!("{EVENT_TYPES}{}", self.kind),
            time: self.time.as_deref(),
            subject: self.subject.as_deref(),
            applicationid: applications.join(","),
            sequence: self.sequence.as_deref(),
            datacontenttype: self.content_type.as_deref(),
            dataschema: self.schema.as_deref(),
            data: self.data.as_deref(),
        };
        serde_json::to_string(&forwarded).expect("texts and raw JSON are always written")
    }
}

/// An event as a provider gets it (CloudEvents 1.0.2, JSON format).
#[derive(Serialize)]
struct Forwarded<'a> {
    specversion: &'a str,
    id: &'a str,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    applicationid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}
