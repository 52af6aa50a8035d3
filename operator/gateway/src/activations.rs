//! PUT /v1/devices/{printerId}/services/{applicationId}/activation.
//!
//! Writes what a device says of a service into its twin, and waits for a while until the operator and the
//! service server have answered. Decides nothing of the answer. Called by the router.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{DeviceTwin, ServiceSubscription};
use entente_domain::gateway::{
    activation::{Outcome, Word, application, outcome},
    admission,
    body::JSON,
    headers::preferred_wait,
    poll::iso,
    problem::Problem,
    services::{service_of, state_of},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    Gateway,
    answers::{Answer, json, refusal, set_next},
    bodies,
    calls::{BEARER, Known},
    services::OfDevice,
};

/// Time for which an answer is waited for, unless the device prefers another one.
const WAIT: u32 = 10;

/// Takes the word of a device on one of its services.
pub(crate) async fn put(
    State(gateway): State<Arc<Gateway>>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Response {
    let (printer_id, application_id) = path.map(|Path(ids)| ids).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let answer = activation(&gateway, &parts, body, (&printer_id, &application_id)).await;
    answer.unwrap_or_else(|problem| refusal(&problem, BEARER))
}

async fn activation(
    gateway: &Gateway,
    parts: &Parts,
    body: Body,
    (printer_id, application_id): (&str, &str),
) -> Answer {
    let owns = |known: &Known| admission::owns(&known.twin, printer_id);
    let known = gateway.call(parts, BEARER, owns).await?;
    let body = bodies::read(&parts.headers, body, JSON).await?;
    let word = Word::read(&body)?;
    gateway.service(&known.key, application_id)?;
    gateway.say(&known, application_id, &word).await?;
    let prefer = parts.headers.get_all("prefer").iter();
    let wait = preferred_wait(prefer.filter_map(|value| value.to_str().ok()));
    let wait = wait.unwrap_or(WAIT);
    answered(gateway, known, application_id, &word, wait).await
}

/// Answers once the activation is settled, or after a while that it is pending.
async fn answered(
    gateway: &Gateway,
    known: Known,
    application_id: &str,
    word: &Word,
    wait: u32,
) -> Answer {
    let end = Instant::now() + Duration::from_secs(wait.into());
    let waiting = gateway.wakes.wait(known.key.clone());
    loop {
        let mut woken = pin!(waiting.woken.notified());
        woken.as_mut().enable();
        gateway.require_available()?;
        let subscription = gateway.service(&known.key, application_id)?;
        let state = state_of(&subscription, gateway.now());
        let is_able = gateway.is_able(&known, &subscription);
        let (status, body) = match outcome(word, &subscription, state, is_able) {
            Outcome::Settled(body) => (StatusCode::OK, body),
            Outcome::Refused(problem) => return Err(problem),
            Outcome::Pending(body) if is_over(gateway, end) => (StatusCode::ACCEPTED, body),
            Outcome::Pending(_) => {
                tokio::select! {
                    () = woken => {}
                    () = sleep_until(end) => {}
                    () = gateway.leaving.requested() => {}
                }
                if gateway.leaving.is_requested() {
                    return Err(Problem::Unavailable(1));
                }
                continue;
            }
        };
        let mut answer = json(status, &body);
        set_next(&mut answer, &iso(gateway.next_call(&known)));
        return Ok(answer);
    }
}

fn is_over(gateway: &Gateway, end: Instant) -> bool {
    Instant::now() >= end || gateway.shutdown.is_requested()
}

impl Gateway {
    /// Writes the word of a device on one of its services into its twin.
    pub(crate) async fn say(
        &self,
        known: &Known,
        application_id: &str,
        word: &Word,
    ) -> Result<(), Problem> {
        let decide = |twin: &DeviceTwin| {
            self.standing(&known.key, twin, &known.sha256)?;
            admission::consents(twin)?;
            let now = self.now();
            let subscriptions = self.subscriptions(&known.key);
            let subscription = application(&subscriptions, application_id);
            let subscription = subscription.ok_or(Problem::ApplicationNotFound)?;
            let device = OfDevice::of(self, known);
            let facts = device.facts();
            let service = service_of(subscription, now);
            let switch = service.and_then(|service| facts.switch(&service));
            let is_known = |id: &str| application(&subscriptions, id).is_some();
            Ok(word.apply(twin, application_id, switch, is_known, now))
        };
        self.change_status(&known.key, decide).await.map(drop)
    }

    /// Returns the subscription of a device that has an application id, if the device is told of it.
    fn service(&self, device: &Key, id: &str) -> Result<Arc<ServiceSubscription>, Problem> {
        let subscriptions = self.subscriptions(device);
        let found = application(&subscriptions, id).cloned();
        found.ok_or(Problem::ApplicationNotFound)
    }

    /// True if a device has what a service needs, apart from its own words on it.
    fn is_able(&self, known: &Known, subscription: &ServiceSubscription) -> bool {
        let name = service_of(subscription, self.now());
        let service = name.and_then(|it| self.objects.services.get(&Key::new("", &it)));
        let device = OfDevice::of(self, known);
        device.facts().is_able(service.as_deref())
    }
}
