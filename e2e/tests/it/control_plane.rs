//! The base of every end-to-end test: a control plane that starts fast, applies the real rules, and
//! leaves nothing behind.

mod lifetime;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use entente_e2e::control_plane::{AuditEvent, ControlPlane, Options};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

/// Longest wait for anything that the control plane does by itself.
const DEADLINE: Duration = Duration::from_mins(1);

fn object<T: serde::de::DeserializeOwned>(content: Value) -> T {
    serde_json::from_value(content).expect("the test's own object is well formed")
}

fn config_map(name: &str) -> ConfigMap {
    object(json!({ "metadata": { "name": name } }))
}

/// HTTP status of a refusal; None if the API server did not answer.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Makes a role binding in `namespace` by which `user` may get and create config maps there.
async fn allow_config_maps(client: &kube::Client, namespace: &str, subject: Value) {
    let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
    let role = object(json!({
        "metadata": { "name": "config-maps" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"] }],
    }));
    roles
        .create(&PostParams::default(), &role)
        .await
        .expect("a role is created");
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    let binding = object(json!({
        "metadata": { "name": "config-maps" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "config-maps" },
        "subjects": [subject],
    }));
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .expect("a role binding is created");
}

/// The right arrives with the API server's next look at its roles.
async fn created_once_allowed(objects: &Api<ConfigMap>, name: &str) {
    let late = Instant::now() + DEADLINE;
    while let Err(error) = objects
        .create(&PostParams::default(), &config_map(name))
        .await
    {
        assert_eq!(code(&error), Some(403), "{error}");
        assert!(Instant::now() < late, "still forbidden: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in a directory of the workspace")
        .join("target/tools")
        .join(name)
}

#[tokio::test]
async fn the_server_and_kubectl_are_the_same_release() {
    let plane = ControlPlane::shared().await.unwrap();
    let output = plane.kubectl(["version", "-o", "json"]).await.unwrap();
    let versions: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        versions["clientVersion"]["gitVersion"], "v1.36.4",
        "{versions}"
    );
    assert_eq!(
        versions["serverVersion"]["gitVersion"], "v1.36.4",
        "{versions}"
    );
}

#[tokio::test]
async fn a_token_of_a_service_account_gives_the_rights_of_its_roles_and_no_more() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().await.unwrap();
    let namespace = plane.create_namespace("token").await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let account = object(json!({ "metadata": { "name": "reader" } }));
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let limited = plane
        .client_for_service_account(&namespace, "reader")
        .await
        .unwrap();
    let config_maps: Api<ConfigMap> = Api::namespaced(limited.clone(), &namespace);
    let refused = config_maps
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Some(403), "{refused}");

    let subject = json!({ "kind": "ServiceAccount", "name": "reader", "namespace": namespace });
    allow_config_maps(&client, &namespace, subject).await;
    created_once_allowed(&config_maps, "a").await;
    let secrets: Api<Secret> = Api::namespaced(limited.clone(), &namespace);
    let refused = secrets.list(&ListParams::default()).await.unwrap_err();
    assert_eq!(code(&refused), Some(403), "{refused}");
    let elsewhere: Api<ConfigMap> = Api::namespaced(limited, "default");
    let refused = elsewhere.get("a").await.unwrap_err();
    assert_eq!(code(&refused), Some(403), "{refused}");
}

#[tokio::test]
async fn a_user_of_a_group_has_the_rights_of_that_group_through_client_and_kubectl() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().await.unwrap();
    let namespace = plane.create_namespace("user").await.unwrap();
    let subject =
        json!({ "kind": "Group", "name": "printing", "apiGroup": "rbac.authorization.k8s.io" });
    allow_config_maps(&client, &namespace, subject).await;
    let member = plane.client_as("ada", &["printing"]).await.unwrap();
    created_once_allowed(&Api::namespaced(member, &namespace), "a").await;
    let stranger = plane.client_as("ada", &[]).await.unwrap();
    let objects: Api<ConfigMap> = Api::namespaced(stranger, &namespace);
    assert_eq!(code(&objects.get("a").await.unwrap_err()), Some(403));

    for (groups, answer) in [(&["printing"][..], "yes"), (&[][..], "no")] {
        let kubeconfig = plane.user_kubeconfig("ada", groups).unwrap();
        let question = ["auth", "can-i", "get", "configmaps", "-n", &namespace];
        let output = plane.kubectl_as(&kubeconfig, question, "").await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            answer,
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn owned_objects_go_with_their_owner_and_a_namespace_with_its_content() {
    let plane = ControlPlane::shared().await.unwrap();
    assert!(
        plane.has_controllers(),
        "this control plane has no controllers"
    );
    let client = plane.client().await.unwrap();
    let namespace = plane.create_namespace("collected").await.unwrap();
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let owner = objects
        .create(&PostParams::default(), &config_map("owner"))
        .await
        .unwrap();
    let dependent = object(json!({ "metadata": { "name": "owned", "ownerReferences": [
        { "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid },
    ] } }));
    objects
        .create(&PostParams::default(), &dependent)
        .await
        .unwrap();
    objects
        .delete("owner", &DeleteParams::background())
        .await
        .unwrap();
    let late = Instant::now() + DEADLINE;
    while let Some(left) = objects.get_opt("owned").await.unwrap() {
        assert!(Instant::now() < late, "not collected: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    objects
        .create(&PostParams::default(), &config_map("content"))
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await
        .unwrap();
    while let Some(left) = namespaces.get_opt(&namespace).await.unwrap() {
        assert!(Instant::now() < late, "not deleted: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_admission_policy_refuses_what_its_expression_forbids() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.create_namespace("policy").await.unwrap();
    let policy = format!(
        r#"{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy,
  metadata: {{name: {namespace}}}, spec: {{failurePolicy: Fail,
    matchConstraints: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}},
      resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}]}},
    validations: [{{expression: "object.metadata.name != 'forbidden'", message: "that name is taken"}}]}}}}
