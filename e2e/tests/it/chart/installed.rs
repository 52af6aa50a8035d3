//! The chart on a real API server: rights and admission policies, upgrade and uninstall.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use entente_crds::claims::ClaimKind;
use entente_crds::v1alpha1::Compensation;
use entente_crds::yaml;
use entente_e2e::control_plane::{ControlPlane, Options};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{chart, helm, printed, rendered};

/// Longest wait for what the control plane does by itself: aggregating roles, loading policies.
const DEADLINE: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "entente-system";

/// A control plane with the chart installed, for all tests of this module but those that
/// uninstall it. It is not the one of other tests, which install the definitions without Helm.
async fn installed() -> &'static ControlPlane {
    static INSTALLED: OnceCell<ControlPlane> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let plane = ControlPlane::start(Options::default())
                .await
                .expect("a control plane");
            install(&plane, "entente", &chart(), &[]).await;
            plane
        })
        .await
}

async fn install(plane: &ControlPlane, release: &str, chart: &Path, settings: &[&str]) {
    let mut arguments: Vec<&str> = vec!["upgrade", "--install", release];
    arguments.push(chart.to_str().expect("a path in UTF-8"));
    arguments.extend(["--namespace", NAMESPACE, "--create-namespace"]);
    for setting in settings {
        arguments.extend(["--set-json", setting]);
    }
    printed(&helm(Some(plane.kubeconfig()), &arguments).await);
}

/// Somebody who runs kubectl.
struct Person<'p> {
    plane: &'p ControlPlane,
    kubeconfig: PathBuf,
}

/// What kubectl printed, or what it complained about.
type Said = Result<String, String>;

impl<'p> Person<'p> {
    fn administrator(plane: &'p ControlPlane) -> Self {
        let kubeconfig = plane.kubeconfig().to_owned();
        Self { plane, kubeconfig }
    }

    async fn operator(plane: &'p ControlPlane) -> Self {
        let kubeconfig = plane
            .kubeconfig_for_service_account(NAMESPACE, "entente")
            .await
            .expect("the chart made the service account");
        Self { plane, kubeconfig }
    }

    /// A user with the cluster's own role in one namespace.
    async fn with_role(plane: &'p ControlPlane, name: &str, role: &str, namespace: &str) -> Self {
        let binding = [
            "create",
            "rolebinding",
            name,
            "-n",
            namespace,
            &format!("--clusterrole={role}"),
            &format!("--user={name}"),
        ];
        Self::administrator(plane)
            .kubectl(&binding, "")
            .await
            .expect("bound");
        let kubeconfig = plane.user_kubeconfig(name, &[]).expect("a kubeconfig");
        let person = Self { plane, kubeconfig };
        let can = [
            "auth",
            "can-i",
            "list",
            "contracts.entente.dev",
            "-n",
            namespace,
        ];
        eventually("the roles are aggregated", async || {
            person.kubectl(&can, "").await.map(drop)
        })
        .await;
        person
    }

    async fn kubectl(&self, arguments: &[&str], input: &str) -> Said {
        let output = self
            .plane
            .kubectl_as(&self.kubeconfig, arguments, input)
            .await
            .expect("kubectl runs");
        let text = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout) + &text(&output.stderr))
        } else {
            Err(text(&output.stderr) + &text(&output.stdout))
        }
    }

    async fn create(&self, object: &Value) -> Said {
        self.kubectl(&["create", "-f", "-"], &object.to_string())
            .await
    }

    async fn merge(&self, what: &str, namespace: &str, patch: &Value) -> Said {
        let patch = patch.to_string();
        let arguments = ["patch", what, "-n", namespace, "--type=merge", "-p", &patch];
        self.kubectl(&arguments, "").await
    }

    async fn merge_status(&self, what: &str, namespace: &str, patch: &Value) -> Said {
        let patch = patch.to_string();
        let arguments = ["patch", what, "-n", namespace, "--type=merge", "-p", &patch];
        let arguments = [&arguments[..], &["--subresource=status"]].concat();
        self.kubectl(&arguments, "").await
    }

    async fn can(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let mut arguments = vec!["auth", "can-i", verb, resource, "-n", namespace];
        if subresource != "--subresource=" {
            arguments.push(&subresource);
        }
        self.kubectl(&arguments, "").await.is_ok()
    }
}

