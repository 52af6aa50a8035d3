//! Cases of the exclusions of a Contract.

use serde_json::{Value, json};

use super::service_of;
use crate::admission_cases::CaseKind::Contract;
use crate::admission_cases::Table;

pub(super) fn case(table: &mut Table) {
    days(table);
    devices(table);
}

fn days(table: &mut Table) {
    let days = |from: &str, until: &str| {
        [
            ("/spec/exclusions/0/from", json!(from)),
            ("/spec/exclusions/0/until", json!(until)),
        ]
    };
    const AFTER: &str = "until must be after from: it is the first day that is owed again";
    table.accepts(
        Contract,
        "one excluded day",
        &days("2027-12-24", "2027-12-25"),
    );
    table.rejects(
        Contract,
        "an exclusion of no day",
        &days("2027-12-24", "2027-12-24"),
        AFTER,
    );
    table.rejects(
        Contract,
        "an exclusion that ends before it begins",
        &days("2027-12-24", "2027-12-23"),
        AFTER,
    );
    table.rejects_by_schema(
        Contract,
        "an exclusion from 30 February",
        &days("2027-02-30", "2027-03-01"),
        "must be of type date",
    );
    table.rejects_by_schema(
        Contract,
        "an exclusion without a reason",
        &[("/spec/exclusions/0/reason", json!(""))],
        "should be at least 1 chars long",
    );
    let list = |count: usize| {
        let one = |number: usize| exclusion(&format!("day-{number}"), &Value::Null);
        [("/spec/exclusions", (0..count).map(one).collect())]
    };
    table.accepts(Contract, "no exclusions", &list(0));
    table.accepts(Contract, "32 exclusions", &list(32));
    table.rejects_by_schema(
        Contract,
        "33 exclusions",
        &list(33),
        "must have at most 32 items",
    );
    const LABEL: &str =
        "must be a DNS label: lower case letters, digits and '-', at most 63 characters";
    table.rejects(
        Contract,
        "an exclusion in upper case",
        &[("/spec/exclusions/0/name", json!("Osasco"))],
        LABEL,
    );
    let twice = exclusion("osasco-closed", &Value::Null);
    table.rejects_by_schema(
        Contract,
        "two exclusions of one name",
        &[("/spec/exclusions/-", twice)],
        "Duplicate value",
    );
}

fn devices(table: &mut Table) {
    let devices = |value: Value| [("/spec/exclusions/0/devices", value)];
    const SOME: &str =
        "selector or names must be set; without devices an exclusion is for all of them";
    table.accepts(
        Contract,
        "an exclusion for all devices",
        &devices(Value::Null),
    );
    table.rejects(
        Contract,
        "an exclusion of no devices",
        &devices(json!({"names": []})),
        SOME,
    );
    const EMPTY: &str =
        "must require at least one label: the empty selector would match every device";
    table.rejects(
        Contract,
        "an exclusion with the empty selector",
        &devices(json!({"selector": {}})),
        EMPTY,
    );
    let none = json!({"key": "a", "operator": "In", "values": []});
    table.rejects(
        Contract,
        "an exclusion by In with an empty list",
        &devices(json!({"selector": {"matchExpressions": [none]}})),
        "In and NotIn need values; Exists and DoesNotExist take none",
    );
    const NAMES: &str =
        "all services and exclusions together may name at most 4,000 devices; use a selector";
    let named = |of_services: [usize; 2], of_exclusions: [usize; 2]| {
        let names = |count: usize| -> Vec<String> {
            (0..count).map(|number| format!("mfp-{number}")).collect()
        };
        let services: Vec<Value> = of_services.iter().enumerate().map(service_of).collect();
        let exclusions = of_exclusions.iter().enumerate();
        let exclusions: Vec<Value> = exclusions
            .map(|(number, count)| {
                exclusion(&format!("day-{number}"), &json!({"names": names(*count)}))
            })
            .collect();
        [
            ("/spec/services", json!(services)),
            ("/spec/exclusions", json!(exclusions)),
            ("/spec/currency", Value::Null),
        ]
    };
    table.accepts(
        Contract,
        "4,000 names of services and exclusions",
        &named([1000, 1000], [1000, 1000]),
    );
    table.rejects(
        Contract,
        "4,001 names of services and exclusions",
        &{
            let mut changes = named([1000, 1000], [1000, 1000]);
            if let Some(services) = changes[0].1.as_array_mut() {
                services.push(service_of((2, &1)));
            }
            changes
        },
        NAMES,
    );
    table.rejects_by_schema(
        Contract,
        "1,001 names in one exclusion",
        &named([1, 1], [1001, 1]),
        "must have at most 1000 items",
    );
}

/// Returns an exclusion of one day.
fn exclusion(name: &str, devices: &Value) -> Value {
    let mut exclusion = json!({
        "name": name,
        "from": "2027-12-24",
        "until": "2027-12-25",
        "reason": "a holiday"
    });
    if !devices.is_null() {
        exclusion["devices"] = devices.clone();
    }
    exclusion
}
