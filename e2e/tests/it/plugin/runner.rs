//! Runs the plugin, and keeps what it prints.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use entente_e2e::operator::workspace;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longest run of one command.
const DEADLINE: Duration = Duration::from_mins(2);

/// Answer of the plugin.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Answer {
    /// Asserts the exit code and parts of standard output.
    #[track_caller]
    pub(super) fn has(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self}");
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is missing in\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err } = self;
        write!(
            f,
            "exit code {code}\n--- standard output\n{out}\n--- standard error\n{err}"
        )
    }
}

/// Returns the path of the plugin.
pub(super) fn path() -> PathBuf {
    let path = workspace().join("target/debug/kubectl-entente");
    let build = "cargo build -p entente-cli";
    assert!(
        path.exists(),
        "{} is missing: build it with `{build}`",
        path.display()
    );
    path
}

/// Returns the plugin with arguments, without what a developer's environment would change.
pub(super) fn command(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("COLUMNS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the plugin.
pub(super) async fn plugin(kubeconfig: &Path, arguments: &[&str]) -> Answer {
    run(command(kubeconfig, arguments), "").await
}

/// Runs a command with a text as its standard input.
pub(super) async fn run(mut command: Command, input: &str) -> Answer {
    let mut process = command.spawn().expect("it is started");
    let mut pipe = process.stdin.take().expect("it is piped");
    let write = async move {
        // A command that does not read its input may have ended.
        let _ = pipe.write_all(input.as_bytes()).await;
    };
    let ended = async { tokio::join!(write, process.wait_with_output()).1 };
    let output = tokio::time::timeout(DEADLINE, ended).await;
    let output = output.expect("it ends in time").expect("it is waited for");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is UTF-8");
    Answer {
        code: output.status.code().expect("it exits by itself"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}
