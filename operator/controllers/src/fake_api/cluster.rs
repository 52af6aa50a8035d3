//! An API server for tests that keeps its objects, as far as the operator uses one: lists and
//! watches, decisions on an old resourceVersion, finalizers, and status as a subresource.
//!
//! It applies the schema of a status that is written, and no other rule; it follows no owner
//! reference and admits everything else; it refuses a request that it does not know. It fails, and
//! lets others write in between, as a test scripts it.

mod sites;
mod state;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use kube::{Client, Resource, client::Body};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::watch;
use tower::{BoxError, service_fn};

use self::state::{
    Fault, OUTSIDE_SCHEMA, PANIC, Path, Refusal, Rival, State, TERMINATING, begin, keep_identity,
    parse,
};
use super::{AnswerBody, failure};
use crate::clock::{Clock as _, FakeClock};

/// The API server. Shared by an [`Arc`] between the test and its clients.
pub struct FakeCluster {
    clock: Arc<FakeClock>,
    state: Mutex<State>,
    served: watch::Sender<()>,
}

impl FakeCluster {
    /// Returns an empty server with this clock.
    pub fn new(clock: Arc<FakeClock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::default(),
            served: watch::Sender::new(()),
        })
    }

    /// From now on keeps the connections of each Device that a test writes in a Site of its name. The test
    /// sees Devices as it wrote them, and no such Site.
    pub fn keep_connections_at_sites(&self) {
        self.lock().keeps_connections_at_sites = true;
    }

    /// Returns a client of this server.
    pub fn client(self: &Arc<Self>) -> Client {
        let cluster = Arc::clone(self);
        let service = service_fn(move |request: http::Request<Body>| {
            let cluster = Arc::clone(&cluster);
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await?;
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let query = parts.uri.query().unwrap_or_default();
                let answer = cluster.serve(&parts.method, parts.uri.path(), query, body);
                Ok::<_, BoxError>(answer)
            }
        });
        Client::new(service, "default")
    }

    /// Stores an object as `kubectl apply` does: status and finalizers of one that exists stay.
    pub fn apply<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        let path = path_of::<K>(
            object.meta().namespace.as_deref(),
            object.meta().name.as_deref(),
        );
        let mut wanted = serde_json::to_value(object).unwrap();
        let mut state = self.lock();
        state.take_connections(&path, &mut wanted);
        let before = state.objects.get(&path).cloned();
        match &before {
            None => begin(&mut wanted, state.version, self.clock.now()),
            Some(before) => {
                wanted["status"] = before["status"].clone();
                wanted["metadata"]["finalizers"] = before["metadata"]["finalizers"].clone();
                keep_identity(before, &mut wanted);
            }
        }
        state.commit(&path, before.as_ref(), wanted);
        drop(state);
        self.served.send_replace(());
    }

    /// Changes an object that exists, status and all.
    pub fn edit<K>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut K))
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let path = path_of::<K>(Some(namespace), Some(name));
        let mut state = self.lock();
        let before = state.objects.get(&path).cloned().expect("an object");
        let seen = state.with_connections(&path, before.clone());
        let mut object: K = serde_json::from_value(seen).unwrap();
        change(&mut object);
        let mut after = serde_json::to_value(object).unwrap();
        state.take_connections(&path, &mut after);
        state.commit(&path, Some(&before), after);
        drop(state);
        self.served.send_replace(());
    }

    /// Changes the JSON of an object that exists, into whatever the types cannot read.
    pub fn edit_json<K: Resource<DynamicType = ()>>(
        &self,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let path = path_of::<K>(Some(namespace), Some(name));
        let mut state = self.lock();
        let before = state.objects.get(&path).cloned().expect("an object");
        let mut after = state.with_connections(&path, before.clone());
        change(&mut after);
        state.take_connections(&path, &mut after);
        state.commit(&path, Some(&before), after);
        drop(state);
        self.served.send_replace(());
    }

    /// Returns the JSON of an object as it is now; null if there is none.
    pub fn json<K: Resource<DynamicType = ()>>(&self, namespace: &str, name: &str) -> Value {
        let path = path_of::<K>(Some(namespace), Some(name));
        let state = self.lock();
        let found = state.objects.get(&path).cloned();
        found.map_or(Value::Null, |found| state.with_connections(&path, found))
    }

    /// Deletes an object as `kubectl delete` does: it stays while it has finalizers.
    pub fn delete<K: Resource<DynamicType = ()>>(&self, namespace: &str, name: &str) {
        let path = path_of::<K>(Some(namespace), Some(name));
        let deleted = self.lock().delete(&path, &Value::Null, self.clock.now());
        deleted.expect("an object");
        self.served.send_replace(());
    }

    /// Returns the object as it is now.
    pub fn get<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let path = path_of::<K>(Some(namespace), Some(name));
        let state = self.lock();
        let found = state.objects.get(&path).cloned()?;
        let found = state.with_connections(&path, found);
        Some(serde_json::from_value(found).unwrap())
    }

    /// Returns the names of all objects of a kind, sorted.
    pub fn names<K: Resource<DynamicType = ()>>(&self) -> Vec<String> {
        let collection = K::plural(&());
        let state = self.lock();
        let paths = state.objects.keys();
        paths
            .filter(|path| path.collection == collection)
            .map(|path| path.name.clone())
            .collect()
    }

    /// Refuses the next `times` requests of this method whose path contains `part`.
    pub fn refuse(&self, method: Method, part: &str, refusal: Refusal, times: usize) {
        self.lock().faults.push(Fault {
            method,
            part: part.to_owned(),
            refusal,
            is_done: false,
            left: times,
        });
    }

    /// Lets this many requests through, and fails the one after them: it is refused, or whoever sends
    /// it panics if there is no refusal. Watches and events do not count.
    pub fn fail_after(&self, requests: usize, refusal: Option<Refusal>) {
        self.lock().nth = Some((requests, refusal.unwrap_or((0, PANIC))));
    }

    /// True if the request that [`Self::fail_after`] is about has not come.
    pub fn waits_to_fail(&self) -> bool {
        self.lock().nth.is_some()
    }

    /// Panics in whoever sends the next `times` requests of this method whose path contains `part`:
    /// a defect of the code that sends them.
    pub fn panic(&self, method: Method, part: &str, times: usize) {
        self.refuse(method, part, (0, PANIC), times);
    }

    /// Carries out the next `times` requests of this method whose path contains `part`, and loses
    /// the answer.
    pub fn lose_answer(&self, method: Method, part: &str, times: usize) {
        self.lock().faults.push(Fault {
            method,
            part: part.to_owned(),
            refusal: (504, "Timeout"),
            is_done: true,
            left: times,
        });
    }

    /// Serves requests that were scripted to be refused again.
    pub fn recover(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.nth = None;
    }

    /// Makes another writer change the object of the next request of this method whose path
    /// contains `part`, just before it is served.
    pub fn overtake(
        &self,
        method: Method,
        part: &str,
        write: impl FnOnce(&mut Value) + Send + 'static,
    ) {
        self.lock().rivals.push(Rival {
            method,
            part: part.to_owned(),
            write: Box::new(write),
        });
    }

    /// Makes the watches lag: they bring nothing until they [catch up](Self::catch_up).
    pub fn lag(&self) {
        self.lock().late.get_or_insert_default();
    }

    /// Makes the watches bring everything that they held back.
    pub fn catch_up(&self) {
        let mut state = self.lock();
        for news in state.late.take().unwrap_or_default() {
            state.tell(news);
        }
    }

    /// Ends every watch, as a server that is restarted does.
    pub fn disconnect(&self) {
        self.lock().watches.clear();
    }

    /// Ends every watch and forgets the changes until now, so that clients have to list anew (410
    /// Gone).
    pub fn forget_history(&self) {
        let mut state = self.lock();
        state.watches.clear();
        state.history.clear();
        state.forgotten = state.version + 1;
        // The version of a list from now on is not one of those that are forgotten.
        state.version += 1;
    }

    /// Returns the notes of the events with a reason.
    pub fn notes(&self, reason: &str) -> Vec<String> {
        let state = self.lock();
        let events = state.objects.iter();
        let events =
            events.filter(|(path, event)| path.collection == "events" && event["reason"] == reason);
        let notes = events.map(|(_, event)| event["note"].as_str().unwrap_or_default().to_owned());
        notes.collect()
    }

    /// Returns the events that were published, as `Reason Kind name`, in order.
    pub fn events(&self) -> Vec<String> {
        let state = self.lock();
        let events = state.objects.iter();
        let mut events: Vec<(u64, String)> = events
            .filter(|(path, _)| path.collection == "events")
            .map(|(_, event)| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let regarding = &event["regarding"];
                let (kind, name) = (text(&regarding["kind"]), text(&regarding["name"]));
                let version = text(&event["metadata"]["resourceVersion"]).parse();
                let said = format!("{} {kind} {name}", text(&event["reason"]));
                (version.unwrap_or_default(), said)
            })
            .collect();
        events.sort();
        events.into_iter().map(|(_, said)| said).collect()
    }

    /// Counts the requests of this method whose path contains `part` since they were last
    /// forgotten.
    pub fn count(&self, method: &Method, part: &str) -> usize {
        let state = self.lock();
        let requests = state.requests.iter();
        requests
            .filter(|(asked, path)| asked == method && path.contains(part))
            .count()
    }

    /// Returns the writes since they were last forgotten, as method and path; without those of
    /// events.
    pub fn writes(&self) -> Vec<String> {
        let state = self.lock();
        let requests = state.requests.iter();
        requests
            .filter(|(method, path)| *method != Method::GET && !path.contains("/events"))
            .map(|(method, path)| format!("{method} {path}"))
            .collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    /// Returns a receiver that is notified of every request that was served and every change.
    pub fn served(&self) -> watch::Receiver<()> {
        self.served.subscribe()
    }

    /// Returns every object but events, by collection, namespace and name.
    pub fn objects(&self) -> BTreeMap<String, Value> {
        let state = self.lock();
        let objects = state.objects.iter();
        objects
            .filter(|(path, _)| path.collection != "events")
            .filter(|(path, _)| !state.is_site_of_one(path))
            .map(|(path, object)| {
                let object = state.with_connections(path, object.clone());
                let Path {
                    collection,
                    namespace,
                    name,
                } = path;
                (format!("{collection} {namespace}/{name}"), object)
            })
            .collect()
    }

    /// Returns all objects and the last requests, for the message of a test that fails.
    pub fn dump(&self) -> String {
        let state = self.lock();
        let mut lines = Vec::new();
        for (path, object) in &state.objects {
            let (meta, status) = (&object["metadata"], &object["status"]);
            lines.push(format!("{path:?} {meta:#}\n{status:#}"));
        }
        let requests = state.requests.iter().rev().take(40).rev();
        lines.extend(requests.map(|(method, path)| format!("{method} {path}")));
        lines.join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, method: &Method, at: &str, query: &str, body: Value) -> Response<AnswerBody> {
        let mut state = self.lock();
        let is_watch = *method == Method::GET && query.contains("watch=true");
        if !is_watch {
            state.requests.push((method.clone(), at.to_owned()));
        }
        let (path, part) = parse(at);
        let counts = !is_watch && !at.contains("/events");
        let counted_out = counts.then(|| state.counted_out()).flatten();
        let refusal = counted_out.or_else(|| state.refused(method, at, false));
        let answer = if let Some(refusal) = refusal {
            Err(refusal)
        } else if is_watch {
            let body = state.watch(&path, query);
            drop(state);
            return Response::new(body);
        } else {
            state.rivals_first(method, at, &path);
            let answer = state.answer(method, &path, part, query, body, self.clock.now());
            state.refused(method, at, true).map_or(answer, Err)
        };
        drop(state);
        self.served.send_replace(());
        let (code, answer) = match answer {
            Ok(answer) => (200, answer),
            Err((code, TERMINATING)) => {
                let message = "it is forbidden: unable to create new content in namespace x \
                               because it is being terminated";
                (code, failure(code, "Forbidden", message))
            }
            Err((_, PANIC)) => panic!("as the test wants it"),
            Err((code, OUTSIDE_SCHEMA)) => {
                let refusals = self.lock().outside_schema.clone();
                (code, failure(code, "Invalid", &refusals))
            }
            Err((code, reason)) => (code, failure(code, reason, "as the test wants it")),
        };
        let body = Full::new(Bytes::from(answer.to_string())).map_err(|never| match never {});
        let response = Response::builder().status(code).body(body.boxed_unsync());
        response.expect("a valid response")
    }
}