---
{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding,
  metadata: {{name: {namespace}}}, spec: {{policyName: {namespace}, validationActions: [Deny]}}}}
"#
    );
    let applied = plane
        .kubectl_as(plane.kubeconfig(), ["apply", "-f", "-"], &policy)
        .await
        .unwrap();
    assert!(applied.status.success(), "{applied:?}");
    let objects: Api<ConfigMap> = Api::namespaced(plane.client().await.unwrap(), &namespace);
    let late = Instant::now() + DEADLINE;
    // A policy works once the API server has compiled it.
    let refused = loop {
        match objects
            .create(&PostParams::default(), &config_map("forbidden"))
            .await
        {
            Err(refused) => break refused,
            Ok(created) => assert!(Instant::now() < late, "still accepted: {created:?}"),
        }
        objects
            .delete("forbidden", &DeleteParams::default())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(
        refused.to_string().contains("that name is taken"),
        "{refused}"
    );
    objects
        .create(&PostParams::default(), &config_map("allowed"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_audit_log_tells_writes_and_reads_by_user() {
    let plane = ControlPlane::start(Options {
        audit: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let namespace = plane.create_namespace("audited").await.unwrap();
    let before = plane.audit_position().await.unwrap();
    let ada = plane.client_as("ada", &["system:masters"]).await.unwrap();
    let objects: Api<ConfigMap> = Api::namespaced(ada, &namespace);
    for name in ["a", "b", "c"] {
        objects
            .create(&PostParams::default(), &config_map(name))
            .await
            .unwrap();
    }
    objects.get("b").await.unwrap();
    objects.delete("c", &DeleteParams::default()).await.unwrap();
    objects.get_opt("no-such").await.unwrap();

    let of_ada = |events: Vec<AuditEvent>| -> Vec<AuditEvent> {
        events
            .into_iter()
            .filter(|event| event.user == "ada")
            .collect()
    };
    let events = of_ada(plane.audit_events_since(before).await.unwrap());
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.verb.as_str(), event.name.as_str(), event.code))
        .collect();
    let expected = [
        ("create", "a", 201),
        ("create", "b", 201),
        ("create", "c", 201),
        ("get", "b", 200),
        ("delete", "c", 200),
        ("get", "no-such", 404),
    ];
    assert_eq!(seen, expected);
    assert_eq!(events.iter().filter(|event| event.is_write()).count(), 4);
    assert!(
        events
            .iter()
            .all(|e| e.resource == "configmaps" && e.namespace == namespace)
    );
    assert_eq!(
        of_ada(plane.audit_events().await.unwrap()),
        events,
        "from the beginning"
    );
    plane.stop().await;
}

#[tokio::test]
async fn kstatus_and_helm_run() {
    let shown = Command::new(tool("helm"))
        .arg("version")
        .output()
        .expect("run `make tools`");
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("v4.2.4"),
        "{shown:?}"
    );

    let mut kstatus = Command::new(tool("kstatus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run `make tools`");
    let objects = json!([
        { "apiVersion": "a.example/v1", "kind": "A", "metadata": { "name": "ready", "generation": 1 },
          "status": { "observedGeneration": 1, "conditions": [{ "type": "Ready", "status": "True" }] } },
        { "apiVersion": "a.example/v1", "kind": "A", "metadata": { "name": "old", "generation": 2 },
          "status": { "observedGeneration": 1, "conditions": [{ "type": "Ready", "status": "True" }] } },
        { "apiVersion": "a.example/v1", "kind": "A", "metadata": { "name": "stalled", "generation": 1 },
          "status": { "conditions": [{ "type": "Stalled", "status": "True" }] } },
    ]);
    serde_json::to_writer(kstatus.stdin.take().unwrap(), &objects).unwrap();
    let output = kstatus.wait_with_output().unwrap();
    let concluded: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| format!("{}: {}", line["name"], line["status"]).replace('"', ""))
        .collect();
    assert_eq!(
        concluded,
        ["ready: Current", "old: InProgress", "stalled: Failed"]
    );
}
