//! The verdict of Argo CD on objects, and its actions: its engine runs the very text that we ship, in
//! Argo CD's own Lua (`e2e/judges/gitops-engine`).

use entente_e2e::operator::workspace;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::table::judged;

const VERSION: &str = "entente.dev/v1alpha1";

/// The health of an object, as Argo CD shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) message: String,
}

async fn engine<T: DeserializeOwned>(arguments: &[&str], about: &Value) -> T {
    let settings = workspace().join("contrib/argo-cd/argocd-cm.yaml");
    let settings = settings.to_string_lossy();
    let arguments = [arguments, &["--settings", &settings]].concat();
    let answer = judged("gitops-engine", &arguments, about).await;
    serde_json::from_str(&answer).expect("an answer in JSON")
}

/// Returns the health of each object.
pub(super) async fn health(objects: &[Value]) -> Vec<Health> {
    let found: Vec<Health> = engine(&["health"], &json!(objects)).await;
    assert_eq!(found.len(), objects.len(), "one health each");
    found
}

async fn act(action: &str, object: &Value) -> Value {
    engine(&["act", "--action", action], object).await
}

// shows K2 K6
#[tokio::test]
async fn an_object_that_is_deleted_or_was_edited_since_is_progressing() {
    let ready = |generation: i64, status: &str| {
        let condition = json!({
            "type": "Ready", "status": status, "reason": "Delivered", "message": "It works.",
            "observedGeneration": generation,
        });
        json!({
            "apiVersion": VERSION, "kind": "Contract", "metadata": {"generation": 2},
            "status": {"conditions": [condition]},
        })
    };
    let mut deleted = ready(2, "True");
    deleted["metadata"]["deletionTimestamp"] = json!("2027-04-01T00:00:00Z");
    let unseen = json!({"apiVersion": VERSION, "kind": "Contract", "metadata": {"generation": 1}});
    let found = health(&[ready(2, "True"), ready(1, "True"), deleted, unseen]).await;
    let expected = [
        ("Healthy", "It works."),
        ("Progressing", "The operator has not seen this spec yet."),
        ("Progressing", "Pending deletion"),
        ("Progressing", "The operator has not seen this object yet."),
    ];
    let found = found.iter().map(|it| (&*it.status, &*it.message));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

// shows K2 K6
#[tokio::test]
async fn the_actions_suspend_resume_and_ask_for_a_look() {
    let object = |kind: &str| {
        let (metadata, spec) = (json!({"name": "mfp"}), json!({"elect": "1"}));
        json!({"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec})
    };
    for kind in ["Contract", "Device"] {
        let suspended = act("suspend", &object(kind)).await;
        assert_eq!(suspended["spec"], json!({"elect": "1", "suspend": true}));
        let resumed = act("resume", &suspended).await;
        assert_eq!(resumed["spec"], json!({"elect": "1"}));
    }
    for kind in ["Connection", "Contract", "Device"] {
        let asked = act("reconcile", &object(kind)).await;
        let at = &asked["metadata"]["annotations"]["entente.dev/reconcile-at"];
        let at = at.as_str().expect("an instant");
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{kind}: {at}");
    }
}
