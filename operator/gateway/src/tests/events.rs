use std::sync::Arc;

use entente_controllers::cache::Key;
use entente_crds::condition::Reason;
use entente_crds::v1alpha1::{
    ActivationMode, ActivationState, AllowEntry, Condition, Connection, ConnectionSpec, Device,
    DeviceTwin, ExclusiveHold, FormerHold, HttpEndpoint, NameReference, Protocol, ServiceData,
    ServiceSubscription, SmartService, SubscriptionActivation, Timeouts, TwinDataType,
    WantedDataType,
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    inbox::{Inbox, Reply},
    lines::Lines,
    services::add_service,
    stand::{ACME, Registered, Stand, json_of, problem},
};

pub(super) const TONER: &str = "acme-2027.toner.lobby-mfp";
const PARTS: &str = "acme-2027.parts.lobby-mfp";

pub(super) fn level(id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "type": "dev.entente.supplies.level",
           "subject": "black-toner", "data": {"level": 18}})
}

pub(super) fn levels(ids: &[&str]) -> Value {
    ids.iter().map(|id| level(id)).collect()
}

pub(super) fn request(stand: &Stand, device: &Registered, body: &Value) -> RequestBuilder {
    let path = format!("/v1/devices/{}/events", device.id);
    let request = stand.request(Method::POST, &path, &device.token);
    let request = request.header("content-type", "application/cloudevents-batch+json");
    request.body(body.to_string())
}

pub(super) async fn post(stand: &Stand, device: &Registered, body: &Value) -> Response {
    request(stand, device, body).send().await.unwrap()
}

/// Sends a batch that is taken, and returns the number of accepted events and the refused ones.
pub(super) async fn taken(stand: &Stand, device: &Registered, body: &Value) -> (u64, Value) {
    let answer = post(stand, device, body).await;
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let body = json_of(answer).await;
    assert_eq!(body["activations"], json!([]));
    assert!(body["poll"]["next"].as_str().unwrap().starts_with("PT"));
    (body["accepted"].as_u64().unwrap(), body["refused"].clone())
}

/// Sends a batch that the device has to keep, and returns the seconds of Retry-After.
pub(super) async fn deferred(stand: &Stand, device: &Registered, body: &Value) -> u32 {
    let answer = post(stand, device, body).await;
    let seconds = answer.headers().get("retry-after");
    let seconds = seconds.map(|it| it.to_str().unwrap().parse().unwrap());
    let expected = (503, "ProviderUnavailable".to_owned());
    assert_eq!(problem(answer).await, expected);
    seconds.unwrap()
}

fn connection(name: &str, url: String, network: &str) -> Connection {
    let spec = ConnectionSpec {
        protocol: Protocol::HTTP,
        http: Some(HttpEndpoint { url }),
        allow: vec![AllowEntry {
            name: "all".to_owned(),
            networks: vec![network.to_owned()],
            ..AllowEntry::default()
        }],
        timeouts: Some(Timeouts {
            request: "500ms".into(),
            ..Timeouts::default()
        }),
        ..ConnectionSpec::default()
    };
    Connection::new(name, spec)
}

/// Has the service `toner` of the device send supplies.level to this inbox.
pub(super) async fn begin(stand: &Stand, inbox: &Inbox) -> Registered {
    let device = stand.register("A1").await;
    add_service(stand, stand.now() - SignedDuration::from_hours(1));
    let northwind = connection("northwind-inbox", inbox.url(), "127.0.0.0/8");
    stand.cluster.apply(&northwind);
    send_to(stand, "toner", "northwind-inbox");
    activate(stand, TONER);
    want(stand, &[TONER]);
    until_known(stand, TONER).await;
    device
}

