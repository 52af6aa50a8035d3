//! The support bundle: what it holds, and what it must not.

use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::starting_in;
use serde_json::json;
use std::process::Command;
use std::time::Duration;

use super::runner::plugin;
use crate::delivery_fixture::{DeliveryFixture, contract_says, test_namespace};

/// A value of a parameter, which is no secret, and one of a Secret.
const VALUE: &str = "canary-of-a-parameter";
const SECRET: &str = "canary-of-a-secret";

async fn apply(plane: &ControlPlane, object: serde_json::Value) {
    let text = object.to_string();
    let arguments = ["apply", "-f", "-"];
    let answer = plane
        .kubectl_as(plane.kubeconfig(), arguments, &text)
        .await
        .unwrap();
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
}

/// Applies a contract with a value that is refused, and a Secret.
async fn apply_canaries(fixture: &DeliveryFixture<'_>) {
    let namespace = &fixture.namespace;
    let (plane, name) = (namespace.plane(), namespace.name());
    let start = starting_in(Duration::from_hours(72));
    let contract = fixture.backup_contract("bundle-2027", start, "1h");
    let mut contract = serde_json::to_value(contract).unwrap();
    contract["spec"]["services"][0]["parameters"] = json!({"label": VALUE});
    contract["apiVersion"] = "entente.dev/v1alpha1".into();
    contract["kind"] = "Contract".into();
    apply(plane, contract).await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": name},
        "stringData": {"password": SECRET},
    });
    apply(plane, secret).await;
    contract_says(namespace, "bundle-2027", "Accepted", "UnsupportedValue").await;
}

/// Returns the output of tar.
fn tar(arguments: &[&str]) -> String {
    let output = Command::new("tar").args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

// shows K2
#[tokio::test]
async fn a_bundle_has_objects_and_events_and_neither_values_nor_secrets() {
    let fixture = DeliveryFixture::new("bundle", 1).await;
    let namespace = &fixture.namespace;
    let (plane, name) = (namespace.plane(), namespace.name());
    apply_canaries(&fixture).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.tar.gz");
    let path = file.to_str().unwrap();
    let arguments = ["-n", name, "support-bundle", "-o", path];
    let made = plugin(plane.kubeconfig(), &arguments).await;
    made.has(0, &["read them before you send them"]);
    let listed = tar(&["-tzf", path]);
    for part in [
        "README.txt",
        "not-read.txt",
        "definitions.yaml",
        &format!("contracts/{name}/bundle-2027.yaml"),
        &format!("devices/{name}/{}.yaml", fixture.name(0)),
        &format!("smartservices/{name}-data-backup.yaml"),
    ] {
        let part = format!("entente-support/{part}\n");
        assert!(listed.contains(&part), "{part}: {listed}");
    }
    let all = tar(&["-xzOf", path]);
    assert!(all.contains("UnsupportedValue"), "reasons are there: {all}");
    assert!(all.contains("label: REDACTED"), "{all}");
    let last_applied = "last-applied-configuration: '{";
    for canary in [VALUE, SECRET, last_applied, "managedFields"] {
        assert!(!all.contains(canary), "{canary}: {all}");
    }

    let again = plugin(plane.kubeconfig(), &arguments).await;
    let expected = format!("error: {path} cannot be written: File exists (os error 17)\n");
    assert_eq!((again.code, &*again.err), (1, &*expected));
}

// shows K4
#[tokio::test]
async fn a_bundle_of_someone_without_rights_says_what_could_not_be_read() {
    let namespace = test_namespace("poor").await;
    let user = format!("nobody-of-{}", namespace.name());
    let user = namespace.plane().user_kubeconfig(&user, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("poor.tar.gz");
    let path = file.to_str().unwrap();
    let arguments = ["-n", namespace.name(), "support-bundle", "-o", path];
    let answer = plugin(&user, &arguments).await;
    assert_eq!(answer.code, 0, "{answer}");
    assert!(
        answer.err.contains("you may not list contracts"),
        "{answer}"
    );
    let unread = tar(&["-xzOf", path, "entente-support/not-read.txt"]);
    let line = "you may not list compensations";
    assert!(unread.contains(line), "{unread}");
}
