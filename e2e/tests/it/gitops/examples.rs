//! Every example, and objects of each kind that leave out whatever has a default, on a control plane
//! of their own: the examples have names of their own.
//!
//! A new default that no object here leaves out fails every test that asks for them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use entente_crds::admission_cases::CaseKind;
use entente_crds::spec_rules;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::{SOON, TestNamespace};
use entente_e2e::operator::{OperatorOptions, workspace};
use entente_e2e::wait::wait_for;
use serde_json::{Map, Value as Json, json};

use super::archive::Files;
use super::manifest;

/// The namespace of all examples.
const NAMESPACE: &str = entente_crds::example::NAMESPACE;

/// The kinds that people write, and that a repository has.
const KINDS: [CaseKind; 11] = [
    CaseKind::Connection,
    CaseKind::DeviceModel,
    CaseKind::SmartService,
    CaseKind::MessageText,
    CaseKind::Site,
    CaseKind::Device,
    CaseKind::DeviceEnrollment,
    CaseKind::Contract,
    CaseKind::ContractAmendment,
    CaseKind::ContractNotice,
    CaseKind::SupplyOrder,
];

/// Places of the examples that are not on loopback, and those that they are replaced by.
const PLACES: [(&str, &str); 3] = [
    ("10.20.", "127.20."),
    ("broker.northwind.example", "127.0.0.1:9"),
    ("203.0.113.0/24", "127.0.0.0/8"),
];

/// Returns the files of every folder of examples, with all places on loopback.
fn examples() -> Vec<(String, Files)> {
    let root = workspace().join("examples");
    let mut folders = vec![root.clone()];
    let inner = std::fs::read_dir(&root).unwrap();
    folders.extend(inner.map(|it| it.unwrap().path()).filter(|it| it.is_dir()));
    folders.sort();
    let read = |directory: PathBuf| {
        let entries = std::fs::read_dir(&directory).unwrap();
        let mut files = Files::new();
        for path in entries.map(|it| it.unwrap().path()) {
            if path.extension().is_none_or(|it| it != "yaml") {
                continue;
            }
            let mut text = std::fs::read_to_string(&path).unwrap();
            for (place, loopback) in PLACES {
                text = text.replace(place, loopback);
            }
            let name = path.file_name().expect("it has a name");
            files.insert(name.to_string_lossy().into_owned(), text);
        }
        assert!(!files.is_empty(), "no example in {}", directory.display());
        let name = directory.file_name().expect("it has a name");
        (name.to_string_lossy().into_owned(), files)
    };
    folders.into_iter().map(read).collect()
}

/// Returns objects of each kind, with every list filled, that leave out whatever has a default.
fn without_defaults() -> Vec<Json> {
    let mut objects = Vec::new();
    for kind in KINDS {
        let schema = spec_rules::schema_of(kind);
        let mut put = BTreeSet::new();
        for (kept, whole) in [Kept::First, Kept::Last, Kept::None]
            .into_iter()
            .flat_map(|kept| wholes(kind).into_iter().map(move |whole| (kept, whole)))
        {
            let mut object = whole;
            let name = format!("whole-{}-{kept:?}-{}", kind.plural(), objects.len());
            object["metadata"]["name"] = json!(name.to_lowercase());
            strip(&schema["properties"]["spec"], kept, &mut object["spec"]);
            object.as_object_mut().expect("an object").remove("status");
            added(&object, &spec_rules::stored(kind, &object), "", &mut put);
            objects.push(object);
        }
        let mut known = BTreeSet::new();
        defaults(&schema["properties"]["spec"], "/spec", &mut known);
        let never: Vec<_> = known.difference(&put).collect();
        assert!(never.is_empty(), "{kind:?} never leaves out {never:?}");
    }
    objects
}

/// Returns objects of a kind that have every member among them that people write: a Connection has that
/// of one protocol. What goes with another value than the default is left out with that value.
fn wholes(kind: CaseKind) -> Vec<Json> {
    let mut whole = kind.complete();
    let without = |object: &mut Json, members: &[&str]| {
        let object = object.as_object_mut().expect("an object");
        object.retain(|name, _| !members.contains(&name.as_str()));
    };
    let spec = &mut whole["spec"];
    match kind {
        CaseKind::DeviceModel => {
            let errors = spec["errors"].as_array_mut().expect("errors");
            for error in errors {
                without(error, &["order"]);
            }
        }
        CaseKind::DeviceEnrollment => without(spec, &["template"]),
        CaseKind::SupplyOrder => {
            spec["record"]["cause"] = json!("Manual");
            without(&mut spec["record"], &["error", "reference"]);
        }
        _ => {}
    }
    let mut wholes = vec![whole];
    if let CaseKind::Connection = kind {
        wholes.push(json!(entente_crds::example::gateway()));
        wholes.push(json!(entente_crds::example::hq_snmp()));
    }
    wholes
}

