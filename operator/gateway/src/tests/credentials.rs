use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{Device, DeviceConnection, NameReference, Site, SiteSpec};
use jiff::SignedDuration;
use reqwest::Method;

use super::stand::{ACME, Registered, Stand, json_of, problem, registration, token};

async fn is_taken(stand: &Stand, device: &Registered) -> bool {
    let path = format!("/v1/devices/{}/services", device.id);
    stand.get(&path, &device.token).await.status() == 200
}

async fn renew(stand: &Stand, device: &Registered) -> Registered {
    let path = format!("/v1/devices/{}/credential", device.id);
    let answer = stand.request(Method::POST, &path, &device.token);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = json_of(answer).await;
    Registered {
        token: body["token"].as_str().unwrap().to_owned(),
        ..device.clone()
    }
}

// shows C17
#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_repeated_by_the_token_before() {
    let stand = Stand::new().await;
    let first = stand.register("A1").await;
    assert!(is_taken(&stand, &first).await);
    let lost = renew(&stand, &first).await;
    let second = renew(&stand, &first).await;
    assert!(
        !is_taken(&stand, &lost).await,
        "it was answered and never used"
    );
    assert!(is_taken(&stand, &first).await);
    assert!(is_taken(&stand, &second).await);
    assert!(!is_taken(&stand, &first).await, "the new one is in use");
    let third = renew(&stand, &second).await;
    stand.clock.jump(SignedDuration::from_hours(30 * 24));
    assert!(!is_taken(&stand, &second).await, "after thirty days");
    assert!(is_taken(&stand, &third).await);
}

// shows C17
#[tokio::test]
async fn of_renewals_at_once_the_last_answer_counts_and_the_device_is_never_locked_out() {
    let stand = Stand::new().await;
    let first = stand.register("A1").await;
    let all = (0..4).map(|_| renew(&stand, &first));
    let all = futures::future::join_all(all).await;
    assert!(is_taken(&stand, &first).await, "none of them was used");
    let mut counting = 0;
    for device in &all {
        counting += usize::from(is_taken(&stand, device).await);
    }
    assert_eq!(counting, 1);
}

// shows C17
#[tokio::test]
async fn a_token_is_for_its_own_device_and_for_nothing_else() {
    let stand = Stand::new().await;
    stand.add_device("hall-mfp", "B2");
    stand.until_seen("hall-mfp").await;
    let (one, other) = (stand.register("A1").await, stand.register("B2").await);
    for path in ["", "/credential", "/services", "/twin", "/twin/reported"] {
        let method = match path {
            "" => Method::DELETE,
            "/credential" => Method::POST,
            "/twin/reported" => Method::PATCH,
            _ => Method::GET,
        };
        for (id, token, expected) in [
            (&*other.id, &*one.token, (403, "DeviceMismatch")),
            ("nobody", &*one.token, (403, "DeviceMismatch")),
            ("%ff%00", &*one.token, (403, "DeviceMismatch")),
            (&*one.id, "", (401, "CredentialInvalid")),
            (
                &*one.id,
                &*super::stand::token(),
                (401, "CredentialInvalid"),
            ),
            (&*one.id, "wrong", (401, "CredentialInvalid")),
        ] {
            let path = format!("/v1/devices/{id}{path}");
            let answer = stand
                .request(method.clone(), &path, token)
                .send()
                .await
                .unwrap();
            let (status, reason) = problem(answer).await;
            assert_eq!((status, &*reason), expected, "{method} {path}");
        }
    }
    let basic = stand.request(Method::GET, &format!("/v1/devices/{}/twin", one.id), "");
    let basic = basic.header("authorization", format!("Basic {}", one.token));
    assert_eq!(problem(basic.send().await.unwrap()).await.0, 401);
}

