//! The process itself: its rights, its admin endpoints, its end.

use std::time::Duration;

use entente_e2e::environment::TestEnvironment;
use entente_e2e::operator::{OperatorError, OperatorOptions};
use entente_e2e::wait::wait_for;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::DeleteParams;

const SOON: Duration = entente_e2e::namespace::SOON;

// shows K4 K5
#[tokio::test]
async fn an_operator_without_its_rights_says_which_are_missing_and_waits_for_them() {
    let mut environment = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(environment.plane.client().await.unwrap());
    let binding = bindings.get("entente-operator").await.unwrap();
    assert!(environment.operator.stop().await.unwrap().success());
    bindings
        .delete("entente-operator", &DeleteParams::default())
        .await
        .unwrap();
    environment.operator.start_again().await.unwrap();
    let view = environment.operator.view();
    let said = wait_for("/readyz says what is missing", SOON, async || {
        let error = view.get("/readyz").await.err()?;
        let log = view.log();
        (matches!(error, OperatorError::Admin { .. }) && log.contains("may not list contracts"))
            .then_some(log)
    });
    said.await.unwrap();

    let again = ClusterRoleBinding {
        metadata: kube::api::ObjectMeta {
            name: binding.metadata.name,
            labels: binding.metadata.labels,
            ..kube::api::ObjectMeta::default()
        },
        ..binding
    };
    bindings
        .create(&kube::api::PostParams::default(), &again)
        .await
        .unwrap();
    wait_for("it goes on by itself", SOON, async || {
        view.get("/readyz").await.ok()
    })
    .await
    .unwrap();
}

// shows K5
#[tokio::test]
async fn an_operator_that_is_asked_to_stop_stops_with_success_and_its_metrics_are_openmetrics() {
    let mut environment = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    let metrics = environment.operator.metrics().await.unwrap();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(metrics.contains("entente_build_info{"), "{metrics}");
    let status = environment.operator.stop().await.unwrap();
    assert!(status.success(), "{status}: {}", environment.operator.log());
    let last = environment.operator.log();
    let last = last.lines().last().expect("it logged something");
    let last: serde_json::Value =
        serde_json::from_str(last).expect("the log is JSON, line by line");
    assert_eq!(last["message"], "stopped");
}
