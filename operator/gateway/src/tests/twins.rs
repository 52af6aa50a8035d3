use entente_crds::v1alpha1::{DeviceTwin, SecretKeyReference, TwinSetting};
use reqwest::Method;
use serde_json::{Value, json};

use super::stand::{ACME, Registered, Stand, digest, json_of, problem, put_secret, value};

async fn twin(stand: &Stand, device: &Registered) -> Value {
    let answer = stand
        .get(&format!("/v1/devices/{}/twin", device.id), &device.token)
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    json_of(answer).await
}

// shows C7
#[tokio::test]
async fn a_device_reads_its_twin_and_what_it_reports_is_in_its_status() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    stand.want(vec![value("backup.endpoint", "https://b")]);
    stand.until_seen("lobby-mfp").await;
    let before = twin(&stand, &device).await;
    assert_eq!(before["delta"]["settings"], json!(["backup.endpoint"]));
    let version = before["version"].as_i64().unwrap();

    let report = json!({"desiredVersion": version,
        "settings": {"backup.endpoint": {"value": "https://b", "by": "Server"}}});
    let answer = stand.report(&device, &report).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["etag"], format!("\"{version}\""));
    assert_eq!(answer.headers()["entente-poll-next"], "PT24H");
    let after = twin(&stand, &device).await;
    assert_eq!(after["delta"]["settings"], json!([]));
    assert_eq!(after["version"], version, "a report does not change it");
    let reported = stand.status("lobby-mfp").reported.unwrap();
    assert_eq!(
        (reported.version, reported.settings.len()),
        (Some(version), 1)
    );

    stand.cluster.forget_requests();
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    assert_eq!(
        stand.cluster.writes(),
        [""; 0],
        "nothing is written for nothing"
    );
}

// shows C7
#[tokio::test]
async fn a_report_on_a_version_that_has_moved_on_is_refused_with_the_new_tag() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    stand.want(vec![value("a", "1")]);
    stand.until_seen("lobby-mfp").await;
    let path = format!("/v1/devices/{}/twin/reported", device.id);
    for (if_match, expected) in [
        ("\"1\"", 412),
        ("W/\"2\"", 412),
        ("2", 412),
        ("\"2\"", 204),
        ("*", 204),
    ] {
        let request = stand.request(Method::PATCH, &path, &device.token);
        let request = request.header("content-type", "application/merge-patch+json");
        let answer = request
            .header("if-match", if_match)
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{if_match}");
        assert_eq!(answer.headers()["etag"], "\"2\"");
    }
}

// shows C7
#[tokio::test]
async fn a_report_that_loses_a_race_is_decided_anew_on_what_the_other_wrote() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    assert_eq!(stand.report(&device, &json!({})).await.status(), 204);
    // The watch brings what the other wrote only later.
    stand.cluster.lag();
    stand
        .cluster
        .overtake(Method::PUT, "devicetwins/lobby-mfp/status", |twin| {
            twin["status"]["reported"]["settings"] =
                json!([{"name": "of.another", "value": "1", "by": "Panel"}]);
        });
    let report = json!({"settings": {"ours": {"value": "2", "by": "Server"}}});
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    let reported = stand.status("lobby-mfp").reported.unwrap();
    let names: Vec<&str> = reported.settings.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["of.another", "ours"]);
}

// shows C7 K5
#[tokio::test]
async fn a_device_that_another_replica_told_of_a_version_is_never_told_of_an_older_one() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let before = twin(&stand, &device).await["version"].as_i64().unwrap();
    // Another replica has seen this already.
    stand.cluster.lag();
    stand.want(vec![value("a", "1")]);
    let newest = before + 1;
    let path = format!("/v1/devices/{}/twin", device.id);
    let get = async |version: i64| {
        let request = stand.request(Method::GET, &path, &device.token);
        let request = request.header("if-none-match", format!("\"{version}\""));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers()["etag"].clone())
    };
    let tag = |version: i64| format!("\"{version}\"");
    assert_eq!(get(before).await.1, *tag(before), "the watch lags");
    assert_eq!(get(newest).await, (304, tag(newest).parse().unwrap()));

    stand.want(vec![value("a", "2")]);
    let newest = newest + 1;
    let report = json!({"desiredVersion": newest});
    assert_eq!(stand.report(&device, &report).await.status(), 204);

    stand.want(vec![value("a", "3")]);
    let newest = newest + 1;
    let request = stand.request(Method::PATCH, &format!("{path}/reported"), &device.token);
    let request = request.header("content-type", "application/merge-patch+json");
    let request = request.header("if-match", tag(newest)).body("{}");
    assert_eq!(request.send().await.unwrap().status(), 204);
    // One that there is not yet is told as before.
    assert_eq!(get(newest + 1).await, (200, tag(newest).parse().unwrap()));
    let report = json!({"desiredVersion": newest + 1});
    assert_eq!(stand.report(&device, &report).await.status(), 422);
}

