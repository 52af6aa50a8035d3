//! Kubernetes events: the one recorder of the process.
//!
//! An event is for people; nothing may depend on it. So publishing never waits and never fails a
//! pass: events go through a bounded queue to one task, and an event that cannot be written is
//! logged and counted. Reasons are a closed list, each with its type and its action.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::{info, warn};

use entente_crds::bounded;

use crate::{defect::alone, metrics::Metrics};

/// Number of events that may wait; further ones are dropped and counted.
const QUEUE: usize = 1024;
/// Time limit of the API server for one event.
const PATIENCE: Duration = Duration::from_secs(10);
/// The limit of `note` (events.k8s.io/v1).
const NOTE_BYTES: usize = 1024;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $type:ident, $action:ident;)+) => {
        /// Reason of an event.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum EventReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl EventReason {
            /// All of them, in the order of the reference page.
            pub const ALL: &[EventReason] = &[$(EventReason::$name,)+];

            /// Returns the word that is written into an event.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// Returns the work that the event is about (the field `action`).
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => stringify!($action),)+ }
            }

            /// Returns Warning where a person should look at it.
            pub fn severity(self) -> EventType {
                match self { $(Self::$name => EventType::$type,)+ }
            }
        }
    };
}

reasons! {
    /// A Contract is valid; its subscriptions are being made.
    ContractAccepted => Normal, Validate;
    /// A Contract, or an edit of it, is refused; what was accepted before goes on.
    ContractRefused => Warning, Validate;
    /// The term of a Contract began.
    ContractStarted => Normal, Start;
    /// The term of a Contract is over.
    ContractEnded => Normal, End;
    /// Another Contract took services of a Contract over.
    ContractSucceeded => Normal, End;
    /// A ContractAmendment is valid; what it changes is written into the subscriptions.
    AmendmentAccepted => Normal, Validate;
    /// A ContractAmendment is refused and changes nothing.
    AmendmentRefused => Warning, Validate;
    /// A ContractAmendment was deleted before its instant: nothing of it happens.
    AmendmentWithdrawn => Normal, Schedule;
    /// A ContractAmendment is in force.
    ContractAmended => Normal, Start;
    /// A ContractNotice starts or ends its Contract.
    NoticeAccepted => Normal, Validate;
    /// A ContractNotice is refused and changes nothing.
    NoticeRefused => Warning, Validate;
    /// Everything that is wanted on a Device was read back.
    DeviceConfigured => Normal, Verify;
    /// A service server confirmed the activation.
    ServiceActivated => Normal, Activate;
    /// Every subscription of a Contract is proven.
    SetupVerified => Normal, Verify;
    /// A promise was missed and the debt is recorded.
    CompensationCreated => Normal, Compensate;
    /// The compensation has been delivered.
    CompensationDelivered => Normal, Deliver;
    /// A person voided the record.
    CompensationVoided => Normal, Compensate;
    /// The debt could not be recorded: its namespace is being deleted, or another Compensation has
    /// its name.
    CompensationNotRecorded => Warning, Compensate;
    /// A Device does not answer.
    DeviceUnreachable => Warning, Push;
    /// A Device has another identity than expected.
    IdentityMismatch => Warning, Verify;
    /// A Device refuses a setting.
    SettingsRejected => Warning, Push;
    /// A setting was accepted and read back as something else.
    VerificationMismatch => Warning, Verify;
    /// A broker's catalog has other ids behind the names with which an instance was made.
    OfferingChanged => Warning, Verify;
    /// An instance that was on the service server already was taken over.
    InstanceAdopted => Normal, Activate;
    /// A Connection leads to another broker than the one at which an instance was made.
    BrokerChanged => Warning, Verify;
    /// A service server refuses a request.
    ServiceServerRejected => Warning, Activate;
    /// A Contract can not be set up by its start.
    StartDateAtRisk => Warning, Schedule;
    /// A promised instant passed without proof.
    StartDateMissed => Warning, Schedule;
    /// A remote system refused the credentials of a Connection.
    CredentialsRejected => Warning, Connect;
    /// A broker's catalog has entries that cannot be used.
    CatalogEntryUnusable => Warning, Connect;
    /// An object of the catalogue is being deleted and waits for those that use it.
    InUse => Warning, CleanUp;
    /// An instance was left behind on the broker of a Connection, and is listed there as an orphan.
    InstanceOrphaned => Warning, CleanUp;
    /// An orphan is gone from the broker of a Connection.
    InstanceRemoved => Normal, CleanUp;
    /// A withdrawal ran out of time and is given up.
    FinalizerTimedOut => Warning, CleanUp;
    /// The operator met a defect of its own over an object, or the API server refused its status.
    InternalError => Warning, Report;
    /// The newest version of an object cannot be read, so the object is left as it is.
    ObjectUndecodable => Warning, Read;
}

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
            Ok(Ok(Err(error))) => error.to_string(),
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
