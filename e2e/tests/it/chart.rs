//! The Helm chart: its rendering, its refusals, and the rights to write each kind once it is
//! installed on a real API server.

mod board;
mod cluster;
mod events;
mod flags;
mod flow_schemas;
mod helm;
mod helm_test;
mod installed;
mod manifests;
mod namespaces;
mod pods;
mod records;
mod reports;
mod rights;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use entente_crds::{admission_cases::CaseKind, manifest, yaml};
use serde_json::{Value, json};
use tokio::process::Command;

/// Longest run of one helm; nothing here waits for Pods, since none runs.
const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a directory of the workspace")
}

fn chart() -> PathBuf {
    repository().join("charts/entente")
}

/// Runs helm, which keeps nothing of its own: caches and repositories go with the directory.
pub(crate) async fn helm<S: AsRef<OsStr>>(kubeconfig: Option<&Path>, arguments: &[S]) -> Output {
    let path = repository().join("target/tools/helm");
    assert!(path.exists(), "helm is missing: build it with `make tools`");
    let home = tempfile::tempdir().expect("a directory for helm");
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .env(
            "KUBECONFIG",
            kubeconfig.unwrap_or_else(|| Path::new("/nonexistent")),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    tokio::time::timeout(DEADLINE, command.output())
        .await
        .expect("helm ends in time")
        .expect("helm runs")
}

/// Returns helm's output; the test fails if helm failed.
pub(crate) fn printed(output: &Output) -> String {
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    said(&output.stdout)
}

/// Returns the objects that the chart renders with these settings, without those of `helm test`.
pub(crate) async fn rendered(settings: &[&str]) -> Vec<Value> {
    let chart = chart();
    let mut arguments = vec![
        OsStr::new("template"),
        OsStr::new("entente"),
        chart.as_os_str(),
    ];
    arguments.extend(["--namespace", "entente-system", "--skip-tests"].map(OsStr::new));
    for setting in settings {
        arguments.extend(["--set", setting].map(OsStr::new));
    }
    yaml::read_all(&printed(&helm(None, &arguments).await)).expect("helm renders YAML")
}

/// Returns the error of Helm for settings that the chart refuses.
async fn refusal(settings: &str) -> String {
    let chart = chart();
    let arguments = ["template", "--set", settings].map(OsStr::new);
    let output = helm(None, &[&arguments[..], &[chart.as_os_str()]].concat()).await;
    assert!(!output.status.success(), "{settings} was taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn named<'o>(objects: &'o [Value], kind: &str, name: &str) -> Option<&'o Value> {
    let mut found = of_kind(objects, kind).into_iter();
    found.find(|object| object["metadata"]["name"] == name)
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn container(objects: &[Value]) -> &Value {
    &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
}

/// Values that are one object of Kubernetes each.
const WHOLE: [&str; 6] = [
    "gateway.resources.requests",
    "gateway.resources.limits",
    "resources.requests",
    "resources.limits",
    "podSecurityContext",
    "securityContext",
];

/// The path of every value in `values.yaml` that is not a mapping with fields of its own.
fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !WHOLE.contains(&path) => {
            for (key, below) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(&path, below, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn the_readme_explains_every_value_and_no_other() {
    let read = |name: &str| std::fs::read_to_string(chart().join(name)).expect("the file is there");
    let values: Value = yaml::read(&read("values.yaml")).expect("values.yaml is YAML");
    let mut expected = Vec::new();
    leaves("", &values, &mut expected);
    expected.sort_unstable();
    let readme = read("README.md");
    let (_, table) = readme.split_once("| value |").expect("a table of values");
    let mut explained: Vec<String> = table
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    explained.sort_unstable();
    assert_eq!(explained, expected);
}

#[tokio::test]
async fn the_chart_installs_the_generated_definitions_and_keeps_them() {
    let expected: Vec<Value> = manifest::all().iter().map(|crd| json!(crd)).collect();
    for (setting, policy) in [
        ("crds.keep=true", json!("keep")),
        ("crds.keep=false", json!(null)),
    ] {
        let objects = rendered(&[setting]).await;
        let found = of_kind(&objects, "CustomResourceDefinition");
        assert_eq!(found.len(), expected.len());
        for crd in &expected {
            let name = &crd["metadata"]["name"];
            let same = found
                .iter()
                .find(|found| found["metadata"]["name"] == *name);
            let same = same.unwrap_or_else(|| unreachable!("{name} is missing"));
            assert_eq!(same["spec"], crd["spec"], "{name}");
            let annotations = &same["metadata"]["annotations"];
            assert_eq!(annotations["helm.sh/resource-policy"], policy, "{name}");
        }
    }
    let objects = rendered(&["crds.enabled=false"]).await;
    assert_eq!(of_kind(&objects, "CustomResourceDefinition").len(), 0);
    assert_eq!(of_kind(&objects, "Deployment").len(), 1);
}

#[tokio::test]
async fn the_flags_of_the_operator_come_from_values() {
    let objects = rendered(&[]).await;
    let expected = [
        "--log-format=json",
        "--log-level=info",
        "--log-level-file=/etc/entente/log-level/level",
        "--admin-address=0.0.0.0:8080",
        "--withdraw-deadline=24h",
    ];
    assert_eq!(container(&objects)["args"], json!(expected));
    let env = container(&objects)["env"].as_array().expect("a list");
    let of_the_pod = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let expected = [
        of_the_pod("POD_NAMESPACE", "metadata.namespace"),
        of_the_pod("POD_NAME", "metadata.name"),
    ];
    assert_eq!(env[..], expected);
    assert_eq!(
        container(&objects)["image"],
        "ghcr.io/entente-dev/entente:0.1.0"
    );

    let digest = format!("image.digest=sha256:{}", "0".repeat(64));
    let settings = [
        "log.format=text",
        "log.level=debug",
        "log.levelConfigMap=",
        "tracing.endpoint=http://collector.observability:4318",
        "operator.withdrawDeadline=1h30m",
        "operator.accrualInterval=5m",
        "operator.concurrency=64",
        "operator.apiInFlight=8",
        "operator.leaseDuration=30s",
        &digest,
    ];
    let objects = rendered(&settings).await;
    let expected = [
        "--log-format=text",
        "--log-level=debug",
        "--traces-endpoint=http://collector.observability:4318",
        "--admin-address=0.0.0.0:8080",
        "--withdraw-deadline=1h30m",
        "--accrual-interval=5m",
        "--concurrency=64",
        "--api-in-flight=8",
        "--lease-duration=30s",
    ];
    assert_eq!(container(&objects)["args"], json!(expected));
    let image = container(&objects)["image"].as_str().expect("an image");
    assert!(
        image.starts_with("ghcr.io/entente-dev/entente@sha256:0000"),
        "{image}"
    );
}

#[tokio::test]
async fn what_is_optional_is_there_when_it_is_wanted_and_only_then() {
    let cases = [
        ("metrics.service.enabled", "Service", 1),
        ("networkPolicy.enabled", "NetworkPolicy", 1),
        ("admissionPolicy.enabled", "ValidatingAdmissionPolicy", 6),
        (
            "admissionPolicy.enabled",
            "ValidatingAdmissionPolicyBinding",
            6,
        ),
    ];
    for (value, kind, number) in cases {
        let with = rendered(&[&format!("{value}=true")]).await;
        assert_eq!(of_kind(&with, kind).len(), number, "{kind}");
        let without = rendered(&[&format!("{value}=false")]).await;
        assert_eq!(of_kind(&without, kind).len(), 0, "{kind}");
    }
    let roles = |objects: &[Value]| of_kind(objects, "ClusterRole").len();
    assert_eq!(roles(&rendered(&[]).await), 4);
    assert_eq!(roles(&rendered(&["aggregateRoles=false"]).await), 1);
    let bindings = |objects: &[Value]| of_kind(objects, "ClusterRoleBinding").len();
    assert_eq!(bindings(&rendered(&[]).await), 1);
    let everybody = "catalogueViewers[0].kind=Group,catalogueViewers[0].name=system:authenticated";
    let bound = rendered(&[everybody, "aggregateRoles=false"]).await;
    let name = "entente-catalogue-view";
    assert!(
        named(&bound, "ClusterRole", name).is_some(),
        "what is bound is there"
    );
    let subject = json!({"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = named(&bound, "ClusterRoleBinding", name).expect("a binding");
    assert_eq!(binding["subjects"], json!([subject]));
}

#[tokio::test]
async fn nothing_but_metrics_is_let_in_and_those_only_for_who_is_named() {
    let ingress = |objects: &[Value]| {
        let policies = of_kind(objects, "NetworkPolicy");
        assert_eq!(policies.len(), 1, "it is there by default");
        assert_eq!(policies[0]["spec"]["policyTypes"], json!(["Ingress"]));
        policies[0]["spec"]["ingress"].clone()
    };
    let ports = json!([{"port": "admin"}]);
    assert_eq!(
        ingress(&rendered(&[]).await),
        json!([{"from": [{"podSelector": {}}], "ports": ports}])
    );
    let monitoring = "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=monitoring";
    let peer = json!({"namespaceSelector": {"matchLabels": {"team": "monitoring"}}});
    assert_eq!(
        ingress(&rendered(&[monitoring]).await),
        json!([{"from": [peer], "ports": ports}])
    );
    let all = container(&rendered(&[]).await)["ports"].clone();
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    assert_eq!(all[0]["name"], "admin");
}

/// A kind that is in no role of people can be read by the administrator alone.
#[tokio::test]
async fn people_may_read_every_kind_but_those_that_name_addresses_and_secrets() {
    const WITHHELD: &str = "connections";
    let objects = rendered(&[]).await;
    let readable: BTreeSet<String> = of_kind(&objects, "ClusterRole")
        .into_iter()
        .filter(|role| role["metadata"]["name"] == "entente-view")
        .flat_map(|role| role["rules"].as_array().into_iter().flatten())
        .flat_map(|rule| rule["resources"].as_array().into_iter().flatten())
        .map(|resource| resource.as_str().unwrap().to_owned())
        .collect();
    let kinds = CaseKind::ALL.iter().map(|kind| kind.plural());
    let expected = kinds.filter(|plural| *plural != WITHHELD);
    assert_eq!(readable, expected.map(str::to_owned).collect());
}

/// A right that is not needed is a right that can be abused: none of these may ever come back.
#[tokio::test]
async fn the_operator_has_no_right_that_design_forbids() {
    let objects = rendered(&[]).await;
    let roles = [of_kind(&objects, "ClusterRole"), of_kind(&objects, "Role")].concat();
    let operator: Vec<&Value> = roles
        .into_iter()
        .filter(|role| role["metadata"]["name"] == "entente-operator")
        .collect();
    assert_eq!(operator.len(), 2);
    let key = json!(["entente-digest-key"]);
    for role in operator {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let text = rule.to_string();
            assert!(!text.contains('*'), "{text}");
            if text.contains("secrets") {
                assert_eq!(role["kind"], "Role", "{text}");
                let verb = if rule["resourceNames"] == key {
                    "update"
                } else {
                    "get"
                };
                assert_eq!(rule["verbs"], json!([verb]), "{text}");
            }
        }
    }
}
