//! Wrong input, with the exact message: no such contract, no rights, some rights, no cluster, no kinds.

use entente_e2e::control_plane::{ControlPlane, Options};
use entente_e2e::namespace::starting_in;
use std::time::Duration;

use super::runner::plugin;
use crate::delivery_fixture::{DeliveryFixture, contract_says, test_namespace};

#[tokio::test]
async fn a_contract_that_does_not_exist_is_told_with_those_that_do() {
    let fixture = DeliveryFixture::new("unknown", 1).await;
    let namespace = &fixture.namespace;
    let start = starting_in(Duration::from_hours(72));
    let contract = fixture.parts_contract("known-2027", start, "1h");
    namespace.apply(&contract).await.unwrap();
    let kubeconfig = namespace.plane().kubeconfig();
    let answer = plugin(
        kubeconfig,
        &["-n", namespace.name(), "status", "unknown-2027"],
    )
    .await;
    let expected = format!(
        "error: Contract {}/unknown-2027 does not exist; there are known-2027\n",
        namespace.name()
    );
    assert_eq!(
        (answer.code, &*answer.err, &*answer.out),
        (1, &*expected, "")
    );
    let answer = plugin(kubeconfig, &["status", "known-2027", "-A"]).await;
    let expected =
        "error: a contract is in one namespace: name it with -n NAMESPACE in place of -A\n";
    assert_eq!((answer.code, &*answer.err), (1, expected));
}

/// A missing right is never taken for a missing object (cloudnative-pg#5823), and a right that only a
/// part of an answer needs takes nothing but that part (cloudnative-pg#4522).
#[tokio::test]
async fn a_missing_right_is_named_and_takes_no_more_than_its_part() {
    let fixture = DeliveryFixture::new("rights", 1).await;
    let namespace = &fixture.namespace;
    let (plane, name) = (namespace.plane(), namespace.name());
    let start = starting_in(Duration::from_hours(72));
    let contract = fixture.parts_contract("known-2027", start, "1h");
    namespace.apply(&contract).await.unwrap();
    contract_says(namespace, "known-2027", "Ready", "Scheduled").await;
    let user = format!("desk-of-{name}");
    let kubeconfig = plane.user_kubeconfig(&user, &[]).unwrap();

    let answer = plugin(&kubeconfig, &["-n", name, "status", "known-2027"]).await;
    let expected = format!(
        "error: you may not get Contract {name}/known-2027: contracts.entente.dev \"known-2027\" is \
         forbidden: User \"{user}\" cannot get resource \"contracts\" in API group \"entente.dev\" in \
         the namespace \"{name}\"\n"
    );
    assert_eq!((answer.code, &*answer.err), (1, &*expected));

    let role = ["create", "role", "contracts", "-n", name, "--verb=get,list"];
    let role = plane
        .kubectl(role.into_iter().chain(["--resource=contracts.entente.dev"]))
        .await;
    assert!(role.unwrap().status.success());
    let binding = [
        "create",
        "rolebinding",
        "contracts",
        "-n",
        name,
        "--role=contracts",
    ];
    let to = format!("--user={user}");
    let binding = plane.kubectl(binding.into_iter().chain([&*to])).await;
    assert!(binding.unwrap().status.success());
    let answer = plugin(&kubeconfig, &["-n", name, "status", "known-2027"]).await;
    answer.has(0, &["settled, Scheduled"]);
    let note = format!("note: you may not list servicesubscriptions of namespace {name}: ");
    assert!(answer.err.starts_with(&note), "{answer}");
    let check = plugin(&kubeconfig, &["-n", name, "check"]).await;
    check.has(
        0,
        &[
            "unknown  rights",
            "list servicesubscriptions (for status, late, plan)",
            "patch contracts, patch devices, patch connections (for reconcile)",
        ],
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": {"token": "x"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}]}"#;
    std::fs::write(&kubeconfig, text).unwrap();
    let answer = plugin(&kubeconfig, &["status"]).await;
    assert_eq!(answer.code, 1, "{answer}");
    let expected = "error: the API server https://127.0.0.1:1 does not answer: ";
    assert!(answer.err.starts_with(expected), "{answer}");
    assert!(answer.err.contains("Connection refused"), "{answer}");
    let answer = plugin(&kubeconfig, &["--context", "there", "status"]).await;
    assert_eq!(answer.code, 1, "{answer}");
    assert!(answer.err.contains("there"), "{answer}");
    let missing = folder.path().join("missing");
    let answer = plugin(&missing, &["status"]).await;
    let expected = format!(
        "error: the kubeconfig {} of KUBECONFIG cannot be used",
        missing.display()
    );
    assert!(
        answer.code == 1 && answer.err.starts_with(&expected),
        "{answer}"
    );
    let answer = plugin(&kubeconfig, &["statsu"]).await;
    assert_eq!(
        answer.code, 1,
        "wrong usage is an error, and not \"in progress\": {answer}"
    );
}

#[tokio::test]
async fn a_cluster_without_the_kinds_is_told() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let answer = plugin(plane.kubeconfig(), &["status"]).await;
    let expected = format!(
        "error: the kind Contract of entente.dev/v1alpha1 is not installed on {}\n",
        plane.server()
    );
    assert_eq!((answer.code, &*answer.err), (1, &*expected));
    let check = plugin(plane.kubeconfig(), &["check"]).await;
    check.has(
        1,
        &[
            "bad      definitions",
            "not installed: Compensation, Connection, Contract",
        ],
    );
    plane.stop().await;
}

/// The namespace is that of the context (zalando/postgres-operator#579), and `-n` may come anywhere
/// (cloudnative-pg#1078).
#[tokio::test]
async fn the_namespace_comes_from_the_context_or_from_anywhere_in_the_arguments() {
    let namespace = test_namespace("context").await;
    let kubeconfig = namespace.plane().kubeconfig();
    let answer = plugin(kubeconfig, &["status"]).await;
    assert_eq!(
        answer.err, "note: there is no contract in namespace default\n",
        "{answer}"
    );
    let expected = format!(
        "note: there is no contract in namespace {}\n",
        namespace.name()
    );
    for arguments in [
        ["-n", namespace.name(), "status"],
        ["status", "-n", namespace.name()],
    ] {
        let answer = plugin(kubeconfig, &arguments).await;
        assert_eq!((answer.code, &*answer.err), (0, &*expected));
    }
}
