//! Releases that serve named namespaces (`watchNamespaces`): their rights, and what two of them have
//! in common, which is nothing but the definitions.

use std::collections::BTreeSet;

use entente_crds::admission_cases::CaseKind;
use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::Value;

use super::cluster::{Person, eventually, own};
use super::{chart, container, helm, of_kind, printed, refusal, rendered};

const WATCH: &str = "watchNamespaces={acme,banco-sul}";
const EVENTS: &str = "events.enabled=true,events.tls.secretName=tls";

/// Returns the rights that rules grant, each as group, resource and verb.
fn granted<'o>(roles: impl IntoIterator<Item = &'o Value>) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    for rule in roles
        .into_iter()
        .flat_map(|role| role["rules"].as_array().expect("rules"))
    {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert(format!("{group} {resource} {verb}"));
                }
            }
        }
    }
    rights
}

/// Returns the operator's own ClusterRoles, not those of people.
fn cluster_roles(objects: &[Value]) -> Vec<&Value> {
    let roles = of_kind(objects, "ClusterRole").into_iter();
    let operator = |role: &&Value| {
        let name = role["metadata"]["name"].as_str().unwrap();
        name.starts_with("entente-operator")
    };
    roles.filter(operator).collect()
}

fn roles_in<'o>(objects: &'o [Value], namespace: &str) -> Vec<&'o Value> {
    let roles = of_kind(objects, "Role").into_iter();
    roles
        .filter(|role| role["metadata"]["namespace"] == namespace)
        .collect()
}

// shows K4
/// datastax/cass-operator#297: a release for a namespace kept its rights in the cluster.
/// konpyutaika/nifikop#724: one for no namespace had none at all.
#[tokio::test]
async fn with_named_namespaces_the_operator_has_the_same_rights_and_only_there() {
    let whole = granted(cluster_roles(&rendered(&[EVENTS]).await));
    let objects = rendered(&[EVENTS, WATCH]).await;
    let cluster = granted(cluster_roles(&objects));
    let scoped = [
        "connections",
        "devicemodels",
        "smartservices",
        "messagetexts",
        "namespaces",
    ];
    let scoped = [&scoped[..], &["customresourcedefinitions", "reviews"]].concat();
    for right in &cluster {
        assert!(
            scoped.iter().any(|kind| right.contains(kind)),
            "{right} in every namespace"
        );
    }
    for namespace in ["acme", "banco-sul"] {
        let there = granted(roles_in(&objects, namespace));
        assert_eq!(&cluster | &there, whole, "{namespace}");
        assert!(cluster.is_disjoint(&there), "{namespace}");
    }
    let announcing = ["events.k8s.io events create", "events.k8s.io events patch"];
    assert_eq!(
        granted(roles_in(&objects, "default")),
        announcing.map(str::to_owned).into()
    );
    assert_eq!(roles_in(&rendered(&[]).await, "default").len(), 0);
}

