//! Flux in one namespace: its real kustomize-controller, a source with the newest manifests, and
//! what its Kustomizations say.
//!
//! It acts as a user of its own, so that the audit log tells its requests from those of the test.

mod differences;
mod force;
mod kustomization;
mod prune;
mod unseen;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entente_e2e::control_plane::ControlPlane;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::peers::KustomizeController;
use entente_e2e::wait::wait_for;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value as Json, json};

use super::archive::{ArchiveServer, Files};
use super::{SOURCE, writes_since};

/// Time limit of a wait for Flux: it looks at the health of objects every five seconds.
const WITHIN: Duration = Duration::from_mins(2);
const LOG_LINES: usize = 30;

/// A kustomize-controller that reconciles the Kustomizations of a namespace.
pub(super) struct Flux<'a> {
    namespace: &'a TestNamespace<'a>,
    controller: KustomizeController,
    archives: ArchiveServer,
    user: String,
    revisions: AtomicU64,
}

/// State of a Kustomization.
#[derive(Clone, Debug)]
pub(super) struct Kustomization(DynamicObject);

impl Kustomization {
    fn condition(&self, kind: &str, field: &str) -> &str {
        let conditions = self.0.data["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let found = conditions.find(|it| it["type"] == kind);
        found.and_then(|it| it[field].as_str()).unwrap_or_default()
    }

    /// Returns the status of Ready: empty, `Unknown`, `True` or `False`.
    pub(super) fn ready(&self) -> &str {
        self.condition("Ready", "status")
    }

    /// Returns the reason of Ready.
    pub(super) fn reason(&self) -> &str {
        self.condition("Ready", "reason")
    }

    /// Returns the message of Ready.
    pub(super) fn message(&self) -> &str {
        self.condition("Ready", "message")
    }

    /// True while it waits for the health of what it has applied.
    pub(super) fn checks_health(&self) -> bool {
        self.condition("Healthy", "status") == "Unknown"
            && self.condition("Reconciling", "status") == "True"
    }

    fn revision(&self) -> &str {
        let applied = &self.0.data["status"]["lastAppliedRevision"];
        applied.as_str().unwrap_or_default()
    }
}

impl<'a> Flux<'a> {
    /// Installs the definitions that Flux needs and starts it.
    pub(super) async fn start(namespace: &'a TestNamespace<'a>) -> Flux<'a> {
        let plane = namespace.plane();
        install(plane).await;
        let user = format!("flux-of-{}", namespace.name());
        let kubeconfig = plane.user_kubeconfig(&user, &["system:masters"]).unwrap();
        let controller = KustomizeController::start(&kubeconfig, namespace.name());
        Flux {
            namespace,
            controller: controller.await.unwrap(),
            archives: ArchiveServer::start().await,
            user,
            revisions: AtomicU64::new(1),
        }
    }

