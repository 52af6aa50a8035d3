//! The flags that the chart gives the operator: each that it renders is one that the operator takes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Output;

use entente_crds::yaml;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{chart, container, helm, printed, rendered, repository};

/// Returns the answer of the operator to the flags of the chart's objects and some more.
async fn answer(objects: &[Value], more: &[&str]) -> Output {
    let binary = std::env::var_os("ENTENTE_OPERATOR_BINARY").map_or_else(
        || repository().join("target/debug/entente-operator"),
        PathBuf::from,
    );
    let output = Command::new(&binary)
        .args(given(objects))
        .args(more)
        .arg("--version")
        .output();
    output
        .await
        .expect("cargo build -p entente-operator made it")
}

/// Returns the flags of the operator's container.
fn given(objects: &[Value]) -> Vec<&str> {
    let flags = container(objects)["args"].as_array().expect("a list");
    flags
        .iter()
        .map(|flag| flag.as_str().expect("a text"))
        .collect()
}

/// A flag that the operator does not take would keep its Pods from ever starting.
#[tokio::test]
async fn the_operator_takes_every_flag_that_the_chart_gives_it() {
    for settings in [&[][..], &EVERYTHING] {
        printed(&answer(&rendered(settings).await, &[]).await);
    }
    let unknown = answer(&rendered(&[]).await, &["--unknown"]).await;
    assert_eq!(
        unknown.status.code(),
        Some(2),
        "flags are read before --version"
    );
}

/// Settings with which the chart gives every flag that it can.
const EVERYTHING: [&str; 5] = [
    "operator.accrualInterval=5m,operator.concurrency=64,operator.apiInFlight=8",
    "operator.leaseDuration=10m,log.format=text,tracing.endpoint=https://collector/otlp",
    "events.enabled=true,events.tls.secretName=tls",
    "board.enabled=true,board.tls.secretName=tls",
    r"watchNamespaces={acme,banco-sul},selector=tier in (gold\,silver)",
];

/// Flags whose text no value has: paths and addresses of the container.
const FIXED: [&str; 6] = [
    "--admin-address",
    "--board-address",
    "--board-tls-dir",
    "--events-address",
    "--events-tls-dir",
    "--log-level-file",
];

/// A value of the chart that becomes a flag, with texts that the chart takes and that it refuses.
struct OddValues {
    flag: &'static str,
    value: &'static str,
    taken: Value,
    refused: Value,
}

impl OddValues {
    fn of(flag: &'static str, value: &'static str, taken: Value, refused: Value) -> Self {
        Self {
            flag,
            value,
            taken,
            refused,
        }
    }
}

fn odd_durations() -> Vec<OddValues> {
    let taken = json!(["1m1m", "999999h", "0h1ms"]);
    let refused = json!(["0s", "0h0m", "1d", "5", "9999999h", "1.5h", " 1h", 5]);
    let any = |flag, value| OddValues::of(flag, value, taken.clone(), refused.clone());
    vec![
        any("--withdraw-deadline", "operator.withdrawDeadline"),
        any("--accrual-interval", "operator.accrualInterval"),
        OddValues::of(
            "--lease-duration",
            "operator.leaseDuration",
            json!(["", "3s", "600s", "1m", "10m"]),
            json!(["2s", "601s", "11m", "0m", "15", "3500ms", "1h"]),
        ),
    ]
}

fn odd_counts_and_logs() -> Vec<OddValues> {
    let taken = json!([0, 1, 65535]);
    let refused = json!([-1, 65536, 1.5, "many"]);
    let any = |flag, value| OddValues::of(flag, value, taken.clone(), refused.clone());
    vec![
        any("--concurrency", "operator.concurrency"),
        any("--api-in-flight", "operator.apiInFlight"),
        OddValues::of(
            "--log-format",
            "log.format",
            json!(["json", "text"]),
            json!(["xml", "JSON"]),
        ),
        OddValues::of(
            "--log-level",
            "log.level",
            json!([
                "off",
                "warn,kube=debug",
                "warn,[pass]=trace",
                "a_b[pass]=debug,info"
            ]),
            json!([
                "",
                "verbose",
                "info,",
                "info, warn",
                "kube=",
                "=info",
                "[=info",
                "a b=info"
            ]),
        ),
    ]
}

fn odd_places() -> Vec<OddValues> {
    vec![
        OddValues::of(
            "--traces-endpoint",
            "tracing.endpoint",
            json!([
                "",
                "http://c:65535",
                "https://c.example/otlp",
                "http://[::1]:4318"
            ]),
            json!([
                "grpc://c:4317",
                "c:4318",
                "http://c?a=b",
                "http://c:65536",
                "http://",
                "http://a b"
            ]),
        ),
        OddValues::of(
            "--selector",
            "selector",
            json!([
                "",
                "team",
                "! a,b = c,d in (e, f),g notin (),h>1",
                "example.com/a!="
            ]),
            json!([
                "a=b=c", "!!", "a,", "a b", "a in b", "a>b", "A.b/c", "-a", "a=b/c"
            ]),
        ),
        OddValues::of(
            "--watch-namespaces",
            "watchNamespaces",
            json!([["acme"], ["a", "b-2"]]),
            json!([
                ["Acme"],
                [""],
                ["-a"],
                ["a", "a"],
                ["a,b"],
                "acme",
                ["a".repeat(64)]
            ]),
        ),
    ]
}

/// Renders the chart with one value, given as JSON.
async fn with_value(name: &str, value: &Value) -> Result<Vec<Value>, String> {
    let (chart, setting) = (chart(), format!("{name}={value}"));
    let arguments = [
        "template",
        "entente",
        "--skip-tests",
        "--set-json",
        &setting,
    ];
    let arguments = arguments.map(OsStr::new);
    let output = helm(None, &[&arguments[..], &[chart.as_os_str()]].concat()).await;
    if output.status.success() {
        return Ok(yaml::read_all(&printed(&output)).expect("helm renders YAML"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A value that the operator cannot use shows only after the rollout, in Pods that never start.
#[tokio::test]
async fn what_the_chart_takes_for_a_flag_the_operator_takes_and_what_it_refuses_it_names() {
    let everything = rendered(&EVERYTHING).await;
    let names = given(&everything).into_iter();
    let names = names.map(|flag| flag.split('=').next().unwrap_or_default());
    let names: BTreeSet<&str> = names.filter(|name| !FIXED.contains(name)).collect();
    let parts = [odd_durations(), odd_counts_and_logs(), odd_places()];
    let odd: Vec<OddValues> = parts.into_iter().flatten().collect();
    let told: BTreeSet<&str> = odd.iter().map(|it| it.flag).collect();
    assert_eq!(names, told, "odd values of every flag that a value has");
    for OddValues {
        value: name,
        taken,
        refused,
        ..
    } in odd
    {
        for value in taken.as_array().unwrap() {
            let objects = with_value(name, value).await;
            let objects = objects.unwrap_or_else(|said| panic!("{name}={value}: {said}"));
            printed(&answer(&objects, &[]).await);
        }
        for value in refused.as_array().unwrap() {
            let said = with_value(name, value).await.err();
            let said = said.unwrap_or_else(|| panic!("{name}={value} was taken"));
            let path = format!("/{}", name.replace('.', "/"));
            assert!(
                said.contains(name) || said.contains(&path),
                "{value}: {said}"
            );
        }
    }
}
