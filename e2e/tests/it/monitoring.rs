//! Monitoring: the metrics of the real operator, alerts, runbooks and the dashboard, each judged by
//! Prometheus and its promtool; its log and its traces.

mod alerts;
mod chart;
mod dashboard;
mod log;
mod served;
mod traces;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use crate::chart::repository;

fn path(of: &str) -> PathBuf {
    repository().join(of)
}

fn read(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// One query of the dashboard.
struct Query {
    panel: String,
    kind: String,
    unit: String,
    legend: String,
    expression: String,
}

/// Returns every query of the dashboard, with what Grafana would put in place of its variables.
fn queries() -> Vec<Query> {
    let text = read("contrib/grafana/entente.json");
    let dashboard: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            queries.push(Query {
                panel: word(&panel["title"]),
                kind: word(&panel["type"]),
                unit: word(&panel["fieldConfig"]["defaults"]["unit"]),
                legend: word(&target["legendFormat"]),
                expression: word(&target["expr"]).replace("$__rate_interval", "10s"),
            });
        }
    }
    assert!(queries.len() > 20, "{}", queries.len());
    queries
}

/// Returns the names of our metrics in a text, without the suffixes of a histogram.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_of_name(letter));
    let names = words.filter(|word| word.starts_with("entente_"));
    let names = names.map(|name| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let base = suffixes.iter().find_map(|it| name.strip_suffix(it));
        base.unwrap_or(name).to_owned()
    });
    names.collect()
}
