//! The dashboard: each of its queries, asked of a real Prometheus that scrapes the real operator
//! while one contract is delivered in time and another one is missed.
//!
//! With ENTENTE_DASHBOARD_RESULTS, a path, the results of every query over that time are written
//! there, for the picture of the dashboard (`make picture`).

use std::collections::BTreeSet;
use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::starting_in;
use entente_e2e::peers::PrometheusServer;
use entente_e2e::wait::wait_for;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Query, path, queries};
use crate::delivery_fixture::{AHEAD, DeliveryFixture, calculated, contract_is, subscription_is};

/// Time for which Prometheus may take to have what the operator shows: some scrapes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Scrapes after everything was delivered that the picture shows.
const AFTERWARDS: f64 = 8.0;

/// Returns the numbers of a series that can be drawn.
fn numbers(series: &Value) -> Vec<f64> {
    let values = series["values"].as_array().cloned();
    let values = values.unwrap_or_else(|| vec![series["value"].clone()]);
    let texts = values.iter().filter_map(|value| value[1].as_str());
    let numbers = texts.filter_map(|text| text.parse().ok());
    numbers.filter(|number: &f64| number.is_finite()).collect()
}

/// Returns the panels whose queries give nothing that can be drawn.
async fn empty(prometheus: &PrometheusServer, queries: &[Query]) -> BTreeSet<String> {
    let mut empty = BTreeSet::new();
    for query in queries {
        let found = prometheus.query(&query.expression).await;
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", query.panel));
        if !found.iter().any(|series| !numbers(series).is_empty()) {
            empty.insert(format!("{} | {}", query.panel, query.expression));
        }
    }
    empty
}

// shows D3 K3
#[tokio::test]
async fn every_query_of_the_dashboard_finds_data_and_a_missed_start_raises_its_alert() {
    let environment = TestEnvironment::shared().await.unwrap();
    let operator = environment.operator.view().admin_address();
    let rules = path("contrib/prometheus/rules.yaml");
    let prometheus = PrometheusServer::start(&[operator], Some(&rules))
        .await
        .unwrap();
    let began = Timestamp::now();

    let fixture = DeliveryFixture::new("dashboard", 2).await;
    let namespace = &fixture.namespace;
    let (slow, good) = (fixture.name(0).to_owned(), fixture.name(1).to_owned());
    fixture.switch_off(0).await;
    let late = fixture.parts_contract("late", starting_in(AHEAD), "1s");
    namespace.apply(&late).await.unwrap();
    let entry = namespace.entry("backup", "data-backup", &[&good], "15m");
    let kept = namespace.contract("kept", starting_in(AHEAD), vec![entry]);
    namespace.apply(&kept).await.unwrap();
    contract_is(namespace, "kept", "Delivered").await;
    contract_is(namespace, "late", "PromiseMissed").await;
    let alert = "ALERTS{alertname=\"EntenteContractStartMissed\"}";
    let raised = wait_for("the alert is raised", PATIENCE, async || {
        prometheus.query(alert).await.unwrap().pop()
    });
    let raised = raised.await.unwrap();
    assert_eq!(raised["metric"]["severity"], "critical", "{raised}");

    fixture.device(0).clear_faults().await.unwrap();
    subscription_is(namespace, ["late", "parts", &slow], "Delivered").await;
    calculated(namespace).await;
    let queries = queries();
    let mut missing = BTreeSet::new();
    let found = wait_for("every query finds data", PATIENCE, async || {
        missing = empty(&prometheus, &queries).await;
        missing.is_empty().then_some(())
    });
    if found.await.is_err() {
        let metrics = environment.operator.metrics().await.unwrap();
        panic!("no data for {missing:#?}\n{metrics}");
    }
    keep_results(&prometheus, &queries, began).await;
    fixture.finish().await;
}

/// Writes the results of every query since an instant, if somebody asks for them.
async fn keep_results(prometheus: &PrometheusServer, queries: &[Query], began: Timestamp) {
    let Some(file) = std::env::var_os("ENTENTE_DASHBOARD_RESULTS") else {
        return;
    };
    let scrapes = async || {
        let found = prometheus.query("count_over_time(up[1h])").await;
        numbers(&found.expect("a query")[0])[0]
    };
    let enough = scrapes().await + AFTERWARDS;
    let waited = wait_for("some scrapes of the end", PATIENCE, async || {
        (scrapes().await >= enough).then_some(())
    });
    waited.await.unwrap();
    let seconds = |at: Timestamp| at.as_duration().as_secs_f64();
    let (from, to) = (seconds(began), seconds(Timestamp::now()));
    let mut results = Vec::new();
    for query in queries {
        let found = prometheus.query_range(&query.expression, from, to).await;
        results.push(json!({
            "panel": query.panel,
            "type": query.kind,
            "unit": query.unit,
            "legend": query.legend,
            "series": found.unwrap(),
        }));
    }
    let text = serde_json::to_string_pretty(&results).expect("JSON");
    std::fs::write(&file, text).expect("the results can be written");
}
