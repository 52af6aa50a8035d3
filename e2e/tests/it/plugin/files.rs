//! `validate` and `plan`: their words are those of the API server, and nothing is written.

use std::path::PathBuf;
use std::time::Duration;

use entente_crds::v1alpha1::{Contract, ServiceSubscription};
use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::{TestNamespace, starting_in};
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

type Change = fn(&mut Value);

/// Faults of a contract: the file, the change, and the words of the plugin and of the API server.
const FAULTS: [(&str, Change, &str, &str); 5] = [
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

// shows K2
#[tokio::test]
async fn validate_says_without_a_cluster_what_the_api_server_says() {
    let namespace = test_namespace("validate").await;
    let folder = Folder::new();
    for (name, change, offline, server) in FAULTS {
        let mut object = contract(namespace.name());
        change(&mut object);
        let file = folder.file(&format!("{name}.json"), &object);
        let path = file.to_str().unwrap();
        // No cluster is asked: there is none under this kubeconfig.
        let found = plugin(&folder.0.path().join("none"), &["validate", "-f", path]).await;
        found.has(1, &[path, "1 fault in 1 object", offline]);
        let said = answer_of_the_server(namespace.plane(), &object).await;
        assert!(said.contains(server), "{name}: {said}");
    }
}

#[tokio::test]
async fn validate_takes_a_good_contract_and_says_why_it_cannot_read_something() {
    let namespace = test_namespace("validate").await;
    let plane = namespace.plane();
    let folder = Folder::new();
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

/// Returns the versions of everything that an applied contract would change.
async fn versions(namespace: &TestNamespace<'_>) -> (Vec<Option<String>>, Option<Contract>) {
    let all = namespace.list::<ServiceSubscription>().await;
    let all = all.into_iter().map(|it| it.metadata.resource_version);
    (all.collect(), namespace.read_contract("plan-2027").await)
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
    let new = format!("Contract {}/plan-2027: new", namespace.name());
    first.has(0, &[&new, "would be accepted", "in time, prepared from"]);
    let sent = "sent to the device: alert.";
    first.has(
        0,
        &["add parts on 1 device: ", sent, "Nothing was written."],
    );
    let written = namespace.read_contract("plan-2027").await;
    assert!(written.is_none(), "nothing was written");

    let applied = fixture.parts_contract("plan-2027", start, "1h");
    namespace.apply(&applied).await.unwrap();
    contract_says(namespace, "plan-2027", "Ready", "Scheduled").await;
    let same = ask(&contract).await;
    same.has(0, &["No subscription changes; 1 subscription as wanted."]);

    fixture.switch_off(1).await;
    let entry = &mut contract["spec"]["services"][0];
    entry["devices"]["names"] = json!([fixture.name(1), "dock-mfp"]);
    let before = versions(namespace).await;
    let other = ask(&contract).await;
    let added = "add parts on 2 devices: ";
    other.has(
        2,
        &["other spec.services", added, "dock-mfp does not exist"],
    );
    let withdrawn = format!("withdraw parts on 1 device: {}", fixture.name(0));
    other.has(2, &[&withdrawn]);
    assert_eq!(versions(namespace).await, before, "nothing was written");

    contract["spec"]["customer"]["id"] = json!("C-1");
    let changed = ask(&contract).await;
    let help = "cannot be changed; make another contract";
    changed.has(1, &["spec.customer", help]);
    contract["spec"]["customer"]["id"] = json!("C-4711");
    contract["spec"]["term"]["timeZone"] = json!("America/Sao_Paolo");
    let refused = ask(&contract).await;
    let unknown = "\"America/Sao_Paolo\" is unknown";
    refused.has(3, &["would be refused", unknown]);
    fixture.finish().await;
}