/// Waits until something holds; until then it says what it sees instead.
async fn eventually(what: &str, holds: impl AsyncFn() -> Result<(), String>) {
    let late = Instant::now() + DEADLINE;
    while let Err(state) = holds().await {
        assert!(
            Instant::now() < late,
            "not in {DEADLINE:?}: {what}; {state}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn refused(said: Said, message: &str) {
    let said = said.expect_err("it is refused");
    assert!(said.contains(message), "{said}");
}

/// An object that the operator makes, in a namespace.
fn own(kind: ClaimKind, name: &str, namespace: &str) -> Value {
    let mut object = kind.complete();
    let labels = json!({"entente.dev/contract": "one", "desk": "north"});
    object["metadata"] = json!({"name": name, "namespace": namespace, "labels": labels});
    object
}

const SUBSCRIPTIONS: &str = "only the operator writes ServiceSubscriptions";
const COMPENSATIONS: &str = "only the operator writes Compensations";

/// Everything that somebody may try who can edit an object and is not the operator, each with what
/// it is refused for.
fn forgeries() -> Vec<(Value, &'static str)> {
    let owner = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
        "uid": "00000000-0000-0000-0000-000000000000",
    }]);
    let labels = json!({"entente.dev/contract": "another"});
    let taken = json!({"entente.dev/contract": null});
    vec![
        (
            json!({"metadata": {"ownerReferences": owner}}),
            "ownerReferences",
        ),
        (
            json!({"metadata": {"labels": labels}}),
            "labels entente.dev/",
        ),
        (
            json!({"metadata": {"labels": taken}}),
            "labels entente.dev/",
        ),
        (
            json!({"metadata": {"finalizers": ["example.com/never"]}}),
            "can only be removed",
        ),
    ]
}

/// A namespace, once the policies are in force there.
async fn guarded(plane: &ControlPlane, prefix: &str) -> String {
    let namespace = plane.create_namespace(prefix).await.expect("a namespace");
    let administrator = Person::administrator(plane);
    for (kind, message) in [
        (ClaimKind::ServiceSubscription, SUBSCRIPTIONS),
        (ClaimKind::Compensation, COMPENSATIONS),
    ] {
        let probe = own(kind, "probe", &namespace).to_string();
        eventually(message, async || {
            let dry = ["create", "--dry-run=server", "-f", "-"];
            let said = administrator.kubectl(&dry, &probe).await;
            match said {
                Err(said) if said.contains(message) => Ok(()),
                Ok(said) | Err(said) => Err(said),
            }
        })
        .await;
    }
    namespace
}

#[tokio::test]
async fn nobody_but_the_operator_makes_or_changes_a_subscription() {
    let plane = installed().await;
    let namespace = guarded(plane, "subscriptions").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-s", "edit", &namespace).await;
    let object = own(ClaimKind::ServiceSubscription, "a.b.c", &namespace);
    refused(administrator.create(&object).await, SUBSCRIPTIONS);
    refused(editor.create(&object).await, "forbidden");
    operator
        .create(&object)
        .await
        .expect("the operator makes it");

    let what = "servicesubscriptions.entente.dev/a.b.c";
    let change = json!({"spec": {"leadTime": "1h"}});
    refused(
        administrator.merge(what, &namespace, &change).await,
        SUBSCRIPTIONS,
    );
    refused(editor.merge(what, &namespace, &change).await, "forbidden");
    operator
        .merge(what, &namespace, &change)
        .await
        .expect("the operator changes it");

    for (forgery, message) in forgeries() {
        refused(
            administrator.merge(what, &namespace, &forgery).await,
            message,
        );
    }
    let status = json!({"status": {"promises": []}});
    let said = administrator.merge_status(what, &namespace, &status).await;
    refused(
        said,
        "only the operator writes the status of ServiceSubscriptions",
    );
    // What is nobody's stays possible: the garbage collector and administrators need it.
    let finalizers = json!({"metadata": {"finalizers": ["entente.dev/withdraw"]}});
    operator
        .merge(what, &namespace, &finalizers)
        .await
        .expect("the operator holds it");
    let none = json!({"metadata": {"finalizers": null}});
    administrator
        .merge(what, &namespace, &none)
        .await
        .expect("an administrator lets it go");
    let delete = ["delete", what, "-n", &namespace];
    refused(editor.kubectl(&delete, "").await, "forbidden");
    administrator
        .kubectl(&delete, "")
        .await
        .expect("an administrator deletes it");
}

