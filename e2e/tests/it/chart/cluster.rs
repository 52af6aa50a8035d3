//! A control plane with the chart installed, and its users: shared by the tests of this folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use entente_crds::admission_cases::CaseKind;
use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{chart, helm, printed};

/// Longest wait for the control plane's own work: aggregating roles, loading policies.
pub(super) const DEADLINE: Duration = Duration::from_mins(1);
pub(super) const NAMESPACE: &str = "entente-system";
/// The user whom the installed policies let write records, to restore a backup.
pub(super) const RESTORER: &str = "restorer";

/// Returns a control plane with the chart installed, for all tests of this module but those that
/// uninstall it. It is not the one of other tests, which install the definitions without Helm.
pub(super) async fn installed() -> &'static ControlPlane {
    static INSTALLED: OnceCell<ControlPlane> = OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let plane = ControlPlane::start(Options::default())
                .await
                .expect("a control plane");
            let restorer = format!("admissionPolicy.alsoAllowUsers=[\"{RESTORER}\"]");
            install(&plane, "entente", &chart(), &[&restorer]).await;
            plane
        })
        .await
}

pub(super) async fn install(plane: &ControlPlane, release: &str, chart: &Path, settings: &[&str]) {
    let mut arguments: Vec<&str> = vec!["upgrade", "--install", release];
    arguments.push(chart.to_str().expect("a path in UTF-8"));
    arguments.extend(["--namespace", NAMESPACE, "--create-namespace"]);
    for setting in settings {
        arguments.extend(["--set-json", setting]);
    }
    printed(&helm(Some(plane.kubeconfig()), &arguments).await);
}

/// A person who runs kubectl.
pub(super) struct Person<'p> {
    plane: &'p ControlPlane,
    kubeconfig: PathBuf,
}

/// Output of kubectl, or its error.
pub(super) type Said = Result<String, String>;

impl<'p> Person<'p> {
    pub(super) fn administrator(plane: &'p ControlPlane) -> Self {
        let kubeconfig = plane.kubeconfig().to_owned();
        Self { plane, kubeconfig }
    }

    pub(super) async fn operator(plane: &'p ControlPlane) -> Self {
        Self::operator_in(plane, NAMESPACE).await
    }

    /// Returns the operator of the release in a namespace.
    pub(super) async fn operator_in(plane: &'p ControlPlane, namespace: &str) -> Self {
        let kubeconfig = plane
            .kubeconfig_for_service_account(namespace, "entente")
            .await
            .expect("the chart made the service account");
        Self { plane, kubeconfig }
    }

    /// Returns a user with the cluster's own role in one namespace.
    pub(super) async fn with_role(
        plane: &'p ControlPlane,
        name: &str,
        role: &str,
        namespace: &str,
    ) -> Self {
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

    pub(super) async fn kubectl(&self, arguments: &[&str], input: &str) -> Said {
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

    pub(super) async fn create(&self, object: &Value) -> Said {
        self.kubectl(&["create", "-f", "-"], &object.to_string())
            .await
    }

    pub(super) async fn merge(&self, what: &str, namespace: &str, patch: &Value) -> Said {
        let patch = patch.to_string();
        let arguments = ["patch", what, "-n", namespace, "--type=merge", "-p", &patch];
        self.kubectl(&arguments, "").await
    }

    pub(super) async fn merge_status(&self, what: &str, namespace: &str, patch: &Value) -> Said {
        let patch = patch.to_string();
        let arguments = ["patch", what, "-n", namespace, "--type=merge", "-p", &patch];
        let arguments = [&arguments[..], &["--subresource=status"]].concat();
        self.kubectl(&arguments, "").await
    }

    pub(super) async fn can(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let mut arguments = vec!["auth", "can-i", verb, resource, "-n", namespace];
        if subresource != "--subresource=" {
            arguments.push(&subresource);
        }
        self.kubectl(&arguments, "").await.is_ok()
    }
}

/// Waits until a check holds; until then the check returns its observation.
pub(super) async fn eventually(what: &str, holds: impl AsyncFn() -> Result<(), String>) {
    let late = Instant::now() + DEADLINE;
    while let Err(state) = holds().await {
        assert!(
            Instant::now() < late,
            "not in {DEADLINE:?}: {what}; {state}"
        );
        // Between two looks; DEADLINE ends the wait.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) fn refused(said: Said, message: &str) {
    let said = said.expect_err("it is refused");
    assert!(said.contains(message), "{said}");
}

/// Returns an object of the kinds that the operator makes, in a namespace.
pub(super) fn own(kind: CaseKind, name: &str, namespace: &str) -> Value {
    let mut object = kind.complete();
    let labels = json!({"entente.dev/contract": "one", "desk": "north"});
    object["metadata"] = json!({"name": name, "namespace": namespace, "labels": labels});
    object
}
