//! Cases about SmartServices.

use serde_json::{Value, json};

use super::CaseKind::SmartService;
use super::{Table, plain, put};
use crate::example;

/// A SmartService with every optional member.
pub(super) fn whole() -> Value {
    let mut object = plain(&example::data_backup());
    let when = json!({"parameter": "mode", "in": ["Full"]});
    put(&mut object, "/spec/device/settings/0/when", when.clone());
    put(
        &mut object,
        "/spec/device/settings/0/otherwise",
        json!("none"),
    );
    put(&mut object, "/spec/server/settings/0/when", when);
    put(
        &mut object,
        "/spec/server/settings/0/otherwise",
        json!("sun"),
    );
    put(
        &mut object,
        "/spec/server/settings/0/valueFrom/map",
        json!([{"from": "a", "to": "b"}]),
    );
    put(
        &mut object,
        "/spec/steps",
        json!([{"type": "DeviceSettings", "early": true}, {"type": "ServerSettings"}, {"type": "Activation"}]),
    );
    put(&mut object, "/spec/exclusiveGroup", json!("consumables"));
    put(
        &mut object,
        "/spec/acceptance",
        json!({"setting": "backup.lastRun", "equals": "ok", "within": "10m"}),
    );
    put(
        &mut object,
        "/spec/bounds",
        json!({
            "promisesBefore": "720h",
            "feeCeiling": [{"currency": "BRL", "amount": "100000", "per": "Month"}],
        }),
    );
    put(
        &mut object,
        "/spec/remedies",
        json!([super::contract::credit()]),
    );
    object
}

pub(super) fn case(table: &mut Table) {
    parameters(table);
    settings(table);
    steps(table);
    acceptance(table);
    bounds(table);
}

fn parameters(table: &mut Table) {
    let parameter = |value: Value| [("/spec/parameters/-", value)];
    const WORDS: &str = "allowed goes with type Keyword or KeywordSet only";
    let words = json!({"name": "another", "type": "String", "allowed": ["a"]});
    table.rejects(
        SmartService,
        "allowed of a String",
        &parameter(words),
        WORDS,
    );
    const NUMBERS: &str = "minimum and maximum go with type Integer only";
    let range = |kind: &str| {
        parameter(json!({"name": "another", "type": kind, "minimum": 1, "maximum": 2}))
    };
    table.accepts(SmartService, "a range of an Integer", &range("Integer"));
    table.rejects(
        SmartService,
        "a range of a Keyword",
        &range("Keyword"),
        NUMBERS,
    );
    const OPEN: &str =
        "a parameter of type Secret has no default: contracts give it in secretParameters";
    let secret = json!({"name": "another", "type": "Secret"});
    table.accepts(SmartService, "a secret", &parameter(secret));
    let told = json!({"name": "another", "type": "Secret", "default": "a"});
    table.rejects(
        SmartService,
        "a default of a secret",
        &parameter(told),
        OPEN,
    );
    const DEFAULT: &str = "default must be one of allowed";
    let default = |kind: &str, default: &str| {
        parameter(
            json!({"name": "another", "type": kind, "allowed": ["a", "b"], "default": default}),
        )
    };
    table.accepts(
        SmartService,
        "a default that is allowed",
        &default("Keyword", "b"),
    );
    table.accepts(
        SmartService,
        "a default of several words",
        &default("KeywordSet", "a,b"),
    );
    table.rejects(
        SmartService,
        "a default that is not allowed",
        &default("Keyword", "c"),
        DEFAULT,
    );
}

fn settings(table: &mut Table) {
    const ONE_VALUE: &str = "exactly one of value and valueFrom must be set";
    const OTHERWISE: &str = "otherwise goes with when only";
    const ONE_SOURCE: &str = "exactly one of parameter, device and contract must be set";
    const MAP: &str = "map goes with parameter only";
    for side in ["device", "server"] {
        let place = format!("/spec/{side}/settings/-");
        let case = |table: &mut Table,
                    name: &str,
                    setting: Value,
                    message: Option<&'static str>| {
            let mut named = json!({"name": "another"});
            for (key, value) in setting.as_object().into_iter().flatten() {
                named[key] = value.clone();
            }
            let name = format!("{name}, {side}");
            match message {
                None => table.accepts(SmartService, &name, &[(&place, named)]),
                Some(message) => table.rejects(SmartService, &name, &[(&place, named)], message),
            }
        };
        let source = json!({"parameter": "mode"});
        case(table, "a value", json!({"value": "1"}), None);
        case(table, "an empty value", json!({"value": ""}), None);
        case(table, "no value", json!({}), Some(ONE_VALUE));
        case(
            table,
            "two values",
            json!({"value": "1", "valueFrom": source}),
            Some(ONE_VALUE),
        );
        case(
            table,
            "otherwise without when",
            json!({"value": "1", "otherwise": "0"}),
            Some(OTHERWISE),
        );
        for source in [json!({"device": "Model"}), json!({"contract": "Name"})] {
            case(
                table,
                &source.to_string(),
                json!({ "valueFrom": source }),
                None,
            );
        }
        case(
            table,
            "no source",
            json!({"valueFrom": {}}),
            Some(ONE_SOURCE),
        );
        let two = json!({"valueFrom": {"parameter": "mode", "device": "Model"}});
        case(table, "two sources", two, Some(ONE_SOURCE));
        let mapped = json!({"valueFrom": {"device": "Model", "map": [{"from": "a", "to": "b"}]}});
        case(table, "a map of a fact", mapped, Some(MAP));
    }
    const DIFFER: &str = "active and inactive must differ";
    let same = ("/spec/server/activation/inactive", json!("true"));
    table.rejects(
        SmartService,
        "an activation that changes nothing",
        &[same],
        DIFFER,
    );
}