/// Adds a second service, of another provider, that wants supplies.level too.
async fn add_parts(stand: &Stand, inbox: &Inbox) {
    let fabrikam = connection("fabrikam", inbox.url(), "127.0.0.0/8");
    stand.cluster.apply(&fabrikam);
    let toner: SmartService = stand.cluster.get("", "toner").unwrap();
    stand.cluster.apply(&SmartService::new("parts", toner.spec));
    send_to(stand, "parts", "fabrikam");
    let of_toner: ServiceSubscription = stand.cluster.get(ACME, TONER).unwrap();
    let mut of_parts = ServiceSubscription::new(PARTS, of_toner.spec);
    of_parts.metadata.namespace = Some(ACME.to_owned());
    let revision = Arc::make_mut(&mut of_parts.spec.revisions[0]);
    revision.service_ref.name = "parts".to_owned();
    stand.cluster.apply(&of_parts);
    activate(stand, PARTS);
    want(stand, &[PARTS, TONER]);
    until_known(stand, PARTS).await;
}

fn send_to(stand: &Stand, service: &str, connection: &str) {
    let data = ServiceData {
        connection_ref: NameReference {
            name: connection.to_owned(),
        },
        path: "/v1/events".to_owned(),
    };
    stand
        .cluster
        .edit("", service, |service: &mut SmartService| {
            service.spec.data = Some(data);
        });
}

fn activate(stand: &Stand, id: &str) {
    let since = stand.now();
    let edit = |subscription: &mut ServiceSubscription| {
        let state = ActivationState::Active;
        let activation = SubscriptionActivation { state, since };
        subscription.status.get_or_insert_default().activation = Some(activation);
    };
    stand.cluster.edit(ACME, id, edit);
}

fn want(stand: &Stand, wanted_by: &[&str]) {
    let kind = TwinDataType {
        name: "supplies.level".to_owned(),
        period: "24h".into(),
        wanted_by: wanted_by.iter().map(|&it| it.to_owned()).collect(),
        ..TwinDataType::default()
    };
    let edit = |twin: &mut DeviceTwin| twin.spec.data_types = vec![kind];
    stand.cluster.edit(ACME, "lobby-mfp", edit);
}

