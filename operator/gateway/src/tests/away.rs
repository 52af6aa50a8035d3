use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::stand::{Stand, problem, registration, token};
use crate::availability::LONGEST_AWAY;

/// Has nothing that the API server is asked for answered any more.
fn stop_api_server(stand: &Stand) {
    for method in [Method::GET, Method::PUT, Method::POST] {
        stand
            .cluster
            .refuse(method, "/", (503, "ServiceUnavailable"), usize::MAX);
    }
    stand.cluster.disconnect();
}

// shows C13
#[tokio::test]
async fn while_the_api_server_is_away_all_but_the_region_is_answered_that_it_is_not_known() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = |rest: &str| format!("/v1/devices/{}{rest}", device.id);
    assert_eq!(
        stand.get(&path("/services"), &device.token).await.status(),
        200
    );
    stop_api_server(&stand);
    // Objects that were read last count for a while.
    assert_eq!(
        stand.get(&path("/services"), &device.token).await.status(),
        200
    );
    tokio::time::pause();
    tokio::time::advance(LONGEST_AWAY + Duration::from_secs(1)).await;
    tokio::time::resume();
    for (method, path) in [
        (Method::GET, path("/services")),
        (Method::GET, path("/twin")),
        (Method::PATCH, path("/twin/reported")),
        (Method::POST, path("/credential")),
        (Method::DELETE, path("?by=Panel")),
        (Method::POST, "/v1/registrations".to_owned()),
        (Method::GET, "/v1/registrations/1".to_owned()),
    ] {
        let answer = stand.request(method.clone(), &path, &device.token);
        let answer = problem(answer.send().await.unwrap()).await;
        assert_eq!(answer, (503, "Unavailable".to_owned()), "{method} {path}");
    }
    assert_eq!(stand.get("/v1/region?country=JP", "").await.status(), 200);
    // A path without a route is told all the same.
    assert_eq!(problem(stand.get("/v1/nothing", "").await).await.0, 404);

    stand.cluster.recover();
    stand.until(|| stand.gateway.is_available()).await;
    assert_eq!(
        stand.get(&path("/services"), &device.token).await.status(),
        200
    );
}

// shows C13
#[tokio::test]
async fn before_everything_is_listed_nothing_is_answered() {
    let options = crate::Options {
        held: 1,
        ..super::stand::options()
    };
    let stand = Stand::with(options).await;
    // Nothing of the cluster has been polled yet, or not all.
    stand
        .cluster
        .refuse(Method::GET, "/devicetwins", (503, "ServiceUnavailable"), 3);
    let answer = stand.post_registration(&registration("A1"), &token()).await;
    let found = problem(answer).await.0;
    assert!([202, 503].contains(&found) || found == 401, "{found}");
    stand.until(|| stand.gateway.is_available()).await;
    let answer = stand.post_registration(&registration("A1"), &token()).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

// shows C13 C17
#[tokio::test]
async fn a_first_use_that_cannot_be_written_is_not_answered_and_one_that_is_late_is() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = format!("/v1/devices/{}/twin", device.id);
    let refuse = || {
        stand
            .cluster
            .refuse(Method::PUT, "/status", (500, "InternalError"), 1000);
    };
    refuse();
    assert_eq!(problem(stand.get(&path, &device.token).await).await.0, 503);
    stand.cluster.recover();
    assert_eq!(stand.get(&path, &device.token).await.status(), 200);
    stand.clock.jump(jiff::SignedDuration::from_hours(24));
    refuse();
    assert_eq!(
        stand.get(&path, &device.token).await.status(),
        200,
        "that it was heard of waits"
    );
}

// shows C13
#[tokio::test]
async fn a_secret_of_an_enrolment_that_is_not_answered_makes_no_token_wrong() {
    let stand = Stand::new().await;
    stand
        .cluster
        .refuse(Method::GET, "secrets/", (500, "InternalError"), 1000);
    let answer = stand.post_registration(&registration("A1"), &token()).await;
    assert_eq!(problem(answer).await, (503, "Unavailable".to_owned()));
}
