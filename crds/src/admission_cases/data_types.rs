//! Cases about activation: kinds of data and supplies of a model and of a service, who turns a service on,
//! and the local switch of a Device.

use serde_json::{Value, json};

use super::CaseKind::{self, Device, DeviceModel, DeviceTwin, SmartService};
use super::{Table, put};

const NAME: &str = "must be letters, digits, '.', '_' and '-'";
const DURATION: &str = "must be a duration longer than zero";
const EMPTY: &str = "should be at least 1 chars long";
const TWICE: &str = "Duplicate value";

/// Adds a kind of data and a supply, with every member, to a DeviceModel.
pub(super) fn add_to_model(object: &mut Value) {
    put(object, "/spec/dataTypes", json!([kind()]));
    put(object, "/spec/supplies", json!([supply()]));
}

fn kind() -> Value {
    json!({"name": "supplies.level", "sendOn": ["Consumed", "BelowThreshold"], "threshold": 20,
           "period": "24h", "via": {"agent": {}}})
}

fn supply() -> Value {
    json!({"name": "black-toner", "partNumber": "TN-500K"})
}

pub(super) fn case(table: &mut Table) {
    models(table);
    services(table);
    switches(table);
    twins(table);
    for (kind, place) in [
        (DeviceModel, "/spec/dataTypes/0"),
        (DeviceTwin, "/spec/dataTypes/0"),
    ] {
        kinds(table, kind, place);
    }
}

/// Cases about a kind of data of a model or of a twin.
fn kinds(table: &mut Table, kind: CaseKind, place: &str) {
    for (member, value, message) in [("name", "a b", NAME), ("period", "0s", DURATION)] {
        let pointer = format!("{place}/{member}");
        let name = format!("{pointer} must not be {value:?}");
        table.rejects(kind, &name, &[(&pointer, json!(value))], message);
    }
    for (member, value, message) in [
        ("threshold", json!(0), "greater than or equal to 1"),
        ("threshold", json!(100), "less than or equal to 99"),
        ("sendOn", json!(["Sometimes"]), "Unsupported value"),
        ("sendOn", json!(["BelowThreshold", "BelowThreshold"]), TWICE),
        ("period", Value::Null, "Required value"),
    ] {
        let pointer = format!("{place}/{member}");
        let name = format!("{pointer} must not be {value}");
        table.rejects_by_schema(kind, &name, &[(&pointer, value)], message);
    }
}

fn models(table: &mut Table) {
    let place = "/spec/dataTypes/0";
    table.accepts(
        DeviceModel,
        "a kind of data that is sent by time alone",
        &[
            ("/spec/dataTypes/0/sendOn", Value::Null),
            ("/spec/dataTypes/0/threshold", Value::Null),
        ],
    );
    const ONLY: &str = "threshold goes with sendOn: BelowThreshold only";
    for on in [Value::Null, json!([]), json!(["Replaced"])] {
        let name = format!("a threshold on {on}");
        let pointer = format!("{place}/sendOn");
        table.rejects(DeviceModel, &name, &[(&pointer, on)], ONLY);
    }
    table.rejects(
        DeviceModel,
        "a level below no threshold",
        &[("/spec/dataTypes/0/threshold", Value::Null)],
        "sendOn: BelowThreshold needs a threshold",
    );
    table.accepts(
        DeviceModel,
        "a kind of data that nobody can send",
        &[("/spec/dataTypes/0/via", json!({}))],
    );
    table.rejects(
        DeviceModel,
        "a supply of no name",
        &[("/spec/supplies/0/name", json!("a b"))],
        NAME,
    );
    for (name, pointer, value, message) in [
        (
            "a kind of data twice",
            "/spec/dataTypes",
            json!([kind(), kind()]),
            TWICE,
        ),
        (
            "a kind of data that is sent in no way",
            "/spec/dataTypes/0/via",
            Value::Null,
            "Required value",
        ),
        (
            "a supply twice",
            "/spec/supplies",
            json!([supply(), supply()]),
            TWICE,
        ),
        (
            "a supply without a part number",
            "/spec/supplies/0/partNumber",
            json!(""),
            EMPTY,
        ),
    ] {
        table.rejects_by_schema(DeviceModel, name, &[(pointer, value)], message);
    }
}

fn services(table: &mut Table) {
    let wants = |kinds: Value| ("/spec/device/dataTypes", kinds);
    let level = || json!({"name": "supplies.level", "period": "6h"});
    let steps = |types: &[&str]| {
        let steps: Vec<Value> = types.iter().map(|it| json!({"type": it})).collect();
        ("/spec/steps", json!(steps))
    };
    let with_step = || steps(&["DeviceSettings", "DataTypes", "Activation"]);
    let any_steps = || steps(&[]);
    for (name, kinds, steps) in [
        (
            "a kind of data with its step",
            json!([level()]),
            with_step(),
        ),
        (
            "a kind of data without any steps",
            json!([level()]),
            any_steps(),
        ),
        (
            "a kind of data as often as the model says",
            json!([{"name": "supplies.level"}]),
            any_steps(),
        ),
    ] {
        table.accepts(SmartService, name, &[wants(kinds), steps]);
    }
    table.rejects(
        SmartService,
        "a kind of data without its step",
        &[wants(json!([level()])), steps(&["DeviceSettings"])],
        "steps must have DataTypes where device.dataTypes names a kind of data",
    );
    for (member, value, message) in [("name", "a b", NAME), ("period", "0s", DURATION)] {
        let mut kind = level();
        kind[member] = json!(value);
        let name = format!("a kind of data whose {member} is {value:?}");
        let changes = [wants(json!([kind])), any_steps()];
        table.rejects(SmartService, &name, &changes, message);
    }
    table.rejects_by_schema(
        SmartService,
        "a kind of data twice",
        &[wants(json!([level(), level()])), any_steps()],
        TWICE,
    );
    for (supplies, message) in [(json!([""]), EMPTY), (json!(["A", "A"]), TWICE)] {
        let name = format!("the supplies {supplies}");
        let changes = [("/spec/device/supplies", supplies)];
        table.rejects_by_schema(SmartService, &name, &changes, message);
    }
    for mode in ["ByOperator", "ByDevice"] {
        let name = format!("activation {mode}");
        table.accepts(SmartService, &name, &[("/spec/activation", json!(mode))]);
    }
    table.rejects_by_schema(
        SmartService,
        "an activation that there is not",
        &[("/spec/activation", json!("ByNobody"))],
        "Unsupported value",
    );
}

fn switches(table: &mut Table) {
    let disabled = |services: Value| [("/spec/disabledServices", services)];
    table.accepts(
        Device,
        "two services that are switched off",
        &disabled(json!(["data-backup", "parts-life"])),
    );
    for (services, message) in [
        (json!([""]), EMPTY),
        (json!(["data-backup", "data-backup"]), TWICE),
        (json!(["a".repeat(64)]), "may not be more than 63"),
    ] {
        let name = format!("disabledServices {services}");
        table.rejects_by_schema(Device, &name, &disabled(services), message);
    }
}

fn twins(table: &mut Table) {
    for (wanted_by, message) in [
        (json!([]), "should have at least 1 items"),
        (json!(["a", "a"]), TWICE),
        (Value::Null, "Required value"),
    ] {
        let name = format!("a kind of data wanted by {wanted_by}");
        let changes = [("/spec/dataTypes/0/wantedBy", wanted_by)];
        table.rejects_by_schema(DeviceTwin, &name, &changes, message);
    }
}
