//! The OpenAPI documents: linted by Spectral; that of the events endpoint is also held against the
//! running endpoint by Schemathesis, which makes requests from it, right ones and wrong ones.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use entente_e2e::namespace::now;
use tokio::process::Command;

use super::sender::Sender;
use crate::chart::repository;
use crate::delivery_fixture::test_namespace;

/// Longest run of one judge.
const DEADLINE: Duration = Duration::from_mins(5);
/// Fewest requests for which the verdict of Schemathesis counts.
const FEWEST: u64 = 300;

fn document() -> PathBuf {
    repository().join("docs/api/contract-events.yaml")
}

/// Runs a judge that `make peers` installs.
async fn judge<S: AsRef<std::ffi::OsStr>>(program: &str, arguments: &[S]) -> (Output, String) {
    let path = repository().join("target/peers").join(program);
    assert!(
        path.exists(),
        "{program} is missing: install it with `make peers`"
    );
    let mut command = Command::new(path);
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .kill_on_drop(true);
    // Reports and databases of its own go nowhere.
    let place = tempfile::tempdir().expect("a directory");
    command.current_dir(place.path());
    let output = tokio::time::timeout(DEADLINE, command.output());
    let output = output.await.expect("it ends in time").expect("it runs");
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

async fn lint(document: &Path) -> (Output, String) {
    let rules = repository().join("docs/api/spectral.yaml");
    let arguments = ["lint", "--fail-severity", "hint", "--ruleset"].map(PathBuf::from);
    let arguments = [&arguments[..], &[rules, document.to_owned()]].concat();
    judge("spectral/node_modules/.bin/spectral", &arguments).await
}

/// Lints a document, and once more without the id of one of its operations, to see that the rules are
/// in force.
async fn is_clean(document: &Path, operation: &str) {
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

#[tokio::test]
async fn the_document_has_nothing_that_spectral_complains_about() {
    is_clean(&document(), "sendEvent").await;
}

#[tokio::test]
async fn the_document_of_the_gateway_has_nothing_that_spectral_complains_about() {
    let document = repository().join("docs/api/gateway.yaml");
    is_clean(&document, "register").await;
}

// shows B2 K4
#[tokio::test]
async fn the_endpoint_answers_as_its_document_says() {
    let namespace = test_namespace("schema").await;
    let all = "contracts.entente.dev,contractamendments.entente.dev,contractnotices.entente.dev";
    let sender = Sender::new(&namespace, all).await;
    // That of the document's examples.
    let entry = namespace.entry("backup", "data-backup", &["absent"], "1h");
    let contract = namespace.contract("acme-2027", now() + Duration::from_hours(24), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let settings = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    // A random contract is not there, and the API server refuses a random spec.
    let text = format!(
        "[parameters]\n\"path.namespace\" = \"{}\"\n\n\
         [checks.positive_data_acceptance]\nexpected-statuses = [200, 201, 404, 409, 422]\n",
        namespace.name()
    );
    std::fs::write(settings.path(), text).unwrap();
    let certificate = sender.endpoint.certificate();
    let arguments = [
        "--config-file".to_owned(),
        settings.path().display().to_string(),
        "run".to_owned(),
        document().display().to_string(),
        format!("--url={}", sender.endpoint.url()),
        format!("--header=Authorization: Bearer {}", sender.token),
        format!("--tls-verify={}", certificate.display()),
        "--phases=examples,coverage,fuzzing".to_owned(),
        "--max-examples=200".to_owned(),
        "--seed=20270401".to_owned(),
        "--generation-database=none".to_owned(),
        "--no-color".to_owned(),
    ];
    let (output, said) = judge("schemathesis/bin/schemathesis", &arguments).await;
    assert!(output.status.success(), "{said}");
    let made = said.lines().find_map(|line| {
        let (number, _) = line.trim().split_once(" generated")?;
        number.replace(',', "").parse::<u64>().ok()
    });
    let made = made.unwrap_or_else(|| panic!("no number of cases in:\n{said}"));
    assert!(made >= FEWEST, "{made} requests:\n{said}");
    // An endpoint that takes nothing would answer as its document says, too.
    let kinds = "contractnotices,contractamendments";
    let taken = sender.kubectl(&["get", kinds, "-o", "name"]).await;
    for kind in ["contractnotice.", "contractamendment."] {
        assert!(taken.contains(kind), "no {kind} in:\n{taken}");
    }
    println!("schemathesis: {made} requests answered as the document says");
}
