//! Services that name a check: usable means that the device reports that the service works.

use entente_crds::v1alpha1::{
    Acceptance, DeviceModel, DeviceSetting, IppSyntax, ItemState, PromiseState, SmartService,
    StepType, ValueType,
};
use entente_e2e::namespace::read::{Conditioned as _, SubscriptionFacts as _};
use entente_e2e::namespace::{now, starting_in};
use serde_json::json;

use crate::delivery_fixture::{
    AHEAD, DeliveryFixture, brief, promise_state, subscription_is, subscription_says, writes_to,
};

const ATTRIBUTE: &str = "nw-backup-last-run";
const KEY: &str = "Acceptance/backup.last-run";

/// The model of the example with a setting in which the device has the result of the last backup.
fn model(fixture: &DeliveryFixture<'_>) -> DeviceModel {
    let mut model = fixture.namespace.model();
    let mut settings = model.spec.settings.iter();
    let word = settings.find(|it| it.name == "backup.mode");
    let mut last_run = DeviceSetting {
        name: "backup.last-run".to_owned(),
        r#type: ValueType::Keyword,
        allowed: ["never", "running", "ok", "failed"]
            .map(str::to_owned)
            .into(),
        ..word.expect("a word").clone()
    };
    if let Some(ipp) = &mut last_run.via.ipp {
        ATTRIBUTE.clone_into(&mut ipp.attribute);
        ipp.syntax = IppSyntax::Keyword;
    }
    model.spec.settings.push(last_run);
    model
}

/// The backup of the example with a check by that setting.
fn backup(fixture: &DeliveryFixture<'_>, within: &str) -> SmartService {
    let mut service = fixture.namespace.backup();
    service.spec.acceptance = Some(Acceptance {
        setting: "backup.last-run".to_owned(),
        equals: "ok".to_owned(),
        within: within.into(),
    });
    service
}

/// Lets the device report another result of its last backup.
fn device_reports(fixture: &DeliveryFixture<'_>, result: &str) {
    let result = [(ATTRIBUTE.to_owned(), json!(result))].into();
    fixture.device(0).set_attributes(&result).unwrap();
}

/// Nothing was written to the attribute that is only read.
fn assert_only_read(fixture: &DeliveryFixture<'_>) {
    let writes = writes_to(&fixture.namespace, fixture.name(0));
    let mut to_check = writes.clone();
    to_check.retain(|entry| format!("{:?}", entry.attributes).contains(ATTRIBUTE));
    assert_eq!(brief(&to_check), Vec::<String>::new());
    assert!(!writes.is_empty(), "the settings were written");
}

// shows B9 D1 D3
#[tokio::test]
async fn a_service_with_a_check_is_usable_when_its_device_reports_late_that_it_works() {
    let fixture = DeliveryFixture::new("acceptance", 1).await;
    let namespace = &fixture.namespace;
    namespace.apply(&model(&fixture)).await.unwrap();
    namespace.apply(&backup(&fixture, "50s")).await.unwrap();
    let start = starting_in(AHEAD / 2);
    let contract = fixture.backup_contract("acceptance", start, "15m");
    namespace.apply(&contract).await.unwrap();

    let parts = ["acceptance", "backup", fixture.name(0)];
    let waiting = subscription_says(namespace, parts, "Ready", "AwaitingAcceptance").await;
    let status = waiting.status.as_ref().expect("it has a status");
    assert_eq!(status.step, Some(StepType::Acceptance));
    assert!(!waiting.is("Delivered") && waiting.is("ServerConfigured"));
    assert_eq!(promise_state(&waiting), PromiseState::Open);
    let instances = fixture.broker.instances();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].parameters["enabled"], json!(true), "it is on");

    device_reports(&fixture, "ok");
    let delivered = subscription_is(namespace, parts, "Delivered").await;
    let check = delivered.item(KEY).expect("the check is an item");
    assert_eq!(check.state, ItemState::Effective);
    let turned_on = delivered
        .item("Activation/enabled")
        .expect("it is turned on");
    assert!(
        check.last_verified > turned_on.last_verified,
        "{:#?}",
        delivered.items()
    );
    let promise = &delivered.promises()[0];
    assert_eq!(promise.state, PromiseState::Kept);
    assert_eq!(promise.completed, check.last_verified);
    assert_only_read(&fixture);
    fixture.finish().await;
}

// shows B9 B7
#[tokio::test]
async fn a_check_that_is_added_to_a_working_service_sends_nothing_and_has_to_pass() {
    let fixture = DeliveryFixture::new("acceptance-added", 1).await;
    let namespace = &fixture.namespace;
    namespace.apply(&model(&fixture)).await.unwrap();
    let contract = fixture.backup_contract("working", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    let parts = ["working", "backup", fixture.name(0)];
    let working = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&working), PromiseState::Kept);
    let written = namespace.ledger().writes().len();

    device_reports(&fixture, "failed");
    namespace.apply(&backup(&fixture, "1s")).await.unwrap();
    let failing = subscription_says(namespace, parts, "Delivered", "AcceptanceFailed").await;
    let problem = failing.item(KEY).and_then(|item| item.problem.clone());
    let message = problem.expect("it has a problem").message.to_string();
    assert!(
        message.ends_with("wants \"ok\", has \"failed\""),
        "{message}"
    );
    assert_eq!(
        promise_state(&failing),
        PromiseState::Kept,
        "as it was judged"
    );

    device_reports(&fixture, "ok");
    let delivered = subscription_is(namespace, parts, "Delivered").await;
    assert_eq!(promise_state(&delivered), PromiseState::Kept);
    // The device's own reports are changes of the ledger, and no writes over the network.
    let after = writes_to(namespace, fixture.name(0)).len() + writes_to(namespace, "broker").len();
    assert!(after <= written, "{after} writes after {written}");
    assert_only_read(&fixture);
    fixture.finish().await;
}
