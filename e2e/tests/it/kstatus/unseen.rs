//! Objects that no operator has seen: the conclusions of people and tools from the defaults in the
//! schemas alone.

use entente_crds::example;
use entente_e2e::control_plane::ControlPlane;
use serde_json::{Value, json};

use super::NEVER_SEEN;
use super::table::{conditions, judge};

// shows K2
#[tokio::test]
async fn an_object_that_no_operator_has_seen_is_in_progress() {
    let plane = ControlPlane::shared()
        .await
        .expect("a control plane without an operator");
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/manifests");
    let install = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        manifests,
    ];
    assert!(plane.kubectl(install).await.unwrap().status.success());
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    assert!(plane.kubectl(established).await.unwrap().status.success());
    let namespace = plane.create_namespace("unseen").await.unwrap();
    let mut judged = Vec::new();
    for mut object in every_kind() {
        let name = format!("{namespace}-unseen");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        let input = object.to_string();
        let arguments = ["create", "-n", &namespace, "-f", "-", "-o", "json"];
        let made = plane
            .kubectl_as(plane.kubeconfig(), arguments, &input)
            .await
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let object: Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(object["status"]["observedGeneration"], -1, "{object:#}");
        assert_eq!(conditions(&object), NEVER_SEEN, "{object:#}");
        assert_eq!(
            judge(std::slice::from_ref(&object)).await,
            ["InProgress"],
            "{object:#}"
        );
        let resource = format!("{}.entente.dev/{name}", object["kind"].as_str().unwrap());
        let delete = ["delete", "-n", &namespace, &resource, "--wait=false"];
        assert!(plane.kubectl(delete).await.unwrap().status.success());
        judged.push(object["kind"].clone());
    }
    let defined = entente_crds::manifest::all().into_iter();
    let defined = defined.map(|it| it.spec.names.kind);
    // It has no conditions: nobody applies one.
    let defined: Vec<String> = defined.filter(|kind| kind != "DeviceTwin").collect();
    assert_eq!(judged, defined, "every kind was judged");
}

/// Returns one object of every kind, from the examples for users.
fn every_kind() -> Vec<Value> {
    fn of<K: serde::Serialize>(object: K) -> Value {
        let mut value = serde_json::to_value(object).expect("an example is JSON");
        value["metadata"] = json!({});
        value.as_object_mut().expect("an object").remove("status");
        value
    }
    vec![
        of(example::hq_ipp()),
        of(example::mfp_500()),
        of(example::data_backup()),
        of(example::toner_empty_text()),
        of(example::osasco_site()),
        of(example::devices().remove(0)),
        of(example::enrollment()),
        of(example::banco_sul_2027()),
        of(example::banco_sul_2027_july()),
        of(example::banco_sul_installed()),
        of(example::service_subscription()),
        of(example::compensation()),
        of(example::supply_order()),
    ]
}
