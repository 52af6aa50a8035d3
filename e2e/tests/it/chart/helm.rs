//! Releases of the chart, judged by Helm itself: installed, upgraded, ready, failed, rolled back.

mod kwok;
mod lifecycle;
mod upgrades;
mod values;

use entente_e2e::control_plane::{ControlPlane, Options};
use serde_json::Value;

use super::cluster::{NAMESPACE, Person};
use super::helm;

/// One release on a control plane of its own.
struct Release {
    plane: ControlPlane,
}

impl Release {
    async fn none() -> Self {
        Self::none_on(Options::default()).await
    }

    /// Starts a control plane with these options, and nothing installed on it.
    async fn none_on(options: Options) -> Self {
        let plane = ControlPlane::start(options).await;
        let plane = plane.expect("a control plane");
        Self { plane }
    }

    /// Runs helm on the release; its output, or its error.
    async fn helm(&self, line: &str) -> Result<String, String> {
        let mut arguments: Vec<&str> = line.split_whitespace().collect();
        arguments.extend(["--namespace", NAMESPACE]);
        let output = helm(Some(self.plane.kubeconfig()), &arguments).await;
        let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
        if output.status.success() {
            Ok(said(&output.stdout))
        } else {
            Err(said(&output.stderr))
        }
    }

    async fn kubectl(&self, line: &str, input: &str) -> Result<String, String> {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        Person::administrator(&self.plane)
            .kubectl(&arguments, input)
            .await
    }

    /// Returns an object, or null if it is not there.
    async fn object(&self, what: &str) -> Value {
        match self
            .kubectl(&format!("get {what} -n {NAMESPACE} -o json"), "")
            .await
        {
            Ok(text) => serde_json::from_str(&text).expect("JSON"),
            Err(said) => {
                assert!(said.contains("NotFound"), "{said}");
                Value::Null
            }
        }
    }

    /// Returns the spec of the Deployment.
    async fn deployment(&self) -> Value {
        self.object("deployment/entente").await["spec"].take()
    }
}
