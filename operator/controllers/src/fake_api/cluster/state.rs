//! Content of a [`super::FakeCluster`], and the rules by which it changes.

use std::{collections::BTreeMap, time::Duration};

use entente_crds::status_rules::refusals;
use futures::{StreamExt as _, channel::mpsc as stream};
use http::Method;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::fake_api::{AnswerBody, FakeWatch, failure};

/// Subject of a request; without a name it is the collection.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Path {
    pub(super) collection: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The refusal to create an object in a namespace that is being deleted.
pub(super) const TERMINATING: &str = "NamespaceTerminating";

/// The refusal of a status that its schema does not allow.
pub(super) const OUTSIDE_SCHEMA: &str = "OutsideSchema";

/// The end of the client that sent a request: a panic, in its own task, without an answer.
pub(super) const PANIC: &str = "Panic";

/// A failure, with the reason that a Status gives.
pub(super) type Refusal = (u16, &'static str);

/// A change: version, collection, kind of change, object.
pub(super) type News = (u64, String, &'static str, Value);

pub(super) struct Fault {
    pub(super) method: Method,
    pub(super) part: String,
    pub(super) refusal: Refusal,
    /// True if the request is carried out all the same, and only the answer is lost.
    pub(super) is_done: bool,
    pub(super) left: usize,
}

/// Another writer, just before a request is served.
pub(super) struct Rival {
    pub(super) method: Method,
    pub(super) part: String,
    pub(super) write: Box<dyn FnOnce(&mut Value) + Send>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) version: u64,
    pub(super) objects: BTreeMap<Path, Value>,
    /// Changes that were sent to watches.
    pub(super) history: Vec<News>,
    /// Changes that will be sent, while watches lag.
    pub(super) late: Option<Vec<News>>,
    /// Oldest version from which a watch can continue: later changes are not known any more.
    pub(super) forgotten: u64,
    pub(super) watches: Vec<(String, FakeWatch)>,
    pub(super) faults: Vec<Fault>,
    /// The number of requests until one that fails, and the failure of it.
    pub(super) nth: Option<(usize, Refusal)>,
    pub(super) rivals: Vec<Rival>,
    pub(super) requests: Vec<(Method, String)>,
    /// True if Devices that a test writes have their connections by a Site.
    pub(super) keeps_connections_at_sites: bool,
    /// Reasons of the last refusal of a status by its schema.
    pub(super) outside_schema: String,
}

impl State {
    /// Returns the failure of this request, if it is the one that was counted out.
    pub(super) fn counted_out(&mut self) -> Option<Refusal> {
        let (left, refusal) = self.nth.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let refusal = *refusal;
        self.nth = None;
        Some(refusal)
    }

    /// Returns the refusal that is scripted for a request, if there is one: of those that come
    /// before the request is done, or of those after it.
    pub(super) fn refused(&mut self, method: &Method, at: &str, done: bool) -> Option<Refusal> {
        let mut faults = self.faults.iter_mut();
        let fault = faults.find(|fault| {
            fault.method == *method && at.contains(&fault.part) && fault.is_done == done
        })?;
        let refusal = fault.refusal;
        fault.left -= 1;
        self.faults.retain(|fault| fault.left > 0);
        Some(refusal)
    }

    pub(super) fn rivals_first(&mut self, method: &Method, at: &str, path: &Path) {
        let mut rivals = self.rivals.iter();
        let found = rivals.position(|rival| rival.method == *method && at.contains(&rival.part));
        if let Some(position) = found
            && let Some(before) = self.objects.get(path).cloned()
        {
            let rival = self.rivals.remove(position);
            let mut after = before.clone();
            (rival.write)(&mut after);
            self.commit(path, Some(&before), after);
        }
    }

    pub(super) fn answer(
        &mut self,
        method: &Method,
        path: &Path,
        part: &str,
        query: &str,
        body: Value,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let is_known = matches!(part, "" | "status") && !query.contains("labelSelector");
        match *method {
            _ if !is_known => Err((400, "BadRequest")),
            Method::GET if path.name.is_empty() => Ok(self.list(path, query)),
            Method::GET => self.found(path).cloned(),
            Method::POST => self.create(path, body, now),
            Method::PUT => self.replace(path, part, body),
            Method::PATCH => self.patch(path, &body),
            Method::DELETE => self.delete(path, &body["preconditions"], now),
            _ => Err((405, "MethodNotAllowed")),
        }
    }

    fn found(&self, path: &Path) -> Result<&Value, Refusal> {
        self.objects.get(path).ok_or((404, "NotFound"))
    }

    /// Returns the object, if it still is the object and the version of the decision.
    fn expected(&self, path: &Path, decided_on: &Value) -> Result<Value, Refusal> {
        let found = self.found(path)?;
        for field in ["uid", "resourceVersion"] {
            let wanted = &decided_on[field];
            if !wanted.is_null() && *wanted != found["metadata"][field] {
                return Err((409, "Conflict"));
            }
        }
        Ok(found.clone())
    }

    fn list(&self, of: &Path, query: &str) -> Value {
        let objects = self.objects.iter();
        let selector = field_selector(query);
        let items: Vec<&Value> = objects
            .filter(|(path, _)| path.collection == of.collection)
            .filter(|(path, _)| of.namespace.is_empty() || path.namespace == of.namespace)
            .map(|(_, object)| object)
            .filter(|object| {
                let mut wanted = selector.iter();
                wanted.all(|(pointer, value)| object.pointer(pointer) == Some(&json!(value)))
            })
            .collect();
        let version = self.version.to_string();
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version},
               "items": items})
    }

    fn create(&mut self, of: &Path, mut object: Value, now: Timestamp) -> Result<Value, Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = Path {
            name: name.to_owned(),
            ..of.clone()
        };
        if self.objects.contains_key(&path) {
            return Err((409, "AlreadyExists"));
        }
        let namespace = Path {
            collection: "namespaces".to_owned(),
            name: of.namespace.clone(),
            ..Path::default()
        };
        let namespace = self.objects.get(&namespace);
        if namespace.is_some_and(|it| !it["metadata"]["deletionTimestamp"].is_null()) {
            return Err((403, TERMINATING));
        }
        object["metadata"]["uid"] = Value::Null;
        object["status"] = Value::Null;
        begin(&mut object, self.version, now);
        Ok(self.commit(&path, None, object))
    }

    fn replace(&mut self, path: &Path, part: &str, body: Value) -> Result<Value, Refusal> {
        let before = self.expected(path, &body["metadata"])?;
        let after = if part == "status" {
            let refusals = refusals(&path.collection, &body["status"]);
            if !refusals.is_empty() {
                self.outside_schema = format!("{path:?}: {}", refusals.join("; "));
                return Err((422, OUTSIDE_SCHEMA));
            }
            let mut after = before.clone();
            after["status"] = body["status"].clone();
            after
        } else {
            let mut after = body;
            after["status"] = before["status"].clone();
            keep_identity(&before, &mut after);
            after
        };
        Ok(self.commit(path, Some(&before), after))
    }

    /// A list is a JSON Patch (RFC 6902), an object a merge patch (RFC 7396).
    fn patch(&mut self, path: &Path, change: &Value) -> Result<Value, Refusal> {
        let mut after = self.found(path)?.clone();
        if change.is_array() {
            let operations: json_patch::Patch =
                serde_json::from_value(change.clone()).map_err(|_| (400, "BadRequest"))?;
            json_patch::patch(&mut after, &operations).map_err(|_| (422, "Invalid"))?;
        } else {
            merge(&mut after, change);
        }
        let before = self.expected(path, &after["metadata"])?;
        after["status"] = before["status"].clone();
        keep_identity(&before, &mut after);
        Ok(self.commit(path, Some(&before), after))
    }

    pub(super) fn delete(
        &mut self,
        path: &Path,
        preconditions: &Value,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let before = self.expected(path, preconditions)?;
        let mut after = before.clone();
        if before["metadata"]["deletionTimestamp"].is_null() {
            after["metadata"]["deletionTimestamp"] = json!(whole_second(now));
            raise_generation(&mut after);
        }
        let after = self.commit(path, Some(&before), after);
        if self.objects.contains_key(path) {
            return Ok(after);
        }
        Ok(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }

    /// Stores a version of an object and sends it to the watches. An equal one is not stored, and a
    /// terminating one without finalizers is removed.
    pub(super) fn commit(
        &mut self,
        path: &Path,
        before: Option<&Value>,
        mut after: Value,
    ) -> Value {
        without_nulls(&mut after);
        if before == Some(&after) {
            return after;
        }
        if before.is_some_and(|before| rest(before) != rest(&after)) {
            raise_generation(&mut after);
        }
        self.version += 1;
        after["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let meta = &after["metadata"];
        let is_pending = meta["finalizers"]
            .as_array()
            .is_some_and(|it| !it.is_empty());
        let event = if !meta["deletionTimestamp"].is_null() && !is_pending {
            self.objects.remove(path);
            "DELETED"
        } else if self.objects.insert(path.clone(), after.clone()).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let news = (self.version, path.collection.clone(), event, after.clone());
        match &mut self.late {
            Some(late) => late.push(news),
            None => self.tell(news),
        }
        after
    }

    /// Sends a change to the watches.
    pub(super) fn tell(&mut self, news: News) {
        let (_, of, event, object) = &news;
        self.watches
            .retain(|(watched, watch)| watched != of || watch.try_send(event, object));
        self.history.push(news);
    }

    /// Returns a watch of every namespace, from a version on; it ends as the client asked.
    pub(super) fn watch(&mut self, of: &Path, query: &str) -> AnswerBody {
        let number = |name: &str| -> Option<u64> {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name)?.1.parse().ok()
        };
        let (sender, frames) = stream::unbounded();
        let watch = FakeWatch(sender);
        let since = number("resourceVersion").unwrap_or_default();
        if since < self.forgotten {
            watch.send(
                "ERROR",
                &failure(410, "Expired", "too old resource version"),
            );
            return StreamBody::new(frames).boxed_unsync();
        }
        for (version, collection, event, object) in &self.history {
            if *version > since && *collection == of.collection {
                watch.send(event, object);
            }
        }
        self.watches.push((of.collection.clone(), watch));
        let end = Duration::from_secs(number("timeoutSeconds").unwrap_or(300));
        let frames = frames.take_until(Box::pin(tokio::time::sleep(end)));
        StreamBody::new(frames).boxed_unsync()
    }
}

