//! Work before the start, and reports of a start that is at risk.

use std::time::Duration;

use entente_crds::v1alpha1::{SmartService, Step, StepType};
use entente_e2e::namespace::TestNamespace;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::starting_in;
use serde_json::json;

use crate::delivery_fixture::{DeliveryFixture, contract_is, contract_says, subscription_says};

/// A start far enough ahead that it does not come within the test, and within the lead time.
const LATER: Duration = Duration::from_hours(48);

/// The service on the device alone, which may be set up before the start.
async fn apply_early_parts(namespace: &TestNamespace<'_>) {
    let mut service = namespace.parts();
    service.spec.steps = vec![Step {
        r#type: StepType::DeviceSettings,
        early: true,
    }];
    namespace.apply::<SmartService>(&service).await.unwrap();
}

/// Waits until a warning of that reason about the contract is there.
async fn warned(namespace: &TestNamespace<'_>, contract: &str, reason: &str) -> String {
    let what = format!("the event {reason}");
    let found = namespace.soon(&what, async || {
        let events = namespace.events().await.into_iter();
        let mut events = events.filter(|event| {
            let of_contract = event.regarding.as_ref().is_some_and(|regarding| {
                regarding.kind.as_deref() == Some("Contract")
                    && regarding.name.as_deref() == Some(contract)
            });
            of_contract
                && event.type_.as_deref() == Some("Warning")
                && event.reason.as_deref() == Some(reason)
        });
        events.next().and_then(|event| event.note)
    });
    found.await.unwrap()
}

// shows B2 K2 K3
#[tokio::test]
async fn a_device_that_is_off_in_the_time_of_preparation_puts_the_start_at_risk_until_it_returns() {
    let fixture = DeliveryFixture::new("risk", 2).await;
    let namespace = &fixture.namespace;
    apply_early_parts(namespace).await;
    fixture.switch_off(0).await;
    let names = [fixture.name(0), fixture.name(1)];
    let entry = namespace.entry("parts", "parts-life", &names, "15m");
    let contract = namespace.contract("risk", starting_in(LATER), vec![entry]);
    namespace.apply(&contract).await.unwrap();

    let risky = contract_is(namespace, "risk", "StartAtRisk").await;
    let message = &risky.condition("StartAtRisk").expect("it is there").message;
    assert!(
        message.contains(names[0]) && !message.contains(names[1]),
        "{message}"
    );
    assert!(risky.is("Ready"), "accepted is accepted");
    assert_eq!(risky.reason("Ready"), "Scheduled");
    assert!(!risky.is("Reconciling") && !risky.is("Stalled") && !risky.is("InForce"));
    let note = warned(namespace, "risk", "StartDateAtRisk").await;
    assert!(note.contains(names[0]), "{note}");
    let off = ["risk", "parts", names[0]];
    subscription_says(namespace, off, "DeviceConfigured", "Unreachable").await;

    fixture.device(0).clear_faults().await.unwrap();
    let healed = namespace.soon("the start is not at risk any more", async || {
        let contract = namespace.read_contract("risk").await?;
        contract
            .condition("StartAtRisk")
            .is_none()
            .then_some(contract)
    });
    let healed = healed.await.unwrap();
    assert!(healed.is("Ready"));
    contract_says(namespace, "risk", "Ready", "Scheduled").await;
    subscription_says(namespace, off, "DeviceConfigured", "Succeeded").await;
    assert_eq!(
        fixture.device(0).attribute("nw-alert-threshold"),
        Some(json!(20)),
        "what may be done early is done"
    );
    fixture.finish().await;
}

// shows B2 K2
#[tokio::test]
async fn a_device_that_does_not_exist_puts_the_start_at_risk_without_any_early_step() {
    let fixture = DeliveryFixture::new("nowhere", 1).await;
    let namespace = &fixture.namespace;
    let names = [fixture.name(0), "nowhere"];
    let entry = namespace.entry("parts", "parts-life", &names, "15m");
    let contract = namespace.contract("nowhere", starting_in(LATER), vec![entry]);
    namespace.apply(&contract).await.unwrap();
    let risky = contract_is(namespace, "nowhere", "StartAtRisk").await;
    let message = &risky.condition("StartAtRisk").expect("it is there").message;
    assert!(message.contains("1 device: nowhere;"), "{message}");
    contract_says(namespace, "nowhere", "Ready", "Scheduled").await;
    subscription_says(
        namespace,
        ["nowhere", "parts", "nowhere"],
        "ResolvedRefs",
        "DeviceNotFound",
    )
    .await;
    warned(namespace, "nowhere", "StartDateAtRisk").await;
    fixture.finish().await;
}
