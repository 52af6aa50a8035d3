//! `validate` and `plan`: their words are those of the API server, and nothing is written.

use std::path::PathBuf;
use std::time::Duration;

use entente_crds::v1alpha1::ServiceSubscription;
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::starting_in;
use serde_json::{Value, json};

use super::runner::{command, plugin, run};
use crate::delivery_fixture::{DeliveryFixture, contract_says, test_namespace};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, object: &Value) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, object.to_string()).unwrap();
        path
    }
}

fn contract(namespace: &str) -> Value {
    let mut object = serde_json::to_value(entente_crds::example::banco_sul_2027()).unwrap();
    object["metadata"]["namespace"] = namespace.into();
    object["apiVersion"] = "entente.dev/v1alpha1".into();
    object["kind"] = "Contract".into();
    object
}

async fn answer_of_the_server(plane: &ControlPlane, object: &Value) -> String {
    let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let text = object.to_string();
    let answer = plane
        .kubectl_as(plane.kubeconfig(), arguments, &text)
        .await
        .unwrap();
    assert!(!answer.status.success(), "the server accepts it: {object}");
    String::from_utf8(answer.stderr).unwrap()
}

// shows K2
#[tokio::test]
async fn validate_says_without_a_cluster_what_the_api_server_says() {
    type Change = fn(&mut Value);
    let namespace = test_namespace("validate").await;
    let plane = namespace.plane();
    let folder = Folder::new();
    let rows: [(&str, Change, &str, &str); 5] = [
        (
            "dates",
            |it| it["spec"]["term"]["endDate"] = json!("2020-01-01"),
            "spec.term: endDate must not be before startDate",
            "endDate must not be before startDate",
        ),
        (
            "amount",
            |it| it["spec"]["services"][0]["fee"]["amount"] = json!("12,50"),
            "spec.services[0].fee.amount: ",
            "spec.services[0].fee.amount: ",
        ),
        (
            "unknown",
            |it| it["spec"]["services"][0]["parameter"] = json!({}),
            "spec.services[0].parameter: unknown field",
            "unknown field \"spec.services[0].parameter\"",
        ),
        (
            "enum",
            |it| it["spec"]["deletionPolicy"] = json!("Forget"),
            "spec.deletionPolicy: unsupported value \"Forget\": must be one of \"Withdraw\", \"Keep\"",
            "spec.deletionPolicy: Unsupported value: \"Forget\": supported values: \"Withdraw\", \"Keep\"",
        ),
        (
            "missing",
            |it| {
                it["spec"]["customer"].as_object_mut().unwrap().remove("id");
            },
            "spec.customer.id: required",
            "spec.customer.id: Required value",
        ),
    ];
    for (name, change, offline, server) in rows {
        let mut object = contract(namespace.name());
        change(&mut object);
        let file = folder.file(&format!("{name}.json"), &object);
        let path = file.to_str().unwrap();
        // No cluster is asked: there is none under this kubeconfig.
        let found = plugin(&folder.0.path().join("none"), &["validate", "-f", path]).await;
        found.has(1, &[path, "1 fault in 1 object", offline]);
        let said = answer_of_the_server(plane, &object).await;
        assert!(said.contains(server), "{name}: {said}");
    }
    let object = contract(namespace.name()).to_string();
    let good = command(&folder.0.path().join("none"), &["validate", "-f", "-"]);
    run(good, &object)
        .await
        .has(0, &["note: Contract", "1 object without a fault"]);
    let none = plugin(plane.kubeconfig(), &["validate", "-f", "/nowhere.yaml"]).await;
    let expected = "error: /nowhere.yaml cannot be read: No such file or directory (os error 2)\n";
    assert_eq!((none.code, &*none.err), (1, expected));
    let broken = command(plane.kubeconfig(), &["validate", "-f", "-"]);
    let broken = run(broken, "a: [").await;
    let expected = "error: standard input is no YAML or JSON: ";
    assert!(
        broken.code == 1 && broken.err.starts_with(expected),
        "{broken}"
    );
    let foreign = command(plane.kubeconfig(), &["validate", "-f", "-"]);
    let foreign = run(
        foreign,
        "{apiVersion: v1, kind: Secret, metadata: {name: x}}",
    )
    .await;
    let expected = "error: standard input: no object of entente.dev is there\n";
    assert_eq!((foreign.code, &*foreign.err), (1, expected));
}

// shows B2 B5
#[tokio::test]
async fn a_plan_tells_what_would_change_and_writes_nothing() {
    let fixture = DeliveryFixture::new("plan", 2).await;
    let namespace = &fixture.namespace;
    let kubeconfig = namespace.plane().kubeconfig();
    let start = starting_in(Duration::from_hours(24 * 30));
    let mut contract =
        serde_json::to_value(fixture.parts_contract("plan-2027", start, "1h")).unwrap();
    let folder = Folder::new();
    let ask = async |object: &Value| {
        let file = folder.file("contract.json", object);
        plugin(
            kubeconfig,
            &["-n", namespace.name(), "plan", "-f", file.to_str().unwrap()],
        )
        .await
    };
    let first = ask(&contract).await;
    let name = format!("Contract {}/plan-2027", namespace.name());
    first.has(
        0,
        &[
            &format!("{name}: new"),
            "would be accepted",
            "in time, prepared from",
        ],
    );
    first.has(
        0,
        &[
            "add parts on 1 device: ",
            "sent to the device: alert.",
            "Nothing was written.",
        ],
    );
    assert!(
        namespace.read_contract("plan-2027").await.is_none(),
        "nothing was written"
    );

    namespace
        .apply(&fixture.parts_contract("plan-2027", start, "1h"))
        .await
        .unwrap();
    contract_says(namespace, "plan-2027", "Ready", "Scheduled").await;
    let same = ask(&contract).await;
    same.has(0, &["No subscription changes; 1 subscription as wanted."]);

    fixture.switch_off(1).await;
    let entry = &mut contract["spec"]["services"][0];
    entry["devices"]["names"] = json!([fixture.name(1), "dock-mfp"]);
    let versions = async || {
        let all = namespace.list::<ServiceSubscription>().await;
        let all = all.into_iter().map(|it| it.metadata.resource_version);
        (
            all.collect::<Vec<_>>(),
            namespace.read_contract("plan-2027").await,
        )
    };
    let before = versions().await;
    let other = ask(&contract).await;
    other.has(
        2,
        &[
            "other spec.services",
            "add parts on 2 devices: ",
            "dock-mfp does not exist",
        ],
    );
    other.has(
        2,
        &[&format!("withdraw parts on 1 device: {}", fixture.name(0))],
    );
    assert_eq!(versions().await, before, "nothing was written");

    contract["spec"]["customer"]["id"] = json!("C-1");
    let changed = ask(&contract).await;
    changed.has(
        1,
        &["spec.customer", "cannot be changed; make another contract"],
    );
    contract["spec"]["customer"]["id"] = json!("C-4711");
    contract["spec"]["term"]["timeZone"] = json!("America/Sao_Paolo");
    ask(&contract)
        .await
        .has(3, &["would be refused", "\"America/Sao_Paolo\" is unknown"]);
    fixture.finish().await;
}
