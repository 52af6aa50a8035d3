//! Errors of a device in its twin, and the messages that it should show.

use entente_controllers::cache::Key;
use entente_crds::v1alpha1::{
    DeviceModel, DeviceTwin, ErrorType, ErrorWords, ReportedMessageState, TwinError,
    TwinErrorState, TwinMessage,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    events::{begin, deferred, level, post, taken},
    inbox::{Inbox, Reply},
    stand::{ACME, Registered, Stand, json_of, problem},
};

/// Lists an error in the model of the device, and waits until the gateway has seen it.
pub(super) async fn list_errors(stand: &Stand) {
    let error = ErrorType {
        r#type: "TonerEmpty".to_owned(),
        words: ErrorWords {
            state_reasons: vec!["toner-empty".to_owned()],
            ..ErrorWords::default()
        },
        ..ErrorType::default()
    };
    stand.cluster.edit("", "nw-mfp", |model: &mut DeviceModel| {
        model.spec.errors = vec![error.clone()];
    });
    let key = Key::new("", "nw-mfp");
    let models = &stand.gateway.objects.models;
    stand
        .until(|| {
            models
                .get(&key)
                .is_some_and(|it| !it.spec.errors.is_empty())
        })
        .await;
}

/// Returns an event about the black toner, with a sequence by its id.
pub(super) fn error(id: &str, data: Value) -> Value {
    let mut data = data;
    let members = data.as_object_mut().unwrap();
    members.entry("reason").or_insert(json!("toner-empty"));
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.error", "subject": "black-toner",
           "sequence": format!("{id:0>8}"), "data": data})
}

pub(super) fn raised(id: &str) -> Value {
    error(id, json!({"state": "Raised"}))
}

pub(super) fn cleared(id: &str) -> Value {
    error(id, json!({"state": "Cleared"}))
}

pub(super) fn errors(stand: &Stand) -> Vec<TwinError> {
    stand.status("lobby-mfp").errors
}

/// Returns the writes since they were forgotten.
fn writes(stand: &Stand) -> usize {
    stand.cluster.writes().len()
}

/// Returns a device that has called before, whose model lists errors.
async fn device(stand: &Stand) -> Registered {
    let device = stand.register("A1").await;
    list_errors(stand).await;
    assert_eq!(taken(stand, &device, &json!([])).await, (0, json!([])));
    device
}

// shows A1 C8
#[tokio::test]
async fn an_error_stands_in_the_twin_when_it_is_answered_and_one_that_comes_again_writes_nothing() {
    let stand = Stand::new().await;
    let device = device(&stand).await;
    stand.cluster.forget_requests();
    let data = json!({"state": "Raised", "orderRequested": true, "impressions": 48213});
    let batch = json!([error("1", data)]);
    assert_eq!(taken(&stand, &device, &batch).await, (1, json!([])));
    let [found] = &errors(&stand)[..] else {
        panic!("{}", stand.cluster.dump());
    };
    assert_eq!(found.key, "toner-empty/black-toner");
    assert_eq!(found.state, TwinErrorState::Raised);
    assert!(found.order_requested);
    assert_eq!(found.impressions, Some(48213));
    for _ in 0..3 {
        assert_eq!(taken(&stand, &device, &batch).await, (1, json!([])));
    }
    assert_eq!(writes(&stand), 1);
    assert_eq!(taken(&stand, &device, &json!([cleared("2")])).await.0, 1);
    assert_eq!(errors(&stand)[0].state, TwinErrorState::Cleared);
}

// shows A1 A2
#[tokio::test]
async fn a_model_that_lists_no_errors_has_them_refused_and_a_model_that_is_gone_has_them_kept() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let batch = json!([raised("1")]);
    let refused = json!([{"id": "1", "reason": "NotRequested"}]);
    assert_eq!(taken(&stand, &device, &batch).await, (0, refused));
    assert_eq!(errors(&stand), []);
    stand.cluster.delete::<DeviceModel>("", "nw-mfp");
    let (key, models) = (Key::new("", "nw-mfp"), &stand.gateway.objects.models);
    stand.until(|| models.get(&key).is_none()).await;
    assert_eq!(taken(&stand, &device, &batch).await, (1, json!([])));
    assert_eq!(errors(&stand).len(), 1);
}

