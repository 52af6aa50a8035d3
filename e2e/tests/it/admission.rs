//! The real API server's treatment of our kinds: the same cases that the unit tests of
//! `entente-crds` give to a CEL engine in process, and the parts that no engine has: cost budgets,
//! list merging, selectable fields, status defaults and printer columns.

#![allow(clippy::panic, reason = "what a test needs and does not get ends it")]

use std::collections::BTreeMap;

use entente_crds::admission_cases::{self, Case, CaseKind, Verdict};
use entente_crds::{example, generate, manifest};
use entente_e2e::control_plane::{ControlPlane, Options};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// Answer of the API server: the object, or the code and the message of its refusal.
type Answer = Result<Value, (u16, String)>;

/// One test's way to the API server: a namespace of its own on the shared control plane.
struct Admission {
    client: Client,
    namespace: String,
}

impl Admission {
    async fn new() -> Self {
        let plane = shared().await;
        Self {
            client: plane.client().await.expect("a client"),
            namespace: plane
                .create_namespace("admission")
                .await
                .expect("a namespace"),
        }
    }

    fn path(&self, kind: CaseKind, name: &str) -> String {
        let namespace = if kind.is_namespaced() {
            format!("namespaces/{}/", self.namespace)
        } else {
            String::new()
        };
        format!(
            "/apis/entente.dev/v1alpha1/{namespace}{}/{name}",
            kind.plural()
        )
        .trim_end_matches('/')
        .to_owned()
    }

    async fn call(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let body = if method == Method::GET {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content_type)
            .body(body)
            .expect("the request is well formed");
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(object),
            Err(kube::Error::Api(status)) => Err((status.code, status.message.clone())),
            Err(error) => panic!("the API server did not answer {path}: {error}"),
        }
    }

    /// Returns the object of a case under another name, in this test's namespace.
    fn named(&self, kind: CaseKind, mut object: Value, name: &str) -> Value {
        object["metadata"]["name"] = json!(name);
        self.placed(kind, object)
    }

    fn placed(&self, kind: CaseKind, mut object: Value) -> Value {
        if kind.is_namespaced() {
            object["metadata"]["namespace"] = json!(self.namespace);
        }
        object
    }

    async fn create(&self, kind: CaseKind, object: &Value) -> Answer {
        self.call(Method::POST, &self.path(kind, ""), JSON, object)
            .await
    }

    async fn get(&self, kind: CaseKind, name: &str) -> Value {
        self.call(Method::GET, &self.path(kind, name), JSON, &Value::Null)
            .await
            .expect("the object is there")
    }

    async fn merge(&self, kind: CaseKind, name: &str, patch: &Value) -> Answer {
        self.call(Method::PATCH, &self.path(kind, name), MERGE, patch)
            .await
    }

    async fn apply(&self, kind: CaseKind, object: &Value) -> Answer {
        let name = object["metadata"]["name"]
            .as_str()
            .expect("an object has a name");
        let path = format!(
            "{}?fieldManager=team&fieldValidation=Strict",
            self.path(kind, name)
        );
        self.call(Method::PATCH, &path, APPLY, object).await
    }

    /// Deletes the objects of this test; the shared control plane may be a developer's cluster.
    async fn clear(&self, cluster_scoped: &[(CaseKind, &str)]) {
        for (kind, name) in cluster_scoped {
            let path = self.path(*kind, name);
            self.call(Method::DELETE, &path, JSON, &json!({}))
                .await
                .expect("deleted");
        }
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.call(Method::DELETE, &path, JSON, &json!({}))
            .await
            .expect("deleted");
    }
}

/// Returns the control plane that tests share, with our definitions.
async fn shared() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.expect("a control plane");
    let install = || async { drop(install_definitions(plane).await) };
    INSTALLED.get_or_init(install).await;
    plane
}

/// Applies the CRDs, waits until they are served and returns kubectl's output.
async fn install_definitions(plane: &ControlPlane) -> String {
    let mut text = String::new();
    for file in generate::files() {
        if file.path.starts_with("crds/manifests/") && !file.path.ends_with("kustomization.yaml") {
            text.push_str("---\n");
            text.push_str(&file.content);
        }
    }
    let said = kubectl(plane, &["apply", "--server-side", "-f", "-"], &text).await;
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "-f",
        "-",
    ];
    kubectl(plane, &wait, &text).await;
    said
}

/// Runs kubectl as the administrator. Returns its output on both streams.
async fn kubectl(plane: &ControlPlane, arguments: &[&str], input: &str) -> String {
    let output = plane
        .kubectl_as(plane.kubeconfig(), arguments, input)
        .await
        .expect("kubectl runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "kubectl {} failed: {said}",
        arguments.join(" ")
    );
    said
}