// shows C7 K4
#[tokio::test]
async fn a_secret_is_sent_until_it_is_reported_and_one_that_is_not_there_is_left_out() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    put_secret(&stand.cluster, "cloud", "password", "hunter2\n");
    let secret = |name: &str, of: &str| TwinSetting {
        name: name.to_owned(),
        secret_key_ref: Some(SecretKeyReference {
            name: of.to_owned(),
            key: "password".to_owned(),
        }),
        digest: Some(digest("hunter2")),
        asked: 1,
        ..TwinSetting::default()
    };
    stand.want(vec![secret("password", "cloud"), secret("lost", "missing")]);
    stand.until_seen("lobby-mfp").await;
    let read = twin(&stand, &device).await;
    let sent = json!({"password": {"secret": true, "value": "hunter2"}});
    assert_eq!(read["desired"]["settings"], sent);
    let version = read["version"].clone();
    let value = json!({"settings": {"password": {"value": "hunter2", "by": "Server"}}});
    let refused = stand.report(&device, &value).await;
    assert_eq!(problem(refused).await, (422, "InvalidRequest".to_owned()));
    let report = json!({"desiredVersion": version,
                        "settings": {"password": {"secret": true, "by": "Server"}}});
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    let read = twin(&stand, &device).await;
    assert_eq!(
        read["desired"]["settings"],
        json!({"password": {"secret": true}})
    );
    let status = serde_json::to_string(&stand.status("lobby-mfp")).unwrap();
    assert!(
        !status.contains("hunter2") && status.contains(&digest("hunter2").to_string()),
        "{status}"
    );

    // While the API server does not say, nothing is left out.
    stand
        .cluster
        .refuse(Method::GET, "secrets/", (500, "InternalError"), 100);
    stand.clock.jump(jiff::SignedDuration::from_mins(1));
    let path = format!("/v1/devices/{}/twin", device.id);
    let answer = stand.get(&path, &device.token).await;
    assert_eq!(problem(answer).await, (503, "Unavailable".to_owned()));
}

// shows C7 D1
#[tokio::test]
async fn a_secret_that_was_edited_since_its_twin_was_written_is_reported_as_it_was_given() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    put_secret(&stand.cluster, "cloud", "password", "edited");
    let path = format!("/v1/devices/{}/twin", device.id);
    stand.want(vec![TwinSetting {
        name: "password".to_owned(),
        secret_key_ref: Some(SecretKeyReference {
            name: "cloud".to_owned(),
            key: "password".to_owned(),
        }),
        digest: Some(digest("first")),
        asked: 1,
        ..TwinSetting::default()
    }]);
    stand.until_seen("lobby-mfp").await;
    let read = twin(&stand, &device).await;
    stand.cluster.forget_requests();
    assert_eq!(read["desired"]["settings"]["password"]["value"], "edited");
    twin(&stand, &device).await;
    assert_eq!(stand.cluster.writes(), [""; 0], "it is noted once");
    let report = json!({"desiredVersion": read["version"],
                        "settings": {"password": {"secret": true, "by": "Server"}}});
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    let reported = stand.status("lobby-mfp").reported.unwrap();
    assert_eq!(reported.settings[0].digest, Some(digest("edited")));

    // What cannot be noted is not given.
    stand.cluster.refuse(
        Method::GET,
        "secrets/entente-digest-key",
        (403, "Forbidden"),
        9,
    );
    stand.clock.jump(jiff::SignedDuration::from_mins(1));
    let answer = stand.get(&path, &device.token).await;
    assert_eq!(problem(answer).await, (503, "Unavailable".to_owned()));
}

// shows C9
#[tokio::test]
async fn a_device_that_calls_often_costs_two_writes_in_a_period_at_most() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = format!("/v1/devices/{}/twin", device.id);
    stand.get(&path, &device.token).await;
    stand.cluster.forget_requests();
    for _ in 0..20 {
        stand.get(&path, &device.token).await;
    }
    assert_eq!(stand.cluster.writes(), [""; 0]);
    stand.clock.jump(jiff::SignedDuration::from_hours(12));
    stand.get(&path, &device.token).await;
    stand.get(&path, &device.token).await;
    assert_eq!(stand.cluster.writes().len(), 1);
    let twin: DeviceTwin = stand.cluster.get(ACME, "lobby-mfp").unwrap();
    assert!(
        twin.status.unwrap().last_heard.unwrap()
            >= stand.now() - jiff::SignedDuration::from_mins(1)
    );
}
