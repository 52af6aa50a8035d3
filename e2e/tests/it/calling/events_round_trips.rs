//! The number of round trips from the registration of a device to the first event that its provider has, by
//! the device's own ledger.
//!
//! Requests that a device sends at once are one round trip: it waits for the slowest of them. Decides
//! nothing of their content but what the API asks for.

use std::sync::Mutex;
use std::time::Instant;

use entente_crds::v1alpha1::{ActivationMode, Device};
use entente_e2e::namespace::now;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::events_fixture::{DEVICE, EventsFixture, KIND, ids, levels};
use super::fixture::TOKEN;

/// A request of the device with its answer.
struct Call {
    what: &'static str,
    begin: Instant,
    end: Instant,
    status: u16,
}

/// An answer.
struct Answer {
    status: u16,
    tag: Option<String>,
    body: Value,
}

/// A device that writes down each of its requests.
struct Caller<'f> {
    fixture: &'f EventsFixture,
    id: String,
    token: String,
    ledger: Mutex<Vec<Call>>,
}

impl<'f> Caller<'f> {
    /// Returns one that has not registered.
    fn new(fixture: &'f EventsFixture) -> Self {
        Self {
            fixture,
            id: String::new(),
            token: TOKEN.to_owned(),
            ledger: Mutex::default(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let gateway = &self.fixture.calling.gateway;
        let request = gateway.client().request(method, gateway.url() + path);
        request.bearer_auth(&self.token)
    }

    fn of_device(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/v1/devices/{}/{path}", self.id))
    }

    async fn call(&self, what: &'static str, request: RequestBuilder) -> Answer {
        let begin = Instant::now();
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let tag = answer.headers().get("etag");
        let tag = tag.map(|it| it.to_str().unwrap().to_owned());
        let text = answer.text().await.unwrap();
        let end = Instant::now();
        let call = Call {
            what,
            begin,
            end,
            status,
        };
        self.ledger.lock().unwrap().push(call);
        Answer {
            status,
            tag,
            body: serde_json::from_str(&text).unwrap_or_default(),
        }
    }

    /// Registers. The gateway may not have seen the Device yet, which was entered a moment ago: only the
    /// request that is answered with a credential is in the ledger then.
    async fn register(&mut self, serial_number: &str) {
        let registration = json!({
            "serialNumber": serial_number, "productName": "Northwind MFP 500",
            "shipDestination": "BR", "timeZone": "America/Sao_Paulo",
            "capabilities": {"dataTypes": [KIND]},
            "consent": {"by": "Panel", "at": now().to_string(), "textVersion": "2027-01"},
        });
        let register = async || {
            self.ledger.lock().unwrap().clear();
            let request = self.request(Method::POST, "/v1/registrations");
            let answer = self.call("POST registrations", request.json(&registration));
            let answer = answer.await;
            (answer.status == 201).then_some(answer.body)
        };
        let namespace = &self.fixture.calling.namespace;
        let registered = namespace.soon("it registers", register).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.id = text(&registered["printerId"]);
        self.token = text(&registered["credential"]["token"]);
    }

    /// Returns the calls in the order in which they were begun, each with the number of its round trip.
    fn round_trips(&self) -> Vec<(usize, String)> {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.sort_by_key(|call| call.begin);
        let (mut number, mut end) = (0, None);
        let numbered = ledger.iter().map(|call| {
            if end.is_none_or(|end| call.begin >= end) {
                number += 1;
            }
            end = end.max(Some(call.end));
            (number, format!("{}: {}", call.what, call.status))
        });
        numbered.collect()
    }

    /// Reads the list of services and the twin at once.
    async fn reads(&self) -> (Answer, Answer) {
        tokio::join!(
            self.call("GET services", self.of_device(Method::GET, "services")),
            self.call("GET twin", self.of_device(Method::GET, "twin")),
        )
    }

    /// Reports that it sends the only kind of data that its twin asks for.
    async fn reports(&self, twin: &Answer) {
        let kinds = &twin.body["desired"]["dataTypes"];
        assert_eq!(kinds[0]["name"], KIND, "{}", twin.body);
        let sends = json!({"name": kinds[0]["name"], "period": kinds[0]["period"]});
        let version = &twin.body["version"];
        let report = json!({"desiredVersion": version, "settings": {}, "dataTypes": [sends]});
        let request = self.of_device(Method::PATCH, "twin/reported");
        let request = request.header("if-match", twin.tag.as_ref().expect("a tag"));
        let request = request.header("content-type", "application/merge-patch+json");
        let request = request.body(report.to_string());
        let reported = self.call("PATCH twin/reported", request).await;
        assert_eq!(reported.status, 204, "{}", reported.body);
    }

    /// Asks for its service, and waits until that is on.
    async fn asks(&self, services: &Answer) {
        let service = &services.body["services"][0];
        let application = service["applicationId"].as_str().expect("a service");
        assert_eq!(service["activation"], "ByDevice");
        let path = format!("services/{application}/activation");
        let request = self
            .of_device(Method::PUT, &path)
            .header("prefer", "wait=60");
        let request = request.json(&json!({"active": true, "by": "Panel"}));
        let activated = self.call("PUT activation", request).await;
        assert_eq!(activated.body["state"], "Active", "{}", activated.body);
    }

    /// Waits until its service is on, which the operator turns on.
    async fn waits(&self, services: Answer) {
        let mut services = services;
        while services.body["services"][0]["state"] != "Active" {
            let tag = services.tag.as_ref().expect("a tag");
            let request = self.of_device(Method::GET, "services");
            let request = request
                .header("if-none-match", tag)
                .header("prefer", "wait=60");
            services = self.call("GET services, held", request).await;
            assert_eq!(services.status, 200, "nothing has changed in a minute");
        }
    }

    async fn sends(&self) {
        let request = self.of_device(Method::POST, "events");
        let request = request.header("content-type", "application/cloudevents-batch+json");
        let request = request.body(levels(&["1"]).to_string());
        let sent = self.call("POST events", request).await;
        assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(1)));
    }
}