/// The CEL cost budgets, structural schemas and formats are all the server's to judge.
#[tokio::test]
async fn the_server_takes_every_definition_without_a_warning() {
    let plane = shared().await;
    let said = install_definitions(plane).await;
    assert!(!said.contains("Warning"), "{said}");
    assert_eq!(
        said.matches("serverside-applied").count(),
        CaseKind::ALL.len(),
        "{said}"
    );
    let crds = kubectl(plane, &["get", "crd", "-o", "json"], "").await;
    let crds: Value = serde_json::from_str(&crds).expect("kubectl writes JSON");
    let ours: Vec<&Value> = crds["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|crd| crd["spec"]["group"] == "entente.dev")
        .collect();
    assert_eq!(ours.len(), CaseKind::ALL.len());
    for crd in ours {
        for condition in crd["status"]["conditions"].as_array().into_iter().flatten() {
            let expected = match condition["type"].as_str() {
                Some("NamesAccepted" | "Established") => "True",
                Some("Terminating" | "NonStructuralSchema") => "False",
                _ => continue,
            };
            assert_eq!(
                condition["status"], expected,
                "{}: {condition}",
                crd["metadata"]["name"]
            );
        }
    }
}

#[tokio::test]
async fn the_server_comes_to_the_verdict_of_every_claim() {
    let admission = Admission::new().await;
    let mut wrong = Vec::new();
    let cases = admission_cases::all();
    assert!(cases.len() > 350, "only {} cases", cases.len());
    for (number, case) in cases.iter().enumerate() {
        let answer = judged(&admission, number, case).await;
        let agrees = match (case.verdict, &answer) {
            (Verdict::Accepted, Ok(_)) => true,
            (
                Verdict::Rejected { message } | Verdict::RejectedBySchema { message },
                Err((code, said)),
            ) => [400, 422].contains(code) && said.contains(message),
            _ => false,
        };
        if !agrees {
            let said = answer.map_or_else(|(code, said)| format!("{code} {said}"), |_| "ok".into());
            wrong.push(format!(
                "{}: {:?}, but the server says {said}",
                case.name, case.verdict
            ));
        }
    }
    admission.clear(&[]).await;
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// Returns the server's answer to the case; nothing is kept but the old object of a change.
async fn judged(admission: &Admission, number: usize, case: &Case) -> Answer {
    const DRY: &str = "dryRun=All&fieldValidation=Strict";
    let kind = case.kind;
    let name = format!("case-{number}");
    let Some(old) = &case.old else {
        let mut object = admission.placed(kind, case.new.clone());
        // Other tests may use the example's name now, unless the case is about the name.
        if object["metadata"]["name"] == kind.complete()["metadata"]["name"] {
            object = admission.named(kind, object, &name);
        }
        let path = format!("{}?{DRY}", admission.path(kind, ""));
        return admission.call(Method::POST, &path, JSON, &object).await;
    };
    let made = admission
        .create(kind, &admission.named(kind, old.clone(), &name))
        .await;
    let made = made.unwrap_or_else(|refusal| panic!("{}: {refusal:?}", case.name));
    let mut object = admission.named(kind, case.new.clone(), &name);
    object["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    let path = format!("{}?{DRY}", admission.path(kind, &name));
    admission.call(Method::PUT, &path, JSON, &object).await
}

/// The service of a contract whose lists are made shorter.
const SERVICE: &str = "/spec/services/0";

/// Returns lists that a person can leave out or shorten: the path, a long one, and whether the list
/// may be absent.
fn lists() -> Vec<(CaseKind, String, Value, bool)> {
    let step = |kind: &str| json!({ "type": kind });
    let remedy =
        |name: &str| json!({"name": name, "type": "FeeCredit", "credit": {"basis": "FullDays"}});
    let steps = json!([
        step("DeviceSettings"),
        step("ServerSettings"),
        step("Activation")
    ]);
    let of = |kind, place: &str, long, may_be_absent| (kind, place.to_owned(), long, may_be_absent);
    let of_service =
        |place: &str, long| (CaseKind::Contract, format!("{SERVICE}/{place}"), long, true);
    vec![
        of_service("remedies", json!([remedy("a"), remedy("b")])),
        of_service("devices/names", json!(["a", "b", "c"])),
        of(
            CaseKind::Contract,
            "/spec/countedCauses",
            json!(["Device", "Server"]),
            true,
        ),
        of(CaseKind::SmartService, "/spec/steps", steps, true),
        of(
            CaseKind::Connection,
            "/spec/allow/0/networks",
            json!(["10.20.0.0/16", "10.21.0.0/16"]),
            false,
        ),
        of(
            CaseKind::Device,
            "/spec/connections",
            json!([{"name": "a"}, {"name": "b"}]),
            false,
        ),
    ]
}

/// A list that had a default in the schema could never be made shorter again.
// shows K1
#[tokio::test]
async fn a_list_reads_back_as_it_was_applied_when_it_is_set_made_shorter_and_left_out() {
    let admission = Admission::new().await;
    let name = "shorter";
    for (kind, place, long, may_be_absent) in lists() {
        let mut object = admission.named(kind, kind.complete(), name);
        if let Some(service) = object.pointer_mut(SERVICE).and_then(Value::as_object_mut) {
            service.remove("elect");
        }
        let first = json!([long[0]]);
        let mut values = vec![long, first];
        values.extend(may_be_absent.then_some(Value::Null));
        for value in values {
            set(&mut object, &place, value.clone());
            let answer = admission.apply(kind, &object).await;
            answer.unwrap_or_else(|refusal| panic!("{kind:?} {place} {value}: {refusal:?}"));
            let read = admission.get(kind, name).await;
            let found = read.pointer(&place).cloned().unwrap_or_default();
            assert_eq!(found, value, "{kind:?} {place}");
        }
    }
    let cluster_scoped = [(CaseKind::SmartService, name), (CaseKind::Connection, name)];
    admission.clear(&cluster_scoped).await;
}

/// Sets a value at a JSON pointer; null removes the member.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = object
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("a list is in an object");
    if value.is_null() {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
}

// shows D8: never edited afterwards, voided once
#[tokio::test]
async fn a_record_withstands_merge_patches_that_change_add_or_drop_a_field() {
    let admission = Admission::new().await;
    let kind = CaseKind::Compensation;
    let object = admission.named(kind, kind.complete(), "record");
    let made = admission.create(kind, &object).await.expect("created");
    let patches = [
        json!({"fee": {"amount": "13.00"}}),
        json!({"share": {"devices": 2}}),
        json!({ "currency": null }),
        json!({ "fee": null }),
        json!({"device": {"serialNumber": null}}),
        json!({"remedy": {"credit": {"percent": null}}}),
        json!({"countedCauses": ["Device"]}),
    ];
    for record in patches {
        let patch = json!({"spec": { "record": record }});
        let (code, said) = admission
            .merge(kind, "record", &patch)
            .await
            .expect_err("a record stays as it is");
        assert_eq!(code, 422, "{patch}: {said}");
        assert!(
            said.contains("a record cannot be changed"),
            "{patch}: {said}"
        );
    }
    let whole = json!({"spec": { "record": null }});
    let (code, said) = admission
        .merge(kind, "record", &whole)
        .await
        .expect_err("a record is required");
    assert_eq!(code, 422, "{said}");
    assert_eq!(admission.get(kind, "record").await["spec"], made["spec"]);

    let voided = json!({"spec": {"voided": {"reason": "wrong fee"}}});
    admission
        .merge(kind, "record", &voided)
        .await
        .expect("voided");
    for again in [json!(null), json!({"reason": "another"})] {
        let patch = json!({"spec": { "voided": again }});
        let refusal = admission.merge(kind, "record", &patch).await;
        let (_, said) = refusal.expect_err("voided once");
        assert!(said.contains("voided once"), "{said}");
    }
    admission.clear(&[]).await;
}

#[tokio::test]
async fn objects_are_found_by_every_selectable_field() {
    let admission = Admission::new().await;
    let mut fields = 0;
    for crd in manifest::all() {
        let plural = crd.spec.names.plural.as_str();
        let kind = CaseKind::ALL
            .into_iter()
            .find(|kind| kind.plural() == plural)
            .expect("every definition has cases");
        let selectable = crd.spec.versions[0].selectable_fields.iter().flatten();
        for (number, field) in selectable.enumerate() {
            let path = field.json_path.trim_start_matches('.');
            let names = [format!("one-{number}"), format!("other-{number}")];
            for name in &names {
                let mut object = admission.named(kind, kind.complete(), name);
                set(
                    &mut object,
                    &format!("/{}", path.replace('.', "/")),
                    json!(name),
                );
                admission.create(kind, &object).await.expect("created");
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
    assert_eq!(fields, 11);
    admission.clear(&[]).await;
}

/// Without it a tool that waits by conditions would count a new object as finished.
#[tokio::test]
async fn a_new_object_has_a_status_that_is_not_finished() {
    let admission = Admission::new().await;
    for kind in CaseKind::ALL {
        let object = admission.named(kind, kind.complete(), "unseen");
        let made = admission.create(kind, &object).await.expect("created");
        let status = &made["status"];
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
        .into_iter()
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
    let row = [
        "banco-sul-2027",
        "C-4711",
        "Unknown",
        "Pending",
        "2027-04-01",
    ];
    assert_eq!(lines[1][..5], row, "{table}");

    let time = r#"{"spec":{"term":{"startDate":null,"startTime":"2027-04-01T03:00:00Z"}}}"#;
    let patch = [
        "patch",
        "enct",
        "banco-sul-2027",
        "--type=merge",
        "-p",
        time,
    ];
    kubectl(plane, &[&namespace[..], &patch].concat(), "").await;
    let wide = kubectl(
        plane,
        &[&namespace[..], &["get", "enct", "-o", "wide"]].concat(),
        "",
    )
    .await;
    assert!(wide.contains("2027-04-01T03:00:00Z"), "{wide}");
    assert!(wide.contains("2030-03-31"), "{wide}");
    for name in ["enconn", "endm", "ensvc", "endev", "ensub", "encmp"] {
        kubectl(plane, &[&namespace[..], &["get", name]].concat(), "").await;
    }
    kubectl(plane, &["get", "entente,entente-all", "-A"], "").await;
    kubectl(plane, &["delete", "--wait=false", "-f", "-"], &text).await;
}
