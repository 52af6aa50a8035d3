use entente_crds::v1alpha1::{Device, DeviceEnrollment, DeviceTemplate, EnrollmentMode};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::stand::{ACME, Stand, device, json_of, problem, registration, token};

/// A change of an enrolment.
type Change = fn(&mut DeviceEnrollment);

// shows C2 C17
#[tokio::test]
async fn a_device_registers_by_the_token_of_its_enrolment_and_is_told_where_to_go_on() {
    let stand = Stand::new().await;
    let mut request = registration("A1");
    request["capabilities"] = json!({"ddi": true});
    let answer = stand.post_registration(&request, &token()).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let body = json_of(answer).await;
    let id = body["printerId"].as_str().unwrap();
    assert_eq!(location, format!("/v1/devices/{id}"));
    let base = format!("https://gw.eu.example/v1/devices/{id}");
    assert_eq!(
        body["links"],
        json!({"services": format!("{base}/services"), "twin": format!("{base}/twin"),
               "events": format!("{base}/events"),
               "ddi": "https://gw.eu.example/acme/controller/v1/lobby-mfp"})
    );
    assert_eq!(body["poll"], json!({"period": "PT24H", "next": "PT5S"}));
    assert_eq!(body["credential"]["renewAfter"], "2027-09-16T01:02:03Z");
    let status = stand.status("lobby-mfp");
    let registration = status.registration.unwrap();
    assert_eq!(registration.at.as_second(), stand.now().as_second());
    assert_eq!(registration.region.as_deref(), Some("eu"));
    assert!(status.capabilities.unwrap().ddi);
    let token = body["credential"]["token"].as_str().unwrap();
    assert!(
        !stand.cluster.dump().contains(token),
        "it is stored nowhere"
    );
}

// shows C2 C17
#[tokio::test]
async fn a_lost_answer_is_given_again_with_a_new_token_until_the_first_is_used() {
    let stand = Stand::new().await;
    let first = stand.register("A1").await;
    let second = stand.register("A1").await;
    assert_eq!(first.id, second.id);
    let services = format!("/v1/devices/{}/services", first.id);
    let dead = problem(stand.get(&services, &first.token).await).await;
    assert_eq!(dead, (401, "CredentialInvalid".to_owned()));
    assert_eq!(stand.get(&services, &second.token).await.status(), 200);
    let refused = stand.post_registration(&registration("A1"), &token()).await;
    assert_eq!(
        problem(refused).await,
        (409, "AlreadyRegistered".to_owned())
    );
    assert_eq!(stand.get(&services, &second.token).await.status(), 200);

    stand
        .cluster
        .edit(ACME, "lobby-mfp", |device: &mut Device| {
            let annotation = ("entente.dev/reregister".to_owned(), "2027-03-20".to_owned());
            device.metadata.annotations = Some([annotation].into());
        });
    let permitted = || async {
        let answer = stand.post_registration(&registration("A1"), &token()).await;
        answer.status() == StatusCode::CREATED
    };
    let mut is_permitted = false;
    for _ in 0..1000 {
        is_permitted = permitted().await;
        if is_permitted {
            break;
        }
    }
    assert!(is_permitted);
    assert_eq!(
        problem(stand.get(&services, &second.token).await).await.0,
        401
    );
}

// shows C2 C17
#[tokio::test]
async fn of_two_registrations_at_once_one_token_counts_and_both_have_one_id() {
    let stand = Stand::new().await;
    let all = (0..8).map(|_| stand.register("A1"));
    let all = futures::future::join_all(all).await;
    let mut counting = 0;
    for device in &all {
        assert_eq!(device.id, all[0].id);
        let answer = stand
            .get(&format!("/v1/devices/{}/twin", device.id), &device.token)
            .await;
        counting += usize::from(answer.status() == 200);
    }
    assert_eq!(counting, 1);
}

// shows C2 C17
#[tokio::test]
async fn an_answer_of_the_api_server_that_was_lost_costs_the_device_one_more_request() {
    let stand = Stand::new().await;
    stand
        .cluster
        .lose_answer(Method::PUT, "devicetwins/lobby-mfp/status", 1);
    let lost = stand.post_registration(&registration("A1"), &token()).await;
    assert_eq!(problem(lost).await.0, 503);
    let again = stand.register("A1").await;
    let twin = format!("/v1/devices/{}/twin", again.id);
    assert_eq!(stand.get(&twin, &again.token).await.status(), 200);
}

