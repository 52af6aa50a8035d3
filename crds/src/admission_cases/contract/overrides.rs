//! Cases of the overrides of a Contract.

use serde_json::{Value, json};

use super::service_of;
use crate::admission_cases::CaseKind::Contract;
use crate::admission_cases::Table;

pub(super) fn case(table: &mut Table) {
    values(table);
    limits(table);
}

fn values(table: &mut Table) {
    let place = |field: &str| format!("/spec/services/0/overrides/0{field}");
    let case = |field: &str, value: Value| (place(field), value);
    let accepts = |table: &mut Table, name: &str, (place, value): (String, Value)| {
        table.accepts(Contract, name, &[(&place, value)]);
    };
    let rejects = |table: &mut Table, name: &str, (place, value): (String, Value), message| {
        table.rejects(Contract, name, &[(&place, value)], message);
    };
    accepts(
        table,
        "an override of named devices",
        case("/devices/selector", Value::Null),
    );
    accepts(
        table,
        "an override of selected devices",
        case("/devices/names", Value::Null),
    );
    const SOME: &str = "selector or names must be set";
    for (name, value) in [
        ("an override of no devices", json!({})),
        ("an override of no names", json!({"names": []})),
    ] {
        rejects(table, name, case("/devices", value), SOME);
    }
    const EMPTY: &str =
        "must require at least one label: the empty selector would match every device";
    rejects(
        table,
        "an override of every device",
        case("/devices/selector", json!({})),
        EMPTY,
    );
    const OPERATOR: &str = "In and NotIn need values; Exists and DoesNotExist take none";
    rejects(
        table,
        "an override with Exists and values",
        case("/devices/selector/matchExpressions/0/values", json!(["1"])),
        OPERATOR,
    );
    const LABEL: &str =
        "must be a DNS label: lower case letters, digits and '-', at most 63 characters";
    rejects(
        table,
        "an override in upper case",
        case("/name", json!("Osasco")),
        LABEL,
    );
    const PARAMETERS: &str = "must set at least one parameter";
    rejects(
        table,
        "an override of nothing",
        case("/parameters", json!({})),
        PARAMETERS,
    );
    const SECRET: &str = "a parameter must not be both in overrides and in secretParameters, whose \
                          secrets are those of all devices";
    rejects(
        table,
        "an override of a secret",
        case("/parameters/account-key", json!("1")),
        SECRET,
    );
}

fn limits(table: &mut Table) {
    let named = |number: usize, names: usize| {
        let names: Vec<String> = (0..names).map(|name| format!("mfp-{name}")).collect();
        json!({
            "name": format!("override-{number}"),
            "devices": {"names": names},
            "parameters": {"weekdays": "sun"}
        })
    };
    let entry = |sizes: &[usize]| -> Value {
        let all = sizes.iter().enumerate();
        all.map(|(number, names)| named(number, *names)).collect()
    };
    let place = "/spec/services/0/overrides";
    table.accepts(Contract, "32 overrides", &[(place, entry(&[1; 32]))]);
    table.rejects_by_schema(
        Contract,
        "33 overrides",
        &[(place, entry(&[1; 33]))],
        "must have at most 32 items",
    );
    table.accepts(
        Contract,
        "100 names in an override",
        &[(place, entry(&[100]))],
    );
    table.rejects_by_schema(
        Contract,
        "101 names in an override",
        &[(place, entry(&[101]))],
        "must have at most 100 items",
    );
    let twice = json!([named(1, 1), named(1, 2)]);
    table.rejects_by_schema(
        Contract,
        "two overrides of one name",
        &[(place, twice)],
        "Duplicate value",
    );
    const NAMES: &str = "all services and their overrides together may name at most 4,000 devices; \
                         use a selector";
    let full: Vec<Value> = [1000, 1000, 1000, 901]
        .iter()
        .enumerate()
        .map(service_of)
        .collect();
    let services = |overrides: Value| {
        let mut services = full.clone();
        services[0]["overrides"] = overrides;
        [
            ("/spec/services", json!(services)),
            ("/spec/currency", Value::Null),
        ]
    };
    table.accepts(
        Contract,
        "4,000 names with those of overrides",
        &services(entry(&[50, 49])),
    );
    table.rejects(
        Contract,
        "4,001 names with those of overrides",
        &services(entry(&[50, 50])),
        NAMES,
    );
}
