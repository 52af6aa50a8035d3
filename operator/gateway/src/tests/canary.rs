use entente_crds::v1alpha1::{SecretKeyReference, TwinSetting};
use reqwest::Method;
use serde_json::json;

use super::{
    lines::Lines,
    stand::{Stand, json_of, put_secret, registration, token},
};

/// Has the device hold a secret.
fn want_secret(stand: &Stand) {
    put_secret(&stand.cluster, "cloud", "password", "hunter2-of-acme");
    stand.want(vec![TwinSetting {
        name: "password".to_owned(),
        secret_key_ref: Some(SecretKeyReference {
            name: "cloud".to_owned(),
            key: "password".to_owned(),
        }),
        digest: "a".repeat(32).parse().ok(),
        asked: 1,
        ..TwinSetting::default()
    }]);
}

// shows C17 K4
#[tokio::test]
async fn no_token_no_secret_and_no_raw_text_of_a_device_is_in_the_log_the_metrics_or_an_object() {
    let (lines, _guards) = Lines::begin();
    let stand = Stand::new().await;
    let first = stand.register("A1").await;
    let path = format!("/v1/devices/{}", first.id);
    want_secret(&stand);
    stand.until_seen("lobby-mfp").await;
    let twin = stand.get(&format!("{path}/twin"), &first.token).await;
    assert!(twin.text().await.unwrap().contains("hunter2-of-acme"));
    let value = json!({"settings": {"password": {"value": "hunter2-of-acme", "by": "Server"}}});
    stand.report(&first, &value).await;
    let renewed = stand.request(Method::POST, &format!("{path}/credential"), &first.token);
    let renewed = json_of(renewed.send().await.unwrap()).await;
    let second = renewed["token"].as_str().unwrap().to_owned();
    stand.get(&format!("{path}/twin"), "guessed-token").await;
    // A fault of every kind of write, and of a Secret.
    stand
        .cluster
        .refuse(Method::PUT, "/status", (500, "InternalError"), 3);
    stand.get(&format!("{path}/twin"), &second).await;
    stand.cluster.recover();
    let odd = stand.request(Method::POST, "/v1/registrations", &token());
    let odd = odd.header("idempotency-key", "key\twith\ta tab and no end ".repeat(20));
    let odd = odd.header("content-type", "application/json");
    odd.body(registration("B2").to_string())
        .send()
        .await
        .unwrap();

    let log = lines.text();
    assert!(log.contains("a device has registered"), "{log}");
    assert!(log.contains("could not be written"), "{log}");
    let objects = stand.cluster.objects();
    let objects = objects
        .iter()
        .filter(|(key, _)| !key.starts_with("secrets "));
    let objects: String = objects.map(|(_, object)| object.to_string()).collect();
    let metrics = stand.metrics.encode();
    for secret in [
        &*first.token,
        &*second,
        &*token(),
        "hunter2-of-acme",
        "guessed-token",
    ] {
        for (place, text) in [("log", &log), ("objects", &objects), ("metrics", &metrics)] {
            assert!(!text.contains(secret), "{secret} in the {place}: {text}");
        }
    }
    let longest = log.lines().map(str::len).max();
    assert!(longest.is_some_and(|it| it < 1200), "{log}");
}
