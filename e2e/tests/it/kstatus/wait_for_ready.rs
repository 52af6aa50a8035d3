//! `kubectl wait --for=condition=Ready`, as people and pipelines call it.

use super::environment;
use super::situation::{self, Situation};

impl Situation<'_> {
    /// True if kubectl saw the condition in time.
    async fn kubectl_waits(&self, object: &str, timeout: &str) -> bool {
        let timeout = format!("--timeout={timeout}");
        let namespace = self.namespace.name();
        let arguments = [
            "wait",
            "--for=condition=Ready",
            object,
            "-n",
            namespace,
            &timeout,
        ];
        let output = self.namespace.plane().kubectl(arguments).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() || said.contains("condition met"),
            "{said}"
        );
        output.status.success()
    }
}

// shows K2
#[tokio::test]
async fn kubectl_wait_ends_when_a_late_contract_is_delivered_and_not_before() {
    let situation = situation::late(environment().await).await;
    situation
        .until("contract/late", "PromiseMissed=True/PromiseNotKept")
        .await;
    assert!(!situation.kubectl_waits("contract/late", "1s").await);
    let wait = situation.kubectl_waits("contract/late", "30s");
    let ((), ended) = tokio::join!(situation.recover(), wait);
    assert!(ended);
    for object in ["servicesubscription/late.parts.mfp", "device/mfp"] {
        assert!(situation.kubectl_waits(object, "10s").await, "{object}");
    }
}

// shows K2
#[tokio::test]
async fn kubectl_wait_does_not_take_what_was_said_of_the_spec_before() {
    let situation = situation::switched_off(environment().await).await;
    situation.recover().await;
    assert!(
        situation
            .kubectl_waits("contract/switched-off", "30s")
            .await
    );
    let mut contract = situation
        .namespace
        .read_contract("switched-off")
        .await
        .unwrap();
    contract.metadata.managed_fields = None;
    contract.metadata.resource_version = None;
    contract.status = None;
    contract.spec.services[0]
        .devices
        .names
        .push("no-such-device".to_owned());
    situation.namespace.apply(&contract).await.unwrap();
    // Ready is still True here, of the generation before.
    assert!(!situation.kubectl_waits("contract/switched-off", "2s").await);
}