/// The member that stays in an object of which all have a default.
///
/// An object that is left empty is nobody's, and so is what the API server would fill in: when its
/// manifest changes from an apply of the client to one of the server, the library of server-side
/// apply would remove both.
#[derive(Clone, Copy, Debug)]
enum Kept {
    First,
    Last,
    None,
}

/// Removes each member that has a default.
fn strip(schema: &Json, kept: Kept, value: &mut Json) {
    match value {
        Json::Object(members) => {
            let name = match kept {
                Kept::First => members.keys().next(),
                Kept::Last => members.keys().next_back(),
                Kept::None => None,
            };
            let kept_name = name.cloned();
            let is_left_out = |name: &String| has_default(&schema["properties"][name.as_str()]);
            if members.keys().all(is_left_out) {
                members.retain(|name, _| kept_name.as_ref() == Some(name));
            } else {
                members.retain(|name, _| !is_left_out(name));
            }
            for (name, member) in members.iter_mut() {
                strip(&schema["properties"][name.as_str()], kept, member);
            }
        }
        Json::Array(items) => {
            for item in items {
                strip(&schema["items"], kept, item);
            }
        }
        _ => {}
    }
}

/// True if a field has a default: that of its schema, or one that the code alone has and the
/// description tells.
fn has_default(schema: &Json) -> bool {
    let description = schema["description"].as_str().unwrap_or_default();
    schema.get("default").is_some() || description.contains(" Default: ")
}

/// Collects the paths of the members that the API server has put into an object; `[]` is any item.
fn added(given: &Json, stored: &Json, path: &str, found: &mut BTreeSet<String>) {
    match (given, stored) {
        (Json::Object(given), Json::Object(stored)) => {
            for (name, value) in stored {
                let path = format!("{path}/{name}");
                match given.get(name) {
                    Some(given) => added(given, value, &path, found),
                    None => _ = found.insert(path),
                }
            }
        }
        (Json::Array(given), Json::Array(stored)) => {
            for (given, stored) in given.iter().zip(stored) {
                added(given, stored, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

/// Collects the paths of the members that have a default and are not alone in their object: without
/// such a one, people leave out the object.
fn defaults(schema: &Json, path: &str, found: &mut BTreeSet<String>) {
    let none = Map::new();
    let members = schema["properties"].as_object().unwrap_or(&none);
    for (name, member) in members {
        let path = format!("{path}/{name}");
        defaults(member, &path, found);
        if member.get("default").is_some() && members.len() > 1 {
            found.insert(path);
        }
    }
    if let Some(items) = schema.get("items") {
        defaults(items, &format!("{path}[]"), found);
    }
}

pub(super) fn repositories() -> Vec<(String, Files)> {
    let whole = Files::from([("whole.yaml".to_owned(), manifest(&without_defaults()))]);
    let mut repositories = examples();
    repositories.push(("whole".to_owned(), whole));
    repositories
}

/// Returns an environment of the test's own: the examples have names of their own.
pub(super) async fn environment() -> TestEnvironment {
    let options = OperatorOptions::default();
    TestEnvironment::start(options).await.unwrap()
}

pub(super) async fn namespace(environment: &TestEnvironment) -> TestNamespace<'_> {
    let plane = &environment.plane;
    let made = plane.kubectl(["create", "namespace", NAMESPACE]).await;
    assert!(made.unwrap().status.success());
    let view = environment.operator.view();
    TestNamespace::with_name(plane, view, NAMESPACE.to_owned())
        .await
        .unwrap()
}

/// Returns every object of people.
async fn all(namespace: &TestNamespace<'_>) -> Option<Vec<Json>> {
    let kinds = KINDS.map(CaseKind::plural).join(",");
    let get = ["get", &kinds, "--all-namespaces", "-o", "json"];
    let found = namespace.plane().kubectl(get).await.ok()?;
    let mut found: Json = serde_json::from_slice(&found.stdout).ok()?;
    match found["items"].take() {
        Json::Array(items) => Some(items),
        _ => None,
    }
}

/// Returns the generation of every object of people: it counts the changes of the spec.
pub(super) async fn generations(namespace: &TestNamespace<'_>) -> Vec<(Json, Json)> {
    let objects = all(namespace).await.expect("kubectl answers");
    let of = |it: &Json| {
        let (kind, metadata) = (&it["kind"], &it["metadata"]);
        let name = json!([kind, metadata["name"]]);
        (name, metadata["generation"].clone())
    };
    objects.iter().map(of).collect()
}

/// Waits until the operator has judged every object of people.
pub(super) async fn all_are_judged(namespace: &TestNamespace<'_>) {
    let mut left = Vec::new();
    let judged = wait_for("the operator has judged every object", SOON, async || {
        left = all(namespace).await?;
        left.retain(|it| !is_judged(it));
        left.is_empty().then_some(())
    });
    let judged = judged.await;
    assert!(judged.is_ok(), "not judged: {left:#?}");
}

fn is_judged(object: &Json) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|it| it["reason"] != "Pending")
}
