//! Alerts: what promtool finds of them, and that each has its words, its runbook and its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use entente_crds::yaml;
use entente_e2e::peers::promtool;
use serde_json::Value;

use super::{path, read};

const RULES: &str = "contrib/prometheus/rules.yaml";

/// Returns the alerts by name.
pub(super) fn alerts() -> BTreeMap<String, Value> {
    let all = yaml::read_all::<Value>(&read(RULES)).expect("the rules are YAML");
    let groups = all[0]["groups"].as_array().expect("groups").clone();
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    let named = rules.flatten().map(|rule| {
        let name = rule["alert"].as_str().expect("every rule is an alert");
        (name.to_owned(), rule.clone())
    });
    let found: BTreeMap<String, Value> = named.collect();
    assert!(found.len() >= 9, "{}", found.len());
    found
}

#[tokio::test]
async fn promtool_finds_no_fault_in_the_alerts_and_every_test_of_one_passes() {
    let directory = path("contrib/prometheus");
    for arguments in [
        ["check", "rules", "--lint-fatal", "rules.yaml"].as_slice(),
        &["test", "rules", "tests.yaml"],
    ] {
        let output = promtool(&directory, arguments, "").await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.contains("SUCCESS"), "{arguments:?}: {said}");
    }
}

#[test]
fn every_alert_has_words_a_runbook_and_tests_in_which_it_fires_and_is_silent() {
    let tests = yaml::read_all::<Value>(&read("contrib/prometheus/tests.yaml")).expect("YAML");
    let tests = tests[0]["tests"].as_array().expect("tests").clone();
    let index = read("docs/runbooks/README.md");
    for (name, alert) in alerts() {
        let severity = &alert["labels"]["severity"];
        assert!(
            severity == "critical" || severity == "warning",
            "{name}: {severity}"
        );
        let words = &alert["annotations"];
        for key in ["summary", "description"] {
            let text = words[key].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{name}: {key}: {text}");
        }
        let after = alert["for"].as_str().unwrap_or_default();
        let minutes = after.strip_suffix('m').unwrap_or_default();
        let minutes: u32 = minutes.parse().expect("it does not fire at the first look");
        let plural = if minutes == 1 { "" } else { "s" };
        let severity = severity.as_str().unwrap_or_default();
        let facts = format!("| {severity} | {minutes} minute{plural} |");
        let url = words["runbook_url"].as_str().unwrap_or_default();
        let page = format!("docs/runbooks/{name}.md");
        assert!(url.ends_with(&format!("/{page}")), "{name}: {url}");
        let text = read(&page);
        for heading in ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"] {
            assert!(text.contains(heading), "{page} has no {heading}");
        }
        assert!(text.contains("kubectl "), "{page} has no command");
        assert!(text.contains(&facts), "{page} has not the facts {facts}");
        assert!(
            index.contains(&format!("]({name}.md)")),
            "{name} is not in the index"
        );
        let of = |does: &str, fires: bool| {
            let begin = format!("{name} {does} ");
            let mut found = tests.iter().filter(|test| {
                test["name"]
                    .as_str()
                    .is_some_and(|it| it.starts_with(&begin))
            });
            found.any(|test| {
                let looks = test["alert_rule_test"].as_array().into_iter().flatten();
                let of_this = looks.filter(|look| look["alertname"] == *name);
                let mut alerts = of_this.map(|look| look["exp_alerts"].as_array());
                let is_some = |it: Option<&Vec<Value>>| it.is_some_and(|it| !it.is_empty());
                if fires {
                    alerts.any(is_some)
                } else {
                    let all: Vec<bool> = alerts.map(is_some).collect();
                    !all.is_empty() && !all.contains(&true)
                }
            })
        };
        assert!(of("fires", true), "{name} has no test in which it fires");
        assert!(
            of("is silent", false),
            "{name} has no test in which it is silent"
        );
    }
}

#[test]
fn every_runbook_is_that_of_an_alert() {
    let pages = fs::read_dir(path("docs/runbooks")).expect("runbooks");
    let names = pages.map(|page| page.expect("a page").file_name());
    let names = names.filter_map(|name| {
        let name = name.to_string_lossy().into_owned();
        name.strip_suffix(".md").map(str::to_owned)
    });
    let names: BTreeSet<String> = names.filter(|name| name != "README").collect();
    assert_eq!(names, alerts().into_keys().collect());
}

/// Returns the page of the reference: a row for each alert, in the order of names.
fn reference_page() -> String {
    let page = "# Alerts\n\n<!-- Generated from charts/entente/files/rules.yaml; run `UPDATE=1 cargo test -p \
                    entente-e2e --test it reference_page` to update it. -->\n\nEvery alert of the chart \
                    (`metrics.prometheusRule`), in the order of names; each leads to its runbook.\n\n\
                    | alert | severity | after | raised while | summary |\n|---|---|---|---|---|\n"
        .to_owned();
    let mut rows = Vec::new();
    // A bar would end the cell, also within code.
    let cell = |text: &Value| {
        let words = text.as_str().unwrap_or_default().split_whitespace();
        words.collect::<Vec<_>>().join(" ").replace('|', "\\|")
    };
    for (name, alert) in alerts() {
        let severity = cell(&alert["labels"]["severity"]);
        let (after, expression) = (cell(&alert["for"]), cell(&alert["expr"]));
        let summary = cell(&alert["annotations"]["summary"]);
        rows.push(format!(
            "| [{name}](../runbooks/{name}.md) | {severity} | {after} | `{expression}` | {summary} |\n"
        ));
    }
    page + &rows.concat()
}

#[test]
fn the_reference_page_has_every_alert_as_it_is_installed() {
    let place = path("docs/reference/alerts.md");
    let text = reference_page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&place, &text).expect("the page can be written");
    }
    let found = fs::read_to_string(&place).unwrap_or_default();
    assert!(found == text, "not up to date: UPDATE=1 writes it\n{text}");
}
