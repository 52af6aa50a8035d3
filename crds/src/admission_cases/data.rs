//! Cases about the destination of the data of a service.

use serde_json::{Value, json};

use super::CaseKind::SmartService;
use super::{Table, put};

fn wanted() -> (&'static str, Value) {
    (
        "/spec/device/dataTypes",
        json!([{"name": "supplies.level"}]),
    )
}

fn no_steps() -> (&'static str, Value) {
    ("/spec/steps", json!([]))
}

pub(super) fn case(table: &mut Table) {
    let data = |member: &str, value: Value| {
        let mut data = json!({"connectionRef": {"name": "northwind-inbox"}, "path": "/v1/events"});
        put(&mut data, member, value);
        [wanted(), no_steps(), ("/spec/data", data)]
    };
    for path in ["/v1/events", "/events/", "/a.b/~c/_d-e"] {
        let name = format!("data to {path}");
        table.accepts(SmartService, &name, &data("/path", json!(path)));
    }
    for path in [
        "v1/events",
        "/",
        "//evil.example/events",
        "/v1/../events",
        "/./events",
        "/..",
        "/v1/%2e%2e/events",
        "/events?key=1",
        "/events#top",
        "/{tenant}",
        "/a b",
        "https://evil.example/",
    ] {
        let name = format!("data to {path}");
        let message = "must be a path such as \"/v1/events\"";
        table.rejects(SmartService, &name, &data("/path", json!(path)), message);
    }
    table.rejects(
        SmartService,
        "data to a Connection of no name",
        &data("/connectionRef/name", json!("North Wind")),
        "must be a DNS label",
    );
    let first = ("/spec/activation", json!("ByFirstData"));
    let mut changes = data("/path", json!("/v1/events")).to_vec();
    changes.push(first.clone());
    table.accepts(SmartService, "the first data turns it on", &changes);
    table.rejects(
        SmartService,
        "the first data of none turns it on",
        &[first],
        "activation: ByFirstData needs data",
    );
    const KINDS: &str = "data goes with device.dataTypes only";
    for (name, kinds) in [
        ("data without a device", ("/spec/device", Value::Null)),
        ("data of no kind", ("/spec/device/dataTypes", json!([]))),
    ] {
        let [_, steps, data] = data("/path", json!("/v1/events"));
        table.rejects(SmartService, name, &[kinds, steps, data], KINDS);
    }
}