fn steps(table: &mut Table) {
    let steps = |value: Value| [("/spec/steps", value)];
    const ONCE: &str = "each type of step may be named once";
    let twice = json!([{"type": "DeviceSettings"}, {"type": "DeviceSettings", "early": true}]);
    table.rejects(SmartService, "a step twice", &steps(twice), ONCE);
    const LAST: &str = "Activation must be the last step";
    let first = json!([{"type": "Activation"}, {"type": "ServerSettings"}]);
    table.rejects(
        SmartService,
        "Activation before another step",
        &steps(first),
        LAST,
    );
    const EARLY: &str = "Activation is never early";
    let early = json!([{"type": "Activation", "early": true}]);
    table.rejects(SmartService, "an early Activation", &steps(early), EARLY);
    let explicit = json!([{"type": "Activation", "early": false}]);
    table.accepts(SmartService, "Activation alone", &steps(explicit));
    table.accepts(SmartService, "no steps at all", &steps(json!([])));
    table.accepts(
        SmartService,
        "without a device",
        &[("/spec/device", Value::Null)],
    );
    table.accepts(
        SmartService,
        "without a server",
        &[("/spec/server", Value::Null)],
    );
}

fn acceptance(table: &mut Table) {
    let acceptance = |value: Value| [("/spec/acceptance", value)];
    let check = json!({"setting": "backup.lastRun", "equals": "ok"});
    table.accepts(
        SmartService,
        "acceptance without a time",
        &acceptance(check.clone()),
    );
    let alone = [
        ("/spec/device", Value::Null),
        ("/spec/acceptance", check.clone()),
    ];
    table.accepts(SmartService, "acceptance without settings", &alone);
    const PRESENT: &str = "must be the value that the device reports once the service works; an empty one says nothing";
    let empty = json!({"setting": "backup.lastRun", "equals": ""});
    table.rejects(
        SmartService,
        "acceptance of an empty value",
        &acceptance(empty),
        PRESENT,
    );
    const NAME: &str = "must be letters, digits, '.', '_' and '-', such as \"backup.endpoint\"";
    let no_name = json!({"setting": "last run", "equals": "ok"});
    table.rejects(
        SmartService,
        "acceptance by something without a name",
        &acceptance(no_name),
        NAME,
    );
    const OTHER: &str = "acceptance.setting must be a setting that the device sets by itself, and none of device.settings: what the service writes proves nothing";
    let written = json!({"setting": "backup.endpoint", "equals": "ok"});
    table.rejects(
        SmartService,
        "acceptance of what the service writes",
        &acceptance(written.clone()),
        OTHER,
    );
    let not_written = [
        ("/spec/device/settings", json!([])),
        ("/spec/acceptance", written),
    ];
    table.accepts(
        SmartService,
        "acceptance by a setting that the service does not write",
        &not_written,
    );
    const STEP: &str = "Acceptance has no place in steps: it follows all of them if spec.acceptance names a check; must be Firmware, Applications, DeviceSettings, ServerSettings, DataTypes or Activation";
    let step = [("/spec/steps", json!([{"type": "Acceptance"}]))];
    table.rejects(SmartService, "a step Acceptance", &step, STEP);
}

fn bounds(table: &mut Table) {
    let bounds = |value: Value| [("/spec/bounds", value)];
    table.accepts(SmartService, "bounds by default", &bounds(json!({})));
    table.accepts(
        SmartService,
        "bounds of dates alone",
        &bounds(json!({"promisesBefore": "8760h"})),
    );
    let ceiling = |fields: Value| {
        let mut ceiling = json!({"currency": "BRL", "amount": "100000", "per": "Month"});
        for (key, value) in fields.as_object().into_iter().flatten() {
            ceiling[key] = value.clone();
        }
        ceiling
    };
    let twice = json!({"feeCeiling": [ceiling(json!({})), ceiling(json!({"per": "Year"}))]});
    table.rejects_by_schema(
        SmartService,
        "two ceilings of one currency",
        &bounds(twice),
        "Duplicate value",
    );
    let week = json!({"feeCeiling": [ceiling(json!({"per": "Week"}))]});
    table.rejects_by_schema(
        SmartService,
        "a ceiling for a week",
        &bounds(week),
        "Unsupported value",
    );
}
