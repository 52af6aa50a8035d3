//! Runs helm as a user would, on a chart with nothing but one contract.

use std::path::Path;
use std::process::Output;

use entente_crds::v1alpha1::Contract;
use entente_e2e::namespace::TestNamespace;
use tokio::process::Command;

/// Runs `helm install` or `helm upgrade` of the release `contracts` with `--wait
/// --rollback-on-failure`; the answer tells whether it succeeded within a minute.
pub(crate) async fn helm(namespace: &TestNamespace<'_>, verb: &str, contract: &Contract) -> Output {
    let chart = tempfile::tempdir().unwrap();
    let templates = chart.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    let about = "apiVersion: v2\nname: contracts\nversion: 0.1.0\n";
    std::fs::write(chart.path().join("Chart.yaml"), about).unwrap();
    let text = entente_crds::yaml::write(contract).unwrap();
    std::fs::write(templates.join("contract.yaml"), text).unwrap();
    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/helm");
    Command::new(helm)
        .args([verb, "contracts"])
        .arg(chart.path())
        .args([
            "--namespace",
            namespace.name(),
            "--wait",
            "--rollback-on-failure",
        ])
        .args(["--timeout", "60s", "--kubeconfig"])
        .arg(namespace.plane().kubeconfig())
        .env("HELM_CACHE_HOME", chart.path().join("cache"))
        .env("HELM_CONFIG_HOME", chart.path().join("config"))
        .env("HELM_DATA_HOME", chart.path().join("data"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}