// shows C2
#[tokio::test]
async fn a_registration_waits_for_a_device_and_is_ready_when_the_operator_has_made_its_twin() {
    let stand = Stand::new().await;
    let answer = stand.post_registration(&registration("B2"), &token()).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let path = answer.headers()["location"].to_str().unwrap().to_owned();
    let body = json_of(answer).await;
    assert_eq!(body["interval"], 5);
    let id = body["registrationId"].as_str().unwrap().to_owned();
    assert_eq!(path, format!("/v1/registrations/{id}"));
    let pending = stand.status(&format!("pending-{id}"));
    assert_eq!(&*pending.registration.unwrap().serial_number, "B2");
    stand.cluster.forget_requests();
    stand.post_registration(&registration("B2"), &token()).await;
    assert_eq!(stand.cluster.writes(), [""; 0], "the same again");

    let state =
        || async { json_of(stand.get(&path, &super::stand::token()).await).await["state"].clone() };
    assert_eq!(state().await, "Pending");
    stand.cluster.apply(&device("hall-mfp", "B2"));
    let key = entente_controllers::cache::Key::new(ACME, "hall-mfp");
    stand
        .until(|| stand.gateway.objects.devices.get(&key).is_some())
        .await;
    // The twin is awaited while the request is open.
    let made = async {
        tokio::task::yield_now().await;
        stand.make_twin("hall-mfp");
    };
    let (body, secret) = (registration("B2"), token());
    let (answer, ()) = tokio::join!(stand.post_registration(&body, &secret), made);
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(state().await, "Ready", "the answer may have been lost");
    for odd in ["nope", "pending-x", "%ff"] {
        let answer = stand
            .get(&format!("/v1/registrations/{odd}"), &token())
            .await;
        assert_eq!(
            problem(answer).await,
            (404, "RegistrationNotFound".to_owned()),
            "{odd}"
        );
    }
}

// shows C2
#[tokio::test]
async fn with_mode_create_a_device_is_made_and_without_its_twin_the_device_comes_again_soon() {
    let stand = Stand::new().await;
    let create = |enrollment: &mut DeviceEnrollment| {
        enrollment.spec.mode = EnrollmentMode::Create;
        enrollment.spec.template = Some(DeviceTemplate {
            name_prefix: "acme-".to_owned(),
            ..DeviceTemplate::default()
        });
    };
    stand.cluster.edit(ACME, "acme-2027", create);
    let key = entente_controllers::cache::Key::new(ACME, "acme-2027");
    let is_seen = || {
        let seen = stand.gateway.objects.enrollments.get(&key);
        seen.is_some_and(|it| it.spec.mode == EnrollmentMode::Create)
    };
    stand.until(is_seen).await;
    let answer = stand
        .post_registration(&registration("C_3"), &token())
        .await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(json_of(answer).await["interval"], 2);
    let made: Device = stand.cluster.get(ACME, "acme-c-3").unwrap();
    assert_eq!(made.spec.serial_number, "C_3");
    stand.make_twin("acme-c-3");
    stand.until_seen("acme-c-3").await;
    stand.register("C_3").await;
    let devices = stand.cluster.names::<Device>();
    assert_eq!(devices, ["acme-c-3", "lobby-mfp"]);
}

// shows C2 C17 K4
#[tokio::test]
async fn a_token_of_no_enrolment_or_of_one_that_takes_nobody_registers_nobody() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    for odd in [
        "",
        "x",
        &"x".repeat(8000),
        &device.token,
        &format!("{} x", token()),
    ] {
        let answer = stand.post_registration(&registration("A1"), odd).await;
        let challenge = answer.headers()["www-authenticate"].clone();
        assert_eq!(challenge, "Bearer realm=\"entente\"");
        assert_eq!(
            problem(answer).await,
            (401, "EnrollmentTokenInvalid".to_owned())
        );
    }
    let changes: [(&str, Change); 3] = [
        ("EnrollmentSuspended", |it| it.spec.suspend = true),
        ("EnrollmentExpired", |it| {
            it.spec.expires = Some("2027-03-19".to_owned());
        }),
        ("EnrollmentTokenInvalid", |it| {
            it.spec.connection_ref.name = "other".to_owned();
        }),
    ];
    for (reason, change) in changes {
        let mut other = super::stand::enrollment();
        change(&mut other);
        stand.cluster.apply(&other);
        let key = entente_controllers::cache::Key::new(ACME, "acme-2027");
        let is_seen = || {
            let seen = stand.gateway.objects.enrollments.get(&key);
            seen.is_some_and(|it| it.spec == other.spec)
        };
        stand.until(is_seen).await;
        let answer = stand.post_registration(&registration("Z9"), &token()).await;
        assert_eq!(problem(answer).await.1, reason);
    }
}

// shows K4
#[tokio::test]
async fn a_secret_without_the_label_and_a_token_that_is_short_admit_nobody() {
    let stand = Stand::new().await;
    super::stand::put_secret(&stand.cluster, "short", "token", "too-short");
    let mut other = super::stand::enrollment();
    other.metadata.name = Some("short".to_owned());
    other.spec.token_secret_ref.name = "short".to_owned();
    stand.cluster.apply(&other);
    stand.cluster.edit(
        ACME,
        "acme-enrollment",
        |secret: &mut k8s_openapi::api::core::v1::Secret| {
            secret.metadata.labels = None;
        },
    );
    stand
        .until(|| stand.gateway.objects.enrollments.len() == 2)
        .await;
    for shown in ["too-short".to_owned(), token()] {
        let answer = stand.post_registration(&registration("A1"), &shown).await;
        assert_eq!(problem(answer).await.0, 401, "{shown}");
    }
}
