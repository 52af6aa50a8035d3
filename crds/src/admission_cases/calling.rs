//! Cases about devices that call: the Connection of the gateway, enrollments and twins.

use serde_json::{Value, json};

use super::CaseKind::{Connection, DeviceEnrollment, DeviceTwin};
use super::{Table, plain, put, software};
use crate::example;

/// An enrollment with every member that a rule looks at.
pub(super) fn enrollment() -> Value {
    plain(&example::enrollment())
}

/// A twin with every member that a rule looks at.
pub(super) fn twin() -> Value {
    let mut object = plain(&example::device_twin());
    for list in ["/spec/settings", "/spec/next/settings"] {
        put(
            &mut object,
            &format!("{list}/-"),
            json!({"name": "cloud.password", "asked": 1,
                   "secretKeyRef": {"name": "cloud", "key": "password"}}),
        );
    }
    software::add_hashes(&mut object, "/spec/deployment/artifact");
    object
}

pub(super) fn case(table: &mut Table) {
    gateways(table);
    enrollments(table);
    twins(table);
}

/// Returns the changes that make a Connection of the gateway, with one more.
fn gateway(pointer: &str, value: Value) -> [(&'static str, Value); 1] {
    let mut spec = plain(&example::gateway())["spec"].take();
    if !pointer.is_empty() {
        put(&mut spec, pointer, value);
    }
    [("/spec", spec)]
}

fn gateways(table: &mut Table) {
    let rejects = |table: &mut Table, name: &str, pointer, value, message| {
        table.rejects(Connection, name, &gateway(pointer, value), message);
    };
    table.accepts(Connection, "a gateway", &gateway("", Value::Null));
    let alone = json!({"url": "https://gw.example", "region": "eu"});
    table.accepts(
        Connection,
        "a gateway without regions",
        &gateway("/agent", alone),
    );
    for url in [
        "https://gw.example/",
        "https://127.0.0.1:8445",
        "https://[::1]:8445",
    ] {
        let alone = json!({"url": url, "region": "eu"});
        let name = format!("a gateway at {url}");
        table.accepts(Connection, &name, &gateway("/agent", alone));
    }
    let of_https = "https, a host and at most a port from 1 to 65535";
    for url in [
        "http://gw.sa.northwind.example",
        "https://me@gw.example",
        "https://gw.example/devices",
        "https://gw.example?tenant=acme",
        "https://gw.example/#top",
        "https://gw.example:0",
        "https://gw.example.256",
        "gw.example",
    ] {
        let name = format!("a gateway at {url}");
        rejects(table, &name, "/agent/url", json!(url), of_https);
        let name = format!("a region at {url}");
        rejects(table, &name, "/agent/regions/1/url", json!(url), of_https);
    }
    rejects(
        table,
        "a region elsewhere that there is not",
        "/agent/elsewhere",
        json!("us"),
        "elsewhere must be the name of one of regions",
    );
    let this_one = "regions must have an entry with the name that region has";
    rejects(
        table,
        "a region that is not listed",
        "/agent/region",
        json!("us"),
        this_one,
    );
    rejects(
        table,
        "another url than that of its region",
        "/agent/url",
        json!("https://gw.example"),
        this_one,
    );
    for place in ["jp", "JPN", "JP-", "J1"] {
        rejects(
            table,
            &format!("the place {place:?}"),
            "/agent/regions/1/countries",
            json!([place]),
            "each place must be a country of ISO 3166",
        );
    }
    for (pointer, value, message) in [
        ("/agent/region", "S A", "must be a DNS label"),
        ("/agent/elsewhere", "S A", "must be a DNS label"),
        ("/agent/regions/1/name", "J P", "must be a DNS label"),
        ("/agent/poll", "0s", "must be a duration longer than zero"),
        (
            "/agent/before",
            "soon",
            "must be a duration longer than zero",
        ),
    ] {
        let name = format!("{pointer} {value:?}");
        rejects(table, &name, pointer, json!(value), message);
    }
    for place in ["JP-13", "GB-ENG", "FR-2"] {
        let changes = gateway("/agent/regions/1/countries", json!([place]));
        table.accepts(Connection, &format!("the place {place}"), &changes);
    }
    for (member, value) in [
        ("/tls", json!({})),
        ("/limits", json!({})),
        ("/timeouts", json!({})),
        ("/retry", json!({})),
        (
            "/credentials",
            json!({"type": "Basic", "secretRef": {"name": "x"}}),
        ),
    ] {
        let name = format!("a gateway with {member}");
        rejects(table, &name, member, value, "do not go with protocol Agent");
    }
    table.rejects(
        Connection,
        "IPP without networks",
        &[("/spec/allow/0/networks", Value::Null)],
        "each entry of allow needs networks",
    );
    let fetching = |url: &str| {
        let mut spec = plain(&example::gateway())["spec"].take();
        put(&mut spec, "/agent", Value::Null);
        put(&mut spec, "/protocol", json!("HTTP"));
        put(&mut spec, "/http", json!({"url": url}));
        put(&mut spec, "/allow/0/networks", json!(["203.0.113.0/24"]));
        [("/spec", spec)]
    };
    for url in ["https://files.example/firmware/", "http://10.1.2.3:8080"] {
        table.accepts(Connection, &format!("artifacts at {url}"), &fetching(url));
    }
    table.rejects(
        Connection,
        "artifacts from another protocol",
        &fetching("ftp://files.example"),
        "must be a URL such as \"https://files.example/firmware/\"",
    );
}

fn enrollments(table: &mut Table) {
    for (pointer, value, message) in [
        ("/metadata/name", "A", "metadata.name must be a DNS label"),
        ("/spec/connectionRef/name", "A", "must be a DNS label"),
        (
            "/spec/tokenSecretRef/name",
            "A",
            "must be the name of an object",
        ),
        (
            "/spec/template/timeZone",
            "here!",
            "must be a name of the time zone database",
        ),
    ] {
        let name = format!("{pointer} {value:?}");
        table.rejects(DeviceEnrollment, &name, &[(pointer, json!(value))], message);
    }
    const TEMPLATE: &str = "template is required with mode Create, and only then";
    table.rejects(
        DeviceEnrollment,
        "Create without template",
        &[("/spec/template", Value::Null)],
        TEMPLATE,
    );
    table.rejects(
        DeviceEnrollment,
        "BindOnly with template",
        &[("/spec/mode", json!("BindOnly"))],
        TEMPLATE,
    );
    table.rejects(
        DeviceEnrollment,
        "a template without a mode",
        &[("/spec/mode", Value::Null)],
        TEMPLATE,
    );
    let bind_only = [
        ("/spec/mode", json!("BindOnly")),
        ("/spec/template", Value::Null),
        ("/spec/serialNumbers", Value::Null),
        ("/spec/maxDevices", Value::Null),
    ];
    table.accepts(DeviceEnrollment, "any Device that there is", &bind_only);
    let unbounded = [
        ("/spec/serialNumbers", Value::Null),
        ("/spec/maxDevices", Value::Null),
    ];
    table.rejects(
        DeviceEnrollment,
        "any number of new Devices",
        &unbounded,
        "mode Create needs serialNumbers or maxDevices",
    );
    const ONE: &str = "exactly one of pattern and names must be set";
    for (name, value) in [
        ("both ways", json!({"pattern": "A.*", "names": ["A1"]})),
        ("no way", json!({})),
    ] {
        let name = format!("serial numbers in {name}");
        table.rejects(
            DeviceEnrollment,
            &name,
            &[("/spec/serialNumbers", value)],
            ONE,
        );
    }
    let twice = json!({"names": ["A1", "A1"]});
    table.rejects_by_schema(
        DeviceEnrollment,
        "a serial number twice",
        &[("/spec/serialNumbers", twice)],
        "Duplicate value",
    );
    table.rejects(
        DeviceEnrollment,
        "a prefix that no name has",
        &[("/spec/template/namePrefix", json!("Acme_"))],
        "must be the beginning of a DNS label",
    );
    for (field, value, message) in [
        ("maxDevices", json!(0), "greater than or equal to 1"),
        ("expires", json!("2027-02-30"), "must be of type date"),
        ("mode", json!("Anything"), "Unsupported value"),
        ("consent", json!("Maybe"), "Unsupported value"),
        ("tokenSecretRef", Value::Null, "Required value"),
        ("connectionRef", Value::Null, "Required value"),
    ] {
        let pointer = format!("/spec/{field}");
        let name = format!("{field} {value}");
        table.rejects_by_schema(DeviceEnrollment, &name, &[(&pointer, value)], message);
    }
}

fn twins(table: &mut Table) {
    const LABEL: &str = "must be a DNS label";
    const NAME: &str = "must be letters, digits, '.', '_' and '-'";
    const SECRET: &str = "must be the name of an object";
    const KEY: &str = "must be a key of a Secret";
    table.accepts(DeviceTwin, "a pending one", &[("/spec", json!({}))]);
    for (pointer, value, message) in [
        ("/spec/deviceRef/name", "Lobby", LABEL),
        ("/spec/settings/0/name", "a b", NAME),
        ("/spec/settings/2/secretKeyRef/name", "A", SECRET),
        ("/spec/settings/2/secretKeyRef/key", "a b", KEY),
        ("/spec/next/settings/0/name", "a b", NAME),
        ("/spec/next/settings/1/secretKeyRef/name", "A", SECRET),
        ("/spec/next/settings/1/secretKeyRef/key", "a b", KEY),
    ] {
        let name = format!("{pointer} {value:?}");
        table.rejects(DeviceTwin, &name, &[(pointer, json!(value))], message);
    }
    const ONE: &str = "exactly one of value and secretKeyRef must be set";
    table.rejects(
        DeviceTwin,
        "a setting without a value",
        &[("/spec/settings/0/value", Value::Null)],
        ONE,
    );
    table.rejects(
        DeviceTwin,
        "a setting with two values",
        &[("/spec/settings/2/value", json!("x"))],
        ONE,
    );
    table.rejects(
        DeviceTwin,
        "a next setting without a value",
        &[("/spec/next/settings/0/value", Value::Null)],
        ONE,
    );
    table.rejects_by_schema(
        DeviceTwin,
        "a setting that nobody asked for",
        &[("/spec/settings/0/asked", json!(0))],
        "greater than or equal to 1",
    );
    for (pointer, value, message) in [
        ("/spec/messages/0/id", "", "should be at least 1 chars long"),
        (
            "/spec/messages/0/text",
            "",
            "should be at least 1 chars long",
        ),
        (
            "/spec/messages/0/short",
            "",
            "should be at least 1 chars long",
        ),
        (
            "/spec/messages/0/language",
            "",
            "should be at least 1 chars long",
        ),
    ] {
        let name = format!("a message with an empty {pointer}");
        table.rejects_by_schema(DeviceTwin, &name, &[(pointer, json!(value))], message);
    }
}