    /// Makes the files the newest revision of the source, and returns the name of that.
    pub(super) async fn publish(&self, files: &Files) -> String {
        let archive = self.archives.publish(files).await;
        let number = self.revisions.fetch_add(1, Ordering::Relaxed);
        let revision = format!("main@sha1:{number:040x}");
        let now = jiff::Timestamp::now().to_string();
        let spec = json!({"interval": "1h", "url": "https://git.example/contracts"});
        self.write("GitRepository", SOURCE, &spec).await;
        let status = json!({"status": {
            "observedGeneration": 1,
            "artifact": {
                "path": revision, "revision": revision, "url": archive.url,
                "digest": format!("sha256:{}", archive.digest),
                "size": archive.size, "lastUpdateTime": now,
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded",
                "message": "stored", "lastTransitionTime": now,
            }],
        }});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&status));
        let api = self.api("GitRepository");
        api.patch_status(SOURCE, &parameters, &patch).await.unwrap();
        revision
    }

    /// Applies a Kustomization of the whole source that prunes, with these fields beside.
    pub(super) async fn apply(&self, name: &str, fields: &Json) {
        let mut spec = json!({
            "interval": "1h", "retryInterval": "2s", "prune": true, "path": "./",
            "sourceRef": {"kind": "GitRepository", "name": SOURCE},
        });
        for (field, value) in fields.as_object().expect("fields by name") {
            spec[field] = value.clone();
        }
        self.write("Kustomization", name, &spec).await;
    }

    /// Writes an object of Flux as it is in a document, but into this namespace.
    pub(super) async fn write(&self, kind: &str, name: &str, spec: &Json) {
        let object = json!({
            "apiVersion": resource(kind).api_version, "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        });
        let parameters = PatchParams::apply("test").force();
        let api = self.api(kind);
        let patch = Patch::Apply(&object);
        api.patch(name, &parameters, &patch).await.unwrap();
    }

    /// Deletes a Kustomization; what it has applied goes with it.
    pub(super) async fn delete(&self, name: &str) {
        let api = self.api("Kustomization");
        api.delete(name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }

    /// Returns a Kustomization.
    pub(super) async fn read(&self, name: &str) -> Option<Kustomization> {
        let api = self.api("Kustomization");
        api.get_opt(name).await.unwrap().map(Kustomization)
    }

    /// Waits until a Kustomization is as wanted.
    pub(super) async fn until(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Kustomization) -> bool,
    ) -> Kustomization {
        let found = wait_for(what, WITHIN, async || {
            self.read(name).await.filter(|it| wanted(it))
        });
        match found.await {
            Ok(found) => found,
            Err(late) => panic!("{late}{}", self.dump(name).await),
        }
    }

    /// Waits until a Kustomization is Ready with the revision.
    pub(super) async fn until_ready(&self, name: &str, revision: &str) -> Kustomization {
        let what = format!("the Kustomization {name} is Ready with {revision}");
        self.until(name, &what, |it| {
            it.ready() == "True" && it.revision() == revision
        })
        .await
    }

    /// Waits until a Kustomization is gone.
    pub(super) async fn until_gone(&self, name: &str) {
        let what = format!("the Kustomization {name} is gone");
        let gone = wait_for(&what, WITHIN, async || {
            self.read(name).await.is_none().then_some(())
        });
        if let Err(late) = gone.await {
            panic!("{late}{}", self.dump(name).await);
        }
    }

    /// Asks for a reconciliation, as `flux reconcile` does, and waits for its end.
    pub(super) async fn reconcile(&self, name: &str) -> Kustomization {
        let at = jiff::Timestamp::now().to_string();
        let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at}}});
        let api = self.api("Kustomization");
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        api.patch(name, &parameters, &patch).await.unwrap();
        let what = format!("the reconciliation of {name} is handled");
        self.until(name, &what, |it| {
            it.0.data["status"]["lastHandledReconcileAt"] == json!(at)
        })
        .await
    }

    /// Returns the requests of Flux since the position of the audit log that could change an object
    /// of Entente.
    pub(super) async fn writes_since(&self, position: u64) -> Vec<String> {
        writes_since(self.namespace.plane(), &self.user, position).await
    }

    /// Returns the reasons of the events that Flux has reported of a Kustomization.
    pub(super) async fn reasons(&self, name: &str) -> Vec<String> {
        let mut events = self.namespace.events().await;
        events.retain(|event| {
            let regarding = event.regarding.as_ref();
            regarding.is_some_and(|it| {
                it.kind.as_deref() == Some("Kustomization") && it.name.as_deref() == Some(name)
            })
        });
        events.into_iter().filter_map(|it| it.reason).collect()
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let client = self.namespace.client().clone();
        Api::namespaced_with(client, self.namespace.name(), &resource(kind))
    }

    async fn dump(&self, name: &str) -> String {
        let found = self.read(name).await.map(|it| it.0.data);
        let log = self.controller.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        let found = serde_json::to_string_pretty(&found).unwrap();
        let state = self.namespace.dump().await;
        format!("\n--- Kustomization {name}\n{found}\n--- log of Flux\n{tail}\n{state}")
    }
}

fn resource(kind: &str) -> ApiResource {
    let group = if kind == "Kustomization" {
        "kustomize.toolkit.fluxcd.io"
    } else {
        "source.toolkit.fluxcd.io"
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind))
}

/// Installs the definition of Kustomization that Flux publishes, and of the kinds of sources that
/// it watches: those are written by the test alone, so that a definition without fields will do.
async fn install(plane: &ControlPlane) {
    let path = entente_e2e::operator::workspace().join("target/tools/kustomizations.yaml");
    let mut definitions = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: build it with `make tools`", path.display()));
    for (kind, plural) in [
        ("GitRepository", "gitrepositories"),
        ("OCIRepository", "ocirepositories"),
        ("Bucket", "buckets"),
    ] {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let schema = json!({"type": "object", "properties": {"spec": any, "status": any}});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.source.toolkit.fluxcd.io")},
            "spec": {
                "group": "source.toolkit.fluxcd.io", "scope": "Namespaced",
                "names": {
                    "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                    "singular": kind.to_lowercase(),
                },
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema},
                }],
            },
        });
        definitions.push_str("\n---\n");
        definitions.push_str(&definition.to_string());
    }
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    run(plane, &apply, &definitions).await;
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd/kustomizations.kustomize.toolkit.fluxcd.io",
        "crd/gitrepositories.source.toolkit.fluxcd.io",
        "crd/ocirepositories.source.toolkit.fluxcd.io",
        "crd/buckets.source.toolkit.fluxcd.io",
    ];
    run(plane, &wait, "").await;
}

async fn run(plane: &ControlPlane, arguments: &[&str], input: &str) {
    let output = plane.kubectl_as(plane.kubeconfig(), arguments, input);
    let output = output.await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}