fn path_of<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: Option<&str>) -> Path {
    Path {
        collection: K::plural(&()).into_owned(),
        namespace: namespace.unwrap_or_default().to_owned(),
        name: name.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use entente_crds::{
        example,
        v1alpha1::{Connection, ConnectionStatus, Orphan},
    };
    use kube::Api;

    use super::*;
    use crate::status::{WriteError, write_status};

    // shows K7
    #[tokio::test]
    async fn a_status_that_its_schema_does_not_allow_is_refused_and_the_field_is_named() {
        let clock = Arc::new(FakeClock::starting_at(jiff::Timestamp::UNIX_EPOCH));
        let cluster = FakeCluster::new(clock);
        let broker = example::northwind_services();
        cluster.apply(&broker);
        let name = broker.metadata.name.clone().unwrap();
        let stored: Connection = cluster.get("", &name).unwrap();
        let api: Api<Connection> = Api::all(cluster.client());
        let with = |instance_id: String| ConnectionStatus {
            orphans: vec![Orphan {
                instance_id,
                ..Orphan::default()
            }],
            ..ConnectionStatus::default()
        };
        let refused = write_status(&api, &stored, &with("i".repeat(65))).await;
        let Err(WriteError::Refused { code, message, .. }) = refused else {
            panic!("it is refused");
        };
        assert_eq!(code, 422);
        assert!(
            message.contains("status.orphans[0].instanceId"),
            "{message}"
        );
        let written = write_status(&api, &stored, &with("i".repeat(64))).await;
        assert!(written.is_ok(), "{written:?}");
    }
}
