//! The table: an object by its short name, the conditions that it must get, and the verdict of the
//! outside judge at that moment.
//!
//! `Type=Status/Reason` must be present and `!Type` must not. Reconciling and Stalled must not be
//! present unless a row names them, so that a row always has the whole truth about both.

use std::collections::BTreeMap;
use std::process::Stdio;

use entente_e2e::operator::workspace;
use http::Request;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::SOON;
use super::argo_cd;
use super::situation::Situation;

/// Object, conditions, verdict of kstatus.
pub(super) type Row<'a> = (&'a str, &'a str, &'a str);

impl Situation<'_> {
    /// Waits until every row holds, all at one moment, and gives those very objects to the judge.
    pub(super) async fn shows(&self, rows: &[Row<'_>]) {
        let what = format!("{rows:#?}");
        let objects = self.namespace.within(SOON, &what, async || {
            let mut objects = Vec::new();
            for (object, wanted, _) in rows {
                let found = self.object(object).await?;
                let missing = missing(&found, wanted);
                if !missing.is_empty() {
                    return None;
                }
                objects.push(found);
            }
            Some(objects)
        });
        let objects = match objects.await {
            Ok(objects) => objects,
            Err(late) => {
                // The differences come last, where a reader looks first.
                panic!(
                    "{late}\n--- what is missing\n{}",
                    self.differences(rows).await
                )
            }
        };
        let verdicts = judge(&objects).await;
        let healths = argo_cd::health(&objects).await;
        let judged = rows.iter().zip(&verdicts).zip(&healths);
        for (((row, verdict), health), object) in judged.zip(&objects) {
            println!(
                "{:<34} {:<12} {:<12} {}",
                row.0,
                verdict,
                health.status,
                conditions(object)
            );
            assert_eq!(verdict, row.2, "{}\n{object:#}", row.0);
            let wanted = of_argo_cd(row);
            assert_eq!(health.status, wanted, "Argo CD: {}\n{object:#}", row.0);
            assert!(!health.message.is_empty(), "Argo CD: {}", row.0);
        }
    }

    /// Waits until these conditions hold.
    pub(super) async fn until(&self, object: &str, wanted: &str) {
        let what = format!("{object} {wanted}");
        let look = async || {
            let found = self.object(object).await?;
            let there = conditions(&found);
            wanted
                .split_whitespace()
                .all(|part| there.split(' ').any(|c| c == part))
                .then_some(())
        };
        self.namespace.within(SOON, &what, look).await.unwrap();
    }

    async fn differences(&self, rows: &[Row<'_>]) -> String {
        let mut text = String::new();
        for (object, wanted, _) in rows {
            let line = match self.object(object).await {
                None => "is not there".to_owned(),
                Some(found) => {
                    let missing = missing(&found, wanted);
                    format!("misses [{}], has {}", missing.join(" "), conditions(&found))
                }
            };
            text.extend([object, " ", &line, "\n"]);
        }
        text
    }

    /// Returns the object of a short name as the API server returns it: `contract/ahead`, or
    /// `compensation/*` for the only one.
    pub(super) async fn object(&self, short: &str) -> Option<Value> {
        let (kind, name) = short.split_once('/').expect("a short name has a kind");
        let namespaced = |plural: &str| format!("namespaces/{}/{plural}", self.namespace.name());
        let (collection, name) = match kind {
            "contract" => (namespaced("contracts"), name.to_owned()),
            "amendment" => (namespaced("contractamendments"), name.to_owned()),
            "notice" => (namespaced("contractnotices"), name.to_owned()),
            "device" => (namespaced("devices"), name.to_owned()),
            "enrollment" => (namespaced("deviceenrollments"), name.to_owned()),
            "subscription" => (namespaced("servicesubscriptions"), name.to_owned()),
            "compensation" => (namespaced("compensations"), name.to_owned()),
            "order" => (namespaced("supplyorders"), name.to_owned()),
            "site" => (namespaced("sites"), name.to_owned()),
            "text" => ("messagetexts".to_owned(), self.namespace.named(name)),
            "connection" => ("connections".to_owned(), self.namespace.named(name)),
            "model" => ("devicemodels".to_owned(), self.namespace.named(name)),
            "service" => ("smartservices".to_owned(), self.namespace.named(name)),
            other => panic!("no kind {other}"),
        };
        let path = format!("/apis/entente.dev/v1alpha1/{collection}");
        let read = async |path: String| {
            let request = Request::get(path)
                .body(Vec::new())
                .expect("a path is a URI");
            self.namespace.client().request::<Value>(request).await.ok()
        };
        if name != "*" {
            return read(format!("{path}/{name}")).await;
        }
        let list = read(path).await?;
        let items = list["items"].as_array()?;
        assert!(items.len() <= 1, "more than one: {list:#}");
        let mut only = items.first()?.clone();
        // A list leaves out the fields that all its items share.
        only["kind"] = Value::String("Compensation".to_owned());
        only["apiVersion"] = Value::String("entente.dev/v1alpha1".to_owned());
        Some(only)
    }
}

/// Returns the health that Argo CD has to show for a row. It differs from kstatus where somebody
/// suspended the object, and where a promised day of a contract has passed.
fn of_argo_cd((object, conditions, verdict): &Row<'_>) -> &'static str {
    let is_late = object.starts_with("contract/") && conditions.contains("PromiseMissed=True");
    match *verdict {
        "Current" if conditions.contains("Ready=True/Suspended") => "Suspended",
        "Current" => "Healthy",
        "InProgress" if is_late => "Degraded",
        "InProgress" | "Terminating" => "Progressing",
        "Failed" => "Degraded",
        other => panic!("no verdict {other}"),
    }
}

/// Returns all conditions in one line: `Ready=True/Delivered InForce=True/InTerm`.
pub(super) fn conditions(object: &Value) -> String {
    let all = object["status"]["conditions"].as_array();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or("").to_owned();
    let lines: Vec<String> = all
        .into_iter()
        .flatten()
        .map(|c| {
            format!(
                "{}={}/{}",
                text(c, "type"),
                text(c, "status"),
                text(c, "reason")
            )
        })
        .collect();
    lines.join(" ")
}

/// Returns the parts of a row that do not hold.
fn missing(object: &Value, wanted: &str) -> Vec<String> {
    let line = conditions(object);
    let there: BTreeMap<&str, &str> = line
        .split(' ')
        .filter_map(|condition| condition.split_once('='))
        .collect();
    let mut missing = Vec::new();
    for part in wanted.split_whitespace() {
        let holds = match (part.strip_prefix('!'), part.split_once('=')) {
            (Some(absent), _) => !there.contains_key(absent),
            (None, Some((kind, state))) => there.get(kind) == Some(&state),
            (None, None) => panic!("{part} is no condition"),
        };
        if !holds {
            missing.push(part.to_owned());
        }
    }
    for negative in ["Reconciling", "Stalled"] {
        if there.contains_key(negative) && !wanted.contains(negative) {
            missing.push(format!("!{negative}"));
        }
    }
    missing
}

/// Returns the verdict of kstatus on each object.
pub(super) async fn judge(objects: &[Value]) -> Vec<String> {
    let answer = judged("kstatus", &[], &json!(objects)).await;
    let verdicts: Vec<String> = answer
        .lines()
        .map(|line| {
            let conclusion: Value = serde_json::from_str(line).expect("each line is JSON");
            conclusion["status"].as_str().expect("a status").to_owned()
        })
        .collect();
    assert_eq!(verdicts.len(), objects.len(), "one verdict each");
    verdicts
}

/// Returns the answer of a program of `make tools` about what it is given as JSON.
pub(super) async fn judged(program: &str, arguments: &[&str], about: &Value) -> String {
    let path = workspace().join("target/tools").join(program);
    let mut process = Command::new(&path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", path.display()));
    let mut input = process.stdin.take().expect("its standard input is a pipe");
    let text = about.to_string();
    input.write_all(text.as_bytes()).await.expect("it reads");
    drop(input);
    let output = tokio::time::timeout(SOON, process.wait_with_output());
    let output = output.await.expect("it ends").expect("it runs");
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    assert!(
        output.status.success(),
        "{program}: {}",
        said(&output.stderr)
    );
    said(&output.stdout)
}
