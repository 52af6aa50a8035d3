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
}

// shows C5 C7 C8 C16
#[tokio::test]
async fn the_first_event_of_a_device_is_at_its_provider_within_four_round_trips() {
    let fixture = EventsFixture::new("trips", ActivationMode::ByDevice).await;
    let namespace = &fixture.calling.namespace;
    let device = namespace.calling_device(DEVICE, "NW5-0049");
    namespace.apply::<Device>(&device).await.unwrap();
    let mut device = Caller::new(&fixture);
    device.register("NW5-0049").await;
    // A device comes after `poll.next`, 5 seconds. What the operator needs of them is waited for here.
    let asked = async || {
        let twin = fixture.calling.twin(DEVICE).await?;
        (!twin.spec.data_types.is_empty()).then_some(())
    };
    namespace
        .soon("the twin asks for data", asked)
        .await
        .unwrap();

    let (services, twin) = tokio::join!(
        device.call("GET services", device.of_device(Method::GET, "services")),
        device.call("GET twin", device.of_device(Method::GET, "twin")),
    );
    let service = &services.body["services"][0];
    let application = service["applicationId"].as_str().expect("a service");
    assert_eq!(service["activation"], "ByDevice");
    let kinds = &twin.body["desired"]["dataTypes"];
    assert_eq!(kinds[0]["name"], KIND, "{}", twin.body);
    let sends = json!({"name": kinds[0]["name"], "period": kinds[0]["period"]});
    let report =
        json!({"desiredVersion": twin.body["version"], "settings": {}, "dataTypes": [sends]});
    let reported = device.of_device(Method::PATCH, "twin/reported");
    let reported = reported.header("if-match", twin.tag.expect("a tag"));
    let reported = reported.header("content-type", "application/merge-patch+json");
    let path = format!("services/{application}/activation");
    let activation = device.of_device(Method::PUT, &path);
    let activation = activation.header("prefer", "wait=60");
    let (reported, activated) = tokio::join!(
        device.call("PATCH twin/reported", reported.body(report.to_string())),
        device.call(
            "PUT activation",
            activation.json(&json!({"active": true, "by": "Panel"}))
        ),
    );
    assert_eq!(reported.status, 204, "{}", reported.body);
    assert_eq!(activated.body["state"], "Active", "{}", activated.body);

    let events = device.of_device(Method::POST, "events");
    let events = events.header("content-type", "application/cloudevents-batch+json");
    let events = events.body(levels(&["1"]).to_string());
    let sent = device.call("POST events", events).await;
    assert_eq!((sent.status, &sent.body["accepted"]), (202, &json!(1)));
    assert_eq!(ids(&fixture.inbox.taken()), ["1"]);
    assert!(fixture.is_on().await);
    let calls = device.round_trips();
    let trips = calls.last().map_or(0, |(number, _)| *number);
    println!(
        "full form: {trips} round trips, {} requests, from the registration to the first event that is taken",
        calls.len()
    );
    for (number, call) in &calls {
        println!("  {number} {call}");
    }
    assert!(trips <= 4, "{calls:?}");
    assert_eq!(calls.len(), 6);
    fixture.nothing_is_wrong();
}