// shows A1 C16
#[tokio::test]
async fn an_error_waits_for_no_provider_and_the_batch_is_kept_until_each_has_its_part() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    list_errors(&stand).await;
    inbox.answers(|_| Reply::Refuse(503, ""));
    let batch = json!([level("1"), raised("2")]);
    deferred(&stand, &device, &batch).await;
    assert_eq!(errors(&stand).len(), 1, "{}", stand.cluster.dump());
    inbox.answers(|_| Reply::Take);
    stand.cluster.forget_requests();
    assert_eq!(taken(&stand, &device, &batch).await, (2, json!([])));
    assert_eq!(
        inbox.kept(),
        ["1"],
        "the error goes to nobody who did not ask"
    );
    assert_eq!(writes(&stand), 0);
}

// shows A1 A9 K5
#[tokio::test]
async fn a_batch_whose_errors_cannot_be_written_is_kept_by_its_device_and_nothing_of_it_is_forwarded()
 {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    list_errors(&stand).await;
    assert_eq!(taken(&stand, &device, &json!([])).await.0, 0);
    let fault = (500, "InternalError");
    stand
        .cluster
        .refuse(Method::PUT, "devicetwins/lobby-mfp/status", fault, 3);
    let batch = json!([raised("1"), level("2")]);
    let answer = post(&stand, &device, &batch).await;
    assert_eq!(problem(answer).await, (503, "Unavailable".to_owned()));
    assert_eq!(inbox.kept(), Vec::<String>::new());
    stand.cluster.recover();
    assert_eq!(taken(&stand, &device, &batch).await, (2, json!([])));
    assert_eq!(inbox.kept(), ["2"]);
    assert_eq!(errors(&stand).len(), 1);
}

// shows A1 A9
#[tokio::test]
async fn an_error_that_another_replica_wrote_meanwhile_is_neither_lost_nor_raised_twice() {
    let stand = Stand::new().await;
    let device = device(&stand).await;
    let batch = json!([raised("1"), cleared("2")]);
    assert_eq!(taken(&stand, &device, &batch).await.0, 2);
    let known = errors(&stand);
    // Another replica has the error after that; the watch brings it only later.
    stand.cluster.lag();
    stand
        .cluster
        .overtake(Method::PUT, "devicetwins/lobby-mfp/status", |twin| {
            let errors = twin["status"]["errors"].as_array_mut().unwrap();
            let mut other = errors[0].clone();
            other["key"] = json!("jam");
            other["reason"] = json!("jam");
            other.as_object_mut().unwrap().remove("subject");
            errors.insert(0, other);
        });
    let mut paper = raised("3");
    paper["subject"] = json!("cyan-toner");
    assert_eq!(taken(&stand, &device, &json!([paper])).await.0, 1);
    let keys: Vec<String> = errors(&stand).iter().map(|it| it.key.to_string()).collect();
    assert_eq!(
        keys,
        ["jam", "toner-empty/black-toner", "toner-empty/cyan-toner"]
    );
    assert_eq!(errors(&stand)[1], known[0]);
}

// shows A1 K5
#[tokio::test]
async fn an_error_for_which_there_is_no_room_is_refused_and_the_end_of_one_never_is() {
    let stand = Stand::new().await;
    let device = device(&stand).await;
    let of = |id: usize, supply: usize, state: &str| {
        let mut event = error(&id.to_string(), json!({"state": state}));
        event["subject"] = json!(format!("supply-{supply}"));
        event
    };
    let all: Vec<Value> = (0..64).map(|it| of(it, it, "Raised")).collect();
    assert_eq!(taken(&stand, &device, &json!(all)).await, (64, json!([])));
    let batch = json!([of(64, 64, "Raised"), of(65, 7, "Cleared")]);
    let refused = json!([{"id": "64", "reason": "TooManyErrors"}]);
    assert_eq!(taken(&stand, &device, &batch).await, (1, refused));
    let next = json!([of(66, 64, "Raised")]);
    assert_eq!(taken(&stand, &device, &next).await, (1, json!([])));
    assert_eq!(errors(&stand).len(), 64);
}

// shows A1 C1
#[tokio::test]
async fn a_device_that_registers_anew_has_no_errors_until_it_raises_them() {
    let stand = Stand::new().await;
    let device = device(&stand).await;
    assert_eq!(taken(&stand, &device, &json!([raised("1")])).await.0, 1);
    let path = format!("/v1/devices/{}?by=Panel", device.id);
    let withdrawn = stand.request(Method::DELETE, &path, &device.token);
    assert_eq!(withdrawn.send().await.unwrap().status(), 204);
    let answer = post(&stand, &device, &json!([cleared("2")])).await;
    let expected = (403, "ConsentWithdrawn".to_owned());
    assert_eq!(problem(answer).await, expected);
    assert_eq!(
        errors(&stand).len(),
        1,
        "the device is silent, and not mended"
    );
    let again = stand.register("A1").await;
    assert_eq!(errors(&stand), []);
    assert_eq!(taken(&stand, &again, &json!([raised("3")])).await.0, 1);
    assert_eq!(errors(&stand).len(), 1);
}

