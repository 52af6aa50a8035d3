//! Objects of our kinds as people and tools see them: selectable fields, a status that is not
//! finished, printer columns.

use super::*;

/// Makes an object whose field at a path has its name as value.
async fn make(admission: &Admission, kind: CaseKind, path: &str, name: &str) {
    let mut object = admission.named(kind, kind.complete(), name);
    let is_status = path.starts_with("status.");
    if !is_status {
        let pointer = format!("/{}", path.replace('.', "/"));
        set(&mut object, &pointer, json!(name));
    }
    admission.create(kind, &object).await.expect("created");
    if is_status {
        assert_eq!(path, "status.order.id", "its siblings are not known here");
        let order = json!({"id": name, "state": "Accepted", "at": "2027-05-11T10:02:00Z"});
        let status = format!("{name}/status");
        let change = json!({"status": {"order": order}});
        let changed = admission.merge(kind, &status, &change).await;
        changed.expect("the status is written");
    }
}

#[tokio::test]
async fn objects_are_found_by_every_selectable_field() {
    let admission = Admission::new().await;
    let mut fields = 0;
    for crd in manifest::all() {
        let plural = crd.spec.names.plural.as_str();
        let kind = CaseKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.plural() == plural)
            .expect("every definition has cases");
        let selectable = crd.spec.versions[0].selectable_fields.iter().flatten();
        for (number, field) in selectable.enumerate() {
            let path = field.json_path.trim_start_matches('.');
            let names = [format!("one-{number}"), format!("other-{number}")];
            for name in &names {
                make(&admission, kind, path, name).await;
            }
            let query = format!(
                "{}?fieldSelector={path}%3D{}",
                admission.path(kind, ""),
                names[0]
            );
            let found = admission
                .call(Method::GET, &query, JSON, &Value::Null)
                .await
                .expect("the field is selectable");
            let found: Vec<_> = found["items"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| item["metadata"]["name"].clone())
                .collect();
            assert_eq!(found, [json!(names[0])], "{plural} by {path}");
            if !kind.is_namespaced() {
                for name in &names {
                    let path = admission.path(kind, name);
                    admission
                        .call(Method::DELETE, &path, JSON, &json!({}))
                        .await
                        .expect("deleted");
                }
            }
            fields += 1;
        }
    }
    assert_eq!(fields, 16);
    admission.clear(&[]).await;
}

/// Without it a tool that waits by conditions would count a new object as finished.
#[tokio::test]
async fn a_new_object_has_a_status_that_is_not_finished() {
    let admission = Admission::new().await;
    for kind in CaseKind::ALL.iter().copied() {
        let object = admission.named(kind, kind.complete(), "unseen");
        let made = admission.create(kind, &object).await.expect("created");
        let status = &made["status"];
        // Nobody applies a twin, and no tool waits for one.
        if kind == CaseKind::DeviceTwin {
            assert!(status.is_null());
            continue;
        }
        assert_eq!(status["observedGeneration"], -1, "{kind:?}");
        assert_eq!(
            status["conditions"].as_array().map(Vec::len),
            Some(1),
            "{kind:?}"
        );
        assert_eq!(status["conditions"][0]["type"], "Ready", "{kind:?}");
        assert_eq!(status["conditions"][0]["status"], "Unknown", "{kind:?}");
    }
    let catalogue = CaseKind::ALL
        .iter()
        .copied()
        .filter(|kind| !kind.is_namespaced());
    let cluster_scoped: Vec<_> = catalogue.map(|kind| (kind, "unseen")).collect();
    admission.clear(&cluster_scoped).await;
}

