//! The forwarding of a batch: one request to each provider concerned.
//!
//! A batch whose content is refused is sent event by event, so that one odd event does not hold up the
//! others. What was taken and what was refused is remembered at once, and not sent again when the device
//! repeats the batch.
//! Never gives up an event that was not refused. Called once for each batch.

use std::time::Duration;

use entente_controllers::cache::Key;
use entente_domain::gateway::{
    events::{Delivery, Fingerprint, Inbox, Outgoing, Refusal, Routing},
    problem::Problem,
};
use futures::future::join_all;
use tokio::time::timeout;

use super::{
    AGAIN,
    inboxes::{Deferred, Way},
};
use crate::{Gateway, calls::Known};

/// Time for all requests of a batch to a provider.
const PATIENCE: Duration = Duration::from_secs(30);

type Refused = Vec<(usize, Refusal)>;
/// An event that was not forwarded just now, and its digest.
type Fresh<'a> = (&'a Outgoing, Fingerprint);

impl Gateway {
    /// Forwards the events of a batch, and returns those that were refused.
    ///
    /// # Errors
    /// Returns the answer if a provider has not taken its part, or a part belongs to a service that is not
    /// on yet: the device keeps the batch.
    pub(super) async fn forward(
        &self,
        known: &Known,
        routing: Routing,
    ) -> Result<Refused, Problem> {
        let Routing {
            deliveries,
            mut refused,
            deferred,
        } = routing;
        self.parts.metrics.gateway_events("Deferred", deferred);
        let sent = deliveries.iter().map(|it| self.deliver(known, it));
        let mut wait = (deferred > 0).then_some(AGAIN);
        for outcome in join_all(sent).await {
            match outcome {
                Ok(by_provider) => refused.extend(by_provider),
                Err(deferred) => wait = wait.max(Some(deferred.seconds)),
            }
        }
        match wait {
            Some(seconds) => Err(Problem::ProviderUnavailable(seconds)),
            None => Ok(refused),
        }
    }

    /// Brings events to one inbox.
    async fn deliver(&self, known: &Known, delivery: &Delivery) -> Result<Refused, Deferred> {
        let (inbox, device) = (&delivery.inbox, &known.key);
        let metrics = &self.parts.metrics;
        let (fresh, mut refused) = self.fresh(known, delivery);
        metrics.gateway_events("Repeated", delivery.events.len() - fresh.len());
        if !fresh.is_empty() {
            let number = fresh.len();
            let late = Deferred::new("TimedOut", "the provider has not taken all events in time");
            let sent = timeout(PATIENCE, self.send(device, inbox, fresh)).await;
            let sent = sent.unwrap_or(Err(late));
            self.note_delivery((&device.namespace, inbox), sent.as_ref().err());
            let by_provider = sent.inspect_err(|_| metrics.gateway_events("Deferred", number))?;
            metrics.gateway_events("RefusedByProvider", by_provider.len());
            metrics.gateway_events("Forwarded", number - by_provider.len());
            refused.extend(by_provider.iter().map(|(event, _)| *event));
        }
        let places = refused.into_iter().flat_map(|event| &event.places);
        Ok(places
            .map(|place| (*place, Refusal::RefusedByProvider))
            .collect())
    }

    /// Returns the events that were neither forwarded nor refused just now, and those that were refused.
    fn fresh<'a>(
        &self,
        known: &Known,
        delivery: &'a Delivery,
    ) -> (Vec<Fresh<'a>>, Vec<&'a Outgoing>) {
        let device = &known.key;
        let events = delivery.events.iter();
        let mut events: Vec<Fresh<'a>> = events
            .map(|event| {
                let of = (known.printer_id(), &*event.id);
                (event, Fingerprint::of(&delivery.inbox, of))
            })
            .collect();
        let recent = self.events.recent();
        events.retain(|(_, digest)| !recent.has(device, digest));
        drop(recent);
        let before = self.events.refused();
        let (refused, fresh): (Vec<Fresh<'a>>, Vec<Fresh<'a>>) = events
            .into_iter()
            .partition(|(_, digest)| before.has(device, digest));
        (fresh, refused.into_iter().map(|(event, _)| event).collect())
    }

    /// Sends events, and returns those that the provider refuses.
    async fn send<'a>(
        &self,
        device: &Key,
        inbox: &Inbox,
        events: Vec<Fresh<'a>>,
    ) -> Result<Vec<Fresh<'a>>, Deferred> {
        let way = self.way(&device.namespace, inbox).await?;
        if self.take(&way, device, &events).await? {
            return Ok(Vec::new());
        }
        let alone = events.len() == 1;
        let mut refused = Vec::new();
        for event in events {
            if alone || !self.take(&way, device, &[event]).await? {
                self.events.refused().note(device, [event.1]);
                refused.push(event);
            }
        }
        Ok(refused)
    }

    /// Sends events in one request; true if they were taken.
    async fn take(&self, way: &Way, device: &Key, events: &[Fresh<'_>]) -> Result<bool, Deferred> {
        let body = Delivery::body(events.iter().map(|(event, _)| *event));
        let is_taken = self.events.post(way, body).await?;
        if is_taken {
            let taken = events.iter().map(|(_, digest)| *digest);
            self.events.recent().note(device, taken);
        }
        Ok(is_taken)
    }
}
