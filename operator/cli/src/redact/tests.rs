//! Every text of every kind is either hidden, or in the list of those that a bundle shows.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::{REDACTED, Redactor};

const CANARY: &str = "canary-7f3a9c";

/// Returns an object with a canary in every text of a schema; the path of each text is behind it.
fn planted(path: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!(format!("{CANARY} {path}")),
        Some("array") => json!([planted(&format!("{path}[]"), &schema["items"])]),
        Some("object") => {
            let further = &schema["additionalProperties"];
            if further.is_object() {
                // A parameter may have any name, also that of a harmless field.
                return json!({"name": planted(&format!("{path}.*"), further)});
            }
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, schema)| {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                (name.clone(), planted(&path, schema))
            });
            Value::Object(fields.collect())
        }
        Some("boolean") => json!(true),
        _ => json!(7),
    }
}

fn object(kind: &str) -> Value {
    let rules = entente_crds::rules::of_kind(kind).expect("a kind of ours");
    let properties = &rules.schema["properties"];
    json!({
        "apiVersion": "entente.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "x"},
        "spec": planted("spec", &properties["spec"]),
        "status": planted("status", &properties["status"]),
    })
}

/// A new field of a kind is a new line of this list, or is hidden: the review decides.
#[test]
fn a_bundle_shows_these_texts_and_no_others() {
    let mut shown = String::new();
    for kind in entente_crds::rules::kinds() {
        let object = object(kind);
        // Nothing is looked for in other texts, so that each field stands for itself.
        let redacted = Redactor::new(true).redact(kind, &object);
        super::walk("", &redacted, &mut |path, text| {
            if text.contains(CANARY) {
                let path = path.replace(".name.name", ".name");
                shown.extend([kind, " ", &path, "\n"]);
            }
        });
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redact/shown.txt");
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&golden, &shown).expect("the file is written");
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let differing = |found: &str, others: &str| -> Vec<String> {
        let others: BTreeSet<&str> = others.lines().collect();
        let more = found.lines().filter(|line| !others.contains(line));
        more.map(str::to_owned).collect()
    };
    assert_eq!(
        differing(&shown, &expected),
        [""; 0],
        "shown and not on the list"
    );
    assert_eq!(
        differing(&expected, &shown),
        [""; 0],
        "on the list and not shown"
    );
    for value in [
        ".parameters.name",
        "previous.values",
        "otherwise",
        "valueFrom.map",
        ".default\n",
        "DeviceTwin spec.settings[].value",
        "reported.settings[].value",
        "credential.sha256",
    ] {
        assert!(!shown.contains(value), "{value} is a value");
    }
}

/// Annotations of others have whole objects in them, as `kubectl apply` writes it
/// (openshift/must-gather#115), or tokens (stackrox/stackrox#22681).
// shows K2
#[test]
fn a_canary_in_any_place_of_an_object_is_not_in_the_bundle() {
    let contract = json!({
        "kind": "Contract",
        "metadata": {
            "name": "x",
            "managedFields": [{"manager": CANARY}],
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": format!("{{\"a\":\"{CANARY}\"}}"),
                "entente.dev/reconcile-at": "2027",
            },
        },
        "spec": {
            "customer": {"id": "C-4711"},
            "services": [{"name": "backup", "parameters": {"name": CANARY},
                "overrides": [{"name": "o", "parameters": {"type": format!("{CANARY}-2")}}]}],
            "fieldOfALaterVersion": {"deep": [CANARY]},
        },
        "status": {"conditions": [{"message":
            format!("{CANARY} of backup.key was refused; the device reports \"{CANARY}-of-it\".")}]},
    });
    let url = format!("https://user:{CANARY}@broker.example/v2?token={CANARY}#{CANARY}");
    let connection = json!({"kind": "Connection", "metadata": {"name": "c"}, "spec": {
        "osb": {"url": url}}});
    let subscription = json!({"kind": "ServiceSubscription", "metadata": {"name": "s"},
        "spec": {"revisions": [{"parameters": {"key": CANARY}}]},
        "status": {"items": [{"key": "DeviceSetting/x", "previous": {"values": [CANARY]}}]}});
    let all = [
        ("Contract", contract),
        ("Connection", connection),
        ("ServiceSubscription", subscription),
    ];
    let mut redactor = Redactor::new(true);
    for (kind, object) in &all {
        redactor.see(kind, object);
    }
    for (kind, object) in &all {
        let text = redactor.redact(kind, object).to_string();
        assert!(!text.contains(CANARY), "{text}");
        assert!(text.contains(REDACTED), "{text}");
    }
    let note = format!("device refused {CANARY}-2, then {CANARY}");
    assert_eq!(
        redactor.text(&note),
        "device refused REDACTED, then REDACTED"
    );
    let kept = redactor.redact("Contract", &all[0].1);
    assert_eq!(
        kept["metadata"]["annotations"]["entente.dev/reconcile-at"],
        "2027"
    );
    assert_eq!(kept["spec"]["customer"]["id"], "C-4711");
}

#[test]
fn customers_have_other_names_if_that_is_asked_for() {
    let contract = json!({"kind": "Contract",
        "metadata": {"name": "x", "labels": {"entente.dev/customer": "C-4711"}},
        "spec": {"customer": {"id": "C-4711", "name": "Banco C-4711 Sul"}},
        "status": {"conditions": [{"message": "Banco C-4711 Sul waits."}]}});
    let mut redactor = Redactor::new(false);
    redactor.see("Contract", &contract);
    let text = redactor.redact("Contract", &contract).to_string();
    assert!(!text.contains("4711") && !text.contains("Banco"), "{text}");
    assert!(
        text.contains("customer-1") && text.contains("Customer-2 waits."),
        "{text}"
    );
}