#[tokio::test]
async fn the_operator_is_given_its_namespaces_and_its_part_of_the_catalogue() {
    let arguments =
        async |settings: &[&str]| container(&rendered(settings).await)["args"].to_string();
    let given = arguments(&[WATCH, r"selector=tier in (gold\,silver)"]).await;
    assert!(
        given.contains(r#""--watch-namespaces=acme,banco-sul""#),
        "{given}"
    );
    assert!(
        given.contains(r#""--selector=tier in (gold,silver)""#),
        "{given}"
    );
    let given = arguments(&[]).await;
    assert!(
        !given.contains("watch") && !given.contains("selector"),
        "{given}"
    );
    let said = refusal("watchNamespaces={acme},tenantSecrets.namespaces={acme,other}").await;
    assert!(
        said.contains("tenantSecrets.namespaces: other is not in watchNamespaces"),
        "{said}"
    );
}

/// apache/camel-k#6145, cockroachdb/helm-charts#283, grafana/alloy-operator#4: the second release
/// did not install because a ClusterRole of the first had its name.
#[tokio::test]
async fn two_releases_have_no_object_in_common_but_the_definitions() {
    let identities = async |namespace: &str, watched: &str| -> BTreeSet<String> {
        let chart = chart();
        let chart = chart.to_str().unwrap();
        let watched = format!("watchNamespaces={watched},crds.enabled=false,{EVENTS}");
        let arguments = [
            "template", "entente", chart, "-n", namespace, "--set", &watched,
        ];
        let text = printed(&helm(None, &arguments).await);
        let objects: Vec<Value> = entente_crds::yaml::read_all(&text).unwrap();
        let identity = |it: &Value| {
            format!(
                "{} {} {}",
                it["kind"], it["metadata"]["namespace"], it["metadata"]["name"]
            )
        };
        objects.iter().map(identity).collect()
    };
    // A namespace whose name is the end of a fixed name, too.
    for (one, other) in [("team-a", "team-b"), ("events", "operator")] {
        let (one, other) = (
            identities(one, "{acme}").await,
            identities(other, "{delta}").await,
        );
        assert!(one.len() > 20, "{one:?}");
        let common: Vec<_> = one.intersection(&other).collect();
        assert!(common.is_empty(), "{common:?}");
        let whole = identities("entente-system", "null").await;
        let common: Vec<_> = one.intersection(&whole).collect();
        assert!(common.is_empty(), "{common:?}");
    }
}

/// Installs a release of the chart, or upgrades it; the output of Helm.
async fn release(
    plane: &ControlPlane,
    namespace: &str,
    settings: &[&str],
) -> Result<String, String> {
    let chart = chart();
    let mut arguments = vec!["upgrade", "--install", "entente", chart.to_str().unwrap()];
    arguments.extend(["--namespace", namespace, "--create-namespace"]);
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    let output = helm(Some(plane.kubeconfig()), &arguments).await;
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(said(&output.stderr))
    }
}

/// Waits until the policies of a namespace let its own operator alone write subscriptions there.
async fn writes_alone(operator: &Person<'_>, others: &[&Person<'_>], namespace: &str) {
    let object = own(CaseKind::ServiceSubscription, "a.b.c", namespace).to_string();
    let dry = ["create", "--dry-run=server", "-f", "-"];
    eventually("the policies are in force", async || {
        for other in others {
            match other.kubectl(&dry, &object).await {
                Err(said) if said.to_lowercase().contains("forbidden") => {}
                Ok(said) | Err(said) => return Err(said),
            }
        }
        operator.kubectl(&dry, &object).await.map(drop)
    })
    .await;
}

async fn with_namespaces(names: &[&str]) -> ControlPlane {
    let plane = ControlPlane::start(Options::default()).await;
    let plane = plane.expect("a control plane");
    for name in names {
        make(&plane, name).await;
    }
    plane
}

async fn make(plane: &ControlPlane, name: &str) {
    let create = ["create", "namespace", name];
    let said = Person::administrator(plane).kubectl(&create, "").await;
    said.expect("a namespace");
}

/// Set back to the whole cluster, which `helm upgrade` alone does not.
const WHOLE: &str = "watchNamespaces=null";
const WITHOUT_DEFINITIONS: &str = "crds.enabled=false";

// shows K4
#[tokio::test]
async fn two_releases_serve_their_namespaces_and_neither_reaches_those_of_the_other() {
    let plane = with_namespaces(&["acme", "delta"]).await;
    let administrator = Person::administrator(&plane);
    let first = release(&plane, "team-a", &["watchNamespaces={acme}", EVENTS]).await;
    first.expect("the first one");
    let second = ["watchNamespaces={delta}", WITHOUT_DEFINITIONS];
    let second = release(&plane, "team-b", &second).await;
    second.expect("the second one");
    let one = Person::operator_in(&plane, "team-a").await;
    let two = Person::operator_in(&plane, "team-b").await;

    writes_alone(&one, &[&administrator, &two], "acme").await;
    writes_alone(&two, &[&administrator, &one], "delta").await;
    assert!(one.can("list", "contracts.entente.dev", "acme").await);
    let notices = "contractnotices.entente.dev";
    assert!(one.can("create", notices, "acme").await);
    assert!(!two.can("create", notices, "delta").await, "no events");
    assert!(!one.can("list", "contracts.entente.dev", "delta").await);
    let everywhere = ["auth", "can-i", "list", notices, "--all-namespaces"];
    assert!(one.kubectl(&everywhere, "").await.is_err());
    assert!(one.can("patch", "connections.entente.dev", "").await);
    assert!(one.can("create", "events.events.k8s.io", "default").await);
}

