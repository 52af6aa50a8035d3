//! Invariants of every status at every moment: reasons from the closed list, one of Reconciling and
//! Stalled at most, and messages without private texts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use entente_crds::condition::{ConditionType, Reason};
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::activation;
use super::ordering;
use super::situation::{self, Situation};
use super::table::conditions;
use super::{NEVER_SEEN, environment};

const MOST_CHARACTERS: usize = 1024;
/// `x` is a hexadecimal digit, `9` a decimal one.
const INSTANCE_ID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
const INSTANT: &str = "9999-99-99T99:99";

/// Returns the faults of an object's status; `addresses` must not be in it.
fn complaints(object: &Value, addresses: &[String]) -> Vec<String> {
    let status = &object["status"];
    // The schema's own default, before the operator's first status.
    if conditions(object) == NEVER_SEEN && status["observedGeneration"] == -1 {
        return Vec::new();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    // It has no conditions: nobody applies one.
    if kind == "DeviceTwin" {
        return Vec::new();
    }
    let all: Vec<&Value> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let mut found: Vec<String> = wrong_together(&all, &status["observedGeneration"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    for condition in all {
        let [type_, state, reason] =
            ["type", "status", "reason"].map(|field| text(&condition[field]));
        let mut wrong = wrong_words(&kind, &type_, &state, &reason);
        if !condition["observedGeneration"].is_i64() {
            wrong.push("no observedGeneration");
        }
        let message = without_what_was_written(&text(&condition["message"]), &object["spec"]);
        wrong.extend(wrong_message(&message, addresses));
        found.extend(wrong.into_iter().map(|what| format!("{what}: {condition}")));
    }
    let name = text(&object["metadata"]["name"]);
    found
        .into_iter()
        .map(|what| format!("{kind}/{name}: {what}; {status}"))
        .collect()
}

/// Returns the faults of conditions that are present at one time.
fn wrong_together(all: &[&Value], observed: &Value) -> Vec<&'static str> {
    let of = |wanted: &str| all.iter().find(|condition| condition["type"] == wanted);
    let is_true = |wanted: &str| of(wanted).is_some_and(|condition| condition["status"] == "True");
    let types: BTreeSet<String> = all
        .iter()
        .map(|condition| condition["type"].to_string())
        .collect();
    let mut wrong = Vec::new();
    if types.len() != all.len() {
        wrong.push("a type twice");
    }
    if is_true("Reconciling") && is_true("Stalled") {
        wrong.push("both Reconciling and Stalled");
    }
    match of("Ready") {
        None => wrong.push("no Ready"),
        // A tool that reads observedGeneration alone must not mistake settled for unseen (Flux).
        Some(ready) => {
            let settled = is_true("Ready") || is_true("Stalled");
            if settled && *observed != ready["observedGeneration"] {
                wrong.push("settled, and observedGeneration is behind");
            }
        }
    }
    wrong
}

fn wrong_words(kind: &str, type_: &str, status: &str, reason: &str) -> Vec<&'static str> {
    let Some(known) = ConditionType::ALL
        .iter()
        .find(|known| known.as_str() == type_)
    else {
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

/// Returns a message without the texts of the spec that it quotes: a person wrote them, and they do
/// not change by themselves.
fn without_what_was_written(message: &str, spec: &Value) -> String {
    match spec {
        Value::String(text) => message.replace(&format!("\"{text}\""), "\"\""),
        Value::Array(entries) => entries.iter().fold(message.to_owned(), |message, entry| {
            without_what_was_written(&message, entry)
        }),
        Value::Object(fields) => fields.values().fold(message.to_owned(), |message, field| {
            without_what_was_written(&message, field)
        }),
        _ => message.to_owned(),
    }
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
    // Identities of machines are UUIDs, too, and a person must see which is meant.
    let ids = message.replace("urn:uuid:", "\u{0}");
    let names_an_instance = ids.split('\u{0}').enumerate().any(|(at, part)| {
        let behind_its_identity = part.get(36..).filter(|_| at > 0);
        has(behind_its_identity.unwrap_or(part), INSTANCE_ID)
    });
    if names_an_instance {
        wrong.push("an id in the message");
    }
    wrong
}

fn has(text: &str, pattern: &str) -> bool {
    let fits = |window: &[u8]| {
        window
            .iter()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| match wanted {
                b'x' => byte.is_ascii_hexdigit(),
                b'9' => byte.is_ascii_digit(),
                other => *byte == other,
            })
    };
    text.as_bytes().windows(pattern.len()).any(fits)
}

/// A recorder of every version of every object that the API server's watches bring, from now on.
struct Recorder {
    versions: Arc<Mutex<Vec<Value>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Recorder {
    fn start(client: &Client) -> Self {
        let versions: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kinds = entente_crds::manifest::all()
            .into_iter()
            .map(|definition| ApiResource {
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

    /// Ends the watch, and returns the objects that it saw.
    fn stop(self) -> Vec<Value> {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        std::mem::take(&mut *self.versions.lock().expect("nobody panics with it"))
    }
}

// shows K2
#[tokio::test]
async fn no_status_of_any_situation_ever_leaves_the_closed_list() {
    let environment = environment().await;
    let client = environment.plane.client().await.expect("a client");
    let seen = Recorder::start(&client);
    let unsupported = || situation::unsupported(environment, Some(1));
    let (late, activations, worlds) = tokio::join!(
        async {
            let situation = situation::late(environment).await;
            situation
                .until("compensation/*", "Ready=False/Accruing")
                .await;
            situation.recover().await;
            situation
                .until("compensation/*", "Ready=True/RecordOnly")
                .await;
            situation
        },
        activation::all(environment),
        async {
            // In the order of the table; each ends where its test begins to check.
            let mut worlds: Vec<Situation<'_>> = vec![situation::scheduled(environment).await];
            worlds.push(situation::under_way(environment).await);
            worlds.push(situation::switched_off(environment).await);
            worlds.push(situation::faulty_contract(environment).await);
            worlds.push(unsupported().await);
            worlds.push(situation::suspended(environment).await);
            worlds.push(situation::deleting(environment).await);
            worlds.push(situation::faulty_catalogue(environment).await);
            worlds.push(situation::stranger(environment).await);
            worlds.push(situation::at_risk(environment).await);
            worlds.push(situation::too_slow(environment).await);
            worlds.push(situation::amended(environment).await);
            worlds.push(situation::noticed(environment).await);
            worlds.push(situation::calling(environment).await);
            worlds.push(situation::changing(environment).await);
            worlds.push(ordering::ordering(environment).await);
            worlds
        }
    );
    for (situation, object, conditions) in [
        (&worlds[0], "contract/ahead", "Ready=True/Scheduled"),
        (
            &worlds[1],
            "subscription/running.backup.mfp",
            "Ready=False/OperationRunning",
        ),
        (
            &worlds[2],
            "contract/switched-off",
            "Ready=False/DevicesNotProgressing",
        ),
        (&worlds[3], "contract/faulty", "Stalled=True/UnknownZone"),
        (
            &worlds[4],
            "contract/mixed",
            "Ready=True/DeliveredWithExceptions",
        ),
        (&worlds[5], "contract/paused", "Ready=True/Suspended"),
        (&worlds[6], "contract/leaving", "Ready=False/Withdrawing"),
        (&worlds[7], "service/wrong", "Stalled=True/UnsupportedValue"),
        (
            &worlds[7],
            "connection/gateway",
            "Stalled=True/UnsupportedValue",
        ),
        (&worlds[8], "device/mfp", "Stalled=True/IdentityMismatch"),
        (
            &worlds[9],
            "contract/risky",
            "StartAtRisk=True/DevicesNotProgressing",
        ),
        (
            &worlds[10],
            "subscription/slow.backup.mfp",
            "Ready=False/StepTimedOut",
        ),
        (&worlds[11], "amendment/later", "Ready=True/Scheduled"),
        (
            &worlds[11],
            "amendment/too-early",
            "Stalled=True/BeforeTerm",
        ),
        (
            &worlds[11],
            "amendment/homeless",
            "Ready=False/ContractNotFound",
        ),
        (
            &worlds[12],
            "contract/awaiting",
            "Ready=True/AwaitingNotice",
        ),
        (&worlds[12], "contract/overdue", "Stalled=True/NeverStarted"),
        (&worlds[12], "notice/ends", "Ready=True/Scheduled"),
        (
            &worlds[12],
            "notice/not-expected",
            "Stalled=True/NotExpected",
        ),
        (
            &worlds[12],
            "notice/homeless",
            "Ready=False/ContractNotFound",
        ),
        (&worlds[13], "device/behind", "Online=False/NotRegistered"),
        (&worlds[13], "connection/gateway", "Ready=True/PerDevice"),
        (
            &worlds[13],
            "enrollment/locked",
            "Ready=False/SecretForbidden",
        ),
        (
            &worlds[13],
            "enrollment/homeless",
            "Ready=False/ConnectionNotFound",
        ),
        (
            &worlds[14],
            "subscription/changing.backup.mfp",
            "Activated=False/ExclusiveGroupHeld",
        ),
        (&worlds[15], "order/strange", "Stalled=True/ItemUnknown"),
        (
            &worlds[15],
            "order/waiting",
            "Ready=False/OrderServerUnavailable",
        ),
        (&worlds[15], "site/nowhere", "Stalled=True/UnknownZone"),
    ] {
        situation.until(object, conditions).await;
    }
    for (situation, object, conditions) in &activations {
        situation.until(object, conditions).await;
    }
    let secrets: Vec<String> = worlds
        .iter()
        .chain([&late])
        .chain(activations.iter().map(|(situation, ..)| situation))
        .flat_map(Situation::addresses)
        .collect();
    let versions = seen.stop();
    let found: Vec<String> = versions
        .iter()
        .flat_map(|object| complaints(object, &secrets))
        .collect();
    let kinds: BTreeSet<&str> = versions
        .iter()
        .filter_map(|object| object["kind"].as_str())
        .collect();
    println!(
        "{} versions of {} kinds were looked at",
        versions.len(),
        kinds.len()
    );
    let defined = entente_crds::manifest::all();
    let defined: Vec<&str> = defined
        .iter()
        .map(|it| it.spec.names.kind.as_str())
        .collect();
    assert_eq!(kinds, defined.into_iter().collect(), "kinds with a status");
    assert!(versions.len() > 100, "only {} versions", versions.len());
    assert!(
        found.is_empty(),
        "{} complaints:\n{}",
        found.len(),
        found.join("\n")
    );
    // Its device must have registered: `calling::life` reaches it.
    let elsewhere = [Reason::ConsentWithdrawn];
    let reached = reasons_of(&versions, ConditionType::Activated);
    let mut missing = ConditionType::Activated.reasons().to_vec();
    missing.retain(|reason| !reached.contains(reason.as_str()) && !elsewhere.contains(reason));
    assert!(missing.is_empty(), "no situation reaches {missing:?}");
    assert!(!reasons_of(&versions, ConditionType::DataTypesConfigured).is_empty());
}

/// Returns the reasons that conditions of a type had.
fn reasons_of(versions: &[Value], type_: ConditionType) -> BTreeSet<&str> {
    let conditions = versions
        .iter()
        .filter_map(|it| it["status"]["conditions"].as_array());
    conditions
        .flatten()
        .filter(|condition| condition["type"] == type_.as_str())
        .filter_map(|condition| condition["reason"].as_str())
        .collect()
}

/// Returns a valid condition, from which faulty ones are made.
fn condition(type_: &str, reason: &str) -> Value {
    json!({"type": type_, "status": "True", "reason": reason, "message": "All.",
           "observedGeneration": 2})
}

fn contract(observed: i64, conditions: &[Value]) -> Value {
    json!({"kind": "Contract", "metadata": {"name": "x", "generation": 2},
           "status": {"observedGeneration": observed, "conditions": conditions}})
}

#[test]
fn the_closed_list_complains_about_what_a_condition_may_not_say() {
    let with = |changed: Value| {
        let address = ["127.0.0.1:4711".to_owned()];
        complaints(
            &contract(2, &[condition("Ready", "Delivered"), changed]),
            &address,
        )
    };
    let good = condition("Delivered", "Delivered");
    assert_eq!(with(good.clone()), Vec::<String>::new());
    let unlisted = "a reason that is not in the list of its type";
    for (field, value, complaint) in [
        (
            "type",
            json!("Happy"),
            "a type that is not in the closed list",
        ),
        (
            "type",
            json!("Online"),
            "a type that this kind does not have",
        ),
        ("type", json!("Ready"), "a type twice"),
        ("reason", json!(""), unlisted),
        ("reason", json!("Valid"), unlisted),
        ("status", json!("Maybe"), "no status"),
        ("observedGeneration", Value::Null, "no observedGeneration"),
        ("message", json!("m".repeat(1025)), "a long message"),
        (
            "message",
            json!("at ipp://10.0.0.1/ipp/print"),
            "an address in the message",
        ),
        (
            "message",
            json!("no answer of 127.0.0.1:4711"),
            "an address in the message",
        ),
        (
            "message",
            json!("since 2027-04-01T03:00:00Z"),
            "an instant in the message",
        ),
        (
            "message",
            json!("0b62b1ac-9a15-4a4e-9c43-0123456789ab"),
            "an id in the message",
        ),
    ] {
        let mut changed = good.clone();
        changed[field] = value;
        let found = with(changed.clone());
        assert!(
            found.iter().any(|found| found.contains(complaint)),
            "{changed} {found:?}"
        );
    }
    let mut negative = condition("Stalled", "InvalidTerm");
    negative["status"] = json!("False");
    assert_eq!(with(negative).len(), 1);
}

#[test]
fn a_message_may_quote_an_instant_that_the_spec_has_and_no_other() {
    let mut quoting = condition("Ready", "Delivered");
    quoting["message"] = json!("spec.at is \"2027-04-01T03:00:00Z\".");
    let mut contract_with = contract(2, &[quoting]);
    assert_eq!(complaints(&contract_with, &[]).len(), 1);
    contract_with["spec"] = json!({"at": "2027-04-01T03:00:00Z"});
    assert_eq!(complaints(&contract_with, &[]), Vec::<String>::new());
}

#[test]
fn the_closed_list_complains_about_what_conditions_may_not_say_together() {
    let both = [
        condition("Ready", "Delivered"),
        condition("Reconciling", "Progressing"),
        condition("Stalled", "InvalidTerm"),
    ];
    assert_eq!(complaints(&contract(2, &both), &[]).len(), 1);
    assert_eq!(
        complaints(&contract(1, &both[..1]), &[]).len(),
        1,
        "settled and not observed"
    );
    assert_eq!(
        complaints(&contract(2, &both[1..2]), &[]).len(),
        1,
        "no Ready"
    );
    assert_eq!(
        complaints(&contract(2, &[]), &[]).len(),
        1,
        "no condition at all"
    );
}