/// Waits until the gateway has seen a service with all that its events need.
async fn until_known(stand: &Stand, id: &str) {
    let objects = &stand.gateway.objects;
    let (key, device) = (Key::new(ACME, id), Key::new(ACME, "lobby-mfp"));
    let is_known = || {
        let subscription = objects.subscriptions.get(&key)?;
        let name = &subscription.spec.revisions[0].service_ref.name;
        let service = objects.services.get(&Key::new("", &**name))?;
        let data = service.spec.data.as_ref()?;
        objects
            .connections
            .get(&Key::new("", &*data.connection_ref.name))?;
        subscription.status.as_ref()?.activation.as_ref()?;
        let kinds = &objects.twins.get(&device)?.spec.data_types;
        let mut kinds = kinds.iter();
        kinds
            .any(|kind| kind.wanted_by.iter().any(|it| it == id))
            .then_some(())
    };
    stand.until(|| is_known().is_some()).await;
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

// shows C8 C16
#[tokio::test]
async fn events_are_forwarded_in_the_order_of_the_device_and_what_nobody_wants_is_refused() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let mut unwanted = level("2");
    unwanted["type"] = json!("dev.entente.jobs.history");
    let mut of_another = level("3");
    of_another["applicationid"] = json!("globex.toner.lobby-mfp");
    let mut own = level("4");
    own["applicationid"] = json!(TONER);
    // The first call of a device writes that it was heard of.
    assert_eq!(taken(&stand, &device, &json!([])).await, (0, json!([])));
    let before = stand.cluster.objects();
    let body = json!([level("1"), unwanted, of_another, own, level("0")]);
    let answer = taken(&stand, &device, &body).await;
    let refused =
        json!([{"id": "2", "reason": "NotRequested"}, {"id": "3", "reason": "NotRequested"}]);
    assert_eq!(answer, (3, refused));
    let received = inbox.received();
    let [request] = &received[..] else {
        panic!("{received:?}");
    };
    assert!(
        request
            .head
            .starts_with("post /inbox/v1/events http/1.1\r\n")
    );
    let kind = "content-type: application/cloudevents-batch+json\r\n";
    assert!(request.head.contains(kind), "{}", request.head);
    assert!(!request.head.contains(&device.token.to_lowercase()));
    assert_eq!(ids(&request.events), ["1", "4", "0"]);
    for event in &request.events {
        assert_eq!(event["source"], format!("urn:uuid:{}", device.id));
        assert_eq!(event["applicationid"], TONER);
        assert_eq!(event["data"], json!({"level": 18}));
    }
    assert_eq!(stand.cluster.objects(), before, "no event writes an object");
    let metrics = stand.metrics.encode();
    for line in [
        "entente_gateway_events_total{outcome=\"Forwarded\"} 3",
        "entente_gateway_events_total{outcome=\"NotRequested\"} 2",
        "entente_gateway_event_deliveries_total{outcome=\"Taken\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

// shows C8 C16 K5
#[tokio::test]
async fn while_a_provider_does_not_take_it_a_batch_is_kept_by_its_device_and_arrives_once() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let body = levels(&["1", "2"]);
    for (reply, wait) in [
        (Reply::Refuse(503, "Retry-After: 120\r\n"), 120),
        (Reply::Refuse(500, ""), 10),
        (Reply::Refuse(401, ""), 10),
        (Reply::Refuse(404, ""), 10),
        (Reply::Refuse(429, "Retry-After: 0\r\n"), 1),
        (Reply::Refuse(302, "Location: http://127.0.0.1:1/\r\n"), 10),
        (Reply::Hang, 10),
    ] {
        inbox.answers(move |_| reply.clone());
        assert_eq!(deferred(&stand, &device, &body).await, wait);
    }
    assert_eq!(inbox.kept(), Vec::<String>::new());
    inbox.answers(|_| Reply::Take);
    assert_eq!(taken(&stand, &device, &body).await, (2, json!([])));
    assert_eq!(inbox.kept(), ["1", "2"]);
}

// shows K4 K5
#[tokio::test]
async fn a_connection_that_leads_nowhere_or_is_not_allowed_keeps_the_batch_at_its_device() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let body = levels(&["1"]);
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let mut denied = connection("northwind-inbox", inbox.url(), "127.0.0.0/8");
    denied.spec.allow[0]
        .namespaces
        .match_labels
        .insert("tenant".to_owned(), "globex".to_owned());
    for (odd, outcome) in [
        (
            connection("northwind-inbox", free, "127.0.0.0/8"),
            "Unreachable",
        ),
        (
            connection("northwind-inbox", inbox.url(), "198.51.100.0/24"),
            "AddressNotAllowed",
        ),
        (denied, "NotAllowed"),
    ] {
        put(&stand, &odd).await;
        deferred(&stand, &device, &body).await;
        let line = format!("entente_gateway_event_deliveries_total{{outcome=\"{outcome}\"}} 1");
        let metrics = stand.metrics.encode();
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert_eq!(inbox.received().len(), 0);
    let right = connection("northwind-inbox", inbox.url(), "127.0.0.0/8");
    put(&stand, &right).await;
    taken(&stand, &device, &body).await;
    assert_eq!(inbox.kept(), ["1"]);
}

/// Puts another spec into a Connection, and waits until the gateway has it.
async fn put(stand: &Stand, connection: &Connection) {
    let spec = connection.spec.clone();
    let name = connection.metadata.name.clone().unwrap();
    stand
        .cluster
        .edit("", &name, |it: &mut Connection| it.spec = spec.clone());
    let key = Key::new("", &*name);
    let objects = &stand.gateway.objects;
    let is_seen = || {
        objects
            .connections
            .get(&key)
            .is_some_and(|it| it.spec == spec)
    };
    stand.until(is_seen).await;
}

// shows C16 K5
#[tokio::test]
async fn a_provider_whose_answer_was_lost_gets_a_double_that_it_recognises() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let body = levels(&["1", "2"]);
    inbox.answers(|_| Reply::TakeAndCut);
    deferred(&stand, &device, &body).await;
    inbox.answers(|_| Reply::Take);
    assert_eq!(taken(&stand, &device, &body).await, (2, json!([])));
    let received = inbox.received();
    let received: Vec<Vec<&str>> = received.iter().map(|it| ids(&it.events)).collect();
    assert_eq!(received, [["1", "2"], ["1", "2"]]);
    assert_eq!(inbox.kept(), ["1", "2"]);
}