/// Registers a device, waits for the time after which it calls, and returns it with what it reads first.
async fn begin<'f>(
    fixture: &'f EventsFixture,
    serial_number: &str,
) -> (Caller<'f>, Answer, Answer) {
    let namespace = &fixture.calling.namespace;
    let device = namespace.calling_device(DEVICE, serial_number);
    namespace.apply::<Device>(&device).await.unwrap();
    let mut device = Caller::new(fixture);
    device.register(serial_number).await;
    // A device comes after `poll.next`, 5 seconds. What the operator needs of them is waited for here.
    let asked = async || {
        let twin = fixture.calling.twin(DEVICE).await?;
        (!twin.spec.data_types.is_empty()).then_some(())
    };
    namespace
        .soon("the twin asks for data", asked)
        .await
        .unwrap();
    let (services, twin) = device.reads().await;
    (device, services, twin)
}

/// Prints the ledger of a device whose first event is taken, and fails if it has more round trips.
async fn at_most(most: usize, device: &Caller<'_>, form: &str) {
    let fixture = device.fixture;
    assert_eq!(ids(&fixture.inbox.taken()), ["1"]);
    assert!(fixture.is_on().await);
    fixture.nothing_is_wrong();
    let calls = device.round_trips();
    let trips = calls.last().map_or(0, |(number, _)| *number);
    println!(
        "{form}: {trips} round trips of {} requests from the registration to the first event \
         that is taken",
        calls.len()
    );
    for (number, call) in &calls {
        println!("  {number} {call}");
    }
    assert!(trips <= most, "{calls:?}");
}

// shows C5 C7 C8 C16
#[tokio::test]
async fn a_device_that_asks_for_its_service_has_its_first_event_taken_within_four_round_trips() {
    let fixture = EventsFixture::new("asks", ActivationMode::ByDevice).await;
    let (device, services, twin) = begin(&fixture, "NW5-0049").await;
    tokio::join!(device.reports(&twin), device.asks(&services));
    device.sends().await;
    at_most(4, &device, "full form, ByDevice").await;
}

// shows C5 C7 C8 C16
#[tokio::test]
async fn a_device_whose_service_the_operator_turns_on_has_its_first_event_taken_within_four_round_trips()
 {
    let fixture = EventsFixture::new("waits", ActivationMode::ByOperator).await;
    let (device, services, twin) = begin(&fixture, "NW5-0050").await;
    tokio::join!(device.reports(&twin), device.waits(services));
    device.sends().await;
    at_most(4, &device, "full form, ByOperator").await;
}

// shows C12
#[tokio::test]
async fn a_device_in_the_short_form_has_its_first_event_taken_within_two_round_trips() {
    let fixture = EventsFixture::new("short", ActivationMode::ByFirstData).await;
    let namespace = &fixture.calling.namespace;
    let device = namespace.calling_device(DEVICE, "NW5-0052");
    namespace.apply::<Device>(&device).await.unwrap();
    let mut device = Caller::new(&fixture);
    device.register("NW5-0052").await;
    device.sends().await;
    at_most(2, &device, "short form").await;
}