#[tokio::test]
async fn the_examples_apply_with_kubectl_and_their_columns_show_what_was_written() {
    // Its own, since the catalogue is not in a namespace and others have one of the same names.
    let plane = &ControlPlane::start(Options::default())
        .await
        .expect("a control plane");
    install_definitions(plane).await;
    let files: BTreeMap<String, String> = generate::files()
        .into_iter()
        .filter(|file| file.path.starts_with("examples/"))
        .map(|file| (file.path, file.content))
        .collect();
    let text: String = files.into_values().collect();
    let said = kubectl(plane, &["apply", "--validate=strict", "-f", "-"], &text).await;
    assert!(!said.contains("Warning"), "{said}");
    let again = kubectl(
        plane,
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &text,
    );
    assert!(!again.await.contains("Warning"));

    let namespace = ["-n", example::NAMESPACE];
    let table = kubectl(plane, &[&namespace[..], &["get", "enct"]].concat(), "").await;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let head = "NAME CUSTOMER READY REASON DELIVERED START NEXT OWED AGE";
    assert_eq!(lines[0].join(" "), head);
    let row = ["banco-sul-2027", "C-4711", "Unknown", "Pending"];
    assert_eq!(lines[1][..4], row, "{table}");

    let status = r#"{"status":{"starts":"2027-04-12T14:30","ends":"2030-03-31",
        "next":"Amended 2027-07-01"}}"#;
    let patch = [
        "patch",
        "enct",
        "banco-sul-2027",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ];
    kubectl(plane, &[&namespace[..], &patch].concat(), "").await;
    let wide = kubectl(
        plane,
        &[&namespace[..], &["get", "enct", "-o", "wide"]].concat(),
        "",
    )
    .await;
    let shown: Vec<&str> = wide.split_whitespace().collect();
    let dates = ["2027-04-12T14:30", "Amended", "2027-07-01"];
    assert!(shown.windows(3).any(|it| it == dates), "{wide}");
    assert!(shown.contains(&"2030-03-31"), "{wide}");
    shows_the_amendment(plane).await;
    shows_the_notice(plane).await;
    merges_what_argo_cd_needs(plane).await;
    for name in ["enconn", "endm", "ensvc", "endev", "ensub", "encmp"] {
        kubectl(plane, &[&namespace[..], &["get", name]].concat(), "").await;
    }
    kubectl(plane, &["get", "entente,entente-all", "-A"], "").await;
    kubectl(plane, &["delete", "--wait=false", "-f", "-"], &text).await;
}

/// Merges the customizations of Argo CD as the guide says, beside what others wrote there.
async fn merges_what_argo_cd_needs(plane: &ControlPlane) {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../contrib/argo-cd/argocd-cm.yaml"
    );
    let argo = ["-n", "argocd"];
    kubectl(plane, &["create", "namespace", "argocd"], "").await;
    let make = ["create", "configmap", "argocd-cm", "--from-literal=url=x"];
    kubectl(plane, &[&argo[..], &make].concat(), "").await;
    let patch = ["patch", "configmap", "argocd-cm", "--patch-file", file];
    kubectl(plane, &[&argo[..], &patch].concat(), "").await;
    let get = ["get", "configmap", "argocd-cm", "-o", "yaml"];
    let merged = kubectl(plane, &[&argo[..], &get].concat(), "").await;
    assert!(merged.contains("url: x"), "{merged}");
    let health = "resource.customizations.health.entente.dev_";
    let kinds = entente_crds::manifest::all().len();
    assert_eq!(merged.matches(health).count(), kinds, "{merged}");
}

async fn shows_the_amendment(plane: &ControlPlane) {
    let table = kubectl(plane, &["-n", example::NAMESPACE, "get", "enamd"], "").await;
    let shown: Vec<&str> = table.split_whitespace().collect();
    let head = ["NAME", "CONTRACT", "EFFECTIVE", "ACCEPTED", "REASON", "AGE"];
    let row = [
        "banco-sul-2027-july",
        "banco-sul-2027",
        "2027-07-01",
        "Pending",
    ];
    assert_eq!(shown[..6], head, "{table}");
    assert_eq!(shown[6..10], row, "{table}");
}

async fn shows_the_notice(plane: &ControlPlane) {
    let namespace = ["-n", example::NAMESPACE];
    let table = kubectl(plane, &[&namespace[..], &["get", "enntc"]].concat(), "").await;
    let shown: Vec<&str> = table.split_whitespace().collect();
    let head = [
        "NAME", "CONTRACT", "TYPE", "AT", "ACCEPTED", "REASON", "AGE",
    ];
    let row = [
        "banco-sul-lobby-installed",
        "banco-sul-lobby",
        "Started",
        "2027-04-12T17:30:00Z",
        "Pending",
    ];
    assert_eq!(shown[..7], head, "{table}");
    assert_eq!(shown[7..12], row, "{table}");
}
