//! The metrics that the real operator serves.

use std::collections::BTreeSet;
use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::peers::promtool;
use entente_e2e::wait::wait_for;

use super::{names_in, path, queries, read};
use crate::delivery_fixture::DeliveryFixture;

/// Time within which a Connection is probed and its requests are counted.
const PATIENCE: Duration = Duration::from_mins(1);

/// Returns the metrics in the format that those get who do not ask for OpenMetrics.
async fn plain_text(environment: &TestEnvironment) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!(
        "http://{}/metrics",
        environment.operator.view().admin_address()
    );
    let answer = client.get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
async fn promtool_finds_no_fault_in_the_metrics_of_the_operator() {
    let environment = TestEnvironment::shared().await.unwrap();
    let _objects = DeliveryFixture::new("metrics", 1).await;
    let text = plain_text(environment).await;
    assert!(
        text.contains("# TYPE entente_reconcile_total counter"),
        "{text}"
    );
    let output = promtool(&path("."), &["check", "metrics"], &text)
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[tokio::test]
async fn every_metric_of_alerts_and_dashboard_is_served_and_every_served_one_is_documented() {
    let environment = TestEnvironment::shared().await.unwrap();
    let _objects = DeliveryFixture::new("names", 1).await;
    let dashboard: Vec<String> = queries().into_iter().map(|it| it.expression).collect();
    let used = read("contrib/prometheus/rules.yaml") + &dashboard.join("\n");
    let used = names_in(&used);
    let (mut text, mut missing) = (String::new(), used.clone());
    let found = wait_for("every metric is served", PATIENCE, async || {
        text = plain_text(environment).await;
        let served = served(&text);
        missing = used.difference(&served).cloned().collect();
        missing.is_empty().then_some(served)
    });
    let Ok(served) = found.await else {
        panic!("{missing:?} are not served:\n{text}");
    };
    let reference = read("docs/reference/metrics.md");
    let guide = read("docs/guide/metrics.md");
    for name in served {
        assert!(
            reference.contains(&format!("| `{name}` |")),
            "{name} is not in the reference"
        );
        assert!(
            guide.contains(&format!("`{name}`")),
            "{name} is not in the guide"
        );
    }
}

/// Returns the names that a text describes.
fn served(text: &str) -> BTreeSet<String> {
    let described = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = described.filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}
