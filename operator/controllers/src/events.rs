//! Kubernetes events: the one recorder of the process.
//!
//! An event is for people; nothing may depend on it. So publishing never waits and never fails a
//! pass: events go through a bounded queue to one task, and an event that cannot be written is
//! logged and counted. Reasons are a closed list, each with its type and its action.

mod reason;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, Recorder, Reporter},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::{info, warn};

use entente_crds::bounded;

use crate::{api_error, defect::alone, metrics::Metrics};

pub use reason::EventReason;

/// Number of events that may wait; further ones are dropped and counted.
const QUEUE: usize = 1024;
/// Time limit of the API server for one event.
const PATIENCE: Duration = Duration::from_secs(10);
/// The limit of `note` (events.k8s.io/v1).
const NOTE_BYTES: usize = 1024;

struct Notice {
    regarding: ObjectReference,
    related: Option<ObjectReference>,
    reason: EventReason,
    note: String,
}

enum Queued {
    Notice(Box<Notice>),
    /// Answers once every event before it is written, or given up.
    Flush(oneshot::Sender<()>),
}

/// Publishes events. One per process, because it joins repetitions into series.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Queued>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Starts the task that writes. It ends when the last clone is gone and the queue is empty.
    /// `instance` is the name of the pod, if known.
    pub fn start(client: Client, instance: Option<String>, metrics: Arc<Metrics>) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE);
        let reporter = Reporter {
            controller: "entente.dev/operator".to_owned(),
            instance,
        };
        let recorder = Recorder::new(client, reporter);
        tokio::spawn(write(recorder, queued, Arc::clone(&metrics)));
        Self { queue, metrics }
    }

    /// Publishes an event about `regarding` (`object.object_ref(&())`). Returns at once.
    ///
    /// Events of one reason about one object within six minutes become a series under the *first*
    /// note, unless `related` differs: put distinctions (the device, the service) there.
    pub fn publish(
        &self,
        regarding: &ObjectReference,
        reason: EventReason,
        note: impl Into<String>,
        related: Option<ObjectReference>,
    ) {
        let note = note.into();
        log(regarding, reason, &note);
        let notice = Notice {
            regarding: regarding.clone(),
            related,
            reason,
            note,
        };
        if self
            .queue
            .try_send(Queued::Notice(Box::new(notice)))
            .is_err()
        {
            self.metrics.event_failed();
            warn!(
                reason = reason.as_str(),
                "event dropped: too many wait to be written"
            );
        }
    }
}

/// Writes an event into the log, too: there it outlives the hour for which Kubernetes keeps events,
/// and so the log has a line for each turn in the life of a contract.
fn log(regarding: &ObjectReference, reason: EventReason, note: &str) {
    info!(
        kind = regarding.kind,
        namespace = regarding.namespace,
        name = regarding.name,
        reason = reason.as_str(),
        note,
        "event"
    );
}

impl Events {
    /// Waits until everything that was published is written, at most `patience`; before an end.
    pub async fn flush(&self, patience: Duration) {
        let (done, written) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Queued::Flush(done)).await.is_ok() {
                // An error means that the task is gone; there is nothing more to wait for.
                let _ = written.await;
            }
        };
        if timeout(patience, flushed).await.is_err() {
            warn!("events that were not written in time are lost");
        }
    }
}

async fn write(recorder: Recorder, mut queued: mpsc::Receiver<Queued>, metrics: Arc<Metrics>) {
    while let Some(next) = queued.recv().await {
        let next = match next {
            Queued::Notice(next) => next,
            Queued::Flush(done) => {
                // The caller may have given up.
                let _ = done.send(());
                continue;
            }
        };
        let event = Event {
            type_: next.reason.severity(),
            reason: next.reason.as_str().to_owned(),
            note: Some(cut(next.note)),
            action: next.reason.action().to_owned(),
            secondary: next.related,
        };
        let published = timeout(PATIENCE, recorder.publish(&event, &next.regarding));
        // A panic loses this event, and none after it.
        let problem = match alone(published).await {
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => api_error::words(&error),
            Err(_) => "a panic".to_owned(),
            Ok(Err(_)) => "the API server did not answer in time".to_owned(),
        };
        metrics.event_failed();
        warn!(
            reason = next.reason.as_str(),
            kind = next.regarding.kind,
            namespace = next.regarding.namespace,
            name = next.regarding.name,
            problem,
            "event not written"
        );
    }
}

