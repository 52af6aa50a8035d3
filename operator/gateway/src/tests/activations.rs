use std::time::{Duration, Instant};

use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{
    ActivationState, ConsentWay, DeviceSide, ServiceSubscription, SmartService, SmartServiceSpec,
    SubscriptionActivation,
};
use jiff::SignedDuration;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    services::add_service,
    stand::{ACME, Registered, Stand, json_of, problem},
};

const TONER: &str = "acme-2027.toner.lobby-mfp";

async fn put(stand: &Stand, device: &Registered, id: &str, body: &Value, wait: u32) -> Response {
    let path = format!("/v1/devices/{}/services/{id}/activation", device.id);
    let request = stand.request(Method::PUT, &path, &device.token);
    let request = request.header("prefer", format!("wait={wait}"));
    let request = request.header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap()
}

fn on() -> Value {
    json!({"active": true, "by": "Panel"})
}

/// Returns a device with a service that began an hour ago.
async fn begun(stand: &Stand) -> Registered {
    let device = stand.register("A1").await;
    add_service(stand, stand.now() - SignedDuration::from_hours(1));
    until_listed(stand).await;
    device
}

async fn until_listed(stand: &Stand) {
    let key = Key::new(ACME, TONER);
    let subscriptions = &stand.gateway.objects.subscriptions;
    stand.until(|| subscriptions.get(&key).is_some()).await;
}

/// The operator says that a service is in this state.
fn say(stand: &Stand, state: ActivationState) {
    let since = stand.now();
    stand
        .cluster
        .edit(ACME, TONER, |subscription: &mut ServiceSubscription| {
            let activation = SubscriptionActivation { state, since };
            subscription.status.get_or_insert_default().activation = Some(activation);
        });
}

// shows C5 C6
#[tokio::test]
async fn a_device_asks_for_its_activation_and_is_answered_as_soon_as_the_service_is_on() {
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    let says = async {
        stand
            .until(|| !stand.status("lobby-mfp").local.is_empty())
            .await;
        say(&stand, ActivationState::Active);
    };
    let on = on();
    let (answer, ()) = tokio::join!(put(&stand, &device, TONER, &on, 60), says);
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("entente-poll-next"));
    assert_eq!(json_of(answer).await["state"], "Active");
    let local = stand.status("lobby-mfp").local;
    assert_eq!(local.len(), 1);
    assert!(local[0].enabled && local[0].by == ConsentWay::Panel);
    let again = put(&stand, &device, TONER, &on, 60).await;
    assert_eq!(again.status(), 200);
    assert_eq!(stand.status("lobby-mfp").local, local, "it is one word");
}

// shows C6
#[tokio::test]
async fn an_activation_without_an_answer_is_pending_and_the_word_is_kept() {
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    let asked = Instant::now();
    let answer = put(&stand, &device, TONER, &on(), 0).await;
    assert!(asked.elapsed() < Duration::from_secs(8), "it did not wait");
    assert_eq!(answer.status(), 202);
    assert_eq!(
        json_of(answer).await,
        json!({"state": "Pending", "reason": "ProviderPending", "next": "PT10S"})
    );
    assert_eq!(stand.status("lobby-mfp").local.len(), 1);
}

// shows C6 C15
#[tokio::test]
async fn a_service_is_switched_off_at_once_whatever_the_operator_says_of_it() {
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    say(&stand, ActivationState::Active);
    let off = json!({"active": false, "by": "Technician"});
    let answer = put(&stand, &device, TONER, &off, 60).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(json_of(answer).await, json!({"state": "Inactive"}));
    assert!(!stand.status("lobby-mfp").local[0].enabled);
}

// shows C5
#[tokio::test]
async fn a_service_that_is_not_there_not_in_force_or_not_possible_is_refused_by_its_own_reason() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let unknown = put(&stand, &device, "other", &on(), 0).await;
    assert_eq!(
        problem(unknown).await,
        (404, "ApplicationNotFound".to_owned())
    );
    add_service(&stand, stand.now() + SignedDuration::from_hours(1));
    until_listed(&stand).await;
    let ahead = put(&stand, &device, TONER, &on(), 60).await;
    assert_eq!(problem(ahead).await, (409, "NotInForce".to_owned()));
    assert!(
        stand.status("lobby-mfp").local[0].enabled,
        "the word is kept"
    );
    let faulty = put(&stand, &device, TONER, &json!({"active": 1}), 0).await;
    assert_eq!(problem(faulty).await, (422, "InvalidRequest".to_owned()));
    let unable = json!({"active": true, "by": "Panel", "supported": false,
                        "unsupported": ["no colour"]});
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    let answer = put(&stand, &device, TONER, &unable, 60).await;
    assert_eq!(answer.status(), 409);
    let body = json_of(answer).await;
    assert_eq!(body["missing"], json!(["UnsupportedByDevice"]));
}

// shows C5 C14
#[tokio::test]
async fn a_device_that_cannot_use_a_supply_is_refused_and_not_left_to_wait() {
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    let service = SmartServiceSpec {
        device: Some(DeviceSide {
            supplies: vec!["TN-500K".to_owned()],
            ..DeviceSide::default()
        }),
        ..SmartServiceSpec::default()
    };
    let key = Key::new("", "toner");
    stand.cluster.edit("", "toner", |found: &mut SmartService| {
        found.spec = service.clone();
    });
    let services = &stand.gateway.objects.services;
    let is_seen = || {
        services
            .get(&key)
            .is_some_and(|it| it.spec.device.is_some())
    };
    stand.until(is_seen).await;
    let refused = put(&stand, &device, TONER, &on(), 60).await;
    assert_eq!(refused.status(), 409);
    let body = json_of(refused).await;
    assert_eq!(body["missing"], json!(["UnsupportedByDevice"]));
    let path = format!("/v1/devices/{}/services", device.id);
    let list = json_of(stand.get(&path, &device.token).await).await;
    assert_eq!(list["services"][0]["missing"], body["missing"]);
}

// shows K4
#[tokio::test]
async fn a_device_says_nothing_of_the_services_of_another_one() {
    let stand = Stand::new().await;
    let device = begun(&stand).await;
    stand.add_device("other-mfp", "B2");
    let other = stand.register("B2").await;
    let theirs = put(&stand, &other, TONER, &on(), 0).await;
    assert_eq!(
        problem(theirs).await,
        (404, "ApplicationNotFound".to_owned())
    );
    let path = format!("/v1/devices/{}/services/{TONER}/activation", device.id);
    let request = stand.request(Method::PUT, &path, &other.token);
    let request = request.header("content-type", "application/json");
    let refused = request.body(on().to_string()).send().await.unwrap();
    assert_eq!(problem(refused).await, (403, "DeviceMismatch".to_owned()));
    assert_eq!(stand.status("lobby-mfp").local, []);
}
