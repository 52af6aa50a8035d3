//! The reference device sends data: its service is turned on, and the events arrive at the provider's inbox.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use entente_crds::v1alpha1::{
    ActivationMode, AgentData, Connection, Contract, DataEvent, DataType, DataVia, Device,
    DeviceModel, ServiceData, SmartService, WantedDataType,
};
use entente_e2e::namespace::now;
use entente_e2e::peers::{Agent, AgentOptions};
use serde_json::{Value, json};

use super::activation::UNLIMITED;
use super::fixture::{CallingFixture, TOKEN};
use crate::delivery_fixture::contract_is;

const DEVICE: &str = "behind";
const PATH: &str = "/v1/events";

/// An inbox of a provider: what it was sent, and whether it takes anything.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    events: Vec<Value>,
    media: Vec<String>,
    is_down: bool,
}

async fn takes(
    State(inbox): State<Inbox>,
    headers: HeaderMap,
    Json(batch): Json<Vec<Value>>,
) -> StatusCode {
    let mut received = inbox.0.lock().unwrap();
    if received.is_down {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let media = headers.get("content-type").and_then(|it| it.to_str().ok());
    received.media.push(media.unwrap_or_default().to_owned());
    received.events.extend(batch);
    StatusCode::NO_CONTENT
}

impl Inbox {
    /// Starts to listen on loopback, until the test ends; returns its URL as well.
    async fn start() -> (Self, String) {
        let inbox = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route(PATH, post(takes));
        let router = router.with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (inbox, url)
    }

    fn events(&self) -> Vec<Value> {
        self.0.lock().unwrap().events.clone()
    }

    fn is_down(&self, is_down: bool) {
        self.0.lock().unwrap().is_down = is_down;
    }
}

/// Applies a service that wants the level of toner, at an inbox, and a contract of it.
async fn apply(fixture: &CallingFixture<'_>, url: &str, activation: ActivationMode) {
    let namespace = &fixture.namespace;
    let mut model = namespace.model();
    model.spec.data_types = vec![DataType {
        name: "supplies.level".to_owned(),
        on: vec![DataEvent::Consumed],
        threshold: None,
        period: "24h".into(),
        via: DataVia {
            agent: Some(AgentData {}),
        },
    }];
    namespace.apply::<DeviceModel>(&model).await.unwrap();
    let files = namespace.file_connection(url);
    namespace.apply::<Connection>(&files).await.unwrap();
    let mut service = namespace.backup();
    service.spec.activation = activation;
    service.spec.data = Some(ServiceData {
        connection_ref: namespace.reference("files"),
        path: PATH.to_owned(),
    });
    let side = service.spec.device.as_mut().expect("a device side");
    side.data_types = vec![WantedDataType {
        name: "supplies.level".to_owned(),
        period: None,
    }];
    namespace.apply::<SmartService>(&service).await.unwrap();
    let device = namespace.calling_device(DEVICE, "NW5-0061");
    namespace.apply::<Device>(&device).await.unwrap();
    let contract = fixture.contract("data", DEVICE, now());
    namespace.apply::<Contract>(&contract).await.unwrap();
}

/// Waits until the provider has so many events.
async fn has(fixture: &CallingFixture<'_>, inbox: &Inbox, agent: &Agent, number: usize) {
    let look = async || (inbox.events().len() >= number).then_some(());
    let what = format!("the provider has {number} events");
    let log = || format!("{}\n{}", agent.log(), fixture.gateway.view().log());
    let found = fixture.namespace.soon(&what, look).await;
    found.unwrap_or_else(|error| panic!("{error}\n{}", log()));
}

// shows C5 C8 C16
#[tokio::test]
async fn the_reference_device_is_activated_and_its_events_arrive_once_and_in_order() {
    let fixture = CallingFixture::with_flags("sends", "24h", &UNLIMITED).await;
    let (inbox, url) = Inbox::start().await;
    apply(&fixture, &url, ActivationMode::ByDevice).await;
    let options = AgentOptions::new("NW5-0061", TOKEN);
    let mut agent = Agent::start(&fixture.gateway, &options).unwrap();
    contract_is(&fixture.namespace, "data", "Delivered").await;
    has(&fixture, &inbox, &agent, 1).await;
    // The provider is down: the device keeps what happens, also over a loss of power.
    inbox.is_down(true);
    agent.happens("supplies.level", "Consumed").await.unwrap();
    agent.restart().await.unwrap();
    agent.happens("supplies.level", "Consumed").await.unwrap();
    inbox.is_down(false);
    has(&fixture, &inbox, &agent, 3).await;

    let events = inbox.events();
    let twin = fixture.twin(DEVICE).await.expect("the twin");
    let registration = twin.status.and_then(|status| status.registration);
    let id = registration.and_then(|it| it.printer_id);
    let id = id.expect("a registration");
    for event in &events {
        assert_eq!(event["type"], "dev.entente.supplies.level", "{event}");
        assert_eq!(event["source"], format!("urn:uuid:{id}"), "{event}");
        assert_eq!(event["applicationid"], "data.backup.behind", "{event}");
        assert_eq!(event["subject"], "black-toner", "{event}");
    }
    let levels: Vec<&Value> = events.iter().map(|event| &event["data"]["level"]).collect();
    assert_eq!(levels, [&json!(99), &json!(94), &json!(89)]);
    let order: Vec<&str> = events
        .iter()
        .filter_map(|event| event["sequence"].as_str())
        .collect();
    assert!(order.is_sorted() && order.len() == 3, "{order:?}");
    let media = inbox.0.lock().unwrap().media.clone();
    let batch = |media: &String| media.starts_with("application/cloudevents-batch+json");
    assert!(media.iter().all(batch), "{media:?}");
}
