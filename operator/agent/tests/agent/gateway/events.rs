//! Events at the gateway of tests: a provider that takes everything, each event once.

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    ID, Inner,
    answers::{Asked, invalid, json_answer, problem},
    content::{self, Fault},
};

const MEMBERS: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "applicationid",
    "sequence",
    "datacontenttype",
    "data",
];

impl Inner {
    /// Takes a batch.
    pub(super) fn events(&mut self, asked: &Asked) -> Response {
        let batch = match content::json(asked, "application/cloudevents-batch+json") {
            Ok(batch) => batch,
            Err(response) => return *response,
        };
        let Some(events) = batch.as_array().filter(|events| events.len() <= 256) else {
            return invalid("InvalidRequest", &[Fault::new("", "a list of at most 256")]);
        };
        if events.len() > self.most_events {
            return problem(413, "TooLarge");
        }
        let faults: Vec<Fault> = events
            .iter()
            .enumerate()
            .flat_map(|(at, event)| faults(event, at))
            .collect();
        if !faults.is_empty() && self.defect != "accepts-faults" {
            return invalid("InvalidRequest", &faults);
        }
        let activations = self.first_data(events);
        let mut refused = Vec::new();
        for event in events {
            match self.reason(event) {
                Some(reason) => refused.push(json!({"id": event["id"], "reason": reason})),
                None if self.taken.iter().any(|known| known["id"] == event["id"]) => {}
                None => self.taken.push(event.clone()),
            }
        }
        if !refused.is_empty() && self.defect == "refuses-batches" {
            return problem(422, "InvalidRequest");
        }
        json_answer(
            202,
            &json!({"accepted": events.len() - refused.len(), "refused": refused,
                "activations": activations, "poll": {"next": self.poll_next}}),
        )
    }

    /// Turns on the services that wait for their first data.
    fn first_data(&mut self, events: &[Value]) -> Vec<Value> {
        let mut turned = Vec::new();
        for service in self.services.as_array_mut().into_iter().flatten() {
            let awaits = service["activation"] == "ByFirstData" && service["state"] == "Inactive";
            let kinds = service["requires"]["dataTypes"].clone();
            let is_there = |event: &Value| {
                let name = event["type"].as_str().unwrap_or_default();
                let name = name.trim_start_matches("dev.entente.");
                kinds
                    .as_array()
                    .is_some_and(|kinds| kinds.contains(&json!(name)))
            };
            if awaits && events.iter().any(is_there) {
                service["state"] = json!("Active");
                turned.push(json!({"applicationId": service["applicationId"], "state": "Active"}));
            }
        }
        turned
    }

    /// Reason for which an event is refused.
    fn reason(&self, event: &Value) -> Option<&'static str> {
        if event["type"] == "dev.entente.error" {
            return (self.defect == "refuses-errors-at-times" && self.taken.len() == 1)
                .then_some("NotRequested");
        }
        let name = event["type"].as_str().unwrap_or_default();
        let kind = json!(name.trim_start_matches("dev.entente."));
        let services = self.services.as_array().into_iter().flatten();
        let mut wanting = services.filter(|service| {
            let id = &event["applicationid"];
            let kinds = service["requires"]["dataTypes"].as_array();
            service["state"] == "Active"
                && (id.is_null() || *id == service["applicationId"])
                && kinds.is_some_and(|kinds| kinds.contains(&kind))
        });
        if wanting.next().is_none() {
            return Some("NotRequested");
        }
        (event["data"]["odd"] == true).then_some("RefusedByProvider")
    }
}

fn faults(event: &Value, at: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    let place = |name: &str| format!("/{at}/{name}");
    if !event.is_object() {
        return vec![Fault::new(&format!("/{at}"), "an object")];
    }
    content::unknown(event, &format!("/{at}"), &MEMBERS, &mut faults);
    if event["specversion"] != "1.0" {
        faults.push(Fault::new(&place("specversion"), "1.0"));
    }
    if event["id"].as_str().is_none_or(str::is_empty) {
        faults.push(Fault::new(&place("id"), "a text"));
    }
    let kind = event["type"].as_str().unwrap_or_default();
    if !kind.starts_with("dev.entente.") {
        faults.push(Fault::new(&place("type"), "dev.entente. and a name"));
    }
    let source = &event["source"];
    if !source.is_null() && *source != json!(format!("urn:uuid:{ID}")) {
        faults.push(Fault::new(&place("source"), "that of the device"));
    }
    let time = event["time"].as_str();
    if !event["time"].is_null() && time.is_none_or(|time| time.parse::<jiff::Timestamp>().is_err())
    {
        faults.push(Fault::new(&place("time"), "an instant"));
    }
    if event["type"] == "dev.entente.error" {
        error_faults(&event["data"], &place("data"), &mut faults);
    }
    // A fault that only this gateway finds, so that a device of tests can be made to have it.
    if event["data"]["poison"] == true {
        faults.push(Fault::new(&place("data"), "data of another form"));
    }
    faults
}

/// Faults of the data of an error.
fn error_faults(data: &Value, at: &str, faults: &mut Vec<Fault>) {
    if !data.is_object() {
        faults.push(Fault::new(at, "an object"));
        return;
    }
    let known = [
        "state",
        "reason",
        "orderRequested",
        "impressions",
        "replaced",
    ];
    content::unknown(data, at, &known, faults);
    if data["state"] != "Raised" && data["state"] != "Cleared" {
        faults.push(Fault::new(&format!("{at}/state"), "Raised or Cleared"));
    }
    let reason = data["reason"].as_str().unwrap_or_default();
    if reason.is_empty() || reason.contains([' ', '/']) {
        faults.push(Fault::new(&format!("{at}/reason"), "a word"));
    }
    let is_number = data["impressions"].is_null() || data["impressions"].is_u64();
    if !is_number {
        faults.push(Fault::new(&format!("{at}/impressions"), "a number"));
    }
    for name in ["orderRequested", "replaced"] {
        if !data[name].is_null() && !data[name].is_boolean() {
            faults.push(Fault::new(&format!("{at}/{name}"), "true or false"));
        }
    }
}