// shows C16
#[tokio::test]
async fn what_was_just_forwarded_is_accepted_and_not_forwarded_again() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    taken(&stand, &device, &levels(&["1", "2"])).await;
    let again = taken(&stand, &device, &levels(&["2", "3", "1"])).await;
    assert_eq!(again, (3, json!([])));
    let received = inbox.received();
    let received: Vec<Vec<&str>> = received.iter().map(|it| ids(&it.events)).collect();
    assert_eq!(received, [vec!["1", "2"], vec!["3"]]);
    let metrics = stand.metrics.encode();
    let line = "entente_gateway_events_total{outcome=\"Repeated\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

/// Refuses the content of every request with an event of this id.
fn dislikes(odd: &'static str) -> impl FnMut(&[Value]) -> Reply + Send {
    move |events| {
        if ids(events).contains(&odd) {
            return Reply::Refuse(400, "");
        }
        Reply::Take
    }
}

// shows C16 K5
#[tokio::test]
async fn one_event_whose_content_is_refused_does_not_hold_up_the_others() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    inbox.answers(dislikes("2"));
    let answer = taken(&stand, &device, &levels(&["1", "2", "3"])).await;
    let refused = json!([{"id": "2", "reason": "RefusedByProvider"}]);
    assert_eq!(answer, (2, refused.clone()));
    assert_eq!(inbox.kept(), ["1", "3"]);
    let again = taken(&stand, &device, &levels(&["2"])).await;
    assert_eq!(again, (0, refused));
    assert_eq!(inbox.received().len(), 4, "it was refused just now");
    inbox.answers(dislikes("4"));
    let alone = taken(&stand, &device, &levels(&["4"])).await;
    let refused = json!([{"id": "4", "reason": "RefusedByProvider"}]);
    assert_eq!(alone, (0, refused));
    assert_eq!(inbox.received().len(), 5, "one that is alone is asked once");
}

// shows C16 K5
#[tokio::test]
async fn a_batch_of_which_much_is_refused_goes_on_where_it_stopped() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let mut answers = vec![
        Reply::Refuse(400, ""),
        Reply::Refuse(400, ""),
        Reply::Refuse(422, ""),
        Reply::Refuse(503, ""),
        Reply::Take,
    ];
    inbox.answers(move |_| answers.remove(0));
    let batch = levels(&["1", "2", "3"]);
    deferred(&stand, &device, &batch).await;
    let refused = json!([{"id": "1", "reason": "RefusedByProvider"},
                         {"id": "2", "reason": "RefusedByProvider"}]);
    assert_eq!(taken(&stand, &device, &batch).await, (1, refused));
    assert_eq!(inbox.received().len(), 5, "none was sent again");
    assert_eq!(inbox.kept(), ["3"]);
}

// shows C16 K5
#[tokio::test]
async fn a_batch_that_goes_event_by_event_and_stops_halfway_goes_on_where_it_stopped() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let mut odd = dislikes("2");
    inbox.answers(move |events| match &ids(events)[..] {
        ["3"] => Reply::Refuse(503, ""),
        _ => odd(events),
    });
    let body = levels(&["1", "2", "3", "4"]);
    deferred(&stand, &device, &body).await;
    assert_eq!(inbox.kept(), ["1"], "none overtakes another");
    inbox.answers(dislikes("2"));
    let answer = taken(&stand, &device, &body).await;
    assert_eq!(answer.0, 3);
    assert_eq!(inbox.kept(), ["1", "3", "4"]);
    let received = inbox.received();
    let ones = received.iter().filter(|it| ids(&it.events).contains(&"1"));
    assert_eq!(ones.count(), 2, "with the first batch, and alone");
}

