//! Each command with real objects: a contract of which one device is off, and one that begins later.

use std::path::Path;

use serde_json::Value;

use super::runner::{Answer, command, path, plugin, run};
use crate::delivery_fixture::{DeliveryFixture, one_late_and_one_ahead};

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A person who asks the plugin about one namespace.
struct Person<'a> {
    kubeconfig: &'a Path,
    namespace: &'a str,
}

impl Person<'_> {
    async fn asks(&self, arguments: &[&str]) -> Answer {
        let mut all = vec!["-n", self.namespace];
        all.extend(arguments);
        plugin(self.kubeconfig, &all).await
    }
}

async fn is_told_how_far_contracts_are(person: &Person<'_>, off: &str) {
    let title = format!("Contract {}/late-2027: failed, ", person.namespace);
    let tree = person.asks(&["status", "late-2027"]).await;
    let expected = [&title, "C-4711 (Banco Sul)", "2/3", off, "Unreachable"];
    tree.has(3, &expected);
    let help = "next step: Check that it is switched on";
    tree.has(3, &["2 devices", "Its promise was missed.", help]);
    let view = person.asks(&["status", "contract/late-2027", "-o", "json"]);
    let view = json(&view.await);
    assert_eq!(view["services"][0]["delivered"], 2, "{view}");
    let all = person.asks(&["status"]).await;
    all.has(3, &["late-2027", "later-2027", "settled"]);
    let later = person.asks(&["status", "later-2027"]).await;
    later.has(0, &["settled, Scheduled", "begins in"]);
}

async fn is_told_what_is_owed(person: &Person<'_>, off: &str) {
    let owed = person.asks(&["owed", "--customer", "C-4711"]).await;
    owed.has(0, &["late-2027", off, "growing", "TOTAL"]);
    let view = json(&person.asks(&["owed", "-o", "json"]).await);
    let amount = &view["compensations"][0]["amount"]["value"];
    assert_eq!(
        view["totals"][0]["value"], *amount,
        "one debt is the whole sum: {view}"
    );
    let nobody = person.asks(&["owed", "--customer", "C-0"]).await;
    let expected = format!(
        "error: no Contract and no Compensation in namespace {} has the customer C-0; there are \
         C-4711\n",
        person.namespace
    );
    assert_eq!((nobody.code, &*nobody.out, nobody.err), (1, "", expected));
}

// shows D1 D3 D8 K2
#[tokio::test]
async fn each_question_about_a_late_contract_has_its_answer() {
    let fixture = DeliveryFixture::new("plugin", 3).await;
    let namespace = &fixture.namespace;
    let person = Person {
        kubeconfig: namespace.plane().kubeconfig(),
        namespace: namespace.name(),
    };
    let names: Vec<&str> = (0..3).map(|place| fixture.name(place)).collect();
    let off = names[2];
    one_late_and_one_ahead(&fixture, &names).await;
    is_told_how_far_contracts_are(&person, off).await;
    is_told_what_is_owed(&person, off).await;

    let late = person.asks(&["late"]).await;
    late.has(0, &[off, "Device", "Unreachable", "+ still grows"]);
    let starts = person.asks(&["starts", "--within", "7d"]).await;
    starts.has(0, &["later-2027"]);
    assert!(!starts.out.contains("late-2027 "), "{starts}");

    for asked in [&*format!("device/{}", names[0]), "contract/late-2027"] {
        let made = person.asks(&["reconcile", asked]).await;
        made.has(made.code, &["made; Ready is "]);
    }
    // One that is off was looked at all the same.
    let made = person.asks(&["reconcile", "contract/late-2027"]).await;
    made.has(0, &["; 3 of 3 devices read"]);
    let check = person.asks(&["check"]).await;
    let broker = format!("ok       Connection {}", namespace.named("broker"));
    // The Connections of other tests may be down, which makes the code 1.
    let lines = ["API server", "clock", "with all fields", "ok       rights"];
    check.has(check.code, &lines);
    check.has(check.code, &[&broker]);
    fixture.finish().await;
}

/// kubectl itself finds the plugin by its name on the PATH, and passes its arguments on.
#[tokio::test]
async fn kubectl_runs_the_plugin_as_a_command_of_its_own() {
    let namespace = crate::delivery_fixture::test_namespace("kubectl").await;
    let folder = path().parent().expect("it is in a folder").to_owned();
    let tools = entente_e2e::operator::workspace().join("target/tools");
    let mut kubectl = tokio::process::Command::new(tools.join("kubectl"));
    kubectl
        .args(["entente", "status", "-n", namespace.name()])
        .env("PATH", folder)
        .env("KUBECONFIG", namespace.plane().kubeconfig())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let answer = run(kubectl, "").await;
    assert_eq!(answer.code, 0, "{answer}");
    let expected = format!(
        "note: there is no contract in namespace {}\n",
        namespace.name()
    );
    assert_eq!(answer.err, expected);
}

/// A reader that ends early, such as `head`, is no error (helm/helm-classic#387).
#[tokio::test]
async fn a_reader_that_ends_early_is_no_error() {
    let namespace = crate::delivery_fixture::test_namespace("pipe").await;
    let mut plugin = command(
        namespace.plane().kubeconfig(),
        &["status", "-A", "-o", "json"],
    );
    let mut process = plugin.spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().await.unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        !err.contains("panicked") && output.status.code() != Some(101),
        "{err}"
    );
}
