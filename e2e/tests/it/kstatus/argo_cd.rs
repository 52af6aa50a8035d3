//! The verdict of Argo CD: its language runs the very text that we ship.
//!
//! Argo CD runs scripts in a Lua 5.1 of its own; this is the reference one.

use std::collections::BTreeMap;

use entente_crds::yaml;
use mlua::{Lua, LuaSerdeExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

const CONFIG_MAP: &str = include_str!("../../../../contrib/argo-cd/argocd-cm.yaml");

/// The health of an object, as Argo CD shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) message: String,
}

/// The actions of a kind, as Argo CD reads them.
#[derive(Debug, Deserialize)]
struct Actions {
    #[serde(rename = "discovery.lua")]
    discovery: String,
    definitions: Vec<Definition>,
}

#[derive(Debug, Deserialize)]
struct Definition {
    name: String,
    #[serde(rename = "action.lua")]
    script: String,
}

fn customizations() -> BTreeMap<String, String> {
    let map: Value = yaml::read(CONFIG_MAP).expect("it is YAML");
    serde_json::from_value(map["data"].clone()).expect("a ConfigMap has texts")
}

/// Runs a script about an object.
fn run(script: &str, object: &Value) -> Value {
    let lua = Lua::new();
    let given = lua.to_value(object).expect("JSON is plain data");
    lua.globals().set("obj", given).expect("a global");
    let returned: mlua::Value = lua.load(script).eval().expect("the script runs");
    lua.from_value(returned).expect("it returns plain data")
}

/// Returns the health of an object.
pub(super) fn health(object: &Value) -> Health {
    let kind = object["kind"].as_str().expect("an object has a kind");
    let key = format!("resource.customizations.health.entente.dev_{kind}");
    let script = customizations().remove(&key).expect("every kind has one");
    serde_json::from_value(run(&script, object)).expect("a status and a message")
}

fn act(kind: &str, action: &str, object: &Value) -> Value {
    let key = format!("resource.customizations.actions.entente.dev_{kind}");
    let text = customizations().remove(&key).expect("the kind has actions");
    let actions: Actions = yaml::read(&text).expect("it is YAML");
    let found = run(&actions.discovery, object);
    let names: Vec<&String> = actions.definitions.iter().map(|it| &it.name).collect();
    let offered = found.as_object().expect("a table by name");
    assert_eq!(offered.len(), names.len(), "{kind}: {found}");
    let mut definitions = actions.definitions.iter();
    let definition = definitions
        .find(|it| it.name == action)
        .expect("the action");
    assert!(offered.contains_key(action), "{kind}: {found}");
    run(&definition.script, object)
}

// shows K2 K6
#[test]
fn an_object_that_is_deleted_or_was_edited_since_is_progressing() {
    let ready = |generation: i64, status: &str| {
        let condition = json!({
            "type": "Ready", "status": status, "reason": "Delivered", "message": "It works.",
            "observedGeneration": generation,
        });
        json!({
            "kind": "Contract", "metadata": {"generation": 2},
            "status": {"conditions": [condition]},
        })
    };
    assert_eq!(health(&ready(2, "True")).status, "Healthy");
    assert_eq!(health(&ready(1, "True")).status, "Progressing");
    let mut deleted = ready(2, "True");
    deleted["metadata"]["deletionTimestamp"] = json!("2027-04-01T00:00:00Z");
    assert_eq!(health(&deleted).status, "Progressing");
    let unseen = json!({"kind": "Contract", "metadata": {"generation": 1}});
    let unseen = health(&unseen);
    assert_eq!(unseen.status, "Progressing");
    assert_eq!(unseen.message, "The operator has not seen this object yet.");
}

// shows K2 K6
#[test]
fn the_actions_suspend_resume_and_ask_for_a_look() {
    let object = json!({"metadata": {"name": "mfp"}, "spec": {}});
    for kind in ["Contract", "Device"] {
        let suspended = act(kind, "suspend", &object);
        assert_eq!(suspended["spec"]["suspend"], true);
        let resumed = act(kind, "resume", &suspended);
        assert_eq!(resumed["spec"].get("suspend"), None);
    }
    let asked = act("Device", "reconcile", &object);
    let at = &asked["metadata"]["annotations"]["entente.dev/reconcile-at"];
    let at = at.as_str().expect("an instant");
    assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
}
