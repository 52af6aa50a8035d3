//! Every fault of the simulated service broker: the answers to a platform and the lines of the
//! ledger.

use std::time::Duration;

use entente_simulators::{Fault, FaultKind, Mode, Rejection};
use serde_json::json;

use super::driven::Platform;

const ASYNC: Mode = Mode::Async {
    polls: 0,
    milliseconds: 0,
};

async fn provisioned(mode: Mode) -> Platform {
    let platform = Platform::start(Mode::Sync).await;
    platform
        .provision("i-1", json!({ "mode": "Full", "hour": 3 }))
        .await
        .unwrap();
    platform.broker.set_mode(mode);
    platform.ledger.clear();
    platform
}

#[tokio::test]
async fn an_update_can_be_accepted_and_the_fetched_instance_show_the_old_values() {
    // shows D2
    for mode in [Mode::Sync, ASYNC] {
        let platform = provisioned(mode).await;
        let fault = FaultKind::NotEffective {
            attributes: Vec::new(),
        };
        platform.broker.set_fault(fault).await.unwrap();
        let new = json!({ "mode": "Differential", "hour": 4 });
        assert!(matches!(
            platform.update("i-1", new).await.unwrap().status,
            200 | 202
        ));
        let said = platform.fetch("i-1").await.unwrap();
        assert_eq!(
            said.body["parameters"],
            json!({ "mode": "Full", "hour": 3 }),
            "{mode:?}"
        );
        let line = &platform.ledger.writes()[0];
        assert_eq!(
            (line.committed, line.changed, line.needed),
            (false, false, true)
        );
    }
}

#[tokio::test]
async fn one_parameter_can_be_without_effect() {
    let platform = provisioned(Mode::Sync).await;
    let fault = FaultKind::NotEffective {
        attributes: vec!["mode".to_owned()],
    };
    platform.broker.set_fault(fault).await.unwrap();
    platform
        .update("i-1", json!({ "mode": "Differential", "hour": 4 }))
        .await
        .unwrap();
    let said = platform.fetch("i-1").await.unwrap();
    assert_eq!(
        said.body["parameters"],
        json!({ "mode": "Full", "hour": 4 })
    );
    platform
        .provision("i-2", json!({ "mode": "Full", "hour": 5 }))
        .await
        .unwrap();
    assert_eq!(
        platform.fetch("i-2").await.unwrap().body["parameters"],
        json!({ "hour": 5 })
    );
}

#[tokio::test]
async fn the_answer_to_a_provision_can_be_lost_after_the_instance_was_made() {
    let platform = Platform::start(Mode::Sync).await;
    let fault = Fault::new(FaultKind::ResetAfterCommit)
        .on("provision")
        .for_requests(1);
    platform.broker.set_fault(fault).await.unwrap();
    assert!(platform.provision("i-1", json!({})).await.is_err());
    assert_eq!(platform.broker.instances().len(), 1);
    assert_eq!(
        platform.provision("i-1", json!({})).await.unwrap().status,
        200
    );
    let lines = platform.ledger.writes();
    let facts: Vec<_> = lines
        .iter()
        .map(|line| (line.committed, line.http_status))
        .collect();
    assert_eq!(facts, [(true, None), (false, Some(200))]);
    assert!(platform.ledger.duplicates().is_empty());
}

#[tokio::test]
async fn transport_faults_end_after_their_number_of_requests() {
    let platform = Platform::start(Mode::Sync).await;
    let faults = [
        (FaultKind::Unauthorized, 401),
        (FaultKind::http_500(), 500),
        (FaultKind::too_many_requests(3), 429),
        (
            FaultKind::Reject {
                attributes: Vec::new(),
                status: Rejection::default(),
            },
            400,
        ),
        (FaultKind::Busy, 422),
    ];
    for (kind, status) in faults {
        platform
            .broker
            .set_fault(Fault::new(kind).for_requests(1))
            .await
            .unwrap();
        assert_eq!(
            platform.provision("i-1", json!({})).await.unwrap().status,
            status
        );
    }
    assert!(platform.broker.faults().is_empty() && platform.broker.instances().is_empty());
    assert_eq!(
        platform.provision("i-1", json!({})).await.unwrap().status,
        201
    );
}

