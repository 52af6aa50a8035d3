//! Odd cases, among them those of public reports about servers and clients of DDI.

use super::*;

/// Sends one odd request and returns the status and the reason of its answer.
async fn odd(scene: &Scene, method: Method, path: &str, body: Option<&str>) -> (u16, String) {
    let request = scene.request(method, path);
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_owned()),
        None => request,
    };
    let answer = request.send().await.unwrap();
    match answer.status().as_u16() {
        200 => (200, String::new()),
        _ => problem(answer).await,
    }
}

/// Feedback that changes nothing but the state.
const FINE: &str = r#"{"status":{"execution":"proceeding","result":{"finished":"none"}}}"#;

/// A method, a path after the base, a body, and status and reason of the answer.
type Row = (
    Method,
    &'static str,
    Option<&'static str>,
    u16,
    &'static str,
);

const ROWS: [Row; 32] = [
    (Method::GET, "", None, 200, ""),
    (Method::GET, "?c=412523400", None, 200, ""),
    (Method::GET, ".firmware", None, 200, ""),
    (Method::GET, ".application", None, 200, ""),
    (Method::GET, ".os", None, 403, "DeviceMismatch"),
    (Method::GET, "2", None, 403, "DeviceMismatch"),
    (Method::GET, "%2e%2e", None, 403, "DeviceMismatch"),
    (Method::GET, "/", None, 404, "NotFound"),
    (Method::GET, "/installedBase/12", None, 404, "NotFound"),
    (Method::GET, "/confirmationBase", None, 404, "NotFound"),
    (Method::POST, "", Some("{}"), 405, "MethodNotAllowed"),
    (Method::GET, "/configData", None, 405, "MethodNotAllowed"),
    (
        Method::GET,
        "/deploymentBase/12?c=1&actionHistory=10",
        None,
        200,
        "",
    ),
    (Method::GET, "/deploymentBase/11", None, 410, "ActionOver"),
    (
        Method::GET,
        "/deploymentBase/13",
        None,
        404,
        "ActionNotFound",
    ),
    (
        Method::GET,
        "/deploymentBase/0",
        None,
        404,
        "ActionNotFound",
    ),
    (
        Method::GET,
        "/deploymentBase/012",
        None,
        404,
        "ActionNotFound",
    ),
    (
        Method::GET,
        "/deploymentBase/x",
        None,
        404,
        "ActionNotFound",
    ),
    (
        Method::GET,
        "/deploymentBase/%ff",
        None,
        403,
        "DeviceMismatch",
    ),
    (Method::GET, "/cancelAction/12", None, 404, "ActionNotFound"),
    (
        Method::GET,
        ".application/deploymentBase/12",
        None,
        404,
        "ActionNotFound",
    ),
    (
        Method::POST,
        "/deploymentBase/12/feedback",
        Some(FINE),
        200,
        "",
    ),
    (
        Method::POST,
        "/deploymentBase/12/feedback",
        Some("{}"),
        422,
        "InvalidRequest",
    ),
    (
        Method::POST,
        "/deploymentBase/12/feedback",
        Some("{"),
        400,
        "BadRequest",
    ),
    (
        Method::POST,
        "/deploymentBase/12/feedback",
        None,
        415,
        "UnsupportedMediaType",
    ),
    (
        Method::POST,
        "/deploymentBase/11/feedback",
        Some(FINE),
        410,
        "ActionOver",
    ),
    (
        Method::POST,
        "/deploymentBase/99/feedback",
        Some(FINE),
        404,
        "ActionNotFound",
    ),
    (
        Method::PUT,
        "/configData",
        Some(r#"{"data":{"firmware.main":4}}"#),
        422,
        "InvalidRequest",
    ),
    (
        Method::POST,
        "/configData",
        Some(r#"{"data":{"hw":"mfp"}}"#),
        200,
        "",
    ),
    (
        Method::GET,
        "/softwaremodules/12/artifacts/other.swu",
        None,
        404,
        "ArtifactNotFound",
    ),
    (
        Method::GET,
        "/softwaremodules/x/artifacts/mfp-500-4.2.0.swu",
        None,
        404,
        "ArtifactNotFound",
    ),
    (
        Method::GET,
        "/softwaremodules/12/artifacts/..%2f..%2fsecret",
        None,
        404,
        "ArtifactNotFound",
    ),
];

// shows B6 C17 K4
#[tokio::test]
async fn odd_requests_get_one_fault_each() {
    let scene = Scene::new().await;
    scene.want(12).await;
    for (method, path, body, status, reason) in ROWS {
        let path = format!("{BASE}{path}");
        let found = odd(&scene, method.clone(), &path, body).await;
        assert_eq!(found, (status, reason.to_owned()), "{method} {path}");
        // The bucket of the device fills up.
        scene.refill().await;
    }
    let other = odd(&scene, Method::GET, "/globex/controller/v1/lobby-mfp", None).await;
    assert_eq!(other, (403, "DeviceMismatch".to_owned()));
    scene.stand.stop().await;
}

// shows C17
#[tokio::test]
async fn only_the_token_of_the_device_by_its_scheme_counts() {
    let scene = Scene::new().await;
    let token = &scene.device.token;
    for header in [
        format!("Bearer {token}"),
        format!("GatewayToken {token}"),
        format!("TargetToken {token}x"),
        format!("TargetToken {}", super::super::stand::token()),
        token.clone(),
        String::new(),
    ] {
        let request = scene.stand.request(Method::GET, BASE, "");
        let answer = request
            .header("authorization", &header)
            .send()
            .await
            .unwrap();
        let challenge = &answer.headers()["www-authenticate"];
        assert_eq!(challenge, "TargetToken realm=\"entente\"");
        let found = problem(answer).await;
        assert_eq!(found, (401, "CredentialInvalid".to_owned()), "{header}");
    }
    let request = scene.stand.request(Method::GET, BASE, "");
    let request = request.header("authorization", format!("targettoken {token}"));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let path = format!("/v1/devices/{}/twin", scene.device.id);
    let answer = scene.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(
        problem(answer).await.0,
        401,
        "nor does that scheme count elsewhere"
    );
    scene.stand.stop().await;
}

// shows C1
#[tokio::test]
async fn after_the_consent_was_withdrawn_nothing_is_offered_and_no_file_is_served() {
    let scene = Scene::new().await;
    scene.want(12).await;
    scene.tasks().await;
    let path = format!("/v1/devices/{}?by=Panel", scene.device.id);
    let request = scene
        .stand
        .request(Method::DELETE, &path, &scene.device.token);
    assert!(request.send().await.unwrap().status().is_success());
    for path in [
        "",
        "/deploymentBase/12",
        "/softwaremodules/12/artifacts/mfp-500-4.2.0.swu",
    ] {
        let (status, reason) = problem(scene.get(path).await).await;
        let is_refused = status == 401 || (status, &*reason) == (403, "ConsentWithdrawn");
        assert!(is_refused, "{path}: {status} {reason}");
    }
    scene.stand.stop().await;
}

/// Odd behaviour of clients, from public reports.
///
/// - UpstreamDataInc/goosebit#288, eclipse-hawkbit/hawkbit#1843: a client without TLS looks for
///   `download-http` alone.
/// - eclipse-hawkbit/hawkbit#1141, #502: a client sends its data first and installs with a later call; it
///   never installs while it is asked for its data each time.
/// - eclipse-hawkbit/hawkbit#389: versions change by a rollback, so the link is there until the wanted
///   one is reported.
/// - eclipse-hawkbit/hawkbit#446: a device that rolled back after a success has the old version.
/// - eclipse-hawkbit/hawkbit#1190, #866: a client downloads in a loop when its feedback is refused.
/// - eclipse-hawkbit/hawkbit#506: a client that lost its state installs again what it did not close.
/// - rauc/rauc-hawkbit-updater#158: a client asks for ever for a file that is gone (404), so it is 410
///   or 404 only when its action is over, and 503 while the file may come.
/// - rauc/rauc-hawkbit-updater#160: a client closes with `downloaded`, and has installed nothing.
/// - rauc/rauc-hawkbit-updater#147: a client calls more often than it was told.
// shows B6 D1
#[tokio::test]
async fn clients_do_what_public_reports_say_of_them() {
    use DeploymentState::{Downloading, Installed};
    let scene = Scene::new().await;
    scene.want(12).await;
    let install = ["deploymentBase"];
    let body = json_of(scene.get("/deploymentBase/12").await).await;
    let artifact = &body["deployment"]["chunks"][0]["artifacts"][0];
    assert!(artifact["_links"]["download-http"]["href"].is_string());
    for _ in 0..3 {
        assert_eq!(
            scene.tasks().await,
            FIRST,
            "called more often than it was told"
        );
    }
    scene.report("4.1.0").await;
    assert_eq!(scene.tasks().await, install);
    for _ in 0..20 {
        assert_eq!(
            scene.tell("/deploymentBase/12", "proceeding", "none").await,
            200
        );
        scene.refill().await;
    }
    assert_eq!(
        scene
            .tell("/deploymentBase/12", "downloaded", "success")
            .await,
        200
    );
    assert_eq!(scene.state(), Some((12, Downloading)));
    assert_eq!(
        scene.tasks().await,
        install,
        "it has installed nothing, or lost its state"
    );
    assert_eq!(
        scene.tell("/deploymentBase/12", "closed", "success").await,
        200
    );
    assert_eq!(
        scene.tell("/deploymentBase/12", "closed", "success").await,
        200
    );
    assert_eq!(
        scene.tell("/deploymentBase/12", "closed", "failure").await,
        410
    );
    assert_eq!(scene.state(), Some((12, Installed)));
    scene.report("4.2.0").await;
    assert!(scene.tasks().await.is_empty());
    scene.refill().await;
    scene.report("4.1.0").await;
    assert_eq!(
        scene.tasks().await,
        ["configData"],
        "rolled back: another action may follow"
    );
    scene.want(13).await;
    assert_eq!(scene.tasks().await, install);
    scene.stand.stop().await;
}

// shows C17
#[tokio::test]
async fn no_answer_and_nothing_that_is_stored_has_the_token() {
    let scene = Scene::new().await;
    scene.want(12).await;
    let token = &scene.device.token;
    for path in [
        "",
        "/deploymentBase/12",
        "/deploymentBase/99",
        "/softwaremodules/12/artifacts/x",
    ] {
        let answer = scene.get(path).await;
        let headers = format!("{:?}", answer.headers());
        assert!(!answer.headers().contains_key("location"), "{path}");
        let body = answer.text().await.unwrap();
        assert!(!headers.contains(token) && !body.contains(token), "{path}");
    }
    assert!(!scene.stand.cluster.dump().contains(token));
    assert!(!scene.stand.metrics.encode().contains(token));
    let requests = scene.vendor.requests().join("");
    assert!(!requests.contains(&token.to_lowercase()) && !requests.contains("targettoken"));
    scene.stand.stop().await;
}
