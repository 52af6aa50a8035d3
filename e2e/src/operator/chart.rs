//! Installs the operator's needs in its cluster: the CRDs from `crds/manifests`, and everything
//! that `charts/entente` renders except the Deployment, whose pods would never run.
//!
//! Helm renders; it decides nothing about the chart itself. Called by [`super::Operator`].

use std::process::Output;
use std::time::Duration;

use entente_crds::yaml;
use kube::ResourceExt as _;
use serde_json::Value;
use tokio::process::Command;

use super::{OperatorError, workspace};
use crate::control_plane::ControlPlane;

/// Name of the operator's ServiceAccount in the chart.
const ACCOUNT: &str = "entente";
/// Longest run of Helm.
const HELM_WITHIN: Duration = Duration::from_mins(2);

/// Installs CRDs and chart; the name of the chart's ServiceAccount.
pub(super) async fn install(
    plane: &ControlPlane,
    (namespace, tenants): (&str, &[String]),
    values: &[String],
) -> Result<String, OperatorError> {
    install_definitions(plane).await?;
    let mut values = values.to_vec();
    if !tenants.is_empty() {
        values.push(format!(
            "tenantSecrets.namespaces={{{}}}",
            tenants.join(",")
        ));
    }
    let rendered = render(namespace, &values).await?;
    let objects: Vec<Value> = yaml::read_all(&rendered).map_err(|error| OperatorError::Chart {
        problem: error.to_string(),
    })?;
    let account = objects
        .iter()
        .find(|object| object["kind"] == "ServiceAccount" && object["metadata"]["name"] == ACCOUNT)
        .and_then(|object| object["metadata"]["name"].as_str())
        .ok_or_else(|| OperatorError::Chart {
            problem: "there is no ServiceAccount".to_owned(),
        })?
        .to_owned();
    // The definitions exist already, and the Deployment is replaced by our process.
    let wanted = objects.iter().filter(|object| {
        object["kind"] != "Deployment" && object["kind"] != "CustomResourceDefinition"
    });
    let tenants = tenants.iter().map(String::as_str);
    let namespaces = std::iter::once(namespace).chain(tenants).map(|name| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
        })
    });
    let stream: Vec<String> = namespaces
        .chain(wanted.cloned())
        .map(|object| object.to_string())
        .collect();
    apply(plane, &stream.join("\n---\n")).await?;
    Ok(account)
}

/// Applies the CRDs and waits until they are served.
async fn install_definitions(plane: &ControlPlane) -> Result<(), OperatorError> {
    let directory = workspace().join("crds/manifests");
    let directory = directory.to_string_lossy();
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        &directory,
    ];
    kubectl(plane, &apply, "").await?;
    let names: Vec<String> = entente_crds::manifest::all()
        .iter()
        .map(|definition| format!("crd/{}", definition.name_any()))
        .collect();
    let mut wait = vec!["wait", "--for=condition=Established", "--timeout=60s"];
    wait.extend(names.iter().map(String::as_str));
    kubectl(plane, &wait, "").await
}

async fn apply(plane: &ControlPlane, objects: &str) -> Result<(), OperatorError> {
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    kubectl(plane, &apply, objects).await
}

async fn kubectl(
    plane: &ControlPlane,
    arguments: &[&str],
    input: &str,
) -> Result<(), OperatorError> {
    let output = plane
        .kubectl_as(plane.kubeconfig(), arguments, input)
        .await
        .map_err(|source| OperatorError::Kubectl { source })?;
    checked("kubectl", arguments, &output).map(drop)
}

/// Renders the chart by `helm template`, without what only `helm test` makes.
async fn render(namespace: &str, values: &[String]) -> Result<String, OperatorError> {
    let chart = workspace().join("charts/entente");
    let chart = chart.to_string_lossy();
    let mut arguments = vec!["template", "entente", &chart, "--namespace", namespace];
    arguments.push("--skip-tests");
    for value in values {
        arguments.extend(["--set", value]);
    }
    let mut command = Command::new(workspace().join("target/tools/helm"));
    command.args(&arguments).kill_on_drop(true);
    let failed = |source| OperatorError::Process {
        action: "run Helm (build it with `make tools`) for",
        source,
    };
    let output = tokio::time::timeout(HELM_WITHIN, command.output())
        .await
        .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    checked("helm", &arguments, &output)
}

/// Returns the output of a command, if it succeeded.
fn checked(program: &str, arguments: &[&str], output: &Output) -> Result<String, OperatorError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    Err(OperatorError::Refused {
        command: format!("{program} {}", arguments.join(" ")),
        said: String::from_utf8_lossy(&said).into_owned(),
    })
}