// shows K4
/// The policies of each would refuse the writes of the other, so that no contract goes on there.
#[tokio::test]
async fn two_operators_for_one_namespace_are_refused_by_the_name_of_the_other_release() {
    let plane = with_namespaces(&["acme", "delta"]).await;
    let refused = async |namespace: &str, watched: &str, named: &[&str]| {
        let settings = [watched, WITHOUT_DEFINITIONS];
        let said = release(&plane, namespace, &settings).await;
        let said = said.expect_err("two operators for one namespace");
        for part in named
            .iter()
            .chain(&["watchNamespaces", "that no other one names"])
        {
            assert!(said.contains(part), "{namespace} {watched}: {part}: {said}");
        }
    };
    let first = "the release entente in the namespace first";
    let installed = release(&plane, "first", &[]).await;
    installed.expect("the only one");
    let whole = "serves the whole cluster";
    refused("second", "watchNamespaces={acme}", &[first, whole]).await;
    refused("second", WHOLE, &[first, whole]).await;

    let upgraded = release(&plane, "first", &["watchNamespaces={acme}"]).await;
    upgraded.expect("no other one is there");
    refused(
        "second",
        "watchNamespaces={delta,acme}",
        &[first, "the namespace acme"],
    )
    .await;
    refused("second", WHOLE, &[first, "serves namespaces of its own"]).await;
    let second = ["watchNamespaces={delta}", WITHOUT_DEFINITIONS];
    release(&plane, "second", &second).await.expect("its own");

    let other = "the release entente in the namespace second";
    refused("first", WHOLE, &[other, "serves namespaces of its own"]).await;
    refused(
        "first",
        "watchNamespaces={acme,delta}",
        &[other, "the namespace delta"],
    )
    .await;
    for (namespace, watched) in [("first", "acme"), ("second", "delta")] {
        let same = format!("watchNamespaces={{{watched}}}");
        let again = release(&plane, namespace, &[&same, WITHOUT_DEFINITIONS]).await;
        again.expect("an upgrade that changes nothing");
    }
}

/// Objects that kubectl applied (deploy/) are no release, and their operator serves all the same.
#[tokio::test]
async fn an_operator_that_was_installed_without_helm_is_known_by_its_binding() {
    let plane = with_namespaces(&["acme"]).await;
    let administrator = Person::administrator(&plane);
    let bind = [
        "create",
        "clusterrolebinding",
        "entente-operator",
        "--clusterrole=entente-operator",
        "--serviceaccount=entente-system:entente",
    ];
    administrator.kubectl(&bind, "").await.expect("a binding");
    let said = release(&plane, "team-a", &["watchNamespaces={acme}"]).await;
    let said = said.expect_err("two operators for one namespace");
    let named =
        "the installation in the namespace entente-system (ClusterRoleBinding entente-operator)";
    assert!(said.contains(named), "{said}");
    let output = helm(
        Some(plane.kubeconfig()),
        &["list", "--all-namespaces", "--short"],
    );
    assert_eq!(printed(&output.await).trim(), "", "nothing was installed");
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_fails_no_release_and_is_named() {
    let plane = with_namespaces(&["delta"]).await;
    let settings = [
        "watchNamespaces={delta,later}",
        "tenantSecrets.namespaces={later}",
    ];
    let said = release(&plane, "team-b", &settings).await.expect("without");
    assert!(said.contains("has no rights there: later"), "{said}");
    let operator = Person::operator_in(&plane, "team-b").await;
    assert!(operator.can("list", "contracts.entente.dev", "delta").await);

    make(&plane, "later").await;
    assert!(!operator.can("list", "contracts.entente.dev", "later").await);
    let said = release(&plane, "team-b", &settings).await.expect("again");
    assert!(!said.contains("has no rights there"), "{said}");
    assert!(operator.can("list", "contracts.entente.dev", "later").await);
    assert!(operator.can("get", "secrets", "later").await);

    let delete = ["delete", "namespace", "later"];
    let gone = Person::administrator(&plane).kubectl(&delete, "").await;
    gone.expect("deleted");
    let said = release(&plane, "team-b", &settings)
        .await
        .expect("after it");
    assert!(said.contains("has no rights there: later"), "{said}");
}
