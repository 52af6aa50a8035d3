use std::time::Duration;

use entente_crds::v1alpha1::Connection;
use futures::future::join_all;
use jiff::SignedDuration;
use reqwest::Response;
use tokio::time::Instant;

use super::{
    services::add_service,
    stand::{Registered, Stand, json_of, problem, value},
};
use crate::Options;

/// Waits for a change of a document of a device that has this tag.
async fn wait(
    stand: &Stand,
    device: &Registered,
    document: &str,
    etag: &str,
    wait: u32,
) -> Response {
    let path = format!("/v1/devices/{}/{document}", device.id);
    let request = stand.request(reqwest::Method::GET, &path, &device.token);
    let request = request
        .header("if-none-match", etag)
        .header("prefer", format!("wait={wait}"));
    request.send().await.unwrap()
}

fn etag(answer: &Response) -> String {
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

async fn tag_of(stand: &Stand, device: &Registered, document: &str) -> String {
    let path = format!("/v1/devices/{}/{document}", device.id);
    etag(&stand.get(&path, &device.token).await)
}

fn held(stand: &Stand) -> usize {
    stand.gateway.wakes.len()
}

// shows C9
#[tokio::test]
async fn a_request_is_held_until_the_twin_changes() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let change = async {
        stand.until(|| held(&stand) == 1).await;
        stand.want(vec![value("a", "1")]);
    };
    let (answer, ()) = tokio::join!(wait(&stand, &device, "twin", &tag, 60), change);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["preference-applied"], "wait=60");
    assert_ne!(etag(&answer), tag);
    assert_eq!(json_of(answer).await["delta"]["settings"][0], "a");
    assert_eq!(held(&stand), 0);
}

// shows C2 C9
#[tokio::test]
async fn a_period_that_becomes_another_one_while_a_request_is_held_is_written_down_as_it_is_told() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let told = || stand.status("lobby-mfp").poll_seconds;
    assert_eq!(told(), Some(86_400));
    let change = async {
        stand.until(|| held(&stand) == 1).await;
        let edit = |connection: &mut Connection| {
            connection.spec.agent.as_mut().unwrap().poll = "1h".into();
        };
        let name = stand.gateway.parts.options.connection.clone();
        stand.cluster.edit("", &name, edit);
        let hour = SignedDuration::from_hours(1);
        stand.until(|| stand.gateway.rhythm().period == hour).await;
        assert_eq!(told(), Some(86_400), "it does not know yet");
        stand.want(vec![value("a", "1")]);
    };
    let (answer, ()) = tokio::join!(wait(&stand, &device, "twin", &tag, 60), change);
    assert_eq!(json_of(answer).await["poll"]["next"], "PT1H");
    assert_eq!(told(), Some(3600));
}

// shows C9
#[tokio::test]
async fn a_request_ends_at_its_time_with_the_tag_and_the_time_of_the_next_call() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    for document in ["twin", "services"] {
        let tag = tag_of(&stand, &device, document).await;
        let began = Instant::now();
        let answer = wait(&stand, &device, document, &tag, 1).await;
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(answer.status(), 304);
        assert_eq!(etag(&answer), tag);
        assert_eq!(answer.headers()["preference-applied"], "wait=1");
        assert_eq!(answer.headers()["entente-poll-next"], "PT24H");
        assert!(answer.headers().contains_key("date"));
        assert_eq!(answer.bytes().await.unwrap().len(), 0);
        // Without a wait, and with a tag of long ago, it is answered at once.
        let at_once = wait(&stand, &device, document, &tag, 0).await;
        assert_eq!(at_once.status(), 304);
        assert!(!at_once.headers().contains_key("preference-applied"));
        assert_eq!(
            wait(&stand, &device, document, "\"0\"", 60).await.status(),
            200
        );
        assert_eq!(wait(&stand, &device, document, "0", 60).await.status(), 200);
    }
}

// shows C3 C9
#[tokio::test]
async fn a_list_of_services_is_answered_when_one_is_added_and_at_the_instant_at_which_it_begins() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "services").await;
    let add = async {
        stand.until(|| held(&stand) == 1).await;
        add_service(&stand, stand.now() + SignedDuration::from_secs(2));
    };
    let (answer, ()) = tokio::join!(wait(&stand, &device, "services", &tag, 60), add);
    assert_eq!(answer.status(), 200);
    let tag = etag(&answer);
    let began = Instant::now();
    let answer = wait(&stand, &device, "services", &tag, 60).await;
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(json_of(answer).await["services"][0]["state"], "Inactive");
}

// shows C1 C17
#[tokio::test]
async fn a_request_that_is_held_ends_when_the_consent_is_withdrawn() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let withdraw = async {
        stand.until(|| held(&stand) == 1).await;
        let path = format!("/v1/devices/{}?by=Panel", device.id);
        let request = stand.request(reqwest::Method::DELETE, &path, &device.token);
        assert_eq!(request.send().await.unwrap().status(), 204);
    };
    let (answer, ()) = tokio::join!(wait(&stand, &device, "twin", &tag, 60), withdraw);
    assert_eq!(problem(answer).await, (403, "ConsentWithdrawn".to_owned()));
}

// shows C9 C13
#[tokio::test]
async fn at_the_shutdown_every_request_that_is_held_is_answered() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let began = Instant::now();
    let waits = join_all((0..50).map(|_| wait(&stand, &device, "twin", &tag, 60)));
    let stop = async {
        let held = || {
            stand
                .metrics
                .encode()
                .contains("entente_gateway_held_requests 50")
        };
        stand.until(held).await;
        stand.trigger();
    };
    let (answers, ()) = tokio::join!(waits, stop);
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "not at their time"
    );
    for answer in answers {
        assert_eq!(answer.status(), 304);
    }
    stand.stop().await;
}

// shows C9 C13
#[tokio::test]
async fn a_gateway_that_leaves_answers_what_it_holds_and_everything_else_as_before() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let leave = async {
        stand.until(|| held(&stand) == 1).await;
        stand.leave();
    };
    let (answer, ()) = tokio::join!(wait(&stand, &device, "twin", &tag, 60), leave);
    assert_eq!(answer.status(), 304);
    let began = Instant::now();
    let answer = wait(&stand, &device, "twin", &tag, 60).await;
    assert_eq!(answer.status(), 304, "it is held for a part of the drain");
    assert!(began.elapsed() >= stand.gateway.parts.options.drain / 2);
    stand.want(vec![value("a", "1")]);
    stand.until_seen("lobby-mfp").await;
    let answer = wait(&stand, &device, "twin", &tag, 60).await;
    assert_eq!(answer.status(), 200);
    stand.stop().await;
}

// shows C9 K5
#[tokio::test]
async fn a_gateway_that_holds_as_many_as_it_may_answers_at_once() {
    let options = Options {
        held: 1,
        ..super::stand::options()
    };
    let stand = Stand::with(options).await;
    stand.add_device("lobby-mfp", "A1");
    stand.until(|| stand.gateway.is_available()).await;
    stand.until_seen("lobby-mfp").await;
    let device = stand.register("A1").await;
    let tag = tag_of(&stand, &device, "twin").await;
    let second = async {
        stand.until(|| held(&stand) == 1).await;
        let answer = wait(&stand, &device, "twin", &tag, 60).await;
        assert_eq!(answer.status(), 304);
        assert!(!answer.headers().contains_key("preference-applied"));
        stand.want(vec![value("a", "1")]);
    };
    let (first, ()) = tokio::join!(wait(&stand, &device, "twin", &tag, 60), second);
    assert_eq!(first.status(), 200);
}
