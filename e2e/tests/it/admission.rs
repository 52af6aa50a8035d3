//! The real API server's treatment of our kinds: the same cases that the unit tests of
//! `entente-crds` give to a CEL engine in process, and the parts that no engine has: cost budgets,
//! list merging, selectable fields, status defaults and printer columns.

#![allow(clippy::panic, reason = "what a test needs and does not get ends it")]

mod lists;
mod objects;
mod statuses;

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