/// Writes the status as the operator does, without reading it by its own path first.
async fn write_status(client: Client, namespace: &str, name: &str) -> kube::Result<Compensation> {
    let compensations: Api<Compensation> = Api::namespaced(client, namespace);
    let status = Patch::Merge(json!({"status": {"summary": "BRL 0.00"}}));
    compensations
        .patch_status(name, &PatchParams::default(), &status)
        .await
}

// shows K5: deletions of every kind come to their end
#[tokio::test]
async fn the_garbage_collector_may_do_its_work_on_what_only_the_operator_writes() {
    let plane = installed().await;
    let namespace = guarded(plane, "collected").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    for cascade in ["background", "foreground", "orphan"] {
        let mut contract = ClaimKind::Contract.complete();
        contract["metadata"] = json!({"name": cascade, "namespace": namespace});
        administrator.create(&contract).await.expect("a contract");
        let of_contract = format!("contracts.entente.dev/{cascade}");
        let read = [
            "get",
            &of_contract,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let uid = administrator.kubectl(&read, "").await.expect("it is there");
        let mut object = own(ClaimKind::ServiceSubscription, cascade, &namespace);
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "entente.dev/v1alpha1", "kind": "Contract", "name": cascade,
            "uid": uid, "controller": true, "blockOwnerDeletion": true,
        }]);
        operator
            .create(&object)
            .await
            .expect("the operator makes it");
        let cascading = format!("--cascade={cascade}");
        let delete = [
            "delete",
            &of_contract,
            "-n",
            &namespace,
            &cascading,
            "--timeout=50s",
        ];
        let deleted = administrator.kubectl(&delete, "").await;
        deleted.expect("the contract goes");
        let what = format!("servicesubscriptions.entente.dev/{cascade}");
        let left = [
            "get",
            &what,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.metadata.ownerReferences}",
        ];
        eventually(cascade, async || {
            match administrator.kubectl(&left, "").await {
                Ok(owners) if cascade == "orphan" && owners.is_empty() => Ok(()),
                Err(said) if cascade != "orphan" && said.contains("NotFound") => Ok(()),
                Ok(said) | Err(said) => Err(said),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn where_owners_that_block_a_deletion_need_a_right_the_operator_has_it() {
    let plane = ControlPlane::start(Options {
        admission_plugins: &["OwnerReferencesPermissionEnforcement"],
        ..Options::default()
    })
    .await
    .expect("a control plane");
    install(&plane, "entente", &chart(), &[]).await;
    let namespace = guarded(&plane, "owners").await;
    let (administrator, operator) = (
        Person::administrator(&plane),
        Person::operator(&plane).await,
    );
    let mut contract = ClaimKind::Contract.complete();
    contract["metadata"] = json!({"name": "one", "namespace": namespace});
    administrator.create(&contract).await.expect("a contract");
    let of_contract = ["get", "contracts.entente.dev/one", "-n", &namespace];
    let read = [&of_contract[..], &["-o", "jsonpath={.metadata.uid}"]].concat();
    let uid = administrator.kubectl(&read, "").await.expect("it is there");
    let mut object = own(ClaimKind::ServiceSubscription, "a.b.c", &namespace);
    let owner = |kind: &str, version: &str, name: &str, uid: &str| {
        json!([{
            "apiVersion": version, "kind": kind, "name": name, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        }])
    };
    object["metadata"]["ownerReferences"] = owner(
        "Namespace",
        "v1",
        &namespace,
        "00000000-0000-0000-0000-000000000000",
    );
    refused(operator.create(&object).await, "blockOwnerDeletion");
    object["metadata"]["ownerReferences"] = owner("Contract", "entente.dev/v1alpha1", "one", &uid);
    operator.create(&object).await.expect("it has the right");
}

// shows D8: whoever may edit a record can neither hide it nor let it vanish
#[tokio::test]
async fn nobody_but_the_operator_changes_owners_labels_or_status_of_a_compensation() {
    let name = "a.b.c.t.credit";
    let plane = installed().await;
    let namespace = guarded(plane, "forged").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-f", "edit", &namespace).await;
    let object = own(ClaimKind::Compensation, name, &namespace);
    let made = operator.create(&object).await;
    made.expect("the operator makes it");
    let what = &format!("compensations.entente.dev/{name}");
    for (forgery, message) in forgeries() {
        for person in [&administrator, &editor] {
            refused(person.merge(what, &namespace, &forgery).await, message);
        }
    }
    let note = json!({"metadata": {
        "annotations": {"seen-by": "ana"}, "labels": {"desk": "south"},
    }});
    let noted = editor.merge(what, &namespace, &note).await;
    noted.expect("what is nobody's may be changed");
    let status = json!({"status": {"summary": "BRL 0.00"}});
    let said = administrator.merge_status(what, &namespace, &status).await;
    refused(said, "only the operator writes the status of Compensations");
}

// shows D8: never edited afterwards, a wrong one is voided
#[tokio::test]
async fn an_editor_can_void_a_compensation_and_nothing_else() {
    let name = "a.b.c.t.credit";
    let plane = installed().await;
    let namespace = guarded(plane, "compensations").await;
    let (administrator, operator) = (Person::administrator(plane), Person::operator(plane).await);
    let editor = Person::with_role(plane, "ana-c", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-c", "view", &namespace).await;
    let object = own(ClaimKind::Compensation, name, &namespace);
    refused(administrator.create(&object).await, COMPENSATIONS);
    refused(editor.create(&object).await, "forbidden");
    operator
        .create(&object)
        .await
        .expect("the operator makes it");

    let what = &format!("compensations.entente.dev/{name}");
    let record = json!({"spec": {"record": {"fee": {"amount": "13.00"}}}});
    let voided = json!({"spec": {"voided": {"reason": "wrong fee"}}});
    let both = json!({"spec": {
        "record": {"fee": {"amount": "13.00"}}, "voided": {"reason": "wrong fee"}
    }});
    for person in [&administrator, &editor] {
        for change in [&record, &both] {
            // The record's own rule may speak first; both say no.
            refused(person.merge(what, &namespace, change).await, "ecord");
        }
    }
    let as_editor = plane.client_as("ana-c", &[]).await.expect("a client");
    let refusal = write_status(as_editor, &namespace, name).await;
    let refusal = refusal.expect_err("an editor cannot forge what was calculated");
    assert!(
        refusal.to_string().contains("compensations/status"),
        "{refusal}"
    );
    let as_operator = plane.client_for_service_account(NAMESPACE, "entente").await;
    write_status(as_operator.expect("a client"), &namespace, name)
        .await
        .expect("the operator writes the status");
    refused(viewer.merge(what, &namespace, &voided).await, "forbidden");
    // The operator makes records and never touches them again.
    refused(operator.merge(what, &namespace, &voided).await, "forbidden");
    editor
        .merge(what, &namespace, &voided)
        .await
        .expect("an editor voids it");
    let read = [
        "get",
        what,
        "-n",
        &namespace,
        "-o",
        "jsonpath={.spec.voided.reason}",
    ];
    assert_eq!(viewer.kubectl(&read, "").await.as_deref(), Ok("wrong fee"));
    refused(
        editor
            .kubectl(&["delete", what, "-n", &namespace], "")
            .await,
        "forbidden",
    );
}

#[tokio::test]
async fn an_editor_writes_contracts_and_devices_and_not_the_catalogue() {
    let plane = installed().await;
    let namespace = plane.create_namespace("desk").await.expect("a namespace");
    let editor = Person::with_role(plane, "ana-d", "edit", &namespace).await;
    let viewer = Person::with_role(plane, "bob-d", "view", &namespace).await;
    for kind in [ClaimKind::Contract, ClaimKind::Device] {
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
    refused(
        editor.create(&ClaimKind::Connection.complete()).await,
        "forbidden",
    );
}

/// The whole list, in both directions: what the operator does, and what it must not be able to do.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one list, which reads as one")]
async fn the_operator_has_exactly_the_rights_it_uses() {
    let plane = installed().await;
    let other = plane.create_namespace("tenant").await.expect("a namespace");
    let operator = Person::operator(plane).await;
    let own_kinds = ClaimKind::ALL.map(|kind| format!("{}.entente.dev", kind.plural()));
    let mut expected: Vec<(&str, String, &str, bool)> = Vec::new();
    for resource in &own_kinds {
        for verb in ["get", "list", "watch"] {
            expected.push((verb, resource.clone(), &other, true));
        }
        expected.push(("patch", format!("{resource}/status"), &other, true));
        expected.push(("update", format!("{resource}/status"), &other, true));
        let (owned, recorded) = (
            resource.starts_with("service"),
            resource.starts_with("compensations"),
        );
        let held = !resource.starts_with("devices") && !recorded;
        expected.push(("create", resource.clone(), &other, owned || recorded));
        expected.push(("update", resource.clone(), &other, owned));
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
    let key = "secrets/entente-digest-key";
    for (verb, namespace, allowed) in [
        ("update", NAMESPACE, true),
        ("delete", NAMESPACE, false),
        ("update", &other, false),
    ] {
        let arguments = ["auth", "can-i", verb, key, "-n", namespace];
        if operator.kubectl(&arguments, "").await.is_ok() != allowed {
            wrong.push(format!("{verb} {key} in {namespace}: not {allowed}"));
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
    let objects = rendered(&[]).await;
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
    let mut deployment = deployment.expect("a Deployment").clone();
    deployment["metadata"]["namespace"] = json!(namespace);
    let dry = ["create", "--dry-run=server", "-f", "-"];
    let said = administrator
        .kubectl(&dry, &deployment.to_string())
        .await
        .expect("taken");
    assert!(!said.contains("Warning"), "{said}");
    // The profile is really looked at: the same Pod with one right more is warned about.
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
    let expected = ClaimKind::ALL.map(|kind| format!("{}.entente.dev", kind.plural()));
    assert_eq!(named, expected);
    let administrator = Person::administrator(plane);
    for example in list("artifacthub.io/crdsExamples") {
        let arguments = ["create", "--validate=strict", "-n", &namespace, "-f", "-"];
        administrator
            .kubectl(&arguments, &example.to_string())
            .await
            .expect("accepted");
    }
}

/// A chart of one contract whose lists come from values, as a customer's own chart would be.
fn contract_chart(directory: &Path) {
    let mut contract = own(ClaimKind::Contract, "wrapped", NAMESPACE);
    let service = contract["spec"]["services"][0]
        .as_object_mut()
        .expect("a service");
    service.remove("elect");
    service["devices"] = json!({"names": "NAMES"});
    service["remedies"] = json!("REMEDIES");
    contract["spec"]["countedCauses"] = json!("CAUSES");
    let mut template = yaml::write(&contract).expect("plain data");
    for (mark, value) in [
        ("NAMES", "names"),
        ("REMEDIES", "remedies"),
        ("CAUSES", "causes"),
    ] {
        template = template.replace(mark, &format!("{{{{ toJson .Values.{value} }}}}"));
    }
    std::fs::create_dir_all(directory.join("templates")).expect("a directory");
    let head = "apiVersion: v2\nname: wrapper\nversion: 1.0.0\n";
    std::fs::write(directory.join("Chart.yaml"), head).expect("written");
    std::fs::write(directory.join("templates/contract.yaml"), template).expect("written");
}

/// Helm 4 applies on the server's side, where a defaulted list could never be made shorter.
#[tokio::test]
async fn a_list_that_an_upgrade_makes_shorter_reads_back_as_it_was_set() {
    let plane = installed().await;
    let directory = tempfile::tempdir().expect("a directory");
    contract_chart(directory.path());
    let remedy =
        |name: &str| json!({"name": name, "type": "FeeCredit", "credit": {"basis": "FullDays"}});
    let steps = [
        (
            json!(["a", "b", "c"]),
            json!([remedy("x"), remedy("y")]),
            json!(["Device", "Server"]),
        ),
        (json!(["a", "c"]), json!([remedy("y")]), json!(["Server"])),
        (json!(["c", "d", "a"]), json!([]), json!([])),
    ];
    for (names, remedies, causes) in steps {
        let values = [
            format!("names={names}"),
            format!("remedies={remedies}"),
            format!("causes={causes}"),
        ];
        let values = [values[0].as_str(), values[1].as_str(), values[2].as_str()];
        install(plane, "wrapper", directory.path(), &values).await;
        let get = ["get", "contract", "wrapped", "-n", NAMESPACE, "-o", "json"];
        let read = Person::administrator(plane)
            .kubectl(&get, "")
            .await
            .expect("it is there");
        let read: Value = serde_json::from_str(&read).expect("kubectl writes JSON");
        let service = &read["spec"]["services"][0];
        assert_eq!(service["devices"]["names"], names);
        // A list by keys that becomes empty is dropped altogether.
        let found = service["remedies"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(found), remedies);
        assert_eq!(read["spec"]["countedCauses"], causes);
    }
}

/// Uninstalling must never delete a contract, unless that was asked for.
#[tokio::test]
async fn an_uninstall_keeps_definitions_and_contracts_unless_told_otherwise() {
    // An audit log can be had of a control plane of our own only: nobody's cluster is emptied.
    let options = Options {
        audit: true,
        ..Options::default()
    };
    let plane = ControlPlane::start(options).await.expect("a control plane");
    let administrator = Person::administrator(&plane);
    let uninstall = ["uninstall", "entente", "--namespace", NAMESPACE];
    let definitions = ["get", "crd", "-o", "name"];
    let left = async || {
        let said = administrator
            .kubectl(&definitions, "")
            .await
            .expect("listed");
        let ours = said.lines().filter(|line| line.ends_with(".entente.dev"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };

    install(&plane, "entente", &chart(), &[]).await;
    let contract = own(ClaimKind::Contract, "kept", NAMESPACE);
    administrator.create(&contract).await.expect("created");
    printed(&helm(Some(plane.kubeconfig()), &uninstall).await);
    assert_eq!(left().await.len(), ClaimKind::ALL.len());
    let get = ["get", "contract", "kept", "-n", NAMESPACE];
    administrator
        .kubectl(&get, "")
        .await
        .expect("the contract is still there");
    refused(
        administrator
            .kubectl(&["get", "deployment", "entente", "-n", NAMESPACE], "")
            .await,
        "not found",
    );

    install(&plane, "entente", &chart(), &[r#"crds={"keep":false}"#]).await;
    administrator
        .kubectl(&get, "")
        .await
        .expect("an install takes them over");
    printed(&helm(Some(plane.kubeconfig()), &uninstall).await);
    eventually("the definitions are gone", async || {
        let left = left().await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join("\n"))
        }
    })
    .await;
}

// shows K1, K4
#[tokio::test]
async fn an_upgrade_leaves_the_key_for_digests_as_the_operator_made_it() {
    let plane = ControlPlane::start(Options::default())
        .await
        .expect("a control plane");
    install(&plane, "entente", &chart(), &[]).await;
    let operator = Person::operator(&plane).await;
    let read = async || {
        let get = [
            "get",
            "secret",
            "entente-digest-key",
            "-n",
            NAMESPACE,
            "-o",
            "json",
        ];
        let said = operator.kubectl(&get, "").await.expect("it may read it");
        serde_json::from_str::<Value>(&said).expect("JSON")
    };
    let mut secret = read().await;
    assert_eq!(secret.get("data"), None, "the chart makes it empty");
    secret["data"] = json!({"key": "c2l4dGVlbiBieXRlcyBhbmQgYXMgbWFueSBhZ2Fpbg=="});
    let replace = ["replace", "-f", "-"];
    let written = operator.kubectl(&replace, &secret.to_string()).await;
    written.expect("it may write it");

    let granted = "tenantSecrets.namespaces=[\"default\"]";
    install(&plane, "entente", &chart(), &[granted]).await;
    assert_eq!(read().await["data"], secret["data"]);
    assert!(operator.can("get", "secrets", "default").await);
    assert!(!operator.can("list", "secrets", "default").await);
}