/// Returns the terms of a field selector: a JSON pointer and the text that must be there.
fn field_selector(query: &str) -> Vec<(String, String)> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let selector = pairs.find(|(key, _)| *key == "fieldSelector");
    let selector = selector.map_or(String::new(), |(_, text)| {
        text.replace("%3D", "=").replace("%2C", ",")
    });
    let terms = selector.split(',').filter_map(|term| term.split_once('='));
    terms
        .map(|(field, value)| (format!("/{}", field.replace('.', "/")), value.to_owned()))
        .collect()
}

/// Returns the collection, namespace and name in a path of the API, and the rest of the path.
pub(super) fn parse(at: &str) -> (Path, &str) {
    let segments: Vec<&str> = at.trim_matches('/').split('/').collect();
    let prefix = if segments.first() == Some(&"api") {
        2
    } else {
        3
    };
    let (namespace, rest) = match segments.get(prefix..).unwrap_or_default() {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let segment = |index: usize| rest.get(index).copied().unwrap_or_default();
    let path = Path {
        collection: segment(0).to_owned(),
        namespace: namespace.to_owned(),
        name: segment(1).to_owned(),
    };
    (path, segment(2))
}

/// Gives a new object the metadata that the API server gives it; a UID only if the test chose none.
pub(super) fn begin(object: &mut Value, version: u64, now: Timestamp) {
    let meta = &mut object["metadata"];
    if meta["uid"].is_null() {
        meta["uid"] = json!(format!("00000000-0000-4000-8000-{version:012}"));
    }
    meta["generation"] = json!(1);
    meta["creationTimestamp"] = json!(whole_second(now));
}

pub(super) fn keep_identity(before: &Value, after: &mut Value) {
    for field in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        after["metadata"][field] = before["metadata"][field].clone();
    }
}

fn raise_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    object["metadata"]["generation"] = json!(generation + 1);
}

/// Returns the part of an object that a generation counts: all but metadata and status.
fn rest(object: &Value) -> Value {
    let mut rest = object.clone();
    let fields = rest.as_object_mut().expect("an object");
    fields.retain(|name, _| name != "metadata" && name != "status");
    rest
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    for (name, value) in fields {
        merge(&mut target[name.as_str()], value);
    }
}

fn without_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(without_nulls);
    }
}

fn whole_second(now: Timestamp) -> Timestamp {
    let fraction = i64::from(now.subsec_millisecond());
    now.checked_sub(fraction.milliseconds())
        .expect("an instant")
}