// shows C1 C17
#[tokio::test]
async fn a_withdrawal_ends_everything_and_can_be_repeated_and_taken_back_by_registering() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    assert!(is_taken(&stand, &device).await);
    let path = format!("/v1/devices/{}", device.id);
    let withdraw = |query: &str| {
        let request = stand.request(Method::DELETE, &format!("{path}{query}"), &device.token);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(
        problem(withdraw("").await).await,
        (422, "InvalidRequest".to_owned())
    );
    for _ in 0..2 {
        let withdrawn = withdraw("?by=Panel&at=2026-01-01T00:00:00Z").await;
        assert_eq!(withdrawn.status(), 204);
    }
    for (method, rest) in [
        (Method::GET, "/services"),
        (Method::GET, "/twin"),
        (Method::PATCH, "/twin/reported"),
        (Method::POST, "/credential"),
    ] {
        let answer = stand.request(method, &format!("{path}{rest}"), &device.token);
        let answer = problem(answer.send().await.unwrap()).await;
        assert_eq!(answer, (403, "ConsentWithdrawn".to_owned()), "{rest}");
    }
    let consent = stand
        .status("lobby-mfp")
        .registration
        .unwrap()
        .consent
        .unwrap();
    assert_eq!(
        consent.withdrawn.unwrap().as_second(),
        stand.now().as_second()
    );
    let again = stand.register("A1").await;
    assert_eq!(again.id, device.id);
    assert!(is_taken(&stand, &again).await && !is_taken(&stand, &device).await);
}

// shows C17
#[tokio::test]
async fn a_device_object_of_another_machine_ends_the_token_of_the_one_before() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    assert!(is_taken(&stand, &device).await);
    stand.cluster.edit(ACME, "lobby-mfp", |it: &mut Device| {
        it.spec.serial_number = "A2".to_owned();
    });
    let key = entente_controllers::cache::Key::new(ACME, "lobby-mfp");
    let is_seen = || {
        let seen = stand.gateway.objects.devices.get(&key);
        seen.is_some_and(|it| it.spec.serial_number == "A2")
    };
    stand.until(is_seen).await;
    assert!(!is_taken(&stand, &device).await);
    let other = stand.register("A2").await;
    assert_ne!(other.id, device.id);
    let refused = stand.post_registration(&registration("A1"), &token()).await;
    assert_eq!(refused.status(), 202, "it waits for a Device of its own");
}

fn site(connection: &str) -> Site {
    let named = DeviceConnection {
        name: connection.to_owned(),
        ..DeviceConnection::default()
    };
    let mut site = Site::new(
        "north",
        SiteSpec {
            connections: vec![named],
            ..SiteSpec::default()
        },
    );
    site.metadata.namespace = Some(ACME.to_owned());
    site
}

// shows C2 C17
#[tokio::test]
async fn a_device_that_calls_by_its_site_counts_as_long_as_the_site_says_so() {
    let stand = Stand::new().await;
    stand
        .cluster
        .edit(ACME, "lobby-mfp", |device: &mut Device| {
            device.spec.connections.clear();
            device.spec.site_ref = Some(NameReference {
                name: "north".to_owned(),
            });
        });
    let calls = |by: &str| {
        let key = Key::new(ACME, "lobby-mfp");
        let device = stand.gateway.objects.devices.get(&key);
        let named = device.map(|device| device.spec.connections.clone());
        let named = named.unwrap_or_default();
        named
            .iter()
            .map(|it| it.name.as_str())
            .eq(by.split_whitespace())
    };
    stand.until(|| calls("")).await;
    let refused = stand.post_registration(&registration("A1"), &token()).await;
    assert_ne!(refused.status(), 201, "nobody says that it calls");
    stand.cluster.apply(&site("gateway"));
    stand.until(|| calls("gateway")).await;
    let device = stand.register("A1").await;
    assert!(is_taken(&stand, &device).await);
    stand.cluster.apply(&site("hq-ipp"));
    stand.until(|| calls("hq-ipp")).await;
    assert!(!is_taken(&stand, &device).await, "it is dialled now");
    stand.cluster.apply(&site("gateway"));
    stand.until(|| calls("gateway")).await;
    assert!(is_taken(&stand, &device).await, "its token is the same");
}