// shows C16 K5
#[tokio::test]
async fn a_provider_that_is_down_costs_another_one_nothing_but_a_wait_of_the_device() {
    let (stand, toner, parts) = (
        Stand::new().await,
        Inbox::start().await,
        Inbox::start().await,
    );
    let device = begin(&stand, &toner).await;
    add_parts(&stand, &parts).await;
    toner.answers(|_| Reply::Refuse(503, ""));
    let body = levels(&["1", "2"]);
    deferred(&stand, &device, &body).await;
    assert_eq!(parts.kept(), ["1", "2"]);
    toner.answers(|_| Reply::Take);
    taken(&stand, &device, &body).await;
    assert_eq!(toner.kept(), ["1", "2"]);
    assert_eq!(parts.received().len(), 1, "it has them");
    let of_parts = &parts.received()[0].events[0];
    assert_eq!(of_parts["applicationid"], PARTS);
    let mut own = level("3");
    own["applicationid"] = json!(PARTS);
    taken(&stand, &device, &json!([own])).await;
    assert_eq!((parts.kept().len(), toner.kept().len()), (3, 2));
}

// shows C5 C6 C8 C16
#[tokio::test]
async fn a_service_that_is_switched_off_gets_nothing_from_that_moment_on() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    taken(&stand, &device, &levels(&["1"])).await;
    let path = format!("/v1/devices/{}/services/{TONER}/activation", device.id);
    let off = stand.request(Method::PUT, &path, &device.token);
    let off = off.header("content-type", "application/json");
    let off = off.body(json!({"active": false, "by": "Panel"}).to_string());
    assert_eq!(off.send().await.unwrap().status(), 200);
    let answer = taken(&stand, &device, &levels(&["2"])).await;
    assert_eq!(answer, (0, json!([{"id": "2", "reason": "NotRequested"}])));
    assert_eq!(inbox.kept(), ["1"]);
}

// shows C16 K5
#[tokio::test]
async fn batches_of_one_device_do_not_overtake_each_other() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    inbox.answers(move |_| Reply::TakeAfter(Arc::clone(&permits)));
    let (one, other) = (levels(&["1", "2"]), levels(&["3"]));
    let watch = async {
        stand.until(|| inbox.received().len() == 1).await;
        let second = post(&stand, &device, &other);
        let open = async {
            stand
                .until(|| stand.gateway.events_of("lobby-mfp") == 2)
                .await;
            assert_eq!(inbox.received().len(), 1, "it waits for its turn");
            gate.add_permits(2);
        };
        let (second, ()) = tokio::join!(second, open);
        assert_eq!(second.status(), 202);
    };
    let (first, ()) = tokio::join!(post(&stand, &device, &one), watch);
    assert_eq!(first.status(), 202);
    assert_eq!(inbox.kept(), ["1", "2", "3"]);
    assert_eq!(stand.gateway.events_of("lobby-mfp"), 0);
}

// shows C16 K5
#[tokio::test]
async fn a_batch_whose_device_has_left_is_forwarded_all_the_same_and_once() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    inbox.answers(move |_| Reply::TakeAfter(Arc::clone(&permits)));
    let body = levels(&["1"]);
    let left = async {
        tokio::select! {
            _ = post(&stand, &device, &body) => panic!("it was answered"),
            () = stand.until(|| inbox.received().len() == 1) => {}
        }
    };
    left.await;
    gate.add_permits(1);
    stand
        .until(|| stand.gateway.events_of("lobby-mfp") == 0)
        .await;
    assert_eq!(taken(&stand, &device, &body).await, (1, json!([])));
    assert_eq!(inbox.received().len(), 1, "what was taken is known");
}

