//! `deploy/`: the base and its overlays by kustomize, which are what the chart renders with the values
//! beside them, and install.yaml on a real API server.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use entente_crds::yaml;
use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::Value;
use tokio::process::Command;

use super::cluster::{NAMESPACE, Person, eventually};
use super::{chart, helm, printed, repository};

/// Builds a directory by the kustomize that is in kubectl.
async fn built(directory: &Path) -> Vec<Value> {
    let output = Command::new(repository().join("target/tools/kubectl"))
        .arg("kustomize")
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("kubectl runs");
    yaml::read_all(&printed(&output)).expect("kustomize writes YAML")
}

/// Returns objects by kind, namespace and name, without the marks of Helm and without the namespace of
/// the release, which Helm makes itself.
fn by_identity(objects: Vec<Value>) -> BTreeMap<String, Value> {
    fn without_marks(value: &mut Value) {
        if let Some(labels) = value
            .pointer_mut("/metadata/labels")
            .and_then(Value::as_object_mut)
        {
            labels.remove("helm.sh/chart");
            labels.remove("app.kubernetes.io/managed-by");
        }
        if value.pointer("/spec/template").is_some() {
            without_marks(&mut value["spec"]["template"]);
        }
    }
    // Kustomize writes 1 for 1.0, and folds the lines of an expression of PromQL anew.
    fn in_one_spelling(value: &mut Value) {
        if let Some(expression) = value.get("expr").and_then(Value::as_str) {
            let words: Vec<&str> = expression.split_whitespace().collect();
            value["expr"] = words.join(" ").into();
        }
        match value {
            Value::Number(number) => *value = number.as_f64().into(),
            Value::Array(items) => items.iter_mut().for_each(in_one_spelling),
            Value::Object(fields) => fields.values_mut().for_each(in_one_spelling),
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    for mut object in objects {
        without_marks(&mut object);
        in_one_spelling(&mut object);
        let metadata = &object["metadata"];
        let identity = format!(
            "{} {} {}",
            object["kind"], metadata["namespace"], metadata["name"]
        );
        if identity != format!("\"Namespace\" null \"{NAMESPACE}\"") {
            assert!(found.insert(identity, object).is_none(), "one object twice");
        }
    }
    found
}

#[tokio::test]
async fn base_and_overlays_are_what_the_chart_renders_with_their_values() {
    let deploy = repository().join("deploy");
    let mut directories = vec![deploy.join("base")];
    for entry in std::fs::read_dir(deploy.join("overlays")).expect("overlays") {
        directories.push(entry.expect("an entry").path());
    }
    assert!(directories.len() > 2, "{directories:?}");
    for directory in directories {
        let chart = chart();
        let values = directory.join("values.yaml");
        let mut arguments = vec!["template", "entente", chart.to_str().unwrap()];
        arguments.extend(["--namespace", NAMESPACE, "--set", "crds.keep=false"]);
        arguments.push("--skip-tests");
        if values.exists() {
            arguments.extend(["--values", values.to_str().unwrap()]);
        }
        let rendered = yaml::read_all(&printed(&helm(None, &arguments).await)).expect("YAML");
        let (built, rendered) = (by_identity(built(&directory).await), by_identity(rendered));
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&built), names(&rendered), "{}", directory.display());
        for (identity, object) in &built {
            assert_eq!(
                object,
                &rendered[identity],
                "{}: {identity}",
                directory.display()
            );
        }
    }
}

#[tokio::test]
async fn the_generated_files_of_deploy_are_up_to_date() {
    let output = Command::new(repository().join("scripts/manifests"))
        .arg("--check")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the script runs");
    printed(&output);
}

#[tokio::test]
async fn install_yaml_and_an_overlay_are_applied_and_applied_again() {
    let plane = ControlPlane::start(Options::default()).await;
    let plane = plane.expect("a control plane");
    let administrator = Person::administrator(&plane);
    let kubectl = async |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        administrator.kubectl(&arguments, "").await
    };
    let apply = async |flag: &str, path: &str| {
        let path = repository().join("deploy").join(path);
        kubectl(&format!("apply --server-side {flag} {}", path.display())).await
    };
    // Twice: the second time, the operator may have put its key into the Secret.
    apply("-f", "base/install.yaml").await.expect("applied");
    let secret = format!("secret entente-digest-key -n {NAMESPACE}");
    let key = r#"{"data":{"key":"c2l4dGVlbiBieXRlcyBhbmQgYXMgbWFueSBhZ2Fpbg=="}}"#;
    let put = kubectl(&format!("patch {secret} --type=merge -p {key}")).await;
    put.expect("put");
    apply("-f", "base/install.yaml").await.expect("again");
    let read = kubectl(&format!("get {secret} -o jsonpath={{.data.key}}")).await;
    let read = read.expect("it is there");
    assert!(
        key.contains(&read) && read.len() > 20,
        "the key is {read:?}"
    );
    let operator = Person::operator(&plane).await;
    let contracts = "contracts.entente.dev";
    assert!(operator.can("patch", contracts, "default").await);

    kubectl("create namespace banco-sul").await.expect("made");
    let applied = apply("-k", "overlays/single-namespace").await;
    applied.expect("an overlay");
    let bound = "delete clusterrolebinding entente-operator";
    kubectl(bound).await.expect("as deploy/README.md tells it");
    eventually("the rights are those of the overlay", async || {
        let here = operator.can("patch", contracts, "banco-sul").await;
        let elsewhere = operator.can("patch", contracts, "default").await;
        let state = format!("here {here}, elsewhere {elsewhere}");
        if here && !elsewhere {
            Ok(())
        } else {
            Err(state)
        }
    })
    .await;
    let said = apply("-k", "overlays/monitoring").await;
    let said = said.expect_err("without its kind");
    let expected = r#"no matches for kind "ServiceMonitor""#;
    assert!(said.contains(expected), "{said}");

    let label = "-l app.kubernetes.io/name=entente";
    let told = std::fs::read_to_string(repository().join("deploy/README.md")).unwrap();
    let told = told
        .lines()
        .filter_map(|line| line.strip_prefix("kubectl "));
    for delete in told.filter(|line| line.ends_with(label)) {
        kubectl(delete).await.expect("as deploy/README.md tells it");
    }
    let everywhere = "roles,rolebindings,clusterroles,clusterrolebindings,flowschemas,\
                      validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = format!("get {everywhere} --all-namespaces -o name {label}");
    assert_eq!(kubectl(&left).await.expect("read"), "", "uninstalled");
}
