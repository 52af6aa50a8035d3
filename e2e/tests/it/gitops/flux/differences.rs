//! Nothing drifts for ever: Flux finds nothing to write in what it has applied.

use serde_json::json;

use super::Flux;
use crate::gitops::examples::{all_are_judged, environment, namespace, repositories};

// shows K6
#[tokio::test]
async fn flux_finds_no_drift_in_any_example_nor_where_every_default_is_left_out() {
    let environment = environment().await;
    let namespace = namespace(&environment).await;
    let flux = Flux::start(&namespace).await;
    for (name, files) in repositories() {
        let revision = flux.publish(&files).await;
        flux.apply("examples", &json!({"prune": false})).await;
        flux.until_ready("examples", &revision).await;
        all_are_judged(&namespace).await;
        let position = environment.plane.audit_position().await.unwrap();
        let again = flux.reconcile("examples").await;
        assert_eq!(again.ready(), "True", "{}", again.message());
        assert_eq!(
            flux.writes_since(position).await,
            Vec::<String>::new(),
            "{name}"
        );
    }
}