/// Returns a note as it is written: without what a reader cannot see, and not too long.
fn cut(note: String) -> String {
    let mut note = bounded::cut(note, NOTE_BYTES);
    note.truncate(note.floor_char_boundary(NOTE_BYTES));
    note
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use k8s_openapi::api::core::v1::ObjectReference;
    use kube::{Client, client::Body};
    use serde_json::Value;
    use tower::service_fn;

    use super::{EventReason, Events, NOTE_BYTES, cut};
    use crate::metrics::Metrics;

    fn device() -> ObjectReference {
        ObjectReference {
            kind: Some("Device".into()),
            namespace: Some("acme".into()),
            name: Some("lobby".into()),
            ..ObjectReference::default()
        }
    }

    /// Returns a server that keeps the posted bodies and answers with `status`.
    fn server(status: u16) -> (Client, Arc<Mutex<Vec<Value>>>) {
        let posted = Arc::new(Mutex::new(Vec::new()));
        let ledger = Arc::clone(&posted);
        let service = service_fn(move |request: http::Request<Body>| {
            let ledger = Arc::clone(&ledger);
            async move {
                let bytes = request.into_body().collect_bytes().await?;
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                ledger.lock().unwrap().push(body.clone());
                let answer = if status < 300 {
                    body
                } else {
                    serde_json::json!({"kind": "Status", "status": "Failure", "code": status,
                        "message": "no", "reason": "Forbidden"})
                };
                let response = http::Response::builder().status(status);
                Ok::<_, kube::Error>(
                    response
                        .body(Body::from(answer.to_string().into_bytes()))
                        .unwrap(),
                )
            }
        });
        (Client::new(service, "default"), posted)
    }

    async fn until(what: &str, met: impl Fn() -> bool) {
        let waiting = async {
            while !met() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .expect(what);
    }

    #[tokio::test]
    async fn an_event_carries_type_reason_action_and_the_related_object() {
        let (client, posted) = server(201);
        let events = Events::start(client, Some("pod-1".into()), Arc::new(Metrics::new("0")));
        let contract = ObjectReference {
            name: Some("c1".into()),
            ..ObjectReference::default()
        };
        events.publish(
            &device(),
            EventReason::DeviceUnreachable,
            "no answer",
            Some(contract),
        );
        until("the event is posted", || !posted.lock().unwrap().is_empty()).await;
        let event = posted.lock().unwrap()[0].clone();
        assert_eq!(event["type"], "Warning");
        assert_eq!(event["reason"], "DeviceUnreachable");
        assert_eq!(event["action"], "Push");
        assert_eq!(event["note"], "no answer");
        assert_eq!(event["regarding"]["name"], "lobby");
        assert_eq!(event["related"]["name"], "c1");
        assert_eq!(event["metadata"]["namespace"], "acme");
    }

    #[tokio::test]
    async fn an_event_that_is_refused_is_counted_and_the_next_one_still_goes_out() {
        let (client, posted) = server(403);
        let metrics = Arc::new(Metrics::new("0"));
        let events = Events::start(client, None, Arc::clone(&metrics));
        events.publish(&device(), EventReason::ContractStarted, "a", None);
        events.publish(&device(), EventReason::ContractEnded, "b", None);
        until("both are tried", || {
            metrics.encode().contains("entente_events_failed_total 2")
        })
        .await;
        assert_eq!(posted.lock().unwrap().len(), 2);
    }

    fn on_purpose() -> Result<http::Response<Body>, kube::Error> {
        panic!("on purpose")
    }

    // shows K7
    #[tokio::test]
    async fn an_event_over_which_we_panic_is_counted_and_the_next_one_still_goes_out() {
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        let panics = service_fn(move |_: http::Request<Body>| {
            *count.lock().unwrap() += 1;
            async { on_purpose() }
        });
        let metrics = Arc::new(Metrics::new("0"));
        let client = Client::new(panics, "default");
        let events = Events::start(client, None, Arc::clone(&metrics));
        events.publish(&device(), EventReason::ContractStarted, "a", None);
        events.publish(&device(), EventReason::ContractEnded, "b", None);
        until("both are tried", || {
            metrics.encode().contains("entente_events_failed_total 2")
        })
        .await;
        assert_eq!(*asked.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn a_flush_ends_when_all_is_written_or_patience_is_lost() {
        let (client, posted) = server(201);
        let events = Events::start(client, None, Arc::new(Metrics::new("0")));
        for reason in [EventReason::ContractStarted, EventReason::ContractEnded] {
            events.publish(&device(), reason, "", None);
        }
        events.flush(Duration::from_secs(5)).await;
        assert_eq!(posted.lock().unwrap().len(), 2);

        let hanging = service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, kube::Error>>()
        });
        let client = Client::new(hanging, "default");
        let events = Events::start(client, None, Arc::new(Metrics::new("0")));
        events.publish(&device(), EventReason::ContractStarted, "", None);
        events.flush(Duration::from_millis(20)).await;
    }

    #[test]
    fn a_note_is_cut_at_a_character() {
        let note = "ä".repeat(NOTE_BYTES);
        let odd = format!("x{note}");
        assert_eq!(cut(note).len(), NOTE_BYTES);
        assert_eq!(cut(odd).len(), NOTE_BYTES - 1);
        assert_eq!(cut("short".to_owned()), "short");
    }

    // shows K4
    #[test]
    fn a_note_has_no_character_that_a_reader_cannot_see() {
        let odd = "the device says \u{1b}[31m\u{202e}gpj.exe\u{200b}\nReady";
        assert_eq!(cut(odd.to_owned()), "the device says [31mgpj.exe Ready");
    }

    #[test]
    fn every_reason_is_within_the_limits_of_the_events_api() {
        for reason in EventReason::ALL {
            assert!(reason.as_str().len() <= 128 && !reason.action().is_empty());
        }
    }
}
