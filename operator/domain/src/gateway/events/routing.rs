//! The ways of a batch: the events that each provider gets.
//!
//! An event goes to the services that want its kind and are on, and to nobody else; a provider with
//! several such services behind one inbox gets it once. One that belongs to a service which is not on yet is
//! neither forwarded nor refused: the device keeps it. Decides nothing of its content. Called for each batch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Batch, Event, Refusal, SPECVERSION,
    recipients::{Group, Inbox, Recipient, Recipients, Standing},
    source_of,
};
use crate::gateway::texts::{EVENT_TYPES, instant};

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
    /// The events that nobody asked for and that are no errors which the twin keeps, by their places.
    pub refused: Vec<(usize, Refusal)>,
    /// Number of events that belong to a service that is not on yet: the device keeps the batch.
    pub deferred: usize,
}

impl Delivery {
    /// Returns the body of one request with these events.
    pub fn body<'e>(events: impl IntoIterator<Item = &'e Outgoing>) -> String {
        let texts: Vec<&str> = events.into_iter().map(|it| it.text.as_str()).collect();
        let length: usize = texts.iter().map(|text| text.len() + 1).sum();
        let mut body = String::with_capacity(length + 1);
        for (place, text) in texts.into_iter().enumerate() {
            body.push(if place == 0 { '[' } else { ',' });
            body.push_str(text);
        }
        if body.is_empty() {
            body.push('[');
        }
        body.push(']');
        body
    }
}

impl Batch {
    /// Returns the ids of the services that this batch turns on, and that have to be on before it is
    /// forwarded: those that are off for want of data, and have some here.
    pub fn first_data(&self, recipients: &Recipients) -> Vec<String> {
        let events = self.events.iter();
        let concerned = events.flat_map(|event| event.recipients(recipients));
        let awaiting = concerned.filter(|it| it.standing == Standing::AwaitsData);
        names(awaiting)
    }

    /// Returns the ids of the services that have data here and take the place of another one once their
    /// device has sent some; until then that one gets the data.
    pub fn first_data_of_successors(&self, recipients: &Recipients) -> Vec<String> {
        let awaiting = recipients.groups.iter().flat_map(|group| {
            let awaiting = group.awaiting.iter();
            let has_some = |it: &&Recipient| {
                let mut events = self.events.iter();
                events.any(|event| event.is_for_group(group) && it.wants(&event.kind))
            };
            awaiting.filter(has_some)
        });
        names(awaiting)
    }

    /// Returns the ways of a batch: an event with an application id goes to that service alone, one
    /// without to all that want its kind. A service that is still off gets nothing.
    pub fn route(&self, recipients: &Recipients, printer_id: &str) -> Routing {
        let mut routing = Routing::default();
        let mut deliveries: BTreeMap<&Inbox, Vec<Outgoing>> = BTreeMap::new();
        let mut known: BTreeMap<(&Inbox, &str), usize> = BTreeMap::new();
        for (place, event) in self.events.iter().enumerate() {
            let (inboxes, is_deferred) = event.inboxes(recipients);
            routing.deferred += usize::from(is_deferred);
            let is_kept = recipients.keeps_errors && event.error.is_some();
            if inboxes.is_empty() && !is_deferred && !is_kept {
                routing.refused.push((place, Refusal::NotRequested));
            }
            for (inbox, applications) in inboxes {
                let events = deliveries.entry(inbox).or_default();
                match known.entry((inbox, &event.id)) {
                    Entry::Occupied(known) => events[*known.get()].places.push(place),
                    Entry::Vacant(unknown) => {
                        unknown.insert(events.len());
                        events.push(Outgoing {
                            places: vec![place],
                            id: event.id.clone(),
                            text: event.text(printer_id, &applications),
                        });
                    }
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

/// Returns the application ids, each once.
fn names<'a>(recipients: impl Iterator<Item = &'a Recipient>) -> Vec<String> {
    let mut names: Vec<String> = recipients.map(|it| it.application_id.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Event {
    /// Returns the instant at which it occurred, by the clock of the device. One without a time occurs as
    /// it comes.
    fn occurred(&self, now: Timestamp) -> Timestamp {
        let said = self.time.as_deref().and_then(instant);
        said.unwrap_or(now)
    }

    fn is_addressed_to(&self, application_id: &str) -> bool {
        let said = self.application_id.as_deref();
        said.is_none_or(|said| said == application_id)
    }

    /// True if it is for a group: addressed to nobody, or to any service that is or was of the group. A
    /// device that has not heard of a switch yet names the one before.
    fn is_for_group(&self, group: &Group) -> bool {
        let said = self.application_id.as_ref();
        said.is_none_or(|said| group.members.contains(said))
    }

    /// Returns the services that it is for.
    fn recipients<'a>(&self, all: &'a Recipients) -> impl Iterator<Item = &'a Recipient> {
        let alone = all.alone.iter();
        let alone = alone.filter(|it| self.is_addressed_to(&it.application_id));
        let groups = all.groups.iter().filter(|it| self.is_for_group(it));
        let holders = groups.filter_map(|group| group.at(self.occurred(all.now), all.now));
        let all = alone.chain(holders);
        all.filter(|it| it.wants(&self.kind))
    }

    /// Returns the inboxes that get the event, each with the services there that want it, and whether the
    /// device has to keep it.
    fn inboxes<'a>(&self, recipients: &'a Recipients) -> (BTreeMap<&'a Inbox, Vec<&'a str>>, bool) {
        let mut inboxes: BTreeMap<&Inbox, Vec<&str>> = BTreeMap::new();
        let (mut is_waited_for, mut comes) = (false, false);
        for recipient in self.recipients(recipients) {
            match recipient.standing {
                Standing::On => {
                    let applications = inboxes.entry(&recipient.inbox).or_default();
                    applications.push(&recipient.application_id);
                }
                Standing::Comes => comes = true,
                Standing::TakesThePlace | Standing::AwaitsData => is_waited_for = true,
            }
        }
        let is_deferred = is_waited_for || comes && inboxes.is_empty();
        (inboxes, is_deferred)
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