fn message(id: &str) -> TwinMessage {
    TwinMessage {
        id: id.to_owned(),
        language: "ja".to_owned(),
        text: format!("黒トナーがなくなりました。注文番号 {id}"),
        short: format!("注文 {id}"),
    }
}

/// Has the device show these messages, as delivery does.
fn show(stand: &Stand, ids: &[&str]) {
    stand
        .cluster
        .edit(ACME, "lobby-mfp", |twin: &mut DeviceTwin| {
            twin.spec.messages = ids.iter().map(|id| message(id)).collect();
        });
}

async fn twin(stand: &Stand, device: &Registered) -> Value {
    let path = format!("/v1/devices/{}/twin", device.id);
    json_of(stand.get(&path, &device.token).await).await
}

// shows A8 C7
#[tokio::test]
async fn a_message_is_in_the_twin_until_it_is_shown_and_taken_down_once_nobody_wants_it() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    show(&stand, &["po-1", "po-2"]);
    stand.until_seen("lobby-mfp").await;
    let read = twin(&stand, &device).await;
    assert_eq!(read["desired"]["messages"][0]["short"], "注文 po-1");
    let open = json!({"show": ["po-1", "po-2"], "clear": []});
    assert_eq!(read["delta"]["messages"], open);
    let at = "2027-03-20T01:02:09Z";
    let report = json!({"messages": {"po-1": {"state": "Shown", "at": at, "text": "注文 po-1"},
                                     "po-2": {"state": "Undeliverable", "detail": "no room"}}});
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    let read = twin(&stand, &device).await;
    assert_eq!(read["delta"]["messages"], json!({"show": [], "clear": []}));
    assert_eq!(read["reported"]["messages"], report["messages"]);
    let reported = stand.status("lobby-mfp").reported.unwrap().messages;
    assert_eq!(reported[0].state, ReportedMessageState::Shown);
    stand.cluster.forget_requests();
    assert_eq!(stand.report(&device, &report).await.status(), 204);
    assert_eq!(writes(&stand), 0);
    show(&stand, &[]);
    stand.until_seen("lobby-mfp").await;
    let read = twin(&stand, &device).await;
    assert_eq!(read["desired"]["messages"], json!([]));
    assert_eq!(
        read["delta"]["messages"],
        json!({"show": [], "clear": ["po-1"]})
    );
    let down = json!({"messages": {"po-1": {"state": "Cleared"}, "po-2": null}});
    assert_eq!(stand.report(&device, &down).await.status(), 204);
    let read = twin(&stand, &device).await;
    assert_eq!(read["delta"]["messages"], json!({"show": [], "clear": []}));
}

// shows A8 C9
#[tokio::test]
async fn a_request_that_is_held_is_answered_when_there_is_a_message() {
    let stand = Stand::new().await;
    let device = stand.register("A1").await;
    let path = format!("/v1/devices/{}/twin", device.id);
    let read = stand.get(&path, &device.token).await;
    let tag = read.headers()["etag"].clone();
    let request = stand.request(Method::GET, &path, &device.token);
    let request = request
        .header("if-none-match", tag)
        .header("prefer", "wait=60");
    let held = tokio::spawn(request.send());
    stand.until(|| stand.gateway.wakes.len() == 1).await;
    show(&stand, &["po-1"]);
    let answer = held.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let body = json_of(answer).await;
    assert_eq!(body["delta"]["messages"]["show"], json!(["po-1"]));
}

// shows A7
#[tokio::test]
async fn the_size_of_the_display_is_kept_with_the_registration() {
    let stand = Stand::new().await;
    let mut request = super::stand::registration("A1");
    request["capabilities"] = json!({"display": {"columns": 24, "lines": 2}});
    let answer = stand
        .post_registration(&request, &super::stand::token())
        .await;
    assert_eq!(answer.status(), 201);
    let display = stand.status("lobby-mfp").capabilities.unwrap().display;
    let display = display.unwrap();
    assert_eq!((display.columns, display.lines), (24, 2));
}
