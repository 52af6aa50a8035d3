//! The judges of OpenAPI documents: Spectral lints a document; Schemathesis makes requests from it, right ones
//! and wrong ones, and holds the answers of a running server against it.
//!
//! Decides how both are run, and the number of requests below which a verdict counts for nothing. The tests
//! of each document decide what it is held against.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::chart::repository;

/// Longest run of one judge.
const DEADLINE: Duration = Duration::from_mins(5);
/// Name of the report with each request and its answer (HTTP Archive 1.2).
const REPORT: &str = "requests.har";

/// Runs a judge that `make peers` installs, in a directory into which it writes whatever it likes.
async fn judge(program: &str, arguments: &[String], directory: &TempDir) -> (Output, String) {
    let path = repository().join("target/peers").join(program);
    assert!(
        path.exists(),
        "{program} is missing: install it with `make peers`"
    );
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(directory.path())
        .kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output());
    let output = output.await.expect("it ends in time").expect("it runs");
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

async fn lint(document: &Path) -> (Output, String) {
    let rules = repository().join("docs/api/spectral.yaml");
    let rules = format!("--ruleset={}", rules.display());
    let document = document.display().to_string();
    let severity = "--fail-severity=hint".to_owned();
    let arguments = ["lint".to_owned(), severity, rules, document];
    let place = tempfile::tempdir().expect("a directory");
    judge("spectral/node_modules/.bin/spectral", &arguments, &place).await
}

/// Lints a document, and once more without the id of one of its operations, to see that the rules are
/// in force.
pub(crate) async fn spectral_finds_nothing(document: &Path, operation: &str) {
    let (output, said) = lint(document).await;
    assert!(output.status.success(), "{said}");
    let text = std::fs::read_to_string(document).unwrap();
    let id = format!("operationId: {operation}\n");
    assert!(text.contains(&id), "no operation {operation}");
    let spoiled = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(spoiled.path(), text.replace(&id, "\n")).unwrap();
    let (output, said) = lint(spoiled.path()).await;
    assert!(
        !output.status.success() && said.contains("operationId"),
        "{said}"
    );
}

/// A run of Schemathesis.
pub(crate) struct Schemathesis<'a> {
    /// The document.
    pub(crate) document: &'a Path,
    /// URL of the server that is judged.
    pub(crate) url: String,
    /// File with the only certificate that it trusts.
    pub(crate) certificate: PathBuf,
    /// Its settings, in TOML.
    pub(crate) settings: String,
    /// More flags, the phases among them.
    pub(crate) flags: &'a [&'a str],
    /// Fewest requests for which its verdict counts.
    pub(crate) fewest: u64,
}

impl Schemathesis<'_> {
    /// Runs it, fails with its output unless every answer is as the document says, and returns the answers.
    pub(crate) async fn run(self) -> Answers {
        let place = tempfile::tempdir().expect("a directory");
        let settings = place.path().join("schemathesis.toml");
        std::fs::write(&settings, &self.settings).unwrap();
        let report = place.path().join(REPORT);
        let mut arguments = vec![
            format!("--config-file={}", settings.display()),
            "run".to_owned(),
            self.document.display().to_string(),
            format!("--url={}", self.url),
            format!("--tls-verify={}", self.certificate.display()),
            format!("--report-har-path={}", report.display()),
            "--seed=20270401".to_owned(),
            "--generation-database=none".to_owned(),
            "--no-color".to_owned(),
        ];
        arguments.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        let (output, said) = judge("schemathesis/bin/schemathesis", &arguments, &place).await;
        assert!(output.status.success(), "{said}");
        let made = said.lines().find_map(|line| {
            let (number, _) = line.trim().split_once(" generated")?;
            number.replace(',', "").parse::<u64>().ok()
        });
        let made = made.unwrap_or_else(|| panic!("no number of requests in:\n{said}"));
        assert!(made >= self.fewest, "{made} requests:\n{said}");
        println!("schemathesis: {made} requests answered as the document says");
        Answers::read(&report)
    }
}

/// The number of answers of each status to each method and path.
#[derive(Debug)]
pub(crate) struct Answers(BTreeMap<(String, String, u64), usize>);

impl Answers {
    fn read(report: &Path) -> Self {
        let text = std::fs::read_to_string(report).expect("the report");
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let mut counts = BTreeMap::new();
        for entry in report["log"]["entries"].as_array().expect("entries") {
            let method = entry["request"]["method"].as_str().unwrap_or_default();
            let url = entry["request"]["url"].as_str().unwrap_or_default();
            let path = http::Uri::try_from(url).map_or(String::new(), |url| url.path().to_owned());
            let status = entry["response"]["status"].as_u64().unwrap_or_default();
            *counts.entry((method.to_owned(), path, status)).or_default() += 1;
        }
        Self(counts)
    }

    /// Returns the number of answers of a status to a method on a path.
    pub(crate) fn count(&self, method: &str, path: &str, status: u64) -> usize {
        let key = (method.to_owned(), path.to_owned(), status);
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// Returns a line for each method and path, with the number of answers of each status.
    pub(crate) fn table(&self) -> String {
        let mut lines: BTreeMap<(&str, &str), String> = BTreeMap::new();
        for ((method, path, status), number) in &self.0 {
            let line = lines.entry((path, method)).or_default();
            let _ = write!(line, " {status}: {number}");
        }
        let mut table = String::new();
        for ((path, method), line) in &lines {
            let _ = writeln!(table, "{method} {path}{line}");
        }
        table
    }
}
