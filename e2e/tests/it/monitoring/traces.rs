//! Traces: a collector in this process gets a span of each pass, and of each request within it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Json, Router, extract::State, routing::post};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::operator::OperatorOptions;
use entente_e2e::wait::wait_for;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::delivery_fixture::DeliveryFixture;

/// Time within which spans arrive: they are sent every five seconds.
const PATIENCE: Duration = Duration::from_mins(1);

type Spans = Arc<Mutex<Vec<Value>>>;

async fn collect(State(spans): State<Spans>, Json(sent): Json<Value>) -> Json<Value> {
    let list = |value: &Value, of: &str| value[of].as_array().cloned().unwrap_or_default();
    let resources = list(&sent, "resourceSpans");
    let scopes = resources.iter().flat_map(|it| list(it, "scopeSpans"));
    let found = scopes.flat_map(|it| list(&it, "spans"));
    spans.lock().unwrap().extend(found);
    Json(json!({}))
}

/// Starts a collector on loopback. Returns its URL, and the spans that it gets.
async fn collector() -> (String, Spans) {
    let spans = Spans::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(collect));
    let router = router.with_state(Arc::clone(&spans));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, spans)
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s str> {
    let mut all = span["attributes"].as_array()?.iter();
    all.find(|it| it["key"] == key)?["value"]["stringValue"].as_str()
}

#[tokio::test]
async fn a_request_to_a_device_is_a_span_within_that_of_the_pass_over_it() {
    let (url, spans) = collector().await;
    let mut options = OperatorOptions::default();
    options.flags.push(format!("--traces-endpoint={url}"));
    let environment = TestEnvironment::start(options).await.unwrap();
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "traces", 1).await;
    let key = format!("{}/{}", fixture.namespace.name(), fixture.name(0));
    let found = wait_for("a request within a pass", PATIENCE, async || {
        let spans = spans.lock().unwrap().clone();
        let mut requests = spans.iter().filter(|it| it["name"] == "request");
        let read = requests.find(|it| attribute(it, "operation") == Some("read"))?;
        let passes = spans.iter().filter(|it| it["name"] == "pass");
        let mut passes = passes.filter(|it| it["spanId"] == read["parentSpanId"]);
        passes.next().cloned()
    });
    let pass = found.await.unwrap();
    assert_eq!(attribute(&pass, "controller"), Some("delivery"), "{pass:#}");
    assert_eq!(attribute(&pass, "key"), Some(&*key), "{pass:#}");
}
