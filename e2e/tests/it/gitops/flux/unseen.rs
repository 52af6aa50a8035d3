//! The operator is away while Flux applies and prunes: nothing is ready that it has not seen, and
//! what was pruned meanwhile is withdrawn when it is back.

use entente_crds::v1alpha1::Contract;
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::now;
use entente_e2e::operator::OperatorOptions;
use serde_json::json;

use super::Flux;
use crate::gitops::{everything_is_gone, repository, with_peers};

// shows K5 K6
#[tokio::test]
async fn flux_waits_for_an_operator_that_is_away_before_it_is_ready_and_while_it_prunes() {
    let mut environment = TestEnvironment::start(OperatorOptions::default())
        .await
        .unwrap();
    let TestEnvironment { operator, plane } = &mut environment;
    let view = operator.view();
    let name = plane.create_namespace("flux-away").await.unwrap();
    let namespace = TestNamespace::with_name(plane, view, name).await.unwrap();
    let fixture = with_peers(namespace, 1).await;
    let namespace = &fixture.namespace;
    let flux = Flux::start(namespace).await;
    operator.stop().await.unwrap();

    let contract = fixture.backup_contract("sul", now(), "15m");
    let revision = flux.publish(&repository(&fixture, &contract)).await;
    flux.apply("all", &json!({"wait": true, "timeout": "10s"}))
        .await;
    let failed = flux
        .until("all", "Flux ends its wait", |it| it.ready() == "False")
        .await;
    assert_eq!(failed.reason(), "HealthCheckFailed");
    for kind in [
        "Connection",
        "DeviceModel",
        "SmartService",
        "Device",
        "Contract",
    ] {
        assert!(
            failed.message().contains(&format!("{kind}/")),
            "nobody has seen the {kind}: {}",
            failed.message()
        );
    }
    operator.start_again().await.unwrap();
    flux.until_ready("all", &revision).await;

    operator.stop().await.unwrap();
    flux.delete("all").await;
    flux.until_gone("all").await;
    let kept = namespace.get::<Contract>("sul").await;
    let kept = kept.expect("it waits for its withdrawal");
    assert!(kept.metadata.deletion_timestamp.is_some());
    assert!(!fixture.broker.instances().is_empty());
    operator.restart().await.unwrap();
    everything_is_gone(&fixture).await;
}
