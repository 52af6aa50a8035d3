//! The chart on a real API server: rights, pods and examples.

use entente_crds::admission_cases::CaseKind;
use entente_crds::yaml;
use serde_json::{Value, json};

use super::cluster::{NAMESPACE, Person, installed, own, refused};
use super::{chart, of_kind, rendered};

/// Returns the names of our definitions, in their order.
fn definitions() -> Vec<String> {
    let named = |kind: &CaseKind| format!("{}.entente.dev", kind.plural());
    CaseKind::ALL.iter().map(named).collect()
}

#[tokio::test]
async fn an_editor_writes_contracts_and_devices_and_not_the_catalogue() {
    let plane = installed().await;
    let namespace = plane.create_namespace("desk").await.expect("a namespace");
    let editor = Person::with_role(plane, "ana-d", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-d", "view", &namespace).await;
    for kind in [CaseKind::Contract, CaseKind::Device] {
        let object = own(kind, "mine", &namespace);
        editor.create(&object).await.expect("an editor makes it");
        let what = format!("{}.entente.dev/mine", kind.plural());
        let suspend = json!({"spec": {"suspend": true}});
        refused(viewer.merge(&what, &namespace, &suspend).await, "forbidden");
        editor
            .merge(&what, &namespace, &suspend)
            .await
            .expect("an editor changes it");
        viewer
            .kubectl(&["get", &what, "-n", &namespace], "")
            .await
            .expect("a viewer sees it");
        let delete = ["delete", &what, "-n", &namespace];
        editor
            .kubectl(&delete, "")
            .await
            .expect("an editor deletes it");
    }
    for kind in [
        CaseKind::Connection,
        CaseKind::DeviceModel,
        CaseKind::SmartService,
    ] {
        refused(editor.create(&kind.complete()).await, "forbidden");
    }
    assert!(
        !editor
            .can("get", "connections.entente.dev", &namespace)
            .await
    );
}

#[tokio::test]
async fn an_editor_makes_and_deletes_amendments_and_changes_none() {
    let plane = installed().await;
    let namespace = plane.create_namespace("amend").await.expect("a namespace");
    let editor = Person::with_role(plane, "ana-m", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-m", "view", &namespace).await;
    let object = own(CaseKind::ContractAmendment, "mine", &namespace);
    refused(viewer.create(&object).await, "forbidden");
    editor.create(&object).await.expect("an editor makes it");
    let what = "contractamendments.entente.dev/mine";
    let later = json!({"spec": {"effectiveDate": "2027-08-01"}});
    let said = editor.merge(what, &namespace, &later).await;
    refused(said, "an amendment cannot be changed");
    let get = ["get", what, "-n", &namespace];
    viewer.kubectl(&get, "").await.expect("a viewer sees it");
    let delete = ["delete", what, "-n", &namespace];
    editor.kubectl(&delete, "").await.expect("it is withdrawn");
}

#[tokio::test]
async fn an_editor_makes_and_deletes_notices_and_changes_none() {
    let plane = installed().await;
    let namespace = plane.create_namespace("notify").await.expect("a namespace");
    let editor = Person::with_role(plane, "ana-n", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-n", "view", &namespace).await;
    let object = own(CaseKind::ContractNotice, "mine", &namespace);
    refused(viewer.create(&object).await, "forbidden");
    editor.create(&object).await.expect("an editor makes it");
    let what = "contractnotices.entente.dev/mine";
    let ended = json!({"spec": {"type": "Ended"}});
    let said = editor.merge(what, &namespace, &ended).await;
    refused(said, "a notice cannot be changed");
    let get = ["get", what, "-n", &namespace];
    viewer.kubectl(&get, "").await.expect("a viewer sees it");
    let delete = ["delete", what, "-n", &namespace];
    editor.kubectl(&delete, "").await.expect("it is withdrawn");
}

/// The whole list, in both directions: the operator's requests, and those that it must not be able
/// to make.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one list, which reads as one")]
async fn the_operator_has_exactly_the_rights_it_uses() {
    let plane = installed().await;
    let other = plane.create_namespace("tenant").await.expect("a namespace");
    let operator = Person::operator(plane).await;
    let own_kinds = definitions();
    let mut expected: Vec<(&str, String, &str, bool)> = Vec::new();
    for resource in &own_kinds {
        for verb in ["get", "list", "watch"] {
            expected.push((verb, resource.clone(), &other, true));
        }
        // The report of a device is the gateway's to write.
        let told = !resource.starts_with("devicetwins");
        expected.push(("patch", format!("{resource}/status"), &other, told));
        expected.push(("update", format!("{resource}/status"), &other, told));
        let (owned, recorded) = (
            resource.starts_with("service") || resource.starts_with("devicetwins"),
            resource.starts_with("compensations") || resource.starts_with("supplyorders"),
        );
        let read_alone = [
            "devices.",
            "deviceenrollments.",
            "messagetexts.",
            "sites.",
            "contractamendments.",
            "contractnotices.",
        ];
        let held = !recorded && !read_alone.iter().any(|it| resource.starts_with(it));
        expected.push(("create", resource.clone(), &other, owned || recorded));
        expected.push(("update", resource.clone(), &other, false));
        expected.push(("patch", resource.clone(), &other, held));
        expected.push(("delete", resource.clone(), &other, owned));
        expected.push(("deletecollection", resource.clone(), &other, false));
    }
    let mut of = |verb, resource: &str, namespace, allowed| {
        expected.push((verb, resource.to_owned(), namespace, allowed));
    };
    for resource in ["secrets", "configmaps"] {
        of("get", resource, NAMESPACE, true);
        for verb in ["list", "watch", "create", "update", "patch", "delete"] {
            of(verb, resource, NAMESPACE, false);
        }
        of("get", resource, &other, false);
    }
    of("update", "contracts.entente.dev/finalizers", &other, true);
    of("update", "devices.entente.dev/finalizers", &other, false);
    of("watch", "namespaces", &other, true);
    of("delete", "namespaces", &other, false);
    of("create", "events.events.k8s.io", &other, true);
    of("patch", "events.events.k8s.io", &other, true);
    of(
        "create",
        "selfsubjectaccessreviews.authorization.k8s.io",
        &other,
        true,
    );
    of(
        "get",
        "customresourcedefinitions.apiextensions.k8s.io",
        &other,
        true,
    );
    of(
        "list",
        "customresourcedefinitions.apiextensions.k8s.io",
        &other,
        false,
    );
    of(
        "patch",
        "customresourcedefinitions.apiextensions.k8s.io",
        &other,
        false,
    );
    for (namespace, allowed) in [(NAMESPACE, true), (&other, false)] {
        of("create", "leases.coordination.k8s.io", namespace, allowed);
        // One alone, by its name: see below.
        for verb in ["get", "list", "watch", "update", "patch", "delete"] {
            of(verb, "leases.coordination.k8s.io", namespace, false);
        }
    }
    of("get", "pods", NAMESPACE, false);
    of("impersonate", "users", &other, false);
    of(
        "escalate",
        "clusterroles.rbac.authorization.k8s.io",
        &other,
        false,
    );
    let mut wrong = Vec::new();
    for (verb, resource, namespace, allowed) in expected {
        if operator.can(verb, &resource, namespace).await != allowed {
            wrong.push(format!("{verb} {resource} in {namespace}: not {allowed}"));
        }
    }
    let (key, lease) = (
        "secrets/entente-digest-key",
        "leases.coordination.k8s.io/entente",
    );
    for (verb, object, namespace, allowed) in [
        ("update", key, NAMESPACE, true),
        ("delete", key, NAMESPACE, false),
        ("update", key, &other, false),
        ("get", lease, NAMESPACE, true),
        ("watch", lease, NAMESPACE, true),
        ("update", lease, NAMESPACE, true),
        ("delete", lease, NAMESPACE, false),
        ("update", lease, &other, false),
    ] {
        let arguments = ["auth", "can-i", verb, object, "-n", namespace];
        if operator.kubectl(&arguments, "").await.is_ok() != allowed {
            wrong.push(format!("{verb} {object} in {namespace}: not {allowed}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_pod_meets_the_restricted_profile() {
    let plane = installed().await;
    let administrator = Person::administrator(plane);
    let namespace = plane
        .create_namespace("restricted")
        .await
        .expect("a namespace");
    let profile = "pod-security.kubernetes.io/warn=restricted";
    administrator
        .kubectl(&["label", "namespace", &namespace, profile], "")
        .await
        .expect("labelled");
    let dry = ["create", "--dry-run=server", "-f", "-"];
    let mut deployment = Value::Null;
    // Without a fixed user, too, as OpenShift wants it.
    for settings in [
        "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null",
        "replicas=2",
    ] {
        let objects = rendered(&[settings]).await;
        deployment = of_kind(&objects, "Deployment")[0].clone();
        deployment["metadata"]["namespace"] = json!(namespace);
        let said = administrator.kubectl(&dry, &deployment.to_string()).await;
        let said = said.expect("taken");
        assert!(!said.contains("Warning"), "{said}");
    }
    // The profile is really enforced: the same Pod with one right more is warned about.
    let security = &mut deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    security["allowPrivilegeEscalation"] = json!(true);
    let said = administrator
        .kubectl(&dry, &deployment.to_string())
        .await
        .expect("taken");
    assert!(
        said.contains("Warning: would violate PodSecurity"),
        "{said}"
    );
}

#[tokio::test]
async fn the_examples_on_artifact_hub_are_accepted_and_name_every_kind() {
    let plane = installed().await;
    let namespace = plane.create_namespace("hub").await.expect("a namespace");
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).expect("Chart.yaml");
    let metadata: Value = yaml::read(&text).expect("Chart.yaml is YAML");
    let list = |name: &str| -> Vec<Value> {
        let text = metadata["annotations"][name]
            .as_str()
            .expect("an annotation");
        yaml::read(text).expect("the annotation is YAML")
    };
    let named: Vec<String> = list("artifacthub.io/crds")
        .iter()
        .map(|crd| crd["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(named, definitions());
    // Of each kind that people write.
    let examples = list("artifacthub.io/crdsExamples");
    let shown: Vec<&str> = examples
        .iter()
        .filter_map(|it| it["kind"].as_str())
        .collect();
    for kind in list("artifacthub.io/crds") {
        let kind = kind["kind"].as_str().expect("a kind");
        let own = [
            "ServiceSubscription",
            "DeviceTwin",
            "Compensation",
            "SupplyOrder",
        ]
        .contains(&kind);
        assert_ne!(shown.contains(&kind), own, "an example of {kind}");
    }
    let administrator = Person::administrator(plane);
    for example in examples {
        let arguments = ["create", "--validate=strict", "-n", &namespace, "-f", "-"];
        administrator
            .kubectl(&arguments, &example.to_string())
            .await
            .expect("accepted");
    }
}