// shows C13 C16 K4
#[tokio::test]
async fn a_request_that_is_no_batch_of_its_device_is_refused_and_nothing_is_forwarded() {
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    stand.add_device("other-mfp", "B2");
    let other = stand.register("B2").await;
    let theirs = Registered {
        token: other.token.clone(),
        ..device.clone()
    };
    let refused = post(&stand, &theirs, &levels(&["1"])).await;
    assert_eq!(problem(refused).await, (403, "DeviceMismatch".to_owned()));
    let answer = taken(&stand, &other, &levels(&["1"])).await;
    assert_eq!(answer.0, 0, "it has no service");
    let mut foreign = level("1");
    foreign["source"] = json!(format!("urn:uuid:{}", other.id));
    for (body, expected) in [
        (json!([foreign]), (422, "InvalidRequest")),
        (json!({}), (422, "InvalidRequest")),
    ] {
        let found = problem(post(&stand, &device, &body).await).await;
        assert_eq!((found.0, &*found.1), expected);
    }
    let request = stand.request(
        Method::POST,
        &format!("/v1/devices/{}/events", device.id),
        &device.token,
    );
    let single = request.header("content-type", "application/cloudevents+json");
    let single = single.body(level("1").to_string()).send().await.unwrap();
    let expected = (415, "UnsupportedMediaType".to_owned());
    assert_eq!(problem(single).await, expected);
    assert_eq!(inbox.received().len(), 0);
}

// shows C16 K4
#[tokio::test]
async fn nothing_of_an_event_is_in_the_log_the_metrics_or_an_object() {
    let (lines, _guards) = Lines::begin();
    let (stand, inbox) = (Stand::new().await, Inbox::start().await);
    let device = begin(&stand, &inbox).await;
    let canary = |id: &str| {
        json!({"specversion": "1.0", "id": format!("{id}-canary-id"),
               "type": "dev.entente.supplies.level", "subject": "canary-subject",
               "sequence": "canary-sequence", "data": {"canary-member": "canary-data"}})
    };
    let mut unwanted = canary("1");
    unwanted["type"] = json!("dev.entente.canary-kind");
    let mut foreign = canary("2");
    foreign["applicationid"] = json!("canary.application");
    for (number, reply) in [
        Reply::Refuse(500, "X-Echo: canary-echo\r\n"),
        Reply::Refuse(400, ""),
        Reply::TakeAndCut,
        Reply::Hang,
        Reply::Take,
        Reply::Take,
    ]
    .into_iter()
    .enumerate()
    {
        inbox.answers(move |_| reply.clone());
        let wanted = canary(&format!("3.{number}"));
        post(&stand, &device, &json!([unwanted, foreign, wanted])).await;
    }
    let faulty = json!([{"specversion": "canary-version", "canary-member": 1}]);
    post(&stand, &device, &faulty).await;
    let answer = post(&stand, &device, &json!("canary-text")).await;
    assert_eq!(answer.status(), 422);
    let kept = ["3.2-canary-id", "3.4-canary-id", "3.5-canary-id"];
    assert_eq!(inbox.kept(), kept, "they were forwarded");

    let log = lines.text();
    assert!(log.contains("a provider takes no events"), "{log}");
    assert!(log.contains("a provider takes events again"), "{log}");
    let objects = stand.cluster.objects();
    let objects: String = objects.values().map(ToString::to_string).collect();
    for (place, text) in [
        ("log", log),
        ("objects", objects),
        ("metrics", stand.metrics.encode()),
    ] {
        assert!(!text.contains("canary"), "in the {place}: {text}");
    }
}

/// Has a service wait for something.
fn wait_for(stand: &Stand, id: &str, reason: Reason, state: ActivationState) {
    let since = stand.now();
    let edit = |subscription: &mut ServiceSubscription| {
        let status = subscription.status.get_or_insert_default();
        status.activation = Some(SubscriptionActivation { state, since });
        status.conditions = vec![Condition {
            last_transition_time: Time(since),
            message: "".into(),
            observed_generation: None,
            reason: reason.as_str().to_owned(),
            status: "False".to_owned(),
            type_: "Activated".to_owned(),
        }];
    };
    stand.cluster.edit(ACME, id, edit);
}

mod change;
mod first_data;
