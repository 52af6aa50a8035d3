//! What every status has to keep at every moment: reasons from the closed list, one of Reconciling
//! and Stalled at most, and messages without what does not belong there.

use std::sync::{Arc, Mutex};

use entente_crds::condition::ConditionType;
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;

const MOST_CHARACTERS: usize = 1024;
/// `x` is a hexadecimal digit, `9` a decimal one.
const INSTANCE_ID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const INSTANT: &str = "9999-99-99T99:99";

/// What is wrong with an object's status; `addresses` must not be told.
pub(super) fn complaints(object: &Value, addresses: &[String]) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let conditions: Vec<&Value> =
        object["status"]["conditions"].as_array().into_iter().flatten().collect();
    // What the schema itself puts there before anybody looked.
    if super::conditions(object) == super::NEVER_SEEN
        && object["status"]["observedGeneration"] == -1
    {
        return Vec::new();
    }
    let mut found: Vec<String> = Vec::new();
    for condition in &conditions {
        let mut complain = |what: &str| found.push(format!("{kind}/{name}: {what}: {condition}"));
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        for what in wrong_words(kind, text("type"), text("status"), text("reason")) {
            complain(what);
        }
        if !condition["observedGeneration"].is_i64() {
            complain("no observedGeneration");
        }
        for what in wrong_message(text("message"), addresses) {
            complain(what);
        }
    }
    let is_true = |wanted: &str| {
        conditions.iter().any(|c| c["type"] == wanted && c["status"] == "True")
    };
    if is_true("Reconciling") && is_true("Stalled") {
        found.push(format!("{kind}/{name}: both Reconciling and Stalled: {conditions:?}"));
    }
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    // A tool that reads observedGeneration alone must not take settled for unseen (Flux).
    if let Some(ready) = ready
        && (is_true("Ready") || is_true("Stalled"))
        && object["status"]["observedGeneration"] != ready["observedGeneration"]
    {
        found.push(format!("{kind}/{name}: settled, and observedGeneration is behind: {ready}"));
    }
    let types: std::collections::BTreeSet<_> =
        conditions.iter().map(|condition| condition["type"].to_string()).collect();
    if types.len() != conditions.len() {
        found.push(format!("{kind}/{name}: a type twice: {conditions:?}"));
    }
    if !conditions.is_empty() && ready.is_none() {
        found.push(format!("{kind}/{name}: no Ready: {conditions:?}"));
    }
    found
}

fn wrong_words(kind: &str, type_: &str, status: &str, reason: &str) -> Vec<&'static str> {
    let Some(known) = ConditionType::ALL.iter().find(|known| known.as_str() == type_) else {
        return vec!["a type that is not in the closed list"];
    };
    let mut wrong = Vec::new();
    if !known.kinds().contains(&kind) {
        wrong.push("a type that this kind does not have");
    }
    if !["True", "False", "Unknown"].contains(&status) {
        wrong.push("no status");
    }
    if known.is_negative() && status != "True" {
        wrong.push("a negative condition that is there without being True");
    }
    if !known.reasons().iter().any(|known| known.as_str() == reason) {
        wrong.push("a reason that is not in the list of its type");
    }
    wrong
}

fn wrong_message(message: &str, addresses: &[String]) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if message.chars().count() > MOST_CHARACTERS {
        wrong.push("a long message");
    }
    if message.contains("://") || addresses.iter().any(|address| message.contains(address)) {
        wrong.push("an address in the message");
    }
    if has(message, INSTANT) {
        wrong.push("an instant in the message");
    }
    if has(message, INSTANCE_ID) {
        wrong.push("an id in the message");
    }
    wrong
}

fn has(text: &str, pattern: &str) -> bool {
    let fits = |window: &[u8]| {
        window.iter().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
            b'x' => byte.is_ascii_hexdigit(),
            b'9' => byte.is_ascii_digit(),
            other => *byte == other,
        })
    };
    text.as_bytes().windows(pattern.len()).any(fits)
}

/// Every version of every object that the API server tells of, from now on.
pub(super) struct Recorder {
    versions: Arc<Mutex<Vec<Value>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Recorder {
    pub(super) fn start(client: Client) -> Self {
        let versions: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kinds = entente_crds::manifest::all().into_iter().map(|definition| ApiResource {
            group: definition.spec.group.clone(),
            version: "v1alpha1".to_owned(),
            api_version: format!("{}/v1alpha1", definition.spec.group),
            kind: definition.spec.names.kind.clone(),
            plural: definition.spec.names.plural,
        });
        let tasks = kinds
            .map(|kind| {
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
                let versions = Arc::clone(&versions);
                tokio::spawn(async move {
                    let mut events = watcher(api, watcher::Config::default()).boxed();
                    while let Some(event) = events.next().await {
                        let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) =
                            event
                        else {
                            continue;
                        };
                        let mut value = serde_json::to_value(object).expect("it came as JSON");
                        value["kind"] = kind.kind.clone().into();
                        versions.lock().expect("nobody panics with it").push(value);
                    }
                })
            })
            .collect();
        Self { versions, tasks }
    }

    /// What was seen.
    pub(super) fn stop(self) -> Vec<Value> {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        std::mem::take(&mut *self.versions.lock().expect("nobody panics with it"))
    }
}
