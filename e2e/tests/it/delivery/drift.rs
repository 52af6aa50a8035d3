//! Changes of a person at a device, with driftPolicy Report: the ledger of the device is the proof that
//! nothing is written.

use std::collections::BTreeMap;

use entente_crds::v1alpha1::{
    Contract, Device, DriftPolicy, DriftedSetting, NameReference, PromiseState, Site, SiteSpec,
};
use entente_e2e::environment::TestEnvironment;
use entente_e2e::namespace::read::Conditioned as _;
use entente_e2e::namespace::{TestNamespace, now};
use entente_e2e::operator::OperatorOptions;
use serde_json::json;

use crate::delivery_fixture::{
    DeliveryFixture, brief, contract_is, contract_says, every_reason_is_listed, promise_state,
    reconciled, subscription_says,
};

const SITE: &str = "osasco-01";
const CHANGED: &str = "nw-alert-enabled";

/// Somebody changes a setting at the panel of the first device.
fn meddle(fixture: &DeliveryFixture<'_>, value: bool) {
    let panel = BTreeMap::from([(CHANGED.to_owned(), json!(value))]);
    fixture.device(0).set_attributes(&panel).unwrap();
}

/// Returns the requests since a line of the ledger that changed a peer or tried to.
fn sent_since(namespace: &TestNamespace<'_>, sequence: u64) -> Vec<String> {
    let mut sent = namespace.ledger().entries_since(sequence);
    sent.retain(|entry| entry.write && entry.cause == entente_simulators::Cause::Request);
    brief(&sent)
}

async fn drift(fixture: &DeliveryFixture<'_>) -> Vec<DriftedSetting> {
    let device = fixture
        .namespace
        .read_device(fixture.name(0))
        .await
        .unwrap();
    device.status.unwrap().drift
}

/// Applies the Device with a policy of its own, and with that of its Site without one.
async fn apply_device(fixture: &DeliveryFixture<'_>, policy: Option<DriftPolicy>) {
    let namespace = &fixture.namespace;
    let mut device = namespace.device(fixture.device(0));
    device.spec.site_ref = Some(NameReference {
        name: SITE.to_owned(),
    });
    device.spec.drift_policy = policy;
    namespace.apply::<Device>(&device).await.unwrap();
}

/// Has all delivered on a device whose Site wants drift to be reported, and then somebody change a setting
/// there.
async fn drift_at(fixture: &DeliveryFixture<'_>) {
    let namespace = &fixture.namespace;
    let spec = SiteSpec {
        drift_policy: Some(DriftPolicy::Report),
        ..SiteSpec::default()
    };
    let mut site = Site::new(SITE, spec);
    site.metadata.namespace = Some(namespace.name().to_owned());
    namespace.apply::<Site>(&site).await.unwrap();
    apply_device(fixture, None).await;
    let contract: Contract = fixture.parts_contract("drift", now(), "15m");
    namespace.apply(&contract).await.unwrap();
    contract_is(namespace, "drift", "Delivered").await;
    meddle(fixture, false);
}

// shows B7 D1 K2 K5
#[tokio::test]
async fn what_somebody_changes_at_a_device_is_told_over_a_restart_and_set_again_with_revert() {
    let options = OperatorOptions::default();
    let mut environment = TestEnvironment::start(options).await.unwrap();
    let view = environment.operator.view();
    let fixture = DeliveryFixture::on_plane(&environment.plane, view, "drift", 1).await;
    let namespace = &fixture.namespace;
    drift_at(&fixture).await;
    let sequence = namespace.ledger().last_sequence();
    reconciled(namespace, fixture.name(0)).await;
    let parts = ["drift", "parts", fixture.name(0)];
    let subscription = subscription_says(namespace, parts, "Ready", "Drifted").await;
    assert!(subscription.is("Ready") && !subscription.is("Delivered"));
    assert_eq!(promise_state(&subscription), PromiseState::Kept);
    let contract = contract_says(namespace, "drift", "Ready", "DeliveredWithExceptions").await;
    assert_eq!(contract.reason("Delivered"), "Drifted");
    let device = namespace.read_device(fixture.name(0)).await.unwrap();
    assert!(device.is("Ready") && !device.is("SettingsApplied"));
    assert_eq!(device.reason("SettingsApplied"), "Drifted");
    let told = drift(&fixture).await;
    let names: Vec<&str> = told.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["alert.enabled"]);
    every_reason_is_listed(namespace).await;

    let ended = environment.operator.stop().await.unwrap();
    assert!(ended.success(), "{}", environment.operator.log());
    environment.operator.restart().await.unwrap();
    reconciled(namespace, fixture.name(0)).await;
    assert_eq!(drift(&fixture).await, told, "the instant is the first one");
    let written = sent_since(namespace, sequence);
    assert_eq!(written, Vec::<String>::new(), "it is left as it is");
    assert_eq!(fixture.device(0).attribute(CHANGED), Some(json!(false)));

    // The Device has a word of its own by now, which counts before that of its Site.
    apply_device(&fixture, Some(DriftPolicy::Revert)).await;
    contract_is(namespace, "drift", "Delivered").await;
    assert_eq!(fixture.device(0).attribute(CHANGED), Some(json!(true)));
    assert_eq!(sent_since(namespace, sequence).len(), 1);
    namespace
        .soon("nothing is told any more", async || {
            let told = drift(&fixture).await;
            told.is_empty().then_some(())
        })
        .await
        .unwrap();
    let subscription = subscription_says(namespace, parts, "Ready", "Delivered").await;
    assert_eq!(promise_state(&subscription), PromiseState::Kept);
    fixture.finish().await;
}
