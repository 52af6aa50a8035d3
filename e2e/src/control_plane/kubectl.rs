//! Runs the real kubectl as a user would. It decides nothing from the answer: a refusal is an
//! [`Output`] with its exit status, not an error. Called by tests and the demo through
//! [`super::ControlPlane`].

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{ControlPlane, StartError, tool};

/// Longest run of one kubectl; `kubectl wait --timeout` must stay below.
const DEADLINE: Duration = Duration::from_mins(5);

/// Reason why kubectl could not be run.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// It has not been built.
    #[error(transparent)]
    Missing {
        /// Names the file and the command that builds it.
        source: StartError,
    },
    /// It cannot be run, or its input or output broke.
    #[error("cannot run kubectl {arguments}")]
    Run {
        /// Arguments of the call.
        arguments: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// It did not end in time and was killed.
    #[error("kubectl {arguments} did not end within {DEADLINE:?}")]
    Late {
        /// Arguments of the call.
        arguments: String,
    },
}

impl ControlPlane {
    /// Runs `kubectl` as the administrator.
    pub async fn kubectl<I>(&self, arguments: I) -> Result<Output, KubectlError>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.kubectl_as(&self.kubeconfig, arguments, "").await
    }

    /// Runs `kubectl` with a kubeconfig file ([`ControlPlane::kubeconfig`],
    /// [`ControlPlane::user_kubeconfig`], [`ControlPlane::kubeconfig_for_service_account`]) and
    /// `input` as its standard input, such as manifests for `apply -f -`.
    pub async fn kubectl_as<I>(
        &self,
        kubeconfig: &Path,
        arguments: I,
        input: &str,
    ) -> Result<Output, KubectlError>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let path = tool("kubectl").map_err(|source| KubectlError::Missing { source })?;
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            // What a developer keeps at home must not matter, nor grow.
            .env("KUBECACHEDIR", self.directory.join("kubectl-cache"))
            .env("KUBERC", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let arguments = described(&command);
        match tokio::time::timeout(DEADLINE, converse(&mut command, input)).await {
            Ok(answer) => answer.map_err(|source| KubectlError::Run { arguments, source }),
            Err(_) => Err(KubectlError::Late { arguments }),
        }
    }
}

async fn converse(command: &mut Command, input: &str) -> std::io::Result<Output> {
    let mut process = command.spawn()?;
    let mut stdin = process.stdin.take().expect("its standard input is a pipe");
    let write = async move {
        // It may end without reading; its exit status is more informative than a broken pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let ((), output) = tokio::join!(write, process.wait_with_output());
    output
}

fn described(command: &Command) -> String {
    let arguments: Vec<_> = command
        .as_std()
        .get_args()
        .map(|argument| argument.to_string_lossy())
        .collect();
    arguments.join(" ")
}