#[tokio::test]
async fn a_broker_can_be_offline_slow_or_hang() {
    let platform = Platform::start(Mode::Sync).await;
    platform.broker.set_fault(FaultKind::Offline).await.unwrap();
    assert!(platform.fetch("i-1").await.unwrap_err().is_connect());
    platform.broker.clear_faults().await.unwrap();
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);

    let short = Duration::from_millis(150);
    let impatient = |path: &str| platform.request(reqwest::Method::GET, path).timeout(short);
    platform
        .broker
        .set_fault(Fault::new(FaultKind::Hang).for_requests(1))
        .await
        .unwrap();
    assert!(
        platform
            .send(impatient("catalog"))
            .await
            .unwrap_err()
            .is_timeout()
    );
    platform
        .broker
        .set_fault(FaultKind::Slow { milliseconds: 500 })
        .await
        .unwrap();
    assert!(
        platform
            .send(impatient("catalog"))
            .await
            .unwrap_err()
            .is_timeout()
    );
    platform.broker.clear_faults().await.unwrap();
    assert_eq!(
        platform.send(impatient("catalog")).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn an_operation_can_go_on_until_the_broker_is_cured() {
    for mode in [Mode::Sync, ASYNC] {
        let platform = Platform::start(mode).await;
        platform
            .broker
            .set_fault(FaultKind::AsyncNeverEnds)
            .await
            .unwrap();
        let said = platform.provision("i-1", json!({})).await.unwrap();
        assert_eq!(said.status, 202, "{mode:?}");
        let operation = said.operation().to_owned();
        for _ in 0..20 {
            let said = platform.poll("i-1", &operation).await.unwrap();
            assert_eq!(said.body["state"], "in progress");
        }
        platform.broker.clear_faults().await.unwrap();
        let said = platform.poll("i-1", &operation).await.unwrap();
        assert_eq!(said.body["state"], "succeeded");
    }
}

#[tokio::test]
async fn an_instance_whose_provision_never_ends_can_be_removed() {
    let platform = Platform::start(Mode::Sync).await;
    let fault = Fault::new(FaultKind::AsyncNeverEnds).on("provision");
    platform.broker.set_fault(fault).await.unwrap();
    platform.provision("i-1", json!({})).await.unwrap();
    assert_eq!(platform.deprovision("i-1").await.unwrap().status, 200);
    assert!(platform.broker.instances().is_empty());
}

#[tokio::test]
async fn a_failed_provision_leaves_an_instance_that_only_can_be_removed() {
    let platform = Platform::start(ASYNC).await;
    let fault = FaultKind::AsyncFails {
        description: "no capacity".to_owned(),
    };
    platform
        .broker
        .set_fault(Fault::new(fault).on("provision"))
        .await
        .unwrap();
    let said = platform.provision("i-1", json!({})).await.unwrap();
    let operation = said.operation().to_owned();
    let said = platform.poll("i-1", &operation).await.unwrap();
    assert_eq!(
        said.body,
        json!({ "state": "failed", "description": "no capacity" })
    );
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);
    assert_eq!(
        platform.provision("i-1", json!({})).await.unwrap().status,
        409
    );
    assert_eq!(platform.broker.instance("i-1").unwrap().state, "failed");
    assert_eq!(platform.deprovision("i-1").await.unwrap().status, 202);
    assert!(platform.broker.instances().is_empty());
    let line = &platform.ledger.writes()[0];
    assert_eq!((line.committed, line.changed), (true, false));
}

#[tokio::test]
async fn a_failed_update_leaves_the_old_values_and_a_usable_instance() {
    let platform = provisioned(ASYNC).await;
    let fault = FaultKind::AsyncFails {
        description: "try later".to_owned(),
    };
    platform
        .broker
        .set_fault(Fault::new(fault).for_requests(1))
        .await
        .unwrap();
    let said = platform
        .update("i-1", json!({ "mode": "Differential" }))
        .await
        .unwrap();
    let operation = said.operation().to_owned();
    let said = platform.poll("i-1", &operation).await.unwrap();
    assert_eq!(said.body["state"], "failed");
    assert_eq!(
        (
            &said.body["instance_usable"],
            &said.body["update_repeatable"]
        ),
        (&json!(true), &json!(true))
    );
    let said = platform.fetch("i-1").await.unwrap();
    assert_eq!(
        said.body["parameters"],
        json!({ "mode": "Full", "hour": 3 })
    );
}

#[tokio::test]
async fn a_broker_can_have_nothing_to_fetch_or_fetch_without_parameters() {
    // shows D2
    let platform = provisioned(Mode::Sync).await;
    platform
        .broker
        .set_fault(FaultKind::NotRetrievable)
        .await
        .unwrap();
    let catalog = platform.request(reqwest::Method::GET, "catalog");
    let said = platform.send(catalog).await.unwrap();
    assert_eq!(said.body["services"][0]["instances_retrievable"], false);
    assert_eq!(platform.fetch("i-1").await.unwrap().status, 404);
    platform.broker.clear_faults().await.unwrap();

    let fault = |names: &[&str]| FaultKind::FetchWithoutParameters {
        parameters: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    platform.broker.set_fault(fault(&["mode"])).await.unwrap();
    assert_eq!(
        platform.fetch("i-1").await.unwrap().body["parameters"],
        json!({ "hour": 3 })
    );
    platform.broker.set_fault(fault(&[])).await.unwrap();
    assert!(
        platform
            .fetch("i-1")
            .await
            .unwrap()
            .body
            .get("parameters")
            .is_none()
    );
}

#[tokio::test]
async fn a_fault_that_a_broker_cannot_have_is_refused() {
    let platform = Platform::start(Mode::Sync).await;
    let reboot = FaultKind::Reboot {
        offline_milliseconds: 1,
    };
    let refused = platform.broker.set_fault(reboot).await.unwrap_err();
    let said = refused.to_string();
    assert_eq!(said, "no broker can have the fault Reboot");
    assert!(platform.broker.faults().is_empty());
}
