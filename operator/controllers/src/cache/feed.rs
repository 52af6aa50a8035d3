//! The watch that feeds a cache.
//!
//! It turns events of `kube::runtime::watcher` into calls of the state. It never gives up: a watch
//! that fails is tried again with backoff, and each failure is counted; it is logged when it is
//! another one than before.

use std::{pin::pin, sync::Arc, time::Duration};

use entente_domain::backoff::{RetryPolicy, wait};
use futures::{Stream, StreamExt as _};
use jiff::SignedDuration;
use kube::{
    Api, Client, Resource as _,
    runtime::watcher::{self, Event, watcher},
};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::{Cache, Cached, Key, Unreadable, state, undecoded::Undecoded};
use crate::{api_error, shutdown::Shutdown};

/// Duration of one watch request, in seconds. A connection that is dead without a sign is noticed
/// five seconds later, so this bounds the age of the cache.
const WATCH_SECONDS: u32 = 60;
/// Objects of one page of a list. A page is held as text and as objects before the first of them
/// reaches the cache, of each kind at once, so this decides how much memory a start takes.
const PAGE: u32 = 100;

/// The waits of a watch that fails. The operator is blind in between.
const BACKOFF: RetryPolicy = RetryPolicy {
    initial: SignedDuration::from_millis(500),
    max: SignedDuration::from_secs(10),
};
/// Time without a failure after which a watch that failed works again, though it brings nothing: kube
/// does not tell that a watch was opened, and one that is not answered fails before.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 10);
/// Time without a failure after which the waits start anew.
const CALM: Duration = Duration::from_mins(1);

/// The failures of a watch in a row. kube's own backoff starts anew with every item of the stream,
/// also with the announcement of a list that then fails, so a server in trouble would get no rest.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Failures {
    /// Counts one more failure. Returns the wait before the next try.
    fn failed(&mut self) -> Duration {
        if self.last.is_some_and(|last| last.elapsed() > CALM) {
            self.count = 0;
        }
        self.last = Some(Instant::now());
        self.count = self.count.saturating_add(1);
        wait(BACKOFF, self.count, 1.0).unsigned_abs()
    }
}

/// The objects that one watch of a kind brings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Watched {
    /// The namespace; empty: all, and of kinds of the cluster.
    pub namespace: String,
    /// A label selector; empty: whatever its labels.
    pub labels: String,
}

impl<K: Cached> Cache<K> {
    /// Follows one of its watches until the shutdown is requested. Call it once for each.
    pub async fn run(self: Arc<Self>, client: Client, watched: Watched, shutdown: Shutdown) {
        let follow_for_ever = async {
            loop {
                let api: Api<Undecoded<K>> = match &*watched.namespace {
                    "" => Api::all(client.clone()),
                    namespace => Api::namespaced(client.clone(), namespace),
                };
                let mut config = watcher::Config::default()
                    .timeout(WATCH_SECONDS)
                    .page_size(PAGE);
                if !watched.labels.is_empty() {
                    config = config.labels(&watched.labels);
                }
                self.follow(watcher(api, config), &watched.namespace).await;
                warn!(
                    kind = self.kind,
                    "the API server went back in time; all is listed again"
                );
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = follow_for_ever => {}
            () = shutdown.requested() => {}
        }
    }

    /// Handles events until the stream ends, or until they show that the API server was restored to
    /// an earlier state. A watch alone would stay blind then: it would wait for versions above
    /// those already seen.
    async fn follow(
        &self,
        events: impl Stream<Item = watcher::Result<Event<Undecoded<K>>>>,
        namespace: &str,
    ) {
        let mut events = pin!(events);
        let mut failing: Option<String> = None;
        let mut failures = Failures::default();
        let mut newest = 0;
        loop {
            let event = if failing.is_some() {
                let Ok(event) = timeout(SILENCE, events.next()).await else {
                    failures = Failures::default();
                    self.works_again(namespace, &mut failing);
                    continue;
                };
                event
            } else {
                events.next().await
            };
            let Some(event) = event else { return };
            match event {
                Ok(event) => {
                    if let Event::Apply(object) | Event::Delete(object) = &event {
                        let version = state::version(object.meta());
                        if version < newest {
                            return;
                        }
                        newest = version;
                    }
                    // Init, and the pages of a list that may still fail, prove nothing.
                    if !matches!(event, Event::Init | Event::InitApply(_)) {
                        failures = Failures::default();
                        self.works_again(namespace, &mut failing);
                    }
                    self.take(event, namespace);
                }
                Err(error) => {
                    let problem = api_error::of_watch(&error);
                    self.metrics.watch_failed(&self.kind);
                    if failing.as_ref() != Some(&problem) {
                        warn!(
                            kind = self.kind,
                            problem, "the watch failed; it is tried again"
                        );
                    }
                    // The sign that client-go uses, too: a version from the future of this server.
                    if problem.contains("Too large resource version") {
                        return;
                    }
                    let rest = failures.failed();
                    if failures.count > 1 {
                        self.broken.send_modify(|broken| {
                            broken.insert(namespace.to_owned(), problem.clone());
                        });
                    }
                    failing = Some(problem);
                    sleep(rest).await;
                }
            }
        }
    }

    fn works_again(&self, namespace: &str, failing: &mut Option<String>) {
        self.broken
            .send_if_modified(|broken| broken.remove(namespace).is_some());
        if failing.take().is_some() {
            info!(kind = self.kind, "the watch works again");
        }
    }

    pub(super) fn take(&self, event: Event<Undecoded<K>>, namespace: &str) {
        match event {
            Event::Init => self.write().relist_begins(namespace),
            Event::InitApply(object) => self.take_object(&object, true),
            Event::Apply(object) => self.take_object(&object, false),
            Event::Delete(object) => {
                let uid = object.meta().uid.clone().unwrap_or_default();
                self.write().deleted(&Key::of(&object), &uid, object.meta());
            }
            Event::InitDone => {
                self.write().relist_ends(namespace);
                // Whoever waits for the list has to see what it gives.
                self.give();
                self.listed
                    .send_if_modified(|listed| listed.insert(namespace.to_owned()));
            }
        }
        self.give();
    }

    fn take_object(&self, object: &Undecoded<K>, listed: bool) {
        let meta = object.meta();
        // Most versions are echoes of our own writes, whose answers were decoded already.
        if self.write().is_known(meta, listed) {
            return;
        }
        match object.decode() {
            Ok(object) => {
                let object = self.compact(object);
                self.write().applied(object, listed);
            }
            Err(unreadable) => {
                let Unreadable { key, problem, .. } = &*unreadable;
                self.metrics.object_undecodable(&self.kind);
                warn!(kind = self.kind, object = %key, problem, "an object can not be read");
                self.write().unreadable_seen(*unreadable);
            }
        }
    }
}
