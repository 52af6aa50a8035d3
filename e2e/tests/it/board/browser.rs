//! Chromium, driven by Playwright through the steps of a test (`browse.cjs`).

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use entente_e2e::operator::workspace;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Longest visit.
const DEADLINE: Duration = Duration::from_mins(3);
/// Name of the program of Debian's package.
const CHROMIUM: &str = "chromium-headless-shell";

/// Results of a visit.
#[derive(Debug, Deserialize)]
pub(super) struct Visit {
    /// One for each step.
    pub(super) results: Vec<Value>,
    /// Sentences of the browser's console.
    pub(super) complaints: Vec<String>,
    /// The origins that it asked.
    pub(super) hosts: Vec<String>,
}

/// Performs steps in a new browser.
pub(super) async fn visit(steps: Value, is_dark: bool) -> Visit {
    let modules = workspace().join("target/peers/playwright/node_modules");
    assert!(
        modules.join("playwright-core").exists(),
        "playwright is missing: install it with `make peers`"
    );
    let asked = json!({"chromium": chromium(), "dark": is_dark, "steps": steps});
    let mut node = Command::new("node");
    node.arg(workspace().join("e2e/tests/it/board/browse.cjs"))
        .env("NODE_PATH", modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut process = node.spawn().expect("node is installed by `make peers`");
    let mut pipe = process.stdin.take().expect("it is piped");
    pipe.write_all(asked.to_string().as_bytes())
        .await
        .expect("it reads");
    drop(pipe);
    let output = tokio::time::timeout(DEADLINE, process.wait_with_output());
    let output = output.await.expect("it ends in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{asked}\n{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(CHROMIUM))
        .find(|program| program.exists());
    found.unwrap_or_else(|| panic!("{CHROMIUM} is missing: install it with `make peers`"))
}
