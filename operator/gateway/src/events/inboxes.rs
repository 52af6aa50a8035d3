//! Inboxes of providers: the way to each, and the state in which it was met last.
//!
//! A change of that state is logged once, with the name of the Connection and nothing of an event. Decides
//! nothing of an event. Called by the forwarding.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use entente_controllers::{cache::Key, metrics::Metrics};
use entente_crds::condition::Reason;
use entente_domain::{
    gateway::{
        body::EVENTS,
        events::{Inbox, Verdict, url_of, verdict},
    },
    remote::{Failure, FailureKind},
};
use entente_drivers::{ConnectionProfile, Post, Posted};
use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::Events;
use crate::Gateway;

/// The most deliveries through one Connection that are under way at once: a provider that is slow does not
/// take the places of the others.
const MOST_DELIVERIES: usize = 128;
/// Outcome of a delivery that had no place.
const TOO_MANY: &str = "TooMany";
/// Seconds after which a device comes again whose provider asks for no other wait, and the most of them.
const WAIT: u32 = 10;
const LONGEST_WAIT: i64 = 3600;

/// Way to an inbox.
pub(super) struct Way {
    url: Url,
    profile: Arc<ConnectionProfile>,
    _place: OwnedSemaphorePermit,
}

/// Reason for which a provider has not taken events.
#[derive(Clone, Debug)]
pub(super) struct Deferred {
    /// One word for metrics.
    outcome: &'static str,
    /// One sentence for the log, without anything of an event.
    problem: String,
    /// Seconds after which to send them again.
    pub(super) seconds: u32,
}

impl Deferred {
    pub(super) fn new(outcome: &'static str, problem: impl Into<String>) -> Self {
        Self {
            outcome,
            problem: problem.into(),
            seconds: WAIT,
        }
    }

    fn after(self, wait: Option<SignedDuration>) -> Self {
        let wait = wait.map(|wait| wait.as_secs().clamp(1, LONGEST_WAIT));
        let wait = wait.and_then(|wait| u32::try_from(wait).ok());
        Self {
            seconds: wait.unwrap_or(self.seconds),
            ..self
        }
    }

    fn of_failure(failure: Failure) -> Self {
        let outcome = match failure.kind {
            FailureKind::Unreachable => "Unreachable",
            FailureKind::TimedOut => "TimedOut",
            FailureKind::TlsFailed | FailureKind::CertificateChanged => "TlsFailed",
            FailureKind::AddressNotAllowed => "AddressNotAllowed",
            FailureKind::Unauthorized => "Unauthorized",
            FailureKind::Busy => "Busy",
            _ => "WrongAnswer",
        };
        Self::new(outcome, failure.message).after(failure.retry_after)
    }

    fn of_answer(posted: Posted) -> Self {
        let outcome = match posted.status {
            401 | 403 | 407 => "Unauthorized",
            429 | 503 => "Busy",
            _ => "WrongAnswer",
        };
        let problem = format!("the provider answered HTTP {}", posted.status);
        Self::new(outcome, problem).after(posted.retry_after)
    }
}

/// The last outcome of each inbox for each namespace, and the places of each Connection.
#[derive(Default)]
pub(super) struct Outcomes {
    last: Mutex<HashMap<(String, Inbox), &'static str>>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Outcomes {
    /// Counts an outcome, and logs it if it is another one than before.
    fn note(
        &self,
        metrics: &Metrics,
        (namespace, inbox): (&str, &Inbox),
        deferred: Option<&Deferred>,
    ) {
        let outcome = deferred.map_or("Taken", |it| it.outcome);
        metrics.gateway_event_delivery(outcome);
        // It was not tried, which says nothing of the provider.
        if outcome == TOO_MANY {
            return;
        }
        let connection = &inbox.connection;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.insert((namespace.to_owned(), inbox.clone()), outcome);
        drop(last);
        match deferred {
            Some(Deferred { problem, .. }) if before != Some(outcome) => {
                tracing::warn!(
                    connection,
                    namespace,
                    outcome,
                    problem,
                    "a provider takes no events"
                );
            }
            None if before.is_some_and(|before| before != outcome) => {
                tracing::info!(connection, namespace, "a provider takes events again");
            }
            _ => {}
        }
    }

    fn place(&self, connection: &str) -> Result<OwnedSemaphorePermit, Deferred> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Semaphore::new(MOST_DELIVERIES));
        let places = places.entry(connection.to_owned()).or_insert_with(fresh);
        let place = Arc::clone(places).try_acquire_owned();
        place.map_err(|_| Deferred::new(TOO_MANY, "too many deliveries are under way"))
    }
}

impl Gateway {
    /// Returns the way to an inbox for a namespace.
    pub(super) async fn way(&self, namespace: &str, inbox: &Inbox) -> Result<Way, Deferred> {
        let name = &inbox.connection;
        let place = self.events.outcomes.place(name)?;
        let connection = self.objects.connections.get(&Key::new("", &**name));
        let missing = || Deferred::new("NoConnection", "the Connection does not exist");
        let connection = connection.ok_or_else(missing)?;
        let url = url_of(&connection, &inbox.path);
        let other = || Deferred::new("NoConnection", "the Connection leads to no HTTP server");
        let url = url.ok_or_else(other)?;
        let labels = self.labels(namespace);
        let of = (namespace, &labels);
        let profile = self.profiles.profile(&connection, of, None, self.now());
        let profile = profile.await.map_err(|(reason, problem)| {
            let is_refused = reason == Reason::NotAllowed;
            let outcome = if is_refused {
                "NotAllowed"
            } else {
                "NotUsable"
            };
            Deferred::new(outcome, problem)
        })?;
        Ok(Way {
            url,
            profile,
            _place: place,
        })
    }

    /// Notes how the events for an inbox fared.
    pub(super) fn note_delivery(&self, of: (&str, &Inbox), deferred: Option<&Deferred>) {
        let metrics = &self.parts.metrics;
        self.events.outcomes.note(metrics, of, deferred);
    }
}

impl Events {
    /// Posts events; true if they were taken, false if their content was refused.
    pub(super) async fn post(&self, way: &Way, body: String) -> Result<bool, Deferred> {
        let post = Post {
            url: way.url.clone(),
            content_type: EVENTS,
            body: body.into(),
        };
        let posted = self.poster.post(&way.profile, post).await;
        let posted = posted.map_err(Deferred::of_failure)?;
        match verdict(posted.status) {
            Verdict::Taken => Ok(true),
            Verdict::Refused => Ok(false),
            Verdict::Later => Err(Deferred::of_answer(posted)),
        }
    }
}
