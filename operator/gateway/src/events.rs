//! POST /v1/devices/{printerId}/events.
//!
//! Forwards a batch to every provider concerned, and answers 202 only after all of them have taken it; the
//! device is the buffer (docs/adr/0048-the-device-is-the-buffer.md). Nothing of an event is logged, counted
//! by its content or stored, but the errors of the device in its twin: what is remembered of one that was
//! forwarded is a digest in memory. Decides nothing of who gets what. Called by the router.

mod errors;
mod first;
mod forward;
mod inboxes;
mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_domain::gateway::{
    admission,
    body::EVENTS,
    events::{Batch, Knowledge, Recent, Recipients},
    poll::iso,
    problem::Problem,
};
use entente_drivers::Poster;
use tokio::sync::Semaphore;

use self::{inboxes::Outcomes, turns::Turns};
use crate::{
    Gateway,
    answers::{Answer, json, refusal},
    bodies,
    calls::{BEARER, Known},
    router::PrinterId,
};

/// Seconds after which a device comes again whose batch met a defect or too many others.
const AGAIN: u32 = 5;
/// The most batches of all devices that are under way at once.
const MOST_BATCHES: usize = 512;
/// The most of them that wait for a service to be turned on: others are answered without a wait.
const MOST_WAITING: usize = 128;

/// State of the forwarding of events. Shared by an [`Arc`].
pub(crate) struct Events {
    poster: Poster,
    turns: Turns,
    places: Arc<Semaphore>,
    recent: Mutex<Recent<Key>>,
    refused: Mutex<Recent<Key>>,
    waiting: Semaphore,
    outcomes: Outcomes,
}

impl Events {
    pub(crate) fn new(poster: Poster) -> Self {
        Self {
            poster,
            turns: Turns::default(),
            places: Arc::new(Semaphore::new(MOST_BATCHES)),
            recent: Mutex::default(),
            refused: Mutex::default(),
            waiting: Semaphore::new(MOST_WAITING),
            outcomes: Outcomes::default(),
        }
    }

    /// Returns the events that were forwarded just now.
    fn recent(&self) -> MutexGuard<'_, Recent<Key>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the events that providers refused just now.
    fn refused(&self) -> MutexGuard<'_, Recent<Key>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a batch of events of a device.
pub(crate) async fn post(
    State(gateway): State<Arc<Gateway>>,
    PrinterId(printer_id): PrinterId,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = events(&gateway, &parts, body, &printer_id).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn events(gateway: &Arc<Gateway>, parts: &Parts, body: Body, printer_id: &str) -> Answer {
    let owns = |known: &Known| admission::owns(&known.twin, printer_id);
    let known = gateway.call(parts, BEARER, owns).await?;
    let state = Arc::clone(&gateway.events);
    // One batch of a device at a time, so that its events keep their order.
    let turn = state.turns.take(known.key.clone()).await?;
    let place = Arc::clone(&state.places).try_acquire_owned();
    let place = place.map_err(|_| Problem::TooManyRequests(AGAIN))?;
    let text = bodies::read_text(&parts.headers, body, EVENTS).await?;
    let batch = Batch::read(&text, printer_id)?;
    drop(text);
    // It goes on without the device, which would otherwise send again what was taken already.
    let gateway = Arc::clone(gateway);
    let forwarding = tokio::spawn(async move {
        let answer = forwarded(&gateway, known, &batch).await;
        drop((turn, place));
        answer
    });
    let answer = forwarding.await;
    answer.unwrap_or(Err(Problem::Unavailable(AGAIN)))
}

/// Forwards a batch, by what is known once it is its turn.
async fn forwarded(gateway: &Gateway, known: Known, batch: &Batch) -> Answer {
    let no_room = gateway.keep_errors(&known, batch).await?;
    let ready = gateway.with_first_data(&known, batch).await?;
    let known = ready.known;
    let routing = batch.route(&ready.recipients, known.printer_id());
    let metrics = &gateway.parts.metrics;
    metrics.gateway_events("NotRequested", routing.refused.len());
    metrics.gateway_events("TooManyErrors", no_room.len());
    let mut refused = gateway.forward(&known, routing).await?;
    // What is not kept is refused, also if a provider has it.
    refused.splice(0..0, no_room);
    let body = batch.answer(&refused, &ready.activated, &iso(gateway.next_call(&known)));
    Ok(json(StatusCode::ACCEPTED, &body))
}

#[cfg(test)]
impl Gateway {
    /// Returns the number of batches of a device of acme that are under way or wait.
    pub(crate) fn events_of(&self, device: &str) -> usize {
        self.events.turns.number(&Key::new("acme", device))
    }
}

impl Gateway {
    /// Returns the services that get events of a device.
    fn recipients(&self, known: &Known) -> Recipients {
        let device = self.objects.devices.get(&known.key);
        let subscriptions = self.subscriptions(&known.key);
        let knowledge = Knowledge {
            twin: &known.twin,
            device: device.as_deref(),
            subscriptions: &subscriptions,
            keeps_errors: self.keeps_errors(&known.key),
            service: |name: &str| self.objects.services.get(&Key::new("", name)),
            now: self.now(),
        };
        knowledge.recipients()
    }
}
