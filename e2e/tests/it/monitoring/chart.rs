//! The objects of monitoring that the chart makes.

use entente_crds::yaml;
use entente_e2e::peers::promtool;
use serde_json::{Value, json};

use super::read;
use crate::chart::rendered;

fn named<'o>(objects: &'o [Value], kind: &str, name: &str) -> Option<&'o Value> {
    let mut found = objects.iter();
    found.find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
}

#[tokio::test]
async fn the_chart_makes_a_rule_and_a_dashboard_of_the_same_files_if_asked() {
    let none = rendered(&[]).await;
    assert_eq!(named(&none, "PrometheusRule", "entente"), None);
    assert_eq!(named(&none, "ConfigMap", "entente-dashboard"), None);
    let objects = rendered(&[
        "metrics.prometheusRule.enabled=true",
        "metrics.prometheusRule.labels.release=prometheus",
        "metrics.dashboard.enabled=true",
        "metrics.dashboard.annotations.grafana_folder=Contracts",
    ])
    .await;
    let rule = named(&objects, "PrometheusRule", "entente").expect("a rule");
    assert_eq!(rule["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let file = yaml::read_all::<Value>(&read("contrib/prometheus/rules.yaml")).expect("YAML");
    assert_eq!(rule["spec"], file[0]);
    let map = named(&objects, "ConfigMap", "entente-dashboard").expect("a dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(
        map["metadata"]["annotations"],
        json!({"grafana_folder": "Contracts"})
    );
    let text = map["data"]["entente.json"].as_str().expect("a text");
    assert_eq!(text, read("contrib/grafana/entente.json").trim_end());
}

#[tokio::test]
async fn promtool_takes_the_alerts_with_links_to_runbooks_at_the_place_that_was_set() {
    let place = "https://wiki.example/entente";
    let objects = rendered(&[
        "metrics.prometheusRule.enabled=true",
        &format!("metrics.prometheusRule.runbookUrl={place}"),
    ])
    .await;
    let rule = named(&objects, "PrometheusRule", "entente").expect("a rule");
    let text = serde_json::to_string(&rule["spec"]).expect("JSON");
    let alerts = text.matches("\"alert\":").count();
    assert_eq!(
        text.matches(&format!("\"runbook_url\":\"{place}/")).count(),
        alerts
    );
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.yaml"), &text).unwrap();
    let arguments = ["check", "rules", "rules.yaml"];
    let output = promtool(directory.path(), &arguments, "").await.unwrap();
    assert!(output.status.success(), "{output:?}");
}
