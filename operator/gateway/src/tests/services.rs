use std::sync::Arc;

use entente_crds::v1alpha1::{
    NameReference, Revision, ServiceSubscription, ServiceSubscriptionSpec, SmartService,
    SmartServiceSpec,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::stand::{ACME, Registered, Stand, json_of};

/// Adds a service that begins at an instant.
pub(super) fn add_service(stand: &Stand, effective: Timestamp) {
    let spec = SmartServiceSpec {
        provider: "Northwind".to_owned(),
        description: Some("Toner is sent".to_owned()),
        ..SmartServiceSpec::default()
    };
    stand.cluster.apply(&SmartService::new("toner", spec));
    let revision = Revision {
        effective,
        promised: true,
        service_ref: NameReference {
            name: "toner".to_owned(),
        },
        ..Revision::default()
    };
    let mut spec = ServiceSubscriptionSpec {
        revisions: vec![Arc::new(revision)],
        time_zone: "Asia/Tokyo".to_owned(),
        ..ServiceSubscriptionSpec::default()
    };
    spec.device_ref.name = "lobby-mfp".to_owned();
    let mut subscription = ServiceSubscription::new("acme-2027.toner.lobby-mfp", spec);
    subscription.metadata.namespace = Some(ACME.to_owned());
    stand.cluster.apply(&subscription);
}

async fn list(stand: &Stand, device: &Registered) -> serde_json::Value {
    let answer = stand
        .get(
            &format!("/v1/devices/{}/services", device.id),
            &device.token,
        )
        .await;
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    json_of(answer).await
}

// shows C3 C9
#[tokio::test]
async fn a_device_lists_its_services_and_is_told_to_call_before_one_begins() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    assert_eq!(
        list(&stand, &device).await,
        json!({"services": [], "poll": {"next": "PT24H"}})
    );
    add_service(&stand, stand.now() + SignedDuration::from_hours(10));
    let key = entente_controllers::cache::Key::new(ACME, "acme-2027.toner.lobby-mfp");
    let (objects, service) = (
        &stand.gateway.objects,
        entente_controllers::cache::Key::new("", "toner"),
    );
    let is_seen =
        || objects.subscriptions.get(&key).is_some() && objects.services.get(&service).is_some();
    stand.until(is_seen).await;
    let body = list(&stand, &device).await;
    let found = &body["services"][0];
    assert_eq!(found["applicationId"], "acme-2027.toner.lobby-mfp");
    assert_eq!(
        (&found["provider"], &found["state"]),
        (&json!("Northwind"), &json!("Scheduled"))
    );
    let next = body["poll"]["next"].as_str().unwrap();
    assert!(next.starts_with("PT9H5"), "{next}");

    stand.clock.jump(SignedDuration::from_hours(10));
    let body = list(&stand, &device).await;
    assert_eq!(
        body["services"][0]["state"], "Inactive",
        "it began, and is not proved"
    );
}
